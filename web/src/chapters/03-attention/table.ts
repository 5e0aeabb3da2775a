// The table of one query: a row per token that may answer, with its key, its score, its weight and its value.
import { num, percent } from '../../i18n/format';
import { stack } from '../../marks/bars';
import type { Draw } from '../../marks/draw';
import { tokenChip } from '../../marks/tokens';
import { cellsThatFit, cellWidth, cellX, fullScale, topDims, vectorBar } from '../../marks/vector';
import { land, lerp, part, stagger } from '../../timeline/ease';
import { row, valueAt } from '../../trace/bundle';
import { kvHead } from '../family';
import { argmax, attended, block, dot, heading, isOne, pad, prog, strip, tokenAt, word } from '../common';
import type { Frame } from '../types';

interface Plan {
  shown: number[];
  focus: number;
  top: number;
  rowH: number;
  chipX: number;
  chipW: number;
  kX: number;
  kW: number;
  sX: number;
  sW: number;
  bX: number;
  bW: number;
  vX: number;
  vW: number;
  kDims: number[];
  vDims: number[];
}

const rowY = (p: Plan, i: number): number => p.top + p.rowH * i;

function plan(f: Frame, d: Draw): Plan {
  const m = pad(f);
  const { token, head } = f.view;
  const pattern = row(f.b, block(f, 'pattern'), [head, token]);
  const shown = attended(f, d, f.narrow ? 6 : 9).filter((k) => k <= token || (pattern[k] as number) > 0);
  const focus = shown[argmax(shown.map((k) => pattern[k] as number))] as number;
  // Before softmax the keys have the room, after it the values.
  const late = isOne(f, 'softmax', 'values');
  const top = f.narrow ? 92 : 118;
  const rowH = Math.min(f.narrow ? 46 : 60, (f.H - top - (f.narrow ? 92 : 104)) / shown.length);
  const chipW = f.narrow ? 60 : Math.min(92, f.W * 0.11);
  const inner = f.W - 2 * m - chipW - 10;
  const kX = m + chipW + 10;
  // On a phone the key leaves altogether when the value comes.
  const [kW, sW, bWide, vW] = f.narrow ? (late ? [0, 0, isOne(f, 'softmax') ? inner : 92, inner - 100] : [inner - 66, 60, 0, 0]) : late ? [inner * 0.26, 64, inner * 0.21, inner * 0.53 - 64 - 32] : [inner - 104, 94, 0, 0];
  const sX = kX + kW + (kW ? 10 : 0);
  const bX = sX + sW + (sW ? 10 : 0);
  const vX = bX + bWide + (bWide ? 12 : 0);
  // Until the values come, the bars of the weights may use their place.
  const bW = f.narrow || !late ? bWide : lerp(f.W - m - bX, bWide, part(prog(f, 'values'), 0, 0.15));
  const q = row(f.b, block(f, 'q'), [token, head]);
  const kf = row(f.b, block(f, 'k'), [focus, kvHead(f.b, head)]);
  const products = Array.from(q, (v, e) => v * (kf[e] as number));
  const fitK = cellsThatFit(Math.max(kW, 120), f.numbers, 14);
  const vTop = row(f.b, block(f, 'z'), [token, head]);
  return { shown, focus, top, rowH, chipX: m, chipW, kX, kW, sX, sW, bX, bW, vX, vW, kDims: topDims(products, fitK), vDims: topDims(vTop, cellsThatFit(Math.max(vW, 150), f.numbers, 10)) };
}

export function table(f: Frame, d: Draw): void {
  const p = plan(f, d);
  asking(f, d, p);
  answering(f, d, p);
  if (p.sW > 0) scores(f, d, p);
  products(f, d, p);
  if (prog(f, 'softmax') > 0) weights(f, d, p);
  if (prog(f, 'values') > 0) values(f, d, p);
}

/** The query above the column of the keys, entry over entry. */
function asking(f: Frame, d: Draw, p: Plan): void {
  const { token, head } = f.view;
  const y = f.narrow ? 34 : 46;
  tokenChip(d, { x: p.chipX, y, w: p.chipW, h: 32 }, tokenAt(f, token), { active: true, tint: 'q' });
  if (p.kW > 0) strip(f, d, { x: p.kX, y, w: p.kW, h: 32, site: block(f, 'q'), at: [token, head], title: f.t('scene.q'), tint: 'q', dims: p.kDims });
}

