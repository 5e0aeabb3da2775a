import { EngineError, RESTARTED, type Engine, type Triple } from './engine';
import { parseSafetensors, type Tensor } from './safetensors';
import type { Cosines, Edit, Generated, Guesses, Lens, Lesson, ModelInfo, Neighbours, Provenance, Sample, SampleSettings, TraceMeta, TrainRequest, TrainRun, VocabMap, WordSum } from './wire';

const TIMEOUT_MS = 60_000;
/** Each server names itself anew when it starts. */
const INSTANCE = 'glassformer-instance';

/** The engine behind docs/api.md. */
export class HttpEngine implements Engine {
  private instance: string | null = null;

  constructor(private readonly base = '') {}

  model(name?: string): Promise<ModelInfo> {
    return this.json(`/api/model${name ? `?model=${encodeURIComponent(name)}` : ''}`);
  }
  async models(): Promise<ModelInfo[]> {
    return (await this.json<{ models: ModelInfo[] }>('/api/models')).models;
  }
  trace(text: string, chat: boolean, edits: readonly Edit[] = [], model?: string, mask?: readonly number[]): Promise<TraceMeta> {
    return this.json('/api/trace', { text, chat, edits, model, mask });
  }
  async tensors(trace: string, globs: string[], rows?: readonly number[], cols?: readonly number[]): Promise<Map<string, Tensor>> {
    return parseSafetensors(await this.file(trace, globs, rows, cols));
  }
  file(trace: string, globs: string[], rows?: readonly number[], cols?: readonly number[]): Promise<ArrayBuffer> {
    const part = (rows ? `&rows=${spans(rows)}` : '') + (cols ? `&cols=${spans(cols)}` : '');
    return this.bytes(`/api/trace/${trace}/tensors?sites=${encodeURIComponent(briefly(globs).join(','))}${part}`);
  }
  lens(trace: string, k: number, rows?: readonly number[]): Promise<Lens> {
    return this.json(`/api/trace/${trace}/lens?k=${k}${rows ? `&rows=${spans(rows)}` : ''}`);
  }
  guesses(trace: string, k: number, rows?: readonly number[]): Promise<Guesses> {
    return this.json(`/api/trace/${trace}/guesses?k=${k}${rows ? `&rows=${spans(rows)}` : ''}`);
  }
  async heads(trace: string): Promise<Map<string, Tensor>> {
    return parseSafetensors(await this.bytes(`/api/trace/${trace}/heads`));
  }
  cell(trace: string, site: string, index: number[], k = 64): Promise<Provenance> {
    return this.json(`/api/trace/${trace}/cell?site=${encodeURIComponent(site)}&index=${index.join(',')}&k=${k}`);
  }
  sample(trace: string, s: SampleSettings): Promise<Sample> {
    return this.json('/api/sample', { trace, ...s, min_p: 0, repetition_penalty: 1, step: 0 });
  }
  generate(text: string, chat: boolean, maxTokens: number, s: SampleSettings, trace?: string, model?: string): Promise<Generated> {
    return this.json('/api/generate', { text, chat, max_tokens: maxTokens, trace, model, ...s });
  }
  neighbours(id: number, k: number, trace?: string, model?: string): Promise<Neighbours> {
    return this.json(`/api/neighbours?id=${id}&k=${k}${ofRun(trace, model)}`);
  }
  cosines(ids: readonly number[], trace?: string, model?: string): Promise<Cosines> {
    return this.json(`/api/cosines?ids=${ids.join()}${ofRun(trace, model)}`);
  }
  map(ids: readonly number[], trace?: string, model?: string): Promise<VocabMap> {
    return this.json(`/api/map?ids=${ids.join()}${ofRun(trace, model)}`);
  }
  sum(words: Triple, trace?: string, model?: string): Promise<WordSum> {
    const [a, b, c] = words.map(encodeURIComponent) as [string, string, string];
    return this.json(`/api/sum?a=${a}&b=${b}&c=${c}${ofRun(trace, model)}`);
  }
  async weights(name: string, rows: [number, number], cols: [number, number], trace?: string, model?: string): Promise<Tensor> {
    const part = `rows=${rows[0]}..${rows[1]}&cols=${cols[0]}..${cols[1]}${ofRun(trace, model)}`;
    const file = parseSafetensors(await this.bytes(`/api/weights?name=${encodeURIComponent(name)}&${part}`));
    const tensor = file.get('weight');
    if (!tensor) throw new EngineError(200, `the server sent no weight for ${name}`);
    return tensor;
  }
  lesson(trace: string): Promise<Lesson> {
    return this.json(`/api/trace/${trace}/lesson?learning_rate=0.0001`);
  }
  async gradients(trace: string, globs: string[], rows?: readonly number[]): Promise<Map<string, Tensor>> {
    return parseSafetensors(await this.bytes(`/api/trace/${trace}/gradients?sites=${encodeURIComponent(briefly(globs).join(','))}${rows ? `&rows=${spans(rows)}` : ''}`));
  }
  train(request: TrainRequest): Promise<TrainRun> {
    return this.json('/api/train', request);
  }
  async training(since: number): Promise<TrainRun | null> {
    const run = await this.json<TrainRun | { run: null }>(`/api/train?since=${since}`);
    return run.run === null ? null : run;
  }
  async stopTraining(): Promise<void> {
    await this.ask('/api/train', undefined, 'DELETE');
  }

