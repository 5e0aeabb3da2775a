// Widths of text without a browser, from the advance widths of the page's own font: the same everywhere, tests included.
import type { Font } from './types';

/** Inter at weight 520, U+0020 to U+007E, in hundredths of an em. */
const INTER = [
  26, 31, 50, 64, 65, 100, 66, 32, 37, 37, 52, 67, 31, 46, 31, 37, 65, 42, 62, 63, 66, 60, 63, 57, 63, 63, 31, 32, 67, 67, 67, 53, 99, 71, 66, 73, 72, 60, 59, 75, 74, 27, 58, 69, 57, 91, 76, 77, 64, 77, 65, 65, 65, 74, 71, 101, 70, 70, 64, 37, 37, 37, 48, 46, 34, 57, 62, 58, 62, 59,
  38, 62, 60, 25, 25, 56, 25, 89, 60, 60, 62, 62, 39, 54, 34, 60, 58, 83, 56, 58, 56, 44, 35, 44, 67,
];
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3ffff}]/u;
const OTHER = 64;

export function textWidth(text: string, size: number, font: Font = 'sans'): number {
  let hundredths = 0;
  for (const c of text) {
    if (WIDE.test(c)) hundredths += 100;
    else hundredths += font === 'mono' ? 60 : (INTER[(c.codePointAt(0) as number) - 32] ?? OTHER);
  }
  return (hundredths * size) / 100;
}

/** The text, cut with an ellipsis where it is wider than `width`. */
export function fit(text: string, width: number, size: number, font: Font = 'sans'): string {
  if (textWidth(text, size, font) <= width) return text;
  const chars = [...text];
  while (chars.length > 1 && textWidth(`${chars.join('')}…`, size, font) > width) chars.pop();
  return `${chars.join('')}…`;
}
