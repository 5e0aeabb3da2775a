// The words of a step beside its picture: where it stands, its title, what happens, its numbers, its formula.
import type { Chapter, Frame } from '../chapters/types';
import { Draw } from '../marks/draw';
import { formula, layFormula } from '../marks/tex';
import type { Box, DisplayList } from '../marks/types';
import { wrap } from '../marks/wrap';

/** At `code` a picture has the words and the numbers: lines of code would not fit beside them. */
export type Depth = 'story' | 'numbers' | 'formula' | 'code';

const LARGEST = 1.15;
const SMALLEST = 0.7;

/** Drawn into `box`, its letters as large as fit. */
export function caption(f: Frame, chapter: Chapter, depth: Depth, box: Box): DisplayList {
  for (let size = LARGEST; ; size -= 0.05) {
    const d = new Draw();
    const height = write(f, chapter, depth, d, box, size);
    if (height <= box.h || size <= SMALLEST) return d.list;
  }
}

function write(f: Frame, chapter: Chapter, depth: Depth, d: Draw, box: Box, k: number): number {
  const step = chapter.steps[f.step];
  if (!step) return 0;
  const vars = chapter.vars(f);
  const say = (part: string): string => f.t(`ch.${chapter.id}.${step.text}.${part}`, vars);
  let y = box.y + 8 * k;
  const lines = (text: string, size: number, o: { weight?: number; fill?: string; leading: number; inset?: number }): void => {
    for (const line of wrap(text, box.w - (o.inset ?? 0), size, 'sans', o.weight)) {
      d.text(box.x + (o.inset ?? 0), y + (size * o.leading) / 2, line, { size, weight: o.weight ?? 450, fill: o.fill });
      y += size * o.leading;
    }
  };
  lines(f.t('ui.step', { i: f.step + 1, n: chapter.steps.length }), 13 * k, { fill: 'muted', leading: 1.5 });
  y += 6 * k;
  lines(say('title'), 21 * k, { weight: 680, leading: 1.28 });
  y += 8 * k;
  lines(say('story'), 17 * k, { leading: 1.55 });
  if (depth !== 'story') {
    y += 12 * k;
    const from = y;
    lines(say('numbers'), 14.5 * k, { leading: 1.5, inset: 14 });
    d.rect(box.x, from, 3, y - from, { r: 1.5, fill: 'accent' });
  }
  if (depth === 'formula' && step.formula) y = equation(d, step.formula, box, y + 20 * k, 19 * k);
  return y - box.y;
}

function equation(d: Draw, tex: string, box: Box, y: number, size: number): number {
  const { w, up, down } = layFormula(tex);
  const fitted = Math.min(size, box.w / w);
  formula(d, box.x + (box.w - w * fitted) / 2, y + up * fitted, tex, fitted);
  return y + (up + down) * fitted;
}
