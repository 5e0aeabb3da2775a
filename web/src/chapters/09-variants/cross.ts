// What the scenes of an encoder–decoder ask of its run.
import { prose, tokenText } from '../../i18n/format';
import { windowOf } from '../../marks/tokens';
import { choices, hasSite, row, type Bundle } from '../../trace/bundle';
import type { Token, Written } from '../../trace/wire';
import { argmax } from '../common';
import type { Frame } from '../types';

export type Stack = 'encoder' | 'decoder';

export const sourceOf = (f: Frame): readonly Token[] => f.b.trace.tokens;
/** What each place of the decoder writes: the picture of place `t` is named by it. */
export const writtenOf = (f: Frame): readonly (Token | Written)[] => choices(f.b.trace);
export const readAt = (f: Frame, t: number): Written => f.b.trace.target?.tokens[t] as Written;
export const written = (f: Frame, t: number): string => tokenText(writtenOf(f)[t] ?? { text: '' });
export const saidTarget = (f: Frame, t: number): string => prose(writtenOf(f)[t] ?? { text: '' });
export const saidSource = (f: Frame, s: number): string => prose(sourceOf(f)[s] ?? { text: '' });

export const cross = (layer: number, part: string): string => `decoder.blocks.${layer}.cross_${part}`;
export const weights = (f: Frame, t: number): Float32Array => row(f.b, cross(f.view.layer, 'pattern'), [f.view.head, t]);

/** Layer and head of the encoder, which may have fewer of both. */
export function encoderPlace(f: Frame): { layer: number; head: number } {
  const e = f.b.model.encoder;
  return { layer: Math.min(f.view.layer, (e?.n_layers ?? 1) - 1), head: Math.min(f.view.head, (e?.n_heads ?? 1) - 1) };
}

/** The stream of a stack before its first block and behind each: norms that stand behind the parts are on it. */
export function levels(b: Bundle, stack: Stack): string[] {
  const L = stack === 'encoder' ? (b.model.encoder?.n_layers ?? 0) : b.model.n_layers;
  const behind = b.model.parts.post_norm ? 'ln2' : 'resid_post';
  return [`${stack}.blocks.0.resid_pre`, ...Array.from({ length: L }, (_, l) => `${stack}.blocks.${l}.${behind}`)].filter((site) => hasSite(b, site));
}

/** The places of the source that a picture shows: all, or those around the one that is looked at most. */
export const sourceWindow = (f: Frame, most: number): number[] => {
  const S = sourceOf(f).length;
  return windowOf(S, Math.min(S - 1, argmax(weights(f, f.view.token)) + Math.floor(most / 2)), most);
};
export const targetWindow = (f: Frame, most: number): number[] => {
  const T = writtenOf(f).length;
  return windowOf(T, Math.min(T - 1, f.view.token + Math.floor(most / 2)), most);
};

/** One head's weights of the whole target over the whole source, row by row: the same array each time. */
const whole = new WeakMap<Bundle, Map<string, Float32Array>>();

export function table(b: Bundle, layer: number, head: number): Float32Array {
  const known = whole.get(b) ?? new Map<string, Float32Array>();
  whole.set(b, known);
  const key = `${layer}.${head}`;
  const found = known.get(key);
  if (found) return found;
  const rows = choices(b.trace).map((_, t) => row(b, cross(layer, 'pattern'), [head, t]));
  const S = b.trace.tokens.length;
  const all = new Float32Array(rows.length * S);
  rows.forEach((r, t) => all.set(r, t * S));
  if (rows.every((r) => r.length === S)) known.set(key, all);
  return all;
}

/** The head that looks most like an alignment: each word of the target takes most from one word of the source, and each word of the
 * source gives most to some word of the target; the source's end is left out. Undefined until the patterns have come. */
export function bestAligned(b: Bundle): { layer: number; head: number } | null | undefined {
  const [T, words] = [choices(b.trace).length, Math.max(1, b.trace.tokens.length - 1)];
  let best: { layer: number; head: number; score: number } | null = null;
  for (let layer = 0; layer < b.model.n_layers; layer++)
    for (let head = 0; head < b.model.n_heads; head++) {
      const given = new Float32Array(words);
      let score = 0;
      for (let t = 0; t < T; t++) {
        const r = row(b, cross(layer, 'pattern'), [head, t]).subarray(0, words);
        if (!r.length) return undefined;
        score += Math.max(...r);
        r.forEach((w, s) => (given[s] = Math.max(given[s] as number, w)));
      }
      for (const w of given) score += w;
      if (!best || score > best.score) best = { layer, head, score };
    }
  return best && { layer: best.layer, head: best.head };
}
