import { num } from '../../i18n/format';
import { row, type Bundle, type Need } from '../../trace/bundle';
import { block, norm, said } from '../common';
import { activationName, normTex, type Facts } from '../family';
import { nearRows } from '../positions';
import { activationOf } from './activation';
import type { Frame, View, WrittenChapter } from '../types';
import { scene, TOP, topNeurons } from './scene';

const gated = (p: Facts): string | undefined => (p.gated ? 'gated' : undefined);

function needs(v: View, b: Bundle): Need[] {
  const l = `blocks.${v.layer}.`;
  const list: Need[] = [
    { kind: 'sites', globs: [`${l}resid_mid`], rows: nearRows(b, v) },
    { kind: 'sites', globs: ['ln2', 'mlp_pre', 'mlp_up', 'mlp_post', 'mlp_out', 'resid_post'].map((s) => l + s), rows: [v.token] },
  ];
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
  const best = post.length ? (topNeurons(post, 1)[0] as number) : 0;
  const up = row(f.b, block(f, 'mlp_up'), [token]);
  const act = activationOf(f.b.model.activation);
  let on = 0;
  pre.forEach((v) => (on += v > 0 ? 1 : 0));
  return {
    word: said(f, token), layer: String(layer), dff: String(f.b.model.d_ff), d: String(f.b.model.d_model), best: String(best), pre: num(pre[best] ?? NaN), post: num(post[best] ?? NaN), on: String(on), off: String(pre.length - on),
    change: num(norm(row(f.b, block(f, 'mlp_out'), [token]))), before: num(norm(row(f.b, block(f, 'resid_mid'), [token]))), after: num(norm(row(f.b, block(f, 'resid_post'), [token]))), activation: activationName(f.b.model.activation), gate: num(act(pre[best] ?? NaN)), up: num(up[best] ?? 0),
  };
}

export const mlp: WrittenChapter = {
  id: 'mlp',
  picks: ['layer', 'token'],
  steps: [
    { id: 'alone', seconds: 1.6 },
    { id: 'ask', seconds: 3, formula: (p) => `\\mathrm{mlp\\_pre}_j = \\sum_i ${normTex(p)}(x)_i\\, W_{${p.gated ? 'gate' : 'up'}}[i,j]${p.mlp_bias ? ` + b_{${p.gated ? 'gate' : 'up'}}[j]` : ''}`, variant: gated },
    { id: 'curve', seconds: 2.4, formula: (p) => (p.gated ? '\\mathrm{SiLU}(x) = \\frac{x}{1 + e^{-x}}' : '\\mathrm{GELU}(x) \\approx \\tfrac{x}{2}\\left(1 + \\tanh\\!\\left(\\sqrt{2/\\pi}\\,(x + 0.044715\\,x^3)\\right)\\right)'), variant: gated },
    { id: 'gate', seconds: 2.6, formula: '\\mathrm{mlp\\_post}_j = \\mathrm{SiLU}(\\mathrm{mlp\\_pre}_j) \\cdot \\mathrm{mlp\\_up}_j', only: (p) => p.gated },
    { id: 'fire', seconds: 1.8, variant: gated },
    { id: 'down', seconds: 2.6, formula: (p) => `\\mathrm{mlp\\_out} = \\sum_j \\mathrm{mlp\\_post}_j\\, W_{down}[j,:]${p.mlp_bias ? ' + b_{down}' : ''}` },
    { id: 'add', seconds: 1.8, formula: '\\mathrm{resid\\_post} = \\mathrm{resid\\_mid} + \\mathrm{mlp\\_out}' },
  ],
  needs,
  scene,
  vars,
};
