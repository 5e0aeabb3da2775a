// What pictures want is fetched in its order, and each thing once: first what they cannot be drawn without.
import type { Bundle, Need } from './bundle';
import type { Engine } from './engine';
import { load } from './loader';
import type { SampleSettings } from './wire';

const LOOP_LENGTH = 16;
/** Some needs are only known once others have come. */
const ROUNDS = 3;

export class Supply {
  private readonly jobs = new Map<string, Promise<void>>();
  private looking = false;

  constructor(private readonly engine: Engine) {}

  /** The first part of what is missing. What is already on its way is waited for, not asked for again. */
  fetch(b: Bundle, missing: Need[], settings: SampleSettings): Promise<void> {
    const first = missing.filter((n) => !n.later);
    const needs = first.length ? first : missing;
    const key = JSON.stringify([b.trace.id, needs, settings]);
    const loop = Math.min(LOOP_LENGTH, Math.max(1, b.model.n_ctx - b.trace.tokens.length));
    const job = this.jobs.get(key) ?? load(this.engine, b, needs, settings, loop).finally(() => this.jobs.delete(key));
    this.jobs.set(key, job);
    return job;
  }

  /** What will probably be wanted next, one thing after the other, as long as the page is `idle`. */
  async ahead(b: Bundle, next: (() => Need[])[], settings: SampleSettings, idle: () => boolean): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    for (const wanted of next) {
      for (let round = 0; round < ROUNDS && idle(); round++) {
        // A loop of generation is long work, and the server does one thing at a time.
        const missing = wanted().filter((n) => n.kind !== 'generate');
        if (!missing.length) break;
        // Nobody has asked for it yet: what goes wrong is said when somebody does.
        await this.fetch(b, missing, settings).catch(() => undefined);
      }
    }
    this.looking = false;
  }
}
