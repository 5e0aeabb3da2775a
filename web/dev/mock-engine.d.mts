export interface MockEngine {
  model(): unknown;
  trace(request: { text: string; ablate?: string[]; edits?: readonly { kind: string; part?: string }[]; mask?: readonly number[] }): unknown;
  guesses(id: string, k?: number, rows?: string | null): unknown;
  tensors(id: string, globs: string, rows?: string | null, cols?: string | null): Buffer;
  heads(id: string): Buffer;
  lens(id: string, k?: number, rows?: string | null): unknown;
  sample(request: Record<string, unknown>): unknown;
  generate(request: Record<string, unknown>): unknown;
  neighbours(id: number, k?: number): unknown;
  cosines(ids: readonly number[]): unknown;
  map(): unknown;
  sum(words: readonly string[]): unknown;
  weights(name: string, rows?: string | null, cols?: string | null): Buffer;
  cell(id: string, site: string, index: number[], k?: number): unknown;
  vocab(): unknown;
  lesson(id: string): unknown;
  gradients(id: string, globs: string, rows?: string | null): Buffer;
}
export function createEngine(options?: { layers?: number; heads?: number; dModel?: number; dFf?: number; nCtx?: number; seed?: number; llama?: boolean; kvHeads?: number }): MockEngine;
export function safetensors(tensors: [string, { shape: number[]; data: Float32Array }][]): Buffer;
