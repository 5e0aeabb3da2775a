// From the page's state to what a sheet shows.
import type { Shown } from '../../film/sheet';
import { cut } from '../../timeline/timeline';
import { frameOf } from '../frame';
import type { Store } from '../store.svelte';

/** The present moment, or one of the present chapter. */
export function shownOf(store: Store, moment?: { step: number; p: number }): Shown {
  const place = store.film.place(store.place);
  const { step, p } = moment ?? (store.reduced ? cut(place) : place);
  const { stored } = store.model ?? {};
  return {
    chapter: store.chapter,
    number: store.chapter.number,
    // Lines of code are no picture: their numbers stand in for them.
    depth: store.depth === 'code' ? 'numbers' : store.depth,
    model: store.model?.name ?? '',
    notes: [
      ...(store.model?.version.endsWith('mock') ? [store.t('badge.mock')] : []),
      ...(store.lab.ghost ? [store.t('lab.badge', { n: store.lab.edits.length })] : []),
      store.t('badge.real'),
      ...(stored && stored !== 'F32' ? [store.t('badge.stored', { type: stored })] : []),
    ],
    frame: (stage) => {
      const frame = frameOf(store, { ...stage, scale: 1 });
      if (!frame) throw new Error('nothing has been run yet');
      return { ...frame, step, p };
    },
  };
}

/** A picture's size: as wide as a screen, or upright where the page is narrow. */
export const stillSize = (): { width: number; height: number } => (innerWidth < 820 ? { width: 1080, height: 1920 } : { width: 1920, height: 1080 });

/** What a file is called: the chapter and the step. */
export const nameOf = (store: Store, ending: string, withStep = true): string => `glassformer-${store.chapter.id}${withStep ? `-${store.chapter.steps[store.step]?.id ?? ''}` : ''}.${ending}`;

/** Gives the visitor a file. */
export function give(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
