// Text in lines: words stay whole, Chinese breaks between characters, and no line begins with what closes a phrase.
import { textWidth } from './measure';
import type { Font } from './types';

const PIECES = /\s+|[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f]|[^\s\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f]+/gu;
const CLOSES = /^[，。、；：！？）」』】》〉…”’％,.;:!?)\]}]/u;
const OPENS = /[（「『【《〈“‘([{]$/u;

/** Pieces between which a line may end. */
function pieces(text: string): string[] {
  const out: string[] = [];
  for (const [piece] of text.matchAll(PIECES)) {
    const before = out[out.length - 1];
    if (before !== undefined && !/^\s+$/.test(piece) && !/^\s+$/.test(before) && (CLOSES.test(piece) || OPENS.test(before))) out[out.length - 1] = before + piece;
    else out.push(piece);
  }
  return out;
}

/** `weight`: bold letters are wider than those that were measured. */
export function wrap(text: string, width: number, size: number, font: Font = 'sans', weight = 450): string[] {
  const wide = (s: string): number => textWidth(s, size, font) * (weight >= 600 ? 1.05 : 1);
  const lines: string[] = [];
  let line = '';
  for (const piece of pieces(text)) {
    if (line !== '' && wide((line + piece).trimEnd()) > width) {
      lines.push(line.trimEnd());
      line = piece.trimStart();
    } else line += piece;
    // A word that is longer than a line, an address say, is cut.
    while (wide(line.trimEnd()) > width && [...line].length > 1) {
      let chars = [...line];
      while (chars.length > 1 && wide(chars.join('')) > width) chars = chars.slice(0, -1);
      lines.push(chars.join(''));
      line = line.slice(chars.join('').length);
    }
  }
  return line.trim() === '' ? lines : [...lines, line.trimEnd()];
}
