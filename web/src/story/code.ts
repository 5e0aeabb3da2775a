// Which lines of the engine belong to which step: the Code depth. Functions are named here and found when the page is built
// (build/rust-code.ts); lines that a step is about are named by a piece of their text, and a test looks for each of them.
import type { Facts } from '../chapters/family';

/** File and function, `Type::name` where it is a method. */
export const EXCERPTS = {
  encode: ['crates/tokens/src/encode.rs', 'Tokenizer::encode'],
  encodePlain: ['crates/tokens/src/encode.rs', 'Tokenizer::encode_plain'],
  encodeBytes: ['crates/tokens/src/encode.rs', 'Tokenizer::encode_bytes'],
  byteTable: ['crates/tokens/src/bytes.rs', 'bytes_of'],
  merges: ['crates/tokens/src/merges.rs', 'Merges::run'],
  learned: ['crates/model/src/embed/mod.rs', 'LearnedPositions::forward'],
  tokenEmbed: ['crates/model/src/embed/mod.rs', 'TokenEmbed::forward'],
  embedRows: ['crates/model/src/embed/rows.rs', 'EmbedRows::forward'],
  gather: ['crates/kernels/src/rows.rs', 'gather'],
  nearest: ['crates/trace/src/neighbours.rs', 'Table::nearest'],
  cosines: ['crates/trace/src/neighbours.rs', 'cosines'],
  plane: ['crates/trace/src/map.rs', 'plane'],
  wordSum: ['crates/trace/src/words.rs', 'sum'],
  forwardAll: ['crates/model/src/block/mod.rs', 'forward_all'],
  blockAttend: ['crates/model/src/block/pre_norm.rs', 'PreNormBlock::attend'],
  blockTransform: ['crates/model/src/block/pre_norm.rs', 'PreNormBlock::transform'],
  join: ['crates/model/src/block/residual.rs', 'join'],
  layerNorm: ['crates/kernels/src/layer_norm.rs', 'forward'],
  rmsNorm: ['crates/kernels/src/rms_norm.rs', 'forward'],
  attention: ['crates/model/src/block/attention/mod.rs', 'Attention::forward'],
  placed: ['crates/model/src/block/attention/mod.rs', 'Attention::placed'],
  inTheOpen: ['crates/model/src/block/attention/open.rs', 'mix'],
  mixCached: ['crates/model/src/block/attention/cached.rs', 'Mix::cached'],
  headsInput: ['crates/model/src/block/attention/heads.rs', 'Heads::input'],
  linear: ['crates/model/src/block/linear.rs', 'Linear::apply'],
  rotate: ['crates/kernels/src/rope.rs', 'rotate'],
  head: ['crates/kernels/src/attention/mod.rs', 'Input::head'],
  scores: ['crates/kernels/src/attention/open.rs', 'scores'],
  pattern: ['crates/kernels/src/attention/open.rs', 'pattern'],
  weightedValues: ['crates/kernels/src/attention/open.rs', 'weighted_values'],
  exponentials: ['crates/kernels/src/softmax.rs', 'exponentials'],
  softmax: ['crates/kernels/src/softmax.rs', 'softmax'],
  habits: ['crates/trace/src/heads.rs', 'habits'],
  plainMlp: ['crates/model/src/block/mlp/plain.rs', 'PlainMlp::forward'],
  gatedMlp: ['crates/model/src/block/mlp/gated.rs', 'GatedMlp::forward'],
  activation: ['crates/kernels/src/activation.rs', 'Activation::value'],
  geluGate: ['crates/kernels/src/activation.rs', 'gelu_gate'],
  sigmoid: ['crates/kernels/src/activation.rs', 'sigmoid'],
  gate: ['crates/kernels/src/activation.rs', 'gate'],
  lens: ['crates/trace/src/lens.rs', 'read'],
  top: ['crates/trace/src/lens.rs', 'top'],
  normed: ['crates/model/src/unembed/mod.rs', 'Unembed::normed'],
  logits: ['crates/model/src/unembed/mod.rs', 'Unembed::logits'],
  lastLogits: ['crates/model/src/model.rs', 'Model::last_logits'],
  fill: ['crates/generate/src/sampling.rs', 'Sampling::fill'],
  scale: ['crates/generate/src/sampling.rs', 'Sampling::scale'],
  truncate: ['crates/generate/src/sampling.rs', 'Sampling::truncate'],
  drawNumber: ['crates/generate/src/sampling.rs', 'Sampling::draw_number'],
  draw: ['crates/generate/src/sampling.rs', 'Distribution::draw'],
  step: ['crates/generate/src/generation.rs', 'Generation::step'],
  generationLogits: ['crates/generate/src/generation.rs', 'Generation::last_logits'],
  lossEach: ['crates/model/src/loss.rs', 'each'],
  crossEntropy: ['crates/kernels/src/cross_entropy.rs', 'loss'],
  objective: ['crates/train/src/trainer.rs', 'gradient'],
  learn: ['crates/train/src/trainer.rs', 'learn'],
  tapeBackward: ['crates/model/src/tape.rs', 'Calls::backward'],
  addBackward: ['crates/model/src/tape.rs', 'Add::backward'],
  lengthOfGradient: ['crates/train/src/lesson.rs', 'in_little'],
  adamw: ['crates/kernels/src/adamw.rs', 'step'],
  lessonSteps: ['crates/train/src/lesson.rs', 'steps'],
  across: ['crates/model/src/block/cross_block.rs', 'forward_across'],
  crossAttention: ['crates/model/src/block/attention/cross.rs', 'CrossAttention::forward'],
  modelEncode: ['crates/model/src/model.rs', 'Model::encode'],
  translate: ['crates/generate/src/translate/mod.rs', 'side_by_side'],
  mask: ['crates/server/src/api/run.rs', 'Prompt::mask'],
  cacheWrite: ['crates/model/src/cache.rs', 'KvCache::write'],
} as const satisfies Record<string, readonly [file: string, item: string]>;

