// DEVELOPMENT AND TESTS ONLY. A small GPT, or a small Llama, with seeded random weights: its words mean nothing, its sums are all true.
import { buildTokenizer } from './mock-tokenizer.mjs';

export function buildModel({ layers = 4, heads = 6, dModel = 192, dFf = 768, nCtx = 256, seed = 7, llama = false, kvHeads = heads } = {}) {
  const tokenizer = buildTokenizer();
  const vocab = tokenizer.vocab;
  const normal = gaussian(seed);
  const table = (rows, cols, std) => ({ rows, cols, data: Float32Array.from({ length: rows * cols }, () => normal() * std) });
  const row = (n, std, mean = 0) => ({ rows: 1, cols: n, data: Float32Array.from({ length: n }, () => mean + normal() * std) });
  const dHead = dModel / heads;
  const w = { W_E: table(vocab, dModel, 0.16) };
  if (!llama) w.W_pos = table(nCtx, dModel, 0.06);
  for (let l = 0; l < layers; l++) {
    const b = `blocks.${l}.`;
    Object.assign(w, { [`${b}ln1.w`]: row(dModel, 0.1, 1), [`${b}ln1.b`]: row(dModel, 0.02), [`${b}ln2.w`]: row(dModel, 0.1, 1), [`${b}ln2.b`]: row(dModel, 0.02) });
    for (const n of ['Q', 'K', 'V', 'O']) {
      w[`${b}attn.W_${n}`] = table(dModel, n === 'K' || n === 'V' ? kvHeads * dHead : dModel, n === 'O' ? 0.03 : 0.085);
      w[`${b}attn.b_${n}`] = row(dModel, 0.02);
    }
    w[`${b}mlp.W_up`] = table(dModel, dFf, 0.085);
    w[`${b}mlp.b_up`] = row(dFf, 0.05, -0.3);
    w[`${b}mlp.W_down`] = table(dFf, dModel, 0.025);
    w[`${b}mlp.b_down`] = row(dModel, 0.01);
    if (llama) w[`${b}mlp.W_gate`] = table(dModel, dFf, 0.085);
  }
  w['ln_final.w'] = row(dModel, 0.1, 1);
  w['ln_final.b'] = row(dModel, 0.02);
  // Llamas have no biases.
  if (llama) for (const name of Object.keys(w)) if (/(\.b|\.b_\w+)$/.test(name)) delete w[name];
  const wu = { rows: dModel, cols: vocab, data: new Float32Array(dModel * vocab) };
  for (let v = 0; v < vocab; v++) for (let d = 0; d < dModel; d++) wu.data[d * vocab + v] = w.W_E.data[v * dModel + d];
  w.W_U = wu;
  const parameters = Object.entries(w).reduce((n, [k, t]) => n + (k === 'W_U' ? 0 : t.data.length), 0);
  const frequencies = llama ? Array.from({ length: dHead / 2 }, (_, i) => 100 ** ((-2 * i) / dHead)) : null;
  const cfg = { layers, heads, kvHeads, dModel, dHead, dFf, nCtx, vocab, eps: 1e-5, llama, frequencies };
  return { tokenizer, w, cfg, parameters };
}