function answering(f: Frame, d: Draw, p: Plan): void {
  const head = kvHead(f.b, f.view.head);
  const keys = p.shown.map((k) => row(f.b, block(f, 'k'), [k, head]));
  const full = fullScale(...keys);
  const g = prog(f, 'keys');
  if (p.kW > 0) heading(d, p.kX + 2, p.top - 10, f.t('scene.k'), 'k');
  const late = prog(f, 'softmax');
  const aside = isOne(f, 'dot') ? part(f.p, 0, 0.08) * (1 - part(f.p, 0.54, 0.64)) : 0;
  p.shown.forEach((k, i) => {
    // While one key is multiplied the others step back.
    const a = stagger(g, i, p.shown.length, 0, 0.8, 0.35) * (k === p.focus ? 1 : 1 - 0.88 * aside);
    const y = rowY(p, i) + 2;
    tokenChip(d, { x: p.chipX, y, w: p.chipW, h: p.rowH - 5 }, tokenAt(f, k), { tint: 'k', active: k === p.focus && isOne(f, 'dot'), a: k === p.focus ? 1 : 1 - 0.7 * aside });
    if (p.kW > 0) vectorBar(d, { x: p.kX, y, w: p.kW, h: p.rowH - 5, values: keys[i] as Float32Array, dims: p.kDims, site: block(f, 'k'), at: [k, head], full, tint: 'k', numbers: f.numbers, reveal: (j) => a * stagger(a, j, p.kDims.length, 0, 1, 0.5) * (1 - 0.45 * part(late, 0, 0.3)), total: f.b.model.d_head });
  });
}

const rawScore = (f: Frame, k: number): number => dot(row(f.b, block(f, 'q'), [f.view.token, f.view.head]), row(f.b, block(f, 'k'), [k, kvHead(f.b, f.view.head)]));

/** q·k for the focus, then for all others; then divided by the root of d_head. */
function scores(f: Frame, d: Draw, p: Plan): void {
  const g = prog(f, 'dot');
  if (g === 0) return;
  const scaled = part(prog(f, 'scale'), 0.3, 0.7);
  const raws = p.shown.map((k) => rawScore(f, k));
  const full = Math.max(...raws.map(Math.abs), 1e-9);
  const root = Math.sqrt(f.b.model.d_head);
  const at = (k: number): number[] => [f.view.head, f.view.token, k];
  const arriving = part(g, 0.5, 0.6);
  d.text(p.sX + p.sW / 2, p.top - 10, scaled > 0.5 ? f.t('scene.score') : 'q·k', { size: 13, weight: 620, anchor: 'middle', fill: 'attn', a: arriving });
  const showDiv = part(prog(f, 'scale'), 0, 0.25);
  if (showDiv > 0 && isOne(f, 'scale')) d.text(p.sX + p.sW, rowY(p, p.shown.length) + 18, `÷ √${f.b.model.d_head} = ÷ ${num(root)}`, { size: f.narrow ? 14 : 17, font: 'mono', weight: 600, anchor: 'end', fill: 'attn', a: showDiv });
  p.shown.forEach((k, i) => {
    const mine = k === p.focus;
    const others = p.shown.filter((s) => s !== p.focus);
    const a = mine ? part(g, 0.52, 0.58) : stagger(g, others.indexOf(k), others.length, 0.62, 0.96, 0.4);
    const y = rowY(p, i) + 2;
    const raw = raws[i] as number;
    const score = valueAt(f.b, block(f, 'scores'), at(k));
    // Masked by hand: until the mask falls it has the score that q and k give.
    const masked = score === -Infinity;
    const hidden = masked && prog(f, 'mask') >= 1;
    const real = masked ? raw / root : score;
    const value = hidden ? score : scaled > 0.5 ? real : raw;
    const text = num(value);
    const fly = mine ? 1 : land(a, 0, 1);
    const flip = 1 - 0.85 * (1 - Math.abs(scaled * 2 - 1)) * (scaled > 0 && scaled < 1 ? 1 : 0);
    const fill = hidden ? 'ghost' : `s:${Math.round((lerp(raw, real, scaled) / full) * 100) / 100}`;
    d.rect(lerp(p.kX + p.kW - 20, p.sX, fly), y, p.sW, p.rowH - 5, { r: 6, fill, stroke: 'attn', sw: mine && isOne(f, 'dot') ? 2 : 1, a: a * flip, label: { text, size: 13, font: 'mono', weight: 600 }, cell: { site: masked && !hidden && scaled > 0.5 ? 'derived:unmasked' : scaled > 0.5 ? block(f, 'scores') : 'derived:q·k', index: at(k), value, text } });
  });
}

