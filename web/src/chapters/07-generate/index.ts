import { joined, percent, prose } from '../../i18n/format';
import type { WrittenChapter } from '../types';
import { scene, withoutCache } from './scene';

export const generate: WrittenChapter = {
  id: 'generate',
  picks: ['sampling'],
  steps: [
    { id: 'prefill', seconds: 2, formula: 'K, V \\in \\mathbb{R}^{T \\times d_{head}} \\ \\text{per head, kept}' },
    { id: 'one', seconds: 2.2, formula: 'q_{T+1} \\cdot [K; k_{T+1}]^{\\top}' },
    { id: 'loop', seconds: 5 },
    { id: 'saved', seconds: 2, formula: '\\textstyle\\sum_i (T+i) \\;\\to\\; T + (N-1)' },
  ],
  needs: () => [{ kind: 'generate' }],
  scene,
  vars: (f) => {
    const g = f.b.generated;
    const steps = g?.steps ?? [];
    const first = steps[0];
    const second = steps[1];
    const computed = steps.reduce((s, x) => s + x.computed, 0);
    const plain = g ? withoutCache(g.prompt_tokens, steps.length) : 0;
    return { prompt: String(g?.prompt_tokens ?? ''), first: first ? prose(first) : '…', firstProb: first ? percent(first.prob) : '…', second: second ? prose(second) : '…', count: String(steps.length), text: joined(steps).join('').trim(), computed: String(computed), plain: String(plain), saved: plain ? percent(1 - computed / plain) : '…', cached: String(second?.cached ?? '') };
  },
};
