// Everything recorded of one run that a scene may look at. Scenes read it synchronously; `Needs` say what must be there first.
import type { Tensor } from './safetensors';
import type { Generated, Lens, ModelInfo, Neighbours, Provenance, Sample, TraceMeta } from './wire';

/** What a chapter wants loaded before it can be drawn. Keys make each thing asked for only once. */
export type Need = Wanted & {
  /** The picture can begin without it; it is fetched after the rest. */
  later?: boolean;
};

type Wanted =
  | { kind: 'sites'; globs: string[] }
  | { kind: 'lens' }
  | { kind: 'sample' }
  | { kind: 'generate' }
  | { kind: 'neighbours'; id: number }
  | { kind: 'cell'; site: string; index: number[] }
  | { kind: 'weights'; name: string; rows: [number, number]; cols: [number, number] };

export const weightKey = (name: string, rows: [number, number], cols: [number, number]): string => `${name}|${rows.join('..')}|${cols.join('..')}`;
export const cellKey = (site: string, index: number[]): string => `${site}|${index.join(',')}`;

export interface Bundle {
  model: ModelInfo;
  trace: TraceMeta;
  sites: Map<string, Tensor>;
  lens?: Lens;
  sample?: Sample;
  generated?: Generated;
  neighbours: Map<number, Neighbours>;
  cells: Map<string, Provenance>;
  weights: Map<string, Tensor>;
}

export function emptyBundle(model: ModelInfo, trace: TraceMeta): Bundle {
  return { model, trace, sites: new Map(), neighbours: new Map(), cells: new Map(), weights: new Map() };
}

export function flatIndex(shape: number[], index: number[]): number {
  return index.reduce((at, i, axis) => at * (shape[axis] ?? 1) + i, 0);
}

/** One number of the trace; NaN where its site has not been loaded. */
export function valueAt(bundle: Bundle, site: string, index: number[]): number {
  const t = bundle.sites.get(site);
  return t ? (t.data[flatIndex(t.shape, index)] ?? NaN) : NaN;
}

/** The innermost row of a site: `row(b, 'blocks.0.q', [3, 1])` is head 1's query vector of token 3. */
export function row(bundle: Bundle, site: string, outer: number[]): Float32Array {
  const t = bundle.sites.get(site);
  if (!t) return new Float32Array(0);
  const n = t.shape[t.shape.length - 1] ?? 0;
  const start = flatIndex(t.shape.slice(0, -1), outer) * n;
  return t.data.subarray(start, start + n);
}
