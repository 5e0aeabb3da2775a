// Tokens as chips, in a row or a column.
import { tokenText } from '../i18n/format';
import type { Draw } from './draw';
import { fit, textWidth } from './measure';
import type { Box, Paint } from './types';

export interface TokenLike {
  text: string | null;
  bytes?: number[];
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
  const size = Math.min(o.size ?? 13.5, box.h * 0.58);
  const font = bytes ? 'mono' : 'sans';
  const tint = o.tint ?? 'accent';
  d.rect(box.x, box.y, box.w, box.h, {
    r: Math.min(8, box.h * 0.3),
    fill: o.active ? `${tint}/0.16` : 'token',
    stroke: o.active ? tint : bytes ? 'faint' : 'line',
    sw: o.active ? 2 : 1,
    dash: bytes && !o.active ? [3, 3] : undefined,
    label: { text: fit(text, box.w - 8, bytes ? size * 0.85 : size, font), size: bytes ? size * 0.85 : size, font, weight: o.active ? 650 : 520, fill: o.dim ? 'muted' : 'ink' },
    a: o.a,
  });
}

export const chipWidth = (token: TokenLike, size = 13.5, max = 160): number => Math.min(max, Math.max(26, textWidth(tokenText(token), size, token.text === null ? 'mono' : 'sans') + 18));

/** Chips of their natural width in lines, centred; breaks into several lines where needed. */
export function flowChips(tokens: readonly TokenLike[], area: Box, h: number, size: number, gap = 6, lineGap = 12): Box[] {
  const widths = tokens.map((t) => chipWidth(t, size, area.w));
  const lines: number[][] = [[]];
  let used = 0;
  widths.forEach((w, i) => {
    if (used + w > area.w && used > 0) {
      lines.push([]);
      used = 0;
    }
    (lines[lines.length - 1] as number[]).push(i);
    used += w + gap;
  });
  const height = lines.length * (h + lineGap) - lineGap;
  const boxes: Box[] = [];
  lines.forEach((line, row) => {
    const lineW = line.reduce((s, i) => s + (widths[i] as number) + gap, -gap);
    let x = area.x + (area.w - lineW) / 2;
    for (const i of line) {
      boxes[i] = { x, y: area.y + (area.h - height) / 2 + row * (h + lineGap), w: widths[i] as number, h };
      x += (widths[i] as number) + gap;
    }
  });
  return boxes;
}

/** Which of `total` tokens are shown when only `max` fit: the ones up to the focus, for attention looks back. */
export function windowOf(total: number, focus: number, max: number): number[] {
  const n = Math.min(total, max);
  const start = Math.max(0, Math.min(focus - n + 1, total - n));
  return Array.from({ length: n }, (_, i) => start + i);
}
