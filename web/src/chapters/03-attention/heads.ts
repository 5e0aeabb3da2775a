// All heads: their outputs joined by W_O, and the wall of all patterns.
import { percent } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import { headWall, roomForNames } from '../../marks/headwall';
import { fit } from '../../marks/measure';
import { cellsThatFit, firstDims, fullScale, vectorBar } from '../../marks/vector';
import { land, lerp, part, stagger } from '../../timeline/ease';
import { row, weightKey, type Bundle } from '../../trace/bundle';
import { block, heading, pad, prog, strip } from '../common';
import { headCounts, headName } from '../heads';
import type { Frame } from '../types';

/** What one head adds through its rows of W_O, for the first few entries of the stream. */
function contribution(f: Frame, head: number): Float32Array {
  const { d_head: E, n_heads: H, d_model: D } = f.b.model;
  const cols = Math.min(16, D);
  const w = f.b.weights.get(weightKey(block(f, 'attn.W_O'), [0, H * E], [0, cols]));
  const out = new Float32Array(cols);
  if (!w) return out;
  const z = row(f.b, block(f, 'z'), [f.view.token, head]);
  for (let j = 0; j < cols; j++) {
    let s = 0;
    for (let e = 0; e < E; e++) s += (z[e] as number) * (w.data[(head * E + e) * cols + j] as number);
    out[j] = s;
  }
  return out;
}

export function headsJoin(f: Frame, d: Draw): void {
  const g = prog(f, 'heads');
  const m = pad(f);
  const { n_heads: H, d_model: D, d_head: E } = f.b.model;
  // With many heads, those around the chosen one.
  const most = f.narrow ? 6 : 9;
  const first = H <= most ? 0 : Math.max(0, Math.min(H - most, f.view.head - Math.floor(most / 2)));
  const shownHeads = firstDims(most, H - first).map((i) => first + i);
  const labelW = f.narrow ? 26 : 66;
  const zW = f.narrow ? 92 : (f.W - 2 * m - labelW) * 0.34;
  const woW = f.narrow ? 26 : 64;
  const cX = m + labelW + zW + woW;
  const cW = f.W - m - cX;
  const dims = firstDims(Math.min(16, cellsThatFit(cW, f.numbers, 16)), D);
  const top = f.narrow ? 50 : 72;
  const rowH = Math.min(64, (f.H - top - 96) / shownHeads.length);
  const adds = shownHeads.map((h) => contribution(f, h));
  const full = fullScale(...adds);
  const zs = shownHeads.map((h) => row(f.b, block(f, 'z'), [f.view.token, h]));
  const zFull = fullScale(...zs);
  const zDims = firstDims(f.narrow ? 3 : cellsThatFit(zW, f.numbers, 8), E);
  const yOut = f.H - 54;
  heading(d, m + labelW, top - 18, f.t('scene.zHeads'), 'v');
  heading(d, cX, top - 18, f.t(f.narrow ? 'scene.headAddsShort' : 'scene.headAdds'), 'attn');
  d.badge('badge.shown', { n: String(dims.length), total: String(D) });
  if (shownHeads.length < H) d.badge('badge.heads', { n: String(shownHeads.length), total: String(H) });
  shownHeads.forEach((h, i) => {
    const y = top + rowH * i;
    const mine = h === f.view.head;
    const hh = Math.min(32, rowH - 6);
    d.text(m, y + hh / 2, f.narrow ? `h${h}` : `${f.t('scene.head')} ${h}`, { size: 12.5, weight: mine ? 700 : 480, fill: mine ? 'v' : 'muted' });
    vectorBar(d, { x: m + labelW, y, w: zW - 8, h: hh, values: zs[i] as Float32Array, dims: zDims, site: block(f, 'z'), at: [f.view.token, h], full: zFull, tint: 'v', numbers: f.numbers, total: E, ghost: f.ghost && row(f.ghost, block(f, 'z'), [f.view.token, h]), reveal: () => stagger(g, i, shownHeads.length, 0.12, 0.3, 0.5) });
    const a = stagger(g, i, shownHeads.length, 0.25, 0.55, 0.4);
    d.disc(m + labelW + zW + woW / 2 - 4, y + hh / 2, f.narrow ? 10 : 17, { stroke: 'weight', fill: 'surface', sw: 1.6, a, label: { text: f.narrow ? '×' : 'W_O', size: 11, font: 'mono', fill: 'weight' } });
    const fall = land(g, 0.58 + 0.02 * i, 0.76 + 0.02 * i);
    const bar = { x: cX, w: cW, h: hh, values: adds[i] as Float32Array, dims, full, tint: 'attn', site: 'derived:head adds', at: [f.view.token, h], total: D };
    vectorBar(d, { ...bar, y, numbers: f.numbers, reveal: () => a });
    if (fall > 0 && fall < 1) vectorBar(d, { ...bar, site: 'derived:moving', y: lerp(y, yOut, fall), numbers: false, reveal: () => 0.5 * (1 - part(fall, 0.8, 1)) });
  });
  strip(f, d, { x: cX, y: yOut, w: cW, h: 36, site: block(f, 'attn_out'), at: [f.view.token], title: f.t(f.narrow ? 'scene.attnOutShort' : 'scene.attnOut'), tint: 'attn', dims, full, reveal: (j) => stagger(g, j, dims.length, 0.76, 1, 0.4), a: part(g, 0.7, 0.78), showSite: false });
  d.text(cX - 14, yOut + 18, f.b.model.parts.out_bias ? 'Σ + b_O' : 'Σ', { size: 12.5, font: 'mono', anchor: 'end', fill: 'muted', a: part(g, 0.7, 0.8) });
}

