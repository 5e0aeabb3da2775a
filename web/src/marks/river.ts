// The residual stream as a river: one ribbon per token, as wide at each height as its vector is long.
import { area, curveMonotoneY } from 'd3-shape';
import { n, type Draw } from './draw';
import type { Paint } from './types';

/** The length at which a ribbon is as wide as it gets. In large models the first token's vector can be hundreds of times as long
 * as all others: it is cut, so that these can be seen. */
export function riverScale(lengths: readonly (readonly number[])[]): { full: number; isCut: boolean } {
  const longest = lengths.map((l) => Math.max(...l, 1e-9)).sort((a, b) => a - b);
  const most = longest[longest.length - 1] ?? 1e-9;
  const usual = 3 * (longest[Math.floor((longest.length - 1) / 2)] ?? most);
  return { full: Math.min(most, usual), isCut: most > usual };
}

/** One ribbon, or its outline alone, through the given heights with the given widths; `flow` 0..1 is how far it has come. */
export function ribbon(d: Draw, x: number, ys: readonly number[], widths: readonly number[], flow: number, tint: Paint, alpha: number, outline = false): void {
  const reach = flow * (ys.length - 1);
  const points: { y: number; w: number }[] = [];
  for (let i = 0; i < ys.length && i <= reach; i++) points.push({ y: ys[i] as number, w: widths[i] as number });
  const whole = Math.floor(reach);
  const rest = reach - whole;
  if (rest > 0 && whole + 1 < ys.length) {
    const [y0, y1, w0, w1] = [ys[whole], ys[whole + 1], widths[whole], widths[whole + 1]] as [number, number, number, number];
    points.push({ y: y0 + (y1 - y0) * rest, w: w0 + (w1 - w0) * rest });
  }
  if (points.length < 2) return;
  const shape = area<{ y: number; w: number }>()
    .y((q) => Number(n(q.y)))
    .x0((q) => Number(n(x - q.w / 2)))
    .x1((q) => Number(n(x + q.w / 2)))
    .curve(curveMonotoneY)(points);
  d.path(shape ?? '', outline ? { stroke: `${tint}/${alpha}`, sw: 1.4, dash: [4, 3] } : { fill: `${tint}/${alpha}` });
}
