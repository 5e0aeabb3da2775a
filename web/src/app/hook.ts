// A window into the page for tests and for the curious: every number that stands on the stage now, and where the film is.
import { cellsOf, isTraceSite } from '../marks/hit';
import type { Datum, DisplayList } from '../marks/types';
import type { Store } from './store.svelte';

export interface Hook {
  /** Cells that are numbers of the trace. */
  cells(): Datum[];
  /** Numbers worked out from the trace or sent by another route. */
  derived(): Datum[];
  readonly chapter: string;
  readonly step: string;
  readonly t: number;
  readonly p: number;
  readonly ready: boolean;
  readonly traceId: string | null;
  readonly playing: boolean;
  chapters(): { id: string; number: number; steps: string[] }[];
  seek(chapter: string, step: string | number, p?: number): void;
  inspect(site: string, index: number[]): Promise<void>;
}

declare global {
  interface Window {
    __glassformer?: Hook;
  }
}

export function installHook(store: Store, list: () => DisplayList, progress: () => number): void {
  const shown = (): Datum[] => cellsOf(list()).filter((c) => !Number.isNaN(c.value) && c.site !== 'derived:moving');
  window.__glassformer = {
    cells: () => shown().filter((c) => isTraceSite(c.site)),
    derived: () => shown().filter((c) => !isTraceSite(c.site)),
    get chapter() {
      return store.chapter.id;
    },
    get step() {
      return store.chapter.steps[store.step]?.id ?? '';
    },
    get t() {
      return store.place.t;
    },
    get p() {
      return progress();
    },
    get ready() {
      return store.complete;
    },
    get traceId() {
      return store.bundle?.trace.id ?? null;
    },
    get playing() {
      return store.playing;
    },
    chapters: () => store.film.chapters.map((c) => ({ id: c.id, number: c.number, steps: c.steps.map((s) => s.id) })),
    seek(chapter, step, p = 1) {
      const c = store.film.chapters.findIndex((x) => x.id === chapter);
      const s = typeof step === 'number' ? step : (store.film.chapters[c]?.steps.findIndex((x) => x.id === step) ?? -1);
      if (c >= 0 && s >= 0 && store.film.chapters[c]?.steps[s]) store.seek(store.film.momentOf(c, s, p), false);
    },
    inspect: (site, index) => store.inspect({ site, index, value: NaN, text: '' }),
  };
}