/** One head's pattern in little: the same array each time, so that its image can be kept. */
const thumbs = new WeakMap<Float32Array, Map<number, Float32Array>>();

function pooled(b: Bundle, layer: number, head: number): Float32Array {
  const t = b.heads?.get('pooled');
  if (!t) return new Float32Array(0);
  const known = thumbs.get(t.data) ?? new Map<number, Float32Array>();
  thumbs.set(t.data, known);
  const at = layer * b.model.n_heads + head;
  const size = (t.shape[2] ?? 0) * (t.shape[3] ?? 0);
  const own = known.get(at) ?? t.data.subarray(at * size, (at + 1) * size);
  known.set(at, own);
  return own;
}

export function wall(f: Frame, d: Draw): void {
  const g = prog(f, 'wall');
  const m = pad(f);
  const { n_layers: L, n_heads: H } = f.b.model;
  const square = f.b.heads?.get('square')?.data[0] ?? 1;
  if (square > 1) d.badge('badge.pooled', { n: String(square) });
  const o = { x: m, y: f.narrow ? 34 : 56, w: f.W - 2 * m, h: 0, layers: L, heads: H, labelW: 26, side: f.b.heads?.get('pooled')?.shape[2] ?? 1 };
  o.h = f.H - o.y - 8;
  const names = roomForNames(o);
  if (!names) o.y += f.narrow ? 14 : 20;
  o.h = f.H - o.y - 8;
  d.text(m, f.narrow ? 14 : 36, f.t(f.narrow ? 'scene.wallShort' : 'scene.wall', { n: L * H }), { size: f.narrow ? 12 : 13, fill: 'muted' });
  // Where there is no room for a name under each, they are counted.
  if (!names) d.text(m, f.narrow ? 31 : 56, fit(headCounts(f.b).map(({ name, count }) => `${f.t(`head.${name}`)} ${count}`).join('  ·  '), o.w, 12), { size: 12, fill: 'ink' });
  headWall(d, {
    ...o,
    pattern: (l, h) => pooled(f.b, l, h),
    name: (l, h) => {
      const { name, score } = headName(f.b, l, h);
      if (name === 'broad') return f.narrow ? '·' : f.t('head.broad');
      return `${f.t(`head.${name}${f.narrow ? '.short' : ''}`)} ${percent(score)}`;
    },
    score: (l, h) => {
      const { name, score } = headName(f.b, l, h);
      return name === 'broad' ? undefined : { site: `heads:${name}`, index: [l, h], value: score, text: percent(score) };
    },
    selected: f.view,
    changed: (l, h) => change(f, l, h),
    reveal: (l, h) => stagger(g, l * H + h, L * H, 0.1, 1, 0.25),
  });
}

/** By how much the pattern of a head differs from the untouched run's: the largest difference of one square. */
function change(f: Frame, l: number, h: number): number {
  if (!f.ghost?.heads) return 0;
  const was = pooled(f.ghost, l, h);
  return pooled(f.b, l, h).reduce((most, w, i) => Math.max(most, Math.abs(w - (was[i] ?? w))), 0);
}
