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
import { isMissing } from '../trace/loader';
import type { ModelInfo, Provenance, SampleSettings } from '../trace/wire';
import { Filler } from './filling';
import { readHash, writeHash, type Saved } from './hash';
import { Lab } from './lab/lab.svelte';
import { Film, readingTime, type FilmPlace } from './player';

export type Depth = 'story' | 'numbers' | 'formula';
export const DEPTHS: readonly Depth[] = ['story', 'numbers', 'formula'];
export const SPEEDS: readonly number[] = [0.25, 0.5, 1, 1.5, 2];
const RETRY_MS = 1500;

export interface Inspected {
  datum: Datum;
  provenance: Provenance | null;
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
  private looked: Bundle | null = null;
  private readonly filler: Filler;
  readonly lab: Lab;
  private saved: Saved = { settings: {} };

  constructor(private readonly engine: Engine) {
    this.filler = new Filler(engine, () => $state.snapshot(this.settings));
    this.lab = new Lab(this, engine);
  }

  // Derived, not got: what depends on them is made anew when they change, not with every frame.
  chapter: Chapter = $derived(this.film.at(this.place.chapter));
  step: number = $derived(this.film.place(this.place).step);
  /** Can the picture be drawn? */
  get ready(): boolean {
    void this.version;
    return this.bundle !== null && this.missing(this.bundle).every((n) => n.later);
  }
  /** Has everything come, also what the picture could begin without? */
  get complete(): boolean {
    void this.version;
    return this.bundle !== null && [this.bundle, ...this.lab.beside].every((b) => this.missing(b).length === 0);
  }
  private missing(b: Bundle): Need[] {
    const view = b === this.lab.right ? this.lab.rightView : this.view;
    return [...this.chapter.needs(view, b), ...this.lab.needs(b, view)].filter((n) => isMissing(b, n));
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
    this.lab.restore(location.hash);
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
    return writeHash({ text: this.text, chat: this.chat, chapter: this.chapter.id, t: this.place.t, ...this.view, lang: this.lang, depth: this.depth, settings: $state.snapshot(this.settings) }) + this.lab.address();
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
      const bundle = await this.lab.begin(emptyBundle(model, trace, asked), first);
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

  /** Loads what the chapter needs of the run on the stage, then of those beside it. */
  async fill(): Promise<void> {
    for (const b of [this.bundle, ...this.lab.beside]) {
      if (!b) continue;
      await this.filler.fill(b, () => this.missing(b), () => {
        this.version++;
        if (b === this.bundle) this.chooseHead(b);
      });
    }
  }

  /** The lab has made another run: it takes the stage where the film stands. */
  async show(b: Bundle): Promise<void> {
    this.trail = [];
    this.bundle = b;
    this.version++;
    await this.fill();
  }

  /** Begins with a head that looks at several tokens, rather than at the first in the list. */
  private chooseHead(b: Bundle): void {
    if (this.headChosen || !b.heads) return;
    this.headChosen = true;
    const best = headInterest(b);
    if (best) this.view = { ...this.view, ...best };
  }

  ensure(): void {
    if (this.bundle && !this.complete) void this.guard(() => this.fill());
  }

  /** Runs `job`; says in one line what went wrong; traces again when the trace has gone, waits when the server has. */
  async guard(job: () => Promise<void>, again = true): Promise<void> {
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

  /** The server has forgotten a run: all are made again under new ids, and what was loaded stays valid. */
  private async retrace(): Promise<void> {
    for (const old of [this.bundle, ...this.lab.beside]) {
      if (!old) continue;
      const trace = await this.engine.trace(old.asked.text, old.asked.chat, old.asked.edits);
      old.trace = { ...old.trace, id: trace.id };
    }
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
    this.lab.forgetDraws();
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

  /** Opens a number of a run: fresh from a picture, or from the terms of the one before. */
  async inspect(datum: Datum, fresh = true, run = this.bundle): Promise<void> {
    if (datum.site === 'pick:head') {
      this.setView({ layer: datum.index[0] ?? 0, head: datum.index[1] ?? 0 });
      return;
    }
    const b = fresh ? run : this.looked;
    if (!b) return;
    this.looked = b;
    this.lab.picked = null;
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

/** The cell of the trace that lies behind a number which the page worked out itself. */
function realCell(d: Datum, view: View): { site: string; index: number[] } | null {
  if (!d.site.includes(':')) return { site: d.site, index: d.index };
  const l = `blocks.${view.layer}.`;
  switch (d.site) {
    case 'derived:q·k':
    case 'derived:unmasked':
      return { site: `${l}scores`, index: d.index };
    case 'derived:angle':
      return { site: `${l}q`, index: d.index };
    case 'derived:exp':
      return { site: `${l}pattern`, index: d.index };
    case 'derived:f(mlp_pre)':
      return { site: `${l}mlp_pre`, index: d.index };
    case 'derived:post·W_down':
      return { site: `${l}mlp_post`, index: d.index.slice(0, 2) };
    case 'sample:scaled':
    case 'sample:final_prob':
    case 'derived:softmax':
      return { site: 'logits', index: d.index };
    default:
      return null;
  }
}
