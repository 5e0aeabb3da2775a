import { num } from '../../i18n/format';
import { curve } from '../../marks/curve';
import type { Draw } from '../../marks/draw';
import { tokenChip, windowOf } from '../../marks/tokens';
import { unfold } from '../../marks/unfold';
import { cellsThatFit, cellX, firstDims, fullScale, topDims, vectorBar } from '../../marks/vector';
import { land, lerp, part, stagger } from '../../timeline/ease';
import { cellKey, row, weightKey } from '../../trace/bundle';
import { block, current, heading, LONG, norm, pad, prog, strip, tokenAt, tokensOf } from '../common';
import type { Frame } from '../types';
import { activationOf } from './activation';

export const TOP = 8;
const MANY = 1024;

export const topNeurons = (post: Float32Array, n: number): number[] => Array.from(post.keys()).sort((a, b) => Math.abs(post[b] as number) - Math.abs(post[a] as number)).slice(0, n);

const PICTURES: Record<string, (f: Frame, d: Draw) => void> = { alone, ask, curve: neurons, gate, fire, down, add };

export function scene(f: Frame, d: Draw): void {
  const g = part(f.p, 0, 0.16);
  const before = f.steps[f.step - 1];
  if (before && g < 1) d.fade(1 - g, () => PICTURES[before.id]?.({ ...f, step: f.step - 1, p: 1 }, d));
  d.fade(before ? g : 1, () => PICTURES[current(f)]?.(f, d));
}

/** All columns step back; one vector stays, for here tokens do not look at each other. */
function alone(f: Frame, d: Draw): void {
  const g = prog(f, 'alone');
  const m = pad(f);
  const T = tokensOf(f).length;
  const shown = windowOf(T, f.view.token, f.narrow ? 6 : 10);
  if (shown.length < T) d.badge('badge.tokens', { n: String(shown.length), total: String(T) });
  const step = (f.W - 2 * m) / shown.length;
  const away = part(g, 0.15, 0.55);
  const y = f.narrow ? 20 : 46;
  const bottom = f.H - (f.narrow ? 150 : 170);
  const lengths = shown.map((t) => norm(row(f.b, block(f, 'resid_mid'), [t])));
  const longest = Math.max(...lengths, 1e-9);
  shown.forEach((t, i) => {
    const mine = t === f.view.token;
    const x = m + step * (i + 0.5);
    const w = Math.min(step - 5, 110);
    const col = 6 + (Math.min(34, step * 0.5) - 6) * ((lengths[i] as number) / longest);
    d.fade(mine ? 1 : 1 - 0.8 * away, () => {
      tokenChip(d, { x: x - w / 2, y, w, h: 34 }, tokenAt(f, t), { active: mine });
      d.rect(x - col / 2, y + 44, col, bottom - y - 44, { r: col / 2, fill: mine ? 'resid/0.9' : 'resid/0.45' });
      const mid = (y + 44 + bottom) / 2;
      d.rect(x - Math.min(34, step / 2 - 4), mid - 18, Math.min(68, step - 8), 36, { r: 9, fill: 'mlp/0.95', label: { text: 'MLP', size: Math.min(13, step / 4), weight: 700 } });
    });
  });
  const w = f.W - 2 * m;
  strip(f, d, { x: m, y: f.H - 84, w, h: 38, site: block(f, 'resid_mid'), at: [f.view.token], title: f.t('scene.oneVector'), tint: 'resid', a: part(g, 0.5, 0.85) });
}

