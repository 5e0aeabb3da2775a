import { num } from '../../i18n/format';
import { barList } from '../../marks/bars';
import type { Draw } from '../../marks/draw';
import { matrix } from '../../marks/matrix';
import { chipWidth, tokenChip, windowOf } from '../../marks/tokens';
import { cellWidth, cellX, cellsThatFit, firstDims, fullScale, vectorBar } from '../../marks/vector';
import { lerp, part, stagger } from '../../timeline/ease';
import { hasSite, row, valueAt, weightKey } from '../../trace/bundle';
import { heading, pad, prog, strip, tokenAt, tokensOf } from '../common';
import type { Frame } from '../types';
import { vocabulary } from './map';
import { ownWords } from './own';
import { wordSum } from './sum';

export const TABLE_COLS = 16;
const AROUND = 3;

/** The rows of W_E around an id that are shown as the table. */
export function tableRows(id: number, vocab: number): [number, number] {
  const start = Math.max(0, Math.min(id - AROUND, vocab - 2 * AROUND - 1));
  return [start, Math.min(vocab, start + 2 * AROUND + 1)];
}

interface Plan {
  x: number;
  w: number;
  dims: number[];
  full: number;
}

function plan(f: Frame): Plan {
  const m = pad(f);
  const x = m + (f.narrow ? 0 : 96);
  const w = f.W - x - m;
  const e = row(f.b, 'embed', [f.view.token]);
  return { x, w, dims: firstDims(cellsThatFit(w, f.numbers, TABLE_COLS), e.length), full: fullScale(e, row(f.b, 'pos_embed', [f.view.token])) };
}

export function scene(f: Frame, d: Draw): void {
  const p = plan(f);
  const leave = part(prog(f, 'position'), 0, 0.3);
  const all = part(prog(f, 'all'), 0, 0.3);
  const near = part(prog(f, 'near'), 0, 0.3);
  if (leave < 1) d.fade(1 - leave, () => table(f, d, p));
  if (all < 1) d.fade(1 - all, () => placeAdded(f, d, p));
  if (all > 0 && near < 1) d.fade(all * (1 - near), () => everything(f, d));
  const own = part(prog(f, 'own'), 0, 0.2);
  const map = part(prog(f, 'map'), 0, 0.2);
  const sum = part(prog(f, 'sum'), 0, 0.2);
  if (near > 0 && own < 1) d.fade(near * (1 - own), () => neighbours(f, d));
  if (own > 0 && map < 1) d.fade(own * (1 - map), () => ownWords(f, d));
  if (map > 0 && sum < 1) d.fade(map * (1 - sum), () => vocabulary(f, d));
  if (sum > 0) d.fade(sum, () => wordSum(f, d));
}

const stripY = (f: Frame, i: number): number => (f.narrow ? [f.H - 84, 128, 220, 312] : [f.H - 112, 130, f.H * 0.5 - 10, f.H - 150])[i] as number;

/** A part of W_E: the row of this id lights up. */
function table(f: Frame, d: Draw, p: Plan): void {
  const id = tokenAt(f, f.view.token).id;
  const [from, to] = tableRows(id, f.b.model.vocab);
  const w = f.b.weights.get(weightKey('W_E', [from, to], [0, Math.min(TABLE_COLS, f.b.model.d_model)]));
  if (!w) return;
  const top = f.narrow ? 92 : 128;
  const rowH = Math.min(f.narrow ? 28 : 40, (stripY(f, 0) - top - 46) / (to - from));
  const cols = w.shape[1] as number;
  const g = part(prog(f, 'lookup'), 0.25, 0.7);
  const full = fullScale(w.data);
  const token = tokenAt(f, f.view.token);
  const cw = chipWidth(token, 17);
  tokenChip(d, { x: p.x, y: f.narrow ? 14 : 24, w: cw, h: 34 }, token, { size: 17, active: true });
  d.text(p.x + cw + 14, (f.narrow ? 14 : 24) + 17, `→  id ${id}`, { size: 16, font: 'mono', weight: 600, fill: 'accent' });
  heading(d, p.x + 2, top - 16, f.t('scene.tableWE', { v: f.b.model.vocab, d: f.b.model.d_model }), 'weight', f.narrow ? '' : 'W_E');
  for (let r = 0; r < to - from; r++) {
    const mine = from + r === id;
    const y = top + rowH * r;
    if (!f.narrow) d.text(p.x - 12, y + rowH / 2, String(from + r), { size: 12.5, font: 'mono', anchor: 'end', fill: mine ? 'accent' : 'faint', weight: mine ? 700 : 450 });
    d.fade(mine ? 1 : 1 - g * 0.62, () => vectorBar(d, { x: p.x, y: y + 2, w: p.w, h: rowH - 4, values: w.data.subarray(r * cols, (r + 1) * cols), dims: p.dims, site: 'weight:W_E', at: [from + r], full, tint: 'weight', numbers: f.numbers, weights: true, total: f.b.model.d_model }));
    if (mine) d.rect(p.x - 4, y - 1, p.w + 6, rowH + 2, { r: rowH / 2, stroke: 'accent', sw: 2.2, a: g });
  }
  lifted(f, d, p, top + rowH * (id - from), rowH);
}

/** The row leaves the table and becomes the token's vector. */
function lifted(f: Frame, d: Draw, p: Plan, y0: number, rowH: number): void {
  const g = part(prog(f, 'vector'), 0.05, 0.7);
  if (g === 0) return;
  const y = lerp(y0 + 2, stripY(f, 0), g);
  strip(f, d, { x: p.x, y, w: p.w, h: lerp(rowH - 4, 34, g), site: 'embed', at: [f.view.token], title: g > 0.9 ? f.t('scene.embed') : '', tint: 'resid', dims: p.dims, full: p.full });
}

