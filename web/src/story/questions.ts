// A question before each reveal, made of the run itself: the choices are its tokens or ranges of its numbers, the answer is read off the
// trace. Pure: the same run and choice give the same question.
import { focusToken } from '../chapters/01-tokenize/scene';
import { withoutCache } from '../chapters/07-generate/scene';
import { lesson } from '../chapters/08-train/lesson';
import { saidSource, saidTarget, weights } from '../chapters/09-variants/cross';
import { fillings } from '../chapters/09-variants/gaps';
import { settles } from '../chapters/05-layers/settles';
import { argmax, block, dot, norm, said, tokenAt, tokensOf } from '../chapters/common';
import type { Frame } from '../chapters/types';
import { hex, num, percent, prose } from '../i18n/format';
import { row } from '../trace/bundle';

export interface Question {
  /** What its texts mention. */
  vars: Record<string, string>;
  choices: readonly string[];
  /** The right one. */
  right: number;
  /** What the trace says of each choice; of ranges only of the right one. */
  figures: readonly string[];
}

interface Asked {
  /** At this step it is asked, and the next one answers it. */
  at: string;
  make: (f: Frame) => Question | null;
}

interface Option {
  label: string;
  figure: string;
  right: boolean;
}

/** The options with labels of their own, in an order that does not give the answer away: that of `sort`, or of the letters. */
function question(options: readonly Option[], vars: Record<string, string>, keepOrder = false): Question | null {
  const own = new Map<string, Option>();
  for (const o of [...options].sort((a, b) => Number(b.right) - Number(a.right))) if (!own.has(o.label)) own.set(o.label, o);
  const kept = keepOrder ? options.filter((o) => own.get(o.label) === o) : [...own.values()].sort((a, b) => (a.label < b.label ? -1 : 1));
  const right = kept.findIndex((o) => o.right);
  if (kept.length < 2 || right < 0) return null;
  return { vars: { ...vars, answer: kept[right]?.label ?? '', figure: kept[right]?.figure ?? '' }, choices: kept.map((o) => o.label), figures: kept.map((o) => o.figure), right };
}

/** Ranges from 0 (or `from`) to the last of `ends`, each from behind the end before it; `value` lies in one of them. */
function ranges(value: number, ends: readonly number[], label: (from: number, to: number) => string, figure: string, from = 0): Option[] {
  return ends.map((to, i) => {
    const first = i === 0 ? from : (ends[i - 1] as number) + 1;
    return { label: label(first, to), figure: value >= first && value <= to ? figure : '', right: value >= first && value <= to };
  });
}

function nextWord(f: Frame): Question | null {
  const all = f.b.sample?.candidates ?? [];
  const few = [0, 1, 3, 7, 15].flatMap((rank) => all[rank] ?? []).slice(0, 4);
  return question(few.map((c, i) => ({ label: prose(c), figure: percent(c.prob), right: i === 0 })), {});
}

const byteName = (b: number): string => (b > 0x20 && b < 0x7f ? String.fromCharCode(b) : b === 0x20 ? '␣' : hex(b));

function firstMerge(f: Frame): Question | null {
  const token = tokenAt(f, focusToken(f));
  const first = token.merges[0];
  if (!first || token.bytes.length < 3) return null;
  const pairs = token.bytes.slice(0, -1).map((b, at) => ({ label: `${byteName(b)} + ${byteName(token.bytes[at + 1] as number)}`, right: at === first.at }));
  const near = pairs.filter((p, at) => p.right || Math.abs(at - first.at) <= 2).slice(0, 5);
  return question(near.map((p) => ({ ...p, figure: p.right ? String(first.rank) : '' })), { word: prose(token) }, true);
}

function nearestToken(f: Frame): Question | null {
  const own = tokenAt(f, f.view.token);
  const near = f.b.neighbours.get(own.id)?.neighbours ?? [];
  const first = near[0];
  if (!first) return null;
  const mine = row(f.b, 'embed', [f.view.token]);
  const others = tokensOf(f).flatMap((t, i) => {
    const v = row(f.b, 'embed', [i]);
    return t.id === own.id || t.id === first.id || prose(t) === prose(own) || !v.length ? [] : [{ label: prose(t), figure: num(dot(mine, v) / (norm(mine) * norm(v))), right: false }];
  });
  const last = near[near.length - 1] as { text: string | null; cosine: number };
  const list = [{ label: prose(first), figure: num(first.cosine), right: true }, { label: prose(last), figure: num(last.cosine), right: false }, ...others.slice(-2)];
  return question(list, { word: said(f, f.view.token) });
}

function mostAttended(f: Frame): Question | null {
  const { token, head, layer } = f.view;
  const pattern = row(f.b, block(f, 'pattern'), [head, token]);
  if (!pattern.length) return null;
  const seen = [...pattern.keys()].filter((k) => k <= token || (pattern[k] as number) > 0).sort((a, b) => (pattern[b] as number) - (pattern[a] as number));
  const best = argmax(pattern);
  const few = [...new Set([...seen.slice(0, 3), seen[seen.length - 1] as number])].sort((a, b) => a - b);
  const words = tokensOf(f).map((_, k) => said(f, k));
  // A word that stands twice in the text is told apart by its place.
  const name = (k: number): string => {
    const word = words[k] as string;
    return words.indexOf(word) === words.lastIndexOf(word) ? word : f.t('quiz.place', { word, place: k });
  };
  return question(few.map((k) => ({ label: name(k), figure: percent(pattern[k] as number), right: k === best })), { word: said(f, token), layer: String(layer), head: String(head) }, true);
}

