// The formula, put together from the things seen: small pictures of the real q, K, V, with their names below.
import { percent } from '../../i18n/format';
import { stack } from '../../marks/bars';
import type { Draw } from '../../marks/draw';
import type { Box, Paint } from '../../marks/types';
import { fullScale } from '../../marks/vector';
import { lerp, part, stagger } from '../../timeline/ease';
import { row } from '../../trace/bundle';
import { kvHead } from '../family';
import { attended, block, pad, prog, word } from '../common';
import type { Frame } from '../types';

/** A vector or a matrix of the trace in small, without numbers: its cells can be clicked all the same. */
function mini(d: Draw, f: Frame, box: Box, part_: string, tokens: readonly number[], tint: Paint, upright: boolean): void {
  const site = block(f, part_);
  const head = part_ === 'k' || part_ === 'v' ? kvHead(f.b, f.view.head) : f.view.head;
  const rows = tokens.map((t) => row(f.b, site, [t, head]));
  const full = fullScale(...rows);
  const n = 10;
  tokens.forEach((t, i) => {
    for (let e = 0; e < n; e++) {
      const value = (rows[i] as Float32Array)[e] as number;
      const [x, y, w, h] = upright ? [box.x + (box.w / tokens.length) * i, box.y + (box.h / n) * e, box.w / tokens.length, box.h / n] : [box.x + (box.w / n) * e, box.y + (box.h / tokens.length) * i, box.w / n, box.h / tokens.length];
      d.rect(x + 0.6, y + 0.6, w - 1.2, h - 1.2, { r: 2, fill: `s:${Math.round(Math.max(-1, Math.min(1, value / full)) * 100) / 100}`, cell: { site, index: [t, head, e], value, text: '' } });
    }
  });
  d.rect(box.x - 3, box.y - 3, box.w + 6, box.h + 6, { r: 5, stroke: tint, sw: 2 });
}

export function assembled(f: Frame, d: Draw): void {
  const g = prog(f, 'formula');
  const shown = attended(f, d, f.narrow ? 6 : 8).filter((k) => k <= f.view.token);
  const unit = f.narrow ? 70 : Math.min(118, f.W / 7.4);
  const rowsH = Math.min(unit, shown.length * 16);
  const cy = f.narrow ? 92 : f.H * 0.3;
  const m = pad(f);
  const at = (i: number): number => stagger(g, i, 6, 0.05, 0.75, 0.4);
  const gap = f.narrow ? 14 : 34;
  const xs = { soft: f.narrow ? m : (f.W - (unit * 2 + rowsH + gap * 2 + 34 + 108)) / 2, q: 0, k: 0, div: 0, close: 0, v: 0 };
  xs.q = xs.soft + (f.narrow ? 72 : 108);
  xs.k = xs.q + unit + gap;
  xs.div = xs.k + rowsH;
  const kBox = { x: xs.k, y: cy - unit / 2, w: rowsH, h: unit };
  const big = f.narrow ? 17 : 25;
  d.text(xs.q - (f.narrow ? 18 : 26), cy + 14, 'softmax', { size: f.narrow ? 13.5 : 20, weight: 600, anchor: 'end', a: at(3) });
  d.text(xs.q - (f.narrow ? 10 : 16), cy + 14, '(', { size: big * 2.6, anchor: 'middle', fill: 'muted', weight: 300, a: at(3) });
  d.fade(at(0), () => {
    mini(d, f, { x: xs.q, y: cy - 8, w: unit, h: 16 }, 'q', [f.view.token], 'q', false);
    d.text(xs.q + unit / 2, cy - 28, 'q', { size: big, weight: 700, fill: 'q', anchor: 'middle' });
  });
  d.text(xs.q + unit + gap / 2, cy, '·', { size: big * 1.4, anchor: 'middle', fill: 'muted', a: at(1) });
  d.fade(at(1), () => {
    mini(d, f, kBox, 'k', shown, 'k', true);
    d.text(kBox.x + kBox.w / 2, kBox.y - 20, 'Kᵀ', { size: big, weight: 700, fill: 'k', anchor: 'middle' });
  });
  d.fade(at(2), () => {
    d.line(xs.q - 2, cy + unit / 2 + 14, xs.div + 4, cy + unit / 2 + 14, 'ink', 2);
    d.text((xs.q + xs.div) / 2, cy + unit / 2 + 36, `√d_head = √${f.b.model.d_head}`, { size: f.narrow ? 14 : 18, font: 'mono', anchor: 'middle' });
  });
  d.text(xs.div + 18, cy + 14, ')', { size: big * 2.6, anchor: 'middle', fill: 'muted', weight: 300, a: at(3) });
  const vBox = f.narrow ? { x: xs.div + 46, y: cy - rowsH / 2, w: Math.min(unit, f.W - m - xs.div - 50), h: rowsH } : { x: xs.div + 34 + gap, y: cy - rowsH / 2, w: unit, h: rowsH };
  d.text((xs.div + 22 + vBox.x) / 2 + 4, cy, '·', { size: big * 1.4, anchor: 'middle', fill: 'muted', a: at(4) });
  d.fade(at(4), () => {
    mini(d, f, vBox, 'v', shown, 'v', false);
    d.text(vBox.x + vBox.w / 2, vBox.y - 20, 'V', { size: big, weight: 700, fill: 'v', anchor: 'middle' });
  });
  outcome(f, d, shown, at(5), m);
}

/** Below: the weights that this made, and z. */
function outcome(f: Frame, d: Draw, shown: number[], a: number, m: number): void {
  const pattern = row(f.b, block(f, 'pattern'), [f.view.head, f.view.token]);
  const rest = 1 - shown.reduce((s, k) => s + (pattern[k] as number), 0);
  const y = f.narrow ? 238 : f.H * 0.6;
  d.fade(a, () => {
    const best = Math.max(...shown.map((k) => pattern[k] as number));
    d.text(m, y - 16, `softmax(…)   max = ${percent(best)}`, { size: 12.5, font: 'mono', fill: 'attn', weight: 600 });
    stack(d, { x: m, y, w: f.W - 2 * m, h: 40 }, [...(rest > 1e-4 ? [{ share: rest, tint: 'faint', label: '…', strength: 0.4, cell: { site: 'derived:rest', index: [], value: rest, text: '' } }] : []), ...shown.map((k, i) => ({ share: pattern[k] as number, tint: 'attn', strength: i % 2 ? 0.42 : 0.7, label: word(f, k), cell: { site: block(f, 'pattern'), index: [f.view.head, f.view.token, k], value: pattern[k] as number, text: '' } }))], lerp(0.2, 1, part(a, 0, 1)));
    const zy = y + (f.narrow ? 92 : 116);
    d.text(m, zy - 20, `z = softmax(…) · V`, { size: 12.5, font: 'mono', fill: 'v', weight: 600 });
    mini(d, f, { x: m + 2, y: zy, w: f.W - 2 * m - 4, h: 26 }, 'z', [f.view.token], 'v', false);
  });
}
