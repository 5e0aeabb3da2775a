// DEVELOPMENT AND TESTS ONLY. A small encoder–decoder and a small encoder with seeded random weights: their words mean nothing, their
// sums are all true.
import { createEngine, cut, glob, guessesOf, list, safetensors } from './mock-engine.mjs';
import { forward, gaussian, layerNorm, linear, plus, softmaxRow } from './mock-model.mjs';
import { decode } from './mock-tokenizer.mjs';

const TARGETS = 6;

/** An engine with other models in it: only what their chapters ask is answered. */
function variant(base, own) {
  const runs = new Map();
  let next = 1;
  const run = (id) => runs.get(id) ?? raise(404, 'this trace has gone: trace the text again');
  const raise = (status, message) => {
    throw Object.assign(new Error(message), { status });
  };
  const { m } = base;
  const show = (id) => ({ id, text: own.names?.[id] ?? decode(m.tokenizer.bytesOf[id]), bytes: m.tokenizer.bytesOf[id] });
  return {
    ...base,
    model: () => ({ ...base.model(), ...own.model }),
    trace(request) {
      if (typeof request.text !== 'string' || request.text.trim() === '') raise(400, 'the text is empty');
      const { sites, ...rest } = own.trace(m, request, show);
      const id = String(next++);
      runs.set(id, sites);
      return { id, text: request.text, kept: null, sites: [...sites].map(([name, s]) => ({ name, shape: s.shape })), ...rest };
    },
    tensors(id, globs, rows, cols) {
      const tests = globs.split(',').map(glob);
      const found = [...run(id)].filter(([n]) => tests.some((g) => g.test(n)));
      return safetensors(found.map(([n, s]) => [n, cut(n, s, list(rows), list(cols))]));
    },
    guesses: (id, k, rows) => guessesOf(run(id).get('logits'), k, list(rows ?? null), show),
    heads: () => safetensors([['square', { shape: [1], data: Float32Array.of(1) }]]),
  };
}

/** An encoder that fills gaps: `[CLS] text [SEP]`, all seeing all. */
export function createFiller(options = {}) {
  const base = createEngine(options);
  const { vocab } = base.m.cfg;
  // The marks take the places of rare bytes.
  const names = { 0: '[CLS]', 1: '[SEP]', 2: '[MASK]' };
  const mark = (id) => ({ id, text: names[id], bytes: [], special: true, start: 0, end: 0, merges: [] });
  return variant(base, {
    names,
    model: { name: 'mock filler (random weights)', kind: 'encoder', family: 'bert', mask: 2, vocab },
    trace(m, { text, mask = [] }) {
      const own = m.tokenizer.encode(text).slice(0, m.cfg.nCtx - 2).map((t) => ({ ...t, special: false }));
      const tokens = [mark(0), ...own, mark(1)];
      for (const at of mask) tokens[at] = { ...tokens[at], id: 2, text: names[2], special: true };
      return { tokens, sites: forward(m, tokens.map((t) => t.id), [], 'all') };
    },
  });
}