/** For the focus: each entry of q times the entry of k below it; the products gather in its score. */
function products(f: Frame, d: Draw, p: Plan): void {
  if (!isOne(f, 'dot') || f.p >= 0.66) return;
  const { token, head } = f.view;
  const q = row(f.b, block(f, 'q'), [token, head]);
  const k = row(f.b, block(f, 'k'), [p.focus, kvHead(f.b, head)]);
  const i = p.shown.indexOf(p.focus);
  const v = { x: p.kX, w: p.kW, dims: p.kDims, total: q.length };
  const cw = cellWidth(v);
  const qy = f.narrow ? 34 : 46;
  const ky = rowY(p, i) + 2;
  const mid = Math.max((qy + 32 + ky) / 2 - 13, ky - 74);
  const terms = p.kDims.map((e) => (q[e] as number) * (k[e] as number));
  const full = fullScale(terms);
  d.rect(p.chipX - 4, ky - 3, p.sX + p.sW - p.chipX + 8, p.rowH + 1, { r: 8, stroke: 'attn', sw: 2, a: part(f.p, 0, 0.06) });
  if (p.kDims.length < q.length) d.badge('badge.products', { n: String(p.kDims.length), total: String(q.length) });
  p.kDims.forEach((_, j) => {
    const meet = stagger(f.p, j, p.kDims.length, 0.06, 0.34, 0.35);
    const go = land(f.p, 0.38 + 0.008 * j, 0.5 + 0.008 * j);
    const x = cellX(v, j);
    const term = terms[j] as number;
    const text = cw >= 31 ? num(term) : '';
    const [tx, ty] = [lerp(x, p.sX + p.sW / 2, go), lerp(mid + 13, ky + p.rowH / 2, go)];
    const s = lerp(1, 0.5, go);
    const a = meet * (1 - part(go, 0.85, 1));
    d.line(x, qy + 32, x, mid, 'q', 1.5, { a: meet * (1 - go) * 0.7 });
    d.line(x, mid + 26, x, ky, 'k', 1.5, { a: meet * (1 - go) * 0.7 });
    d.rect(tx - (cw / 2 - 1) * s, ty - 13 * s, (cw - 2) * s, 26 * s, { r: 6, fill: `s:${Math.round(Math.max(-1, Math.min(1, term / full)) * 100) / 100}`, stroke: 'attn', sw: 1.5, a, label: text ? { text, size: Math.min(11.5, cw / 3.5) * s, font: 'mono', weight: 600 } : undefined });
  });
}

/** softmax: first every score as e^(score − max), then all of them shrunk together until their sum is 1. */
function weights(f: Frame, d: Draw, p: Plan): void {
  const g = prog(f, 'softmax');
  const { head, token } = f.view;
  const pattern = row(f.b, block(f, 'pattern'), [head, token]);
  const all = Array.from({ length: pattern.length }, (_, k) => valueAt(f.b, block(f, 'scores'), [head, token, k]));
  const max = Math.max(...all);
  const sum = all.reduce((s, v) => s + Math.exp(v - max), 0);
  const shrink = part(g, 0.5, 0.8);
  const room = p.bW - (f.narrow && !isOne(f, 'values') ? 130 : 44);
  heading(d, p.bX, p.top - 10, shrink < 0.5 ? f.t('scene.exp') : f.t('scene.weight'), 'attn');
  p.shown.forEach((k, i) => {
    const a = stagger(g, i, p.shown.length, 0.12, 0.42, 0.4);
    const e = Math.exp((all[k] as number) - max);
    const w = pattern[k] as number;
    const y = rowY(p, i) + 2;
    const h = Math.min(22, p.rowH - 8);
    const length = Math.max(1.5, lerp(e, w, shrink) * room * a);
    const text = shrink < 0.5 ? num(e) : percent(w);
    const cell = shrink < 0.5 ? { site: 'derived:exp', index: [head, token, k], value: e, text } : { site: block(f, 'pattern'), index: [head, token, k], value: w, text };
    d.rect(p.bX, y + (p.rowH - 5 - h) / 2, length, h, { r: 3, fill: 'attn/0.85', a, cell: { ...cell, text: '' } });
    const was = f.ghost && row(f.ghost, block(f, 'pattern'), [head, token])[k];
    const wasLength = was === undefined || shrink < 0.5 ? 0 : Math.max(1.5, was * room * a * shrink);
    if (wasLength > 0 && Math.abs(wasLength - length) > 1) d.rect(p.bX, y + (p.rowH - 5 - h) / 2 - 2.5, wasLength, h + 5, { r: 4, fill: 'attn/0.1', stroke: 'muted', sw: 1.2, dash: [3, 2], a });
    d.text(p.bX + Math.max(length, wasLength) + 5, y + (p.rowH - 5) / 2, text, { size: 12, font: 'mono', weight: 600, a, cell });
  });
  one(f, d, p, pattern, sum, g);
}

