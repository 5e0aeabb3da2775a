// The query is turned by its place: each pair of its numbers is a hand of a clock of its own.
import { num } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import { cellsThatFit, firstDims, fullScale } from '../../marks/vector';
import { lerp, part, stagger } from '../../timeline/ease';
import { hasSite, row } from '../../trace/bundle';
import { block, pad, prog, strip, tokenAt } from '../common';
import { tokenChip } from '../../marks/tokens';
import type { Frame } from '../types';

interface Hand {
  pair: number;
  /** Radians. */
  angle: number;
  before: readonly [number, number];
  after: readonly [number, number];
}

/** Some pairs, from the one that turns fastest to the slowest, evenly apart. */
function hands(f: Frame): Hand[] {
  const { token, head } = f.view;
  const frequencies = f.b.model.parts.frequencies ?? [];
  const half = frequencies.length;
  const count = Math.min(half, f.narrow ? 4 : 10);
  const from = row(f.b, given(f), [token, head]);
  const to = row(f.b, block(f, 'q'), [token, head]);
  return Array.from({ length: count }, (_, i) => {
    const pair = Math.round((i * (half - 1)) / Math.max(1, count - 1));
    return { pair, angle: token * (frequencies[pair] as number), before: [from[pair] as number, from[pair + half] as number], after: [to[pair] as number, to[pair + half] as number] };
  });
}

/** What is turned: the product, or, where heads are normed, what their norm gives. */
const given = (f: Frame): string => block(f, hasSite(f.b, block(f, 'q_norm')) ? 'q_norm' : 'q_pre');

export function turn(f: Frame, d: Draw): void {
  const g = prog(f, 'turn');
  const m = pad(f);
  const { token, head } = f.view;
  const w = f.W - 2 * m;
  const all = hands(f);
  d.badge('badge.pairs', { n: String(all.length), total: String(f.b.model.d_head / 2) });
  const chip = f.narrow ? 64 : 96;
  tokenChip(d, { x: m, y: f.narrow ? 10 : 24, w: chip, h: 32 }, tokenAt(f, token), { active: true, tint: 'q' });
  d.text(m + chip + 12, (f.narrow ? 10 : 24) + 16, f.t('scene.turnPlace', { t: token }), { size: f.narrow ? 12.5 : 14, fill: 'muted' });
  const from = row(f.b, given(f), [token, head]);
  const dims = firstDims(cellsThatFit(w, f.numbers, 16), from.length);
  const top = f.narrow ? 80 : 104;
  strip(f, d, { x: m, y: top, w, h: 34, site: given(f), at: [token, head], title: f.t('scene.turnBefore'), tint: 'q', dims, full: fullScale(from) });
  const band = { y: top + 50, h: f.H - 74 - top - 76 };
  // Two rows where there is room: larger clocks.
  const lines = !f.narrow && band.h > 240 && all.length > 5 ? 2 : 1;
  const per = Math.ceil(all.length / lines);
  const [step, line] = [w / per, band.h / lines];
  const r = Math.min(step * 0.36, (line - 40) * 0.46);
  const longest = Math.max(...all.map((h) => Math.hypot(...h.before)), 1e-9);
  all.forEach((h, i) => clock(f, d, { h, x: m + step * ((i % per) + 0.5), y: band.y + line * (Math.floor(i / per) + 0.5) - 16, r, longest, go: stagger(g, i, all.length, 0.2, 0.85, 0.4), token, head }));
  const to = row(f.b, block(f, 'q'), [token, head]);
  strip(f, d, { x: m, y: f.H - 56, w, h: 36, site: block(f, 'q'), at: [token, head], title: f.t('scene.turnAfter'), tint: 'q', dims, full: fullScale(to), reveal: (i) => stagger(g, i, dims.length, 0.72, 1, 0.4), a: part(g, 0.65, 0.78) });
}

interface Clock {
  h: Hand;
  x: number;
  y: number;
  r: number;
  longest: number;
  go: number;
  token: number;
  head: number;
}

/** One pair as a hand: pale where it was, strong where the turn takes it. */
function clock(f: Frame, d: Draw, o: Clock): void {
  const half = f.b.model.d_head / 2;
  const size = 0.18 + 0.82 * (Math.hypot(...o.h.before) / o.longest);
  const start = Math.atan2(o.h.before[1], o.h.before[0]);
  const at = (angle: number): [number, number] => [o.x + Math.cos(angle) * o.r * size, o.y - Math.sin(angle) * o.r * size];
  d.disc(o.x, o.y, o.r, { fill: 'surface', stroke: 'line' });
  const [x0, y0] = at(start);
  d.line(o.x, o.y, x0, y0, 'q/0.35', 2.5);
  const now = start + o.h.angle * o.go;
  const [x1, y1] = at(now);
  arc(d, o, start, o.h.angle * o.go);
  d.line(o.x, o.y, x1, y1, 'q', 3.2);
  const done = o.go >= 1;
  const value = done ? o.h.after[0] : o.h.before[0];
  d.disc(x1, y1, 4.5, { fill: 'q', stroke: 'stage', sw: 1.2, cell: done ? { site: block(f, 'q'), index: [o.token, o.head, o.h.pair], value, text: '' } : undefined });
  d.text(o.x, o.y + o.r + 15, `${o.h.pair} · ${o.h.pair + half}`, { size: 11, font: 'mono', anchor: 'middle', fill: 'muted' });
  const text = num(o.h.angle, o.h.angle < 0.1 ? 4 : o.h.angle < 10 ? 2 : 1);
  d.text(o.x, o.y + o.r + 32, `θ = ${text}`, { size: 12.5, font: 'mono', weight: 600, anchor: 'middle', fill: 'q', a: lerp(0.2, 1, o.go), cell: { site: 'derived:angle', index: [o.token, o.head, o.h.pair], value: o.h.angle, text } });
}

/** The way of the hand; beyond a whole turn, a whole ring. */
function arc(d: Draw, o: Clock, start: number, angle: number): void {
  const r = o.r * 0.3;
  if (angle >= Math.PI * 2) {
    d.disc(o.x, o.y, r, { stroke: 'q/0.5', sw: 1.6 });
    return;
  }
  if (angle < 0.02) return;
  const p = (a: number): string => `${(o.x + Math.cos(a) * r).toFixed(1)},${(o.y - Math.sin(a) * r).toFixed(1)}`;
  d.path(`M${p(start)}A${r.toFixed(1)},${r.toFixed(1)} 0 ${angle > Math.PI ? 1 : 0} 0 ${p(start + angle)}`, { stroke: 'q/0.6', sw: 1.6 });
}
