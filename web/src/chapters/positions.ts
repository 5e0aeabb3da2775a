// Which positions of a text a picture looks at: all of a short one, of a long one those near the chosen token and the end.
import { windowOf } from '../marks/tokens';
import { topDims } from '../marks/vector';
import { row, type Bundle } from '../trace/bundle';
import type { View } from './types';

/** Texts up to this length come whole. */
const FEW = 48;
const NEAR = 16;

const union = (...lists: (readonly number[])[]): number[] => [...new Set(lists.flat())].sort((a, b) => a - b);
const isShort = (b: Bundle): boolean => b.trace.tokens.length <= FEW;

/** The last positions: where the overview looks. */
export function lastRows(b: Bundle): number[] {
  const T = b.trace.tokens.length;
  return windowOf(T, T - 1, NEAR);
}

/** Near the chosen token and near the end; undefined: all. */
export function nearRows(b: Bundle, v: View): number[] | undefined {
  return isShort(b) ? undefined : union([0], windowOf(b.trace.tokens.length, v.token, NEAR), lastRows(b));
}

/** As `nearRows`, and those that the chosen token attends to most, once its pattern is there. */
export function attendedRows(b: Bundle, v: View, most = 10): number[] | undefined {
  if (isShort(b)) return undefined;
  const pattern = row(b, `blocks.${v.layer}.pattern`, [v.head, v.token]);
  return union(nearRows(b, v) ?? [], topDims(pattern.subarray(0, v.token), most));
}

/** The chosen token alone; undefined: all. */
export const ownRow = (b: Bundle, v: View): number[] | undefined => (isShort(b) ? undefined : [v.token]);
