import { num, percent } from '../../i18n/format';
import { valueAt, type Bundle, type Need } from '../../trace/bundle';
import { argmax, isOne } from '../common';
import { activationName } from '../family';
import type { Draw } from '../../marks/draw';
import type { Frame, View, WrittenChapter } from '../types';
import { alignment, table } from './align';
import { ask } from './ask';
import { cross, encoderPlace, levels, saidSource, saidTarget, sourceOf, weights, writtenOf } from './cross';
import { heads } from './heads';
import { masks } from './masks';
import { rivers } from './rivers';
import { writing } from './writing';

function needs(v: View, b: Bundle): Need[] {
  const encoder = Math.min(v.layer, (b.model.encoder?.n_layers ?? 1) - 1);
  return [
    { kind: 'sites', globs: ['decoder.blocks.*.cross_pattern', `encoder.blocks.${encoder}.pattern`, `decoder.blocks.${v.layer}.pattern`] },
    { kind: 'sites', globs: ['q', 'k', 'scores'].map((part) => cross(v.layer, part)) },
    { kind: 'sites', globs: [...levels(b, 'encoder'), ...levels(b, 'decoder')] },
    { kind: 'guesses' },
  ];
}

function scene(f: Frame, d: Draw): void {
  if (!f.b.trace.target || writtenOf(f).length === 0) return;
  if (isOne(f, 'two')) rivers(f, d);
  else if (isOne(f, 'masks')) masks(f, d);
  else if (isOne(f, 'ask')) ask(f, d);
  else if (isOne(f, 'align')) alignment(f, d);
  else if (isOne(f, 'table')) table(f, d);
  else if (isOne(f, 'heads')) heads(f, d);
  else writing(f, d);
}

function vars(f: Frame): Record<string, string> {
  const { layer, head, token } = f.view;
  const { model: m, trace, guesses } = f.b;
  const w = weights(f, token);
  const best = argmax(w);
  const [S, T] = [sourceOf(f).length, writtenOf(f).length];
  const first = guesses?.[token]?.[0];
  const own = guesses?.[token]?.find((g) => g.id === writtenOf(f)[token]?.id);
  const e = encoderPlace(f);
  return {
    layer: String(layer), head: String(head), encoderLayer: String(e.layer), encoderHead: String(e.head), layers: String(m.n_layers), encoderLayers: String(m.encoder?.n_layers ?? 0), count: String(m.n_layers * m.n_heads),
    sources: String(S), targets: String(T), word: saidTarget(f, token), best: saidSource(f, best), weight: percent(valueAt(f.b, cross(layer, 'pattern'), [head, token, best])),
    score: num(valueAt(f.b, cross(layer, 'scores'), [head, token, best])), dHead: String(m.d_head), source: trace.text, text: trace.target?.text ?? '', pairs: String(S * T),
    beams: String(trace.target?.beams ?? 1), logProb: trace.target?.log_prob === null || trace.target === undefined ? '–' : num(trace.target.log_prob), prob: own ? percent(own.prob) : '<1%', top: first ? saidGuess(first) : '', topProb: first ? percent(first.prob) : '',
    norms: f.t(`scene.norms.${m.parts.norm}.${m.parts.post_norm ? 'behind' : 'before'}`), places: f.t(`scene.places.${m.parts.positions}`), activation: `${activationName(m.activation)}${m.parts.gated ? f.t('scene.gatedMlp') : ''}`,
    once: String(S), again: String(S * T),
  };
}

const saidGuess = (g: { text: string | null }): string => g.text?.trim() ?? '';

export const translate: WrittenChapter = {
  id: 'translate',
  kinds: ['encoder_decoder'],
  picks: ['layer', 'head', 'token'],
  steps: [
    { id: 'two', seconds: 4, formula: 'm = \\mathrm{Encoder}(x_{1 \\dots S}), \\qquad P(y_t \\mid y_{<t}, x) = \\mathrm{Decoder}(y_{<t}, m)' },
    { id: 'masks', seconds: 2.4, formula: '\\text{encoder: } \\mathrm{score}_{t,s} \\text{ as it is} \\qquad \\text{decoder: } \\mathrm{score}_{t,s} = -\\infty \\ \\ (s > t)' },
    { id: 'ask', seconds: 3.2, formula: 'q_t = x^{\\mathrm{dec}}_t W_Q, \\quad k_s = m_s W_K, \\quad a_{t,s} = \\mathrm{softmax}_s \\frac{q_t \\cdot k_s}{\\sqrt{d_{head}}}' },
    { id: 'align', seconds: 3.4 },
    { id: 'table', seconds: 1.8, formula: '\\mathrm{cross\\_pattern} \\in \\mathbb{R}^{H \\times T \\times S}, \\quad \\sum_s a_{t,s} = 1' },
    { id: 'heads', seconds: 1.8 },
    { id: 'write', seconds: 6, formula: '\\ln P(y \\mid x) = \\sum_t \\ln P(y_t \\mid y_{<t}, x)' },
  ],
  needs,
  scene,
  vars,
};
