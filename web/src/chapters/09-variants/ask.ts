// One place of the target asks the whole source: its query against the key of each word, the scores, the shares.
import { num, percent } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import { tokenChip } from '../../marks/tokens';
import { cellsThatFit, firstDims, fullScale, topDims, vectorBar } from '../../marks/vector';
import { part, stagger } from '../../timeline/ease';
import { row, valueAt } from '../../trace/bundle';
import { heading, note, pad, prog, strip } from '../common';
import type { Frame } from '../types';
import { cross, sourceOf, weights, writtenOf } from './cross';

export function ask(f: Frame, d: Draw): void {
  const g = prog(f, 'ask');
  const m = pad(f);
  const { layer, head, token } = f.view;
  const w = weights(f, token);
  const S = sourceOf(f).length;
  const shown = topDims(w, f.narrow ? 6 : 9);
  if (shown.length < S) d.badge('badge.attended', { n: String(shown.length), total: String(S) });
  const chipW = f.narrow ? 84 : 118;
  const top = f.narrow ? 112 : 132;
  const keyX = m + chipW + 10;
  const barW = f.narrow ? 84 : 190;
  const keyW = f.W - m - keyX - barW - (f.narrow ? 56 : 84);
  const heads = f.b.model.n_kv_heads;
  const kv = Math.floor((head * heads) / f.b.model.n_heads);
  const q = row(f.b, cross(layer, 'q'), [token, head]);
  const dims = firstDims(cellsThatFit(keyW, f.numbers, 8), q.length);
  note(d, m, f.narrow ? 14 : 24, f.t(f.narrow ? 'scene.crossWriteShort' : 'scene.crossWrite'), 'muted');
  tokenChip(d, { x: m, y: f.narrow ? 30 : 46, w: chipW, h: 32 }, writtenOf(f)[token] ?? { text: '' }, { active: true, tint: 'q' });
  strip(f, d, { x: keyX, y: f.narrow ? 30 : 46, w: keyW, h: 32, site: cross(layer, 'q'), at: [token, head], title: '', tint: 'q', dims, full: fullScale(q), reveal: (i) => stagger(g, i, dims.length, 0, 0.25, 0.5) });
  if (!f.narrow) note(d, keyX + keyW + 16, 62, f.t('scene.crossQuery', { h: head }), 'q');
  const rowH = Math.min(44, (f.H - top - 12) / shown.length);
  const h = Math.min(30, rowH - 6);
  const ks = shown.map((s) => row(f.b, cross(layer, 'k'), [s, kv]));
  const full = fullScale(...ks);
  heading(d, m, top - 16, f.t(f.narrow ? 'scene.crossKeysShort' : 'scene.crossKeys'), 'k');
  const scoreX = keyX + keyW + (f.narrow ? 44 : 62);
  d.text(scoreX, top - 16, f.t('scene.score'), { size: 12, anchor: 'end', fill: 'attn' });
  d.text(scoreX + 12, top - 16, f.t('scene.weight'), { size: 12, fill: 'attn' });
  shown.forEach((s, i) => {
    const y = top + rowH * i;
    const a = stagger(g, i, shown.length, 0.2, 0.5, 0.4);
    const b = stagger(g, i, shown.length, 0.45, 0.75, 0.4);
    tokenChip(d, { x: m, y, w: chipW, h }, sourceOf(f)[s] ?? { text: '' }, { tint: 'k' });
    vectorBar(d, { x: keyX, y, w: keyW, h, values: ks[i] as Float32Array, dims, site: cross(layer, 'k'), at: [s, kv], full, tint: 'k', numbers: f.numbers, total: q.length, reveal: () => a });
    const score = valueAt(f.b, cross(layer, 'scores'), [head, token, s]);
    d.text(scoreX, y + h / 2, num(score), { size: 12, font: 'mono', anchor: 'end', a: b, cell: { site: cross(layer, 'scores'), index: [head, token, s], value: score, text: num(score) } });
    const share = w[s] as number;
    const datum = { site: cross(layer, 'pattern'), index: [head, token, s], value: share, text: percent(share) };
    const grow = part(g, 0.72, 1);
    const room = f.W - m - scoreX - 12 - 44;
    d.rect(scoreX + 12, y + 4, Math.max(1.5, room * share * grow), h - 8, { r: 3, fill: 'attn/0.8', a: part(g, 0.7, 0.76), cell: { ...datum, text: '' } });
    d.text(scoreX + 18 + room * share * grow, y + h / 2, percent(share), { size: 12, font: 'mono', fill: 'ink', a: part(g, 0.85, 1), cell: datum });
  });
}
