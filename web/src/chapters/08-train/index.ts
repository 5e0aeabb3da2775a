import { num, percent, prose, sci } from '../../i18n/format';
import { isEdited, type Bundle } from '../../trace/bundle';
import { said } from '../common';
import { nearRows } from '../positions';
import type { Frame, View, WrittenChapter } from '../types';
import { gradientLength, lesson, taught } from './lesson';
import { scene } from './scene';

/** The nearest position that has a next token. */
const asked = (v: View, b: Bundle): number => Math.min(v.token, b.trace.tokens.length - 2);

/** Those of the shown positions that have a next token. */
const rows = (b: Bundle, v: View): number[] | undefined => nearRows(b, v)?.filter((t) => t < b.trace.tokens.length - 1);

/** What the texts mention, where no lesson can be given. */
const UNKNOWN: Record<string, string> = Object.fromEntries(['word', 'next', 'p', 'loss', 'n', 'mean', 'chance', 'vocab', 'among', 'top', 'bottom', 'weight', 'norm', 'all', 'name', 'at', 'g', 'move', 'rate', 'count', 'after'].map((name) => [name, '–']));

export const train: WrittenChapter = {
  id: 'train',
  picks: ['token'],
  steps: [
    { id: 'loss', seconds: 2.6, formula: '\\ell_t = -\\ln p_t(x_{t+1})' },
    { id: 'mean', seconds: 2, formula: 'L = \\tfrac{1}{N} \\textstyle\\sum_t \\ell_t' },
    { id: 'gradient', seconds: 3.4, formula: '\\frac{\\partial L}{\\partial x^{(l)}} = \\frac{\\partial L}{\\partial x^{(l+1)}} + \\frac{\\partial L}{\\partial f^{(l)}} \\, \\frac{\\partial f^{(l)}}{\\partial x^{(l)}}' },
    { id: 'norms', seconds: 2.2, formula: '\\lVert \\partial L / \\partial W \\rVert' },
    { id: 'step', seconds: 4, formula: '\\theta \\leftarrow \\theta - \\eta\\lambda\\theta - \\eta\\,\\frac{\\hat m}{\\sqrt{\\hat v} + \\varepsilon}' },
    { id: 'after', seconds: 3 },
  ],
  needs: (v, b) =>
    taught(b) && !isEdited(b)
      ? [
          { kind: 'lesson' },
          { kind: 'gradients', globs: ['blocks.0.resid_pre', 'blocks.*.resid_mid', 'blocks.*.resid_post'], rows: rows(b, v) },
        ]
      : [],
  scene,
  vars: (f: Frame): Record<string, string> => {
    const b = f.ghost ?? f.b;
    const l = lesson(f);
    const t = asked(f.view, b);
    if (!l || t < 0) return UNKNOWN;
    const first = l.steps[0];
    const big = [...l.weights].sort((x, y) => y.norm - x.norm)[0];
    const last = `blocks.${b.model.n_layers - 1}.resid_post`;
    return {
      word: said({ ...f, b }, t), next: prose(l.targets[t] ?? { text: '' }), p: percent(Math.exp(-(l.losses[t] ?? 0))), loss: num(l.losses[t] ?? 0),
      n: String(l.losses.length), mean: num(l.loss), chance: num(Math.log(b.model.vocab)), vocab: String(b.model.vocab), among: num(Math.exp(l.loss), l.loss < 2 ? 1 : 0),
      top: sci(gradientLength(b, last, t)), bottom: sci(gradientLength(b, 'blocks.0.resid_pre', t)),
      weight: big?.name ?? '', norm: big ? sci(big.norm) : '', all: first ? sci(first.grad_norm) : '',
      name: l.watched.weight, at: l.watched.at.join(', '), g: first ? sci(first.gradient) : '', move: first ? sci(Math.abs(first.update)) : '', rate: String(l.options.learning_rate),
      count: String(l.steps.length), after: num(l.loss_after),
    };
  },
};
