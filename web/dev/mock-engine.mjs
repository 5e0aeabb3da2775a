// DEVELOPMENT AND TESTS ONLY. The routes of docs/api.md as plain functions, so that unit tests need no network.
import { buildModel, forward, layerNorm, lcg, softmaxRow } from './mock-model.mjs';
import { decode } from './mock-tokenizer.mjs';
import { cell } from './mock-cell.mjs';
import { gradientsOf, lessonOf } from './mock-lesson.mjs';
import { vocabulary } from './mock-vocabulary.mjs';

class HttpError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function safetensors(tensors) {
  const header = {};
  let offset = 0;
  for (const [name, t] of tensors) {
    const bytes = t.data.length * 4;
    header[name] = { dtype: 'F32', shape: t.shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  let json = JSON.stringify(header);
  while (json.length % 8) json += ' ';
  const out = Buffer.alloc(8 + json.length + offset);
  out.writeBigUInt64LE(BigInt(json.length), 0);
  out.write(json, 8, 'latin1');
  let at = 8 + json.length;
  for (const [, t] of tensors) {
    Buffer.from(t.data.buffer, t.data.byteOffset, t.data.byteLength).copy(out, at);
    at += t.data.byteLength;
  }
  return out;
}

export const glob = (g) => new RegExp(`^${g.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*')}$`);

export function createEngine(options = {}) {
  const m = buildModel(options);
  const runs = new Map();
  let next = 1;
  const show = (id) => ({ id, text: decode(m.tokenizer.bytesOf[id]), bytes: m.tokenizer.bytesOf[id] });
  const run = (id) => runs.get(id) ?? fail(404, 'this trace has gone: trace the text again');
  const fail = (status, message) => {
    throw new HttpError(status, message);
  };

  const model = () => ({ name: m.cfg.llama ? 'mock llama' : 'mock (random weights)', family: m.cfg.llama ? 'llama' : 'gpt2', kind: 'decoder', encoder: null, mask: null, n_layers: m.cfg.layers, n_heads: m.cfg.heads, n_kv_heads: m.cfg.kvHeads, d_model: m.cfg.dModel, d_head: m.cfg.dHead, d_ff: m.cfg.dFf, n_ctx: m.cfg.nCtx, vocab: m.cfg.vocab, activation: m.cfg.llama ? 'silu' : 'gelu_tanh', tied: true, norm_eps: m.cfg.eps, stored: null, chat: false, teachable: true, parts: parts(m.cfg), parameters: m.parameters, version: '0.0.0-mock', initial_text: null, default_text: { en: 'Once upon a time, there was a little', zh: '从前有一只小' } });

  // Of edits it knows heads that are switched off.
  function trace({ text, ablate = [], edits = [] }) {
    if (typeof text !== 'string' || text.trim() === '') fail(400, 'the text is empty');
    const all = m.tokenizer.encode(text);
    const cut = Math.max(0, all.length - m.cfg.nCtx);
    const from = cut ? all[cut].start : 0;
    const tokens = all.slice(cut).map((t) => ({ ...t, special: false, start: t.start - from, end: t.end - from }));
    const keptText = Buffer.from(text).subarray(from).toString();
    const kept = cut ? { tokens_total: all.length, tokens_kept: tokens.length, from: 'end', text: keptText } : null;
    const ids = tokens.map((t) => t.id);
    const id = String(next++);
    const sites = forward(m, ids, [...ablate, ...edits.filter((e) => e.kind === 'off').map((e) => e.part)]);
    runs.set(id, { ids, sites });
    while (runs.size > 16) runs.delete(runs.keys().next().value);
    return { id, text: keptText, tokens, kept, sites: [...sites].map(([name, s]) => ({ name, shape: s.shape })) };
  }

  function tensors(id, globs, rows, cols) {
    const { sites } = run(id);
    const tests = globs.split(',').map(glob);
    const found = [...sites].filter(([n]) => tests.some((g) => g.test(n)));
    return safetensors(found.map(([n, s]) => [n, cut(n, s, list(rows), list(cols))]));
  }

  function heads(id) {
    const { sites, ids } = run(id);
    return safetensors(headsOf(m.cfg, sites, ids));
  }

  function lens(id, k = 5, rows = null) {
    const { sites, ids } = run(id);
    const wanted = list(rows) ?? ids.map((_, t) => t);
    const names = ['blocks.0.resid_pre', ...Array.from({ length: m.cfg.layers }, (_, l) => `blocks.${l}.resid_post`)];
    const top = names.map((n) => wanted.map((t) => topOf(m, sites.get(n).data.subarray(t * m.cfg.dModel, (t + 1) * m.cfg.dModel), k, show)));
    return { sites: names, rows: list(rows), top };
  }

  const guesses = (id, k = 5, rows = null) => guessesOf(run(id).sites.get('logits'), k, list(rows), show);

  function sample(req) {
    const { sites, ids } = run(String(req.trace));
    const V = m.cfg.vocab;
    const logits = sites.get('logits').data.subarray((ids.length - 1) * V, ids.length * V);
    return draw(m, logits, req, show);
  }

  function generate(req) {
    let ids = m.tokenizer.encode(req.text).slice(-m.cfg.nCtx).map((t) => t.id);
    const prompt = ids.length;
    const steps = [];
    for (let s = 0; s < (req.max_tokens ?? 16) && ids.length < m.cfg.nCtx; s++) {
      const sites = forward(m, ids);
      const V = m.cfg.vocab;
      const d = draw(m, sites.get('logits').data.subarray((ids.length - 1) * V, ids.length * V), { ...req, step: s }, show);
      const mine = d.candidates.find((c) => c.id === d.chosen.id);
      steps.push({ ...d.chosen, prob: mine.final_prob, position: ids.length, cached: s === 0 ? 0 : ids.length - 1, computed: s === 0 ? prompt : 1, top: d.candidates.slice(0, 5).map((c) => ({ id: c.id, text: c.text, bytes: c.bytes, prob: c.final_prob })) });
      ids = [...ids, d.chosen.id];
    }
    return { prompt_tokens: prompt, steps, text: steps.map((s) => s.text ?? '').join('') };
  }

  function neighbours(id, k = 8) {
    const D = m.cfg.dModel;
    const rowOf = (i) => m.w.W_E.data.subarray(i * D, (i + 1) * D);
    const dot = (a, b) => a.reduce((s, v, i) => s + v * b[i], 0);
    const a = rowOf(id);
    const all = Array.from({ length: m.cfg.vocab }, (_, i) => ({ ...show(i), cosine: dot(a, rowOf(i)) / Math.sqrt(dot(a, a) * dot(rowOf(i), rowOf(i))) }));
    return { id, neighbours: all.filter((n) => n.id !== id).sort((x, y) => y.cosine - x.cosine).slice(0, k) };
  }

  function weights(name, rows, cols) {
    const w = m.w[name] ?? fail(404, `no weight named ${name}`);
    if (w.rows === 1) return safetensors([['weight', { shape: [w.cols], data: w.data.slice() }]]);
    const [r0, r1] = rows ? rows.split('..').map(Number) : [0, w.rows];
    const [c0, c1] = cols ? cols.split('..').map(Number) : [0, w.cols];
    const data = new Float32Array((r1 - r0) * (c1 - c0));
    for (let r = r0; r < r1; r++) data.set(w.data.subarray(r * w.cols + c0, r * w.cols + c1), (r - r0) * (c1 - c0));
    return safetensors([['weight', { shape: [r1 - r0, c1 - c0], data }]]);
  }

  function gradients(id, globs, rows) {
    const { sites } = run(id);
    const tests = globs.split(',').map(glob);
    const found = gradientsOf([...sites].filter(([n]) => tests.some((g) => g.test(n))));
    return safetensors(found.map(([n, s]) => [n, cut(n, s, list(rows))]));
  }

  return {
    m, guesses, gradients, lesson: (id) => lessonOf(m, run(id).sites, run(id).ids, show), model, trace, tensors, heads, lens, sample, generate, neighbours, weights, ...vocabulary(m, show, fail),
    cell: (id, site, index, k) => cell(m, run(id).sites, run(id).ids, site, index, k) ?? fail(400, `no cell ${site}[${index}]`),
    vocab: () => ({ tokens: Array.from({ length: m.cfg.vocab }, (_, i) => show(i)) }),
  };
}

export const parts = (cfg) => ({ norm: cfg.llama ? 'rms' : 'layer', positions: cfg.llama ? 'rotary' : 'learned', post_norm: false, frequencies: cfg.frequencies, head_norm: false, gated: cfg.llama, qkv_bias: !cfg.llama, out_bias: !cfg.llama, mlp_bias: !cfg.llama, windows: Array(cfg.layers).fill(null) });

/** `0..3,7` as numbers. */
export function list(text) {
  if (text === null || text === undefined) return null;
  return text.split(',').flatMap((part) => {
    const [from, to] = part.split('..').map(Number);
    return to === undefined ? [from] : Array.from({ length: to - from }, (_, i) => from + i);
  });
}

export function cut(name, site, rows, cols) {
  const plane = /(scores|pattern)$/.test(name);
  if (!rows) return site;
  const axis = plane ? 1 : 0;
  const outer = plane ? site.shape[0] : 1;
  const n = site.shape[axis];
  const inner = site.data.length / (outer * n);
  const keys = plane && cols ? cols : Array.from({ length: inner }, (_, i) => i);
  const data = new Float32Array(outer * rows.length * keys.length);
  let at = 0;
  for (let o = 0; o < outer; o++) for (const r of rows) for (const k of keys) data[at++] = site.data[(o * n + r) * inner + k];
  return { shape: site.shape.map((s, i) => (i === axis ? rows.length : plane && i === 2 ? keys.length : s)), data };
}

const HABITS = {
  previous: (ids, at) => mean(ids, (q) => (q >= 1 ? at(q, q - 1) : null)),
  first: (ids, at) => mean(ids, (q) => (q >= 2 ? at(q, 0) : null)),
  self: (ids, at) => mean(ids, (q) => (q >= 1 ? at(q, q) : null)),
  same: (ids, at) => mean(ids, (q) => echoes(ids, q, (k) => at(q, k))),
  induction: (ids, at) => mean(ids, (q) => echoes(ids, q, (k) => at(q, k + 1))),
  interest: (ids, at) => {
    const T = ids.length;
    const row = ids.map((_, k) => at(T - 1, k));
    return (1 - row[0] - (T > 1 ? row[T - 1] : 0)) * (1 - Math.abs(Math.max(...row) - 0.45));
  },
};

function mean(ids, f) {
  const all = ids.map((_, q) => f(q)).filter((v) => v !== null);
  return all.reduce((a, b) => a + b, 0) / Math.max(1, all.length);
}

function echoes(ids, q, at) {
  const earlier = ids.slice(0, q).flatMap((id, k) => (id === ids[q] ? [k] : []));
  return earlier.length ? earlier.reduce((s, k) => s + at(k), 0) : null;
}

/** All heads in little. */
function headsOf({ layers: L, heads: H }, sites, ids) {
  const T = ids.length;
  const square = Math.max(1, Math.ceil(T / (L * H <= 64 ? 32 : 16)));
  const side = Math.ceil(T / square);
  const pooled = new Float32Array(L * H * side * side);
  const scores = Object.fromEntries(Object.keys(HABITS).map((name) => [name, new Float32Array(L * H)]));
  for (let l = 0; l < L; l++)
    for (let h = 0; h < H; h++) {
      const { data } = sites.get(`blocks.${l}.pattern`);
      const at = (q, k) => data[(h * T + q) * T + k];
      for (let q = 0; q < T; q++)
        for (let k = 0; k <= q; k++) {
          const i = ((l * H + h) * side + Math.floor(q / square)) * side + Math.floor(k / square);
          pooled[i] = Math.max(pooled[i], at(q, k));
        }
      for (const [name, habit] of Object.entries(HABITS)) scores[name][l * H + h] = habit(ids, at);
    }
  return [['square', { shape: [1], data: Float32Array.of(square) }], ['pooled', { shape: [L, H, side, side], data: pooled }], ...Object.entries(scores).map(([name, data]) => [name, { shape: [L, H], data }])];
}

/** The likeliest tokens at each position. */
export function guessesOf({ shape: [T, V], data }, k, rows, show) {
  const best = (t) => {
    const { prob } = softmaxRow(data.subarray(t * V, (t + 1) * V));
    return prob.map((p, id) => [p, id]).sort((a, b) => b[0] - a[0]).slice(0, k).map(([p, id]) => ({ ...show(id), prob: p }));
  };
  return { rows, top: (rows ?? Array.from({ length: T }, (_, t) => t)).map(best) };
}

function topOf(m, x, k, show) {
  const { dModel: D, vocab: V, eps } = m.cfg;
  const y = layerNorm(x, 1, D, m.w['ln_final.w'], m.w['ln_final.b'], eps);
  const logits = new Float64Array(V);
  for (let d = 0; d < D; d++) for (let v = 0; v < V; v++) logits[v] += y[d] * m.w.W_U.data[d * V + v];
  const { prob } = softmaxRow(logits);
  return prob.map((p, id) => [p, id]).sort((a, b) => b[0] - a[0]).slice(0, k).map(([p, id]) => ({ ...show(id), prob: p }));
}

function draw(m, logits, { temperature = 1, top_k = 0, top_p = 1, seed = 0, step = 0, k = 200 }, show) {
  const raw = softmaxRow(logits).prob;
  const T = temperature > 0 ? temperature : 1;
  const scaled = Array.from(logits, (v) => v / T);
  const order = scaled.map((_, i) => i).sort((a, b) => scaled[b] - scaled[a]);
  const prob = softmaxRow(scaled).prob;
  let mass = 0;
  const kept = new Set();
  for (const id of order.slice(0, top_k || order.length)) {
    if (mass >= top_p && kept.size) break;
    kept.add(id);
    mass += prob[id];
  }
  const sum = [...kept].reduce((s, id) => s + prob[id], 0);
  let run = 0;
  const candidates = order.map((id) => {
    const final = kept.has(id) ? prob[id] / sum : 0;
    run += final;
    return { ...show(id), logit: logits[id], scaled: scaled[id], prob: raw[id], kept: kept.has(id), final_prob: final, cumulative: run };
  });
  const u = temperature > 0 ? lcg(seed * 1000003 + step)() : null;
  const chosen = u === null ? candidates[0] : candidates.find((c) => c.cumulative > u) ?? candidates[kept.size - 1];
  return { candidates: candidates.slice(0, k), total: candidates.length, kept: kept.size, u, chosen: show(chosen.id) };
}