/** The weights side by side fill one bar: their sum is 1. */
function one(f: Frame, d: Draw, p: Plan, pattern: Float32Array, sum: number, g: number): void {
  const y = f.H - (f.narrow ? 66 : 62);
  const gone = f.narrow ? part(prog(f, 'values'), 0.4, 0.5) : 0;
  const w = f.narrow ? f.W - 2 * p.chipX : p.bX + p.bW - p.chipX - 6;
  const show = part(g, 0.45, 0.6) * (1 - gone);
  const rest = 1 - p.shown.reduce((s, k) => s + (pattern[k] as number), 0);
  const slices = p.shown.map((k, i) => ({ share: pattern[k] as number, tint: 'attn', strength: i % 2 ? 0.42 : 0.7, label: word(f, k), cell: { site: block(f, 'pattern'), index: [f.view.head, f.view.token, k], value: pattern[k] as number, text: '' } }));
  if (rest > 1e-4) slices.unshift({ share: rest, tint: 'faint', strength: 0.4, label: '…', cell: { site: 'derived:rest', index: [], value: rest, text: '' } });
  d.fade(show, () => {
    d.text(p.chipX + 2, y - 14, shrinkText(f, sum, g), { size: 12.5, fill: 'muted' });
    stack(d, { x: p.chipX, y, w, h: 36 }, slices, part(g, 0.5, 0.9));
  });
}

const shrinkText = (f: Frame, sum: number, g: number): string => (g < 0.66 ? f.t('scene.sumExp', { v: num(sum) }) : f.t('scene.sumOne'));

/** Values fade to their weight, fall, and add up to z. */
function values(f: Frame, d: Draw, p: Plan): void {
  const g = prog(f, 'values');
  const { head, token } = f.view;
  const pattern = row(f.b, block(f, 'pattern'), [head, token]);
  const own = kvHead(f.b, head);
  const vs = p.shown.map((k) => row(f.b, block(f, 'v'), [k, own]));
  const z = row(f.b, block(f, 'z'), [token, head]);
  const full = fullScale(...vs);
  const zy = f.H - (f.narrow ? 52 : 62);
  const dimmed = part(g, 0.28, 0.45);
  heading(d, p.vX + 2, p.top - 10, f.t('scene.v'), 'v');
  p.shown.forEach((k, i) => {
    const w = pattern[k] as number;
    const enter = stagger(g, i, p.shown.length, 0, 0.25, 0.4);
    const y = rowY(p, i) + 2;
    const keep = lerp(1, 0.13 + 0.87 * Math.sqrt(w), dimmed);
    const base = { x: p.vX, w: p.vW, h: p.rowH - 5, values: vs[i] as Float32Array, dims: p.vDims, site: block(f, 'v'), at: [k, own], full, tint: 'v', total: z.length };
    vectorBar(d, { ...base, y, numbers: f.numbers, reveal: () => enter * keep });
    const fall = land(g, 0.5 + 0.03 * i, 0.72 + 0.03 * i);
    if (fall > 0 && fall < 1) vectorBar(d, { ...base, y: lerp(y, zy, fall), site: 'derived:moving', numbers: false, reveal: () => (0.15 + 0.7 * w) * (1 - part(fall, 0.8, 1)), total: p.vDims.length });
  });
  strip(f, d, { x: p.vX, y: zy, w: p.vW, h: 36, site: block(f, 'z'), at: [token, head], title: f.t('scene.z'), tint: 'v', dims: p.vDims, full: fullScale(z), reveal: (j) => stagger(g, j, p.vDims.length, 0.68, 1, 0.5), a: part(g, 0.6, 0.7), showSite: false });
}
