// Where a number comes from: what is asked when one is opened.
import type { Datum } from '../marks/types';
import type { Bundle } from '../trace/bundle';
import type { Provenance } from '../trace/wire';
import { realCell } from './realcell';
import type { Store } from './store.svelte';

export interface Inspected {
  datum: Datum;
  provenance: Provenance | null;
}

/** Opens a number of a run: fresh from a picture, or from the terms of the one before. */
export async function inspect(store: Store, datum: Datum, fresh: boolean, run: Bundle | null): Promise<void> {
  if (datum.site === 'pick:head') {
    store.setView({ layer: datum.index[0] ?? 0, head: datum.index[1] ?? 0 });
    return;
  }
  if (datum.site === 'pick:word') {
    store.setView({ word: datum.index[0] });
    return;
  }
  // A number of the run with a gap is asked of that run: the gap's place stands before the last number of its index.
  const gap = datum.site.startsWith('gap:') ? run?.gaps.get(datum.index[datum.index.length - 2] ?? -1) : undefined;
  const b = fresh ? (gap ?? run) : store.looked;
  if (!b) return;
  store.looked = b;
  store.lab.picked = null;
  // What numbers of two stacks were made of is not told yet.
  const real = b.trace.target ? null : realCell(datum, store.view);
  const base = fresh ? [] : store.trail;
  if (!real) {
    store.trail = [...base, { datum, provenance: null }];
    return;
  }
  await store.guard(async () => {
    const provenance = await store.engine.cell(b.trace.id, real.site, real.index);
    store.trail = [...base, { datum: { ...datum, ...real, value: provenance.value ?? datum.value }, provenance }];
  });
}
