// Distributions: a list of labelled bars, and one bar in which parts add up to 1.
import { percent } from '../i18n/format';
import type { Draw } from './draw';
import { fit, textWidth } from './measure';
import { tokenChip, type TokenLike } from './tokens';
import type { Box, Datum, Paint } from './types';

export interface BarItem {
  token: TokenLike;
  value: number;
  text: string;
  cell?: Datum;
  active?: boolean;
  dim?: boolean;
  tint?: Paint;
  /** What it was in the untouched run. */
  ghost?: number | undefined;
}

export interface BarsOptions extends Box {
  items: readonly BarItem[];
  full: number;
  tint: Paint;
  labelW: number;
  reveal?: (i: number) => number;
  textW?: number;
}

export function barList(d: Draw, o: BarsOptions): void {
  const rowH = o.h / Math.max(1, o.items.length);
  const barH = Math.min(20, rowH * 0.62);
  const x0 = o.x + o.labelW + 10;
  const room = o.w - o.labelW - 10 - (o.textW ?? 54);
  o.items.forEach((item, i) => {
    const a = o.reveal ? o.reveal(i) : 1;
    const y = o.y + rowH * i + rowH / 2;
    const tint = item.tint ?? o.tint;
    d.fade(a * (item.dim ? 0.4 : 1), () => {
      tokenChip(d, { x: o.x, y: y - Math.min(14, rowH * 0.42), w: o.labelW, h: Math.min(28, rowH * 0.84) }, item.token, { active: item.active, tint });
      const w = Math.max(1.5, (Math.abs(item.value) / o.full) * room * a);
      d.rect(x0, y - barH / 2, w, barH, { r: 3, fill: `${tint}/${item.active ? 1 : 0.75}`, cell: item.cell ? { ...item.cell, text: '' } : undefined });
      const was = item.ghost === undefined ? 0 : Math.max(1.5, Math.min(1.02, Math.abs(item.ghost) / o.full) * room * a);
      if (was > 0 && Math.abs(was - w) > 1) d.rect(x0, y - barH / 2 - 2.5, was, barH + 5, { r: 4, fill: `${tint}/0.1`, stroke: 'muted', sw: 1.2, dash: [3, 2] });
      d.text(x0 + Math.max(w, was) + 6, y, item.text, { size: 12, font: 'mono', fill: item.active ? 'ink' : 'muted', weight: item.active ? 650 : 500, cell: item.cell });
    });
  });
}

export interface Slice {
  share: number;
  tint: Paint;
  label: string;
  strength?: number;
  cell?: Datum;
}

/** One bar whose slices fill it wholly: their sum is 1, always. */
export function stack(d: Draw, box: Box, slices: readonly Slice[], grow = 1): void {
  let x = box.x;
  d.rect(box.x, box.y, box.w, box.h, { r: 6, fill: 'ghost', stroke: 'line' });
  slices.forEach((s) => {
    const w = box.w * s.share * grow;
    const size = 11.5;
    const words = w > 24 ? fit(s.label, w - 6, size) : '';
    const pct = w > 40 && box.h > 34 ? percent(s.share) : '';
    d.rect(x, box.y, w, box.h, { r: 4, fill: `${s.tint}/${s.strength ?? 0.8}`, stroke: 'stage', sw: w > 3 ? 1.5 : 0.3, cell: s.cell ? { ...s.cell, text: '' } : undefined, label: words && !pct && textWidth(words, size) < w ? { text: words, size } : undefined });
    if (pct) {
      d.rect(x, box.y, w, box.h * 0.55, { label: { text: words, size, fill: undefined }, fill: `${s.tint}/0` });
      d.text(x + w / 2, box.y + box.h * 0.72, pct, { size: 11, font: 'mono', anchor: 'middle', cell: s.cell ? { ...s.cell, text: pct } : undefined });
    }
    x += w;
  });
}