/** One neuron as a question put to the vector. */
function ask(f: Frame, d: Draw): void {
  const g = prog(f, 'ask');
  const m = pad(f);
  const post = row(f.b, block(f, 'mlp_post'), [f.view.token]);
  const pre = row(f.b, block(f, 'mlp_pre'), [f.view.token]);
  const best = topNeurons(post, 1)[0] as number;
  const of = f.b.cells.get(cellKey(block(f, 'mlp_pre'), [f.view.token, best]));
  const y = f.narrow ? 36 : 62;
  heading(d, m, y - 22, f.t('scene.neuron', { n: best }), 'mlp');
  if (of) unfold(d, { x: m, y, w: f.W - 2 * m, h: f.H - y - 110, of, p: Math.min(1, g / 0.7), tint: 'mlp', leftTint: 'resid', leftName: 'ln2', rightName: f.b.model.parts.gated ? '  W_gate' : '  W_up', resultName: f.narrow ? 'pre' : `mlp_pre[${best}]`, restText: (n, v) => f.t(f.narrow ? 'scene.restShort' : 'scene.rest', { n, v }) });
  const w = f.W - 2 * m;
  const first = firstDims(cellsThatFit(w, f.numbers, 16), pre.length);
  const dims = first.includes(best) ? first : [...first.slice(0, -1), best];
  strip(f, d, { x: m, y: f.H - 62, w, h: 38, site: block(f, 'mlp_pre'), at: [f.view.token], title: f.t('scene.mlpPre', { n: f.b.model.d_ff }), tint: 'mlp', dims, full: fullScale(pre), reveal: (i) => stagger(g, i, dims.length, 0.68, 1, 0.35), a: part(g, 0.6, 0.7) });
}

/** Every neuron as a dot: first on the axis, at what it was asked; then lifted to the curve, at what it answers. */
function neurons(f: Frame, d: Draw): void {
  const g = prog(f, 'curve');
  const m = pad(f);
  const pre = row(f.b, block(f, 'mlp_pre'), [f.view.token]);
  const post = row(f.b, block(f, 'mlp_post'), [f.view.token]);
  const act = activationOf(f.b.model.activation);
  const isGated = f.b.model.parts.gated;
  // Behind a gate the value is not yet the neuron's: it says how far the gate is open.
  const heights = isGated ? pre.map(act) : post;
  const site = isGated ? 'derived:f(mlp_pre)' : block(f, 'mlp_post');
  const lo = Math.min(-2, ...pre) - 0.3;
  const hi = Math.max(2, ...pre) + 0.3;
  const box = { x: m + 34, y: f.narrow ? 40 : 56, w: f.W - 2 * m - 50, h: f.H - (f.narrow ? 100 : 136) };
  const c = curve(d, box, [lo, hi], [Math.min(-0.4, ...heights) - 0.1, Math.max(...heights, 1) * 1.08], act, 'mlp', part(g, 0.1, 0.45));
  d.text(box.x + box.w, c.y(0) - 12, 'mlp_pre', { size: 12, font: 'mono', anchor: 'end', fill: 'muted' });
  d.text(c.x(0) + 8, box.y - 12, isGated ? 'f(mlp_pre)' : 'mlp_post', { size: 12, font: 'mono', fill: 'muted' });
  const strongest = new Set(topNeurons(heights, f.narrow ? 3 : 5));
  pre.forEach((v, j) => {
    const lift = stagger(g, j, pre.length, 0.4, 0.95, 0.35);
    const y = lerp(c.y(0), c.y(heights[j] as number), lift);
    const top = strongest.has(j);
    d.disc(c.x(v), y, top ? 5.5 : 3.2, { fill: (heights[j] as number) > 0.05 ? 'pos/0.7' : 'neg/0.45', stroke: top ? 'ink' : 'stage/0.5', sw: top ? 1.5 : 0.5, a: part(g, 0, 0.12), cell: { site: lift > 0.5 ? site : block(f, 'mlp_pre'), index: [f.view.token, j], value: lift > 0.5 ? (heights[j] as number) : v, text: '' } });
  });
  const named = part(g, 0.85, 1);
  let lastY = -Infinity;
  const column = Math.min(...[...strongest].map((j) => c.x(pre[j] as number))) - 44;
  [...strongest].sort((a, b) => (heights[b] as number) - (heights[a] as number)).forEach((j) => {
    const y = Math.max(c.y(heights[j] as number), lastY + 18);
    lastY = y;
    const x = column - 8;
    const height = heights[j] as number;
    d.line(x + 4, y, c.x(pre[j] as number) - 7, c.y(height), 'faint', 1, { a: named });
    d.text(x, y, `#${j}  ${num(height)}`, { size: 11.5, font: 'mono', anchor: 'end', a: named, cell: { site, index: [f.view.token, j], value: height, text: num(height) } });
  });
}

