// Loads what a picture of a run needs, each thing once.
import type { Bundle, Need } from '../trace/bundle';
import type { Engine } from '../trace/engine';
import { load } from '../trace/loader';
import type { SampleSettings } from '../trace/wire';

const LOOP_LENGTH = 16;

export class Filler {
  private readonly jobs = new Map<string, Promise<void>>();

  constructor(
    private readonly engine: Engine,
    private readonly settings: () => SampleSettings,
  ) {}

  /** First what the picture cannot be drawn without. Some needs are only known once others have come. */
  async fill(b: Bundle, missing: () => Need[], came: () => void): Promise<void> {
    for (let round = 0; round < 6; round++) {
      const needs = missing();
      if (!needs.length) return;
      const first = needs.filter((n) => !n.later);
      await this.once(b, first.length ? first : needs);
      came();
    }
  }

  /** What is already on its way is waited for, not asked for again. */
  private once(b: Bundle, needs: Need[]): Promise<void> {
    const settings = this.settings();
    const key = JSON.stringify([b.trace.id, needs, settings]);
    const loop = Math.min(LOOP_LENGTH, Math.max(1, b.model.n_ctx - b.trace.tokens.length));
    const job = this.jobs.get(key) ?? load(this.engine, b, needs, settings, loop).finally(() => this.jobs.delete(key));
    this.jobs.set(key, job);
    return job;
  }
}
