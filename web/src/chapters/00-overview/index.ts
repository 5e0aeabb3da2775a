import { percent, prose } from '../../i18n/format';
import type { Chapter } from '../types';
import { scene } from './scene';

export const overview: Chapter = {
  id: 'overview',
  flow: true,
  picks: [],
  steps: [
    { id: 'text', seconds: 1.6 },
    { id: 'columns', seconds: 1.8, formula: 'x_t = W_E[\\mathrm{id}_t] + W_{pos}[t]' },
    { id: 'attend', seconds: 2.2, formula: 'x \\leftarrow x + \\mathrm{Attention}(\\mathrm{LN}(x))' },
    { id: 'think', seconds: 1.6, formula: 'x \\leftarrow x + \\mathrm{MLP}(\\mathrm{LN}(x))' },
    { id: 'stack', seconds: 2.6 },
    { id: 'predict', seconds: 1.8, formula: 'P(\\text{next}) = \\mathrm{softmax}(\\mathrm{LN}(x_T)\\, W_U)' },
    { id: 'draw', seconds: 1.8 },
    { id: 'again', seconds: 4 },
  ],
  needs: () => [{ kind: 'sites', globs: ['blocks.*.resid_pre', 'blocks.*.resid_post', 'blocks.*.resid_mid', 'blocks.*.pattern'] }, { kind: 'sample', later: true }, { kind: 'generate', later: true }],
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
