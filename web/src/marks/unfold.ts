// One number unfolded into its sum: data × weight = term, term by term, then all of them into one cell.
import { num, signed } from '../i18n/format';
import { land, part, stagger } from '../timeline/ease';
import type { Provenance, Term } from '../trace/wire';
import type { Draw } from './draw';
import type { Box, Datum, Paint } from './types';
import { fullScale } from './vector';

export interface UnfoldOptions extends Box {
  of: Provenance;
  p: number;
  tint: Paint;
  leftTint: Paint;
  leftName: string;
  rightName: string;
  resultName: string;
  restText: (count: number, value: string) => string;
}

interface Cellish {
  value: number | null;
  site?: string;
  weight?: string;
  index: number[];
}

const datum = (c: Cellish | undefined, text: string): Datum | undefined => (c && c.value !== null ? { site: c.site ?? `weight:${c.weight ?? ''}`, index: c.index, value: c.value, text } : undefined);

export function unfold(d: Draw, o: UnfoldOptions): void {
  const room = o.w - 62;
  const count = Math.max(3, Math.min(o.of.terms.length, Math.floor(room / (room < 420 ? 48 : 56)), 12));
  const terms = o.of.terms.slice(0, count).filter((t) => t.left && t.right);
  const cw = Math.min(64, room / Math.max(1, terms.length));
  const rowH = Math.min(46, o.h / 5.6);
  const gap = Math.min(30, rowH * 0.55);
  const ys = [0, 1, 2].map((i) => o.y + i * (rowH + gap));
  const scale = (pick: (t: Term) => number | null | undefined): number => fullScale(terms.map((t) => pick(t) ?? 0));
  const fulls = [scale((t) => t.left?.value), scale((t) => t.right?.value), scale((t) => t.value)] as const;
  [o.leftName, o.rightName, ''].forEach((name, i) => d.text(o.x, (ys[i] as number) + rowH / 2, name || ' =', { size: 13.5, weight: 600, fill: i === 1 ? 'weight' : o.leftTint }));
  d.text(o.x + 4, (ys[1] as number) - gap / 2, '×', { size: 14, fill: 'muted' });
  const x0 = o.x + 62;
  const target = { x: x0 + Math.min(room - 130, cw * terms.length * 0.5), y: (ys[2] as number) + rowH + gap + 18 };
  terms.forEach((t, i) => {
    const x = x0 + cw * i;
    const a = stagger(o.p, i, terms.length, 0, 0.55, 0.35);
    const fly = land(o.p, 0.6, 0.85);
    term(d, { t, x, cw, ys, rowH, a, fulls, tint: o.tint, leftTint: o.leftTint });
    if (fly > 0 && fly < 1) d.rect(x + 2 + (target.x - x) * fly, (ys[2] as number) + (target.y - (ys[2] as number)) * fly, (cw - 4) * (1 - fly * 0.4), rowH * (1 - fly * 0.4), { r: 5, fill: `${o.tint}/0.5`, a: 1 - fly * 0.5 });
  });
  result(d, o, terms, target);
}

function term(d: Draw, o: { t: Term; x: number; cw: number; ys: number[]; rowH: number; a: number; fulls: readonly [number, number, number]; tint: Paint; leftTint: Paint }): void {
  const size = Math.min(13, o.cw / 4.2);
  const rows: [Cellish | undefined, number][] = [[o.t.left as Cellish, o.fulls[0]], [o.t.right as Cellish, o.fulls[1]], [{ value: o.t.value, index: [] }, o.fulls[2]]];
  rows.forEach(([c, full], i) => {
    const v = c?.value ?? 0;
    const text = i === 2 ? signed(v) : num(v);
    const y = o.ys[i] as number;
    const weight = i === 1;
    d.rect(o.x + 2, y, o.cw - 4, o.rowH, {
      r: weight ? o.rowH / 2 : 5, fill: `s:${Math.round(Math.max(-1, Math.min(1, v / full)) * 100) / 100}`, stroke: weight ? 'weight' : i === 0 ? `${o.leftTint}/0.6` : `${o.tint}/0.6`, sw: weight ? 1.4 : 1,
      label: { text, size, font: 'mono' }, cell: i === 2 ? { site: 'derived:term', index: [], value: v, text } : datum(c, text), a: i === 2 ? o.a : Math.min(1, 0.25 + o.a),
    });
  });
}

function result(d: Draw, o: UnfoldOptions, terms: Term[], target: { x: number; y: number }): void {
  const show = part(o.p, 0.72, 0.95);
  const value = o.of.value ?? NaN;
  const sumShown = terms.reduce((s, t) => s + (t.value ?? 0), 0);
  const scale = o.of.scale ?? 1;
  const rest = value / scale - sumShown;
  d.fade(show, () => {
    const text = num(value);
    d.rect(target.x, target.y, 78, 36, { r: 7, fill: `${o.tint}/0.18`, stroke: o.tint, sw: 2, label: { text, size: 15, font: 'mono', weight: 650, fill: 'ink' }, cell: { site: o.of.site, index: o.of.index, value, text } });
    d.text(target.x - 10, target.y + 18, `${o.resultName} =`, { anchor: 'end', size: 13.5, weight: 600, fill: o.tint });
    if (o.of.total_terms > terms.length) {
      const below = target.x + 92 + 150 > o.x + o.w;
      if (below) d.text(o.x + o.w, target.y + 50, o.restText(o.of.total_terms - terms.length, signed(rest)), { size: 11.5, fill: 'muted', anchor: 'end' });
      else d.text(target.x + 90, target.y + 18, o.restText(o.of.total_terms - terms.length, signed(rest)), { size: 11.5, fill: 'muted' });
    }
  });
}
