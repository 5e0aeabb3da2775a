import { percent, prose } from '../../i18n/format';
import { arcPath } from '../../marks/arcs';
import { barList } from '../../marks/bars';
import type { Draw } from '../../marks/draw';
import { tokenChip, windowOf } from '../../marks/tokens';
import type { Box } from '../../marks/types';
import { part, stagger } from '../../timeline/ease';
import { row, valueAt, type Bundle, type Need } from '../../trace/bundle';
import type { Guess } from '../../trace/wire';
import { argmax, heading, isOne, note, pad, prog, tokensOf } from '../common';
import type { Frame, View, WrittenChapter } from '../types';

/** The place of the gap: the chosen token, or where that is a mark of the tokenizer's, the nearest word before or behind it. */
export function gapAt(b: Bundle, token: number): number {
  const words = b.trace.tokens.flatMap((t, i) => (t.bytes.length ? [i] : []));
  return words.reduce((best, i) => (Math.abs(i - token) < Math.abs(best - token) ? i : best), words[0] ?? 0);
}

const gapOf = (f: Frame): number => gapAt(f.b, f.view.token);
const runOf = (f: Frame): Bundle | undefined => f.b.gaps.get(gapOf(f));
export const fillings = (f: Frame): readonly Guess[] => runOf(f)?.guesses?.[gapOf(f)] ?? [];
const pattern = (f: Frame): string => `blocks.${f.view.layer}.pattern`;

interface Line {
  shown: number[];
  x: (i: number) => number;
  step: number;
}

/** The text in one line, around the gap. */
function line(f: Frame, d: Draw): Line {
  const m = pad(f);
  const T = tokensOf(f).length;
  const most = f.narrow ? 6 : 12;
  const shown = windowOf(T, Math.min(T - 1, gapOf(f) + Math.floor(most / 2)), most);
  if (shown.length < T) d.badge('badge.tokens', { n: String(shown.length), total: String(T) });
  const step = Math.min(110, (f.W - 2 * m) / shown.length);
  const left = (f.W - step * shown.length) / 2;
  return { shown, x: (i) => left + step * i, step };
}

/** `gone`: how far the word has given way to the mark; `lifted`: whether it stays to be seen above it. */
function words(f: Frame, d: Draw, l: Line, y: number, h: number, gone: number, lifted = true): void {
  const gap = gapOf(f);
  l.shown.forEach((t, i) => {
    const box: Box = { x: l.x(i) + 2, y, w: l.step - 4, h };
    const token = tokensOf(f)[t];
    if (!token) return;
    if (t !== gap) return tokenChip(d, box, token);
    if (lifted) tokenChip(d, { ...box, y: y - (h + 8) * gone }, token, { active: true, tint: 'q', a: 1 - 0.4 * gone });
    tokenChip(d, box, { text: runOf(f)?.trace.tokens[gap]?.text ?? '', bytes: [], special: true }, { active: true, tint: 'accent', a: gone });
  });
}

function gap(f: Frame, d: Draw): void {
  const l = line(f, d);
  const gone = part(prog(f, 'gap'), 0.3, 0.8);
  const y = f.H * 0.46;
  words(f, d, l, y, f.narrow ? 34 : 42, gone);
  note(d, f.W / 2, y + (f.narrow ? 62 : 76), f.t('scene.gapMark'), 'muted', f.narrow ? 12.5 : 14, 'middle');
}

/** Arcs from the gap to both sides, as wide as their weights. */
function sees(f: Frame, d: Draw): void {
  const g = prog(f, 'sees');
  const l = line(f, d);
  const at = gapOf(f);
  const run = runOf(f);
  if (!run) return;
  const y = f.H * 0.62;
  const h = f.narrow ? 32 : 40;
  heading(d, pad(f), f.narrow ? 16 : 30, f.t('scene.gapLooks', { l: f.view.layer, h: f.view.head }), 'attn', f.narrow ? '' : pattern(f));
  const own = l.shown.indexOf(at);
  const behind = part(g, 0.45, 0.6);
  const edge = l.x(own) + l.step;
  // What a model that only looks back would not have.
  if (own < l.shown.length - 1) {
    d.rect(edge + 2, y - f.H * 0.34, l.x(l.shown.length - 1) + l.step - edge - 2, f.H * 0.34 + h + 34, { r: 10, fill: 'k/0.08', stroke: 'k/0.5', dash: [4, 3], a: behind });
    d.text(edge + 10, y - f.H * 0.34 + 14, f.t(f.narrow ? 'scene.gapAheadShort' : 'scene.gapAhead'), { size: 12, fill: 'k', a: behind });
  }
  const weights = row(run, pattern(f), [f.view.head, at]);
  const span = Math.max(...l.shown.map((_, i) => Math.abs(l.x(i) - l.x(own))), 1);
  l.shown.forEach((t, i) => {
    const w = weights[t] as number;
    const a = t <= at ? stagger(g, own - i, own + 1, 0.05, 0.45, 0.5) : stagger(g, i - own, l.shown.length - own, 0.5, 1, 0.5);
    const datum = { site: `gap:${pattern(f)}`, index: [f.view.head, at, t], value: w, text: percent(w) };
    if (w >= 0.004) d.path(arcPath(l.x(own) + l.step / 2, l.x(i) + l.step / 2, y - 3, f.H * 0.3, span), { stroke: 'attn', sw: Math.max(0.7, w * 16), a: (0.25 + 0.7 * w) * a, cell: { ...datum, text: '' } });
    d.text(l.x(i) + l.step / 2, y + h + 16, percent(w), { size: f.narrow ? 11 : 12.5, font: 'mono', anchor: 'middle', fill: 'attn', a, cell: datum });
  });
  words(f, d, l, y, h, 1, false);
}

