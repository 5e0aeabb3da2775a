// The change that attention makes to the residual stream: shown before anything is explained, and again when it is made.
import { num } from '../../i18n/format';
import { arcPath, arcs } from '../../marks/arcs';
import type { Draw } from '../../marks/draw';
import { tokenChip } from '../../marks/tokens';
import { cellsThatFit, cellX, firstDims, fullScale, topDims } from '../../marks/vector';
import { part, stagger } from '../../timeline/ease';
import { row, valueAt } from '../../trace/bundle';
import { attended, block, LONG, norm, pad, prog, strip, tokenAt } from '../common';
import type { Frame } from '../types';

export function tokenRow(f: Frame, d: Draw, y: number, max: number, show = 1): { shown: number[]; x: (i: number) => number; h: number } {
  const m = pad(f);
  const shown = attended(f, d, max);
  const step = (f.W - 2 * m) / shown.length;
  const x = (i: number): number => m + step * (i + 0.5);
  const h = f.narrow ? 30 : 36;
  const w = Math.min(step - 5, 120);
  shown.forEach((t, i) => tokenChip(d, { x: x(i) - w / 2, y, w, h }, tokenAt(f, t), { active: t === f.view.token, dim: t > f.view.token, tint: 'q', a: (t > f.view.token ? 0.5 : 1) * show }));
  return { shown, x, h };
}

/** Which of them will it look at? Every earlier token might be the one: lines without weights, before any is known. */
export function guess(f: Frame, d: Draw): void {
  const g = prog(f, 'guess');
  const y = f.H * (f.narrow ? 0.46 : 0.5);
  const { shown, x } = tokenRow(f, d, y, f.narrow ? 6 : 10);
  const mine = shown.indexOf(f.view.token);
  shown.forEach((k, i) => {
    if (k > f.view.token) return;
    const a = stagger(g, i, shown.length, 0.1, 0.9, 0.4);
    if (k < f.view.token) d.path(arcPath(x(i), x(mine), y - 4, f.narrow ? 90 : f.H * 0.3, x(mine) - x(0)), { stroke: 'attn/0.6', sw: 1.5, dash: [2, 5], a });
    d.text(x(i), y + (f.narrow ? 50 : 62), '?', { size: f.narrow ? 18 : 24, weight: 650, anchor: 'middle', fill: 'attn', a });
  });
}

export function goal(f: Frame, d: Draw): void {
  const g = prog(f, 'goal');
  const y = f.narrow ? 78 : f.H * 0.3;
  const { shown, x } = tokenRow(f, d, y, f.narrow ? 6 : 10);
  const { head, token } = f.view;
  const mine = shown.indexOf(token);
  arcs(d, shown.flatMap((k, i) => (k <= token ? [{ from: x(i), to: x(mine), weight: valueAt(f.b, block(f, 'pattern'), [head, token, k]) }] : [])), y - 4, f.narrow ? 64 : f.H * 0.24, 'attn', 14, part(g, 0.05, 0.45));
  const top = y + (f.narrow ? 58 : 86);
  change(f, d, top, (f.H - top - 12) / 3, { pre: part(g, 0.25, 0.45), out: part(g, 0.4, 0.65), mid: (i, n) => stagger(g, i, n, 0.6, 1, 0.4) });
}

interface Shown {
  pre: number;
  out: number;
  mid: (i: number, n: number) => number;
}