export type ExcerptName = keyof typeof EXCERPTS;

export interface Shown {
  of: ExcerptName;
  /** Lines that hold one of these are what the step does. */
  marks: readonly string[];
}

export interface StepCode {
  code: readonly Shown[];
  /** Tensors of the trace (`{l}`: the chosen layer) and parameters, whose shapes stand beside. */
  shapes: readonly string[];
}

const shown = (of: ExcerptName, ...marks: string[]): Shown => ({ of, marks });
const step = (shapes: string, ...code: Shown[]): StepCode => ({ code, shapes: shapes.split(' ') });
type Choice = StepCode | ((facts: Facts) => StepCode);

const norm = (p: Facts): Shown => (p.norm === 'rms' ? shown('rmsNorm', 'let scale =', 'x[i] * scale') : shown('layerNorm', 'let mu =', 'let variance =', '* inverse * w[i]'));
const softmaxed = [shown('exponentials', 'exp::<FUSED>'), shown('softmax', 'let inverse', '*x *= inverse')];
const mlp = (p: Facts, plain: string, gated: string): Shown => (p.gated ? shown('gatedMlp', gated) : shown('plainMlp', plain));
const curve = (p: Facts): StepCode => (p.gated ? step('{l}.mlp_pre', shown('activation', 'Self::Silu'), shown('sigmoid', 'exp')) : step('{l}.mlp_pre {l}.mlp_post', shown('activation', 'Self::GeluTanh'), shown('geluGate', 'let u', 'sigmoid')));
const embedded = (p: Facts): Shown => (p.positions === 'learned' ? shown('learned', 'embed.forward', 'learned_positions(', 'pass.add') : shown('tokenEmbed', 'EmbedRows::new'));
const start = (p: Facts): string => (p.positions === 'learned' ? 'tokens W_E embed W_pos pos_embed {0}.resid_pre' : 'tokens W_E embed {0}.resid_pre');

