// Tensors as a table that any program reads: a line for each number, with its site and its place.
import type { Tensor } from './safetensors';

/** The shortest decimals that give the same f32 again. */
export function shortest(v: number): string {
  if (!Number.isFinite(v)) return Number.isNaN(v) ? 'nan' : v > 0 ? 'inf' : '-inf';
  for (let digits = 6; digits < 9; digits++) {
    const text = v.toPrecision(digits);
    if (Math.fround(Number(text)) === v) return String(Number(text));
  }
  return String(Number(v.toPrecision(9)));
}

/** `rows`: the positions that the tensors hold, where not all (the axis before the last two of scores and patterns, else the first). */
export function toCsv(tensors: ReadonlyMap<string, Tensor>, rows?: readonly number[]): string {
  const most = Math.max(0, ...[...tensors.values()].map((t) => t.shape.length));
  const lines = [['site', ...Array.from({ length: most }, (_, i) => `i${i}`), 'value'].join(',')];
  for (const [site, t] of tensors) {
    const axis = /\.(scores|pattern)$/.test(site) ? 1 : 0;
    const at = t.shape.map(() => 0);
    for (const v of t.data) {
      const place = at.map((i, k) => (k === axis && rows ? (rows[i] ?? i) : i));
      lines.push([site, ...Array.from({ length: most }, (_, k) => place[k] ?? ''), shortest(v)].join(','));
      for (let k = at.length - 1; k >= 0; k--) {
        at[k] = (at[k] as number) + 1;
        if ((at[k] as number) < (t.shape[k] as number)) break;
        at[k] = 0;
      }
    }
  }
  return `${lines.join('\n')}\n`;
}
