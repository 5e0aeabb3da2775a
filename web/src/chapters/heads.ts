// What a head does, named from its pattern alone, with the score that earned the name. The scores are the engine's.
import type { Bundle } from '../trace/bundle';

const NAMES = ['previous', 'first', 'self', 'same', 'induction'] as const;
export type HeadName = (typeof NAMES)[number] | 'broad';

const ENOUGH = 0.4;

export function headName(b: Bundle, layer: number, head: number): { name: HeadName; score: number } {
  const at = layer * b.model.n_heads + head;
  const best = NAMES.map((name) => ({ name, score: b.heads?.get(name)?.data[at] ?? 0 })).sort((x, y) => y.score - x.score)[0];
  return best && best.score >= ENOUGH ? best : { name: 'broad', score: best?.score ?? 0 };
}

/** How many heads have each name, the most frequent first. */
export function headCounts(b: Bundle): { name: HeadName; count: number }[] {
  const counts = new Map<HeadName, number>();
  for (let l = 0; l < b.model.n_layers; l++)
    for (let h = 0; h < b.model.n_heads; h++) {
      const { name } = headName(b, l, h);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  return [...counts].map(([name, count]) => ({ name, count })).sort((x, y) => y.count - x.count);
}

/** The head whose look from the last token is the most worth seeing: at several others, not only at itself or at the start. */
export function headInterest(b: Bundle): { layer: number; head: number } | null {
  const interest = b.heads?.get('interest')?.data;
  if (!interest?.length) return null;
  let best = 0;
  interest.forEach((v, i) => {
    if (v > (interest[best] as number)) best = i;
  });
  return { layer: Math.floor(best / b.model.n_heads), head: best % b.model.n_heads };
}
