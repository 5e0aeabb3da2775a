// The film as a whole: chapters one after the other, and what play, step and scrub do to the place in it. Pure.
import type { Chapter, ChapterStep } from '../chapters/types';
import { chapterLength, LEAD, placeAt, stepLength, stepStart, type Place } from '../timeline/timeline';

export interface FilmPlace {
  chapter: number;
  t: number;
}

const EDGE = 1e-3;

export class Film {
  readonly lengths: readonly number[];
  readonly total: number;

  constructor(readonly chapters: readonly Chapter[]) {
    this.lengths = chapters.map((c) => chapterLength(c.steps));
    this.total = this.lengths.reduce((a, b) => a + b, 0);
  }

  at(i: number): Chapter {
    return this.chapters[i] as Chapter;
  }
  length(i: number): number {
    return this.lengths[i] as number;
  }
  place(f: FilmPlace): Place {
    return placeAt(this.at(f.chapter).steps, f.t);
  }
  step(f: FilmPlace): ChapterStep {
    return this.at(f.chapter).steps[this.place(f).step] as ChapterStep;
  }

  private stepEnd(f: FilmPlace): number {
    return stepStart(this.at(f.chapter).steps, this.place(f).step) + stepLength(this.step(f));
  }
  atStepEnd(f: FilmPlace): boolean {
    return f.t >= this.stepEnd(f) - EDGE;
  }
  atEnd(f: FilmPlace): boolean {
    return f.chapter === this.chapters.length - 1 && f.t >= this.length(f.chapter) - EDGE;
  }

  /** The beginning of the next step, over the edge of a chapter too. */
  next(f: FilmPlace): FilmPlace {
    const steps = this.at(f.chapter).steps;
    const { step } = this.place(f);
    if (step + 1 < steps.length) return { chapter: f.chapter, t: stepStart(steps, step + 1) + EDGE };
    if (f.chapter + 1 < this.chapters.length) return { chapter: f.chapter + 1, t: 0 };
    return { chapter: f.chapter, t: this.length(f.chapter) };
  }

  /** The end of the step before: its finished picture. */
  prev(f: FilmPlace): FilmPlace {
    const { step } = this.place(f);
    if (step > 0) return this.endOf(f.chapter, step - 1);
    if (f.chapter > 0) return this.endOf(f.chapter - 1, this.at(f.chapter - 1).steps.length - 1);
    return { chapter: 0, t: 0 };
  }

  startOf(chapter: number, step: number): FilmPlace {
    return { chapter, t: step === 0 ? 0 : stepStart(this.at(chapter).steps, step) + EDGE };
  }
  endOf(chapter: number, step: number): FilmPlace {
    const steps = this.at(chapter).steps;
    return { chapter, t: stepStart(steps, step) + stepLength(steps[step] as ChapterStep) };
  }

  /** A moment of a step, by its progress. */
  momentOf(chapter: number, step: number, p: number): FilmPlace {
    const steps = this.at(chapter).steps;
    return { chapter, t: stepStart(steps, step) + EDGE + LEAD + p * (steps[step] as ChapterStep).seconds };
  }

  time(f: FilmPlace): number {
    return this.lengths.slice(0, f.chapter).reduce((a, b) => a + b, 0) + f.t;
  }
  atTime(time: number): FilmPlace {
    let rest = Math.max(0, Math.min(this.total, time));
    for (let c = 0; c < this.chapters.length; c++) {
      if (rest <= this.length(c) || c === this.chapters.length - 1) return { chapter: c, t: Math.min(rest, this.length(c)) };
      rest -= this.length(c);
    }
    return { chapter: 0, t: 0 };
  }

  /** The same step of another family's film, where it has it; else as near as can be. */
  moved(f: FilmPlace, from: Film): FilmPlace {
    const { step, p } = from.place(f);
    const there = from.at(f.chapter);
    const chapter = this.chapters.findIndex((c) => c.id === there.id);
    if (chapter < 0) return { chapter: 0, t: 0 };
    const found = this.at(chapter).steps.findIndex((s) => s.id === there.steps[step]?.id);
    if (found < 0) return { chapter, t: Math.min(f.t, this.length(chapter)) };
    return from.atStepEnd(f) ? this.endOf(chapter, found) : p === 0 ? this.startOf(chapter, found) : this.momentOf(chapter, found, p);
  }
}
