// a − b + c: directions can be added. What lies nearest to the sum is read off the table; the three words themselves are left out, and said to be.
import { num, prose } from '../../i18n/format';
import { barList } from '../../marks/bars';
import type { Draw } from '../../marks/draw';
import { textWidth } from '../../marks/measure';
import { chipWidth, tokenChip } from '../../marks/tokens';
import { wrap } from '../../marks/wrap';
import { part, stagger } from '../../timeline/ease';
import { sumKey } from '../../trace/bundle';
import type { WordSum } from '../../trace/wire';
import { pad, prog } from '../common';
import type { Frame } from '../types';
import { sumOf } from './words';

const cellOf = (t: { id: number; cosine: number }): { site: string; index: number[]; value: number; text: string } => ({ site: 'sum:cosine', index: [t.id], value: t.cosine, text: num(t.cosine) });

export function wordSum(f: Frame, d: Draw): void {
  const words = sumOf(f.view, f.b);
  const sum = f.b.sums.get(sumKey(words));
  if (!sum) return;
  const g = prog(f, 'sum');
  const w = Math.min(f.W - 2 * pad(f), 620);
  const x = (f.W - w) / 2;
  const top = f.narrow ? 14 : 30;
  equation(f, d, words, x, top);
  if ('error' in sum) {
    wrap(sum.error, w, 14).forEach((line, i) => d.text(x, top + 70 + i * 22, line, { size: 14, fill: 'muted' }));
    return;
  }
  const below = top + (f.narrow ? 50 : 56);
  d.text(x, below, f.t('scene.sumNear'), { size: 13, fill: 'muted' });
  several(f, d, sum, x, below + 18);
  const hidden = sum.left_out.slice(0, f.narrow ? 3 : 4);
  const rowH = f.narrow ? 23 : 34;
  const low = f.H - hidden.length * rowH - (f.narrow ? 4 : 14);
  const labelW = f.narrow ? 100 : 140;
  barList(d, { x, y: below + (f.narrow ? 14 : 24), w, h: low - (f.narrow ? 26 : 40) - below - (f.narrow ? 14 : 24), labelW, tint: 'resid', full: 1, items: sum.neighbours.slice(0, f.narrow ? 5 : 7).map((n, i) => ({ token: n, value: n.cosine, text: num(n.cosine), cell: cellOf(n), active: i === 0 })), reveal: (i) => stagger(g, i, 7, 0.35, 0.85, 0.4) });
  d.fade(part(g, 0.8, 1), () => {
    d.text(x, low - (f.narrow ? 11 : 16), f.t('scene.sumLeftOut'), { size: 12.5, fill: 'muted' });
    barList(d, { x, y: low, w, h: hidden.length * rowH, labelW, tint: 'faint', full: 1, items: hidden.map((n) => ({ token: n, value: n.cosine, text: num(n.cosine), cell: cellOf(n), tint: n.cosine < 0 ? 'neg' : 'faint' })) });
  });
}

/** The words appear one after the other, each with its sign. */
function equation(f: Frame, d: Draw, words: readonly string[], x: number, y: number): void {
  const g = prog(f, 'sum');
  const size = f.narrow ? 15 : 18;
  let at = x;
  words.forEach((text, i) => {
    const a = stagger(g, i, words.length, 0, 0.4, 0.5);
    const sign = ['', '−', '+'][i] as string;
    if (sign) {
      d.text(at + 12, y + 17, sign, { size: size + 4, anchor: 'middle', fill: 'muted', a });
      at += 26;
    }
    const w = chipWidth({ text }, size, f.narrow ? 90 : 160);
    tokenChip(d, { x: at, y, w, h: 34 }, { text }, { size, active: true, tint: i === 1 ? 'neg' : 'accent', a });
    at += w + 4;
  });
  d.text(at + 14, y + 17, '≈', { size: size + 4, anchor: 'middle', fill: 'muted', a: part(g, 0.35, 0.45) });
  const sum = f.b.sums.get(sumKey(sumOf(f.view, f.b)));
  const first = sum && !('error' in sum) ? sum.neighbours[0] : undefined;
  if (first) d.text(at + 32, y + 17, prose(first), { size: size + 3, weight: 680, fill: 'accent', a: part(g, 0.75, 0.95) });
}

/** A word that is several tokens stands there as the mean of its rows. */
function several(f: Frame, d: Draw, sum: WordSum, x: number, y: number): void {
  const many = sum.terms.find((t) => t.tokens.length > 1);
  if (!many) return;
  const text = f.t('scene.sumMean', { word: many.text, n: many.tokens.length });
  if (textWidth(text, 12) <= f.W - x) d.text(x + (f.narrow ? 0 : 240), f.narrow ? y - 2 : y - 18, text, { size: 12, fill: 'muted' });
}
