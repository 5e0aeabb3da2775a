import { num, prose } from '../../i18n/format';
import { row } from '../../trace/bundle';
import type { Bundle, Need } from '../../trace/bundle';
import { norm, tokenAt, said } from '../common';
import { nearRows } from '../positions';
import type { View, WrittenChapter } from '../types';
import { scene, TABLE_COLS, tableRows } from './scene';

function needs(view: View, b: Bundle): Need[] {
  const id = b.trace.tokens[view.token]?.id ?? 0;
  return [
    { kind: 'sites', globs: ['embed', 'pos_embed', 'blocks.0.resid_pre'], rows: nearRows(b, view) },
    { kind: 'neighbours', id },
    { kind: 'weights', name: 'W_E', rows: tableRows(id, b.model.vocab), cols: [0, Math.min(TABLE_COLS, b.model.d_model)] },
  ];
}

export const embed: WrittenChapter = {
  id: 'embed',
  picks: ['token'],
  steps: [
    { id: 'lookup', seconds: 1.8, formula: '\\mathrm{embed}_t = W_E[\\mathrm{id}_t,:]' },
    { id: 'vector', seconds: 1.4, formula: 'W_E \\in \\mathbb{R}^{V \\times d_{model}}' },
    { id: 'position', seconds: 1.6, formula: (p) => (p.positions === 'learned' ? 'x_t = W_E[\\mathrm{id}_t,:] + W_{pos}[t,:]' : 'x_t = W_E[\\mathrm{id}_t,:]'), variant: (p) => (p.positions === 'learned' ? undefined : 'later') },
    { id: 'all', seconds: 1.8, formula: 'X = (x_1, \\dots, x_T) \\in \\mathbb{R}^{T \\times d_{model}}' },
    { id: 'near', seconds: 1.6, formula: '\\cos(a,b) = \\frac{a \\cdot b}{\\lVert a \\rVert\\,\\lVert b \\rVert}' },
  ],
  needs,
  scene,
  vars: (f) => {
    const t = f.view.token;
    const near = f.b.neighbours.get(tokenAt(f, t).id)?.neighbours[0];
    return { word: said(f, t), id: String(tokenAt(f, t).id), d: String(f.b.model.d_model), vocab: String(f.b.model.vocab), place: String(t), tokens: String(f.b.trace.tokens.length), near: near ? prose(near) : '…', cosine: near ? num(near.cosine) : '…', length: num(norm(row(f.b, 'embed', [t]))) };
  },
};
