import { num, percent, tokenText } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import { fit } from '../../marks/measure';
import { ribbon, riverScale } from '../../marks/river';
import { tokenChip, windowOf } from '../../marks/tokens';
import { part, stagger } from '../../timeline/ease';
import { row, type Bundle } from '../../trace/bundle';
import type { Guess } from '../../trace/wire';
import { norm, pad, prog, tokenAt, tokensOf } from '../common';
import type { Frame } from '../types';
import { words } from './lens';
import { levels } from './levels';

/** A length in three figures at most: there is little room beside the river. */
const size = (v: number): string => num(v, v >= 10 ? 0 : 1);

/** Where the columns and the levels of the stack lie. */
export interface Plan {
  shown: number[];
  x: (i: number) => number;
  step: number;
  top: number;
  bottom: number;
  /** Heights: the entry, then the middle and end of each block, upwards. */
  ys: number[];
  left: number;
  stages: string[];
}

export function plan(f: Frame): Plan {
  const m = pad(f);
  const T = tokensOf(f).length;
  const L = f.b.model.n_layers;
  const left = m + (f.narrow ? 24 : 70);
  const shown = windowOf(T, f.view.token, f.narrow ? 4 : Math.max(5, Math.floor((f.W - left - m) / 92)));
  const step = (f.W - left - m) / shown.length;
  const [top, bottom] = [f.narrow ? 26 : 44, f.H - (f.narrow ? 50 : 64)];
  const ys = Array.from({ length: 2 * L + 1 }, (_, i) => bottom - ((bottom - top - 16) * i) / (2 * L) - 16);
  const stages = ['blocks.0.resid_pre', ...Array.from({ length: L }, (_, l) => [`blocks.${l}.resid_mid`, `blocks.${l}.resid_post`]).flat()];
  return { shown, x: (i) => left + step * (i + 0.5), step, top, bottom, ys, left, stages };
}

export function scene(f: Frame, d: Draw): void {
  const p = plan(f);
  const T = tokensOf(f).length;
  if (p.shown.length < T) d.badge('badge.tokens', { n: String(p.shown.length), total: String(T) });
  const focus = part(prog(f, 'last'), 0, 0.25);
  d.fade(1 - focus, () => {
    frames(f, d, p);
    rivers(f, d, p);
    words(f, d, p);
  });
  if (focus > 0) d.fade(focus, () => guesses(f, d));
}

export function frames(f: Frame, d: Draw, p: Plan): void {
  const low = (p.ys[0] as number) - (p.ys[2] as number) < 16;
  for (let l = 0; l < f.b.model.n_layers; l++) {
    const [y1, y0] = [p.ys[2 * l + 2] as number, p.ys[2 * l] as number];
    const gap = Math.min(3, (y0 - y1) * 0.12);
    d.rect(p.left - 2, y1 + gap, p.step * p.shown.length + 4, y0 - y1 - 2 * gap, { r: Math.min(8, (y0 - y1) * 0.25), fill: 'surface/0.7', stroke: 'line' });
    if (!low || l % 5 === 0 || l === f.b.model.n_layers - 1) d.text(p.left - 10, (y0 + y1) / 2, f.narrow ? String(l) : `${f.t('scene.block')} ${l}`, { size: 11.5, anchor: 'end', fill: 'muted' });
  }
  p.shown.forEach((t, i) => {
    const w = Math.min(p.step - 6, 110);
    tokenChip(d, { x: p.x(i) - w / 2, y: p.bottom + 8, w, h: 32 }, tokenAt(f, t), { active: t === f.view.token });
  });
}

