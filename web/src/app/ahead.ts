// Where a visitor will probably go from here. Pure.
import type { Chapter, View } from '../chapters/types';
import type { ModelInfo } from '../trace/wire';
import type { Film, FilmPlace } from './player';

export interface Target {
  chapter: Chapter;
  view: View;
}

/** The layers above and below where layers can be chosen, and the next chapter, where it is the same model's. */
export function likelyNext(film: Film, place: FilmPlace, view: View, model: ModelInfo): Target[] {
  const chapter = film.at(place.chapter);
  const layers = chapter.picks.includes('layer') ? [view.layer + 1, view.layer - 1].filter((l) => l >= 0 && l < model.n_layers) : [];
  const next = film.chapters[place.chapter + 1];
  return [...layers.map((layer) => ({ chapter, view: { ...view, layer } })), ...(next?.kind === chapter.kind ? [{ chapter: next, view }] : [])];
}