/** embed + position = the first state of the residual stream. */
function placeAdded(f: Frame, d: Draw, p: Plan): void {
  const g = prog(f, 'position');
  if (g === 0) return;
  const t = f.view.token;
  const top = part(g, 0, 0.3);
  strip(f, d, { x: p.x, y: lerp(stripY(f, 0), stripY(f, 1), top), w: p.w, h: 34, site: 'embed', at: [t], title: f.t('scene.embed'), tint: 'resid', dims: p.dims, full: p.full });
  const learned = hasSite(f.b, 'pos_embed');
  if (learned) strip(f, d, { x: p.x, y: stripY(f, 2), w: p.w, h: 34, site: 'pos_embed', at: [t], title: f.t('scene.position', { t }), tint: 'place', dims: p.dims, full: p.full, a: part(g, 0.2, 0.4) });
  const out = strip(f, d, { x: p.x, y: stripY(f, 3), w: p.w, h: 34, site: 'blocks.0.resid_pre', at: [t], title: f.t('scene.resid0'), tint: 'resid', dims: p.dims, full: p.full, reveal: (i) => stagger(g, i, p.dims.length, 0.45, 1, 0.4), a: part(g, 0.35, 0.5) });
  const r = Math.min(9, cellWidth(out) * 0.3);
  p.dims.forEach((_, i) => {
    const a = stagger(g, i, p.dims.length, 0.4, 0.95, 0.4);
    const x = cellX(out, i);
    if (!learned) {
      d.text(x, (stripY(f, 1) + 34 + stripY(f, 3) - 22) / 2, '↓', { size: r + 7, anchor: 'middle', fill: 'muted', a });
      return;
    }
    d.text(x, (stripY(f, 1) + 34 + stripY(f, 2) - 22) / 2, '+', { size: 15, anchor: 'middle', fill: 'muted', a });
    d.text(x, (stripY(f, 2) + 34 + stripY(f, 3) - 22) / 2, '↓', { size: r + 7, anchor: 'middle', fill: 'muted', a });
  });
  if (!f.narrow) d.fade(top, () => tokenChip(d, { x: pad(f) - 6, y: stripY(f, 1), w: 88, h: 34 }, tokenAt(f, t), { active: true }));
}

/** All tokens at once: the matrix that enters block 0. */
function everything(f: Frame, d: Draw): void {
  const m = pad(f);
  const T = tokensOf(f).length;
  const rows = windowOf(T, f.view.token, f.narrow ? 8 : 12);
  if (rows.length < T) d.badge('badge.tokens', { n: String(rows.length), total: String(T) });
  const chipW = f.narrow ? 70 : 92;
  const w = f.W - 2 * m - chipW - 8;
  const cols = firstDims(cellsThatFit(w, f.numbers, TABLE_COLS), f.b.model.d_model);
  d.badge('badge.shown', { n: String(cols.length), total: String(f.b.model.d_model) });
  const top = f.narrow ? 44 : 70;
  const rowH = Math.min(42, (f.H - top - 30) / rows.length);
  heading(d, m + chipW + 10, top - 20, f.t('scene.allRows', { t: T, d: f.b.model.d_model }), 'resid', f.narrow ? '' : 'blocks.0.resid_pre');
  const full = fullScale(...rows.map((r) => row(f.b, 'blocks.0.resid_pre', [r])));
  const a = (r: number): number => stagger(prog(f, 'all'), rows.indexOf(r), rows.length, 0.15, 1, 0.3);
  rows.forEach((r, i) => tokenChip(d, { x: m, y: top + rowH * i + 3, w: chipW, h: rowH - 6 }, tokenAt(f, r), { active: r === f.view.token, a: a(r) }));
  matrix(d, { x: m + chipW + 8, y: top, w, h: rowH * rows.length, rows, cols, value: (r, c) => valueAt(f.b, 'blocks.0.resid_pre', [r, c]), site: 'blocks.0.resid_pre', index: (r, c) => [r, c], mode: 'signed', full, tint: 'resid', numbers: f.numbers, alpha: a });
}

function neighbours(f: Frame, d: Draw): void {
  const token = tokenAt(f, f.view.token);
  const list = f.b.neighbours.get(token.id)?.neighbours ?? [];
  const m = pad(f);
  const w = Math.min(f.W - 2 * m, 620);
  const x = (f.W - w) / 2;
  const cw = chipWidth(token, 18);
  tokenChip(d, { x, y: f.narrow ? 16 : 36, w: cw, h: 38 }, token, { size: 18, active: true });
  d.text(x + cw + 14, (f.narrow ? 16 : 36) + 19, f.t('scene.nearest'), { size: 13.5, fill: 'muted' });
  barList(d, {
    x, y: f.narrow ? 70 : 100, w, h: f.H - (f.narrow ? 86 : 140), labelW: f.narrow ? 108 : 150, tint: 'resid', full: 1,
    items: list.slice(0, 8).map((n) => ({ token: n, value: n.cosine, text: num(n.cosine), cell: { site: 'derived:cosine', index: [token.id, n.id], value: n.cosine, text: num(n.cosine) } })),
    reveal: (i) => stagger(prog(f, 'near'), i, 8, 0.25, 1, 0.4),
  });
}
