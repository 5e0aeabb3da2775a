// Every number on the stage a second time, from the trace alone and by a way of its own: what a scene worked out must agree.
import { activationOf } from '../src/chapters/04-mlp/activation';
import type { View } from '../src/chapters/types';
import { num, percent, sci, signed } from '../src/i18n/format';
import { isTraceSite } from '../src/marks/hit';
import type { Datum } from '../src/marks/types';
import { row, valueAt, type Bundle } from '../src/trace/bundle';
import type { LessonStep, SampleSettings } from '../src/trace/wire';

export interface Recount {
  b: Bundle;
  view: View;
  settings: SampleSettings;
  /** All that stands on the stage with it. */
  cells: readonly Datum[];
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => Array.from(a, (v, i) => v * (b[i] as number)).reduce((x, y) => x + y, 0);
const at = (r: Recount, part: string): string => `blocks.${r.view.layer}.${part}`;

/** A number of a weight matrix, from whichever part of it has been loaded. */
function weight(b: Bundle, name: string, i: number, j: number): number {
  for (const [key, t] of b.weights) {
    const [of, rows, cols] = key.split('|') as [string, string, string];
    const [[r0, r1], [c0, c1]] = [rows.split('..').map(Number), cols.split('..').map(Number)] as [[number, number], [number, number]];
    if (of === name && i >= r0 && i < r1 && j >= c0 && j < c1) return t.data[(i - r0) * (t.shape[1] as number) + j - c0] as number;
  }
  return NaN;
}

function product(r: Recount, [head, query, key]: readonly number[]): number {
  const { n_heads, n_kv_heads } = r.b.model;
  const shared = Math.floor(((head as number) * n_kv_heads) / n_heads);
  return dot(row(r.b, at(r, 'q'), [query as number, head as number]), row(r.b, at(r, 'k'), [key as number, shared]));
}

const norm = (v: Float32Array): number => Math.sqrt(dot(v, v));
const termsOf = (b: Bundle): number[] => [...b.cells.values()].flatMap((c) => c.terms.map((t) => t.value ?? NaN));
const nearest = (values: readonly number[], v: number): number => values.reduce((best, x) => (Math.abs(x - v) < Math.abs(best - v) ? x : best), Infinity);

const mean = (values: readonly number[]): number => values.reduce((x, y) => x + y, 0) / values.length;
const first = (r: Recount): LessonStep => r.b.lesson?.steps[0] as LessonStep;
const clipped = (r: Recount): number => first(r).gradient * Math.min(1, 1 / first(r).grad_norm);
/** What the model gave the token that really came next, from its logits. */
function target(r: Recount, t: number): number {
  const logits = row(r.b, 'logits', [t]);
  const most = Math.max(...logits);
  return Math.exp((logits[r.b.trace.tokens[t + 1]?.id ?? -1] as number) - most) / logits.reduce((s, v) => s + Math.exp(v - most), 0);
}
/** The stages of the stream, as the picture of the layers counts them. */
const stageOf = (s: number): string => (s === 0 ? 'blocks.0.resid_pre' : `blocks.${(s - 1) >> 1}.resid_${s % 2 ? 'mid' : 'post'}`);
/** From the rows of two tokens of the text. */
function cosineOf(b: Bundle, id: number, other: number): number | undefined {
  const [x, y] = [id, other].map((i) => row(b, 'embed', [b.trace.tokens.findIndex((t, at) => t.id === i && row(b, 'embed', [at]).length > 0)])) as [Float32Array, Float32Array];
  return x.length && y.length ? dot(x, y) / (norm(x) * norm(y)) : undefined;
}

type Way = (r: Recount, index: readonly number[], value: number) => number | undefined;
const WAYS: Record<string, Way> = {
  'derived:q·k': product,
  'derived:unmasked': (r, index) => product(r, index) / Math.sqrt(r.b.model.d_head),
  'derived:exp': (r, [head, query, key]) => {
    const scores = row(r.b, at(r, 'scores'), [head as number, query as number]);
    return Math.exp((scores[key as number] as number) - Math.max(...scores));
  },
  'derived:rest': (r) => 1 - [...new Map(r.cells.filter((c) => c.site === at(r, 'pattern')).map((c) => [c.index.join(), c.value])).values()].reduce((x, y) => x + y, 0),
  'derived:angle': (r, [token, , pair]) => (token as number) * (r.b.model.parts.frequencies?.[pair as number] as number),
  'derived:f(mlp_pre)': (r, index) => activationOf(r.b.model.activation)(valueAt(r.b, at(r, 'mlp_pre'), [...index])),
  'derived:post·W_down': (r, [token, neuron, dim]) => valueAt(r.b, at(r, 'mlp_post'), [token as number, neuron as number]) * weight(r.b, at(r, 'mlp.W_down'), neuron as number, dim as number),
  'derived:head adds': (r, [token, head, dim]) => Array.from(row(r.b, at(r, 'z'), [token as number, head as number]), (z, e) => z * weight(r.b, at(r, 'attn.W_O'), (head as number) * r.b.model.d_head + e, dim as number)).reduce((x, y) => x + y, 0),
  'derived:term': (r, _, value) => nearest(termsOf(r.b), value),
  'derived:cosine': (r, [id, other]) => r.b.neighbours.get(id as number)?.neighbours.find((n) => n.id === other)?.cosine ?? cosineOf(r.b, id as number, other as number),
  'map:share': (r, [axis]) => {
    // By the lengths along the axes, as far as the points were rounded.
    const along = (k: 'x' | 'y'): number => r.b.map!.tokens.reduce((s, t) => s + t[k] ** 2, 0);
    return axis === 0 ? r.b.map?.shares[0] : (along('y') / along('x')) * r.b.map!.shares[0];
  },
  'sum:cosine': (r, [id]) => [...r.b.sums.values()].flatMap((s) => ('error' in s ? [] : [...s.neighbours, ...s.left_out])).find((n) => n.id === id)?.cosine,
  'derived:softmax': (r, [token, id]) => {
    const scaled = Array.from(row(r.b, 'logits', [token as number]), (v) => v / r.settings.temperature);
    return Math.exp(scaled[id as number] as number) / scaled.reduce((s, v) => s + Math.exp(v), 0);
  },
  'derived:‖attn_out‖': (r, [layer, token]) => norm(row(r.b, `blocks.${layer}.attn_out`, [token as number])),
  'derived:‖mlp_out‖': (r, [layer, token]) => norm(row(r.b, `blocks.${layer}.mlp_out`, [token as number])),
  'sample:scaled': (r, [token, id]) => valueAt(r.b, 'logits', [token as number, id as number]) / r.settings.temperature,
  'sample:final_prob': (r, [, id]) => r.b.sample?.candidates.find((c) => c.id === id)?.final_prob,
  'sample:u': (r) => r.b.sample?.u ?? undefined,
  ...Object.fromEntries(['previous', 'first', 'self', 'same', 'induction'].map((habit) => [`heads:${habit}`, (r: Recount, [layer, head]: readonly number[]) => r.b.heads?.get(habit)?.data[(layer as number) * r.b.model.n_heads + (head as number)]])),
  'lens:prob': (r, [stage, token, rank]) => r.b.lens?.top[stage as number]?.[token as number]?.[rank ?? 0]?.prob,
  'generate:prob': (r, [position, id]) => {
    const step = r.b.generated?.steps.find((s) => s.position === position);
    return step?.top.find((c) => c.id === id)?.prob ?? (step?.id === id ? step?.prob : undefined);
  },
  'derived:‖∂L/∂x‖': (r, [stage, token]) => norm(r.b.gradients.get(stageOf(stage as number))?.row([token as number]) ?? new Float32Array()),
  'derived:ln V': (r) => Math.log(r.b.model.vocab),
  'lesson:loss': (r, [token]) => -Math.log(target(r, token as number)),
  'lesson:p': (r, [token]) => target(r, token as number),
  'lesson:mean': (r) => mean(r.b.lesson?.losses.map((_, t) => -Math.log(target(r, t))) ?? []),
  'lesson:loss after': (r, [token]) => r.b.lesson?.losses_after[token as number],
  'lesson:p after': (r, [token]) => Math.exp(-(r.b.lesson?.losses_after[token as number] ?? NaN)),
  'lesson:mean after': (r, [step]) => r.b.lesson?.steps[step as number]?.loss ?? mean(r.b.lesson?.losses_after ?? []),
  'lesson:norm': (r, [i]) => r.b.lesson?.weights[i as number]?.norm,
  ...Object.fromEntries((['before', 'gradient', 'scale', 'grad_norm', 'm_before', 'v_before'] as const).map((field): [string, Way] => [`lesson:${field}`, (r) => first(r)[field]])),
  'lesson:m': (r) => 0.9 * first(r).m_before + 0.1 * clipped(r),
  'lesson:v': (r) => 0.99 * first(r).v_before + 0.01 * clipped(r) ** 2,
  'lesson:m_hat': (r) => clipped(r),
  'lesson:v_hat': (r) => clipped(r) ** 2,
  // In the first step m̂/√v̂ is g/|g|: a step of the learning rate, whatever the size of the gradient.
  'lesson:update': (r) => (0.001 * clipped(r)) / (Math.abs(clipped(r)) + 1e-8),
  'lesson:decay': (r) => 0.001 * 0.1 * first(r).before,
  'lesson:after': (r) => first(r).before * (1 - 0.001 * 0.1) - (0.001 * clipped(r)) / (Math.abs(clipped(r)) + 1e-8),
  'guess:prob': (r, [t, id]) => share(row(r.b, 'logits', [t as number]), id as number),
  'gap:prob': (r, [t, id]) => share(row(r.b.gaps.get(t as number) as Bundle, 'logits', [t as number]), id as number),
  'weight:W_E': (r, [id, dim]) => weight(r.b, 'W_E', id as number, dim as number),
};

/** One entry of a softmax. */
function share(logits: Float32Array, id: number): number {
  const most = Math.max(...logits);
  return Math.exp((logits[id] as number) - most) / logits.reduce((s, v) => s + Math.exp(v - most), 0);
}

/** What a cell must show; undefined: nobody knows, which is an error of the scene or of this table. */
export function recounted(r: Recount, c: Datum): number | undefined {
  const way = WAYS[c.site];
  if (way) return way(r, c.index, c.value);
  if (c.site.startsWith('weight:')) return [...r.b.cells.values()].flatMap((p) => p.terms.map((t) => t.right)).find((x) => x && 'weight' in x && `weight:${x.weight}` === c.site && x.index.join() === c.index.join())?.value ?? undefined;
  if (c.site.startsWith('gap:')) return valueAt([...r.b.gaps.values()][0] as Bundle, c.site.slice(4), c.index);
  if (!isTraceSite(c.site)) return undefined;
  if (c.site === 'tokens') return r.b.trace.tokens[c.index[0] ?? -1]?.id;
  if (c.site === 'probs' && !r.b.sites.has('probs')) return r.b.sample?.candidates.find((x) => x.id === c.index[1])?.prob;
  return valueAt(r.b, c.site, c.index);
}

/** What a number on the stage may look like: at the precision of its kind, or not written at all. */
export const writings = (v: number): string[] => ['', ...[0, 1, 2, 3, 4, 5].map((digits) => num(v, digits)), signed(v), sci(v), percent(v), String(v)];
