// What the page asks of an engine. HTTP stands behind it today; a WebAssembly engine can stand in its place.
import type { Tensor } from './safetensors';
import type { Cosines, Edit, Generated, Guesses, Lens, Lesson, ModelInfo, Neighbours, Provenance, Sample, SampleSettings, TraceMeta, TrainRequest, TrainRun, VocabMap, WordSum } from './wire';

/** The words of a − b + c. */
export type Triple = readonly [a: string, b: string, c: string];

/** Where a `model` is named it is one that was trained here or stands beside the server's own; else, that one. */
export interface Engine {
  model(name?: string): Promise<ModelInfo>;
  /** All models that can be asked about, the server's own first. */
  models(): Promise<ModelInfo[]>;
  /** `chat`: as a message, in the model's chat template; `mask`: places of gaps, for an encoder that fills them. */
  trace(text: string, chat: boolean, edits?: readonly Edit[], model?: string, mask?: readonly number[]): Promise<TraceMeta>;
  /** The positions `rows` of the sites, and of patterns and scores the keys `cols`. */
  tensors(trace: string, globs: string[], rows?: readonly number[], cols?: readonly number[]): Promise<Map<string, Tensor>>;
  /** The same as the file that came. */
  file(trace: string, globs: string[], rows?: readonly number[]): Promise<ArrayBuffer>;
  lens(trace: string, k: number, rows?: readonly number[]): Promise<Lens>;
  /** The likeliest tokens at each position of what is written. */
  guesses(trace: string, k: number, rows?: readonly number[]): Promise<Guesses>;
  heads(trace: string): Promise<Map<string, Tensor>>;
  cell(trace: string, site: string, index: number[], k?: number): Promise<Provenance>;
  sample(trace: string, settings: SampleSettings): Promise<Sample>;
  /** `trace`: goes on with the edits of that run. */
  generate(text: string, chat: boolean, maxTokens: number, settings: SampleSettings, trace?: string, model?: string): Promise<Generated>;
  /** `trace`: as W_E was in that run; so too below. */
  neighbours(id: number, k: number, trace?: string, model?: string): Promise<Neighbours>;
  cosines(ids: readonly number[], trace?: string, model?: string): Promise<Cosines>;
  map(ids: readonly number[], trace?: string, model?: string): Promise<VocabMap>;
  sum(words: Triple, trace?: string, model?: string): Promise<WordSum>;
  /** `trace`: as they were in that run. */
  weights(name: string, rows: [number, number], cols: [number, number], trace?: string, model?: string): Promise<Tensor>;
  /** What the run's text teaches the model. */
  lesson(trace: string): Promise<Lesson>;
  /** The gradient of the mean loss with respect to the positions `rows` of the sites. */
  gradients(trace: string, globs: string[], rows?: readonly number[]): Promise<Map<string, Tensor>>;
  train(request: TrainRequest): Promise<TrainRun>;
  /** The newest training, with the losses of the steps after `since`; null where there was none. */
  training(since: number): Promise<TrainRun | null>;
  stopTraining(): Promise<void>;
}

/** Stands for no status of HTTP: an answer came, but from another server. */
export const RESTARTED = -1;

/** An answer that is an error: `status` is 0 where no answer came at all. */
export class EngineError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
  get gone(): boolean {
    return this.status === 404;
  }
  /** Another server stands at the address than the one that was asked before: it knows nothing of our traces, perhaps not the model. */
  get restarted(): boolean {
    return this.status === RESTARTED;
  }
  get unreachable(): boolean {
    // A proxy in front of a stopped server answers 500, 502, 503 or 504 without our JSON.
    return this.status === 0 || this.status >= 502;
  }
}
