// The JSON of docs/api.md, field for field.

export interface ModelInfo {
  name: string;
  family: string;
  /** Goes on with a text, reads a whole one, or reads one and writes another. */
  kind: Kind;
  /** The stack that reads, of an encoder–decoder: all other sizes are those of the one that writes. */
  encoder: { n_layers: number; n_heads: number; n_ctx: number; vocab: number } | null;
  /** The id that stands for a gap, of an encoder that fills them. */
  mask: number | null;
  n_layers: number;
  n_heads: number;
  n_kv_heads: number;
  d_model: number;
  d_head: number;
  d_ff: number;
  n_ctx: number;
  vocab: number;
  activation: string;
  tied: boolean;
  norm_eps: number;
  /** How the model's file stores the weights, which are computed with in f32; null where it says nothing else. */
  stored: string | null;
  /** Was it trained for conversations? */
  chat: boolean;
  /** Are its weights in memory as numbers, so that it can be taught? */
  teachable: boolean;
  parts: Parts;
  parameters: number;
  version: string;
  initial_text: string | null;
  default_text: { en: string; zh: string };
}

export type Kind = 'decoder' | 'encoder' | 'encoder_decoder';

/** Is it the same model? The text that its server was started with may be another. */
export const sameModel = (a: ModelInfo, b: ModelInfo): boolean => JSON.stringify({ ...a, initial_text: null }) === JSON.stringify({ ...b, initial_text: null });

/** What this family has that others have not. */
export interface Parts {
  norm: 'layer' | 'rms';
  positions: 'learned' | 'rotary' | 'waves' | 'bias' | 'none';
  /** Do norms stand behind the parts of a block, on the stream itself? */
  post_norm: boolean;
  /** Radians per position of each pair of a head, where queries and keys are turned. */
  frequencies: number[] | null;
  head_norm: boolean;
  gated: boolean;
  qkv_bias: boolean;
  out_bias: boolean;
  mlp_bias: boolean;
  /** Of each block: how many positions back a query looks, null for all. */
  windows: (number | null)[];
}

export interface Merge {
  at: number;
  left: number[];
  right: number[];
  rank: number;
  merged: number;
}

export interface Token {
  id: number;
  text: string | null;
  /** None where the token was set around the text. */
  bytes: number[];
  /** A mark that no text can write: a turn begins, a turn ends. */
  special: boolean;
  start: number;
  end: number;
  merges: Merge[];
}

/** What is changed in a run. Masks without a head are of all heads of the layer, without a layer of all. */
export type Edit =
  | { kind: 'off'; part: string }
  | { kind: 'set'; site: string; at: readonly number[]; to: number }
  | { kind: 'mask'; layer?: number; head?: number; query: number; key: number; allow: boolean }
  | { kind: 'weight'; name: string; at: readonly number[]; to: number }
  | { kind: 'paste'; site: string; to: number; text: string; from?: number };

export interface Kept {
  tokens_total: number;
  tokens_kept: number;
  from: string;
  text: string;
}

/** A token that the model wrote, or is taken to have written. */
export interface Written {
  id: number;
  text: string | null;
  bytes: number[];
  special: boolean;
}

/** What an encoder–decoder wrote to a source. */
export interface Target {
  text: string;
  /** What its decoder read: the mark that all begin with, then the translation. */
  tokens: Written[];
  /** What it writes when it is done. */
  end: Written | null;
  /** ln P, divided as the length penalty says; null where the translation was given, as are those below. */
  score: number | null;
  log_prob: number | null;
  ended: boolean | null;
  beams: number | null;
}

export interface TraceMeta {
  id: string;
  text: string;
  tokens: Token[];
  kept: Kept | null;
  target?: Target;
  sites: { name: string; shape: number[] }[];
}

export interface Guess {
  id: number;
  text: string | null;
  bytes?: number[];
  prob: number;
}

/** The likeliest tokens at each position, `top[position][rank]`. */
export interface Guesses {
  rows: number[] | null;
  top: Guess[][];
}

export interface Lens {
  sites: string[];
  rows: number[] | null;
  top: Guess[][][];
}

export interface CellOf {
  site: string;
  index: number[];
  value: number | null;
}

export interface WeightOf {
  weight: string;
  index: number[];
  value: number | null;
}

/** The cosine or sine of the angle by which a pair of a head's numbers is turned: `index` is [position, pair]. */
export interface AngleOf {
  angle: 'cos' | 'sin' | '-sin';
  index: number[];
  value: number | null;
}

