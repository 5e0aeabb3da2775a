// DEVELOPMENT AND TESTS ONLY. Where one number comes from: the terms of its sum, as docs/api.md says.
import { normStats, rms, silu, softmaxRow } from './mock-model.mjs';

const UP = { q: 'Q', k: 'K', v: 'V' };

export function cell(m, sites, ids, name, index, k = 64) {
  const site = sites.get(name);
  if (!site || index.length !== site.shape.length || index.some((v, i) => !(v >= 0 && v < site.shape[i]))) return null;
  const flat = (shape, ix) => ix.reduce((a, v, i) => a * shape[i] + v, 0);
  const at = (s, ix) => ({ site: s, index: ix, value: sites.get(s).data[flat(sites.get(s).shape, ix)] });
  const wt = (n, ix) => ({ weight: n, index: ix, value: m.w[n].data[m.w[n].rows === 1 ? ix[0] : ix[0] * m.w[n].cols + ix[1]] });
  const part = name.split('.').pop();
  const b = name.startsWith('blocks') ? name.slice(0, name.lastIndexOf('.') + 1) : '';
  const made = recipe({ m, sites, ids, at, wt, b, part, index, name });
  const terms = made.terms.sort((x, y) => Math.abs(y.value) - Math.abs(x.value));
  return { site: name, index, value: at(name, index).value, ...made, terms: terms.slice(0, k), total_terms: terms.length };
}

const total = (terms) => terms.reduce((a, t) => a + t.value, 0);
const product = (left, right) => ({ value: left.value * right.value, left, right });

function linear(n, left, right, bias, formula) {
  const terms = Array.from({ length: n }, (_, i) => product(left(i), right(i)));
  if (bias) terms.push({ value: bias.value, right: bias });
  return { op: 'linear', formula, terms, recomputed: total(terms) };
}

function add(formula, ...parts) {
  const terms = parts.map((p) => ({ value: p.value, left: p }));
  return { op: 'sum', formula, terms, recomputed: total(terms) };
}

function recipe({ m, sites, ids, at, wt, b, part, index, name }) {
  const { dModel: D, dHead: E, dFf: F, layers, eps } = m.cfg;
  const [t, j] = index;
  const l = b ? Number(b.split('.')[1]) : 0;
  switch (part) {
    case 'tokens':
      return { op: 'lookup', formula: 'tokens[t]', terms: [], recomputed: ids[t] };
    case 'embed':
    case 'pos_embed': {
      const right = part === 'embed' ? wt('W_E', [ids[t], j]) : wt('W_pos', [t, j]);
      return { op: 'lookup', formula: part === 'embed' ? 'W_E[token, j]' : 'W_pos[t, j]', terms: [{ value: right.value, right }], recomputed: right.value };
    }
    case 'resid_pre':
      if (l === 0 && m.cfg.llama) return add('embed[t,j]', at('embed', index));
      return l === 0 ? add('embed[t,j] + pos_embed[t,j]', at('embed', index), at('pos_embed', index)) : add('resid_post', at(`blocks.${l - 1}.resid_post`, index));
    case 'resid_mid':
      return add('resid_pre[t,j] + attn_out[t,j]', at(`${b}resid_pre`, index), at(`${b}attn_out`, index));
    case 'resid_post':
      return add('resid_mid[t,j] + mlp_out[t,j]', at(`${b}resid_mid`, index), at(`${b}mlp_out`, index));
    case 'ln1':
    case 'ln2':
    case 'ln_final': {
      const src = part === 'ln1' ? `${b}resid_pre` : part === 'ln2' ? `${b}resid_mid` : `blocks.${layers - 1}.resid_post`;
      if (m.cfg.llama) {
        const root = rms(sites.get(src).data, t, D, eps);
        const own = at(src, index);
        const gain = wt(`${name}.w`, [j]).value;
        return { op: 'norm', formula: 'x / √(mean(x²) + ε) · gain', rms: root, gain, terms: [{ value: (own.value / root) * gain, left: own }], recomputed: (own.value / root) * gain };
      }
      const { mean, std } = normStats(sites.get(src).data, t, D, eps);
      const [gain, bias] = [wt(`${name}.w`, [j]).value, wt(`${name}.b`, [j]).value];
      const left = at(src, index);
      return { op: 'norm', formula: '(x − mean) / std · gain + bias', mean, std, gain, bias, terms: [{ value: left.value, left }], recomputed: ((left.value - mean) / std) * gain + bias };
    }
    case 'q':
    case 'k':
    case 'q_pre':
    case 'k_pre':
    case 'v': {
      const [, h, e] = index;
      if (m.cfg.llama && (part === 'q' || part === 'k')) return rotation(m, at, `${b}${part}_pre`, index);
      const n = UP[part.slice(0, 1)];
      const bias = m.cfg.llama ? null : wt(`${b}attn.b_${n}`, [h * E + e]);
      return linear(D, (i) => at(`${b}ln1`, [t, i]), (i) => wt(`${b}attn.W_${n}`, [i, h * E + e]), bias, `Σᵢ ln1[t,i] · W_${n}[i,j]${bias ? ` + b_${n}[j]` : ''}`);
    }
    default:
      return tail({ m, sites, at, wt, b, part, index, D, E, F });
  }
}

