import { joined, num, percent, readsFromRight } from '../../i18n/format';
import { arcs, type Arc } from '../../marks/arcs';
import { barList } from '../../marks/bars';
import type { Draw } from '../../marks/draw';
import { textWidth } from '../../marks/measure';
import { ribbon, riverScale } from '../../marks/river';
import { chipWidth, tokenChip, windowOf } from '../../marks/tokens';
import type { Box } from '../../marks/types';
import { land, lerp, part, stagger } from '../../timeline/ease';
import { cornerAt, row } from '../../trace/bundle';
import { norm, pad, prog, tokenAt, tokensOf } from '../common';
import type { Frame } from '../types';

interface Plan {
  shown: number[];
  river: Box;
  guess: Box;
  /** Heights of the river: the entry, then the middle and the end of every block. */
  ys: number[];
  colX: (i: number) => number;
  chips: Box[];
}

function plan(f: Frame): Plan {
  const m = pad(f);
  const T = tokensOf(f).length;
  const shown = windowOf(T, T - 1, f.narrow ? 6 : 10);
  const guess: Box = f.narrow ? { x: m, y: 44, w: f.W - 2 * m, h: 128 } : { x: f.W * 0.69, y: 76, w: f.W * 0.31 - m, h: f.H - 210 };
  const labels = f.narrow ? 20 : 64;
  // The river has the whole stage until the guesses need their part of it.
  const open = 1 - part(prog(f, 'predict'), 0, 0.3);
  const river: Box = f.narrow ? { x: m + labels, y: 188, w: f.W - 2 * m - labels, h: f.H - 188 - 58 } : { x: m + labels, y: 76, w: lerp(f.W * 0.655, f.W - m, open) - m - labels, h: f.H - 76 - 92 };
  const L = f.b.model.n_layers;
  const ys = Array.from({ length: 2 * L + 1 }, (_, i) => river.y + river.h - (river.h * i) / (2 * L));
  // One more column is kept free on the right: the place of the token to come.
  const step = river.w / (shown.length + 1);
  const colX = (i: number): number => river.x + step * (i + 0.5);
  const chipH = f.narrow ? 26 : 32;
  const chips = shown.map((t, i) => {
    const w = Math.min(step - 4, chipWidth(tokenAt(f, t)));
    return { x: colX(i) - w / 2, y: river.y + river.h + 14, w, h: chipH };
  });
  return { shown, river, guess, ys, colX, chips };
}

export function scene(f: Frame, d: Draw): void {
  const p = plan(f);
  if (p.shown.length < tokensOf(f).length) d.badge('badge.tokens', { n: String(p.shown.length), total: String(tokensOf(f).length) });
  blocks(f, d, p);
  columns(f, d, p);
  words(f, d, p);
  guesses(f, d, p);
  story(f, d, p);
}

/** The visitor's text: whole and large at first, then falling apart into tokens that take their places. */
function words(f: Frame, d: Draw, p: Plan): void {
  const go = part(prog(f, 'text'), 0.35, 0.95);
  const down = part(prog(f, 'columns'), 0, 0.4);
  const size = f.narrow ? 20 : 30;
  const pieces = joined(p.shown.map((t) => tokenAt(f, t)));
  const start = sentence(f, pieces, size);
  p.shown.forEach((t, i) => {
    const from = start[i] as Box;
    const rest = p.chips[i] as Box;
    // First the pieces part where they stand, then they take their places under the river.
    const big = lerp(f.narrow ? 1.1 : 1.35, 1, down);
    const w = Math.min(p.river.w / (p.shown.length + 1) - 4, rest.w * big);
    const to = { x: rest.x + (rest.w - w) / 2, y: lerp(f.H * 0.4 - rest.h, rest.y, down), w, h: rest.h * big };
    const g = stagger(go, i, p.shown.length, 0, 1, 0.6);
    const token = tokenAt(f, t);
    const box = { x: lerp(from.x, to.x, g), y: lerp(from.y, to.y, g), w: lerp(from.w, to.w, g), h: lerp(from.h, to.h, g) };
    d.fade(1 - part(g, 0, 0.25), () => d.text(box.x, box.y + box.h / 2, pieces[i] as string, { size: lerp(size, 14, g), weight: 560 }));
    d.fade(part(g, 0.05, 0.4), () => tokenChip(d, box, token, { size: 13.5 * big, active: t === tokensOf(f).length - 1 && prog(f, 'predict') > 0 && prog(f, 'draw') < 1 }));
  });
}