  private async json<T>(path: string, body?: unknown): Promise<T> {
    const response = await this.ask(path, body);
    return (await response.json()) as T;
  }

  private async bytes(path: string): Promise<ArrayBuffer> {
    return (await this.ask(path)).arrayBuffer();
  }

  private async ask(path: string, body?: unknown, method = body === undefined ? 'GET' : 'POST'): Promise<Response> {
    let response: Response;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    try {
      response = await fetch(this.base + path, body === undefined ? { method, signal } : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal });
    } catch (e) {
      throw new EngineError(0, e instanceof Error ? e.message : String(e));
    }
    this.meet(response.headers.get(INSTANCE));
    if (response.ok) return response;
    throw await errorOf(response);
  }

  /** Numbers of two servers are never mixed: the first answer of another one is an error. */
  private meet(instance: string | null): void {
    const before = this.instance;
    if (instance === null) return;
    this.instance = instance;
    if (before !== null && before !== instance) throw new EngineError(RESTARTED, 'the server was started anew');
  }
}

const ofModel = (name?: string): string => (name ? `&model=${encodeURIComponent(name)}` : '');
/** Weights as an edited run had them, or a model has them. */
const ofRun = (trace?: string, model?: string): string => (trace ? `&trace=${trace}` : ofModel(model));

/** `0,1,2,7` as `0..3,7`. */
export function spans(rows: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < rows.length; ) {
    const from = rows[i] as number;
    let n = 1;
    while (rows[i + n] === from + n) n++;
    parts.push(n > 2 ? `${from}..${from + n}` : rows.slice(i, i + n).join());
    i += n;
  }
  return parts.join();
}

/** A site asked for in every block is asked for once: the names of thirty layers would make a long address. */
function briefly(names: readonly string[]): string[] {
  const layers = new Map<string, number>();
  const most = Math.max(...names.map((n) => Number(/^blocks\.(\d+)\./.exec(n)?.[1] ?? -1))) + 1;
  for (const n of names) layers.set(n.replace(/^blocks\.\d+\./, 'blocks.*.'), (layers.get(n.replace(/^blocks\.\d+\./, 'blocks.*.')) ?? 0) + 1);
  const whole = [...layers].filter(([name, count]) => name.startsWith('blocks.*.') && count === most && most > 2).map(([name]) => name);
  return [...whole, ...names.filter((n) => !whole.includes(n.replace(/^blocks\.\d+\./, 'blocks.*.')))];
}

async function errorOf(response: Response): Promise<EngineError> {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (typeof error === 'string') return new EngineError(response.status, error);
  } catch {
    // Not our server's JSON: a proxy speaks. Treated as no answer.
  }
  return new EngineError(0, `HTTP ${response.status}`);
}
