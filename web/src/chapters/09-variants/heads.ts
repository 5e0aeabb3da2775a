// All heads of cross-attention in little.
import type { Draw } from '../../marks/draw';
import { headWall } from '../../marks/headwall';
import { stagger } from '../../timeline/ease';
import { pad, prog } from '../common';
import type { Frame } from '../types';
import { sourceOf, table } from './cross';

export function heads(f: Frame, d: Draw): void {
  const g = prog(f, 'heads');
  const m = pad(f);
  const { n_layers: L, n_heads: H } = f.b.model;
  const y = f.narrow ? 34 : 56;
  d.text(m, f.narrow ? 14 : 30, f.t(f.narrow ? 'scene.crossWallShort' : 'scene.crossWall', { n: L * H }), { size: f.narrow ? 12 : 13, fill: 'muted' });
  headWall(d, { x: m, y, w: f.W - 2 * m, h: f.H - y - 8, layers: L, heads: H, labelW: 26, side: sourceOf(f).length, pattern: (l, h) => table(f.b, l, h), name: (_, h) => String(h), score: () => undefined, selected: f.view, reveal: (l, h) => stagger(g, l * H + h, L * H, 0.1, 1, 0.25) });
}
