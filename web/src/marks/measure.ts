// Widths of text without a browser: good to a few per cent, which is enough for laying out and the same everywhere.
import type { Font } from './types';

const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3ffff}]/u;
const NARROW = /[iljtfr.,:;'|!()[\] ]/;
const BROAD = /[mwMW@%]/;

export function textWidth(text: string, size: number, font: Font = 'sans'): number {
  let em = 0;
  for (const c of text) em += WIDE.test(c) ? 1 : font === 'mono' ? 0.6 : NARROW.test(c) ? 0.31 : BROAD.test(c) ? 0.85 : /[A-Z0-9␣]/.test(c) ? 0.64 : 0.55;
  return em * size;
}

/** The text, cut with an ellipsis where it is wider than `width`. */
export function fit(text: string, width: number, size: number, font: Font = 'sans'): string {
  if (textWidth(text, size, font) <= width) return text;
  const chars = [...text];
  while (chars.length > 1 && textWidth(`${chars.join('')}…`, size, font) > width) chars.pop();
  return `${chars.join('')}…`;
}
