// Arcs of attention between places on a line: the width of an arc is its weight.
import { n, type Draw } from './draw';
import type { Datum, Paint } from './types';

export interface Arc {
  from: number;
  to: number;
  weight: number;
  cell?: Datum;
}

/** The line of one arc, the higher the wider it is; to where it began it is a loop. */
export function arcPath(from: number, to: number, y: number, height: number, widest: number): string {
  const span = Math.abs(to - from);
  // The control points lie a third above the arc's own height.
  const top = y - Math.min(height, 12 + height * (span / widest) ** 0.6) * 1.3;
  const spread = span < 1 ? 9 : 0;
  return `M${n(from - spread)},${n(y)}C${n(from - spread)},${n(top)} ${n(to + spread)},${n(top)} ${n(to + spread)},${n(y)}`;
}

export function arcs(d: Draw, list: readonly Arc[], y: number, height: number, tint: Paint, maxWidth: number, grow = 1): void {
  const widest = Math.max(1, ...list.map((a) => Math.abs(a.to - a.from)));
  for (const arc of list) {
    if (arc.weight < 0.004) continue;
    d.path(arcPath(arc.from, arc.to, y, height, widest), { stroke: tint, sw: Math.max(0.6, arc.weight * maxWidth), a: (0.2 + 0.75 * arc.weight) * grow });
  }
}
