// What chapter 9 reads from runs of a translator and of an encoder.
import { beforeAll, describe, expect, it } from 'vitest';
import { chaptersOf } from '../src/chapters';
import { bestAligned, table } from '../src/chapters/09-variants/cross';
import { gapAt } from '../src/chapters/09-variants/gaps';
import { factsOf } from '../src/chapters/family';
import { choices, valueAt, type Bundle } from '../src/trace/bundle';
import { bundleOf, engine, filler, translator } from './fixture';

let pair: Bundle;
let encoder: Bundle;
beforeAll(async () => {
  pair = (await bundleOf('Once upon a time, there', translator)).bundle;
  encoder = (await bundleOf('Once upon a time, there', filler)).bundle;
});

describe('the chapters', () => {
  it('are those of the kind of model, with their numbers', async () => {
    const numbers = async (from: typeof engine): Promise<string> => chaptersOf(factsOf(await from.model())).map((c) => `${c.number} ${c.id}`).join();
    expect(await numbers(engine)).toBe('0 overview,1 tokenize,2 embed,3 attention,4 mlp,5 layers,6 unembed,7 generate,8 train');
    expect(await numbers(translator)).toBe('9 translate');
    expect(await numbers(filler)).toBe('9 gaps');
  });
});

describe('a place of the target', () => {
  it('is named by what it writes, not by what it reads', () => {
    const { tokens, end } = pair.trace.target!;
    const named = choices(pair.trace);
    expect(named.map((t) => t.id)).toEqual([...tokens.slice(1), end!].map((t) => t.id));
    expect(named).toHaveLength(tokens.length);
  });
  it('has no end where none was written', () => {
    const target = { ...pair.trace.target!, ended: false };
    expect(choices({ ...pair.trace, target })).toHaveLength(target.tokens.length - 1);
  });
});

describe('the head that opens', () => {
  it('is the one that looks most like an alignment: from both sides, the end of the source left out', () => {
    const [T, S] = [choices(pair.trace).length, pair.trace.tokens.length];
    const { n_layers: L, n_heads: H } = pair.model;
    const weight = (l: number, h: number, t: number, s: number): number => valueAt(pair, `decoder.blocks.${l}.cross_pattern`, [h, t, s]) as number;
    const places = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
    const sum = (x: number[]): number => x.reduce((a, b) => a + b, 0);
    const score = (l: number, h: number): number =>
      sum(places(T).map((t) => Math.max(...places(S - 1).map((s) => weight(l, h, t, s))))) + sum(places(S - 1).map((s) => Math.max(...places(T).map((t) => weight(l, h, t, s)))));
    const all = Array.from({ length: L * H }, (_, i) => ({ layer: Math.floor(i / H), head: i % H })).sort((a, b) => score(b.layer, b.head) - score(a.layer, a.head));
    expect(bestAligned(pair)).toEqual(all[0]);
    const first = table(pair, 1, 2);
    for (const [t, s] of [[0, 0], [2, 3], [T - 1, S - 1]] as const) expect(first[t * S + s]).toBe(valueAt(pair, 'decoder.blocks.1.cross_pattern', [2, t, s]));
  });
  it('is not chosen before all patterns have come', () => {
    expect(bestAligned({ ...pair, sites: new Map() })).toBeUndefined();
  });
});

describe('the gap', () => {
  it('is always a word of the text', () => {
    const marks = encoder.trace.tokens.map((t) => t.bytes.length === 0);
    expect(marks[0] && marks[marks.length - 1]).toBe(true);
    encoder.trace.tokens.forEach((_, i) => {
      const at = gapAt(encoder, i);
      expect(marks[at]).toBe(false);
      if (!marks[i]) expect(at).toBe(i);
    });
  });
  it('is read as a mark in a run of its own, and the rest of the text stays', () => {
    const [[at, run]] = [...encoder.gaps] as [[number, Bundle]];
    expect(run.trace.tokens[at]?.id).toBe(encoder.model.mask);
    expect(run.trace.tokens.filter((t, i) => t.id !== encoder.trace.tokens[i]?.id)).toHaveLength(1);
  });
});
