// A function's curve with axes; points are placed on it by the caller through the returned scales.
import { scaleLinear } from 'd3-scale';
import { line } from 'd3-shape';
import { n, type Draw } from './draw';
import type { Box, Paint } from './types';

export interface Curve {
  x: (v: number) => number;
  y: (v: number) => number;
}

export function curve(d: Draw, box: Box, domain: [number, number], range: [number, number], f: (x: number) => number, tint: Paint, grow = 1): Curve {
  const x = scaleLinear().domain(domain).range([box.x, box.x + box.w]);
  const y = scaleLinear().domain(range).range([box.y + box.h, box.y]);
  d.line(x(domain[0]), y(0), x(domain[1]), y(0), 'line', 1.2);
  d.line(x(0), y(range[0]), x(0), y(range[1]), 'line', 1.2);
  for (const tick of x.ticks(6)) if (tick !== 0) {
    d.line(x(tick), y(0) - 3, x(tick), y(0) + 3, 'faint');
    d.text(x(tick), y(0) + 13, String(tick).replace('-', '−'), { size: 10.5, font: 'mono', anchor: 'middle', fill: 'muted' });
  }
  for (const tick of y.ticks(4)) if (tick !== 0) {
    d.line(x(0) - 3, y(tick), x(0) + 3, y(tick), 'faint');
    d.text(x(0) - 7, y(tick), String(tick).replace('-', '−'), { size: 10.5, font: 'mono', anchor: 'end', fill: 'muted' });
  }
  const end = domain[0] + (domain[1] - domain[0]) * grow;
  const points: [number, number][] = [];
  for (let v = domain[0]; v <= end; v += (domain[1] - domain[0]) / 120) if (f(v) <= range[1]) points.push([v, f(v)]);
  const path = line<[number, number]>().x((q) => Number(n(x(q[0])))).y((q) => Number(n(y(q[1]))))(points);
  d.path(path ?? '', { stroke: tint, sw: 2.5 });
  return { x: (v) => x(v), y: (v) => y(v) };
}
