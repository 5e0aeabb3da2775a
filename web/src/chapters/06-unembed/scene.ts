import { num, percent, tokenText } from '../../i18n/format';
import { barList } from '../../marks/bars';
import type { Draw } from '../../marks/draw';
import { fit } from '../../marks/measure';
import { chipWidth, tokenChip, windowOf } from '../../marks/tokens';
import type { Datum } from '../../marks/types';
import { unfold } from '../../marks/unfold';
import { fullScale } from '../../marks/vector';
import { land, lerp, part, stagger } from '../../timeline/ease';
import { cellKey, row } from '../../trace/bundle';
import type { Candidate, Sample } from '../../trace/wire';
import { current, heading, pad, prog, strip, tokenAt, tokensOf } from '../common';
import type { Frame } from '../types';

type Picture = (f: Frame, d: Draw) => void;
const PICTURES: Record<string, Picture> = { last, dot, logits: ranking, temperature: ranking, softmax: ranking, cut: ranking, draw };

export function scene(f: Frame, d: Draw): void {
  const here = PICTURES[current(f)] as Picture;
  const before = f.steps[f.step - 1];
  const past = before ? (PICTURES[before.id] as Picture) : here;
  const g = part(f.p, 0, 0.16);
  if (before && past !== here && g < 1) d.fade(1 - g, () => past({ ...f, step: f.step - 1, p: 1 }, d));
  d.fade(before && past !== here ? g : 1, () => here(f, d));
}

const lastOf = (f: Frame): number => tokensOf(f).length - 1;

/** Only the last vector is needed: it has seen the whole text. */
function last(f: Frame, d: Draw): void {
  const g = prog(f, 'last');
  const m = pad(f);
  const T = tokensOf(f).length;
  const shown = windowOf(T, T - 1, f.narrow ? 6 : 10);
  if (shown.length < T) d.badge('badge.tokens', { n: String(shown.length), total: String(T) });
  const step = (f.W - 2 * m) / shown.length;
  const away = part(g, 0.1, 0.5);
  const y = f.narrow ? 20 : 46;
  shown.forEach((t, i) => {
    const mine = t === T - 1;
    const x = m + step * (i + 0.5);
    const w = Math.min(step - 5, 110);
    d.fade(mine ? 1 : 1 - 0.78 * away, () => {
      tokenChip(d, { x: x - w / 2, y, w, h: 34 }, tokenAt(f, t), { active: mine });
      d.rect(x - 9, y + 44, 18, f.H - y - 44 - 170, { r: 9, fill: mine ? 'resid/0.9' : 'resid/0.45' });
    });
  });
  const x = m + step * (shown.length - 0.5);
  const flow = part(g, 0.4, 0.7);
  const [y0, y1] = [f.H - 126, f.H - 92];
  if (flow > 0) d.path(`M${x - 9},${y0 - 10}L${x + 9},${y0 - 10}C${x + 9},${y1} ${f.W - m},${y0} ${f.W - m},${y1}L${lerp(x - 18, m, flow)},${y1}C${lerp(x - 18, m, flow)},${y0} ${x - 9},${y1} ${x - 9},${y0 - 10}Z`, { fill: 'resid/0.22', a: flow });
  strip(f, d, { x: m, y: f.H - 64, w: f.W - 2 * m, h: 38, site: 'ln_final', at: [T - 1], title: f.t('scene.lnFinal'), tint: 'resid', a: part(g, 0.55, 0.85) });
}

function dot(f: Frame, d: Draw): void {
  const m = pad(f);
  const best = f.b.sample?.candidates[0];
  if (!best) return;
  const of = f.b.cells.get(cellKey('logits', [lastOf(f), best.id]));
  const y = f.narrow ? 62 : 106;
  const w = chipWidth(best, 17);
  tokenChip(d, { x: m, y: f.narrow ? 10 : 30, w, h: 36 }, best, { active: true, size: 17 });
  d.text(m + w + 12, (f.narrow ? 10 : 30) + 18, f.t('scene.columnOf', { id: best.id }), { size: 13, fill: 'muted' });
  if (of) unfold(d, { x: m, y, w: f.W - 2 * m, h: f.H - y - 40, of, p: prog(f, 'dot'), tint: 'accent', leftTint: 'resid', leftName: 'ln_f', rightName: '  W_U', resultName: 'logit', restText: (n, v) => f.t(f.narrow ? 'scene.restShort' : 'scene.rest', { n, v }) });
  const ln = row(f.b, 'ln_final', [lastOf(f)]);
  if (!f.narrow && f.H > 560) strip(f, d, { x: m, y: f.H - 60, w: f.W - 2 * m, h: 34, site: 'ln_final', at: [lastOf(f)], title: f.t('scene.lnFinal'), tint: 'resid', full: fullScale(ln) });
}

