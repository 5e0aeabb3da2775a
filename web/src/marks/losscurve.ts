// Losses over steps: one or several lines on common axes, the newest point of each named.
import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';
import { num } from '../i18n/format';
import { n, type Draw } from './draw';
import type { Box, Paint } from './types';

export interface LossLine {
  tint: Paint;
  points: readonly (readonly [number, number])[];
  /** The name of the numbers, where each point is a cell. */
  dots?: string;
  /** Is the first and the last point written? */
  labels?: boolean;
  dash?: number[];
  sw?: number;
  a?: number;
}

export interface LossCurve {
  lines: readonly LossLine[];
  /** The last step of the axis. */
  last: number;
  xName?: string;
}

/** Ticks that need at most one decimal. */
const plain = (v: number): boolean => Number.isInteger(v * 2);

export function lossCurve(d: Draw, box: Box, o: LossCurve): void {
  const values = o.lines.flatMap((l) => l.points.map((q) => q[1]));
  const [least, most] = [Math.min(...values, Infinity), Math.max(...values, -Infinity)];
  const room = Math.max(0.05, (most - least) * 0.1);
  const range: [number, number] = values.length ? [Math.max(0, least - room), most + room] : [0, 1];
  const x = scaleLinear().domain([0, Math.max(1, o.last)]).range([box.x, box.x + box.w]);
  const y = scaleLinear().domain(range).range([box.y + box.h, box.y]);
  d.line(box.x, box.y, box.x, box.y + box.h, 'line', 1.2);
  d.line(box.x, box.y + box.h, box.x + box.w, box.y + box.h, 'line', 1.2);
  for (const tick of y.ticks(Math.max(2, box.h / 40)).filter(plain)) {
    d.line(box.x, y(tick), box.x + box.w, y(tick), 'ghost');
    d.text(box.x - 6, y(tick), num(tick, Number.isInteger(tick) ? 0 : 1), { size: 10.5, font: 'mono', anchor: 'end', fill: 'muted' });
  }
  for (const tick of x.ticks(Math.min(o.last, Math.max(2, Math.floor(box.w / 60)))).filter(Number.isInteger)) d.text(x(tick), box.y + box.h + 12, String(tick), { size: 10.5, font: 'mono', anchor: 'middle', fill: 'muted' });
  if (o.xName) d.text(box.x + box.w, box.y + box.h + 27, o.xName, { size: 11, anchor: 'end', fill: 'muted' });
  for (const l of o.lines) drawLine(d, l, x, y, box.y + box.h);
}

function drawLine(d: Draw, l: LossLine, x: (v: number) => number, y: (v: number) => number, floor: number): void {
  const path = line<readonly [number, number]>().x((q) => Number(n(x(q[0])))).y((q) => Number(n(y(q[1]))))(l.points);
  d.path(path ?? '', { stroke: l.tint, sw: l.sw ?? 2.2, dash: l.dash, a: l.a });
  l.points.forEach(([step, value], i) => {
    const named = l.labels && (i === 0 || i === l.points.length - 1);
    const text = named ? num(value) : '';
    // Losses fall: behind the last point the room is below it, unless there stand the steps.
    const below = i > 0 && y(value) + 24 < floor;
    if (l.dots) d.disc(x(step), y(value), 4, { fill: l.tint, stroke: 'stage', sw: 1.2, cell: { site: l.dots, index: [step], value, text: '' } });
    if (named) d.text(x(step) + (i === 0 ? 7 : below ? -7 : 4), y(value) + (below ? 13 : -12), text, { size: 12.5, font: 'mono', weight: 650, anchor: i === 0 ? 'start' : 'end', fill: l.tint, cell: l.dots ? { site: l.dots, index: [step], value, text } : undefined });
  });
}
