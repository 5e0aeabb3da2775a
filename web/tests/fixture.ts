// A trace in memory: the development engine (random weights, true sums) answers through the same interface as the server.
import { createEngine, type MockEngine } from '../dev/mock-engine.mjs';
import { createFiller, createTranslator } from '../dev/mock-variants.mjs';
import { chaptersOf } from '../src/chapters';
import { factsOf } from '../src/chapters/family';
import type { Frame, View } from '../src/chapters/types';
import { translate, type Lang } from '../src/i18n';
import { Draw } from '../src/marks/draw';
import { choices, emptyBundle, type Bundle } from '../src/trace/bundle';
import type { Engine } from '../src/trace/engine';
import { isMissing, load } from '../src/trace/loader';
import { parseSafetensors } from '../src/trace/safetensors';
import type { Cosines, Edit, Guesses, Lens, Lesson, ModelInfo, Neighbours, Provenance, Sample, SampleSettings, TraceMeta, Generated, VocabMap, WordSum } from '../src/trace/wire';


const buffer = (b: Buffer): ArrayBuffer => b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength) as ArrayBuffer;

export const SETTINGS: SampleSettings = { temperature: 0.8, top_k: 40, top_p: 0.95, seed: 42 };

const engineOf = (mock: MockEngine): Engine => ({
  model: async () => mock.model() as ModelInfo,
  models: async () => [mock.model() as ModelInfo],
  trace: async (text, _chat, edits = [], _model, mask = []) => mock.trace({ text, edits, mask }) as TraceMeta,
  guesses: async (id, k, rows) => mock.guesses(id, k, rows?.join()) as Guesses,
  tensors: async (id, globs, rows, cols) => parseSafetensors(buffer(mock.tensors(id, globs.join(','), rows?.join(), cols?.join()))),
  file: async (id, globs, rows) => buffer(mock.tensors(id, globs.join(','), rows?.join())),
  lens: async (id, k, rows) => mock.lens(id, k, rows?.join()) as Lens,
  heads: async (id) => parseSafetensors(buffer(mock.heads(id))),
  cell: async (id, site, index, k) => mock.cell(id, site, index, k) as Provenance,
  sample: async (trace, s) => mock.sample({ trace, ...s }) as Sample,
  generate: async (text, _chat, max_tokens, s) => mock.generate({ text, max_tokens, ...s }) as Generated,
  neighbours: async (id, k) => mock.neighbours(id, k) as Neighbours,
  cosines: async (ids) => mock.cosines(ids) as Cosines,
  map: async () => mock.map() as VocabMap,
  sum: async (words) => mock.sum(words) as WordSum,
  weights: async (name, rows, cols) => {
    const t = parseSafetensors(buffer(mock.weights(name, rows.join('..'), cols.join('..')))).get('weight');
    if (!t) throw new Error('no weight');
    return t;
  },
  lesson: async (id) => mock.lesson(id) as Lesson,
  gradients: async (id, globs, rows) => parseSafetensors(buffer(mock.gradients(id, globs.join(','), rows?.join()))),
  train: () => Promise.reject(new Error('nothing is trained here')),
  training: async () => null,
  stopTraining: async () => undefined,
});

const SIZES_OF = { layers: 2, dModel: 48, dFf: 96 };
export const engine = engineOf(createEngine({ ...SIZES_OF, heads: 3 }));
/** RMSNorm, rotary positions, two heads of keys for four of queries, a gate, no biases. */
export const turning = engineOf(createEngine({ ...SIZES_OF, heads: 4, kvHeads: 2, llama: true }));

/** Three blocks that read, two that write. */
export const translator = engineOf(createTranslator());
/** An encoder that fills gaps. */
export const filler = engineOf(createFiller({ ...SIZES_OF, heads: 3 }));

/** Several engines as one, the first of which is the server's own; runs are named after their engine. */
export function among(engines: readonly Engine[]): Engine {
  const first = engines[0] as Engine;
  const models = async (): Promise<ModelInfo[]> => Promise.all(engines.map((e) => e.model()));
  const named = async (name?: string): Promise<number> => (name === undefined ? 0 : (await models()).findIndex((m) => m.name === name));
  const of = (run: string): [Engine, string] => [engines[Number(run.split('.')[0])] as Engine, run.split('.')[1] as string];
  return {
    ...first,
    models,
    model: async (name) => (engines[await named(name)] as Engine).model(),
    trace: async (text, chat, edits, model, mask) => {
      const at = await named(model);
      const trace = await (engines[at] as Engine).trace(text, chat, edits, undefined, mask);
      return { ...trace, id: `${at}.${trace.id}` };
    },
    tensors: (run, ...rest) => of(run)[0].tensors(of(run)[1], ...rest),
    lens: (run, ...rest) => of(run)[0].lens(of(run)[1], ...rest),
    guesses: (run, ...rest) => of(run)[0].guesses(of(run)[1], ...rest),
    heads: (run) => of(run)[0].heads(of(run)[1]),
    cell: (run, ...rest) => of(run)[0].cell(of(run)[1], ...rest),
    lesson: (run) => of(run)[0].lesson(of(run)[1]),
    gradients: (run, ...rest) => of(run)[0].gradients(of(run)[1], ...rest),
    sample: (run, s) => of(run)[0].sample(of(run)[1], s),
  };
}

export async function bundleOf(text: string, from = engine, edits: readonly Edit[] = []): Promise<{ bundle: Bundle; view: View }> {
  const model = await from.model();
  const trace = await from.trace(text, false, edits);
  const bundle = emptyBundle(model, trace, { text, chat: false, edits });
  const view: View = { layer: 1, head: 1, token: model.kind === 'decoder' ? trace.tokens.length - 1 : Math.floor(choices(trace).length / 2) };
  for (const chapter of chaptersOf(factsOf(model))) {
    for (let round = 0; round < 4; round++) {
      const needs = chapter.needs(view, bundle).filter((n) => isMissing(bundle, n));
      if (!needs.length) break;
      await load(from, bundle, needs, SETTINGS, 6);
    }
  }
  // So that losses and shares can be counted again.
  for (const run of [bundle, ...bundle.gaps.values()]) await load(from, run, [{ kind: 'sites', globs: ['logits'] }], SETTINGS, 6);
  return { bundle, view };
}

export const SIZES = { wide: { W: 860, H: 560 }, narrow: { W: 380, H: 400 } } as const;

export function draw(bundle: Bundle, view: View, chapter: number, step: number, p: number, size: keyof typeof SIZES = 'wide', lang: Lang = 'en', ghost?: Bundle): Draw {
  const c = chaptersOf(factsOf(bundle.model))[chapter];
  if (!c) throw new Error('no such chapter');
  const frame: Frame = { b: bundle, ghost, view, settings: SETTINGS, step, steps: c.steps, p, ...SIZES[size], narrow: size === 'narrow', numbers: true, lang, t: (k, v) => translate(lang, k, v) };
  const d = new Draw();
  c.scene(frame, d);
  return d;
}
