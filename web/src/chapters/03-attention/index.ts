import { num, percent } from '../../i18n/format';
import { row, valueAt, type Bundle, type Need } from '../../trace/bundle';
import { argmax, block, dot, norm, said } from '../common';
import { kvHead, normTex, type Facts } from '../family';
import { ENOUGH, headName, TIMES_EVEN } from '../heads';
import { attendedRows, ownRow } from '../positions';
import { askedSite } from './query';
import type { Frame, View, WrittenChapter } from '../types';
import { scene } from './scene';

const rms = (p: Facts): string | undefined => (p.norm === 'rms' ? 'rms' : undefined);

function needs(v: View, b: Bundle): Need[] {
  const l = `blocks.${v.layer}.`;
  const D = b.model.d_model;
  const E = b.model.d_head;
  return [
    { kind: 'heads' },
    { kind: 'sites', globs: ['resid_pre', 'ln1', 'pattern', 'z', 'attn_out', 'resid_mid'].map((s) => l + s), rows: ownRow(b, v) },
    { kind: 'sites', globs: ['q_pre', 'q_norm', 'q', 'k', 'v', 'scores'].map((s) => l + s), rows: attendedRows(b, v) },
    { kind: 'cell', site: askedSite(b, v.layer), index: [v.token, v.head, 0] },
    { kind: 'weights', name: `${l}attn.W_O`, rows: [0, b.model.n_heads * E], cols: [0, Math.min(16, D)] },
  ];
}

function vars(f: Frame): Record<string, string> {
  const { layer, head, token } = f.view;
  const p = row(f.b, block(f, 'pattern'), [head, token]);
  const best = argmax(p, token + 1);
  const q = row(f.b, block(f, 'q'), [token, head]);
  const raw = q.length ? dot(q, row(f.b, block(f, 'k'), [best, kvHead(f.b, head)])) : NaN;
  const m = f.b.model;
  const named = headName(f.b, layer, head);
  return {
    word: said(f, token), layer: String(layer), head: String(head), best: said(f, best), weight: percent(valueAt(f.b, block(f, 'pattern'), [head, token, best])),
    raw: num(raw), scaled: num(valueAt(f.b, block(f, 'scores'), [head, token, best])), root: num(Math.sqrt(f.b.model.d_head)), dHead: String(f.b.model.d_head), d: String(f.b.model.d_model),
    heads: String(f.b.model.n_heads), layers: String(f.b.model.n_layers), count: String(f.b.model.n_heads * f.b.model.n_layers), seen: String(token + 1),
    change: num(norm(row(f.b, block(f, 'attn_out'), [token]))), before: num(norm(row(f.b, block(f, 'resid_pre'), [token]))), after: num(norm(row(f.b, block(f, 'resid_mid'), [token]))),
    kvHeads: String(m.n_kv_heads), kvHead: String(kvHead(f.b, head)), shared: String(m.n_heads / m.n_kv_heads), width: String(m.n_heads * m.d_head), place: String(token), pairs: String(m.d_head / 2),
    headName: f.t(`head.${named.name}`), habit: f.t(`head.${named.habit}`), headScore: percent(named.score), even: percent(named.even), enough: percent(ENOUGH), times: num(TIMES_EVEN, 1),
  };
}

export const attention: WrittenChapter = {
  id: 'attention',
  picks: ['layer', 'head', 'token'],
  steps: [
    { id: 'guess', seconds: 1.4 },
    { id: 'goal', seconds: 1.8, formula: '\\mathrm{resid\\_mid} = \\mathrm{resid\\_pre} + \\mathrm{attn\\_out}' },
    { id: 'norm', seconds: 1.4, formula: (p) => (p.norm === 'rms' ? '\\mathrm{RMSNorm}(x) = \\frac{x}{\\sqrt{\\mathrm{mean}(x^2) + \\epsilon}} \\odot \\gamma' : '\\mathrm{LN}(x) = \\frac{x - \\mu}{\\sqrt{\\sigma^2 + \\epsilon}} \\odot \\gamma + \\beta'), variant: rms },
    { id: 'query', seconds: 3, formula: (p) => `q = ${normTex(p)}(x)\\, W_Q${p.qkv_bias ? ' + b_Q' : ''}`, variant: (p) => (p.qkv_bias ? undefined : 'plain') },
    { id: 'turn', seconds: 2.6, formula: "\\begin{pmatrix} q'_i \\\\ q'_{i+h} \\end{pmatrix} = \\begin{pmatrix} \\cos\\theta & -\\sin\\theta \\\\ \\sin\\theta & \\cos\\theta \\end{pmatrix} \\begin{pmatrix} q_i \\\\ q_{i+h} \\end{pmatrix}, \\quad \\theta = t\\, f_i, \\quad h = \\tfrac{d_{head}}{2}", only: (p) => p.positions === 'rotary' },
    { id: 'keys', seconds: 1.6, formula: (p) => `k_s = ${p.positions === 'rotary' ? 'R_s\\,' : ''}(${normTex(p)}(x_s)\\, W_K${p.qkv_bias ? ' + b_K' : ''})`, variant: (p) => (p.positions === 'rotary' ? 'turned' : undefined) },
    { id: 'share', seconds: 2, formula: 'k^{(h)} = k^{(\\lfloor h K / H \\rfloor)}', only: (p) => p.grouped },
    { id: 'dot', seconds: 3.4, formula: 'q \\cdot k_s = \\sum_{e} q_e\\, k_{s,e}' },
    { id: 'scale', seconds: 1.4, formula: '\\mathrm{score}_s = \\frac{q \\cdot k_s}{\\sqrt{d_{head}}}' },
    { id: 'mask', seconds: 2, formula: '\\mathrm{score}_{t,s} = -\\infty \\quad (s > t)' },
    { id: 'softmax', seconds: 2.6, formula: 'a_s = \\frac{e^{\\mathrm{score}_s - m}}{\\sum_{s\'} e^{\\mathrm{score}_{s\'} - m}}, \\quad m = \\max_s \\mathrm{score}_s' },
    { id: 'values', seconds: 3, formula: 'z = \\sum_s a_s\\, v_s' },
    { id: 'heads', seconds: 2.6, formula: (p) => `\\mathrm{attn\\_out} = [z^1; \\dots; z^H]\\, W_O${p.out_bias ? ' + b_O' : ''}` },
    { id: 'add', seconds: 2, formula: '\\mathrm{resid\\_mid} = \\mathrm{resid\\_pre} + \\mathrm{attn\\_out}' },
    { id: 'wall', seconds: 2 },
    { id: 'formula', seconds: 2.4, formula: '\\mathrm{Attention}(Q,K,V) = \\mathrm{softmax}\\!\\left(\\frac{QK^{\\top}}{\\sqrt{d_{head}}} + M\\right) V' },
  ],
  needs,
  scene,
  vars,
};
