// All queries of one head at once, and the mask that falls over what is later.
import { num } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import { fit } from '../../marks/measure';
import { lerp, part, stagger } from '../../timeline/ease';
import { row, valueAt } from '../../trace/bundle';
import { kvHead } from '../family';
import { attended, block, dot, heading, pad, prog, word } from '../common';
import type { Frame } from '../types';

export function maskMatrix(f: Frame, d: Draw): void {
  const g = prog(f, 'mask');
  const m = pad(f);
  const shown = attended(f, d, f.narrow ? 6 : 9);
  const labelW = f.narrow ? 62 : 96;
  const high = f.narrow ? 64 : 96;
  const cw = Math.min(f.narrow ? 62 : 104, (f.W - 2 * m - labelW) / shown.length);
  const ch = Math.min(cw * 0.66, (f.H - high - 20) / shown.length);
  const top = Math.max(high, (f.H - ch * shown.length) / 2 + (f.narrow ? 14 : 24));
  const x0 = (f.W - labelW - cw * shown.length) / 2 + labelW;
  heading(d, x0, top - (f.narrow ? 44 : 56), f.t('scene.scoresAll', { l: f.view.layer, h: f.view.head }), 'attn', f.narrow ? '' : block(f, 'scores'));
  shown.forEach((k, j) => d.text(x0 + cw * (j + 0.5), top - 14, fit(word(f, k), cw - 4, 12), { size: 12, anchor: 'middle', fill: 'k', weight: 560 }));
  const all = shown.flatMap((q) => shown.map((k) => Math.abs(scoreOf(f, q, k))));
  const full = Math.max(...all, 1e-9);
  shown.forEach((q, i) => {
    const y = top + ch * i;
    const mine = q === f.view.token;
    d.text(x0 - 10, y + ch / 2, fit(word(f, q), labelW - 14, 12.5), { size: 12.5, anchor: 'end', fill: mine ? 'q' : 'muted', weight: mine ? 700 : 520 });
    shown.forEach((k, j) => cell(f, d, { q, k, x: x0 + cw * j, y, cw, ch, full, fall: stagger(g, j, shown.length, 0.25, 0.95, 0.35), row: i }));
    if (mine) d.rect(x0 - 3, y - 1, cw * shown.length + 6, ch + 1, { r: 7, stroke: 'q', sw: 2.2 });
  });
}

/** The score before the mask: what q and k would give, also for a later token. */
const scoreOf = (f: Frame, q: number, k: number): number => dot(row(f.b, block(f, 'q'), [q, f.view.head]), row(f.b, block(f, 'k'), [k, kvHead(f.b, f.view.head)])) / Math.sqrt(f.b.model.d_head);

interface MaskCell {
  q: number;
  k: number;
  x: number;
  y: number;
  cw: number;
  ch: number;
  full: number;
  fall: number;
  row: number;
}

function cell(f: Frame, d: Draw, o: MaskCell): void {
  const index = [f.view.head, o.q, o.k];
  const score = valueAt(f.b, block(f, 'scores'), index);
  // What the run masked, not what a mask usually hides: it may have been edited.
  const later = score === -Infinity;
  const byHand = later !== o.k > o.q && f.ghost !== undefined;
  const open = later ? scoreOf(f, o.q, o.k) : score;
  const size = Math.min(13.5, o.cw / 4.2);
  const size2 = Math.min(12, o.cw / 4);
  const masked = later && o.fall > 0.6;
  if (!masked) {
    const text = f.numbers || o.cw > 40 ? num(open) : '';
    d.rect(o.x + 1.5, o.y + 1.5, o.cw - 3, o.ch - 3, { r: 5, fill: `s:${Math.round((open / o.full) * 100) / 100}`, label: { text, size, font: 'mono' }, cell: { site: later ? 'derived:unmasked' : block(f, 'scores'), index, value: open, text } });
  }
  if (byHand && !later) d.rect(o.x + 1.5, o.y + 1.5, o.cw - 3, o.ch - 3, { r: 5, stroke: 'accent', sw: 2, dash: [4, 3] });
  if (!later || o.fall === 0) return;
  // The shutter comes down from above the matrix.
  const y = lerp(o.y - 26 - o.row * 4, o.y, o.fall);
  d.rect(o.x + 1.5, y + 1.5, o.cw - 3, o.ch - 3, { r: 5, fill: 'ghost', stroke: byHand ? 'neg' : 'line', sw: byHand ? 2 : 1, dash: byHand ? [4, 3] : undefined, a: part(o.fall, 0, 0.4), label: { text: '−∞', size: size2, font: 'mono', fill: 'muted' }, cell: masked ? { site: block(f, 'scores'), index, value: -Infinity, text: '−∞' } : undefined });
}
