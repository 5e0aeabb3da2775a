import { beforeAll, describe, expect, it } from 'vitest';
import { ENOUGH, evenShares, headName, TIMES_EVEN } from '../src/chapters/heads';
import type { Bundle } from '../src/trace/bundle';
import { bundleOf } from './fixture';

let short: Bundle;
let again: Bundle;
beforeAll(async () => {
  short = (await bundleOf('the dog')).bundle;
  again = (await bundleOf('the dog, the cat, the dog')).bundle;
});

/** The run with every head's habits set. */
function habits(b: Bundle, scores: Record<string, number>): Bundle {
  const shape = [b.model.n_layers, b.model.n_heads];
  const heads = new Map(b.heads);
  for (const name of ['previous', 'first', 'self', 'same', 'induction']) heads.set(name, { shape, data: new Float32Array(shape[0]! * shape[1]!).fill(scores[name] ?? 0) });
  return { ...b, heads };
}

describe('the names of heads', () => {
  it('are not given to a head that looks at all alike', () => {
    for (const b of [short, again]) expect(headName(habits(b, evenShares(b)), 0, 0).name).toBe('broad');
  });
  it('know what looking at all alike would give: counted square by square', () => {
    const ids = again.trace.tokens.map((t) => t.id);
    const T = ids.length;
    // A pattern whose rows are even, measured as the engine measures habits.
    const mean = (share: (q: number) => number | null): number => {
      const all = ids.map((_, q) => share(q)).filter((v) => v !== null);
      return all.reduce((a, b) => a + b, 0) / Math.max(1, all.length);
    };
    const at = (q: number, k: number): number => (k <= q ? 1 / (q + 1) : 0);
    const echo = (q: number, after: number): number | null => {
      let sum = 0;
      let any = false;
      for (let k = 0; k < q; k++) if (ids[k] === ids[q]) [sum, any] = [sum + at(q, k + after), true];
      return any ? sum : null;
    };
    const even = evenShares(again);
    expect(T).toBeGreaterThan(6);
    expect(even.previous).toBeCloseTo(mean((q) => (q >= 1 ? at(q, q - 1) : null)), 12);
    expect(even.first).toBeCloseTo(mean((q) => (q >= 2 ? at(q, 0) : null)), 12);
    expect(even.self).toBeCloseTo(mean((q) => (q >= 1 ? at(q, q) : null)), 12);
    expect(even.same).toBeCloseTo(mean((q) => echo(q, 0)), 12);
    expect(even.induction).toBeCloseTo(mean((q) => echo(q, 1)), 12);
    expect(even.same).toBeGreaterThan(0);
  });
  it('take the share and so many times what even looking gives', () => {
    expect(headName(habits(again, { previous: ENOUGH - 0.01 }), 0, 0)).toMatchObject({ name: 'broad', habit: 'previous' });
    expect(headName(habits(again, { previous: 0.9, first: 0.5 }), 1, 1)).toMatchObject({ name: 'previous' });
    const { previous } = evenShares(short);
    expect(previous, 'a text this short makes everybody look at the one before').toBeGreaterThan(ENOUGH / TIMES_EVEN);
    expect(headName(habits(short, { previous: previous * TIMES_EVEN - 0.01 }), 0, 0).name).toBe('broad');
  });
});
