import { num } from '../../i18n/format';
import { row, type Bundle, type Need } from '../../trace/bundle';
import { argmax, block, norm, said } from '../common';
import type { Chapter, Frame, View } from '../types';
import { scene, TOP, topNeurons } from './scene';

function needs(v: View, b: Bundle): Need[] {
  const l = `blocks.${v.layer}.`;
  const list: Need[] = [{ kind: 'sites', globs: [`${l}resid_mid`, `${l}ln2`, `${l}mlp_pre`, `${l}mlp_post`, `${l}mlp_out`, `${l}resid_post`] }];
  const post = row(b, `${l}mlp_post`, [v.token]);
  if (!post.length) return list;
  const strongest = topNeurons(post, TOP);
  list.push({ kind: 'cell', site: `${l}mlp_pre`, index: [v.token, strongest[0] as number] });
  for (const n of strongest) list.push({ kind: 'weights', name: `${l}mlp.W_down`, rows: [n, n + 1], cols: [0, Math.min(16, b.model.d_model)] });
  return list;
}

function vars(f: Frame): Record<string, string> {
  const { layer, token } = f.view;
  const pre = row(f.b, block(f, 'mlp_pre'), [token]);
  const post = row(f.b, block(f, 'mlp_post'), [token]);
  const best = post.length ? argmax(post) : 0;
  let on = 0;
  pre.forEach((v) => (on += v > 0 ? 1 : 0));
  return {
    word: said(f, token), layer: String(layer), dff: String(f.b.model.d_ff), d: String(f.b.model.d_model), best: String(best), pre: num(pre[best] ?? NaN), post: num(post[best] ?? NaN), on: String(on), off: String(pre.length - on),
    change: num(norm(row(f.b, block(f, 'mlp_out'), [token]))), before: num(norm(row(f.b, block(f, 'resid_mid'), [token]))), after: num(norm(row(f.b, block(f, 'resid_post'), [token]))), activation: f.b.model.activation === 'gelu_tanh' || f.b.model.activation.startsWith('gelu') ? 'GELU' : f.b.model.activation,
  };
}

export const mlp: Chapter = {
  id: 'mlp',
  picks: ['layer', 'token'],
  steps: [
    { id: 'alone', seconds: 1.6 },
    { id: 'ask', seconds: 3, formula: '\\mathrm{mlp\\_pre}_j = \\sum_i \\mathrm{LN}(x)_i\\, W_{up}[i,j] + b_{up}[j]' },
    { id: 'curve', seconds: 2.4, formula: '\\mathrm{GELU}(x) \\approx \\tfrac{x}{2}\\left(1 + \\tanh\\!\\left(\\sqrt{2/\\pi}\\,(x + 0.044715\\,x^3)\\right)\\right)' },
    { id: 'fire', seconds: 1.8 },
    { id: 'down', seconds: 2.6, formula: '\\mathrm{mlp\\_out} = \\sum_j \\mathrm{mlp\\_post}_j\\, W_{down}[j,:] + b_{down}' },
    { id: 'add', seconds: 1.8, formula: '\\mathrm{resid\\_post} = \\mathrm{resid\\_mid} + \\mathrm{mlp\\_out}' },
  ],
  needs,
  scene,
  vars,
};