/** Gate and what it lets through, neuron by neuron: both come from the same vector, and their product is the neuron's value. */
function gate(f: Frame, d: Draw): void {
  const g = prog(f, 'gate');
  const m = pad(f);
  const at = [f.view.token];
  const [pre, up, post] = ['mlp_pre', 'mlp_up', 'mlp_post'].map((s) => row(f.b, block(f, s), at)) as [Float32Array, Float32Array, Float32Array];
  const act = activationOf(f.b.model.activation);
  const list = topNeurons(post, f.narrow ? 6 : TOP);
  d.badge('badge.neurons', { n: String(list.length), total: String(post.length) });
  const top = f.narrow ? 48 : 80;
  const rowH = Math.min(54, (f.H - top - 20) / list.length);
  const h = Math.min(32, rowH - 6);
  const labelW = f.narrow ? 46 : 70;
  const gap = f.narrow ? 22 : 44;
  const w = (f.W - 2 * m - labelW - 2 * gap) / 3;
  const xs = [0, 1, 2].map((i) => m + labelW + i * (w + gap));
  const columns: { title: string; tint: string; site: string; value: (j: number) => number; from: number }[] = [
    { title: f.t('scene.gateOpen'), tint: 'mlp', site: 'derived:f(mlp_pre)', value: (j) => act(pre[j] as number), from: 0 },
    { title: f.t('scene.gateUp'), tint: 'resid', site: block(f, 'mlp_up'), value: (j) => up[j] as number, from: 0.25 },
    { title: f.t('scene.gatePost'), tint: 'mlp', site: block(f, 'mlp_post'), value: (j) => post[j] as number, from: 0.6 },
  ];
  columns.forEach((c, i) => {
    const x = xs[i] as number;
    heading(d, x, top - 20, c.title, c.tint, f.narrow || i === 0 ? '' : c.site.replace(/^blocks\.\d+\./, ''));
    const full = Math.max(...list.map((j) => Math.abs(c.value(j))), 1e-9);
    list.forEach((j, r) => {
      const y = top + rowH * r;
      const v = c.value(j);
      const a = stagger(g, r, list.length, c.from, c.from + 0.38, 0.4);
      const text = num(v);
      const mid = x + w / 2;
      const length = (Math.abs(v) / full) * (w / 2 - 4) * a;
      d.rect(x, y, w, h, { r: 6, fill: 'surface', stroke: 'line', a: Math.max(a, 0.15) });
      d.rect(v < 0 ? mid - length : mid, y + 3, Math.max(1, length), h - 6, { r: 3, fill: v < 0 ? 'neg/0.8' : 'pos/0.8', a });
      d.line(mid, y + 2, mid, y + h - 2, 'faint', 1, { a });
      d.text(v < 0 ? mid + 6 : mid - 6, y + h / 2, text, { size: Math.min(12.5, w / 7), font: 'mono', weight: 600, anchor: v < 0 ? 'start' : 'end', a, cell: { site: c.site, index: [f.view.token, j], value: v, text } });
      if (i < 2) d.text(x + w + gap / 2, y + h / 2, i === 0 ? '×' : '=', { size: 16, anchor: 'middle', fill: 'muted', a });
    });
  });
  list.forEach((j, r) => d.text(m + labelW - 10, top + rowH * r + h / 2, `#${j}`, { size: 12.5, font: 'mono', anchor: 'end', fill: 'muted' }));
}

