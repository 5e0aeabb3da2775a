// The logit lens along the river: the word under each state, with its probability, and where the guess changes on its way.
import { percent, tokenText } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import { fit } from '../../marks/measure';
import { stagger } from '../../timeline/ease';
import type { Guess } from '../../trace/wire';
import { prog } from '../common';
import type { Frame } from '../types';
import { levels } from './levels';
import type { Plan } from './scene';

/** Half the height of a word's cell, and the least distance between two cells that has room for a sign. */
const HALF = 13;
const ROOM_FOR_SIGN = 16;

/** What each state would say if it were the last: a word per token and layer. */
export function words(f: Frame, d: Draw, p: Plan): void {
  const g = prog(f, 'lens');
  const lens = f.b.lens;
  if (!lens || g === 0) return;
  const stages = levels(lens.sites.length, ((p.ys[0] as number) - (p.ys[p.ys.length - 1] as number)) / (f.ghost ? 44 : 30) + 1);
  if (stages.length < lens.sites.length) d.badge('badge.layers', { n: String(stages.length), total: String(lens.sites.length) });
  const yOf = (s: number): number => p.ys[Math.min(p.ys.length - 1, 2 * s)] as number;
  p.shown.forEach((t, i) => {
    const final = lens.top[lens.sites.length - 1]?.[t]?.[0]?.id;
    stages.forEach((s, k) => {
      const guess = lens.top[s]?.[t]?.[0];
      if (!guess) return;
      const a = stagger(g, s, lens.sites.length, 0.1, 1, 0.3);
      const below = stages[k - 1];
      const before = below === undefined ? undefined : lens.top[below]?.[t]?.[0];
      if (before && below !== undefined) between(d, { x: p.x(i), from: yOf(below) - HALF, to: yOf(s) + HALF, same: before.id === guess.id, wins: guess.id === final, a });
      const was = f.ghost?.lens?.top[s]?.[t]?.[0];
      if (was && was.id !== guess.id) wasWord(d, { x: p.x(i), y: yOf(s), w: p.step - 8, was, a });
      word(d, { guess, x: p.x(i), y: yOf(s), w: p.step - 8, wins: guess.id === final, at: [s, t], a });
    });
  });
}

/** A bar where the guess stays what it was below, a sign where it becomes another one. */
function between(d: Draw, o: { x: number; from: number; to: number; same: boolean; wins: boolean; a: number }): void {
  if (o.from - o.to < 3) return;
  const y = (o.from + o.to) / 2;
  if (o.same) {
    d.rect(o.x - 2, o.to, 4, o.from - o.to, { fill: o.wins ? 'accent/0.75' : 'faint/0.6', a: o.a });
    return;
  }
  d.line(o.x, o.from, o.x, o.to, 'neg', 1.4, { dash: [2, 3], a: o.a });
  if (o.from - o.to >= ROOM_FOR_SIGN) d.disc(o.x, y, 7.5, { fill: 'stage', stroke: 'neg', sw: 1.4, label: { text: '≠', size: 11, weight: 650, fill: 'ink' }, a: o.a });
}

function word(d: Draw, o: { guess: Guess; x: number; y: number; w: number; wins: boolean; at: number[]; a: number }): void {
  const { guess, x, y, w, a } = o;
  const share = percent(guess.prob);
  const shareW = share.length * 6.7 + 10;
  const both = w - shareW > 34;
  const room = both ? w - shareW - 9 : w - 8;
  const left = x - w / 2;
  d.rect(left, y - HALF, w, 2 * HALF, { r: 7, fill: 'raised', stroke: o.wins ? 'accent' : 'line', sw: o.wins ? 1.8 : 1.2, a });
  // As far filled as the word is likely, in the colour of what wins.
  d.rect(left + 1, y - HALF + 1, Math.max(0, (w - 2) * guess.prob), 2 * HALF - 2, { r: 6, fill: o.wins ? 'accent/0.2' : 'resid/0.16', a });
  d.text(both ? left + 7 : x, y, fit(tokenText(guess), room, 13), { size: 13, anchor: both ? 'start' : 'middle', weight: o.wins ? 660 : 480, font: guess.text === null ? 'mono' : 'sans', a });
  if (both) d.text(x + w / 2 - 6, y, share, { size: 11, font: 'mono', anchor: 'end', fill: 'muted', a, cell: { site: 'lens:prob', index: o.at, value: guess.prob, text: share } });
}

/** The untouched run's word, where it was another one: it looks out from behind. */
function wasWord(d: Draw, o: { x: number; y: number; w: number; was: Guess; a: number }): void {
  d.rect(o.x - o.w / 2 + 3, o.y + 2, o.w - 6, 25, { r: 7, fill: 'stage', stroke: 'muted', sw: 1, dash: [3, 2], a: o.a });
  d.text(o.x, o.y + 20, fit(tokenText(o.was), o.w - 12, 10.5), { size: 10.5, anchor: 'middle', fill: 'muted', font: o.was.text === null ? 'mono' : 'sans', a: o.a });
}