export function gaussian(seed) {
  const uniform = lcg(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

export function lcg(seed) {
  let s = seed >>> 0;
  return () => {
    s = (s + 0x9e3779b9) >>> 0;
    let z = Math.imul(s ^ (s >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) / 4294967296;
  };
}

export const silu = (x) => x / (1 + Math.exp(-x));

/** Each pair (i, i + E/2) of every head turned by its position's angle. */
function turned(x, T, heads, E, frequencies) {
  const out = Float32Array.from(x);
  for (let t = 0; t < T; t++)
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < E / 2; i++) {
        const at = (t * heads + h) * E + i;
        const [c, s] = [Math.cos(t * frequencies[i]), Math.sin(t * frequencies[i])];
        out[at] = x[at] * c - x[at + E / 2] * s;
        out[at + E / 2] = x[at + E / 2] * c + x[at] * s;
      }
  return out;
}

export const gelu = (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));

export function linear(x, T, w, b) {
  const { rows, cols } = w;
  const out = new Float32Array(T * cols);
  for (let t = 0; t < T; t++) {
    const acc = Float64Array.from({ length: cols }, (_, j) => (b ? b.data[j] : 0));
    for (let i = 0; i < rows; i++) {
      const xi = x[t * rows + i];
      for (let j = 0; j < cols; j++) acc[j] += xi * w.data[i * cols + j];
    }
    out.set(acc, t * cols);
  }
  return out;
}

export function normStats(x, t, D, eps) {
  let mean = 0;
  for (let d = 0; d < D; d++) mean += x[t * D + d];
  mean /= D;
  let v = 0;
  for (let d = 0; d < D; d++) v += (x[t * D + d] - mean) ** 2;
  return { mean, std: Math.sqrt(v / D + eps) };
}

/** RMSNorm where there is no bias. */
export function rms(x, t, D, eps) {
  let v = 0;
  for (let d = 0; d < D; d++) v += x[t * D + d] ** 2;
  return Math.sqrt(v / D + eps);
}

export function layerNorm(x, T, D, g, b, eps) {
  const out = new Float32Array(T * D);
  for (let t = 0; t < T; t++) {
    if (!b) {
      for (let d = 0; d < D; d++) out[t * D + d] = (x[t * D + d] / rms(x, t, D, eps)) * g.data[d];
      continue;
    }
    const { mean, std } = normStats(x, t, D, eps);
    for (let d = 0; d < D; d++) out[t * D + d] = ((x[t * D + d] - mean) / std) * g.data[d] + b.data[d];
  }
  return out;
}

export function softmaxRow(row) {
  let max = -Infinity;
  for (const v of row) if (v > max) max = v;
  const e = Array.from(row, (v) => Math.exp(v - max));
  const sum = e.reduce((a, b) => a + b, 0);
  return { max, sum, exp: e, prob: e.map((v) => v / sum) };
}

export const plus = (a, b) => a.map((v, i) => v + b[i]);

function attention(m, sites, l, ln1, T, ablate, sees) {
  const { heads: H, kvHeads: K, dHead: E, dModel: D, frequencies } = m.cfg;
  const b = `blocks.${l}.`;
  const [qPre, kPre, v] = ['Q', 'K', 'V'].map((n) => linear(ln1, T, m.w[`${b}attn.W_${n}`], m.w[`${b}attn.b_${n}`]));
  const [q, k] = frequencies ? [turned(qPre, T, H, E, frequencies), turned(kPre, T, K, E, frequencies)] : [qPre, kPre];
  const kv = (h) => Math.floor((h * K) / H);
  const scores = new Float32Array(H * T * T);
  const pattern = new Float32Array(H * T * T);
  const z = new Float32Array(T * D);
  for (let h = 0; h < H; h++)
    for (let i = 0; i < T; i++) {
      const row = [];
      for (let j = 0; j < T; j++) {
        let s = 0;
        for (let e = 0; e < E; e++) s += q[i * D + h * E + e] * k[(j * K + kv(h)) * E + e];
        row.push(j > i && sees === 'past' ? -Infinity : s / Math.sqrt(E));
      }
      scores.set(row, (h * T + i) * T);
      const prob = softmaxRow(row).prob;
      pattern.set(prob, (h * T + i) * T);
      const off = ablate.includes(`blocks.${l}.head.${h}`) ? 0 : 1;
      for (let e = 0; e < E; e++) {
        let s = 0;
        for (let j = 0; j < (sees === 'past' ? i + 1 : T); j++) s += pattern[(h * T + i) * T + j] * v[(j * K + kv(h)) * E + e];
        z[i * D + h * E + e] = s * off;
      }
    }
  const put = (n, shape, data) => sites.set(b + n, { shape, data });
  if (frequencies) put('q_pre', [T, H, E], qPre), put('k_pre', [T, K, E], kPre);
  put('q', [T, H, E], q), put('k', [T, K, E], k), put('v', [T, K, E], v), put('scores', [H, T, T], scores);
  put('pattern', [H, T, T], pattern), put('z', [T, H, E], z);
  return linear(z, T, m.w[`${b}attn.W_O`], m.w[`${b}attn.b_O`]);
}

/** `sees`: the past alone, or all. */
export function forward(m, ids, ablate = [], sees = 'past') {
  const { layers, dModel: D, dFf: F, vocab: V, eps } = m.cfg;
  const T = ids.length;
  const sites = new Map();
  const put = (name, shape, data) => sites.set(name, { shape, data });
  const embed = new Float32Array(T * D);
  const pos = new Float32Array(T * D);
  ids.forEach((id, t) => {
    embed.set(m.w.W_E.data.subarray(id * D, (id + 1) * D), t * D);
    if (m.w.W_pos) pos.set(m.w.W_pos.data.subarray(t * D, (t + 1) * D), t * D);
  });
  put('tokens', [T], Float32Array.from(ids)), put('embed', [T, D], embed);
  if (m.w.W_pos) put('pos_embed', [T, D], pos);
  let x = plus(embed, pos);
  for (let l = 0; l < layers; l++) {
    const b = `blocks.${l}.`;
    put(`${b}resid_pre`, [T, D], x);
    const ln1 = layerNorm(x, T, D, m.w[`${b}ln1.w`], m.w[`${b}ln1.b`], eps);
    put(`${b}ln1`, [T, D], ln1);
    const attn = attention(m, sites, l, ln1, T, ablate, sees);
    const mid = plus(x, attn);
    const ln2 = layerNorm(mid, T, D, m.w[`${b}ln2.w`], m.w[`${b}ln2.b`], eps);
    const up = linear(ln2, T, m.w[`${b}mlp.W_up`], m.w[`${b}mlp.b_up`]);
    const gate = m.w[`${b}mlp.W_gate`];
    const pre = gate ? linear(ln2, T, gate) : up;
    const post = gate ? pre.map((x, i) => silu(x) * up[i]) : pre.map(gelu);
    if (gate) put(`${b}mlp_up`, [T, F], up);
    const out = linear(post, T, m.w[`${b}mlp.W_down`], m.w[`${b}mlp.b_down`]);
    put(`${b}attn_out`, [T, D], attn), put(`${b}resid_mid`, [T, D], mid), put(`${b}ln2`, [T, D], ln2);
    put(`${b}mlp_pre`, [T, F], pre), put(`${b}mlp_post`, [T, F], post), put(`${b}mlp_out`, [T, D], out);
    x = plus(mid, out);
    put(`${b}resid_post`, [T, D], x);
  }
  const fin = layerNorm(x, T, D, m.w['ln_final.w'], m.w['ln_final.b'], eps);
  const logits = linear(fin, T, m.w.W_U, null);
  const probs = new Float32Array(T * V);
  for (let t = 0; t < T; t++) probs.set(softmaxRow(logits.subarray(t * V, (t + 1) * V)).prob, t * V);
  put('ln_final', [T, D], fin), put('logits', [T, V], logits), put('probs', [T, V], probs);
  return sites;
}
