// Time, without a clock: a chapter is a list of steps; a place in the film is (step, p).
// A step is: a pause in which the text is read, one fast smooth move, and a hold.

export interface Step {
  id: string;
  /** Length of the move, in seconds at speed 1. */
  seconds: number;
  /** The step's formula, in LaTeX, for the Formula depth. */
  formula?: string;
}

/** Seconds at the start of each step in which nothing moves yet, and at the end in which nothing moves any more. */
export const LEAD = 0.35;
export const TAIL = 0.45;

export interface Place {
  step: number;
  /** Progress of the move, 0 to 1. */
  p: number;
}

export const stepLength = (s: Step): number => LEAD + s.seconds + TAIL;
export const chapterLength = (steps: readonly Step[]): number => steps.reduce((sum, s) => sum + stepLength(s), 0);

export function stepStart(steps: readonly Step[], step: number): number {
  return chapterLength(steps.slice(0, step));
}

/** Where in a chapter the time `t` (seconds from the chapter's start) lies. */
export function placeAt(steps: readonly Step[], t: number): Place {
  let start = 0;
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i] as Step;
    const length = stepLength(step);
    // The end of a step belongs to it, not to the next: there the film holds.
    if (t <= start + length || i === steps.length - 1) {
      const p = (t - start - LEAD) / step.seconds;
      return { step: i, p: Math.min(1, Math.max(0, p)) };
    }
    start += length;
  }
  return { step: 0, p: 0 };
}

export interface Tick {
  t: number;
  /** The end of a step was reached and the film stops there. */
  held: boolean;
  /** The end of the chapter was passed. */
  ended: boolean;
}

/** The time after `dt` more seconds. When it does not flow, time never passes the end of the step it is in. */
export function advance(steps: readonly Step[], t: number, dt: number, flows: boolean): Tick {
  const total = chapterLength(steps);
  const next = t + dt;
  if (!flows) {
    const { step } = placeAt(steps, t);
    const end = stepStart(steps, step) + stepLength(steps[step] as Step);
    if (next >= end) return { t: end, held: true, ended: end >= total };
    return { t: next, held: false, ended: false };
  }
  return next >= total ? { t: total, held: false, ended: true } : { t: next, held: false, ended: false };
}

/** Seconds that a text takes to read; a hold lasts at least so long where the film goes on by itself. */
export const readingTime = (text: string, lang: 'en' | 'zh'): number => Math.max(1.5, text.length * (lang === 'zh' ? 0.13 : 0.042));

/** Reduced motion: a step is seen only as its end. */
export const cut = (place: Place): Place => ({ step: place.step, p: 1 });
