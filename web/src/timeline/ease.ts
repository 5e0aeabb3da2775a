import { easeCubicInOut, easeCubicOut } from 'd3-ease';

export const clamp01 = (x: number): number => (x < 0 ? 0 : x > 1 ? 1 : x);
export const lerp = (a: number, b: number, t: number): number => a + (b - a) * t;

/** The eased progress of the part [from, to] of a step. */
export const part = (p: number, from: number, to: number): number => easeCubicInOut(clamp01((p - from) / (to - from)));

/** Arrives fast and settles; for things that fly to a place. */
export const land = (p: number, from: number, to: number): number => easeCubicOut(clamp01((p - from) / (to - from)));

/** Progress of item `i` of `n` that start one after the other within [from, to]; each takes `share` of the time. */
export function stagger(p: number, i: number, n: number, from = 0, to = 1, share = 0.5): number {
  const span = (to - from) * share;
  const start = n > 1 ? from + ((to - from - span) * i) / (n - 1) : from;
  return part(p, start, start + span);
}
