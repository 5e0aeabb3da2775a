// The tensors that stand on the stage, whole, as files.
import { cellsOf, isTraceSite } from '../../marks/hit';
import type { DisplayList } from '../../marks/types';
import { toCsv } from '../../trace/csv';
import type { Engine } from '../../trace/engine';
import { parseSafetensors } from '../../trace/safetensors';
import type { Bundle } from '../../trace/bundle';

/** A table of more numbers than this is none that anybody reads. */
const MOST_NUMBERS = 4_000_000;

/** The sites that the picture shows numbers of. */
export function sitesShown(list: DisplayList): string[] {
  const grids = list.flatMap((p) => (p.k === 'grid' && p.source && p.a > 0.5 ? [p.source.site] : []));
  return [...new Set([...cellsOf(list).map((c) => c.site), ...grids])].filter(isTraceSite).sort();
}

/** Of a long text's large tensors only the chosen token's rows. */
export function rowsOf(b: Bundle, sites: readonly string[], token: number): number[] | undefined {
  const count = b.trace.sites.filter((s) => sites.includes(s.name)).reduce((sum, s) => sum + s.shape.reduce((x, y) => x * y, 1), 0);
  return count > MOST_NUMBERS ? [token] : undefined;
}

export async function numbers(engine: Engine, b: Bundle, sites: string[], rows: number[] | undefined, as: 'safetensors' | 'csv'): Promise<Blob> {
  const file = await engine.file(b.trace.id, sites, rows);
  if (as === 'safetensors') return new Blob([file], { type: 'application/octet-stream' });
  return new Blob([toCsv(parseSafetensors(file), rows)], { type: 'text/csv' });
}
