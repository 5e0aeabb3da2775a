// The page's state and what may be done to it. Pictures are made elsewhere, from this state alone.
import { chaptersOf, CHAPTERS } from '../chapters';
import { factsOf } from '../chapters/family';
import type { Chapter, View } from '../chapters/types';
import { headInterest } from '../chapters/heads';
import { sharpest } from '../chapters/09-variants/cross';
import { translate, type Lang } from '../i18n';
import type { Datum } from '../marks/types';
import type { Theme } from '../marks/palette';
import { advance, readingTime } from '../timeline/timeline';
import { choices, emptyBundle, type Bundle, type Need } from '../trace/bundle';
import { EngineError, type Engine } from '../trace/engine';
import { isMissing } from '../trace/loader';
import { Supply } from '../trace/supply';
import { sameModel, type ModelInfo, type Provenance, type SampleSettings } from '../trace/wire';
import { readHash, writeHash, type Saved } from './hash';
import { isTrained, restore, sayMissing, viewOf } from './link';
import { likelyNext } from './ahead';
import { Lab } from './lab/lab.svelte';
import { besideIt } from './models';
import { Training } from './train/training.svelte';
import { Film, type FilmPlace } from './player';
import { realCell } from './realcell';
import { TIME_TO_ANSWER, openQuestion } from '../story/asking';
import type { Answers } from '../story/asking';