/** Ribbons as wide as the vectors are long; attention and MLP flow in from the side, as strongly as what they add. */
function rivers(f: Frame, d: Draw, p: Plan): void {
  const g = part(prog(f, 'river'), 0.05, 0.95);
  const ch = part(prog(f, 'changes'), 0, 0.6);
  const lens = part(prog(f, 'lens'), 0, 0.3);
  const lengths = p.shown.map((t) => p.stages.map((s) => norm(row(f.b, s, [t]))));
  const adds = p.shown.map((t) => p.stages.slice(1).map((_, i) => norm(row(f.b, `blocks.${Math.floor(i / 2)}.${i % 2 ? 'mlp_out' : 'attn_out'}`, [t]))));
  const { full, isCut } = riverScale(lengths);
  if (isCut) d.badge('badge.cut', { v: num(full, 0) });
  const share = (v: number): number => Math.min(1, v / full);
  const band = (p.ys[0] as number) - (p.ys[1] as number);
  const wide = Math.min(38, p.step * 0.5);
  d.fade(1 - 0.84 * lens, () => {
    // Streams of one colour are one path: a deep model has hundreds.
    const streams = new Map<string, string>();
    p.shown.forEach((t, i) => {
      const mine = t === f.view.token;
      const named = p.step > 64 ? roomFor(adds[i] as number[], band) : new Set<number>();
      const was = f.ghost && p.stages.map((s) => norm(row(f.ghost as Bundle, s, [t])));
      if (was?.some((v) => v > 0)) ribbon(d, p.x(i), p.ys, was.map((v) => 3 + (wide - 3) * share(v)), g, 'ink', 0.75, true);
      ribbon(d, p.x(i), p.ys, (lengths[i] as number[]).map((v) => 3 + (wide - 3) * share(v)), g, 'resid', mine ? 0.9 : 0.5);
      (adds[i] as number[]).forEach((v, s) => {
        const a = part(g * (p.ys.length - 1), s + 0.2, s + 1);
        const y = ((p.ys[s] as number) + (p.ys[s + 1] as number)) / 2;
        const w = Math.max(1.5, wide * share(v));
        const tint = s % 2 ? 'mlp' : 'attn';
        const edge = p.x(i) - (3 + (wide - 3) * share((lengths[i] as number[])[s] as number)) / 2;
        const key = `${tint}|${a.toFixed(2)}`;
        streams.set(key, (streams.get(key) ?? '') + inflow(p.x(i) - p.step * 0.46, edge, y, w, Math.min(14, band * 0.4)));
        if (ch > 0 && named.has(s)) d.text(p.x(i) + wide / 2 + 4, y, size(v), { size: 11, font: 'mono', fill: tint, weight: 600, a: ch * stagger(prog(f, 'changes'), s, p.ys.length, 0, 1, 0.4), cell: { site: `derived:‖${s % 2 ? 'mlp_out' : 'attn_out'}‖`, index: [Math.floor(s / 2), t], value: v, text: size(v) } });
      });
    });
    for (const [key, path] of streams) {
      const [tint, a] = key.split('|') as [string, string];
      d.path(path, { fill: `${tint}/0.8`, a: Number(a) });
    }
  });
}

const LABEL_H = 13;

/** The additions that there is room to name: all, or the largest that do not lie on one another. */
function roomFor(adds: readonly number[], band: number): Set<number> {
  const apart = Math.ceil(LABEL_H / band);
  const chosen = new Set<number>();
  const bySize = [...adds.keys()].sort((a, b) => (adds[b] as number) - (adds[a] as number));
  for (const s of bySize) if ([...chosen].every((other) => Math.abs(other - s) >= apart)) chosen.add(s);
  return chosen;
}

/** A side stream of constant width that bends upwards into the edge of the river. */
function inflow(x0: number, x1: number, y: number, w: number, rise: number): string {
  const mid = (x0 + x1) / 2;
  const [top, low] = [y - w / 2, y + w / 2];
  const at = (v: number): string => v.toFixed(1);
  return `M${at(x0)},${at(top + rise)}C${at(mid)},${at(top + rise)} ${at(mid)},${at(top)} ${at(x1 + 1)},${at(top - rise * 0.4)}L${at(x1 + 1)},${at(low - rise * 0.4)}C${at(mid + 2)},${at(low)} ${at(mid)},${at(low + rise)} ${at(x0)},${at(low + rise)}Z`;
}

