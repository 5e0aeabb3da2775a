import { overview } from './00-overview';
import { tokenize } from './01-tokenize';
import { embed } from './02-embed';
import { attention } from './03-attention';
import { mlp } from './04-mlp';
import { layers } from './05-layers';
import { unembed } from './06-unembed';
import { generate } from './07-generate';
import { train } from './08-train';
import { gaps, translate } from './09-variants';
import { PLAIN, type Facts } from './family';
import type { Chapter, WrittenChapter } from './types';

/** By number: the last has one telling for each kind of model that does not go on with a text. */
const WRITTEN: readonly (readonly WrittenChapter[])[] = [[overview], [tokenize], [embed], [attention], [mlp], [layers], [unembed], [generate], [train], [translate, gaps]];

/** The chapters as a family needs them: its own steps, formulas and words. Some kinds of models have few of them so far. */
export const chaptersOf = (facts: Facts): readonly Chapter[] =>
  WRITTEN.flatMap((tellings, number) => tellings.filter((c) => (c.kinds ?? ['decoder']).includes(facts.kind)).map((c) => told(c, number, facts)));

function told({ kinds: _, ...chapter }: WrittenChapter, number: number, facts: Facts): Chapter {
  const steps = chapter.steps.filter((s) => s.only?.(facts) ?? true);
  return {
    ...chapter,
    number,
    kind: facts.kind,
    steps: steps.map(({ id, seconds, formula, variant }) => {
      const own = variant?.(facts);
      return { id, seconds, formula: typeof formula === 'function' ? formula(facts) : formula, text: own ? `${id}.${own}` : id };
    }),
  };
}

/** GPT-2's: chapters are the same in number and name for all families that go on with a text. */
export const CHAPTERS = chaptersOf(PLAIN);