export interface Term {
  value: number | null;
  left?: CellOf | WeightOf | AngleOf;
  right?: CellOf | WeightOf | AngleOf;
}

export interface Provenance {
  site: string;
  index: number[];
  value: number | null;
  op: 'lookup' | 'sum' | 'linear' | 'dot' | 'masked' | 'softmax' | 'weighted_sum' | 'activation' | 'gate' | 'rotation' | 'norm';
  formula: string;
  terms: Term[];
  total_terms: number;
  recomputed: number | null;
  /** It was changed after it was made. */
  edited?: boolean;
  scale?: number;
  max?: number;
  sum?: number;
  own?: number;
  mean?: number;
  std?: number;
  rms?: number;
  activated?: number;
  gain?: number;
  bias?: number;
}

export interface Candidate {
  id: number;
  text: string | null;
  bytes: number[];
  logit: number;
  scaled: number;
  prob: number;
  kept: boolean;
  final_prob: number;
  cumulative: number;
}

export interface Sample {
  candidates: Candidate[];
  total: number;
  kept: number;
  u: number | null;
  chosen: { id: number; text: string | null; bytes: number[] };
}

export interface GenerateStep {
  id: number;
  text: string | null;
  bytes: number[];
  prob: number;
  position: number;
  cached: number;
  computed: number;
  top: Guess[];
}

export interface Generated {
  prompt_tokens: number;
  steps: GenerateStep[];
  text: string;
}

export interface Neighbours {
  id: number;
  neighbours: { id: number; text: string | null; bytes?: number[]; cosine: number }[];
}

/** Cosines of rows of W_E, each with each. */
export interface Cosines {
  ids: number[];
  cosines: number[][];
}

/** The vocabulary in a plane; of a large one the neighbourhood of one token. */
export interface VocabMap {
  tokens: { id: number; text: string | null; bytes?: number[] | null; x: number; y: number }[];
  /** The part of all variance along each axis. */
  shares: [number, number];
  around: number | null;
  vocab: number;
}

type NearToken = Neighbours['neighbours'][number];

/** a − b + c, and the rows of W_E that lie nearest to it. */
export interface WordSum {
  terms: { text: string; sign: number; tokens: { id: number; text: string | null; bytes?: number[] }[] }[];
  neighbours: NearToken[];
  /** The words themselves, which are left out. */
  left_out: NearToken[];
}

export interface SampleSettings {
  temperature: number;
  top_k: number;
  top_p: number;
  seed: number;
}

/** The gradient of one parameter, in little. */
export interface WeightGradient {
  name: string;
  shape: [number, number];
  norm: number;
  /** Where it is largest, and its value there. */
  largest: [number, number];
  value: number;
}

/** One step of AdamW, told of one number of the model. */
export interface LessonStep {
  /** Mean loss before it. */
  loss: number;
  grad_norm: number;
  /** What clipping multiplies all gradients by. */
  scale: number;
  before: number;
  gradient: number;
  m_before: number;
  v_before: number;
  m: number;
  v: number;
  m_hat: number;
  v_hat: number;
  decay: number;
  update: number;
  after: number;
}

/** What a text teaches the model, which itself stays as it is. */
export interface Lesson {
  /** Of each position but the last: the token that should come next. */
  targets: { id: number; text: string | null; bytes: number[] }[];
  losses: number[];
  loss: number;
  weights: WeightGradient[];
  options: { learning_rate: number; beta1: number; beta2: number; eps: number; weight_decay: number; clip: number };
  watched: { weight: string; at: [number, number] };
  steps: LessonStep[];
  losses_after: number[];
  loss_after: number;
}

export interface TrainRequest {
  text: string;
  preset: string;
  steps: number;
  learning_rate?: number;
}

/** A small model that is trained on the server. */
export interface TrainRun {
  run: number;
  phase: 'running' | 'finished' | 'stopped' | 'failed';
  preset: string;
  steps: number;
  learning_rate: number;
  n_layers: number;
  d_model: number;
  n_ctx: number;
  vocab: number;
  parameters: number;
  tokens: number;
  /** What each sample begins with. */
  prompt: string;
  step: number;
  /** Losses of the steps after `since`. */
  since: number;
  losses: number[];
  validation: { step: number; loss: number | null }[];
  samples: { step: number; text: string }[];
  tokens_per_s: number;
  seconds: number;
  /** The name by which it can be opened, once it is done. */
  model: string | null;
  error: string | null;
}
