// One number of the model in one step of AdamW, line by line, each made of numbers of the lines before.
import { num, sci } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import { textWidth } from '../../marks/measure';
import { stagger } from '../../timeline/ease';
import type { Lesson, LessonStep } from '../../trace/wire';
import { heading, pad, prog } from '../common';
import type { Frame } from '../types';
import { lesson } from './lesson';

type Field = Exclude<keyof LessonStep, 'loss'>;
/** Words, or a number of the step. */
type Piece = string | { field: Field };

interface Line {
  name: string;
  key: string;
  is: Field;
  made: Piece[];
  tint: string;
}

const of = (field: Field): Piece => ({ field });
/** A weight keeps so many decimals that a step is seen in it. */
const EXACT = 5;
const written = (field: Field, v: number): string => (field === 'before' || field === 'after' ? num(v, EXACT) : sci(v));

function lines(l: Lesson): Line[] {
  const { beta1, beta2, learning_rate: rate, weight_decay: decay, clip } = l.options;
  const rest = (beta: number): string => String(Number((1 - beta).toFixed(6)));
  return [
    { name: 'θ', key: 'before', is: 'before', made: [], tint: 'weight' },
    { name: 'g', key: 'gradient', is: 'gradient', made: ['∂L / ∂θ'], tint: 'grad' },
    { name: 's', key: 'scale', is: 'scale', made: [`min(1, ${clip} / `, of('grad_norm'), ')'], tint: 'grad' },
    { name: 'm', key: 'm', is: 'm', made: [`${beta1} · `, of('m_before'), ` + ${rest(beta1)} · `, of('scale'), ' · ', of('gradient')], tint: 'k' },
    { name: 'v', key: 'v', is: 'v', made: [`${beta2} · `, of('v_before'), ` + ${rest(beta2)} · (`, of('scale'), ' · ', of('gradient'), ')²'], tint: 'v' },
    { name: 'm̂', key: 'mHat', is: 'm_hat', made: [of('m'), ` / (1 − ${beta1})`], tint: 'k' },
    { name: 'v̂', key: 'vHat', is: 'v_hat', made: [of('v'), ` / (1 − ${beta2})`], tint: 'v' },
    { name: 'Δ', key: 'update', is: 'update', made: [`${rate} · `, of('m_hat'), ' / (√', of('v_hat'), ' + ε)'], tint: 'accent' },
    { name: 'δ', key: 'decay', is: 'decay', made: [`${rate} · ${decay} · `, of('before')], tint: 'muted' },
    { name: 'θ′', key: 'after', is: 'after', made: [of('before'), ' − ', of('update'), ' − ', of('decay')], tint: 'weight' },
  ];
}

export function step(f: Frame, d: Draw): void {
  const l = lesson(f) as Lesson;
  const first = l.steps[0] as LessonStep;
  const m = pad(f);
  const all = lines(l);
  const top = f.narrow ? 34 : 58;
  const rowH = Math.min(50, (f.H - top - 10) / all.length);
  heading(d, m, f.narrow ? 16 : 28, `${l.watched.weight}[${l.watched.at.join(', ')}]`, 'weight');
  all.forEach((line, i) => row(f, d, line, first, { y: top + rowH * (i + 0.5), m, h: Math.min(34, rowH - 5) }, stagger(prog(f, 'step'), i, all.length, 0.02, 1, 0.25)));
}

function row(f: Frame, d: Draw, line: Line, s: LessonStep, o: { y: number; m: number; h: number }, a: number): void {
  const cellW = f.narrow ? 96 : 124;
  const x = o.m + (f.narrow ? 34 : 46);
  const value = s[line.is];
  const text = written(line.is, value);
  d.fade(a, () => {
    d.text(o.m + 2, o.y, line.name, { size: f.narrow ? 14 : 17, weight: 650, fill: line.tint });
    d.text(x - 14, o.y, '=', { size: 13, fill: 'muted', anchor: 'middle' });
    d.rect(x, o.y - o.h / 2, cellW, o.h, { r: line.tint === 'weight' ? o.h / 2 : 7, fill: `${line.tint}/0.13`, stroke: line.tint, sw: line.tint === 'weight' ? 1.8 : 1.2, label: { text, size: f.narrow ? 12 : 14, font: 'mono', weight: 600, fill: 'ink' }, cell: { site: `lesson:${line.is}`, index: [0], value, text } });
    made(f, d, line, s, x + cellW + (f.narrow ? 8 : 16), o.y);
  });
}

/** What a line is made of, and what it is; under one another on a phone. */
function made(f: Frame, d: Draw, line: Line, s: LessonStep, from: number, y: number): void {
  const pieces = line.made.map((piece) => (typeof piece === 'string' ? { text: piece, cell: undefined } : { text: written(piece.field, s[piece.field]), cell: { site: `lesson:${piece.field}`, index: [0], value: s[piece.field], text: written(piece.field, s[piece.field]) } }));
  const [full, room] = [f.narrow ? 10.5 : 13, f.W - pad(f) - from - (f.narrow ? 0 : WORDS)];
  const size = Math.min(full, (full * room) / Math.max(1, textWidth(pieces.map((q) => q.text).join(''), full, 'mono')));
  const below = f.narrow && pieces.length > 0;
  let x = from;
  for (const { text, cell } of pieces) {
    d.text(x, below ? y - 6 : y, text, { size, font: 'mono', fill: cell ? 'ink' : 'muted', cell });
    x += textWidth(text, size, 'mono');
  }
  const words = f.t(`train.is.${line.key}`);
  if (f.narrow) d.text(from, below ? y + 7 : y, words, { size: 10.5, fill: 'muted' });
  else d.text(f.W - pad(f), y, words, { size: 12.5, fill: 'muted', anchor: 'end' });
}

/** Room for the words at the end of a line. */
const WORDS = 165;
