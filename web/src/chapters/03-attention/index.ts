import { num, percent } from '../../i18n/format';
import { row, valueAt, type Bundle, type Need } from '../../trace/bundle';
import { argmax, block, dot, norm, said } from '../common';
import { headName } from '../heads';
import type { Chapter, Frame, View } from '../types';
import { scene } from './scene';

function needs(v: View, b: Bundle): Need[] {
  const l = `blocks.${v.layer}.`;
  const D = b.model.d_model;
  const E = b.model.d_head;
  return [
    { kind: 'sites', globs: [`${l}resid_pre`, `${l}ln1`, `${l}q`, `${l}k`, `${l}v`, `${l}scores`, `${l}z`, `${l}attn_out`, `${l}resid_mid`, 'blocks.*.pattern'] },
    { kind: 'cell', site: `${l}q`, index: [v.token, v.head, 0] },
    { kind: 'weights', name: `${l}attn.W_O`, rows: [0, b.model.n_heads * E], cols: [0, Math.min(16, D)] },
  ];
}

function vars(f: Frame): Record<string, string> {
  const { layer, head, token } = f.view;
  const p = row(f.b, block(f, 'pattern'), [head, token]);
  const best = argmax(p, token + 1);
  const q = row(f.b, block(f, 'q'), [token, head]);
  const raw = q.length ? dot(q, row(f.b, block(f, 'k'), [best, head])) : NaN;
  const named = headName(f.b, layer, head);
  return {
    word: said(f, token), layer: String(layer), head: String(head), best: said(f, best), weight: percent(valueAt(f.b, block(f, 'pattern'), [head, token, best])),
    raw: num(raw), scaled: num(valueAt(f.b, block(f, 'scores'), [head, token, best])), root: num(Math.sqrt(f.b.model.d_head)), dHead: String(f.b.model.d_head), d: String(f.b.model.d_model),
    heads: String(f.b.model.n_heads), layers: String(f.b.model.n_layers), count: String(f.b.model.n_heads * f.b.model.n_layers), seen: String(token + 1),
    change: num(norm(row(f.b, block(f, 'attn_out'), [token]))), before: num(norm(row(f.b, block(f, 'resid_pre'), [token]))), after: num(norm(row(f.b, block(f, 'resid_mid'), [token]))),
    headName: f.t(`head.${named.name}`), headScore: percent(named.score),
  };
}

export const attention: Chapter = {
  id: 'attention',
  picks: ['layer', 'head', 'token'],
  steps: [
    { id: 'goal', seconds: 1.8, formula: '\\mathrm{resid\\_mid} = \\mathrm{resid\\_pre} + \\mathrm{attn\\_out}' },
    { id: 'norm', seconds: 1.4, formula: '\\mathrm{LN}(x) = \\frac{x - \\mu}{\\sqrt{\\sigma^2 + \\epsilon}} \\odot \\gamma + \\beta' },
    { id: 'query', seconds: 3, formula: 'q = \\mathrm{LN}(x)\\, W_Q + b_Q' },
    { id: 'keys', seconds: 1.6, formula: 'k_s = \\mathrm{LN}(x_s)\\, W_K + b_K' },
    { id: 'dot', seconds: 3.4, formula: 'q \\cdot k_s = \\sum_{e} q_e\\, k_{s,e}' },
    { id: 'scale', seconds: 1.4, formula: '\\mathrm{score}_s = \\frac{q \\cdot k_s}{\\sqrt{d_{head}}}' },
    { id: 'mask', seconds: 2, formula: '\\mathrm{score}_{t,s} = -\\infty \\quad (s > t)' },
    { id: 'softmax', seconds: 2.6, formula: 'a_s = \\frac{e^{\\mathrm{score}_s - m}}{\\sum_{s\'} e^{\\mathrm{score}_{s\'} - m}}, \\quad m = \\max_s \\mathrm{score}_s' },
    { id: 'values', seconds: 3, formula: 'z = \\sum_s a_s\\, v_s' },
    { id: 'heads', seconds: 2.6, formula: '\\mathrm{attn\\_out} = [z^1; \\dots; z^H]\\, W_O + b_O' },
    { id: 'add', seconds: 2, formula: '\\mathrm{resid\\_mid} = \\mathrm{resid\\_pre} + \\mathrm{attn\\_out}' },
    { id: 'wall', seconds: 2 },
    { id: 'formula', seconds: 2.4, formula: '\\mathrm{Attention}(Q,K,V) = \\mathrm{softmax}\\!\\left(\\frac{QK^{\\top}}{\\sqrt{d_{head}}} + M\\right) V' },
  ],
  needs,
  scene,
  vars,
};
