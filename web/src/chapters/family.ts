// What a family does its own way. Chapters ask here, never for a family's name.
import type { Bundle } from '../trace/bundle';
import type { Kind, ModelInfo, Parts } from '../trace/wire';

export interface Facts extends Parts {
  kind: Kind;
  /** Do several heads of queries share one of keys and values? */
  grouped: boolean;
}

export const factsOf = (m: ModelInfo): Facts => ({ ...m.parts, kind: m.kind, grouped: m.n_kv_heads < m.n_heads });

/** GPT-2's way: what the film is made of before the model has told. */
export const PLAIN: Facts = { kind: 'decoder', post_norm: false, norm: 'layer', positions: 'learned', frequencies: null, head_norm: false, gated: false, qkv_bias: true, out_bias: true, mlp_bias: true, windows: [], grouped: false };

export const turns = (b: Bundle): boolean => b.model.parts.positions === 'rotary';

/** The head of keys and values that a head of queries reads. */
export const kvHead = (b: Bundle, head: number): number => Math.floor((head * b.model.n_kv_heads) / b.model.n_heads);

/** The norm's name in LaTeX. */
export const normTex = (f: Facts): string => (f.norm === 'rms' ? '\\mathrm{RMSNorm}' : '\\mathrm{LN}');

/** An activation's name as the field writes it. */
export const activationName = (name: string): string => (name.startsWith('gelu') ? 'GELU' : name === 'silu' ? 'SiLU' : name === 'relu' ? 'ReLU' : name);
