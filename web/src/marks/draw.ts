// Builds a display list. Scenes and marks only ever append to it; nothing is read back from a screen.
import type { Datum, DisplayList, Font, Label, Paint } from './types';

export interface RectOptions {
  r?: number;
  fill?: Paint;
  stroke?: Paint;
  sw?: number;
  dash?: number[];
  label?: Label;
  cell?: Datum;
  a?: number;
}

export interface TextOptions {
  size?: number;
  font?: Font;
  weight?: number;
  anchor?: 'start' | 'middle' | 'end';
  base?: boolean;
  fill?: Paint;
  cell?: Datum;
  a?: number;
}

const INVISIBLE = 0.012;

export class Draw {
  readonly list: DisplayList = [];
  /** Honest notes about what is shown ("16 of 192"), gathered for the badges under the stage. */
  readonly badges = new Map<string, Record<string, string>>();
  private alpha = 1;
  private dx = 0;
  private dy = 0;

  /** Everything drawn inside is `a` times as opaque. */
  fade(a: number, inside: () => void): void {
    if (a * this.alpha < INVISIBLE) return;
    const before = this.alpha;
    this.alpha = before * a;
    inside();
    this.alpha = before;
  }

  shift(dx: number, dy: number, inside: () => void): void {
    const [x, y] = [this.dx, this.dy];
    this.dx += dx;
    this.dy += dy;
    inside();
    [this.dx, this.dy] = [x, y];
  }

  rect(x: number, y: number, w: number, h: number, o: RectOptions = {}): void {
    const a = this.alpha * (o.a ?? 1);
    if (a < INVISIBLE || w <= 0 || h <= 0) return;
    this.list.push({ k: 'rect', x: x + this.dx, y: y + this.dy, w, h, r: o.r ?? 0, fill: o.fill, stroke: o.stroke, sw: o.sw, dash: o.dash, label: o.label, cell: o.cell, a });
  }

  disc(x: number, y: number, r: number, o: Omit<RectOptions, 'r' | 'dash'> = {}): void {
    const a = this.alpha * (o.a ?? 1);
    if (a < INVISIBLE || r <= 0) return;
    this.list.push({ k: 'disc', x: x + this.dx, y: y + this.dy, r, fill: o.fill, stroke: o.stroke, sw: o.sw, label: o.label, cell: o.cell, a });
  }

  grid(x: number, y: number, w: number, h: number, cols: number, values: Float32Array, o: { full: number; tint?: Paint; source?: { site: string; at: readonly number[] }; a?: number }): void {
    const a = this.alpha * (o.a ?? 1);
    if (a < INVISIBLE || values.length === 0) return;
    this.list.push({ k: 'grid', x: x + this.dx, y: y + this.dy, w, h, cols, values, full: o.full, tint: o.tint, source: o.source, a });
  }

  dots(points: Float32Array, r: number, fill: Paint, o: { ids?: readonly number[]; a?: number } = {}): void {
    const a = this.alpha * (o.a ?? 1);
    if (a < INVISIBLE || points.length === 0) return;
    this.list.push({ k: 'dots', x: this.dx, y: this.dy, points, r, fill, ids: o.ids, a });
  }

  text(x: number, y: number, text: string, o: TextOptions = {}): void {
    const a = this.alpha * (o.a ?? 1);
    if (a < INVISIBLE || text === '') return;
    this.list.push({ k: 'text', x: x + this.dx, y: y + this.dy, text, size: o.size ?? 13, font: o.font ?? 'sans', weight: o.weight ?? 450, anchor: o.anchor ?? 'start', base: o.base, fill: o.fill ?? 'ink', cell: o.cell, a });
  }

  /** Paths are given in absolute numbers; inside `shift` they are moved by writing the shift into their first command. */
  path(d: string, o: { fill?: Paint; stroke?: Paint; sw?: number; dash?: number[]; a?: number; cell?: Datum } = {}): void {
    const a = this.alpha * (o.a ?? 1);
    if (a < INVISIBLE || d === '') return;
    this.list.push({ k: 'path', d, fill: o.fill, stroke: o.stroke, sw: o.sw, dash: o.dash, cell: o.cell, a });
  }

  line(x1: number, y1: number, x2: number, y2: number, stroke: Paint = 'line', sw = 1, o: { dash?: number[]; a?: number } = {}): void {
    this.path(`M${n(x1 + this.dx)},${n(y1 + this.dy)}L${n(x2 + this.dx)},${n(y2 + this.dy)}`, { stroke, sw, ...o });
  }

  badge(key: string, vars: Record<string, string> = {}): void {
    this.badges.set(key, vars);
  }
}

/** Short numbers in paths keep snapshots small and stable. */
export const n = (v: number): string => String(Math.round(v * 100) / 100);
