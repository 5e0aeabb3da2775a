// A trace in memory: the development engine (random weights, true sums) answers through the same interface as the server.
import { createEngine } from '../dev/mock-engine.mjs';
import { CHAPTERS } from '../src/chapters';
import type { Frame, View } from '../src/chapters/types';
import { translate, type Lang } from '../src/i18n';
import { Draw } from '../src/marks/draw';
import { emptyBundle, type Bundle } from '../src/trace/bundle';
import type { Engine } from '../src/trace/engine';
import { isMissing, load } from '../src/trace/loader';
import { parseSafetensors } from '../src/trace/safetensors';
import type { Lens, ModelInfo, Neighbours, Provenance, Sample, SampleSettings, TraceMeta, Generated } from '../src/trace/wire';

const mock = createEngine({ layers: 2, heads: 3, dModel: 48, dFf: 96 });
const buffer = (b: Buffer): ArrayBuffer => b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength) as ArrayBuffer;

export const SETTINGS: SampleSettings = { temperature: 0.8, top_k: 40, top_p: 0.95, seed: 42 };

export const engine: Engine = {
  model: async () => mock.model() as ModelInfo,
  trace: async (text) => mock.trace({ text }) as TraceMeta,
  tensors: async (id, globs) => parseSafetensors(buffer(mock.tensors(id, globs.join(','), null))),
  lens: async (id, k) => mock.lens(id, k) as Lens,
  cell: async (id, site, index, k) => mock.cell(id, site, index, k) as Provenance,
  sample: async (trace, s) => mock.sample({ trace, ...s }) as Sample,
  generate: async (text, max_tokens, s) => mock.generate({ text, max_tokens, ...s }) as Generated,
  neighbours: async (id, k) => mock.neighbours(id, k) as Neighbours,
  weights: async (name, rows, cols) => {
    const t = parseSafetensors(buffer(mock.weights(name, rows.join('..'), cols.join('..')))).get('weight');
    if (!t) throw new Error('no weight');
    return t;
  },
};

export async function bundleOf(text: string): Promise<{ bundle: Bundle; view: View }> {
  const model = await engine.model();
  const trace = await engine.trace(text);
  const bundle = emptyBundle(model, trace);
  const view: View = { layer: 1, head: 1, token: trace.tokens.length - 1 };
  for (const chapter of CHAPTERS) {
    for (let round = 0; round < 4; round++) {
      const needs = chapter.needs(view, bundle).filter((n) => isMissing(bundle, n));
      if (!needs.length) break;
      await load(engine, bundle, needs, SETTINGS, 6);
    }
  }
  return { bundle, view };
}

export const SIZES = { wide: { W: 860, H: 560 }, narrow: { W: 380, H: 400 } } as const;

export function draw(bundle: Bundle, view: View, chapter: number, step: number, p: number, size: keyof typeof SIZES = 'wide', lang: Lang = 'en'): Draw {
  const c = CHAPTERS[chapter];
  if (!c) throw new Error('no such chapter');
  const frame: Frame = { b: bundle, view, settings: SETTINGS, step, steps: c.steps, p, ...SIZES[size], narrow: size === 'narrow', numbers: true, lang, t: (k, v) => translate(lang, k, v) };
  const d = new Draw();
  c.scene(frame, d);
  return d;
}
