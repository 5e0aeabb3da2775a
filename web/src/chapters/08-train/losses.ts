// The loss of each position as a bar, their mean as a line through all bars; and both again after some steps.
import { num, percent } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import { lossCurve } from '../../marks/losscurve';
import { tokenChip, windowOf } from '../../marks/tokens';
import type { Box } from '../../marks/types';
import { lerp, part, stagger } from '../../timeline/ease';
import type { Lesson } from '../../trace/wire';
import { heading, note, pad, prog } from '../common';
import type { Frame } from '../types';
import { lesson, runOf } from './lesson';

const FOOT = 62;

/** Where the columns of the list lie. */
interface Columns {
  chip: number;
  target: number;
  p: number;
  bar: number;
  room: number;
  rowH: number;
  top: number;
  shown: number[];
  full: number;
}

function columns(f: Frame, l: Lesson, box: Box, tops: readonly number[]): Columns {
  const chip = f.narrow ? 62 : 96;
  const p = box.x + 2 * chip + (f.narrow ? 18 : 30);
  const bar = p + (f.narrow ? 50 : 56);
  const shown = windowOf(l.losses.length, Math.min(f.view.token, l.losses.length - 1), Math.floor(box.h / (f.narrow ? 24 : 30)));
  const room = box.x + box.w - bar - 44;
  return { chip, target: box.x + chip + (f.narrow ? 16 : 26), p, bar, room, rowH: Math.min(46, box.h / shown.length), top: box.y, shown, full: Math.max(...tops, ...shown.map((t) => l.losses[t] as number)) };
}

export function losses(f: Frame, d: Draw): void {
  const l = lesson(f) as Lesson;
  const m = pad(f);
  const top = f.narrow ? 30 : 50;
  const chance = Math.log(runOf(f).model.vocab);
  const mean = prog(f, 'mean');
  const box: Box = { x: m, y: top, w: f.W - 2 * m, h: f.H - top - FOOT };
  const c = columns(f, l, box, [l.loss, mean > 0 ? chance : 0]);
  if (c.shown.length < l.losses.length) d.badge('badge.tokens', { n: String(c.shown.length), total: String(l.losses.length) });
  heads(f, d, box, c);
  c.shown.forEach((t, i) => lossRow(f, d, l, box, c, t, i, stagger(prog(f, 'loss'), i, c.shown.length, 0, 1, 0.4)));
  if (mean > 0) means(f, d, l, c, chance, mean);
}

function heads(f: Frame, d: Draw, box: Box, c: Columns): void {
  const y = box.y - (f.narrow ? 12 : 16);
  const size = f.narrow ? 11.5 : 13;
  note(d, box.x + c.chip / 2, y, f.t('train.reads'), 'muted', size, 'middle');
  note(d, c.target + c.chip / 2, y, f.t('train.truth'), 'muted', size, 'middle');
  note(d, c.p + (f.narrow ? 42 : 46), y, 'p', 'muted', size, 'end');
  note(d, c.bar, y, f.narrow ? '−ln p' : `${f.t('train.loss')} = −ln p`, 'grad', size);
}

function lossRow(f: Frame, d: Draw, l: Lesson, box: Box, c: Columns, t: number, i: number, a: number): void {
  const tokens = runOf(f).trace.tokens;
  const y = c.top + c.rowH * (i + 0.5);
  const h = Math.min(28, c.rowH * 0.84);
  const loss = l.losses[t] as number;
  const p = Math.exp(-loss);
  const mine = t === f.view.token;
  tokenChip(d, { x: box.x, y: y - h / 2, w: c.chip, h }, tokens[t] ?? { text: '' }, { active: mine });
  d.fade(a, () => {
    d.text((box.x + c.chip + c.target) / 2, y, '→', { size: 12, anchor: 'middle', fill: 'faint' });
    tokenChip(d, { x: c.target, y: y - h / 2, w: c.chip, h }, l.targets[t] ?? { text: '' });
    d.text(c.p + (f.narrow ? 42 : 46), y, percent(p), { size: 12, font: 'mono', anchor: 'end', fill: 'muted', cell: { site: 'lesson:p', index: [t], value: p, text: percent(p) } });
    const w = Math.max(1.5, (loss / c.full) * c.room * a);
    const barH = Math.min(20, c.rowH * 0.62);
    d.rect(c.bar, y - barH / 2, w, barH, { r: 3, fill: `grad/${mine ? 0.95 : 0.7}`, cell: { site: 'lesson:loss', index: [t], value: loss, text: '' } });
    d.text(c.bar + w + 6, y, num(loss), { size: 12, font: 'mono', weight: mine ? 650 : 500, fill: mine ? 'ink' : 'muted', cell: { site: 'lesson:loss', index: [t], value: loss, text: num(loss) } });
  });
}

