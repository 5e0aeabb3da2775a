// How another of the server's models takes the page.
import type { ModelInfo } from '../trace/wire';
import { errandOf, isTrained } from './doors';
import type { FilmPlace } from './player';
import type { Store } from './store.svelte';

/** A model takes the page, at the same step where its film has it. Without a name: the first that tells the present chapter. */
export const open = (store: Store, name?: string, text?: string): Promise<void> =>
  store.guard(async () => {
    const model = await store.find({ model: name, chapter: name === undefined ? store.chapter.id : undefined });
    await store.run(undefined, errandOf(model, store.left.get(model.name), store.lang, text));
  });

/** The film goes to a chapter that another model tells; the page stays as it is until that one's run has come. */
export function cross(store: Store, place: FilmPlace, playing: boolean): void {
  const to = { ...place, playing };
  const { kind } = store.film.at(place.chapter);
  // While it is on its way, only the place is another: somebody scrubs.
  if (store.crossing && store.film.at(store.crossing.chapter).kind === kind) {
    store.crossing = to;
    return;
  }
  const model = store.tellers.find((m) => m.kind === kind);
  if (model) void store.run(undefined, { ...errandOf(model, store.left.get(model.name), store.lang), to });
}

/** The models that can be changed to within a chapter: of a translator the other direction, say. The lab lays the others side by side. */
export function kin(own: ModelInfo | null, models: readonly ModelInfo[]): ModelInfo[] {
  const all = models.filter((m) => m.kind === own?.kind && !isTrained(m.name));
  return own?.kind === 'decoder' && own.name === all[0]?.name ? [] : all;
}

/** Does a translator read what it writes? One that reads both languages has a sentence in each. */
export const readsBoth = (m: ModelInfo): boolean => m.kind === 'encoder_decoder' && m.default_text.en !== m.default_text.zh;

/** What was written becomes the text. */
export function translateBack(store: Store): void {
  store.text = store.bundle?.trace.target?.text ?? store.text;
  void store.run();
}
