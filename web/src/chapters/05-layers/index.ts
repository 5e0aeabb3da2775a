import { percent, prose } from '../../i18n/format';
import { said } from '../common';
import type { WrittenChapter } from '../types';
import { normTex } from '../family';
import { nearRows } from '../positions';
import { scene } from './scene';
import { settles } from './settles';

export const layers: WrittenChapter = {
  id: 'layers',
  picks: ['token'],
  steps: [
    { id: 'river', seconds: 3, formula: 'x^{(l+1)} = x^{(l)} + \\mathrm{attn\\_out}^{(l)} + \\mathrm{mlp\\_out}^{(l)}' },
    { id: 'changes', seconds: 2 },
    { id: 'lens', seconds: 2.6, formula: (p) => `\\mathrm{softmax}(${normTex(p)}_f(x^{(l)})\\, W_U)` },
    { id: 'last', seconds: 2.2 },
  ],
  needs: (v, b) => [
    { kind: 'sites', globs: ['blocks.0.resid_pre', 'blocks.*.resid_mid', 'blocks.*.resid_post', 'blocks.*.attn_out', 'blocks.*.mlp_out'], rows: nearRows(b, v) },
    { kind: 'lens', rows: nearRows(b, v), later: true },
  ],
  scene,
  vars: (f) => {
    const top = f.b.lens?.top ?? [];
    const first = top[0]?.[f.view.token]?.[0];
    const last = top[top.length - 1]?.[f.view.token]?.[0];
    const at = settles(f) ?? 0;
    return { word: said(f, f.view.token), layers: String(f.b.model.n_layers), first: first ? prose(first) : '…', last: last ? prose(last) : '…', lastProb: last ? percent(last.prob) : '…', settles: at === 0 ? f.t('scene.entry') : f.t('scene.afterBlock', { l: at - 1 }) };
  },
};
