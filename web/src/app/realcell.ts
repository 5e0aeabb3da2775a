import type { View } from '../chapters/types';
import type { Datum } from '../marks/types';

/** The cell of the trace that lies behind a number which the page worked out itself. */
export function realCell(d: Datum, view: View): { site: string; index: number[] } | null {
  if (!d.site.includes(':')) return { site: d.site, index: d.index };
  const l = `blocks.${view.layer}.`;
  switch (d.site) {
    case 'derived:q·k':
    case 'derived:unmasked':
      return { site: `${l}scores`, index: d.index };
    case 'derived:angle':
      return { site: `${l}q`, index: d.index };
    case 'derived:exp':
      return { site: `${l}pattern`, index: d.index };
    case 'derived:f(mlp_pre)':
      return { site: `${l}mlp_pre`, index: d.index };
    case 'derived:post·W_down':
      return { site: `${l}mlp_post`, index: d.index.slice(0, 2) };
    case 'gap:prob':
    case 'guess:prob':
    case 'sample:scaled':
    case 'sample:final_prob':
    case 'derived:softmax':
      return { site: 'logits', index: d.index };
    default:
      return d.site.startsWith('gap:') ? { site: d.site.slice('gap:'.length), index: d.index } : null;
  }
}
