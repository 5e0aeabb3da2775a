// The paints of a grid's squares, the same on canvas and in SVG.
import type { GridPrim, Paint } from './types';

/** Shares below this are not seen. */
const LEAST = 0.03;
const STEPS = 16;

/** In so many steps that neighbours of one paint can be drawn together. */
export function gridPaint(p: GridPrim, value: number): Paint | null {
  if (p.tint === undefined) return `s:${Math.round(Math.max(-1, Math.min(1, value / p.full)) * STEPS) / STEPS}`;
  const share = Math.min(1, value / p.full);
  return share > LEAST ? `${p.tint}/${Math.round((0.1 + 0.9 * share) * STEPS) / STEPS}` : null;
}

/** The place of the square under a point, within the grid. */
export function gridAt(p: GridPrim, x: number, y: number): number {
  const rows = Math.ceil(p.values.length / p.cols);
  const clamp = (v: number, most: number): number => Math.max(0, Math.min(most - 1, Math.floor(v)));
  return clamp(((y - p.y) / p.h) * rows, rows) * p.cols + clamp(((x - p.x) / p.w) * p.cols, p.cols);
}
