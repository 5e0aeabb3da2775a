// The page's state and what may be done to it. Pictures are made elsewhere, from this state alone.
import { chaptersOf, CHAPTERS } from '../chapters';
import { factsOf } from '../chapters/family';
import type { Chapter, View } from '../chapters/types';
import { headInterest } from '../chapters/heads';
import { translate, type Lang } from '../i18n';
import type { Datum } from '../marks/types';
import type { Theme } from '../marks/palette';
import { advance } from '../timeline/timeline';
import { emptyBundle, type Bundle, type Need } from '../trace/bundle';
import { EngineError, type Engine } from '../trace/engine';
import { isMissing, load } from '../trace/loader';
import type { ModelInfo, Provenance, SampleSettings } from '../trace/wire';
import { readHash, writeHash, type Saved } from './hash';
import { likelyNext } from './ahead';
import { Film, readingTime, type FilmPlace } from './player';
import { realCell } from './realcell';

export type Depth = 'story' | 'numbers' | 'formula';
export const DEPTHS: readonly Depth[] = ['story', 'numbers', 'formula'];
export const SPEEDS: readonly number[] = [0.25, 0.5, 1, 1.5, 2];
const LOOP_LENGTH = 16;
const RETRY_MS = 1500;

export interface Inspected {
  datum: Datum;
  provenance: Provenance | null;
}

/** What the picture cannot be drawn without comes first. */
function firstOf(missing: Need[]): Need[] {
  const first = missing.filter((n) => !n.later);
  return first.length ? first : missing;
}

export class Store {
  lang = $state<Lang>('en');
  theme = $state<Theme>('light');
  depth = $state<Depth>('numbers');
  text = $state('');
  /** Is the text sent as a message, in the model's chat template? */
  chat = $state(false);
  model = $state.raw<ModelInfo | null>(null);
  bundle = $state.raw<Bundle | null>(null);
  /** Rises whenever the bundle has got more in it; the bundle itself is not watched. */
  version = $state(0);
  film = $state.raw(new Film(CHAPTERS));
  place = $state.raw<FilmPlace>({ chapter: 0, t: 0 });
  playing = $state(false);
  auto = $state(false);
  speed = $state(1);
  reduced = $state(false);
  view = $state<View>({ layer: 0, head: 0, token: 0 });
  settings = $state<SampleSettings>({ temperature: 0.8, top_k: 40, top_p: 0.95, seed: 42 });
  busy = $state(false);
  error = $state<{ key: string; message: string } | null>(null);
  notice = $state('');
  trail = $state.raw<Inspected[]>([]);
  helpOpen = $state(false);

  private dwell = 0;
  private headChosen = false;
  private headPicked = false;
  private readonly jobs = new Map<string, Promise<void>>();
  private saved: Saved = { settings: {} };

  constructor(private readonly engine: Engine) {}

  // Derived, not got: what depends on them is made anew when they change, not with every frame.
  chapter: Chapter = $derived(this.film.at(this.place.chapter));
  step: number = $derived(this.film.place(this.place).step);
  private wanting: Need[] = $derived.by(() => {
    void this.version;
    return this.bundle ? this.missing(this.bundle) : [];
  });
  /** Can the picture be drawn? */
  ready: boolean = $derived(this.bundle !== null && this.wanting.every((n) => n.later));
  /** Has everything come, also what the picture could begin without? */
  complete: boolean = $derived(this.bundle !== null && this.wanting.length === 0);
  private missing(b: Bundle, chapter = this.chapter, view = this.view): Need[] {
    return chapter.needs(view, b).filter((n) => isMissing(b, n));
  }
  t = (key: string, vars: Record<string, string | number> = {}): string => translate(this.lang, key, vars);

  // ---- starting -------------------------------------------------------------------------------------------------

  async start(): Promise<void> {
    this.restore();
    await this.guard(async () => {
      const model = this.meet(await this.engine.model());
      const asked = this.saved.text ?? model.initial_text;
      this.text = asked ?? model.default_text[this.lang];
      await this.run(true);
    });
  }

