import { overview } from './00-overview';
import { tokenize } from './01-tokenize';
import { embed } from './02-embed';
import { attention } from './03-attention';
import { mlp } from './04-mlp';
import { layers } from './05-layers';
import { unembed } from './06-unembed';
import { generate } from './07-generate';
import { train } from './08-train';
import { PLAIN, type Facts } from './family';
import type { Chapter, WrittenChapter } from './types';

const WRITTEN: readonly WrittenChapter[] = [overview, tokenize, embed, attention, mlp, layers, unembed, generate, train];

/** The chapters as a family needs them: its own steps, formulas and words. */
export const chaptersOf = (facts: Facts): readonly Chapter[] =>
  WRITTEN.map((chapter) => ({
    ...chapter,
    steps: chapter.steps
      .filter((s) => s.only?.(facts) ?? true)
      .map(({ id, seconds, formula, variant }) => {
        const own = variant?.(facts);
        return { id, seconds, formula: typeof formula === 'function' ? formula(facts) : formula, text: own ? `${id}.${own}` : id };
      }),
  }));

/** GPT-2's: chapters are the same in number and name for all families. */
export const CHAPTERS = chaptersOf(PLAIN);
