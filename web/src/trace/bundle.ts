// Everything recorded of one run that a scene may look at. Scenes read it synchronously; `Needs` say what must be there first.
import { SiteRows } from './rows';
import type { Tensor } from './safetensors';
import type { Triple } from './engine';
import type { Cosines, Edit, Generated, Guess, Lesson, ModelInfo, Neighbours, Provenance, Sample, Target, Token, TraceMeta, VocabMap, WordSum, Written } from './wire';

/** What a chapter wants loaded before it can be drawn. Keys make each thing asked for only once. */
export type Need = Wanted & {
  /** The picture can begin without it; it is fetched after the rest. */
  later?: boolean;
};

type Wanted =
  /** `rows`: these positions; all where they are not given. */
  | { kind: 'sites'; globs: string[]; rows?: readonly number[] }
  /** The patterns of all heads among the last positions, from `first` on. */
  | { kind: 'corner'; first: number }
  | { kind: 'heads' }
  /** The likeliest tokens at each position. */
  | { kind: 'guesses' }
  /** The same text with a gap at a place: another run, with its patterns there and its guesses. */
  | { kind: 'gap'; at: number }
  | { kind: 'lens'; rows?: readonly number[] }
  | { kind: 'sample' }
  | { kind: 'generate' }
  | { kind: 'neighbours'; id: number }
  /** What the text teaches, and the gradients that it sends back to sites. */
  | { kind: 'lesson' }
  | { kind: 'gradients'; globs: string[]; rows?: readonly number[] }
  | { kind: 'cosines'; ids: readonly number[] }
  /** The first is what a large vocabulary's map lies around. */
  | { kind: 'map'; ids: readonly number[] }
  | { kind: 'sum'; words: Triple }
  | { kind: 'cell'; site: string; index: number[] }
  | { kind: 'weights'; name: string; rows: [number, number]; cols: [number, number] };

export const weightKey = (name: string, rows: [number, number], cols: [number, number]): string => `${name}|${rows.join('..')}|${cols.join('..')}`;
export const sumKey = (words: Triple): string => JSON.stringify(words);
export const cellKey = (site: string, index: number[]): string => `${site}|${index.join(',')}`;

/** The logit lens of the positions that were asked for: `top[site][position][rank]`. */
export interface LensRows {
  sites: string[];
  top: Guess[][][];
}

export interface Bundle {
  model: ModelInfo;
  trace: TraceMeta;
  /** What was typed, whether it was sent as a message, and what was changed in the run. */
  asked: { text: string; chat: boolean; edits?: readonly Edit[] };
  sites: Map<string, SiteRows>;
  corner?: { first: number; patterns: Map<string, Tensor> };
  /** All heads in little, by name: pooled [L,H,side,side], a score [L,H] of each habit, interest. */
  heads?: Map<string, Tensor>;
  lens?: LensRows;
  guesses?: Guess[][];
  /** Runs with a gap, by its place. */
  gaps: Map<number, Bundle>;
  sample?: Sample;
  generated?: Generated;
  neighbours: Map<number, Neighbours>;
  /** By the ids asked for. */
  cosines: Map<string, Cosines>;
  map?: VocabMap;
  /** By the words; a line of the engine's where they make no sum. */
  sums: Map<string, WordSum | { error: string }>;
  cells: Map<string, Provenance>;
  weights: Map<string, Tensor>;
  lesson?: Lesson;
  /** Of the mean loss, by the site that they are with respect to: of each position but the last. */
  gradients: Map<string, SiteRows>;
}

export const isEdited = (b: Bundle): boolean => (b.asked.edits?.length ?? 0) > 0;

export function emptyBundle(model: ModelInfo, trace: TraceMeta, asked: Bundle['asked'] = { text: trace.text, chat: false }): Bundle {
  return { model, trace, asked, sites: new Map(), neighbours: new Map(), cosines: new Map(), sums: new Map(), cells: new Map(), weights: new Map(), gradients: new Map(), gaps: new Map() };
}

/** The tokens that a choice of one is made from: of two texts what is written at each place of the second. */
export const choices = (trace: TraceMeta): readonly (Token | Written)[] => (trace.target ? writtenBy(trace.target) : trace.tokens);

/** The token that is looked at first: the last one, and of two texts or of one that is read whole one with others around it. */
export const usualToken = (model: ModelInfo, tokens: number): number => (model.kind === 'decoder' ? tokens - 1 : Math.floor(tokens / 2));

const written = new WeakMap<Target, readonly Written[]>();

/** At each place the token behind it, and at the last one the end, if it came to that. */
function writtenBy(target: Target): readonly Written[] {
  const known = written.get(target) ?? [...target.tokens.slice(1), ...(target.end && target.ended !== false ? [target.end] : [])];
  written.set(target, known);
  return known;
}

/** Does this model have the site? */
export const hasSite = (bundle: Bundle, site: string): boolean => bundle.trace.sites.some((s) => s.name === site);

/** One number of the trace; NaN where its site has not been loaded. */
export const valueAt = (bundle: Bundle, site: string, index: number[]): number => bundle.sites.get(site)?.value(index) ?? NaN;

const NOTHING = new Float32Array(0);

/** The innermost row of a site: `row(b, 'blocks.0.q', [3, 1])` is head 1's query vector of token 3. */
export const row = (bundle: Bundle, site: string, outer: number[]): Float32Array => bundle.sites.get(site)?.row(outer) ?? NOTHING;

/** A weight of attention between two of the last positions. */
export function cornerAt(bundle: Bundle, layer: number, head: number, query: number, key: number): number {
  const t = bundle.corner?.patterns.get(`blocks.${layer}.pattern`);
  if (!t || !bundle.corner) return NaN;
  const side = t.shape[2] ?? 0;
  return t.data[(head * side + query - bundle.corner.first) * side + key - bundle.corner.first] ?? NaN;
}
