// One film of several models: each kind of model has its chapters, and of each kind one model tells them. Who chooses a chapter of
// another kind has the page changed to its model. Pure.
import { chaptersOf } from '../chapters';
import { factsOf } from '../chapters/family';
import type { View } from '../chapters/types';
import type { Kind, ModelInfo } from '../trace/wire';
import type { Saved } from './hash';
import { Film, type FilmPlace } from './player';

const ORDER: readonly Kind[] = ['decoder', 'encoder_decoder', 'encoder'];

/** What a model read, and what was looked at, when another one took the page. */
export interface Left {
  model: ModelInfo;
  text: string;
  chat: boolean;
  view: View;
}

/** Where the film will stand once another model's run has come. */
export interface Crossing extends FilmPlace {
  playing: boolean;
}

/** A run to be made, perhaps by another model than the page's. */
export interface Errand {
  model: ModelInfo;
  text: string;
  chat: boolean;
  view?: View;
  to?: Crossing;
}

/** Is it the name of a model that was trained on the page? */
export const isTrained = (name: string | undefined): boolean => name?.startsWith('trained-') ?? false;

/** Of each kind, the model that tells its chapters: of those that were `open` the first, else the first that the server was given. */
export function tellers(open: readonly ModelInfo[], models: readonly ModelInfo[]): ModelInfo[] {
  const still = open.filter((m) => models.some((other) => other.name === m.name));
  const all = [...still, ...models.filter((m) => !isTrained(m.name))];
  return ORDER.flatMap((kind) => all.find((m) => m.kind === kind) ?? []);
}

export const filmOf = (telling: readonly ModelInfo[]): Film => new Film(telling.flatMap((m) => chaptersOf(factsOf(m))));

/** What a link opens: the model that it names, or the server's own; where its chapter is of another kind, the model that tells that. */
export function askedModel(s: Pick<Saved, 'model' | 'chapter'>, models: readonly ModelInfo[]): ModelInfo {
  const named = models.find((m) => m.name === s.model) ?? models[0];
  if (!named) throw new Error('the server has no model');
  const all = tellers([named], models);
  return [named, ...all].find((m) => chaptersOf(factsOf(m)).some((c) => c.id === s.chapter)) ?? named;
}

/** The run that a model makes when it takes the page: on `text`, or as it was left, or on its own sentence. */
export function errandOf(model: ModelInfo, left: Left | undefined, lang: 'en' | 'zh', text?: string): Errand {
  if (text !== undefined) return { model, text, chat: false };
  return left ? { model, text: left.text, chat: left.chat, view: left.view } : { model, text: model.initial_text ?? model.default_text[lang], chat: false };
}
