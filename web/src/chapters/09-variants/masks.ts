// Two masks side by side: in the encoder every word sees every word, in the decoder none sees what is not written yet.
import type { Draw } from '../../marks/draw';
import { fit } from '../../marks/measure';
import { matrix } from '../../marks/matrix';
import type { Box } from '../../marks/types';
import { tokenText } from '../../i18n/format';
import { stagger } from '../../timeline/ease';
import { valueAt } from '../../trace/bundle';
import { heading, pad, prog } from '../common';
import type { Frame } from '../types';
import { encoderPlace, readAt, sourceOf, sourceWindow, targetWindow, type Stack } from './cross';

interface Side {
  stack: Stack;
  layer: number;
  head: number;
  shown: number[];
  word: (i: number) => string;
}

export function masks(f: Frame, d: Draw): void {
  const m = pad(f);
  const most = f.narrow ? 6 : 9;
  const sides: Side[] = [
    { stack: 'encoder', ...encoderPlace(f), shown: sourceWindow(f, most), word: (s) => tokenText(sourceOf(f)[s] ?? { text: '' }) },
    { stack: 'decoder', layer: f.view.layer, head: f.view.head, shown: targetWindow(f, most), word: (t) => tokenText(readAt(f, t)) },
  ];
  sides.forEach((side, i) => {
    const box: Box = f.narrow ? { x: m, y: (f.H / 2) * i + 4, w: f.W - 2 * m, h: f.H / 2 - 8 } : { x: m + ((f.W - 2 * m) / 2) * i + 8 * i, y: 30, w: (f.W - 2 * m) / 2 - 8, h: f.H - 50 };
    one(f, d, side, box);
  });
}

function one(f: Frame, d: Draw, s: Side, box: Box): void {
  const g = prog(f, 'masks');
  const count = s.shown.length;
  const total = s.stack === 'encoder' ? sourceOf(f).length : (f.b.trace.target?.tokens.length ?? 0);
  if (count < total) d.badge('badge.tokens', { n: String(count), total: String(total) });
  const labelW = f.narrow ? 66 : 80;
  const head = f.narrow ? 34 : 58;
  const tint = s.stack === 'encoder' ? 'k' : 'q';
  const cw = Math.min(f.narrow ? 46 : 56, (box.w - labelW - 4) / count);
  const ch = Math.min(cw, (box.h - head - 6) / count);
  const [x, y] = [box.x + labelW, box.y + head + Math.max(0, (box.h - head - ch * count) * 0.35)];
  const site = `${s.stack}.blocks.${s.layer}.pattern`;
  heading(d, box.x + 2, y - head + 8, f.t(`scene.mask.${s.stack}${f.narrow ? 'Short' : ''}`), tint);
  s.shown.forEach((k, j) => d.text(x + cw * (j + 0.5), y - 12, fit(s.word(k), cw - 3, 11), { size: 11, anchor: 'middle', fill: 'muted' }));
  s.shown.forEach((q, i) => d.text(x - 8, y + ch * (i + 0.5), fit(s.word(q), labelW - 12, 11.5), { size: 11.5, anchor: 'end', fill: 'muted' }));
  const shown = (q: number, k: number): number => stagger(g, s.shown.indexOf(q) + s.shown.indexOf(k), 2 * count - 1, 0, 0.5, 0.4);
  matrix(d, { x, y, w: cw * count, h: ch * count, rows: s.shown, cols: s.shown, value: (q, k) => valueAt(f.b, site, [s.head, q, k]), site, index: (q, k) => [s.head, q, k], mode: 'share', full: 1, tint, numbers: f.numbers, alpha: shown });
  if (s.stack === 'encoder') return;
  // What is not written yet is shut.
  s.shown.forEach((q, i) => s.shown.forEach((k, j) => {
    if (k <= q) return;
    const a = stagger(g, j, count, 0.5, 1, 0.4);
    d.rect(x + cw * j + 1, y + ch * i + 1, cw - 2, ch - 2, { r: Math.min(5, cw * 0.15), fill: 'ghost', stroke: 'line', sw: 1, a });
    if (ch > 12 && cw > 20) d.line(x + cw * j + cw * 0.36, y + ch * (i + 0.5), x + cw * j + cw * 0.64, y + ch * (i + 0.5), 'faint', 1.4, { a });
  }));
}