export type Depth = 'story' | 'numbers' | 'formula' | 'code';
export const DEPTHS: readonly Depth[] = ['story', 'numbers', 'formula', 'code'];
export const SPEEDS: readonly number[] = [0.25, 0.5, 1, 1.5, 2];
const RETRY_MS = 1500;
const BREATH = 0.6; // Seconds between a step that was read aloud and the next.

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
  saveOpen = $state(false);
  presenting = $state(false);
  /** Reads the steps aloud; the film waits for it. */
  narration: { readonly speaking: boolean } | null = null;
  filmOpen = $state(false);
  /** What was answered to the questions of the film. */
  answers = $state.raw<Answers>({});
  /** The server's own model and those beside it, once somebody asked. */
  beside = $state.raw<readonly string[]>([]);
  /** Rises with each jump that the browser's Back should undo: another text, a chapter chosen. */
  jumps = $state(0);

  /** The text last asked for; its run may still be on its way. */
  asked = { text: '', chat: false };

  private dwell = 0;
  private headChosen = false;
  private headPicked = false;
  private looked: Bundle | null = null;
  private readonly supply: Supply;
  readonly lab: Lab;
  readonly training: Training;

  constructor(readonly engine: Engine) {
    this.supply = new Supply(engine);
    this.lab = new Lab(this, engine);
    this.training = new Training(this, engine);
  }

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
  complete: boolean = $derived.by(() => {
    void this.version;
    return this.bundle !== null && this.wanting.length === 0 && this.lab.beside.every((b) => this.missing(b).length === 0);
  });
  private missing(b: Bundle, chapter = b === this.lab.right ? this.lab.rightFilm.at(this.place.chapter) : this.chapter, view = b === this.lab.right ? this.lab.rightView : this.view): Need[] {
    return [...chapter.needs(view, b), ...this.lab.needs(b, view)].filter((n) => isMissing(b, n));
  }
  t = (key: string, vars: Record<string, string | number> = {}): string => translate(this.lang, key, vars);

  // ---- starting -------------------------------------------------------------------------------------------------

  /** Opens a link; `kept` is the text, where it is too long for one. */
  async start(hash: string, kept?: string): Promise<void> {
    const s = readHash(hash);
    this.lang = s.lang ?? (navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en');
    this.chat = s.chat ?? false;
    restore(this, s);
    this.lab.restore(hash);
    if (!CHAPTERS.some((c) => c.id === s.chapter)) this.playing = !this.reduced;
    await this.guard(async () => {
      const before = this.film.at(0).id;
      const model = await this.become(s.model);
      // The film is another than was thought: a link into it is found now.
      if (this.film.at(0).id !== before) restore(this, s);
      this.text = s.text ?? kept ?? model.initial_text ?? model.default_text[this.lang];
      await this.run(s);
    });
  }

  /** The model has told what it is: the film becomes its family's, at the same step where it has it. */
  private meet(model: ModelInfo): ModelInfo {
    const film = new Film(chaptersOf(factsOf(model)));
    const isAnother = film.at(0).id !== this.film.at(0).id;
    if (this.model || isAnother) this.place = film.moved(this.place, this.film);
    else this.place = { ...this.place, t: Math.min(this.place.t, film.length(this.place.chapter)) };
    this.film = film;
    this.model = model;
    return model;
  }

  /** Another model takes the page. One that was trained here and has gone since gives way to the server's own. */
  async become(name?: string): Promise<ModelInfo> {
    const wanted = isTrained(name) || (name !== undefined && this.beside.includes(name)) ? name : undefined;
    const asked = await this.engine.model(wanted).catch((e: unknown) => {
      if (wanted !== undefined && e instanceof EngineError && e.gone) return this.engine.model();
      throw e;
    });
    const model = wanted === undefined ? await besideIt(this, asked, name) : asked;
    // What was changed in the other one's run, or stood beside it, was of that one.
    if (this.model && this.model.name !== model.name) this.lab.reset();
    return this.meet(model);
  }

  address(): string {
    const asked = this.bundle?.asked ?? { text: this.text, chat: this.chat };
    return writeHash({ ...asked, model: this.model?.name ?? '', version: this.model?.version ?? '', chapter: this.chapter.id, t: this.place.t, ...this.view, lang: this.lang, depth: this.depth, settings: $state.snapshot(this.settings) }) + this.lab.address();
  }

  // ---- the run --------------------------------------------------------------------------------------------------

  /** Runs the model on the text in the box; `link`: as a link has it. */
  async run(link?: Saved): Promise<void> {
    if (this.text.trim() === '') {
      this.error = { key: 'error.empty', message: '' };
      return;
    }
    this.busy = true;
    const mine = (this.asked = { text: this.text, chat: this.chat });
    await this.guard(async () => {
      const model = this.model ?? (await this.become(link?.model));
      const asked = { text: mine.text, chat: mine.chat && model.chat };
      const trace = await this.engine.trace(asked.text, asked.chat, [], model.name);
      // Whoever asks for another text meanwhile waits for that one only.
      if (mine !== this.asked) return;
      const bundle = await this.lab.begin(emptyBundle(model, trace, asked), link !== undefined);
      if (mine !== this.asked) return;
      this.view = viewOf(link ?? { settings: {} }, this.view, model, choices(trace).length);
      this.headChosen = this.headPicked || link?.layer !== undefined;
      if (!link && this.bundle && (this.bundle.asked.text !== asked.text || this.bundle.asked.chat !== asked.chat)) this.jumps++;
      this.trail = [];
      this.bundle = bundle;
      this.version++;
      if (link) sayMissing(this, link, bundle);
      await this.fill();
      if (!link && !this.reduced) {
        this.place = this.film.startOf(this.place.chapter, this.step);
        this.playing = true;
      }
    });
    if (mine === this.asked) this.busy = false;
  }

  /** Loads what the chapter needs of the run on the stage, then of those beside it. */
  async fill(): Promise<void> {
    for (const b of [this.bundle, ...this.lab.beside]) {
      if (b) await this.fillOne(b);
    }
  }

  /** Some needs are only known once others have come. */
  private async fillOne(b: Bundle): Promise<void> {
    for (let round = 0; round < 6; round++) {
      const missing = this.missing(b);
      if (!missing.length) return;
      await this.supply.fetch(b, missing, $state.snapshot(this.settings));
      this.version++;
      if (b === this.bundle) this.chooseHead(b);
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
    if (this.headChosen) return;
    const best = b.trace.target ? sharpest(b) : b.heads ? headInterest(b) : undefined;
    if (best === undefined) return;
    this.headChosen = true;
    if (best) this.view = { ...this.view, ...best };
  }

  ensure(): void {
    if (!this.bundle) return;
    if (this.complete) this.lookAhead();
    else void this.guard(() => this.fill()).then(() => this.lookAhead());
  }

  /** Fetches what will probably be wanted next, as long as nothing is wanted now. */
  private lookAhead(): void {
    const b = this.bundle;
    if (!b) return;
    const next = likelyNext(this.film, this.place, this.view, b.model).map(({ chapter, view }) => () => this.missing(b, chapter, view));
    void this.supply.ahead(b, next, $state.snapshot(this.settings), () => this.bundle === b && this.complete && !this.error);
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
      } else if (e.restarted) {
        await this.guard(() => this.renew(job), again);
      } else if (e.gone && again && this.bundle) {
        await this.guard(async () => {
          await this.retrace();
          await job();
        }, false);
      } else {
        this.error = { key: 'error.server', message: e.message };
      }
    }
  }

  /** The server has forgotten a run: all are made again under new ids, and what was loaded stays valid. */
  private async retrace(): Promise<void> {
    for (const old of [this.bundle, ...this.lab.beside]) {
      if (!old) continue;
      const trace = await this.engine.trace(old.asked.text, old.asked.chat, old.asked.edits, old.model.name);
      old.trace = { ...old.trace, id: trace.id };
    }
    this.version++;
  }

  /** Another server answers. With the same model in it, what was loaded stays valid; with another one, the text is run anew. */
  private async renew(job: () => Promise<void>): Promise<void> {
    const old = this.model;
    const model = await this.become(old?.name);
    if (!old || !this.bundle || sameModel(old, model)) {
      await this.retrace();
      await job();
      return;
    }
    this.text = this.bundle.asked.text;
    await this.run({ settings: {} });
    this.notice = this.t('error.otherModel', { name: model.name });
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
      if (this.narration?.speaking) return;
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
    const asked = openQuestion(this) ? TIME_TO_ANSWER : 0;
    this.dwell = (this.narration ? BREATH : Math.max(0.5, readingTime(text, this.lang) * (this.auto ? 1 : 0.75) - spent)) + asked;
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
    if (i < 0 || i >= this.film.chapters.length) return;
    if (i !== this.place.chapter) this.jumps++;
    this.seek(this.film.startOf(i, 0), true);
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
    if (datum.site === 'pick:word') {
      this.setView({ word: datum.index[0] });
      return;
    }
    // A number of the run with a gap is asked of that run: the gap's place stands before the last number of its index.
    const gap = datum.site.startsWith('gap:') ? run?.gaps.get(datum.index[datum.index.length - 2] ?? -1) : undefined;
    const b = fresh ? (gap ?? run) : this.looked;
    if (!b) return;
    this.looked = b;
    this.lab.picked = null;
    // What numbers of two stacks were made of is not told yet.
    const real = b.trace.target ? null : realCell(datum, this.view);
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
