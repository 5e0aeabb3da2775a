// DEVELOPMENT AND TESTS ONLY. The losses are true, and so is every sum of a step; the gradients are invented, as this engine has no way
// back through its network.
const BETAS = [0.9, 0.99];
const OPTIONS = { learning_rate: 0.001, beta1: BETAS[0], beta2: BETAS[1], eps: 1e-8, weight_decay: 0.1, clip: 1 };

/** The same small number for the same name and place, every time. */
function invented(name, i) {
  let h = 2166136261 ^ i;
  for (const c of name) h = Math.imul(h ^ c.charCodeAt(0), 16777619);
  h = Math.imul(h ^ (h >>> 13), 0x5bd1e995);
  return ((h >>> 8) / 0xffffff - 0.5) * 0.02;
}

export function lessonOf(m, sites, ids, show) {
  const [V, N] = [m.cfg.vocab, ids.length - 1];
  const probs = sites.get('probs').data;
  const losses = Array.from({ length: N }, (_, t) => -Math.log(probs[t * V + ids[t + 1]]));
  const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
  const weights = Object.entries(m.w).filter(([name]) => name !== 'W_U').map(([name, w]) => ({ name, shape: [w.rows, w.cols], norm: Math.abs(invented(name, 7)) * Math.sqrt(w.rows * w.cols), largest: [0, Math.min(1, w.cols - 1)], value: invented(name, 1) }));
  const weight = `blocks.${m.cfg.layers - 1}.mlp.W_down`;
  const grad_norm = Math.sqrt(weights.reduce((s, w) => s + w.norm ** 2, 0));
  let theta = m.w[weight].data[1];
  let [mom, vel] = [0, 0];
  const fall = (k) => losses.map((l) => l * 0.93 ** k);
  const steps = Array.from({ length: 8 }, (_, i) => {
    const gradient = invented(weight, 1) * 0.9 ** i;
    const scale = grad_norm > 1 ? 1 / (grad_norm + 1e-6) : 1;
    const g = scale * gradient;
    const [m_before, v_before, before] = [mom, vel, theta];
    mom = BETAS[0] * mom + (1 - BETAS[0]) * g;
    vel = BETAS[1] * vel + (1 - BETAS[1]) * g * g;
    const [m_hat, v_hat] = [mom / (1 - BETAS[0] ** (i + 1)), vel / (1 - BETAS[1] ** (i + 1))];
    const decay = 0.001 * 0.1 * before;
    const update = (0.001 * m_hat) / (Math.sqrt(v_hat) + 1e-8);
    theta = before - decay - update;
    return { loss: mean(fall(i)), grad_norm, scale, before, gradient, m_before, v_before, m: mom, v: vel, m_hat, v_hat, decay, update, after: theta };
  });
  return { targets: ids.slice(1).map(show), losses, loss: mean(losses), weights, options: OPTIONS, watched: { weight, at: [0, 1] }, steps, losses_after: fall(8), loss_after: mean(fall(8)) };
}

/** As many numbers as the sites have, but of the last position. */
export function gradientsOf(sites) {
  return sites.map(([name, { shape, data }]) => {
    const width = data.length / shape[0];
    return [name, { shape: [shape[0] - 1, ...shape.slice(1)], data: Float32Array.from({ length: data.length - width }, (_, i) => invented(name, i)) }];
  });
}