/** All neurons as a field of lights, and the strongest by name. */
function fire(f: Frame, d: Draw): void {
  const g = prog(f, 'fire');
  const m = pad(f);
  const post = row(f.b, block(f, 'mlp_post'), [f.view.token]);
  const list = topNeurons(post, TOP);
  const max = Math.max(...list.map((j) => Math.abs(post[j] as number)), 1e-9);
  const fieldW = f.narrow ? f.W - 2 * m : (f.W - 2 * m) * 0.52;
  const fieldH = f.narrow ? f.H * 0.42 : f.H - 130;
  const top = f.narrow ? 36 : 72;
  const shown = post.length;
  const cols = Math.ceil(Math.sqrt((shown * fieldW) / fieldH));
  const side = Math.min(fieldW / cols, fieldH / Math.ceil(shown / cols));
  heading(d, m, top - 20, f.t('scene.field', { n: post.length }), 'mlp', f.narrow ? '' : block(f, 'mlp_post'));
  // Very many are one image, which can be clicked all the same.
  const many = shown > MANY;
  if (many) d.grid(m, top, cols * side, Math.ceil(shown / cols) * side, cols, post, { full: max, source: { site: block(f, 'mlp_post'), at: [f.view.token] }, a: Math.max(0.12, part(g, 0, 0.6)) });
  for (let j = 0; j < shown && !many; j++) {
    const v = post[j] as number;
    const a = stagger(g, j, shown, 0, 0.6, 0.3);
    d.rect(m + (j % cols) * side + 0.8, top + Math.floor(j / cols) * side + 0.8, side - 1.6, side - 1.6, { r: side * 0.25, fill: `s:${Math.round(Math.max(-1, Math.min(1, v / max)) * 100) / 100}`, a: Math.max(0.12, a), cell: { site: block(f, 'mlp_post'), index: [f.view.token, j], value: v, text: '' } });
  }
  const lx = f.narrow ? m : m + fieldW + 34;
  const ly = f.narrow ? top + fieldH + 34 : top;
  const rowH = (f.H - ly - 14) / TOP;
  const room = f.W - m - lx - 130;
  heading(d, lx, ly - 20, f.t('scene.strongest'), 'ink');
  list.forEach((j, i) => {
    const v = post[j] as number;
    const y = ly + rowH * (i + 0.5);
    const a = stagger(g, i, TOP, 0.4, 1, 0.4);
    d.text(lx + 46, y, `#${j}`, { size: 12.5, font: 'mono', anchor: 'end', fill: 'muted', a });
    d.rect(lx + 56, y - Math.min(10, rowH * 0.35), (Math.abs(v) / max) * room * a, Math.min(20, rowH * 0.7), { r: 3, fill: v >= 0 ? 'pos/0.85' : 'neg/0.85', a });
    d.text(lx + 62 + (Math.abs(v) / max) * room * a, y, num(v), { size: 12.5, font: 'mono', weight: 600, a, cell: { site: block(f, 'mlp_post'), index: [f.view.token, j], value: v, text: num(v) } });
  });
}

