// Tokens as chips, in a row or a column.
import { tokenText } from '../i18n/format';
import type { Draw } from './draw';
import { fit, textWidth } from './measure';
import type { Box, Paint } from './types';

export interface TokenLike {
  text: string | null;
  bytes?: number[];
  special?: boolean;
}

export interface ChipOptions {
  active?: boolean;
  dim?: boolean;
  tint?: Paint;
  size?: number;
  a?: number;
}

export function tokenChip(d: Draw, box: Box, token: TokenLike, o: ChipOptions = {}): void {
  const text = tokenText(token);
  const bytes = token.text === null;
  const font = bytes ? 'mono' : 'sans';
  const full = Math.min(o.size ?? 13.5, box.h * 0.58) * (bytes ? 0.85 : 1);
  // A word that is a little too long is written smaller before it is cut.
  const size = Math.max(Math.min(full, 10.5), Math.min(full, (full * (box.w - 7)) / textWidth(text, full, font)));
  const special = token.special === true;
  const tint = o.tint ?? 'accent';
  if (special) d.badge('badge.special');
  d.rect(box.x, box.y, box.w, box.h, {
    r: Math.min(8, box.h * 0.3),
    fill: o.active ? `${tint}/0.16` : 'token',
    stroke: o.active ? tint : special ? 'place' : bytes ? 'faint' : 'line',
    sw: o.active ? 2 : 1,
    dash: bytes && !o.active ? [3, 3] : undefined,
    label: { text: fit(text, box.w - 5, size, font), size, font, weight: o.active ? 650 : 520, fill: o.dim ? 'muted' : 'ink' },
    a: o.a,
  });
}

export const chipWidth = (token: TokenLike, size = 13.5, max = 160): number => Math.min(max, Math.max(26, textWidth(tokenText(token), size, token.text === null ? 'mono' : 'sans') + 18));

/** Which of `total` tokens are shown when only `max` fit: the ones up to the focus, for attention looks back. */
export function windowOf(total: number, focus: number, max: number): number[] {
  const n = Math.min(total, max);
  const start = Math.max(0, Math.min(focus - n + 1, total - n));
  return Array.from({ length: n }, (_, i) => start + i);
}
