// From the page's state to a picture: the size of the stage in its own units, the frame, the display list.
import type { Chapter, Frame } from '../chapters/types';
import { Draw } from '../marks/draw';
import { cut } from '../timeline/timeline';
import type { FilmPlace } from './player';
import type { Store } from './store.svelte';

export interface StageSize {
  W: number;
  H: number;
  /** Screen pixels per unit of the stage. */
  scale: number;
  narrow: boolean;
}

/** Small stages are laid out for small; large ones are enlarged, so that nothing is tiny on a large screen. */
export function stageSize(width: number, height: number, most = 1.6): StageSize {
  const narrow = width < 560;
  const scale = narrow ? Math.max(0.85, width / 380) : Math.max(0.84, Math.min(most, Math.min(width / 860, height / 560)));
  return { W: width / scale, H: height / scale, scale, narrow };
}

export type Side = 'left' | 'right';

export function frameOf(store: Store, size: StageSize, place: FilmPlace = store.place, side: Side = 'left'): Frame | null {
  const { lab } = store;
  const b = side === 'right' ? lab.right : store.bundle;
  const ghost = (side === 'left' && lab.ghost) || undefined;
  if (!b) return null;
  const film = side === 'right' ? lab.rightFilm : store.film;
  const there = film === store.film ? place : film.moved(place, store.film);
  const here = store.reduced ? cut(film.place(there)) : film.place(there);
  return { b, ghost, view: side === 'right' ? lab.rightView : { ...store.view }, settings: { ...store.settings }, step: here.step, p: here.p, steps: film.at(place.chapter).steps, W: size.W, H: size.H, narrow: size.narrow, numbers: store.depth !== 'story', lang: store.lang, t: store.t };
}

/** The words and numbers that the texts of the present step mention; they depend on the run and the choice, not on the moment. */
export function stepVars(store: Store): Record<string, string> {
  void store.version;
  const chapter = store.place.chapter;
  const frame = store.ready ? frameOf(store, { W: 860, H: 560, scale: 1, narrow: false }, { chapter, t: 0 }) : null;
  return frame ? store.film.at(chapter).vars(frame) : {};
}

export function picture(frame: Frame, chapter: Chapter): Draw {
  const d = new Draw();
  chapter.scene(frame, d);
  return d;
}
