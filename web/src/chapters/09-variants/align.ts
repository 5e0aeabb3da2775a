// The words of both sides, and between them lines as wide as their weights; and the same as a matrix.
import { percent, tokenText } from '../../i18n/format';
import { n, type Draw } from '../../marks/draw';
import { matrix } from '../../marks/matrix';
import { fit } from '../../marks/measure';
import { tokenChip } from '../../marks/tokens';
import { part, stagger } from '../../timeline/ease';
import { valueAt } from '../../trace/bundle';
import { heading, pad, prog } from '../common';
import type { Frame } from '../types';
import { cross, sourceOf, sourceWindow, targetWindow, weights, written, writtenOf } from './cross';

/** Weights below this are no line. */
const LEAST = 0.02;

function windows(f: Frame, d: Draw): [sources: number[], targets: number[]] {
  const most = f.narrow ? 8 : 12;
  const [sources, targets] = [sourceWindow(f, most), targetWindow(f, most)];
  for (const [shown, all] of [[sources, sourceOf(f)], [targets, writtenOf(f)]] as const)
    if (shown.length < all.length) d.badge('badge.tokens', { n: String(shown.length), total: String(all.length) });
  return [sources, targets];
}

/** Two columns of words: a source may be long, and words are wider than high. */
export function alignment(f: Frame, d: Draw): void {
  const p = prog(f, 'align');
  const [sources, targets] = windows(f, d);
  const m = pad(f);
  const top = f.narrow ? 34 : 58;
  const chipW = f.narrow ? 104 : 168;
  const x1 = f.W - m - chipW - (f.narrow ? 0 : f.W * 0.08);
  const x0 = m + (f.narrow ? 0 : f.W * 0.08);
  const rowH = (f.H - top - 12) / Math.max(sources.length, targets.length);
  const h = Math.min(32, rowH - 5);
  const at = (i: number, count: number): number => top + ((f.H - top - 12) - rowH * count) / 2 + rowH * i;
  heading(d, x0, top - 22, f.t('scene.source'), 'k');
  heading(d, x1, top - 22, f.t('scene.target'), 'q');
  targets.forEach((t, j) => {
    const mine = t === f.view.token;
    const w = weights(f, t);
    const grow = stagger(p, j, targets.length, 0.05, 1, 0.4);
    const y1 = at(j, targets.length) + h / 2;
    sources.forEach((s, i) => {
      const share = w[s] as number;
      if (!(share >= LEAST)) return;
      const y0 = at(i, sources.length) + h / 2;
      const [a, b] = [x0 + chipW + 3, x1 - 3];
      const bend = (b - a) * 0.42;
      d.path(`M${n(b)},${n(y1)}C${n(b - bend)},${n(y1)} ${n(a + bend)},${n(y0)} ${n(a)},${n(y0)}`, { stroke: mine ? 'attn' : 'attn/0.55', sw: Math.max(0.8, share * (f.narrow ? 12 : 18)), a: grow * (mine ? 0.95 : 0.25 + 0.5 * share), cell: { site: cross(f.view.layer, 'pattern'), index: [f.view.head, t, s], value: share, text: '' } });
    });
    tokenChip(d, { x: x1, y: at(j, targets.length), w: chipW, h }, writtenOf(f)[t] ?? { text: '' }, { active: mine, tint: 'q', a: Math.max(0.35, grow) });
  });
  const mine = weights(f, f.view.token);
  sources.forEach((s, i) => {
    const y = at(i, sources.length);
    tokenChip(d, { x: x0, y, w: chipW, h }, sourceOf(f)[s] ?? { text: '' }, { tint: 'k' });
    const share = mine[s] as number;
    if (!f.narrow && share >= LEAST) d.text(x0 - 8, y + h / 2, percent(share), { size: 11.5, font: 'mono', anchor: 'end', fill: 'attn', a: part(p, 0.5, 0.8), cell: { site: cross(f.view.layer, 'pattern'), index: [f.view.head, f.view.token, s], value: share, text: percent(share) } });
  });
}

/** A row for each place of the target, a column for each word of the source. */
export function table(f: Frame, d: Draw): void {
  const p = prog(f, 'table');
  const [sources, targets] = windows(f, d);
  const m = pad(f);
  const labelW = f.narrow ? 74 : 112;
  const top = f.narrow ? 52 : 84;
  const cw = Math.min(f.narrow ? 48 : 64, (f.W - 2 * m - labelW) / sources.length);
  const ch = Math.min(cw * 0.7, (f.H - top - 14) / targets.length);
  const x = (f.W - labelW - cw * sources.length) / 2 + labelW;
  const { layer, head, token } = f.view;
  const site = cross(layer, 'pattern');
  heading(d, Math.max(m, x - labelW), top - (f.narrow ? 36 : 56), f.t('scene.crossMatrix', { l: layer, h: head }), 'attn', f.narrow ? '' : site);
  sources.forEach((s, j) => d.text(x + cw * (j + 0.5), top - 14, fit(tokenText(sourceOf(f)[s] ?? { text: '' }), cw - 3, 11.5), { size: 11.5, anchor: 'middle', fill: 'k', weight: 560 }));
  targets.forEach((t, i) => d.text(x - 10, top + ch * (i + 0.5), fit(written(f, t), labelW - 14, 12), { size: 12, anchor: 'end', fill: t === token ? 'q' : 'muted', weight: t === token ? 700 : 520 }));
  matrix(d, { x, y: top, w: cw * sources.length, h: ch * targets.length, rows: targets, cols: sources, value: (t, s) => valueAt(f.b, site, [head, t, s]), site, index: (t, s) => [head, t, s], mode: 'share', full: 1, tint: 'attn', numbers: f.numbers, highlightRow: token, alpha: (t) => stagger(p, targets.indexOf(t), targets.length, 0, 1, 0.4) });
}