/** The candidates as bars: logits, then ÷ temperature, then shares of 1, then what the cut leaves. */
function ranking(f: Frame, d: Draw): void {
  const s = f.b.sample;
  if (!s) return;
  const m = pad(f);
  const list = s.candidates.slice(0, f.narrow ? 9 : 12);
  const [temp, soft, cut] = [part(prog(f, 'temperature'), 0.2, 0.8), part(prog(f, 'softmax'), 0.25, 0.8), part(prog(f, 'cut'), 0.2, 0.6)];
  const top = f.narrow ? 44 : 74;
  const titles: [string, string][] = [['scene.logits', 'logits'], ['scene.scaled', ''], ['scene.probs', ''], ['scene.kept', '']];
  const phase = cut > 0.5 ? 3 : soft > 0.5 ? 2 : temp > 0.5 ? 1 : 0;
  const [key, site] = titles[phase] as [string, string];
  heading(d, m, top - 22, f.t(key, { t: num(f.settings.temperature, 1), k: f.settings.top_k, p: num(f.settings.top_p) }), 'accent', site);
  d.badge('badge.shown', { n: String(list.length), total: String(s.total) });
  const scaledProbs = softProbs(s, f);
  const before = untouched(f);
  const fullLogit = Math.max(...s.candidates.map((c) => Math.max(Math.abs(c.logit), Math.abs(c.scaled))), 1e-9);
  const fullProb = Math.max(...scaledProbs.slice(0, list.length), ...list.map((c) => c.final_prob), 1e-9);
  barList(d, {
    x: m, y: top, w: f.W - 2 * m, h: f.H - top - 12, labelW: f.narrow ? 92 : 140, tint: 'resid', full: 1, textW: 62,
    items: list.map((c, i) => {
      const logit = lerp(c.logit, c.scaled, temp) / fullLogit;
      const share = lerp(scaledProbs[i] as number, c.final_prob, cut) / fullProb;
      const dropped = !c.kept && cut > 0.5;
      const was = before?.(c.id);
      const { text, cell } = reading(f, c, phase, scaledProbs[i] as number);
      return { token: c, value: Math.max(0, lerp(logit, share, soft)), text, cell, dim: dropped, tint: dropped ? 'faint' : 'resid', ghost: was && Math.max(0, lerp(lerp(was.logit, was.scaled, temp) / fullLogit, lerp(was.prob, was.final, cut) / fullProb, soft)) };
    }),
    reveal: (i) => stagger(prog(f, 'logits'), i, list.length, 0.15, 1, 0.35),
  });
}

/** Shares already worked out, beside the logits and the temperature that they come from: a vocabulary is long. */
const sums = new WeakMap<Float32Array, { tau: number; max: number; sum: number }>();

/** softmax of the scaled logits, over the whole vocabulary. */
function softProbs(s: Sample, f: Frame): number[] {
  const logits = row(f.b, 'logits', [lastOf(f)]);
  const tau = f.settings.temperature || 1;
  const { max, sum } = softmaxOf(logits, tau);
  return s.candidates.map((c) => Math.exp(c.scaled - max) / sum);
}

function softmaxOf(logits: Float32Array, tau: number): { max: number; sum: number } {
  const known = sums.get(logits);
  const { max, sum } = known?.tau === tau ? known : exponentials(logits, tau);
  sums.set(logits, { tau, max, sum });
  return { max, sum };
}

/** What the same token had in the untouched run. */
function untouched(f: Frame): ((id: number) => { logit: number; scaled: number; prob: number; final: number }) | undefined {
  const logits = f.ghost && row(f.ghost, 'logits', [lastOf(f)]);
  const kept = f.ghost?.sample?.candidates;
  if (!logits?.length || !kept) return undefined;
  const tau = f.settings.temperature || 1;
  const { max, sum } = softmaxOf(logits, tau);
  return (id) => {
    const logit = logits[id] as number;
    return { logit, scaled: logit / tau, prob: Math.exp(logit / tau - max) / sum, final: kept.find((c) => c.id === id)?.final_prob ?? 0 };
  };
}

function exponentials(logits: Float32Array, tau: number): { max: number; sum: number } {
  let max = -Infinity;
  for (const v of logits) max = Math.max(max, v / tau);
  let sum = 0;
  for (const v of logits) sum += Math.exp(v / tau - max);
  return { max, sum };
}

function reading(f: Frame, c: Candidate, phase: number, prob: number): { text: string; cell: Datum } {
  const at = [lastOf(f), c.id];
  switch (phase) {
    case 0:
      return { text: num(c.logit), cell: { site: 'logits', index: at, value: c.logit, text: num(c.logit) } };
    case 1:
      return { text: num(c.scaled), cell: { site: 'sample:scaled', index: at, value: c.scaled, text: num(c.scaled) } };
    case 2:
      return { text: percent(prob), cell: { site: 'derived:softmax', index: at, value: prob, text: percent(prob) } };
    default: {
      const text = c.kept ? percent(c.final_prob) : '0';
      return { text, cell: { site: 'sample:final_prob', index: at, value: c.final_prob, text } };
    }
  }
}

