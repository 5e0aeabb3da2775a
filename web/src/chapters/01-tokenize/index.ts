import { prose } from '../../i18n/format';
import type { WrittenChapter } from '../types';
import { focusToken, scene } from './scene';

export const tokenize: WrittenChapter = {
  id: 'tokenize',
  picks: ['token'],
  steps: [
    { id: 'chars', seconds: 1.2 },
    { id: 'bytes', seconds: 1.6, formula: '\\text{UTF-8}: \\text{char} \\mapsto 1\\text{–}4\\ \\text{bytes}' },
    { id: 'merge', seconds: 3.2, formula: '(a, b) = \\arg\\min_{(a,b)} \\mathrm{rank}(a, b), \\quad a\\,b \\to ab' },
    { id: 'tokens', seconds: 1.6 },
    { id: 'ids', seconds: 1.4, formula: '\\text{text} \\mapsto (\\mathrm{id}_1, \\dots, \\mathrm{id}_T)' },
    { id: 'cost', seconds: 1.6 },
  ],
  needs: () => [],
  scene,
  vars: (f) => {
    const t = f.b.trace.tokens;
    const focus = t[focusToken(f)];
    const bytes = t.reduce((n, x) => n + x.bytes.length, 0);
    const chars = [...(f.b.trace.kept?.text ?? f.b.trace.text)].length;
    return {
      tokens: String(t.length), bytes: String(bytes), chars: String(chars), vocab: String(f.b.model.vocab), focus: focus ? prose(focus) : '', merges: String(focus?.merges.length ?? 0),
      firstId: String(t[0]?.id ?? ''), first: t[0] ? prose(t[0]) : '', perToken: (chars / Math.max(1, t.length)).toFixed(2),
    };
  },
};
