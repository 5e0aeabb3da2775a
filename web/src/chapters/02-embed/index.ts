import { num, percent, prose } from '../../i18n/format';
import { row, sumKey } from '../../trace/bundle';
import type { Bundle, Need } from '../../trace/bundle';
import { norm, tokenAt, said } from '../common';
import { nearRows } from '../positions';
import type { Frame, View, WrittenChapter } from '../types';
import { scene, TABLE_COLS, tableRows } from './scene';
import { closest, sumOf, wordNeeds } from './words';

function needs(view: View, b: Bundle): Need[] {
  const id = b.trace.tokens[view.token]?.id ?? 0;
  return [
    { kind: 'sites', globs: ['embed', 'pos_embed', 'blocks.0.resid_pre'], rows: nearRows(b, view) },
    { kind: 'neighbours', id },
    { kind: 'weights', name: 'W_E', rows: tableRows(id, b.model.vocab), cols: [0, Math.min(TABLE_COLS, b.model.d_model)] },
    ...wordNeeds(view, b),
  ];
}

/** Of the last three pictures. */
function wordVars(f: Frame): Record<string, string> {
  const pair = closest(f.view, f.b);
  const name = (id: number): string => prose(f.b.trace.tokens.find((t) => t.id === id) ?? { text: '' });
  const words = sumOf(f.view, f.b);
  const sum = f.b.sums.get(sumKey(words));
  const best = sum && !('error' in sum) ? sum.neighbours[0] : undefined;
  const map = f.b.map;
  return {
    one: pair ? name(pair.a) : '—', other: pair ? name(pair.b) : '—', pairCosine: pair ? num(pair.cosine) : '—', spread: map ? percent(map.shares[0] + map.shares[1]) : '—', shown: String(map?.tokens.length ?? ''),
    a: words[0], b: words[1], c: words[2], result: best ? prose(best) : '—', resultCosine: best ? num(best.cosine) : '—',
  };
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
    { id: 'own', seconds: 1.8, formula: '\\cos(w_i, w_j), \\quad w_i = W_E[\\mathrm{id}_i,:]' },
    { id: 'map', seconds: 2.6, formula: '(x, y) = (\\hat{w} - \\bar{w})\\,[u_1\\; u_2], \\quad \\mathrm{Cov}(\\hat{W})\\, u_i = \\lambda_i u_i' },
    { id: 'sum', seconds: 2.4, formula: '\\arg\\max_w \\cos\\!\\left(\\hat{w}_a - \\hat{w}_b + \\hat{w}_c,\\; w\\right)' },
  ],
  needs,
  scene,
  vars: (f) => {
    const t = f.view.token;
    const near = f.b.neighbours.get(tokenAt(f, t).id)?.neighbours[0];
    return { word: said(f, t), id: String(tokenAt(f, t).id), d: String(f.b.model.d_model), vocab: String(f.b.model.vocab), place: String(t), tokens: String(f.b.trace.tokens.length), near: near ? prose(near) : '…', cosine: near ? num(near.cosine) : '…', length: num(norm(row(f.b, 'embed', [t]))), ...wordVars(f) };
  },
};
