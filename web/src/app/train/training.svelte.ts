// Training on the visitor's text: what is asked for, how far the run on the server has come, and its losses so far.
import type { Engine } from '../../trace/engine';
import type { TrainRun } from '../../trace/wire';

/** What training needs of the page around it. */
export interface Class {
  guard(job: () => Promise<void>): Promise<void>;
}

export const PRESETS = ['tiny', 'small'] as const;
export type Preset = (typeof PRESETS)[number];
/** Of each preset, how many steps are offered. */
const STEPS: Record<Preset, number> = { tiny: 500, small: 1000 };

/** A server asks for so many characters, and takes no more bytes. */
export const LEAST = 200;
export const MOST = 1_000_000;

const POLL_MS = 400;

export class Training {
  text = $state('');
  preset = $state<Preset>('tiny');
  steps = $state(STEPS.tiny);
  run = $state.raw<TrainRun | null>(null);
  /** Of every step of the run. */
  losses = $state.raw<readonly number[]>([]);
  busy = $state(false);
  private watching = false;

  constructor(
    private readonly page: Class,
    private readonly engine: Engine,
  ) {}

  get running(): boolean {
    return this.run?.phase === 'running';
  }
  get characters(): number {
    return [...this.text.trim()].length;
  }
  get fits(): boolean {
    return this.characters >= LEAST && new TextEncoder().encode(this.text).length <= MOST;
  }

  choose(preset: Preset): void {
    this.preset = preset;
    this.steps = STEPS[preset];
  }

  async start(): Promise<void> {
    await this.alone(async () => {
      this.take(await this.engine.train({ text: this.text, preset: this.preset, steps: this.steps }));
      void this.watch();
    });
  }
  async stop(): Promise<void> {
    await this.alone(async () => {
      await this.engine.stopTraining();
      await this.look();
    });
  }

  /** Looks whether there is a run, and follows it until it is done. */
  async watch(): Promise<void> {
    if (this.watching) return;
    this.watching = true;
    await this.page.guard(() => this.look());
    while (this.running) {
      await new Promise((r) => setTimeout(r, document.hidden ? POLL_MS * 5 : POLL_MS));
      await this.page.guard(() => this.look());
    }
    this.watching = false;
  }

  private async alone(job: () => Promise<void>): Promise<void> {
    this.busy = true;
    await this.page.guard(job);
    this.busy = false;
  }

  private async look(): Promise<void> {
    const run = await this.engine.training(this.losses.length);
    // Another run than the one that is known: its losses are wanted from the first on.
    if (run && run.run !== this.run?.run && run.since > 0) this.take(await this.engine.training(0));
    else this.take(run);
  }

  private take(run: TrainRun | null): void {
    const same = run !== null && run.run === this.run?.run;
    this.losses = run === null ? [] : same ? [...this.losses.slice(0, run.since), ...run.losses] : run.losses;
    this.run = run;
  }
}
