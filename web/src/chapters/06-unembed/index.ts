import { num, percent, prose } from '../../i18n/format';
import { tokensOf } from '../common';
import type { Bundle, Need } from '../../trace/bundle';
import type { View, WrittenChapter } from '../types';
import { normTex } from '../family';
import { scene } from './scene';

function needs(_: View, b: Bundle): Need[] {
  // Of all positions but the last the logits would be megabytes that nobody looks at.
  const list: Need[] = [{ kind: 'sites', globs: ['ln_final', 'logits'], rows: [b.trace.tokens.length - 1] }, { kind: 'sample' }];
  const best = b.sample?.candidates[0];
  if (best) list.push({ kind: 'cell', site: 'logits', index: [b.trace.tokens.length - 1, best.id] });
  return list;
}

export const unembed: WrittenChapter = {
  id: 'unembed',
  picks: ['sampling'],
  steps: [
    { id: 'last', seconds: 1.6, formula: (p) => `y = ${normTex(p)}_f(x_T)` },
    { id: 'dot', seconds: 3, formula: '\\mathrm{logit}_v = y \\cdot W_U[:,v]' },
    { id: 'logits', seconds: 1.8, formula: '\\mathrm{logits} = y\\, W_U \\in \\mathbb{R}^{V}' },
    { id: 'temperature', seconds: 1.8, formula: '\\mathrm{scaled}_v = \\mathrm{logit}_v / \\tau' },
    { id: 'softmax', seconds: 2, formula: 'p_v = \\frac{e^{\\mathrm{scaled}_v}}{\\sum_w e^{\\mathrm{scaled}_w}}' },
    { id: 'cut', seconds: 2, formula: '\\text{top-}k:\\ \\text{rank} \\le k \\qquad \\text{top-}p:\\ \\sum p \\ge p_{min}' },
    { id: 'draw', seconds: 2.6, formula: '\\text{first } v: \\ \\sum_{w \\le v} p_w > u, \\quad u \\sim \\mathcal{U}[0,1)' },
  ],
  needs,
  scene,
  vars: (f) => {
    const s = f.b.sample;
    const top = s?.candidates[0];
    const mine = s?.candidates.find((c) => c.id === s.chosen.id);
    return {
      word: prose(tokensOf(f)[tokensOf(f).length - 1] ?? { text: '' }), vocab: String(f.b.model.vocab), d: String(f.b.model.d_model), top: top ? prose(top) : '…', logit: top ? num(top.logit) : '…', scaled: top ? num(top.scaled) : '…',
      topProb: top ? percent(top.prob) : '…', temperature: num(f.settings.temperature, 1), k: String(f.settings.top_k), p: num(f.settings.top_p), kept: String(s?.kept ?? ''), total: String(s?.total ?? ''), u: s?.u == null ? '—' : num(s.u, 4), seed: String(f.settings.seed), chosen: s ? prose(s.chosen) : '…', chosenProb: mine ? percent(mine.final_prob) : '…',
    };
  },
};
