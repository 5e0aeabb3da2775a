import { gridAt } from './grid';
import type { Datum, DisplayList, DotsPrim, GridPrim, Prim } from './types';

function inside(p: Prim, x: number, y: number): boolean {
  const slack = 1;
  if (p.k === 'rect' || p.k === 'grid') return x >= p.x - slack && x <= p.x + p.w + slack && y >= p.y - slack && y <= p.y + p.h + slack;
  if (p.k === 'disc') return Math.hypot(x - p.x, y - p.y) <= p.r + slack;
  if (p.k !== 'text') return false;
  const half = p.size * 0.7;
  const w = p.text.length * p.size * 0.62;
  const from = p.anchor === 'start' ? p.x : p.anchor === 'end' ? p.x - w : p.x - w / 2;
  return x >= from && x <= from + w && Math.abs(y - p.y) <= half;
}

function inGrid(p: GridPrim, { site, at }: NonNullable<GridPrim['source']>, x: number, y: number): Datum {
  const place = Math.min(p.values.length - 1, gridAt(p, x, y));
  return { site, index: [...at, place], value: p.values[place] ?? NaN, text: '' };
}

/** The point next to a place, if it is near enough to be meant. */
function inDots(p: DotsPrim, ids: readonly number[], x: number, y: number): Datum | null {
  let [best, nearest] = [-1, Math.max(4, p.r + 2)];
  for (let i = 0; i < ids.length; i++) {
    const away = Math.hypot(x - p.x - (p.points[2 * i] as number), y - p.y - (p.points[2 * i + 1] as number));
    if (away < nearest) [best, nearest] = [i, away];
  }
  return best < 0 ? null : { site: 'pick:word', index: [ids[best] as number], value: NaN, text: '' };
}

/** The cell under a point: the last drawn lies on top. Faded things are not there to be clicked. */
export function cellAt(list: DisplayList, x: number, y: number): { datum: Datum; prim: Prim } | null {
  for (let i = list.length - 1; i >= 0; i--) {
    const p = list[i] as Prim;
    const dot = p.k === 'dots' && p.ids && p.a > 0.25 ? inDots(p, p.ids, x, y) : null;
    if (dot) return { datum: dot, prim: p };
    if (p.k === 'grid' && p.source && p.a > 0.25 && inside(p, x, y)) return { datum: inGrid(p, p.source, x, y), prim: p };
    if (p.cell && p.a > 0.25 && inside(p, x, y)) return { datum: p.cell, prim: p };
  }
  return null;
}

export const cellsOf = (list: DisplayList): Datum[] => list.flatMap((p) => (p.cell && p.a > 0.5 ? [p.cell] : []));
export const isTraceSite = (site: string): boolean => !site.includes(':');

/** Where a cell is drawn now, for the outline of the selected one. */
export function primOf(list: DisplayList, site: string, index: readonly number[]): Prim | null {
  const key = index.join(',');
  return list.find((p) => p.cell?.site === site && p.cell.index.join(',') === key && p.a > 0.3) ?? null;
}