/** The chosen token: its five best guesses after each layer. */
function guesses(f: Frame, d: Draw): void {
  const lens = f.b.lens;
  if (!lens) return;
  const m = pad(f);
  const count = f.narrow ? 3 : 5;
  const labelW = f.narrow ? 54 : 110;
  const top = f.narrow ? 52 : 86;
  const shown = levels(lens.sites.length, (f.H - top - 16) / (f.narrow ? 24 : 30));
  if (shown.length < lens.sites.length) d.badge('badge.layers', { n: String(shown.length), total: String(lens.sites.length) });
  const rowH = Math.min(64, (f.H - top - 16) / shown.length);
  const colW = (f.W - 2 * m - labelW) / count;
  const final = lens.top[lens.top.length - 1]?.[f.view.token]?.[0]?.id;
  tokenChip(d, { x: m, y: f.narrow ? 10 : 30, w: Math.min(130, f.W * 0.3), h: 32 }, tokenAt(f, f.view.token), { active: true });
  d.text(m + Math.min(130, f.W * 0.3) + 12, f.narrow ? 26 : 46, f.t('scene.lensHint'), { size: 13, fill: 'muted' });
  shown.forEach((s, i) => {
    // The last layer stands at the bottom: the guess is read downwards, as it forms.
    const y = top + rowH * i + rowH / 2;
    const a = stagger(prog(f, 'last'), i, shown.length, 0.15, 1, 0.3);
    d.text(m + labelW - 12, y, s === 0 ? f.t('scene.entryShort') : f.narrow ? `${f.t('scene.blockShort')}${s - 1}` : `${f.t('scene.block')} ${s - 1}`, { size: 12.5, anchor: 'end', fill: 'muted', a });
    (lens.top[s]?.[f.view.token] ?? []).slice(0, count).forEach((g, r) => guessCell(f, d, { g, x: m + labelW + colW * r, y, w: colW - 8, h: Math.min(36, rowH - 6), a, was: f.ghost?.lens?.top[s]?.[f.view.token]?.find((was) => was.id === g.id)?.prob, final: g.id === final, at: [s, f.view.token, r] }));
  });
}

function guessCell(f: Frame, d: Draw, o: { g: Guess; x: number; y: number; w: number; h: number; a: number; was: number | undefined; final: boolean; at: number[] }): void {
  const tint = o.final ? 'accent' : 'resid';
  d.fade(o.a, () => {
    d.rect(o.x, o.y - o.h / 2, o.w, o.h, { r: 7, fill: 'token', stroke: o.final ? 'accent' : 'line', sw: o.final ? 1.8 : 1 });
    d.rect(o.x, o.y - o.h / 2, o.w * o.g.prob, o.h, { r: 7, fill: `${tint}/0.28` });
    if (o.was !== undefined && Math.abs(o.was - o.g.prob) * o.w > 1) d.rect(o.x + 1, o.y - o.h / 2 + 1.5, Math.max(3, o.w * o.was - 2), o.h - 3, { r: 6, stroke: 'muted', sw: 1.2, dash: [3, 2] });
    const text = percent(o.g.prob);
    const room = o.w - 8 - text.length * 6.9 - 8;
    d.text(o.x + 8, o.y, fit(tokenText(o.g), room, f.narrow ? 12.5 : 13.5), { size: f.narrow ? 12.5 : 13.5, weight: o.final ? 680 : 500, font: o.g.text === null ? 'mono' : 'sans' });
    d.text(o.x + o.w - 7, o.y, text, { size: 11, font: 'mono', anchor: 'end', fill: 'muted', cell: { site: 'lens:prob', index: o.at, value: o.g.prob, text } });
  });
}
