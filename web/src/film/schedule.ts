// Which moments of a chapter a film shows: every step's pause, its move, and a hold as long as its words take to read.
import type { Chapter } from '../chapters/types';
import { clamp01 } from '../timeline/ease';
import { LEAD, readingTime, TAIL } from '../timeline/timeline';

export interface Shot {
  step: number;
  p: number;
}

export interface Cut {
  /** The first and the last step. */
  from: number;
  to: number;
  fps: number;
  speed: number;
}

/** `story`: the words of a step. */
export function shots(chapter: Chapter, lang: 'en' | 'zh', story: (step: number) => string, cut: Cut): Shot[] {
  return chapter.steps.slice(cut.from, cut.to + 1).flatMap((s, i): Shot[] => {
    const step = cut.from + i;
    const length = Math.max(LEAD + s.seconds + TAIL, LEAD + readingTime(story(step), lang)) / cut.speed;
    const frames = Math.max(1, Math.round(length * cut.fps));
    // The last frame of a step is its finished picture.
    return Array.from({ length: frames }, (_, k) => ({ step, p: k === frames - 1 ? 1 : clamp01(((k / cut.fps) * cut.speed - LEAD) / s.seconds) }));
  });
}
