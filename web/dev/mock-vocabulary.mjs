// DEVELOPMENT AND TESTS ONLY. W_E as a place: cosines, a map by power iteration, sums of words.
const dot = (a, b) => a.reduce((s, v, i) => s + v * b[i], 0);
const length = (a) => Math.sqrt(dot(a, a)) || 1e-12;
const cosine = (a, b) => dot(a, b) / (length(a) * length(b));

export function vocabulary(m, show, fail) {
  const [V, D] = [m.cfg.vocab, m.cfg.dModel];
  const rowOf = (id) => (id < V ? [...m.w.W_E.data.subarray(id * D, (id + 1) * D)] : fail(400, `there is no token ${id}: the vocabulary has ${V}`));
  const near = (v, but, k) => Array.from({ length: V }, (_, id) => ({ ...show(id), cosine: cosine(rowOf(id), v) })).filter((t) => !but.includes(t.id)).sort((x, y) => y.cosine - x.cosine).slice(0, k);

  const cosines = (ids) => ({ ids: [...ids], cosines: ids.map((i) => ids.map((j) => cosine(rowOf(i), rowOf(j)))) });

  let known;
  function map() {
    return (known ??= plane());
  }

  function plane() {
    const rows = Array.from({ length: V }, (_, id) => rowOf(id).map((v, _i, row) => v / length(row)));
    const mean = Array.from({ length: D }, (_, i) => rows.reduce((s, r) => s + r[i], 0) / V);
    for (const r of rows) r.forEach((v, i) => (r[i] = v - mean[i]));
    const total = rows.reduce((s, r) => s + dot(r, r), 0);
    const axes = [];
    for (let k = 0; k < 2; k++) {
      let axis = Array.from({ length: D }, (_, i) => Math.sin(1 + i * (k + 1)));
      for (let round = 0; round < 60; round++) {
        const next = Array(D).fill(0);
        for (const r of rows) {
          const along = dot(r, axis);
          r.forEach((v, i) => (next[i] += along * v));
        }
        for (const other of axes) {
          const along = dot(next, other);
          other.forEach((v, i) => (next[i] -= along * v));
        }
        const l = length(next);
        axis = next.map((v) => v / l);
      }
      axes.push(axis);
    }
    const at = rows.map((r) => axes.map((axis) => Math.fround(dot(r, axis))));
    return { tokens: at.map(([x, y], id) => ({ ...show(id), x, y })), shares: [0, 1].map((k) => at.reduce((s, p) => s + p[k] ** 2, 0) / total), around: null, vocab: V };
  }

  function sum(words) {
    const terms = words.map((text, i) => ({ text, sign: i === 1 ? -1 : 1, tokens: idsOf(text.trim()).map(show) }));
    const v = Array(D).fill(0);
    for (const { sign, tokens } of terms) {
      const rows = tokens.map((t) => rowOf(t.id));
      const mean = Array.from({ length: D }, (_, i) => rows.reduce((s, r) => s + r[i], 0));
      const l = length(mean);
      mean.forEach((x, i) => (v[i] += (sign * x) / l));
    }
    const own = [...new Set(terms.flatMap((t) => t.tokens.map((x) => x.id)))];
    return { terms, neighbours: near(v, own, 8), left_out: own.map((id) => ({ ...show(id), cosine: cosine(rowOf(id), v) })).sort((x, y) => y.cosine - x.cosine) };
  }

  function idsOf(word) {
    if (word === '') fail(400, `${JSON.stringify(word)} has no tokens in this model's vocabulary`);
    const [behind, alone] = [` ${word}`, word].map((t) => m.tokenizer.encode(t).map((x) => x.id));
    return behind.length <= alone.length ? behind : alone;
  }

  return { cosines, map, sum };
}