/** A translator: three blocks that read, two that write, with heads of different number. */
export function createTranslator({ dModel: D = 48, dFf: F = 96, encoder = { layers: 3, heads: 2 }, decoder = { layers: 2, heads: 3 }, seed = 11 } = {}) {
  const base = createEngine({ layers: decoder.layers, heads: decoder.heads, dModel: D, dFf: F, seed });
  const normal = gaussian(seed + 1);
  const matrix = (rows, cols, std) => ({ rows, cols, data: Float32Array.from({ length: rows * cols }, () => normal() * std) });
  const attention = (std) => ({ Q: matrix(D, D, std), K: matrix(D, D, std), V: matrix(D, D, 0.12), O: matrix(D, D, 0.1) });
  const stack = ({ layers }, crosses) => Array.from({ length: layers }, () => ({ own: attention(0.2), cross: crosses && attention(0.3), up: matrix(D, F, 0.12), down: matrix(F, D, 0.06) }));
  const nets = { encoder: { blocks: stack(encoder, false), heads: encoder.heads }, decoder: { blocks: stack(decoder, true), heads: decoder.heads } };
  const { nCtx, vocab, eps } = base.m.cfg;
  const ones = { data: new Float32Array(D).fill(1) };
  const normed = (x, T) => layerNorm(x, T, D, ones, { data: new Float32Array(D) }, eps);

  /** Ids through a stack; `memory` is what a decoder asks besides. */
  function through(m, name, ids, sites, memory) {
    const T = ids.length;
    let x = Float32Array.from({ length: T * D }, (_, i) => m.w.W_E.data[ids[Math.floor(i / D)] * D + (i % D)] + m.w.W_pos.data[i]);
    nets[name].blocks.forEach((block, l) => {
      const put = (site, shape, data) => sites.set(`${name}.blocks.${l}.${site}`, { shape, data });
      const heads = nets[name].heads;
      put('resid_pre', [T, D], x);
      const ln1 = normed(x, T);
      x = plus(x, attend({ heads, D, put, part: '' }, block.own, [ln1, T], [ln1, T], name === 'decoder'));
      if (memory) x = plus(x, attend({ heads, D, put, part: 'cross_' }, block.cross, [normed(x, T), T], memory, false));
      const post = linear(normed(x, T), T, block.up).map((v) => Math.max(0, v));
      x = plus(x, linear(post, T, block.down));
      put('resid_post', [T, D], x);
    });
    const last = normed(x, T);
    sites.set(`${name}.ln_final`, { shape: [T, D], data: last });
    return last;
  }

  return variant(base, {
    model: { name: 'mock translator (random weights)', kind: 'encoder_decoder', family: 'marian', encoder: { n_layers: encoder.layers, n_heads: encoder.heads, n_ctx: nCtx, vocab }, default_text: { en: 'The little girl has a red ball.', zh: '小女孩有一个红球。' } },
    trace(m, { text }, show) {
      const mark = { id: 0, text: '</s>', bytes: [], special: true };
      const source = [...m.tokenizer.encode(text).slice(0, nCtx - 1).map((t) => ({ ...t, special: false })), { ...mark, start: text.length, end: text.length, merges: [] }];
      const read = new Map();
      const memory = [through(m, 'encoder', source.map((t) => t.id), read), source.length];
      // Written are words alone, and none twice: random weights would write one byte for ever.
      const words = m.tokenizer.bytesOf.flatMap((bytes, id) => (/\p{L}{2}/u.test(decode(bytes) ?? '') ? [id] : []));
      const ids = [0];
      let [sites, log] = [read, 0];
      // The likeliest at each step; behind the longest length the end is forced.
      for (let t = 0; ; t++) {
        sites = new Map(read);
        const T = ids.length;
        const logits = linear(through(m, 'decoder', ids, sites, memory), T, m.w.W_U, null);
        sites.set('logits', { shape: [T, vocab], data: logits });
        const { prob } = softmaxRow(logits.subarray(t * vocab));
        const best = words.filter((id) => !ids.includes(id)).reduce((x, id) => (prob[id] > prob[x] ? id : x));
        if (t === TARGETS) break;
        log += Math.log(prob[best]);
        ids.push(best);
      }
      const tokens = ids.map((id, i) => (i === 0 ? mark : { ...show(id), special: false }));
      return { tokens: source, sites, target: { text: tokens.slice(1).map((t) => t.text ?? '').join('').trim(), tokens, end: mark, score: log / tokens.length, log_prob: log, ended: true, beams: 1 } };
    },
  });
}

/** Attention of T queries over S keys, each with its own input. */
function attend({ heads: H, D, put, part }, w, [xq, T], [xk, S], causal) {
  const E = D / H;
  const [q, k, v] = [linear(xq, T, w.Q), linear(xk, S, w.K), linear(xk, S, w.V)];
  const [scores, pattern, z] = [new Float32Array(H * T * S), new Float32Array(H * T * S), new Float32Array(T * D)];
  for (let h = 0; h < H; h++)
    for (let t = 0; t < T; t++) {
      const row = Array.from({ length: S }, (_, s) => {
        let sum = 0;
        for (let e = 0; e < E; e++) sum += q[t * D + h * E + e] * k[s * D + h * E + e];
        return causal && s > t ? -Infinity : sum / Math.sqrt(E);
      });
      scores.set(row, (h * T + t) * S);
      pattern.set(softmaxRow(row).prob, (h * T + t) * S);
      for (let e = 0; e < E; e++) for (let s = 0; s < S; s++) z[t * D + h * E + e] += pattern[(h * T + t) * S + s] * v[s * D + h * E + e];
    }
  put(`${part}q`, [T, H, E], q), put(`${part}k`, [S, H, E], k), put(`${part}v`, [S, H, E], v), put(`${part}scores`, [H, T, S], scores), put(`${part}pattern`, [H, T, S], pattern), put(`${part}z`, [T, H, E], z);
  const out = linear(z, T, w.O);
  put(part ? 'cross_out' : 'attn_out', [T, D], out);
  return out;
}