/** All kept shares in one bar from 0 to 1; u falls on it, and what it hits is the next token. */
function draw(f: Frame, d: Draw): void {
  const s = f.b.sample;
  if (!s) return;
  const g = prog(f, 'draw');
  const m = pad(f);
  const w = f.W - 2 * m;
  const y = f.narrow ? Math.max(96, f.H * 0.3) : f.H * 0.38;
  const h = f.narrow ? 54 : 76;
  const kept = s.candidates.filter((c) => c.kept);
  const grow = part(g, 0.05, 0.4);
  heading(d, m, y - (f.narrow ? 78 : 128), f.t('scene.oneBar', { n: s.kept }), 'accent');
  kept.forEach((c, i) => slice(f, d, { c, i, x: m + w * (c.cumulative - c.final_prob) * grow, y, w: w * c.final_prob * grow, h, lit: c.id === s.chosen.id && g > 0.72, dim: g > 0.72 }));
  for (let i = 0; i <= 4; i++) d.text(m + (w * i) / 4, y + h + 16, num(i / 4), { size: 11.5, font: 'mono', anchor: i === 0 ? 'start' : i === 4 ? 'end' : 'middle', fill: 'muted' });
  if (s.u !== null) needle(f, d, { u: s.u, x: m + w * s.u, y, h, g, m, w });
  const won = part(g, 0.78, 1);
  const mine = kept.find((c) => c.id === s.chosen.id);
  const cw = Math.max(84, chipWidth(s.chosen, 26, w * 0.6));
  const to = { x: (f.W - cw) / 2, y: y + h + (f.narrow ? 38 : 92) };
  const from = { x: Math.max(m, Math.min(m + w - cw, m + w * (s.u ?? 0) - cw / 2)), y };
  d.fade(won, () => {
    tokenChip(d, { x: lerp(from.x, to.x, won), y: lerp(from.y, to.y, won), w: cw, h: f.narrow ? 44 : 54 }, s.chosen, { active: true, size: 26 });
    if (mine) d.text(f.W / 2, to.y + (f.narrow ? 62 : 78), f.t('scene.drawn', { p: percent(mine.final_prob), id: s.chosen.id }), { size: 13.5, fill: 'muted', anchor: 'middle' });
  });
}

function slice(f: Frame, d: Draw, o: { c: Candidate; i: number; x: number; y: number; w: number; h: number; lit: boolean; dim: boolean }): void {
  const size = f.narrow ? 12.5 : 14.5;
  const text = o.w > 30 ? fit(tokenText(o.c), o.w - 8, size) : '';
  const tint = o.lit ? 'accent' : 'resid';
  d.rect(o.x, o.y, o.w, o.h, { r: Math.min(6, o.w / 3), fill: `${tint}/${o.lit ? 1 : (o.i % 2 ? 0.5 : 0.72) * (o.dim ? 0.5 : 1)}`, stroke: 'stage', sw: o.w > 4 ? 1.5 : 0.4, cell: { site: 'sample:final_prob', index: [lastOf(f), o.c.id], value: o.c.final_prob, text: percent(o.c.final_prob) }, label: text ? { text, size, weight: 580 } : undefined });
  if (o.w > 50) d.text(o.x + o.w / 2, o.y + o.h - 13, percent(o.c.final_prob), { size: 11, font: 'mono', anchor: 'middle', fill: o.lit ? 'stage' : 'ink' });
}

function needle(f: Frame, d: Draw, o: { u: number; x: number; y: number; h: number; g: number; m: number; w: number }): void {
  const a = part(o.g, 0.4, 0.5);
  // The needle sweeps in from the left along the bar and stops at u.
  const x = lerp(o.m, o.x, land(o.g, 0.45, 0.72));
  const label = `u = ${num(o.u, 4)}`;
  const lw = 108;
  const lx = Math.max(o.m, Math.min(o.m + o.w - lw, x - lw / 2));
  d.fade(a, () => {
    d.line(x, o.y - 26, x, o.y + o.h + 4, 'ink', 2.5);
    d.path(`M${x - 7},${o.y - 14}L${x + 7},${o.y - 14}L${x},${o.y - 2}Z`, { fill: 'ink' });
    d.rect(lx, o.y - 56, lw, 28, { r: 7, fill: 'ink', label: { text: label, size: 13.5, font: 'mono', weight: 600, fill: 'stage' }, cell: { site: 'sample:u', index: [], value: o.u, text: num(o.u, 4) } });
    if (!f.narrow) d.text(lx > o.m + o.w / 2 ? lx - 12 : lx + lw + 12, o.y - 42, f.t('scene.seed', { s: f.settings.seed }), { size: 12.5, fill: 'muted', anchor: lx > o.m + o.w / 2 ? 'end' : 'start' });
  });
}
