// The asking token: one entry of its query as a sum, then the whole query.
import { unfold } from '../../marks/unfold';
import type { Draw } from '../../marks/draw';
import { cellsThatFit, firstDims, fullScale } from '../../marks/vector';
import { part, stagger } from '../../timeline/ease';
import { cellKey, row, type Bundle } from '../../trace/bundle';
import { pad, prog, strip } from '../common';
import { turns } from '../family';
import type { Frame } from '../types';
import { tokenRow } from './residual';

/** Where the query stands as the product gives it: before it is turned, where it is turned. */
export const askedSite = (b: Bundle, layer: number): string => `blocks.${layer}.${turns(b) ? 'q_pre' : 'q'}`;

export function query(f: Frame, d: Draw): void {
  const g = prog(f, 'query');
  const m = pad(f);
  const { token, head } = f.view;
  const y = f.narrow ? 12 : 34;
  const { h } = tokenRow(f, d, y, f.narrow ? 6 : 10);
  const site = askedSite(f.b, f.view.layer);
  const of = f.b.cells.get(cellKey(site, [token, head, 0]));
  const top = y + h + (f.narrow ? 30 : 54);
  if (of) {
    unfold(d, {
      x: m, y: top, w: f.W - 2 * m, h: f.H - top - 110, of, p: part(g, 0, 0.7) === 1 ? 1 : g / 0.7, tint: 'q', leftTint: 'resid', leftName: 'ln1', rightName: '  W_Q', resultName: `q[0]`,
      restText: (n, v) => f.t(f.narrow ? 'scene.restShort' : 'scene.rest', { n, v }),
    });
  }
  const q = row(f.b, site, [token, head]);
  const w = f.W - 2 * m;
  const dims = firstDims(cellsThatFit(w, f.numbers, 16), q.length);
  strip(f, d, { x: m, y: f.H - 62, w, h: 38, site, at: [token, head], title: f.t('scene.query', { h: head }), tint: 'q', dims, full: fullScale(q), reveal: (i) => (i === 0 ? part(g, 0.62, 0.72) : stagger(g, i, dims.length, 0.7, 1, 0.35)), a: part(g, 0.55, 0.65) });
}
