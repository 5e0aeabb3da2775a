import { joined, percent, readsFromRight } from '../../i18n/format';
import { barList } from '../../marks/bars';
import type { Draw } from '../../marks/draw';
import { fit, textWidth } from '../../marks/measure';
import type { Box } from '../../marks/types';
import { lerp, part, stagger } from '../../timeline/ease';
import type { GenerateStep, Generated } from '../../trace/wire';
import { current, heading, pad, prog, tokensOf } from '../common';
import { isEdited } from '../../trace/bundle';
import type { Frame } from '../types';

/** Rows that would be computed if every step began anew. */
export const withoutCache = (prompt: number, steps: number): number => Array.from({ length: steps }, (_, i) => prompt + i).reduce((a, b) => a + b, 0);

/** How many steps of the loop have been made at this moment, with the part of the one under way. */
function made(f: Frame, count: number): number {
  const first = part(prog(f, 'prefill'), 0.1, 0.9);
  const one = part(prog(f, 'one'), 0.1, 0.9);
  return first + one + Math.max(0, count - 2) * (prog(f, 'loop') === 0 ? 0 : Math.min(1, prog(f, 'loop') / 0.95));
}

export function scene(f: Frame, d: Draw): void {
  if (isEdited(f.b)) d.badge('lab.noCache');
  const g = f.b.generated;
  if (!g || g.steps.length === 0) return;
  const end = current(f) === 'saved' ? part(f.p, 0, 0.2) : 0;
  d.fade(1 - end, () => loop(f, d, g));
  if (end > 0) d.fade(end, () => saved(f, d, g));
}

function loop(f: Frame, d: Draw, g: Generated): void {
  const m = pad(f);
  const done = Math.min(g.steps.length, made(f, g.steps.length));
  // A whole number means: that many are finished, and the picture rests on the last of them.
  const whole = done > 0 && Number.isInteger(done);
  const now = whole ? done - 1 : Math.floor(done);
  const inStep = whole ? 1 : done - now;
  const textBox: Box = { x: m, y: f.narrow ? 8 : 26, w: f.W - 2 * m, h: f.narrow ? 58 : 64 };
  text(f, d, g, textBox, now, inStep);
  const top = textBox.y + textBox.h + (f.narrow ? 34 : 48);
  const barsW = f.narrow ? 0 : Math.min(280, f.W * 0.34);
  const cache: Box = { x: m, y: top, w: f.W - 2 * m - (barsW ? barsW + 34 : 0), h: f.H - top - (f.narrow ? 118 : 40) };
  grid(f, d, g, cache, now, inStep);
  const bars: Box = f.narrow ? { x: m, y: f.H - 98, w: f.W - 2 * m, h: 92 } : { x: f.W - m - barsW, y: top, w: barsW, h: Math.min(250, f.H - top - 40) };
  candidates(f, d, g.steps[now] as GenerateStep, bars, inStep);
}

/** The text so far: given words in ink, drawn words in colour, the newest in a frame. */
function text(f: Frame, d: Draw, g: Generated, box: Box, now: number, inStep: number): void {
  const size = f.narrow ? 15 : 18;
  const prompt = joined(tokensOf(f));
  const new_ = joined(g.steps);
  const shown = now + (inStep > 0.75 ? 1 : 0);
  const words = [...prompt.map((w) => ({ w, mine: false })), ...new_.slice(0, shown).map((w) => ({ w, mine: true }))];
  const lines: { w: string; mine: boolean; x: number }[][] = [[]];
  let x = 0;
  for (const item of words) {
    if (x + textWidth(item.w, size) > box.w - 24) {
      lines.push([]);
      x = 0;
    }
    const w = x === 0 ? item.w.trimStart() : item.w;
    (lines[lines.length - 1] as { w: string; mine: boolean; x: number }[]).push({ ...item, w, x });
    x += textWidth(w, size);
  }
  d.rect(box.x, box.y, box.w, box.h, { r: 10, fill: 'token', stroke: 'line' });
  const last = lines.slice(-2);
  const left = readsFromRight(words.map((w) => w.w));
  last.forEach((line, i) => line.forEach((item) => d.text(left ? box.x + box.w - 12 - item.x : box.x + 12 + item.x, box.y + box.h / 2 + (i - (last.length - 1) / 2) * (size + 8), item.w, { size, weight: item.mine ? 650 : 450, fill: item.mine ? 'accent' : 'ink', anchor: left ? 'end' : 'start' })));
}