/** By chapter and step, as in the address. */
export const CODE: Readonly<Record<string, Choice>> = {
  'overview.text': step('tokens', shown('encode', 'encode_plain')),
  'overview.columns': (p) => step(start(p), embedded(p)),
  'overview.attend': step('{0}.resid_pre {0}.pattern {0}.attn_out {0}.resid_mid', shown('blockAttend', 'attend(pass')),
  'overview.think': step('{0}.resid_mid {0}.mlp_out {0}.resid_post', shown('blockTransform', 'transform(pass')),
  'overview.stack': step('{0}.resid_pre {last}.resid_post', shown('forwardAll', 'block.forward', 'for (layer, block)')),
  'overview.predict': step('ln_final W_U logits probs', shown('logits', 'pass.apply(self.linear', 'softmax(row')),
  'overview.draw': step('probs', shown('draw', 'sum +=', 'if sum > u')),
  'overview.again': step('tokens logits', shown('step', 'last_logits', '.choose', 'tokens.push')),

  'tokenize.chars': step('tokens', shown('encode', 'text: &str')),
  'tokenize.bytes': step('tokens', shown('byteTable', 'byte_of')),
  'tokenize.merge': step('tokens', shown('merges', 'min_by_key', 'pieces.splice')),
  'tokenize.tokens': step('tokens', shown('encodeBytes', 'encode_fast', 'encoding.push')),
  'tokenize.ids': step('tokens', shown('encodeBytes', 'get_ids', 'encoding.push(id')),
  'tokenize.cost': step('tokens', shown('encodePlain', 'Kind::Characters', 'Kind::ByteLevelBpe')),

  'embed.lookup': step('tokens W_E embed', shown('gather', 'copy_from_slice')),
  'embed.vector': step('W_E embed', shown('embedRows', '.gather(')),
  'embed.position': (p) => step(start(p), embedded(p)),
  'embed.all': (p) => step(start(p), embedded(p)),
  'embed.near': step('W_E', shown('cosines', 'matmul(', 'length(row)'), shown('nearest', 'largest(')),

  'embed.own': step('tokens W_E', shown('cosines', 'matmul(', 'length(row)')),
  'embed.map': step('W_E', shown('plane', 'turn(&mut axes', 'back(&centred', 'centred(rows')),
  'embed.sum': step('W_E', shown('wordSum', 'let scale', 'add(&mut sum'), shown('nearest', 'largest(', 'but.contains')),

  'attention.guess': step('{l}.resid_pre {l}.pattern', shown('blockAttend', 'attend(pass')),
  'attention.goal': step('{l}.resid_pre {l}.attn_out {l}.resid_mid', shown('join', 'pass.add'), shown('blockAttend', 'attend(pass')),
  'attention.norm': (p) => step(p.norm === 'rms' ? '{l}.resid_pre {l}.ln1.w {l}.ln1' : '{l}.resid_pre {l}.ln1.w {l}.ln1.b {l}.ln1', norm(p)),
  'attention.query': step('{l}.ln1 W_Q {l}.q', shown('attention', 'self.qkv.call', 'tap_pair'), shown('linear', 'few_rows', 'apply_rows')),
  'attention.turn': step('{l}.q_pre {l}.q {l}.k_pre {l}.k', shown('rotate', 'a[i] =', 'b[i] ='), shown('placed', 'let call = Rotate')),
  'attention.keys': step('{l}.ln1 W_K {l}.k', shown('attention', 'self.qkv.call', 'tap_pair'), shown('headsInput', 'k: rows')),
  'attention.share': step('{l}.q {l}.k {l}.v', shown('head', 'h / shape.group()', 'head(self.k, keys, kv', 'head(self.v, keys, kv')),
  'attention.dot': step('{l}.q {l}.k {l}.scores', shown('scores', 'matmul(out')),
  'attention.scale': step('{l}.scores', shown('scores', '*= head.scale')),
  'attention.mask': step('{l}.scores', shown('scores', 'NEG_INFINITY')),
  'attention.softmax': step('{l}.scores {l}.pattern', ...softmaxed, shown('pattern', 'softmax(row')),
  'attention.values': step('{l}.pattern {l}.v {l}.z', shown('weightedValues', 'matmul(z, pattern')),
  'attention.heads': step('{l}.z W_O {l}.attn_out', shown('attention', 'BlockSite::Z', 'self.out.call')),
  'attention.add': step('{l}.resid_pre {l}.attn_out {l}.resid_mid', shown('join', 'pass.add')),
  'attention.wall': step('{l}.pattern', shown('habits', 'previous:', 'first:', 'own:', 'same:', 'induction:')),
  'attention.formula': step('{l}.q {l}.k {l}.v {l}.scores {l}.pattern {l}.z', shown('inTheOpen', 'open::scores', 'open::pattern', 'open::weighted_values')),

  'mlp.alone': step('{l}.resid_mid', shown('blockTransform', 'transform(pass')),
  'mlp.ask': (p) => step(p.gated ? '{l}.ln2 W_gate {l}.mlp_pre' : '{l}.ln2 W_up {l}.mlp_pre', mlp(p, 'self.up.call', 'self.gate_up.call')),
  'mlp.curve': curve,
  'mlp.gate': step('{l}.mlp_pre {l}.mlp_up {l}.mlp_post', shown('gate', 'F.value')),
  'mlp.fire': (p) => step('{l}.mlp_post', mlp(p, 'self.activation', 'self.gate(')),
  'mlp.down': (p) => step('{l}.mlp_post W_down {l}.mlp_out', mlp(p, 'self.down.call', 'self.down.call')),
  'mlp.add': step('{l}.resid_mid {l}.mlp_out {l}.resid_post', shown('join', 'pass.add')),

  'layers.river': step('{0}.resid_pre {last}.resid_post', shown('forwardAll', 'block.forward', 'for (layer, block)')),
  'layers.changes': step('{0}.attn_out {0}.mlp_out', shown('join', 'pass.tap', 'pass.add')),
  'layers.lens': step('{0}.resid_pre {last}.resid_post W_U', shown('lens', 'model.unembed', 'top(row')),
  'layers.last': step('logits', shown('top', 'softmax', 'best.insert')),

  'unembed.last': step('{last}.resid_post ln_final', shown('lastLogits', 'normed.tensor().row(rows - 1)'), shown('normed', 'self.ln_final')),
  'unembed.dot': step('ln_final W_U logits', shown('logits', 'pass.apply(self.linear')),
  'unembed.logits': step('ln_final W_U logits', shown('logits', 'pass.apply(self.linear', 'Site::Logits')),
  'unembed.temperature': step('logits', shown('scale', 'scaled /=')),
  'unembed.softmax': step('logits probs', shown('fill', 'let max', 'let total', '.exp() / total'), ...softmaxed),
  'unembed.cut': step('probs', shown('truncate', 'let top_k', 'top_p', 'weight / total) as f32')),
  'unembed.draw': step('probs', shown('drawNumber', 'random::uniform'), shown('draw', 'sum +=', 'if sum > u')),

  'generate.prefill': step('{0}.k {0}.v', shown('cacheWrite', 'self.hold(end)', 'number.write')),
  'generate.one': step('{0}.k {0}.v', shown('generationLogits', '&self.tokens[cached..]', 'Pass::new'), shown('mixCached', 'self.heads.cached', 'decode::decode')),
  'generate.loop': step('tokens logits', shown('step', 'last_logits', '.choose', 'tokens.push')),
  'generate.saved': step('tokens', shown('generationLogits', 'KvCache::len', 'new.len()')),

  'translate.two': step('encoder.{0}.resid_pre decoder.{0}.resid_pre', shown('across', 'block.forward')),
  'translate.masks': step('encoder.{0}.pattern decoder.{l}.pattern', shown('scores', 'NEG_INFINITY')),
  'translate.ask': step('decoder.{l}.cross_q decoder.{l}.cross_k decoder.{l}.cross_scores decoder.{l}.cross_pattern', shown('crossAttention', 'self.q.call', 'self.kv.call(pass, memory)', 'self.mix(')),
  'translate.align': step('decoder.{l}.cross_pattern', shown('pattern', 'softmax(row')),
  'translate.table': step('decoder.{l}.cross_pattern', shown('pattern', 'softmax(row')),
  'translate.heads': step('decoder.{l}.cross_pattern', shown('crossAttention', 'BlockSite::CrossQ', 'self.mix(')),
  'translate.write': step('logits', shown('modelEncode', 'pair.encode', 'pair.remember'), shown('translate', 'model.encode(', 'model.logits(', 'batch.step(')),
  'gaps.gap': step('tokens', shown('mask', 'self.ids[place] = mask')),
  'gaps.sees': step('{l}.pattern', shown('scores', 'NEG_INFINITY')),
  'gaps.fill': step('logits', shown('normed', 'linear.call(pass, x)', 'pass.apply(activation'), shown('top', 'softmax', 'best.insert')),

  'train.loss': step('ln_final W_U logits', shown('lossEach', 'unembed.apply_rows', 'rows::losses'), shown('crossEntropy', 'target')),
  'train.mean': step('ln_final W_U', shown('objective', 'weight: 1.0'), shown('learn', 'loss::learn(')),
  'train.gradient': step('{last}.resid_post {0}.resid_pre', shown('tapeBackward', 'self.d_values[last]', 'slot.backward'), shown('addBackward', 'accumulate')),
  'train.norms': step('W_Q W_K W_V W_O W_down', shown('lengthOfGradient', 'squares +=', 'squares.sqrt()')),
  'train.step': step('W_down', shown('adamw', '*m =', '*v =', '*theta =')),
  'train.after': step('logits', shown('lessonSteps', 'optimizer.step(', 'losses(model')),
};

export function codeOf(chapter: string, id: string, facts: Facts): StepCode | undefined {
  const choice = CODE[`${chapter}.${id}`];
  return typeof choice === 'function' ? choice(facts) : choice;
}