/** The mean of all positions, and what blind guessing would cost. */
function means(f: Frame, d: Draw, l: Lesson, c: Columns, chance: number, p: number): void {
  const bottom = c.top + c.rowH * c.shown.length;
  const line = (value: number, tint: string, a: number, dash: number[]): number => {
    const x = c.bar + (value / c.full) * c.room;
    d.line(x, c.top, x, lerp(c.top, bottom + 6, a), tint, 1.8, { dash, a });
    return x;
  };
  const [a, later] = [part(p, 0, 0.5), part(p, 0.5, 1)];
  const [x, guess] = [line(l.loss, 'grad', a, []), line(chance, 'muted', later, [4, 4])];
  const label = (at: number, y: number, key: string, text: string, fill: string, site: string, value: number, alpha: number): void => {
    const name = f.t(key);
    const left = at > f.W * 0.6;
    d.text(at + (left ? -4 : 4), y, name, { size: f.narrow ? 12 : 13, fill, weight: 600, anchor: left ? 'end' : 'start', a: alpha });
    d.text(at + (left ? -4 : 4), y + 17, text, { size: 14, font: 'mono', fill, weight: 650, anchor: left ? 'end' : 'start', a: alpha, cell: { site, index: [], value, text } });
  };
  label(x, bottom + 18, 'train.mean', num(l.loss), 'grad', 'lesson:mean', l.loss, a);
  label(guess, bottom + 18, 'train.chance', num(chance), 'muted', 'derived:ln V', chance, later);
}

/** The losses before and after the steps, and the mean on its way down. */
export function after(f: Frame, d: Draw): void {
  const l = lesson(f) as Lesson;
  const m = pad(f);
  const top = f.narrow ? 30 : 50;
  const graph: Box = f.narrow ? { x: m + 30, y: f.H - 128, w: f.W - 2 * m - 40, h: 96 } : { x: f.W * 0.62, y: top + 26, w: f.W * 0.38 - m - 16, h: f.H - top - 110 };
  const box: Box = f.narrow ? { x: m, y: top, w: f.W - 2 * m, h: f.H - top - 156 } : { x: m, y: top, w: f.W * 0.56 - m, h: f.H - top - 24 };
  const c = columns(f, l, box, []);
  const p = prog(f, 'after');
  if (c.shown.length < l.losses.length) d.badge('badge.tokens', { n: String(c.shown.length), total: String(l.losses.length) });
  heads(f, d, box, c);
  c.shown.forEach((t, i) => fallen(f, d, l, box, c, t, i, stagger(p, i, c.shown.length, 0.1, 0.6, 0.4)));
  const means = [...l.steps.map((s) => s.loss), l.loss_after];
  const shown = 1 + (means.length - 1) * part(p, 0.25, 1);
  if (!f.narrow) heading(d, graph.x, graph.y - 22, f.t('train.meanBySteps'), 'grad');
  lossCurve(d, graph, { last: means.length - 1, lines: [{ tint: 'grad', points: means.map((v, i) => [i, v]).slice(0, Math.ceil(shown)) as [number, number][], dots: 'lesson:mean after', labels: true }], xName: f.t('train.steps') });
}

/** One position: what its loss was, pale and dashed, and what it is now. */
function fallen(f: Frame, d: Draw, l: Lesson, box: Box, c: Columns, t: number, i: number, a: number): void {
  const y = c.top + c.rowH * (i + 0.5);
  const h = Math.min(28, c.rowH * 0.84);
  const [was, now] = [l.losses[t] as number, l.losses_after[t] as number];
  const loss = lerp(was, now, a);
  const p = Math.exp(-now);
  tokenChip(d, { x: box.x, y: y - h / 2, w: c.chip, h }, runOf(f).trace.tokens[t] ?? { text: '' }, { active: t === f.view.token });
  d.text((box.x + c.chip + c.target) / 2, y, '→', { size: 12, anchor: 'middle', fill: 'faint' });
  tokenChip(d, { x: c.target, y: y - h / 2, w: c.chip, h }, l.targets[t] ?? { text: '' });
  const barH = Math.min(20, c.rowH * 0.62);
  const wide = (v: number): number => Math.max(1.5, (v / c.full) * c.room);
  d.rect(c.bar, y - barH / 2 - 2, wide(was), barH + 4, { r: 4, fill: 'grad/0.08', stroke: 'muted', sw: 1.1, dash: [3, 2] });
  d.rect(c.bar, y - barH / 2, wide(loss), barH, { r: 3, fill: 'grad/0.75', cell: a === 1 ? { site: 'lesson:loss after', index: [t], value: now, text: '' } : undefined });
  d.fade(a === 1 ? 1 : 0, () => {
    d.text(c.p + (f.narrow ? 42 : 46), y, percent(p), { size: 12, font: 'mono', anchor: 'end', fill: 'muted', cell: { site: 'lesson:p after', index: [t], value: p, text: percent(p) } });
    d.text(c.bar + Math.max(wide(was), wide(now)) + 6, y, num(now), { size: 12, font: 'mono', fill: 'ink', cell: { site: 'lesson:loss after', index: [t], value: now, text: num(now) } });
  });
}
