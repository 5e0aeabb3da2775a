// Widths of text without a browser, from the advance widths of the page's own font: the same everywhere, tests included.
import type { Font } from './types';

/** Inter at weight 520, U+0020 to U+007E, in hundredths of an em. */
const INTER = [
  26, 31, 50, 64, 65, 100, 66, 32, 37, 37, 52, 67, 31, 46, 31, 37, 65, 42, 62, 63, 66, 60, 63, 57, 63, 63, 31, 32, 67, 67, 67, 53, 99, 71, 66, 73, 72, 60, 59, 75, 74, 27, 58, 69, 57, 91, 76, 77, 64, 77, 65, 65, 65, 74, 71, 101, 70, 70, 64, 37, 37, 37, 48, 46, 34, 57, 62, 58, 62, 59,
  38, 62, 60, 25, 25, 56, 25, 89, 60, 60, 62, 62, 39, 54, 34, 60, 58, 83, 56, 58, 56, 44, 35, 44, 67,
];
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u2600-\u27bf\u{1f1e6}-\u{1f1ff}\u{1f300}-\u{1faff}\u{20000}-\u{3ffff}]/u;
const OTHER = 64;
/** Accents, vowel points, joiners, marks of direction: they stand on or between other characters. */
const WITHOUT_WIDTH = /[\p{Mn}\p{Me}\u200c\u200d\u2060-\u2069\u{1f3fb}-\u{1f3ff}]/u;

export function textWidth(text: string, size: number, font: Font = 'sans'): number {
  let hundredths = 0;
  for (const c of text) {
    if (WITHOUT_WIDTH.test(c)) continue;
    if (WIDE.test(c)) hundredths += 100;
    else hundredths += font === 'mono' ? 60 : (INTER[(c.codePointAt(0) as number) - 32] ?? OTHER);
  }
  return (hundredths * size) / 100;
}

/** What a reader takes for one character, such as a face with its skin. */
const LETTERS = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
/** Text of the other direction, as i18n/format sets it apart. */
const SET_APART = /^\u2068(.*)\u2069$/su;

/** The text, cut with an ellipsis where it is wider than `width`. */
export function fit(text: string, width: number, size: number, font: Font = 'sans'): string {
  if (textWidth(text, size, font) <= width) return text;
  const set = SET_APART.exec(text);
  if (set) return `\u2068${fit(set[1] as string, width, size, font)}\u2069`;
  const chars = [...LETTERS.segment(text)].map((s) => s.segment);
  while (chars.length > 1 && textWidth(`${chars.join('')}…`, size, font) > width) chars.pop();
  return `${chars.join('')}…`;
}