function fill(f: Frame, d: Draw): void {
  const g = prog(f, 'fill');
  const m = pad(f);
  const at = gapOf(f);
  const l = line(f, d);
  words(f, d, l, f.narrow ? 42 : 64, f.narrow ? 28 : 38, 1);
  const top = f.narrow ? 112 : 168;
  const own = tokensOf(f)[at];
  const wide = f.narrow ? f.W - 2 * m : (f.W - 2 * m - 50) / 2;
  list(f, d, { x: m, y: top, w: wide, h: f.narrow ? 150 : f.H - top - 26 }, fillings(f).slice(0, f.narrow ? 4 : 7), { title: f.t('scene.gapFills'), site: 'gap:prob', own: own?.id, p: part(g, 0.05, 0.6) });
  const seen = f.b.guesses?.[at] ?? [];
  const y = f.narrow ? top + 182 : top;
  list(f, d, { x: f.narrow ? m : m + wide + 50, y, w: wide, h: f.narrow ? Math.max(40, f.H - y - 8) : (f.H - top - 26) * (3 / 7) }, seen.slice(0, f.narrow ? 2 : 3), { title: f.t('scene.gapSeen'), site: 'guess:prob', own: own?.id, p: part(g, 0.6, 1) });
}

function list(f: Frame, d: Draw, box: Box, guesses: readonly Guess[], o: { title: string; site: string; own: number | undefined; p: number }): void {
  heading(d, box.x, box.y - 18, o.title, o.site === 'gap:prob' ? 'accent' : 'resid');
  const at = gapOf(f);
  barList(d, {
    ...box, labelW: f.narrow ? 104 : 124, tint: 'resid', full: Math.max(...guesses.map((x) => x.prob), 1e-9),
    items: guesses.map((x) => ({ token: x, value: x.prob, text: percent(x.prob), active: x.id === o.own, tint: x.id === o.own ? 'q' : 'resid', cell: { site: o.site, index: [at, x.id], value: x.prob, text: percent(x.prob) } })),
    reveal: (i) => stagger(o.p, i, guesses.length, 0, 1, 0.5),
  });
}

function scene(f: Frame, d: Draw): void {
  if (isOne(f, 'gap')) gap(f, d);
  else if (isOne(f, 'sees')) sees(f, d);
  else fill(f, d);
}

function needs(v: View, b: Bundle): Need[] {
  return [{ kind: 'gap', at: gapAt(b, v.token) }, { kind: 'guesses' }];
}

function vars(f: Frame): Record<string, string> {
  const at = gapOf(f);
  const run = runOf(f);
  const w = run ? row(run, pattern(f), [f.view.head, at]) : new Float32Array(0);
  const share = (from: number, to: number): number => w.subarray(from, to).reduce((a, b) => a + b, 0);
  const [first, own] = [fillings(f)[0], tokensOf(f)[at]];
  const right = fillings(f).find((g) => g.id === own?.id);
  const best = argmax(w);
  const told = tokensOf(f)[best];
  const seen = f.b.guesses?.[at]?.find((g) => g.id === own?.id);
  return {
    word: own ? prose(own) : '', mark: prose(run?.trace.tokens[at] ?? { text: '?' }), layer: String(f.view.layer), head: String(f.view.head), tokens: String(tokensOf(f).length), before: percent(share(0, at)), behind: percent(share(at + 1, w.length)),
    best: told ? prose(told) : '', weight: percent(run ? valueAt(run, pattern(f), [f.view.head, at, best]) : NaN), vocab: String(f.b.model.vocab),
    top: first ? prose(first) : '', topProb: first ? percent(first.prob) : '', ownProb: right ? percent(right.prob) : f.t('scene.gapFew'), seenProb: seen ? percent(seen.prob) : f.t('scene.gapFew'),
  };
}

export const gaps: WrittenChapter = {
  id: 'gaps',
  kinds: ['encoder'],
  picks: ['token', 'layer', 'head'],
  steps: [
    { id: 'gap', seconds: 1.8, formula: 'x_t \\;\\to\\; \\mathtt{[MASK]}' },
    { id: 'sees', seconds: 3, formula: 'a_{t,s} = \\mathrm{softmax}_s \\frac{q_t \\cdot k_s}{\\sqrt{d_{head}}} \\quad \\text{for all } s' },
    { id: 'fill', seconds: 2.4, formula: 'P(x_t \\mid x_{\\neq t}) = \\mathrm{softmax}(\\mathrm{LN}(f(h_t W + b))\\, W_U + b_U)' },
  ],
  needs,
  scene,
  vars,
};
