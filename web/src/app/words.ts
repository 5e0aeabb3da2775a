// A picture in words: the numbers that stand on it, grouped as they lie together.
import type { Datum, DisplayList } from '../marks/types';
import { cellsOf } from '../marks/hit';
import { num } from '../i18n/format';

export interface Group {
  name: string;
  numbers: string[];
}

const MOST_GROUPS = 14;
const MOST_NUMBERS = 12;

export function inWords(list: DisplayList): Group[] {
  const groups = new Map<string, Map<string, Datum>>();
  for (const c of cellsOf(list)) {
    if (Number.isNaN(c.value) || c.site === 'derived:moving') continue;
    const row = c.index.slice(0, -1).join(', ');
    const name = `${c.site.replace(/^\w+:/, '')}${row ? ` [${row}]` : ''}`;
    const group = groups.get(name) ?? new Map<string, Datum>();
    group.set(c.index.join(','), c);
    groups.set(name, group);
  }
  return [...groups].slice(0, MOST_GROUPS).map(([name, cells]) => {
    const all = [...cells.values()];
    const numbers = all.slice(0, MOST_NUMBERS).map((c) => c.text || num(c.value));
    if (all.length > MOST_NUMBERS) numbers.push(`… +${all.length - MOST_NUMBERS}`);
    return { name, numbers };
  });
}
