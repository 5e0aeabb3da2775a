// The shapes that stand beside the code: in letters, as the engine's comments write them, and in this run's numbers.
import type { Bundle } from '../trace/bundle';

const AXES: Readonly<Record<string, readonly string[]>> = {
  tokens: ['T'], q: ['T', 'H', 'E'], z: ['T', 'H', 'E'], q_pre: ['T', 'H', 'E'], k: ['T', 'K', 'E'], v: ['T', 'K', 'E'], k_pre: ['T', 'K', 'E'], scores: ['H', 'T', 'S'], pattern: ['H', 'T', 'S'],
  mlp_pre: ['T', 'F'], mlp_up: ['T', 'F'], mlp_post: ['T', 'F'], logits: ['T', 'V'], probs: ['T', 'V'],
  cross_q: ['T', 'H', 'E'], cross_k: ['S', 'K', 'E'], cross_v: ['S', 'K', 'E'], cross_scores: ['H', 'T', 'S'], cross_pattern: ['H', 'T', 'S'], unembed_pre: ['T', 'D'],
  W_E: ['V', 'D'], W_U: ['D', 'V'], W_pos: ['C', 'D'], W_Q: ['D', 'H·E'], W_K: ['D', 'K·E'], W_O: ['H·E', 'D'], W_up: ['D', 'F'], W_gate: ['D', 'F'], W_down: ['F', 'D'], 'ln1.w': ['D'], 'ln1.b': ['D'],
};
const STREAM = ['T', 'D'];

export interface Shape {
  name: string;
  axes: readonly string[];
  sizes: readonly number[];
}

/** The size of each letter in this run. */
function sizeOf(b: Bundle, axis: string): number {
  const m = b.model;
  const T = b.trace.tokens.length;
  const sizes: Record<string, number> = { T, S: T, D: m.d_model, H: m.n_heads, K: m.n_kv_heads, E: m.d_head, F: m.d_ff, V: m.vocab, C: m.n_ctx };
  return axis.split('·').reduce((product, letter) => product * (sizes[letter] ?? NaN), 1);
}

/** `{l}` is the chosen layer, `{0}` and `{last}` the ends. A tensor of the trace has the shape that the engine says it has. */
export function shapeOf(b: Bundle, layer: number, written: string): Shape {
  const place = (l: number): string => `blocks.${l}`;
  const name = written.replace('{l}', place(layer)).replace('{0}', place(0)).replace('{last}', place(b.model.n_layers - 1));
  const local = name.replace(/^(encoder\.|decoder\.)?blocks\.\d+\./, '');
  const axes = AXES[local] ?? STREAM;
  const site = b.trace.sites.find((s) => s.name === name);
  return { name, axes, sizes: site?.shape ?? axes.map((axis) => sizeOf(b, axis)) };
}
