// Arcs of attention between places on a line: the width of an arc is its weight.
import { n, type Draw } from './draw';
import type { Datum, Paint } from './types';

export interface Arc {
  from: number;
  to: number;
  weight: number;
  cell?: Datum;
}

export function arcs(d: Draw, list: readonly Arc[], y: number, height: number, tint: Paint, maxWidth: number, grow = 1): void {
  const widest = Math.max(1, ...list.map((a) => Math.abs(a.to - a.from)));
  for (const arc of list) {
    if (arc.weight < 0.004) continue;
    const span = Math.abs(arc.to - arc.from);
    // The control points lie a third above the arc's own height.
    const top = y - Math.min(height, 12 + height * (span / widest) ** 0.6) * 1.3;
    const loop = span < 1;
    const spread = loop ? 9 : 0;
    const path = `M${n(arc.from - spread)},${n(y)}C${n(arc.from - spread)},${n(top)} ${n(arc.to + spread)},${n(top)} ${n(arc.to + spread)},${n(y)}`;
    d.path(path, { stroke: tint, sw: Math.max(0.6, arc.weight * maxWidth), a: (0.2 + 0.75 * arc.weight) * grow });
  }
}
