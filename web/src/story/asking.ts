// Which question stands beside the stage now, and what has been answered to it.
import { frameOf } from '../app/frame';
import type { Store } from '../app/store.svelte';
import { QUESTIONS, type Question } from './questions';

/** The choice that was made, or that none was wanted. */
export type Answers = Readonly<Record<string, number>>;
export const SKIPPED = -1;
/** Seconds that a film which goes on by itself waits longer where a question is open. */
export const TIME_TO_ANSWER = 6;

export interface Asking {
  /** Of the run and the choice: another head is another question. */
  key: string;
  chapter: string;
  question: Question;
  answer: number | undefined;
}

/** The question of this step; at the step behind it once more, where it was answered: there its answer is seen. */
export function asking(store: Store): Asking | null {
  void store.version;
  const { id, steps } = store.chapter;
  const asked = QUESTIONS[id];
  const at = steps.findIndex((s) => s.id === asked?.at);
  if (!asked || at < 0 || (store.step !== at && store.step !== at + 1)) return null;
  const { layer, head, token } = store.view;
  const { temperature, top_k, top_p, seed } = store.settings;
  const key = JSON.stringify([id, store.bundle?.asked.text, store.bundle?.asked.edits, layer, head, token, temperature, top_k, top_p, seed]);
  const answer = store.answers[key];
  if (store.step !== at && (answer ?? SKIPPED) === SKIPPED) return null;
  const frame = store.ready ? frameOf(store, { W: 860, H: 560, scale: 1, narrow: false }, store.film.startOf(store.place.chapter, at)) : null;
  const question = frame && asked.make(frame);
  return question ? { key, chapter: id, question, answer } : null;
}

/** The question that waits for an answer. */
export function openQuestion(store: Store): Asking | null {
  const now = asking(store);
  return now && now.answer === undefined ? now : null;
}

/** Answers the open question; whether there was one with such a choice. */
export function answer(store: Store, choice: number): boolean {
  const now = openQuestion(store);
  if (!now || choice >= now.question.choices.length) return false;
  store.answers = { ...store.answers, [now.key]: choice };
  return true;
}
