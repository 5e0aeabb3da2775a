// The display list: what a scene is, before anything draws it. It is plain data, so the same list goes to the canvas,
// to SVG (snapshots, export), to the hit test, to the text alternative and to the tests that compare it with the trace.

/** A colour by its meaning ("q", "resid", "ink"), with an optional opacity ("q/0.3"), or a signed value in −1..1 ("s:-0.4"). */
export type Paint = string;
/** `KaTeX_…`: the fonts of formulas. */
export type Font = 'sans' | 'mono' | `KaTeX_${string}`;

/** The number a thing on the stage stands for. `site` is the trace's name, or what made it when it is in no tensor ("derived:…"). */
export interface Datum {
  site: string;
  index: number[];
  value: number;
  text: string;
}

interface Base {
  a: number;
  cell?: Datum;
}

export interface Label {
  text: string;
  size: number;
  font?: Font;
  weight?: number;
  fill?: Paint;
}

export interface RectPrim extends Base {
  k: 'rect';
  x: number;
  y: number;
  w: number;
  h: number;
  r: number;
  fill?: Paint;
  stroke?: Paint;
  sw?: number;
  dash?: number[];
  label?: Label;
}

export interface DiscPrim extends Base {
  k: 'disc';
  x: number;
  y: number;
  r: number;
  fill?: Paint;
  stroke?: Paint;
  sw?: number;
  label?: Label;
}

export interface TextPrim extends Base {
  k: 'text';
  x: number;
  y: number;
  text: string;
  size: number;
  font: Font;
  weight: number;
  anchor: 'start' | 'middle' | 'end';
  /** `y` is the baseline, not the middle. */
  base?: boolean;
  fill: Paint;
}

export interface PathPrim extends Base {
  k: 'path';
  d: string;
  fill?: Paint;
  stroke?: Paint;
  sw?: number;
  dash?: number[];
}

/** Many numbers as coloured squares without text: a whole vector in one line, a pattern in little. */
export interface GridPrim extends Base {
  k: 'grid';
  x: number;
  y: number;
  w: number;
  h: number;
  cols: number;
  values: Float32Array;
  /** Signed values up to this size, or shares of 1 in one colour. */
  full: number;
  tint?: Paint;
  /** Where the numbers stand in the trace: the index of each is `at` and its place. */
  source?: { site: string; at: readonly number[] };
}

/** Many points of one paint: a vocabulary as a map. */
export interface DotsPrim extends Base {
  k: 'dots';
  /** What the points count from. */
  x: number;
  y: number;
  /** x and y of each. */
  points: Float32Array;
  r: number;
  fill: Paint;
  /** Which token each point is: one that is clicked is picked. */
  ids?: readonly number[];
}

export type Prim = RectPrim | DiscPrim | TextPrim | PathPrim | GridPrim | DotsPrim;
export type DisplayList = Prim[];

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}
