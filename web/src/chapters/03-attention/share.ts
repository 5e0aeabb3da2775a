// Grouped heads: several queries read one key.
import type { Draw } from '../../marks/draw';
import { cellsThatFit, firstDims, fullScale, vectorBar } from '../../marks/vector';
import { part, stagger } from '../../timeline/ease';
import { row } from '../../trace/bundle';
import { block, heading, pad, prog } from '../common';
import { kvHead } from '../family';
import type { Frame } from '../types';

export function share(f: Frame, d: Draw): void {
  const g = prog(f, 'share');
  const m = pad(f);
  const { n_heads: H, n_kv_heads: K, d_head: E } = f.b.model;
  const { token, head } = f.view;
  // With many heads, those around the chosen one.
  const most = f.narrow ? 6 : 12;
  const first = H <= most ? 0 : Math.max(0, Math.min(H - most, head - Math.floor(most / 2)));
  const shown = firstDims(most, H - first).map((i) => first + i);
  if (shown.length < H) d.badge('badge.heads', { n: String(shown.length), total: String(H) });
  const groups = [...new Set(shown.map((h) => kvHead(f.b, h)))];
  const labelW = f.narrow ? 26 : 64;
  const top = f.narrow ? 40 : 74;
  const room = f.H - top - 20;
  const rowH = Math.min(46, room / shown.length);
  const h = Math.min(32, rowH - 6);
  const colW = (f.W - 2 * m - 2 * labelW - (f.narrow ? 34 : 110)) / 2;
  const kX = f.W - m - colW;
  const qs = shown.map((q) => row(f.b, block(f, 'q'), [token, q]));
  const ks = groups.map((k) => row(f.b, block(f, 'k'), [token, k]));
  const dims = firstDims(cellsThatFit(colW, f.numbers, 8), E);
  d.badge('badge.shown', { n: String(dims.length), total: String(E) });
  heading(d, m + labelW, top - 20, f.t('scene.shareQ', { n: H }), 'q');
  heading(d, kX, top - 20, f.t('scene.shareK', { n: K }), 'k');
  const middle = (y: number): number => y + h / 2;
  const qY = (i: number): number => top + rowH * i;
  const kY = (k: number): number => {
    const mine = shown.flatMap((q, i) => (kvHead(f.b, q) === k ? [qY(i)] : []));
    return mine.reduce((a, b) => a + b, 0) / mine.length;
  };
  shown.forEach((q, i) => {
    const mine = q === head;
    const k = kvHead(f.b, q);
    d.text(m, middle(qY(i)), f.narrow ? `h${q}` : `${f.t('scene.head')} ${q}`, { size: 12.5, weight: mine ? 700 : 480, fill: mine ? 'q' : 'muted' });
    vectorBar(d, { x: m + labelW, y: qY(i), w: colW, h, values: qs[i] as Float32Array, dims, site: block(f, 'q'), at: [token, q], full: fullScale(...qs), tint: 'q', numbers: f.numbers, total: E });
    const [x0, x1] = [m + labelW + colW + 4, kX - labelW + (f.narrow ? 0 : 6)];
    const grow = stagger(g, i, shown.length, 0.15, 0.75, 0.4);
    const mid = (x0 + x1) / 2;
    d.path(`M${x0.toFixed(1)},${middle(qY(i)).toFixed(1)}C${mid.toFixed(1)},${middle(qY(i)).toFixed(1)} ${mid.toFixed(1)},${middle(kY(k)).toFixed(1)} ${x1.toFixed(1)},${middle(kY(k)).toFixed(1)}`, { stroke: mine ? 'k' : 'k/0.4', sw: mine ? 3.2 : 1.8, a: grow });
  });
  groups.forEach((k, i) => {
    const mine = k === kvHead(f.b, head);
    const a = part(g, 0.05, 0.3);
    d.text(kX - 10, middle(kY(k)), f.narrow ? `k${k}` : `${f.t('scene.head')} ${k}`, { size: 12.5, weight: mine ? 700 : 480, fill: mine ? 'k' : 'muted', anchor: 'end', a });
    vectorBar(d, { x: kX, y: kY(k), w: colW, h, values: ks[i] as Float32Array, dims, site: block(f, 'k'), at: [token, k], full: fullScale(...ks), tint: 'k', numbers: f.numbers, total: E, reveal: () => a });
  });
}