function neuronsOn(f: Frame): Question | null {
  const pre = row(f.b, block(f, 'mlp_pre'), [f.view.token]);
  if (pre.length < 8) return null;
  const on = pre.reduce((n, v) => n + (v > 0 ? 1 : 0), 0);
  const ends = [0.1, 0.25, 0.5, 1].map((share) => Math.floor(share * pre.length));
  return question(ranges(on, ends, (from, to) => f.t('quiz.fromTo', { from, to }), String(on)), { word: said(f, f.view.token), dff: String(pre.length), share: percent(on / pre.length) }, true);
}

function settledAt(f: Frame): Question | null {
  const at = settles(f);
  const L = f.b.model.n_layers;
  if (at === null) return null;
  const name = (stage: number): string => (stage === 0 ? f.t('scene.entry') : f.t('scene.afterBlock', { l: stage - 1 }));
  const ends = [...new Set([0, Math.ceil(L / 2), L - 1, L])].sort((a, b) => a - b);
  const label = (from: number, to: number): string => (from === to ? name(from) : f.t('quiz.blocks', { from: from - 1, to: to - 1 }));
  const guess = f.b.lens?.top[L]?.[f.view.token]?.[0];
  return question(ranges(at, ends, label, name(at)), { word: said(f, f.view.token), last: guess ? prose(guess) : '', lastProb: guess ? percent(guess.prob) : '' }, true);
}

function tokensKept(f: Frame): Question | null {
  const s = f.b.sample;
  if (!s) return null;
  const most = f.settings.top_k > 0 ? Math.min(f.settings.top_k, s.total) : s.total;
  const ends = [...[1, 5, 15, 40, 100].filter((n) => n < most), most];
  const label = (from: number, to: number): string => (from === to ? String(to) : f.t('quiz.fromTo', { from, to }));
  return question(ranges(s.kept, ends.slice(-4), label, String(s.kept), 1), { k: String(f.settings.top_k), p: num(f.settings.top_p), total: String(s.total) }, true);
}

function rowsSaved(f: Frame): Question | null {
  const g = f.b.generated;
  if (!g || g.steps.length < 2) return null;
  const computed = g.steps.reduce((s, x) => s + x.computed, 0);
  const plain = withoutCache(g.prompt_tokens, g.steps.length);
  const edges = [1.5, 3, 6, Infinity];
  const times = plain / computed;
  const mine = edges.findIndex((e) => times < e);
  const keys = ['same', 'double', 'several', 'many'];
  return question(edges.map((_, i) => ({ label: f.t(`quiz.times.${keys[i]}`), figure: i === mine ? String(plain) : '', right: i === mine })), { computed: String(computed), count: String(g.steps.length) }, true);
}

/** How much of the loss is left after the steps: asked in per cent, answered with both numbers. */
function lossLeft(f: Frame): Question | null {
  const l = lesson(f);
  if (!l) return null;
  const left = Math.round((100 * l.loss_after) / l.loss);
  const label = (from: number, to: number): string => (to === MORE ? f.t('quiz.loss.more') : f.t('quiz.loss.left', { from: from === 0 ? 0 : from - 1, to }));
  return question(ranges(left, [25, 50, 75, 100, MORE], label, num(l.loss_after)), { loss: num(l.loss), count: String(l.steps.length) }, true);
}
const MORE = 1e6;

/** Of a translator: which word of the source a place of the target looks at most. */
function crossAttended(f: Frame): Question | null {
  const w = weights(f, f.view.token);
  const { layer, head, token } = f.view;
  const order = [...w.keys()].sort((a, b) => (w[b] as number) - (w[a] as number));
  const few = [...new Set([...order.slice(0, 3), ...order.slice(-1)])].sort((a, b) => a - b);
  const words = [...w.keys()].map((s) => saidSource(f, s));
  const name = (s: number): string => {
    const word = words[s] as string;
    return words.indexOf(word) === words.lastIndexOf(word) ? word : f.t('quiz.place', { word, place: s });
  };
  return question(few.map((s) => ({ label: name(s), figure: percent(w[s] as number), right: s === order[0] })), { word: saidTarget(f, token), layer: String(layer), head: String(head) }, true);
}

function gapFilled(f: Frame): Question | null {
  const few = [0, 1, 3, 6].flatMap((rank) => fillings(f)[rank] ?? []);
  return question(few.map((g, i) => ({ label: prose(g), figure: percent(g.prob), right: i === 0 })), {});
}

/** By chapter. */
export const QUESTIONS: Readonly<Record<string, Asked>> = {
  overview: { at: 'stack', make: nextWord },
  tokenize: { at: 'bytes', make: firstMerge },
  embed: { at: 'all', make: nearestToken },
  attention: { at: 'guess', make: mostAttended },
  mlp: { at: 'ask', make: neuronsOn },
  layers: { at: 'changes', make: settledAt },
  unembed: { at: 'softmax', make: tokensKept },
  generate: { at: 'loop', make: rowsSaved },
  train: { at: 'step', make: lossLeft },
  translate: { at: 'masks', make: crossAttended },
  gaps: { at: 'sees', make: gapFilled },
};