/** resid_pre + attn_out = resid_mid, entry by entry. */
function change(f: Frame, d: Draw, top: number, gap: number, a: Shown): void {
  const m = pad(f);
  const t = f.view.token;
  const sites = ['resid_pre', 'attn_out', 'resid_mid'].map((s) => block(f, s));
  const rows = sites.map((s) => row(f.b, s, [t]));
  const full = fullScale(...rows);
  const side = f.narrow ? 0 : 84;
  const w = f.W - 2 * m - side;
  const fit = cellsThatFit(w, f.numbers, 16);
  const long = f.b.model.d_model > LONG;
  const dims = long ? topDims(rows[1] as Float32Array, fit) : firstDims(fit, f.b.model.d_model);
  const titles = [f.t('scene.before'), f.t('scene.attnAdds'), f.t('scene.after')];
  const tints = ['resid', 'attn', 'resid'];
  const shows = [a.pre, a.out, 1];
  sites.forEach((site, i) => {
    const y = top + gap * i;
    const o = strip(f, d, { x: m, y, w, h: Math.min(36, gap - 36), site, at: [t], title: i < 2 || a.mid(0, dims.length) > 0 ? titles[i] as string : '', tint: tints[i] as string, dims, full, largest: long, a: shows[i], reveal: i === 2 ? (j) => a.mid(j, dims.length) : undefined });
    if (!f.narrow) d.text(m + w + 10, y + o.h / 2, f.t('scene.length', { v: num(norm(rows[i] as Float32Array)) }), { size: 12, fill: 'muted', a: i === 2 ? a.mid(dims.length - 1, dims.length) : shows[i] });
    if (i < 2) dims.forEach((_, j) => d.text(cellX(o, j), y + o.h + 9, i === 0 ? '+' : '↓', { size: 12, anchor: 'middle', fill: 'faint', a: a.mid(j, dims.length) }));
  });
}

/** resid_pre becomes ln1: shifted to mean 0, scaled to deviation 1. */
export function normed(f: Frame, d: Draw): void {
  const g = prog(f, 'norm');
  const m = pad(f);
  const t = f.view.token;
  const [pre, ln] = [row(f.b, block(f, 'resid_pre'), [t]), row(f.b, block(f, 'ln1'), [t])];
  const w = f.W - 2 * m;
  const dims = firstDims(cellsThatFit(w, f.numbers, 16), f.b.model.d_model);
  const rms = f.b.model.parts.norm === 'rms';
  const mean = rms ? 0 : pre.reduce((s, v) => s + v, 0) / pre.length;
  const std = Math.sqrt(pre.reduce((s, v) => s + (v - mean) ** 2, 0) / pre.length + f.b.model.norm_eps);
  const { h } = tokenRow(f, d, f.narrow ? 14 : 40, f.narrow ? 6 : 10);
  const top = (f.narrow ? 14 : 40) + h + (f.narrow ? 60 : 90);
  strip(f, d, { x: m, y: top, w, h: 36, site: block(f, 'resid_pre'), at: [t], title: f.t('scene.before'), tint: 'resid', dims, full: fullScale(pre) });
  const mid = (top + 36 + f.H - 96 - 26) / 2 - 10;
  d.fade(part(g, 0.1, 0.35), () => {
    const text = `x − ${num(mean, 3)}`.replace('− −', '+ ');
    const plain = rms ? (f.narrow ? `x ÷ ${num(std, 3)} · γ` : `x  ÷  ${num(std, 3)}   ·  γ`) : f.narrow ? `(${text}) ÷ ${num(std, 3)} · γ + β` : `(${text})  ÷  ${num(std, 3)}   ·  γ  +  β`;
    d.text(f.W / 2, mid, plain, { size: f.narrow ? 15 : 19, font: 'mono', anchor: 'middle', weight: 560 });
    d.text(f.W / 2, mid + 24, f.t(`scene.${rms ? 'rms' : 'meanStd'}${f.narrow ? 'Short' : ''}`), { size: 12.5, anchor: 'middle', fill: 'muted' });
  });
  strip(f, d, { x: m, y: f.H - 96, w, h: 36, site: block(f, 'ln1'), at: [t], title: f.t('scene.normed'), tint: 'resid', dims, full: fullScale(ln), reveal: (i) => stagger(g, i, dims.length, 0.4, 1, 0.4), a: part(g, 0.3, 0.5) });
}

export function added(f: Frame, d: Draw): void {
  const g = prog(f, 'add');
  const y = f.narrow ? 14 : 34;
  const { h } = tokenRow(f, d, y, f.narrow ? 6 : 10);
  const top = y + h + (f.narrow ? 44 : 66);
  change(f, d, top, (f.H - top - 6) / 3, { pre: 1, out: part(g, 0, 0.3), mid: (i, n) => stagger(g, i, n, 0.3, 1, 0.4) });
}
