import { percent, prose } from '../../i18n/format';
import type { WrittenChapter } from '../types';
import { normTex } from '../family';
import { lastRows } from '../positions';
import { scene } from './scene';

export const overview: WrittenChapter = {
  id: 'overview',
  flow: true,
  picks: [],
  steps: [
    { id: 'text', seconds: 1.6 },
    { id: 'columns', seconds: 1.8, formula: (p) => (p.positions === 'learned' ? 'x_t = W_E[\\mathrm{id}_t] + W_{pos}[t]' : 'x_t = W_E[\\mathrm{id}_t]') },
    { id: 'attend', seconds: 2.2, formula: (p) => `x \\leftarrow x + \\mathrm{Attention}(${normTex(p)}(x))` },
    { id: 'think', seconds: 1.6, formula: (p) => `x \\leftarrow x + \\mathrm{MLP}(${normTex(p)}(x))` },
    { id: 'stack', seconds: 2.6 },
    { id: 'predict', seconds: 1.8, formula: (p) => `P(\\text{next}) = \\mathrm{softmax}(${normTex(p)}(x_T)\\, W_U)` },
    { id: 'draw', seconds: 1.8 },
    { id: 'again', seconds: 4 },
  ],
  needs: (_, b) => [
    { kind: 'sites', globs: ['blocks.0.resid_pre', 'blocks.*.resid_mid', 'blocks.*.resid_post'], rows: lastRows(b) },
    { kind: 'corner', first: lastRows(b)[0] ?? 0 },
    { kind: 'sample', later: true },
    { kind: 'generate', later: true },
  ],
  scene,
  vars: (f) => {
    const top = f.b.sample?.candidates[0];
    const chosen = f.b.sample?.chosen;
    const mine = f.b.sample?.candidates.find((c) => c.id === chosen?.id);
    const m = f.b.model;
    return {
      tokens: String(f.b.trace.tokens.length), layers: String(m.n_layers), heads: String(m.n_heads), d: String(m.d_model), vocab: String(m.vocab),
      top: top ? prose(top) : '…', topProb: top ? percent(top.prob) : '…', chosen: chosen ? prose(chosen) : '…', chosenProb: mine ? percent(mine.final_prob) : '…',
    };
  },
};
