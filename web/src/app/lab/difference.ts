// What two runs say differently. Pure: from the logits and streams that the engine sent.
import { row, type Bundle } from '../../trace/bundle';
import type { Candidate } from '../../trace/wire';

export interface Change {
  id: number;
  text: string | null;
  bytes: number[];
  before: number;
  after: number;
}

export interface Difference {
  /** The likeliest next token of each run. */
  tops: [Change, Change];
  risen: Change[];
  fallen: Change[];
  /** How much probability lies elsewhere: half the sum of all differences, 0 to 1. */
  moved: number;
}

/** Do two runs speak of the same things: tokens, layers, directions? Only then can their numbers be laid on each other. */
export const comparable = (a: Bundle, b: Bundle): boolean => a.model.name === b.model.name;

/** The likeliest next token of a run. */
export function likeliest(b: Bundle): (Pick<Change, 'id' | 'text' | 'bytes'> & { share: number }) | null {
  const p = shares(b);
  const ids = (b.sample?.candidates ?? []).filter((c) => c.id < p.length);
  const [top] = [...ids].sort((x, y) => (p[y.id] as number) - (p[x.id] as number));
  return top ? { id: top.id, text: top.text, bytes: top.bytes, share: p[top.id] as number } : null;
}

/** softmax of the logits after the last token; empty where they have not come. */
function shares(b: Bundle): Float64Array {
  const logits = row(b, 'logits', [b.trace.tokens.length - 1]);
  let max = -Infinity;
  for (const v of logits) max = Math.max(max, v);
  const out = Float64Array.from(logits, (v) => Math.exp(v - max));
  const sum = out.reduce((a, v) => a + v, 0);
  return out.map((v) => v / sum);
}

export function difference(before: Bundle, after: Bundle, most = 3): Difference | null {
  const [p, q] = [shares(before), shares(after)];
  const known = new Map<number, Candidate>();
  for (const b of [before, after]) for (const c of b.sample?.candidates ?? []) known.set(c.id, c);
  if (!p.length || p.length !== q.length || !known.size) return null;
  const all: Change[] = [...known.values()].map(({ id, text, bytes }) => ({ id, text, bytes, before: p[id] as number, after: q[id] as number }));
  const best = (of: (c: Change) => number, n: number): Change[] => [...all].sort((a, b) => of(b) - of(a)).slice(0, n);
  const [top] = best((c) => c.before, 1);
  const [now] = best((c) => c.after, 1);
  if (!top || !now) return null;
  const least = 0.0005;
  return {
    tops: [top, now],
    risen: best((c) => c.after - c.before, most).filter((c) => c.after - c.before > least),
    fallen: best((c) => c.before - c.after, most).filter((c) => c.before - c.after > least),
    moved: p.reduce((s, v, i) => s + Math.abs(v - (q[i] as number)), 0) / 2,
  };
}

export interface LayerChange {
  /** Between the two residual streams after a layer: 1 is the same direction. */
  cosine: number;
  before: number;
  after: number;
}

/** Layer by layer: how near the streams of two tokens are, and how long. */
export function alongLayers(a: Bundle, b: Bundle, tokenA: number, tokenB: number): LayerChange[] {
  const out: LayerChange[] = [];
  for (let l = 0; l < a.model.n_layers; l++) {
    const [x, y] = [row(a, `blocks.${l}.resid_post`, [tokenA]), row(b, `blocks.${l}.resid_post`, [tokenB])];
    if (!x.length || x.length !== y.length) return [];
    let [xy, xx, yy] = [0, 0, 0];
    x.forEach((v, i) => {
      const w = y[i] as number;
      xy += v * w;
      xx += v * v;
      yy += w * w;
    });
    const length = Math.sqrt(xx * yy);
    out.push({ cosine: length > 0 ? xy / length : 0, before: Math.sqrt(xx), after: Math.sqrt(yy) });
  }
  return out;
}
