import type { Frame } from '../types';

/** The stage of the lens (0: the entry) from which on the guess stays what it is at the end; null where the lens has not come. */
export function settles(f: Frame): number | null {
  const top = f.b.lens?.top.map((s) => s[f.view.token]?.[0]?.id);
  if (!top?.length || top[0] === undefined) return null;
  const last = top[top.length - 1];
  let i = top.length - 1;
  while (i > 0 && top[i - 1] === last) i--;
  return i;
}
