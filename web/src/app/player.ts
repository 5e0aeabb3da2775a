// The film as a whole: chapters one after the other, and what play, step and scrub do to the place in it. Pure.
import { CHAPTERS } from '../chapters';
import type { Chapter } from '../chapters/types';
import { chapterLength, LEAD, placeAt, stepLength, stepStart, type Place, type Step } from '../timeline/timeline';

export interface FilmPlace {
  chapter: number;
  t: number;
}

export const chapterAt = (i: number): Chapter => CHAPTERS[i] as Chapter;
export const lengths: readonly number[] = CHAPTERS.map((c) => chapterLength(c.steps));
export const total: number = lengths.reduce((a, b) => a + b, 0);

const EDGE = 1e-3;

export const placeOf = (f: FilmPlace): Place => placeAt(chapterAt(f.chapter).steps, f.t);

export function stepEnd(f: FilmPlace): number {
  const steps = chapterAt(f.chapter).steps;
  const { step } = placeOf(f);
  return stepStart(steps, step) + stepLength(steps[step] as Step);
}

export const atStepEnd = (f: FilmPlace): boolean => f.t >= stepEnd(f) - EDGE;
export const atFilmEnd = (f: FilmPlace): boolean => f.chapter === CHAPTERS.length - 1 && f.t >= (lengths[f.chapter] as number) - EDGE;

/** The beginning of the next step, over the edge of a chapter too. */
export function nextStep(f: FilmPlace): FilmPlace {
  const steps = chapterAt(f.chapter).steps;
  const { step } = placeOf(f);
  if (step + 1 < steps.length) return { chapter: f.chapter, t: stepStart(steps, step + 1) + EDGE };
  if (f.chapter + 1 < CHAPTERS.length) return { chapter: f.chapter + 1, t: 0 };
  return { chapter: f.chapter, t: lengths[f.chapter] as number };
}

/** The end of the step before: its finished picture. */
export function prevStep(f: FilmPlace): FilmPlace {
  const { step } = placeOf(f);
  if (step > 0) return endOf(f.chapter, step - 1);
  if (f.chapter > 0) return endOf(f.chapter - 1, chapterAt(f.chapter - 1).steps.length - 1);
  return { chapter: 0, t: 0 };
}

export function startOf(chapter: number, step: number): FilmPlace {
  const steps = chapterAt(chapter).steps;
  return { chapter, t: step === 0 ? 0 : stepStart(steps, step) + EDGE };
}

export function endOf(chapter: number, step: number): FilmPlace {
  const steps = chapterAt(chapter).steps;
  return { chapter, t: stepStart(steps, step) + stepLength(steps[step] as Step) };
}

/** A moment of a step, by its progress. */
export function momentOf(chapter: number, step: number, p: number): FilmPlace {
  const steps = chapterAt(chapter).steps;
  return { chapter, t: stepStart(steps, step) + EDGE + LEAD + p * (steps[step] as Step).seconds };
}

export const filmTime = (f: FilmPlace): number => lengths.slice(0, f.chapter).reduce((a, b) => a + b, 0) + f.t;

export function atFilmTime(time: number): FilmPlace {
  let rest = Math.max(0, Math.min(total, time));
  for (let c = 0; c < CHAPTERS.length; c++) {
    const length = lengths[c] as number;
    if (rest <= length || c === CHAPTERS.length - 1) return { chapter: c, t: Math.min(rest, length) };
    rest -= length;
  }
  return { chapter: 0, t: 0 };
}

/** Seconds that a text takes to read; a hold lasts at least so long where the film goes on by itself. */
export const readingTime = (text: string, lang: 'en' | 'zh'): number => Math.max(1.5, text.length * (lang === 'zh' ? 0.13 : 0.042));