/** The text as one writes it, in lines: where each token stands in it. */
function sentence(f: Frame, pieces: readonly string[], size: number): Box[] {
  const room = f.W - pad(f) * 4;
  const widths = pieces.map((text) => textWidth(text, size) * 1.01);
  const lines: number[][] = [[]];
  let used = 0;
  widths.forEach((w, i) => {
    if (used + w > room && used > 0) {
      lines.push([]);
      used = 0;
    }
    lines[lines.length - 1]?.push(i);
    used += w;
  });
  const boxes: Box[] = [];
  lines.forEach((line, r) => {
    let x = (f.W - line.reduce((s, i) => s + (widths[i] as number), 0)) / 2;
    for (const i of line) {
      boxes[i] = { x, y: f.H * 0.4 + (r - lines.length / 2) * size * 1.6, w: widths[i] as number, h: size * 1.5 };
      x += widths[i] as number;
    }
  });
  if (readsFromRight(pieces)) for (const box of boxes) box.x = f.W - box.x - box.w;
  return boxes;
}

/** Frames of the blocks, from the entry up. */
function blocks(f: Frame, d: Draw, p: Plan): void {
  const L = f.b.model.n_layers;
  const grow = part(prog(f, 'columns'), 0.4, 1);
  const h = p.river.h / L;
  const every = h < 16 ? 5 : 1;
  for (let l = 0; l < L; l++) {
    const a = grow * stagger(prog(f, 'columns'), l, L, 0.3, 1, 0.5);
    const y = p.river.y + p.river.h - h * (l + 1);
    d.fade(a, () => {
      const gap = Math.min(3, h * 0.12);
      d.rect(p.river.x - 4, y + gap, p.river.w + 8, h - 2 * gap, { r: Math.min(8, h * 0.25), fill: 'surface/0.75', stroke: 'line' });
      // Where blocks are low, only some are named.
      if (l % every === 0 || l === L - 1) d.text(p.river.x - 12, y + h / 2, f.narrow ? String(l) : `${f.t('scene.block')} ${l}`, { size: 11.5, anchor: 'end', fill: 'muted' });
    });
  }
}

const progressUp = (f: Frame): number => {
  const L2 = 2 * f.b.model.n_layers;
  return (part(prog(f, 'attend'), 0.1, 0.9) + part(prog(f, 'think'), 0.1, 0.9) + (L2 - 2) * part(prog(f, 'stack'), 0.05, 0.95)) / L2;
};

/** The residual stream: as wide as the vector is long. */
function columns(f: Frame, d: Draw, p: Plan): void {
  const L = f.b.model.n_layers;
  const names = ['blocks.0.resid_pre', ...Array.from({ length: L }, (_, l) => [`blocks.${l}.resid_mid`, `blocks.${l}.resid_post`]).flat()];
  const lengths = p.shown.map((t) => names.map((s) => norm(row(f.b, s, [t]))));
  const { full, isCut } = riverScale(lengths);
  if (isCut) d.badge('badge.cut', { v: num(full, 0) });
  const wide = Math.min(30, (p.river.w / (p.shown.length + 1)) * 0.62);
  const up = progressUp(f);
  p.shown.forEach((t, i) => {
    const widths = (lengths[i] as number[]).map((v) => 3 + (wide - 3) * Math.min(1, v / full));
    const enter = part(prog(f, 'columns'), 0, 0.5);
    const [chip, first] = [p.chips[i] as Box, p.ys[0] as number];
    d.fade(enter, () => d.line(p.colX(i), chip.y, p.colX(i), first, 'resid', 3));
    const last = t === tokensOf(f).length - 1;
    ribbon(d, p.colX(i), p.ys, widths, up, 'resid', last ? 0.95 : 0.55);
    for (let l = 0; l < L; l++) mlpDot(f, d, p, i, l, up);
  });
  attention(f, d, p, up);
}

function mlpDot(f: Frame, d: Draw, p: Plan, i: number, l: number, up: number): void {
  const L2 = 2 * f.b.model.n_layers;
  const a = part(up * L2, 2 * l + 1.2, 2 * l + 1.9);
  const y = ((p.ys[2 * l + 1] as number) + (p.ys[2 * l + 2] as number)) / 2;
  d.disc(p.colX(i), y, Math.min(7, p.river.h / L2 / 3) * a, { fill: 'mlp', stroke: 'stage', sw: 1.5, a });
}

/** In each block, the mean pattern of all its heads as arcs, most plainly into the last token. */
function attention(f: Frame, d: Draw, p: Plan, up: number): void {
  const { n_layers: L, n_heads: H } = f.b.model;
  for (let l = 0; l < L; l++) {
    const a = part(up * 2 * L, 2 * l + 0.05, 2 * l + 0.85);
    if (a <= 0) continue;
    const list: Arc[] = [];
    p.shown.forEach((q, qi) => {
      p.shown.forEach((k, ki) => {
        if (k >= q) return;
        let w = 0;
        for (let h = 0; h < H; h++) w += cornerAt(f.b, l, h, q, k) / H;
        if (w > 0.06) list.push({ from: p.colX(ki), to: p.colX(qi), weight: w * (q === tokensOf(f).length - 1 ? 1.5 : 0.5) });
      });
    });
    // Low blocks have thin arcs, or all would be one colour.
    const band = p.river.h / (2 * L);
    arcs(d, list, p.ys[2 * l] as number, band * 0.95, 'attn', Math.min(7, band * 0.4), a);
  }
}

