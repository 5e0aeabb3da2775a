// Which words the last pictures of this chapter are about: the visitor's own, and those of a − b + c.
import { windowOf } from '../../marks/tokens';
import type { Bundle, Need } from '../../trace/bundle';
import type { Triple } from '../../trace/engine';
import type { View } from '../types';

/** As many of the visitor's tokens as a table has room for. */
export const MOST_OWN = 10;

/** Sums that begin with, in the language that the text is in. */
const FIRST: Record<'en' | 'zh', Triple> = { en: ['father', 'boy', 'girl'], zh: ['他', '男孩', '女孩'] };

export const sumOf = (view: View, b: Bundle): Triple => view.sum ?? FIRST[/\p{Script=Han}/u.test(b.trace.text) ? 'zh' : 'en'];

/** Tokens of the text that stand in the pictures; a token that comes twice stands there once. */
export function ownTokens(view: View, b: Bundle): number[] {
  const { tokens } = b.trace;
  const near = windowOf(tokens.length, view.token, MOST_OWN);
  return near.filter((t) => !near.some((other) => other < t && tokens[other]?.id === tokens[t]?.id) || t === view.token);
}

export const idsOf = (view: View, b: Bundle): number[] => [...new Set(ownTokens(view, b).map((t) => b.trace.tokens[t]?.id ?? 0))];

export function wordNeeds(view: View, b: Bundle): Need[] {
  const own = b.trace.tokens[view.token]?.id ?? 0;
  return [
    { kind: 'cosines', ids: idsOf(view, b), later: true },
    { kind: 'map', ids: [...new Set([own, ...idsOf(view, b)])], later: true },
    { kind: 'sum', words: sumOf(view, b), later: true },
  ];
}

/** The two of one's own tokens that lie closest together. */
export function closest(view: View, b: Bundle): { a: number; b: number; cosine: number } | null {
  const table = b.cosines.get(idsOf(view, b).join());
  if (!table) return null;
  let best: { a: number; b: number; cosine: number } | null = null;
  table.ids.forEach((a, i) => table.ids.forEach((other, j) => {
    const cosine = table.cosines[i]?.[j] ?? NaN;
    if (j > i && (best === null || cosine > best.cosine)) best = { a, b: other, cosine };
  }));
  return best;
}
