// What a head does, named from its pattern alone, with the score that earned the name. The scores are the engine's.
import type { Bundle } from '../trace/bundle';

const NAMES = ['previous', 'first', 'self', 'same', 'induction'] as const;
export type HeadName = (typeof NAMES)[number] | 'broad';

/** A name is earned by so large a mean share of attention, and by so many times what even attention would give: in a text of three
 * tokens everybody looks at the one before. */
export const ENOUGH = 0.4;
export const TIMES_EVEN = 1.5;

export interface Named {
  name: HeadName;
  /** The strongest habit, its mean share of attention, and what that share would be if all that may be seen were seen alike. */
  habit: (typeof NAMES)[number];
  score: number;
  even: number;
}

export function headName(b: Bundle, layer: number, head: number): Named {
  const at = layer * b.model.n_heads + head;
  const even = evenShares(b);
  const habits = NAMES.map((habit) => ({ habit, score: b.heads?.get(habit)?.data[at] ?? 0, even: even[habit] })).sort((x, y) => y.score - x.score);
  const earned = habits.find((h) => h.score >= ENOUGH && h.score >= TIMES_EVEN * h.even);
  const told = earned ?? (habits[0] as (typeof habits)[number]);
  return { name: earned ? told.habit : 'broad', ...told };
}

const shares = new WeakMap<object, Record<(typeof NAMES)[number], number>>();

/** The habits' scores, as the engine measures them (trace/src/heads.rs), of a head that looks at all tokens up to its own alike. */
export function evenShares(b: Bundle): Record<(typeof NAMES)[number], number> {
  const known = shares.get(b.trace.tokens);
  if (known) return known;
  const ids = b.trace.tokens.map((t) => t.id);
  const echoes = ids.map((id, q) => ids.slice(0, q).filter((other) => other === id).length);
  const mean = (of: (q: number) => number, may: (q: number) => boolean): number => {
    const queries = [...ids.keys()].filter(may);
    return queries.reduce((sum, q) => sum + of(q) / (q + 1), 0) / Math.max(1, queries.length);
  };
  const one = (): number => 1;
  const again = (q: number): number => echoes[q] as number;
  const even = { previous: mean(one, (q) => q >= 1), first: mean(one, (q) => q >= 2), self: mean(one, (q) => q >= 1), same: mean(again, (q) => again(q) > 0), induction: mean(again, (q) => again(q) > 0) };
  shares.set(b.trace.tokens, even);
  return even;
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