function guesses(f: Frame, d: Draw, p: Plan): void {
  const s = f.b.sample;
  const show = part(prog(f, 'predict'), 0.1, 0.6);
  if (!s || show === 0) return;
  const items = s.candidates.slice(0, f.narrow ? 4 : 8);
  if (!items.some((c) => c.id === s.chosen.id)) {
    const mine = s.candidates.find((c) => c.id === s.chosen.id);
    if (mine) items[items.length - 1] = mine;
  }
  const pick = part(prog(f, 'draw'), 0, 0.35);
  const last = p.shown.length - 1;
  d.fade(show, () => {
    if (!f.narrow) d.path(`M${p.colX(last)},${p.ys[p.ys.length - 1]}C${p.colX(last)},${p.guess.y - 34} ${p.guess.x - 30},${p.guess.y - 34} ${p.guess.x - 2},${p.guess.y - 14}`, { stroke: 'resid', sw: 3, a: 1 - part(prog(f, 'again'), 0, 0.06) });
    d.text(p.guess.x, p.guess.y - 14, f.t('scene.next'), { a: f.narrow ? 1 - part(prog(f, 'again'), 0, 0.06) : 1, size: 13, weight: 620, fill: 'muted' });
    barList(d, {
      ...p.guess, labelW: f.narrow ? 84 : Math.min(104, p.guess.w * 0.42), tint: 'resid', full: Math.max(...items.map((c) => c.prob), 1e-9),
      items: items.map((c) => ({ token: c, value: c.prob, text: percent(c.prob), active: c.id === s.chosen.id && pick > 0.5, dim: c.id !== s.chosen.id && pick > 0.5, tint: c.id === s.chosen.id && pick > 0.5 ? 'accent' : 'resid', cell: { site: 'probs', index: [tokensOf(f).length - 1, c.id], value: c.prob, text: percent(c.prob) } })),
      reveal: (i) => stagger(prog(f, 'predict'), i, items.length, 0.3, 1, 0.5),
    });
    fly(f, d, p, items.findIndex((c) => c.id === s.chosen.id), items.length);
  });
}

/** The drawn token flies to the free place at the end of the text. */
function fly(f: Frame, d: Draw, p: Plan, rank: number, count: number): void {
  const g = land(prog(f, 'draw'), 0.4, 0.95);
  const s = f.b.sample;
  if (!s || g === 0 || rank < 0) return;
  const rowH = p.guess.h / count;
  const w = Math.min(p.river.w / (p.shown.length + 1) + 4, chipWidth(s.chosen));
  const to = { x: p.colX(p.shown.length) - w / 2, y: p.river.y + p.river.h + 14, w, h: f.narrow ? 26 : 32 };
  const from = { x: p.guess.x, y: p.guess.y + rowH * (rank + 0.5) - 14, w, h: 28 };
  tokenChip(d, { x: lerp(from.x, to.x, g), y: lerp(from.y, to.y, g), w, h: lerp(from.h, to.h, g) }, s.chosen, { active: true });
}

/** The loop, as text: the visitor's words and, one after the other, the model's. */
function story(f: Frame, d: Draw, p: Plan): void {
  const g = prog(f, 'again');
  const made = f.b.generated?.steps;
  if (!made?.length || g === 0) return;
  const size = f.narrow ? 14 : 17;
  const count = Math.max(1, Math.ceil(part(g, 0.05, 0.95) * made.length));
  const before = joined(p.shown.map((t) => tokenAt(f, t)));
  const after = joined(made);
  const words = [...before.map((text) => ({ text, mine: false })), ...after.slice(0, count).map((text) => ({ text, mine: true }))];
  // The newest words stay in sight: older ones leave on the left.
  const room = f.W - pad(f) * 2 - 16;
  let start = 0;
  const width = (from: number): number => words.slice(from).reduce((s, w) => s + textWidth(w.text, size), 0);
  while (start < words.length - 1 && width(start) > room) start++;
  d.fade(part(g, 0, 0.1), () => {
    const y = f.narrow ? 16 : 34;
    d.rect(pad(f) - 4, y - 15, f.W - pad(f) * 2 + 8, 32, { r: 8, fill: 'token', stroke: 'line' });
    const left = readsFromRight(words.map((w) => w.text));
    let x = pad(f) + 6;
    for (const w of words.slice(start)) {
      d.text(left ? f.W - x : x, y + 1, w.text, { size, weight: w.mine ? 650 : 450, fill: w.mine ? 'accent' : 'ink', anchor: left ? 'end' : 'start' });
      x += textWidth(w.text, size);
    }
  });
}
