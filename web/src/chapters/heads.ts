// What a head does, named from its pattern alone, with the score that earned the name.
import type { Bundle } from '../trace/bundle';

export type HeadName = 'previous' | 'first' | 'self' | 'same' | 'induction' | 'broad';

const ENOUGH = 0.4;

export function headName(b: Bundle, layer: number, head: number): { name: HeadName; score: number } {
  const site = b.sites.get(`blocks.${layer}.pattern`);
  const T = b.trace.tokens.length;
  if (!site || T < 2) return { name: 'broad', score: 0 };
  const at = (q: number, k: number): number => site.data[(head * T + q) * T + k] as number;
  const ids = b.trace.tokens.map((t) => t.id);
  const scores: Record<Exclude<HeadName, 'broad'>, number> = {
    previous: mean(T, (q) => (q >= 1 ? at(q, q - 1) : null)),
    first: mean(T, (q) => (q >= 2 ? at(q, 0) : null)),
    self: mean(T, (q) => (q >= 1 ? at(q, q) : null)),
    same: mean(T, (q) => sumWhere(q, (k) => k < q && ids[k] === ids[q], at)),
    induction: mean(T, (q) => sumWhere(q, (k) => k >= 1 && k <= q && ids[k - 1] === ids[q] && k - 1 < q, at)),
  };
  const [name, score] = (Object.entries(scores) as [Exclude<HeadName, 'broad'>, number][]).sort((x, y) => y[1] - x[1])[0] as [Exclude<HeadName, 'broad'>, number];
  return score >= ENOUGH ? { name, score } : { name: 'broad', score };
}

function mean(T: number, f: (q: number) => number | null): number {
  let sum = 0;
  let count = 0;
  for (let q = 0; q < T; q++) {
    const v = f(q);
    if (v === null) continue;
    sum += v;
    count++;
  }
  return count ? sum / count : 0;
}

function sumWhere(q: number, when: (k: number) => boolean, at: (q: number, k: number) => number): number | null {
  let sum = 0;
  let any = false;
  for (let k = 0; k <= q; k++) {
    if (!when(k)) continue;
    any = true;
    sum += at(q, k);
  }
  return any ? sum : null;
}

/** The head whose look from one token is the most worth seeing: at several others, not only at itself or at the start. */
export function headInterest(b: Bundle, token: number): { layer: number; head: number } | null {
  let best: { layer: number; head: number } | null = null;
  let top = -1;
  for (let layer = 0; layer < b.model.n_layers; layer++) {
    const site = b.sites.get(`blocks.${layer}.pattern`);
    const T = b.trace.tokens.length;
    if (!site) continue;
    for (let head = 0; head < b.model.n_heads; head++) {
      const p = site.data.subarray((head * T + token) * T, (head * T + token) * T + token + 1);
      const away = 1 - (p[0] as number) - (token > 0 ? (p[token] as number) : 0);
      const sharp = Math.max(...p);
      const worth = away * (1 - Math.abs(sharp - 0.45));
      if (worth > top) [top, best] = [worth, { layer, head }];
    }
  }
  return best;
}