/** Each neuron that fires brings its row of W_down, as strongly as it fires; all together are mlp_out. */
function down(f: Frame, d: Draw): void {
  const g = prog(f, 'down');
  const m = pad(f);
  const post = row(f.b, block(f, 'mlp_post'), [f.view.token]);
  const list = topNeurons(post, f.narrow ? 5 : 7);
  const cols = Math.min(16, f.b.model.d_model);
  const labelW = f.narrow ? 84 : 150;
  const w = f.W - 2 * m - labelW;
  const dims = firstDims(cellsThatFit(w, f.numbers, cols), f.b.model.d_model);
  const top = f.narrow ? 46 : 74;
  const rowH = Math.min(50, (f.H - top - 130) / list.length);
  const products = list.map((j) => (f.b.weights.get(weightKey(block(f, 'mlp.W_down'), [j, j + 1], [0, cols]))?.data ?? new Float32Array(cols)).map((v) => v * (post[j] as number)));
  const out = row(f.b, block(f, 'mlp_out'), [f.view.token]);
  const full = fullScale(out.subarray(0, cols), ...products);
  const yOut = f.H - 56;
  heading(d, m + labelW, top - 18, f.t('scene.downRows'), 'mlp');
  list.forEach((j, i) => {
    const y = top + rowH * i;
    const h = Math.min(30, rowH - 7);
    const a = stagger(g, i, list.length, 0.05, 0.5, 0.4);
    const v = post[j] as number;
    d.text(m, y + h / 2, f.narrow ? `${num(v)} ×` : `#${j}   ${num(v)} ×`, { size: 12.5, font: 'mono', weight: 560, a, cell: { site: block(f, 'mlp_post'), index: [f.view.token, j], value: v, text: num(v) } });
    const bar = { x: m + labelW, w, h, values: products[i] as Float32Array, dims, full, tint: 'mlp', at: [f.view.token, j], total: f.b.model.d_model };
    vectorBar(d, { ...bar, y, site: 'derived:post·W_down', numbers: f.numbers, reveal: () => a });
    const fall = land(g, 0.52 + 0.02 * i, 0.74 + 0.02 * i);
    if (fall > 0 && fall < 1) vectorBar(d, { ...bar, y: lerp(y, yOut, fall), site: 'derived:moving', numbers: false, reveal: () => 0.55 * (1 - part(fall, 0.8, 1)) });
  });
  d.text(m + labelW, top + rowH * list.length + 8, f.t(f.b.model.parts.mlp_bias ? 'scene.moreNeurons' : 'scene.moreNeuronsPlain', { n: post.length - list.length }), { size: 12.5, fill: 'muted', a: part(g, 0.45, 0.6) });
  strip(f, d, { x: m + labelW, y: yOut, w, h: 36, site: block(f, 'mlp_out'), at: [f.view.token], title: 'mlp_out', tint: 'mlp', dims, full, reveal: (i) => stagger(g, i, dims.length, 0.72, 1, 0.4), a: part(g, 0.66, 0.76), showSite: false });
}

function add(f: Frame, d: Draw): void {
  const g = prog(f, 'add');
  const m = pad(f);
  const t = f.view.token;
  const sites = ['resid_mid', 'mlp_out', 'resid_post'].map((s) => block(f, s));
  const rows = sites.map((s) => row(f.b, s, [t]));
  const full = fullScale(...rows);
  const side = f.narrow ? 0 : 84;
  const w = f.W - 2 * m - side;
  const room = cellsThatFit(w, f.numbers, 16);
  const long = f.b.model.d_model > LONG;
  const dims = long ? topDims(rows[1] as Float32Array, room) : firstDims(room, f.b.model.d_model);
  const top = f.narrow ? 70 : 120;
  const gap = (f.H - top - 20) / 3;
  const cw = Math.min(110, w);
  tokenChip(d, { x: m, y: f.narrow ? 10 : 36, w: cw, h: 34 }, tokenAt(f, t), { active: true });
  const titles = [f.t('scene.before'), f.t('scene.mlpAdds'), f.t('scene.afterBlock', { l: f.view.layer })];
  sites.forEach((site, i) => {
    const y = top + gap * i;
    const seen = i === 0 ? 1 : i === 1 ? part(g, 0, 0.3) : part(g, 0.25, 0.35);
    const o = strip(f, d, { x: m, y, w, h: 38, site, at: [t], title: titles[i] as string, tint: i === 1 ? 'mlp' : 'resid', dims, full, largest: long, a: seen, reveal: i === 2 ? (j) => stagger(g, j, dims.length, 0.35, 1, 0.4) : undefined });
    if (!f.narrow) d.text(m + w + 10, y + 19, f.t('scene.length', { v: num(norm(rows[i] as Float32Array)) }), { size: 12, fill: 'muted', a: i === 2 ? part(g, 0.8, 1) : seen });
    if (i < 2) dims.forEach((_, j) => d.text(cellX(o, j), y + 38 + (gap - 60) / 2, i === 0 ? '+' : '↓', { size: 14, anchor: 'middle', fill: 'muted', a: stagger(g, j, dims.length, 0.35, 1, 0.4) }));
  });
}