/** A row per step, a column per position: grey was kept, bright is computed now. */
function grid(f: Frame, d: Draw, g: Generated, box: Box, now: number, inStep: number): void {
  const positions = g.prompt_tokens + g.steps.length - 1;
  const shownCols = Math.min(positions, f.narrow ? 24 : 40);
  const firstCol = positions - shownCols;
  if (firstCol > 0) d.badge('badge.tokens', { n: String(shownCols), total: String(positions) });
  const rows = g.steps.length;
  const labelW = f.narrow ? 0 : 34;
  const cw = (box.w - labelW) / shownCols;
  const ch = Math.min(30, box.h / rows);
  heading(d, box.x, box.y - 18, f.t('scene.cacheGrid'), 'k');
  for (let r = 0; r <= now; r++) {
    const s = g.steps[r] as GenerateStep;
    const y = box.y + ch * r;
    const p = r === now ? inStep : 1;
    if (labelW) d.text(box.x + labelW - 8, y + ch / 2, String(r + 1), { size: 11, font: 'mono', anchor: 'end', fill: 'faint' });
    for (let c = 0; c < s.cached + s.computed; c++) {
      if (c < firstCol) continue;
      const fresh = c >= s.cached;
      const a = fresh ? stagger(p, c - s.cached, s.computed, 0, 0.55, 0.4) : part(p, 0, 0.2);
      const x = box.x + labelW + cw * (c - firstCol);
      d.rect(x + 0.8, y + 0.8, cw - 1.6, ch - 1.6, { r: Math.min(4, cw * 0.2), fill: fresh ? 'k' : 'k/0.22', a, stroke: fresh && r === now ? 'v' : undefined, sw: 1.5 });
    }
  }
  const s = g.steps[now] as GenerateStep;
  const y = Math.min(box.y + box.h + 4, box.y + ch * (now + 1)) + 15;
  if (y < f.H - 6 && !f.narrow) d.text(box.x + labelW, y, f.t('scene.cacheNow', { c: s.cached, n: s.computed }), { size: 12.5, fill: 'muted' });
}

function candidates(f: Frame, d: Draw, s: GenerateStep, box: Box, inStep: number): void {
  const list = s.top.slice(0, f.narrow ? 3 : 5);
  const items = list.some((c) => c.id === s.id) ? list : [...list.slice(0, -1), { id: s.id, text: s.text, bytes: s.bytes, prob: s.prob }];
  if (!f.narrow) heading(d, box.x, box.y - 18, f.t('scene.nextAt', { n: s.position }), 'accent');
  const picked = inStep > 0.7;
  barList(d, {
    ...box, labelW: f.narrow ? 96 : 112, tint: 'resid', full: Math.max(...items.map((c) => c.prob), 1e-9),
    items: items.map((c) => ({ token: c, value: c.prob, text: percent(c.prob), active: picked && c.id === s.id, dim: picked && c.id !== s.id, tint: picked && c.id === s.id ? 'accent' : 'resid', cell: { site: 'generate:prob', index: [s.position, c.id], value: c.prob, text: percent(c.prob) } })),
    reveal: (i) => stagger(inStep, i, items.length, 0.35, 0.65, 0.5),
  });
}

/** Rows computed with the cache and without it. */
function saved(f: Frame, d: Draw, g: Generated): void {
  const m = pad(f);
  const withCache = g.steps.reduce((s, x) => s + x.computed, 0);
  const plain = withoutCache(g.prompt_tokens, g.steps.length);
  const rows: [string, number, string][] = [[f.t('scene.noCache'), plain, 'faint'], [f.t('scene.withCache'), withCache, 'k']];
  const full = Math.max(plain, 1);
  const room = f.W - 2 * m - 80;
  rows.forEach(([name, n, tint], i) => {
    const y = f.H * 0.32 + i * (f.narrow ? 96 : 120);
    const grow = stagger(f.p, i, 2, 0.2, 1, 0.6);
    d.text(m, y - 30, name, { size: f.narrow ? 14 : 16, weight: 600 });
    d.rect(m, y - 14, lerp(0, (n / full) * room, grow), 38, { r: 5, fill: `${tint}/0.85` });
    d.text(m + (n / full) * room * grow + 12, y + 5, String(n), { size: 20, font: 'mono', weight: 650, a: grow });
  });
  const words = fit(joined(g.steps).join('').trim(), f.W - 2 * m, 14);
  if (words) d.text(m, f.H - 46, `… ${words}`, { size: 14, fill: 'accent', weight: 560 });
}