  private restore(): void {
    const s = readHash(location.hash);
    this.saved = s;
    this.lang = s.lang ?? (navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en');
    this.chat = s.chat ?? false;
    if (s.depth && (DEPTHS as readonly string[]).includes(s.depth)) this.depth = s.depth as Depth;
    Object.assign(this.settings, s.settings);
    const chapter = CHAPTERS.findIndex((c) => c.id === s.chapter);
    if (chapter >= 0) this.place = { chapter, t: s.t ?? 0 };
    else this.playing = !this.reduced;
  }

  /** The model has told what it is: the film becomes its family's. */
  private meet(model: ModelInfo): ModelInfo {
    if (this.model === null) {
      this.film = new Film(chaptersOf(factsOf(model)));
      this.place = { ...this.place, t: Math.min(this.place.t, this.film.length(this.place.chapter)) };
    }
    this.model = model;
    return model;
  }

  address(): string {
    return writeHash({ text: this.text, chat: this.chat, chapter: this.chapter.id, t: this.place.t, ...this.view, lang: this.lang, depth: this.depth, settings: $state.snapshot(this.settings) });
  }

  // ---- the run --------------------------------------------------------------------------------------------------

  /** Runs the model on the text in the box. */
  async run(first = false): Promise<void> {
    if (this.text.trim() === '') {
      this.error = { key: 'error.empty', message: '' };
      return;
    }
    this.busy = true;
    await this.guard(async () => {
      const model = this.model ?? this.meet(await this.engine.model());
      const asked = { text: this.text, chat: this.chat && model.chat };
      const trace = await this.engine.trace(asked.text, asked.chat);
      const bundle = emptyBundle(model, trace, asked);
      const last = trace.tokens.length - 1;
      const s: Saved = first ? this.saved : { settings: {} };
      this.view = { layer: Math.min(s.layer ?? this.view.layer, model.n_layers - 1), head: Math.min(s.head ?? this.view.head, model.n_heads - 1), token: Math.min(s.token ?? last, last) };
      this.headChosen = this.headPicked || s.layer !== undefined;
      this.trail = [];
      this.bundle = bundle;
      this.version++;
      await this.fill();
      if (!first && !this.reduced) {
        this.place = this.film.startOf(this.place.chapter, this.step);
        this.playing = true;
      }
    });
    this.busy = false;
  }

  /** Loads what the chapter needs: first what the picture cannot be drawn without. Some needs are only known once others have come. */
  async fill(): Promise<void> {
    for (let round = 0; round < 6; round++) {
      const b = this.bundle;
      const missing = b ? this.missing(b) : [];
      if (!b || !missing.length) return;
      await this.fetchOnce(b, firstOf(missing));
      this.version++;
      this.chooseHead(b);
    }
  }

  /** What is already on its way is waited for, not asked for again. */
  private fetchOnce(b: Bundle, needs: Need[]): Promise<void> {
    const settings = $state.snapshot(this.settings);
    const key = JSON.stringify([b.trace.id, needs, settings]);
    const loop = Math.min(LOOP_LENGTH, Math.max(1, b.model.n_ctx - b.trace.tokens.length));
    const job = this.jobs.get(key) ?? load(this.engine, b, needs, settings, loop).finally(() => this.jobs.delete(key));
    this.jobs.set(key, job);
    return job;
  }

  /** Begins with a head that looks at several tokens, rather than at the first in the list. */
  private chooseHead(b: Bundle): void {
    if (this.headChosen || !b.heads) return;
    this.headChosen = true;
    const best = headInterest(b);
    if (best) this.view = { ...this.view, ...best };
  }

  ensure(): void {
    if (this.bundle) void this.guard(() => this.fill()).then(() => this.lookAhead());
  }

  private looking = false;
  /** Fetches what will probably be wanted next, one thing after the other, as long as nothing is wanted now. */
  private async lookAhead(): Promise<void> {
    const b = this.bundle;
    if (!b || this.looking) return;
    this.looking = true;
    for (const { chapter, view } of likelyNext(this.film, this.place, this.view, b.model)) {
      for (let round = 0; round < 3 && this.bundle === b && this.complete && !this.error; round++) {
        const missing = this.missing(b, chapter, view).filter((n) => n.kind !== 'generate');
        if (!missing.length) break;
        // Nobody has asked for it yet: what goes wrong is said when somebody does.
        await this.fetchOnce(b, firstOf(missing)).catch(() => undefined);
      }
    }
    this.looking = false;
  }

  /** Runs `job`; says in one line what went wrong; traces again when the trace has gone, waits when the server has. */
  private async guard(job: () => Promise<void>, again = true): Promise<void> {
    try {
      await job();
      if (this.error?.key === 'error.unreachable') this.notice = this.t('error.recovered');
      this.error = null;
    } catch (e) {
      if (!(e instanceof EngineError)) {
        this.error = { key: 'error.server', message: e instanceof Error ? e.message : String(e) };
      } else if (e.unreachable) {
        this.error = { key: 'error.unreachable', message: e.message };
        await new Promise((r) => setTimeout(r, RETRY_MS));
        await this.guard(job, again);
      } else if (e.gone && again && this.bundle) {
        await this.retrace();
        await this.guard(job, false);
      } else {
        this.error = { key: 'error.server', message: e.message };
      }
    }
  }

  /** The server has forgotten this run: it is made again under a new id, and what was loaded stays valid. */
  private async retrace(): Promise<void> {
    const old = this.bundle;
    if (!old) return;
    const trace = await this.engine.trace(old.asked.text, old.asked.chat);
    old.trace = { ...old.trace, id: trace.id };
    this.version++;
  }

  /** The sentence that the model offers in the page's language, where another one stands in the box. */
  get offered(): string | null {
    const text = this.model?.default_text[this.lang];
    return text !== undefined && text !== this.text ? text : null;
  }

  /** Is the text in the box the sentence offered in the other language? */
  get otherDefault(): boolean {
    return this.text === this.model?.default_text[this.lang === 'en' ? 'zh' : 'en'];
  }

  setSettings(change: Partial<SampleSettings>): void {
    Object.assign(this.settings, change);
    const b = this.bundle;
    if (!b) return;
    const { generated: _g, sample: _s, ...rest } = b;
    this.bundle = { ...rest };
    this.version++;
    this.ensure();
  }

  setView(change: Partial<View>): void {
    if (change.layer !== undefined || change.head !== undefined) this.headChosen = this.headPicked = true;
    this.view = { ...this.view, ...change };
    this.ensure();
  }

  // ---- the film -------------------------------------------------------------------------------------------------

  tick(seconds: number): void {
    if (!this.playing || !this.ready) return;
    if (this.dwell > 0) {
      this.dwell -= seconds * this.speed;
      if (this.dwell > 0) return;
      this.seek(this.film.next(this.place), true);
      return;
    }
    const r = advance(this.chapter.steps, this.place.t, seconds * this.speed, false);
    this.place = { chapter: this.place.chapter, t: r.t };
    if (!r.held) return;
    const flows = this.auto || (this.chapter.flow === true && !r.ended);
    if (!flows || this.film.atEnd(this.place)) {
      this.playing = false;
      return;
    }
    const text = this.t(`ch.${this.chapter.id}.${this.chapter.steps[this.step]?.text ?? ''}.story`);
    const spent = this.chapter.steps[this.step]?.seconds ?? 0;
    this.dwell = Math.max(0.5, readingTime(text, this.lang) * (this.auto ? 1 : 0.75) - spent);
  }

  get held(): boolean {
    return !this.playing && this.film.atStepEnd(this.place);
  }

  seek(place: FilmPlace, playing = this.playing): void {
    this.dwell = 0;
    const moved = place.chapter !== this.place.chapter;
    this.place = this.reduced ? this.film.endOf(place.chapter, this.film.place(place).step) : place;
    this.playing = playing && !this.reduced;
    if (moved) this.ensure();
  }

  toggle(): void {
    if (this.playing) {
      this.playing = false;
      return;
    }
    if (this.film.atEnd(this.place)) this.seek({ chapter: 0, t: 0 }, true);
    else this.seek(this.film.atStepEnd(this.place) ? this.film.next(this.place) : this.place, true);
  }
  next(): void {
    if (!this.film.atEnd(this.place)) this.seek(this.film.next(this.place), true);
  }
  prev(): void {
    this.seek(this.film.prev(this.place), false);
  }
  goChapter(i: number): void {
    if (i >= 0 && i < this.film.chapters.length) this.seek(this.film.startOf(i, 0), true);
  }
  nudge(seconds: number): void {
    this.seek(this.film.atTime(this.film.time(this.place) + seconds), false);
  }

  // ---- the inspector --------------------------------------------------------------------------------------------

  async inspect(datum: Datum, fresh = true): Promise<void> {
    if (datum.site === 'pick:head') {
      this.setView({ layer: datum.index[0] ?? 0, head: datum.index[1] ?? 0 });
      return;
    }
    const b = this.bundle;
    if (!b) return;
    const real = realCell(datum, this.view);
    const base = fresh ? [] : this.trail;
    if (!real) {
      this.trail = [...base, { datum, provenance: null }];
      return;
    }
    await this.guard(async () => {
      const provenance = await this.engine.cell(b.trace.id, real.site, real.index);
      this.trail = [...base, { datum: { ...datum, ...real, value: provenance.value ?? datum.value }, provenance }];
    });
  }
  back(): void {
    this.trail = this.trail.slice(0, -1);
  }
}
