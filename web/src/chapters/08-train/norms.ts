// What each matrix is to change: the length of its gradient, block by block.
import { sci } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import type { Box } from '../../marks/types';
import { stagger } from '../../timeline/ease';
import type { Lesson, WeightGradient } from '../../trace/wire';
import { heading, pad, prog } from '../common';
import type { Frame } from '../types';
import { lesson, runOf } from './lesson';

interface Entry extends WeightGradient {
  /** Its place in the lesson's list. */
  i: number;
}

const MATRIX = /^blocks\.(\d+)\.(?:attn|mlp)\.(W_\w+)$/;

export function norms(f: Frame, d: Draw): void {
  const l = lesson(f) as Lesson;
  const m = pad(f);
  const all: Entry[] = l.weights.map((w, i) => ({ ...w, i }));
  const names = [...new Set(all.flatMap((w) => MATRIX.exec(w.name)?.[2] ?? []))];
  const L = runOf(f).model.n_layers;
  const ends = all.filter((w) => /^W_/.test(w.name));
  const full = Math.max(...all.map((w) => w.norm));
  const left = m + (f.narrow ? 22 : 74);
  const top = f.narrow ? 46 : 84;
  if (!f.narrow) heading(d, m, 26, f.t('train.norms'), 'grad');
  const rowH = Math.min(54, (f.H - top - (f.narrow ? 56 : 76)) / L);
  const w = (f.W - left - m) / names.length;
  names.forEach((name, c) => d.text(left + w * (c + 0.5), top - 14, name, { size: f.narrow ? 11 : 12.5, font: 'mono', anchor: 'middle', fill: /up|down|gate/.test(name) ? 'mlp' : 'attn', weight: 600 }));
  for (let layer = 0; layer < L; layer++) {
    // The gradient comes from above: the last block stands at the top, and is reached first.
    const y = top + rowH * (L - 1 - layer);
    const a = stagger(prog(f, 'norms'), L - 1 - layer, L + 1, 0.1, 1, 0.3);
    if (rowH >= 15 || layer % 5 === 0 || layer === L - 1) d.text(left - 8, y + rowH / 2, f.narrow ? String(layer) : `${f.t('scene.block')} ${layer}`, { size: 11.5, anchor: 'end', fill: 'muted' });
    names.forEach((name, c) => {
      const entry = all.find((e) => MATRIX.exec(e.name)?.[1] === String(layer) && e.name.endsWith(`.${name}`));
      if (entry) box(d, entry, { x: left + w * c, y, w, h: rowH }, full, a);
    });
  }
  const y = top + rowH * L + (f.narrow ? 10 : 18);
  const last = stagger(prog(f, 'norms'), L, L + 1, 0.1, 1, 0.3);
  ends.forEach((entry, i) => {
    const at = left + i * Math.max(w, f.narrow ? 96 : 150);
    d.text(at + 2, y + 15, entry.name, { size: 12.5, font: 'mono', fill: 'weight', weight: 600, a: last });
    box(d, entry, { x: at + (f.narrow ? 40 : 54), y, w: f.narrow ? 56 : 90, h: 30 }, full, last);
  });
}

function box(d: Draw, entry: Entry, at: Box, full: number, a: number): void {
  const text = at.h >= 15 && at.w >= 42 ? sci(entry.norm) : '';
  const size = Math.min(12, at.h * 0.5, (at.w - 8) / Math.max(1, text.length) / 0.62);
  d.rect(at.x + 2, at.y + Math.min(2, at.h * 0.08), at.w - 4, at.h - Math.min(4, at.h * 0.16), {
    r: Math.min(7, at.h * 0.25), fill: `grad/${(0.06 + 0.7 * Math.sqrt(entry.norm / full)).toFixed(2)}`, stroke: 'weight', sw: at.h > 10 ? 1 : 0.4,
    label: text ? { text, size, font: 'mono' } : undefined, cell: { site: 'lesson:norm', index: [entry.i], value: entry.norm, text }, a,
  });
}
