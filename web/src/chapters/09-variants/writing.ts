// The decoder writes token by token; what the encoder made of the source is computed once and asked at every step.
import { joined, percent } from '../../i18n/format';
import { barList } from '../../marks/bars';
import type { Draw } from '../../marks/draw';
import { wrap } from '../../marks/wrap';
import type { Box } from '../../marks/types';
import { part, stagger } from '../../timeline/ease';
import { heading, note, pad, prog } from '../common';
import type { Frame } from '../types';
import { sourceOf, writtenOf } from './cross';

export function writing(f: Frame, d: Draw): void {
  const p = Math.min(1, prog(f, 'write') / 0.95);
  const T = writtenOf(f).length;
  // The encoder has a step of its own before the first token.
  const done = p * (T + 1);
  const encoded = part(Math.min(1, done), 0.1, 0.9);
  const now = Math.max(0, Math.min(T - 1, Math.floor(done) - 1));
  const inStep = done >= T + 1 ? 1 : done < 1 ? 0 : done - Math.floor(done);
  const m = pad(f);
  const bottom = sentences(f, d, { x: m, y: f.narrow ? 8 : 22, w: f.W - 2 * m, h: f.narrow ? 78 : 84 }, done < 1 ? 0 : now + (inStep > 0.7 ? 1 : 0));
  const barsW = f.narrow ? 0 : Math.min(290, f.W * 0.34);
  const top = bottom + (f.narrow ? 30 : 46);
  rows(f, d, { x: m, y: top, w: f.W - 2 * m - (barsW ? barsW + 34 : 0), h: f.H - top - (f.narrow ? 108 : 34) }, { encoded, now, inStep, begun: done >= 1 });
  if (done < 1) return;
  bars(f, d, f.narrow ? { x: m, y: f.H - 92, w: f.W - 2 * m, h: 86 } : { x: f.W - m - barsW, y: top, w: barsW, h: Math.min(230, f.H - top - 40) }, now, inStep);
}

/** The source, and the translation as far as it is written. */
function sentences(f: Frame, d: Draw, box: Box, count: number): number {
  const size = f.narrow ? 13.5 : 16;
  d.rect(box.x, box.y, box.w, box.h, { r: 10, fill: 'token', stroke: 'line' });
  const tokens = writtenOf(f).slice(0, count).filter((t) => !('special' in t && t.special));
  const text = joined(tokens).join('').trim();
  const room = Math.floor((box.h / 2 - 6) / (size + 3)) || 1;
  const lines = (words: string, y: number, tint: string, last: boolean): void => {
    const all = wrap(words, box.w - 24, size);
    const some = last ? all.slice(-room) : all.slice(0, room);
    some.forEach((line, i) => d.text(box.x + 12, y + (i - (some.length - 1) / 2) * (size + 3), line, { size, fill: tint, weight: tint === 'ink' ? 450 : 620 }));
  };
  lines(f.b.trace.text.trim(), box.y + box.h * 0.27, 'ink', false);
  d.line(box.x + 12, box.y + box.h / 2, box.x + box.w - 12, box.y + box.h / 2);
  lines(text || '…', box.y + box.h * 0.74, 'q', true);
  return box.y + box.h;
}

interface Progress {
  encoded: number;
  now: number;
  inStep: number;
  begun: boolean;
}

/** Above, the encoder's positions, made once; below, a row for each step: bright is new, pale was kept. */
function rows(f: Frame, d: Draw, box: Box, g: Progress): void {
  const [S, T] = [sourceOf(f).length, writtenOf(f).length];
  const cw = Math.min(30, box.w / (S + T + 1));
  const gap = cw;
  const ch = Math.min(34, (box.h - 14) / (T + 1));
  const x1 = box.x + cw * S + gap;
  heading(d, box.x, box.y - 15, f.t(f.narrow ? 'scene.encodedShort' : 'scene.encoded'), 'k');
  if (!f.narrow || cw * S > 90) d.text(x1, box.y - 15, f.t(f.narrow ? 'scene.writtenShort' : 'scene.written'), { size: 12.5, weight: 620, fill: 'q' });
  const cell = (x: number, y: number, fill: string, a: number): void => d.rect(x + 0.8, y + 0.8, cw - 1.6, ch - 1.6, { r: Math.min(4, cw * 0.2), fill, a });
  for (let s = 0; s < S; s++) cell(box.x + cw * s, box.y, 'k', stagger(g.encoded, s, S, 0, 1, 0.5));
  if (!g.begun) return;
  for (let t = 0; t <= g.now; t++) {
    const y = box.y + ch * (t + 1) + 4;
    const p = t === g.now ? g.inStep : 1;
    for (let s = 0; s < S; s++) cell(box.x + cw * s, y, 'k/0.18', part(p, 0, 0.2));
    for (let j = 0; j <= t; j++) cell(x1 + cw * j, y, j === t ? 'q' : 'q/0.22', part(p, j === t ? 0.15 : 0, j === t ? 0.4 : 0.2));
  }
  if (!f.narrow) note(d, box.x, Math.min(f.H - 12, box.y + ch * (T + 1) + 22), f.t('scene.encodedOnce', { s: S, t: T }));
}

/** What could come next at this step, and what was written. */
function bars(f: Frame, d: Draw, box: Box, t: number, p: number): void {
  const own = writtenOf(f)[t];
  const all = f.b.guesses?.[t] ?? [];
  const list = all.slice(0, f.narrow ? 3 : 6);
  const chosen = all.find((g) => g.id === own?.id);
  // The likeliest translation is not made of the likeliest tokens alone.
  const items = chosen && !list.includes(chosen) ? [...list.slice(0, -1), chosen] : list;
  if (!f.narrow) heading(d, box.x, box.y - 15, f.t('scene.nextWord'), 'accent');
  const picked = p > 0.7;
  barList(d, {
    ...box, labelW: f.narrow ? 100 : 118, tint: 'resid', full: Math.max(...items.map((g) => g.prob), 1e-9),
    items: items.map((g) => ({ token: g, value: g.prob, text: percent(g.prob), active: picked && g === chosen, dim: picked && g !== chosen, tint: picked && g === chosen ? 'accent' : 'resid', cell: { site: 'guess:prob', index: [t, g.id], value: g.prob, text: percent(g.prob) } })),
    reveal: (i) => stagger(p, i, items.length, 0.35, 0.65, 0.5),
  });
}
