// A vector as a row of cells. Data are rounded squares; weights are discs, so that the two are never taken for each other.
import { num } from '../i18n/format';
import type { Draw } from './draw';
import type { Paint } from './types';

export interface VectorOptions {
  x: number;
  y: number;
  w: number;
  h: number;
  values: ArrayLike<number>;
  /** Which entries are shown, in order. */
  dims: readonly number[];
  site: string;
  /** The index in front of the entry's own: [token] or [token, head]. */
  at: readonly number[];
  /** The value at which a cell has its full colour. */
  full: number;
  tint: Paint;
  numbers: boolean;
  weights?: boolean;
  /** 0..1 per shown cell: how much of it has appeared. */
  reveal?: (i: number) => number;
  /** Number of entries in all; where it is more than shown, an ellipsis says so. */
  total?: number;
  digits?: number;
  /** The untouched run's vector: where it differs, its cells look out from behind. */
  ghost?: Float32Array | undefined;
}

const SEEN = 0.01;
const GHOST_SHIFT = 7;
/** How strong a ghost is. */
export const GHOST = 0.6;

export const MIN_NUMBER_CELL = 31;
const REST_W = 30;

/** The middle of shown cell `i`. */
export function cellX(o: Pick<VectorOptions, 'x' | 'w' | 'dims' | 'total'>, i: number): number {
  return o.x + cellWidth(o) * (i + 0.5);
}

export function cellWidth(o: Pick<VectorOptions, 'w' | 'dims' | 'total'>): number {
  const rest = (o.total ?? o.dims.length) > o.dims.length ? REST_W : 0;
  return (o.w - rest) / Math.max(1, o.dims.length);
}

/** How many cells with numbers in them fit in a width. */
export const cellsThatFit = (w: number, numbers: boolean, max: number): number => Math.max(3, Math.min(max, Math.floor((w - REST_W) / (numbers ? 37 : 22))));

export function vectorBar(d: Draw, o: VectorOptions): void {
  const cw = cellWidth(o);
  const shown = o.dims.length;
  const total = o.total ?? shown;
  o.dims.forEach((dim, i) => {
    const a = o.reveal ? o.reveal(i) : 1;
    const value = o.values[dim] ?? NaN;
    if (!Number.isNaN(value)) drawCell(d, o, i, dim, value, cw, a);
  });
  if (total > shown && (o.reveal ? o.reveal(shown - 1) : 1) > 0.5) {
    d.text(o.x + cw * shown + 5, o.y + o.h / 2, `+${total - shown}`, { size: 10.5, fill: 'faint', font: 'mono' });
  }
}

function drawCell(d: Draw, o: VectorOptions, i: number, dim: number, value: number, cw: number, a: number): void {
  const text = o.numbers && cw >= MIN_NUMBER_CELL ? num(value, o.digits ?? digitsOf(value)) : '';
  const fill = `s:${clampScale(value / o.full)}`;
  const gap = Math.min(2, cw * 0.08);
  const size = Math.min(11.5, cw / 3.5, o.h * 0.55);
  const mark = text || (cw >= 13 && o.h >= 13 ? (value < 0 ? '−' : '+') : '');
  const label = mark ? { text: mark, size: text ? size : Math.min(12, cw * 0.55), font: 'mono' as const } : undefined;
  const cell = { site: o.site, index: [...o.at, dim], value, text };
  const x = o.x + cw * i + gap;
  const was = o.ghost?.[dim];
  // The whole numbers of a vector move a little wherever something before it was changed: what cannot be seen is not shown.
  if (was !== undefined && Math.abs(was - value) > SEEN * o.full) d.rect(x, o.y + GHOST_SHIFT, cw - gap * 2, o.h, { r: Math.min(5, cw * 0.18), fill: `s:${clampScale(was / o.full)}`, stroke: 'muted', sw: 1, dash: [3, 2], a: a * GHOST });
  if (o.weights) d.rect(x, o.y + 1, cw - gap * 2, o.h - 2, { r: o.h / 2, fill, stroke: 'weight', sw: 1.4, label, cell, a });
  else d.rect(x, o.y, cw - gap * 2, o.h, { r: Math.min(5, cw * 0.18), fill, stroke: `${o.tint}/0.55`, sw: 1, label, cell, a });
}

/** Large numbers have fewer decimals: all fit in a cell. */
const digitsOf = (v: number): number => (Math.abs(v) >= 99.95 ? 0 : Math.abs(v) >= 9.995 ? 1 : 2);

const clampScale = (v: number): string => (Math.round(Math.max(-1, Math.min(1, v)) * 100) / 100).toString();

/** The scale of a set of vectors: the size that all but the few largest entries stay under. */
export function fullScale(...vectors: ArrayLike<number>[]): number {
  const all: number[] = [];
  for (const v of vectors) for (let i = 0; i < v.length; i++) all.push(Math.abs(v[i] as number));
  if (all.length === 0) return 1;
  all.sort((a, b) => a - b);
  return all[Math.min(all.length - 1, Math.floor(all.length * 0.97))] || 1;
}

export const firstDims = (n: number, total: number): number[] => Array.from({ length: Math.min(n, total) }, (_, i) => i);

/** The entries in which something is largest, in their own order. */
export function topDims(values: ArrayLike<number>, n: number): number[] {
  return Array.from({ length: values.length }, (_, i) => i)
    .sort((a, b) => Math.abs(values[b] as number) - Math.abs(values[a] as number))
    .slice(0, n)
    .sort((a, b) => a - b);
}
