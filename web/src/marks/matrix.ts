// A matrix of numbers as cells.
import { num, percent } from '../i18n/format';
import type { Draw } from './draw';
import type { Box, Paint } from './types';

export interface MatrixOptions extends Box {
  rows: readonly number[];
  cols: readonly number[];
  value: (r: number, c: number) => number;
  site: string;
  index: (r: number, c: number) => number[];
  /** `signed`: blue and orange; `share`: the opacity of one colour is the part of 1. */
  mode: 'signed' | 'share';
  full: number;
  tint: Paint;
  numbers: boolean;
  alpha?: (r: number, c: number) => number;
  highlightRow?: number;
}

export function matrix(d: Draw, o: MatrixOptions): void {
  const cw = o.w / o.cols.length;
  const ch = o.h / o.rows.length;
  const gap = Math.min(1.5, cw * 0.05);
  o.rows.forEach((r, i) => {
    o.cols.forEach((c, j) => {
      const v = o.value(r, c);
      const masked = v === -Infinity;
      const text = o.numbers && cw >= 30 && ch >= 15 ? (o.mode === 'share' && !masked ? percent(v) : num(v, cw > 40 ? 2 : 1)) : '';
      const fill = masked ? 'ghost' : o.mode === 'share' ? `${o.tint}/${Math.round((0.04 + 0.9 * Math.min(1, v)) * 100) / 100}` : `s:${Math.round(Math.max(-1, Math.min(1, v / o.full)) * 100) / 100}`;
      d.rect(o.x + cw * j + gap, o.y + ch * i + gap, cw - gap * 2, ch - gap * 2, {
        r: Math.min(4, cw * 0.15),
        fill,
        label: text ? { text, size: Math.min(11.5, cw / 3.7, ch * 0.5), font: 'mono', fill: masked ? 'faint' : undefined } : undefined,
        cell: Number.isNaN(v) ? undefined : { site: o.site, index: o.index(r, c), value: v, text },
        a: o.alpha ? o.alpha(r, c) : 1,
      });
    });
    if (r === o.highlightRow) d.rect(o.x - 2, o.y + ch * i - 1, o.w + 4, ch + 2, { r: 6, stroke: o.tint, sw: 2 });
  });
}
