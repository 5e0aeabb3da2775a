import { prose, tokenText } from '../i18n/format';
import type { Draw } from '../marks/draw';
import { textWidth } from '../marks/measure';
import { windowOf } from '../marks/tokens';
import type { Paint } from '../marks/types';
import { cellsThatFit, firstDims, fullScale, vectorBar, type VectorOptions } from '../marks/vector';
import { row } from '../trace/bundle';
import type { Token } from '../trace/wire';
import type { Frame } from './types';

/** The tokens that a picture of one query has room for: all of them, or those that it attends to most, and itself, in their order. */
export function attended(f: Frame, d: Draw, max: number): number[] {
  const T = f.b.trace.tokens.length;
  const { token, head } = f.view;
  if (T <= max) return firstDims(T, T);
  const pattern = row(f.b, `blocks.${f.view.layer}.pattern`, [head, token]);
  const opened = pattern.subarray(token + 1).some((w) => w > 0);
  if (token < max && !opened) return windowOf(T, token, max);
  // Later tokens only where the mask was opened for them by hand.
  const best = firstDims(T, T)
    .filter((k) => k < token || (k > token && (pattern[k] as number) > 0))
    .sort((a, b) => (pattern[b] as number) - (pattern[a] as number))
    .slice(0, max - 1);
  d.badge('badge.attended', { n: String(max), total: String(T) });
  return [...best, token].sort((a, b) => a - b);
}

/** How far a step has come: 0 before it, 1 after it. A scene asks by name, so that what was shown stays shown. */
export function prog(f: Frame, id: string): number {
  const i = f.steps.findIndex((s) => s.id === id);
  if (i < 0) throw new Error(`no step ${id}`);
  return f.step < i ? 0 : f.step > i ? 1 : f.p;
}

export const current = (f: Frame): string => (f.steps[f.step] as { id: string }).id;
export const isOne = (f: Frame, ...ids: string[]): boolean => ids.includes(current(f));

export const tokensOf = (f: Frame): Token[] => f.b.trace.tokens;
export const tokenAt = (f: Frame, i: number): Token => f.b.trace.tokens[i] as Token;
export const word = (f: Frame, i: number): string => tokenText(tokenAt(f, i));
/** The token as a sentence of the narration names it. */
export const said = (f: Frame, i: number): string => prose(tokenAt(f, i));
export const block = (f: Frame, part: string): string => `blocks.${f.view.layer}.${part}`;
export const pad = (f: Frame): number => (f.narrow ? 10 : 26);

/** A heading of a strip: what it is in words, and its name in the trace. */
export function heading(d: Draw, x: number, y: number, text: string, tint: Paint, site = ''): void {
  d.text(x, y, text, { size: 13, weight: 620, fill: tint });
  if (site) d.text(x + textWidth(text, 13.6) + 10, y + 0.5, site, { size: 10.5, font: 'mono', fill: 'faint' });
}

export interface StripOptions {
  x: number;
  y: number;
  w: number;
  h?: number;
  site: string;
  at: number[];
  title: string;
  tint: Paint;
  dims?: number[];
  full?: number;
  reveal?: (i: number) => number;
  a?: number;
  showSite?: boolean;
  /** The shown entries are the largest, not the first. */
  largest?: boolean;
}

/** Vectors longer than this are shown by their largest entries: the first few would say little of them. */
export const LONG = 256;

/** The shown part of a vector of the trace, with its heading above. Returns what was drawn, for things that fly from or to it. */
export function strip(f: Frame, d: Draw, o: StripOptions): VectorOptions {
  const values = row(f.b, o.site, o.at);
  const dims = o.dims ?? firstDims(cellsThatFit(o.w, f.numbers, 16), values.length);
  const v: VectorOptions = { x: o.x, y: o.y, w: o.w, h: o.h ?? 30, values, dims, site: o.site, at: o.at, full: o.full ?? fullScale(values), tint: o.tint, numbers: f.numbers, reveal: o.reveal, total: values.length, ghost: f.ghost && row(f.ghost, o.site, o.at) };
  d.fade(o.a ?? 1, () => {
    if (values.length > dims.length) whole(f, d, o, values, v.full);
    if (o.title) heading(d, o.x + 2, o.y - (values.length > dims.length ? 17 : 13), o.title, o.tint, o.showSite === false || f.narrow ? '' : o.site);
    vectorBar(d, v);
  });
  if (values.length > dims.length) d.badge(o.largest ? 'badge.largest' : 'badge.shown', { n: String(dims.length), total: String(values.length) });
  return v;
}

/** Every number of the vector in one line above its cells: none is hidden, and each can be opened. */
function whole(f: Frame, d: Draw, o: StripOptions, values: Float32Array, full: number): void {
  const a = o.reveal ? o.reveal(0) : 1;
  d.grid(o.x, o.y - 8, o.w, f.narrow ? 4 : 5, values.length, values, { full: Math.max(full, 1e-9), source: { site: o.site, at: o.at }, a });
}

/** Lengths already worked out, beside the vectors: pictures of deep models ask for hundreds, sixty times a second. */
const lengths = new WeakMap<Float32Array, number>();

export function norm(v: Float32Array): number {
  const known = lengths.get(v);
  if (known !== undefined) return known;
  const length = Math.sqrt(v.reduce((s, x) => s + x * x, 0));
  lengths.set(v, length);
  return length;
}

export const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let s = 0;
  for (let i = 0; i < a.length; i++) s += (a[i] as number) * (b[i] as number);
  return s;
};

export const argmax = (v: ArrayLike<number>, upTo = v.length): number => {
  let best = 0;
  for (let i = 1; i < upTo; i++) if ((v[i] as number) > (v[best] as number)) best = i;
  return best;
};

/** A note that fits on the stage: a plus, an equals sign, a short remark. */
export const note = (d: Draw, x: number, y: number, text: string, fill: Paint = 'muted', size = 12.5, anchor: 'start' | 'middle' | 'end' = 'start'): void => d.text(x, y, text, { size, fill, anchor });