/** One number of a pair, turned by its position's angle. */
function rotation(m, at, from, [t, h, e]) {
  const half = m.cfg.dHead / 2;
  const pair = e % half;
  const angle = t * m.cfg.frequencies[pair];
  const turn = (name, value) => ({ angle: name, index: [t, pair], value });
  const second = e < half ? turn('-sin', -Math.sin(angle)) : turn('sin', Math.sin(angle));
  const terms = [product(at(from, [t, h, e]), turn('cos', Math.cos(angle))), product(at(from, [t, h, e < half ? e + half : e - half]), second)];
  return { op: 'rotation', formula: 'x[t,e] · cos θ ∓ x[t,e ± d_head/2] · sin θ', terms, recomputed: total(terms) };
}

function tail({ m, sites, at, wt, b, part, index, D, E, F }) {
  const [t, j] = index;
  switch (part) {
    case 'scores': {
      const [h, q, k] = index;
      if (k > q) return { op: 'masked', formula: '−∞ (a later position)', terms: [], recomputed: null };
      const terms = Array.from({ length: E }, (_, e) => product(at(`${b}q`, [q, h, e]), at(`${b}k`, [k, Math.floor((h * m.cfg.kvHeads) / m.cfg.heads), e])));
      const scale = 1 / Math.sqrt(E);
      return { op: 'dot', formula: 'Σₑ q[t,e] · k[s,e] / √d_head', scale, terms, recomputed: total(terms) * scale };
    }
    case 'pattern': {
      const [h, q, k] = index;
      const T = sites.get(`${b}scores`).shape[2];
      const row = Array.from({ length: T }, (_, s) => at(`${b}scores`, [h, q, s]));
      const sm = softmaxRow(row.map((c) => c.value));
      return { op: 'softmax', formula: 'exp(score − max) / Σ exp(score − max)', max: sm.max, sum: sm.sum, own: k, terms: row.map((left, s) => ({ value: sm.exp[s], left })), recomputed: sm.prob[k] };
    }
    case 'z': {
      const [, h, e] = index;
      const terms = Array.from({ length: t + 1 }, (_, s) => product(at(`${b}pattern`, [h, t, s]), at(`${b}v`, [s, Math.floor((h * m.cfg.kvHeads) / m.cfg.heads), e])));
      return { op: 'weighted_sum', formula: 'Σₛ pattern[t,s] · v[s,e]', terms, recomputed: total(terms) };
    }
    case 'attn_out':
      return linear(D, (i) => at(`${b}z`, [t, Math.floor(i / E), i % E]), (i) => wt(`${b}attn.W_O`, [i, j]), m.cfg.llama ? null : wt(`${b}attn.b_O`, [j]), 'Σᵢ z[t,i] · W_O[i,j] + b_O[j]');
    case 'mlp_pre':
    case 'mlp_up': {
      const w = m.cfg.llama && part === 'mlp_pre' ? 'W_gate' : 'W_up';
      return linear(D, (i) => at(`${b}ln2`, [t, i]), (i) => wt(`${b}mlp.${w}`, [i, j]), m.cfg.llama ? null : wt(`${b}mlp.b_up`, [j]), `Σᵢ ln2[t,i] · ${w}[i,j]`);
    }
    case 'mlp_post': {
      if (m.cfg.llama) {
        const [gate, up] = [at(`${b}mlp_pre`, index), at(`${b}mlp_up`, index)];
        const activated = silu(gate.value);
        return { op: 'gate', formula: 'f(mlp_pre) · mlp_up', activated, terms: [{ value: activated * up.value, left: gate, right: up }], recomputed: activated * up.value };
      }
      const left = at(`${b}mlp_pre`, index);
      return { op: 'activation', formula: 'gelu_tanh(mlp_pre)', terms: [{ value: left.value, left }], recomputed: at(`${b}mlp_post`, index).value };
    }
    case 'mlp_out':
      return linear(F, (i) => at(`${b}mlp_post`, [t, i]), (i) => wt(`${b}mlp.W_down`, [i, j]), m.cfg.llama ? null : wt(`${b}mlp.b_down`, [j]), 'Σᵢ mlp_post[t,i] · W_down[i,j] + b_down[j]');
    case 'logits':
      return linear(D, (i) => at('ln_final', [t, i]), (i) => wt('W_U', [i, j]), null, 'Σᵢ ln_final[t,i] · W_U[i,j]');
    default: {
      const V = m.cfg.vocab;
      const row = Array.from({ length: V }, (_, v) => at('logits', [t, v]));
      const sm = softmaxRow(row.map((c) => c.value));
      return { op: 'softmax', formula: 'exp(logit − max) / Σ exp(logit − max)', max: sm.max, sum: sm.sum, own: j, terms: row.map((left, s) => ({ value: sm.exp[s], left })), recomputed: sm.prob[j] };
    }
  }
}
