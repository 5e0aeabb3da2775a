// The page's state and what may be done to it. Pictures are made elsewhere, from this state alone.
import { CHAPTERS } from '../chapters';
import type { Chapter, View } from '../chapters/types';
import { headInterest } from '../chapters/heads';
import { bestAligned } from '../chapters/09-variants/cross';
import { translate, type Lang } from '../i18n';
import type { Datum } from '../marks/types';
import type { Theme } from '../marks/palette';
import { advance, readingTime } from '../timeline/timeline';
import { choices, emptyBundle, type Bundle, type Need } from '../trace/bundle';
import type { Engine } from '../trace/engine';
import { isMissing } from '../trace/loader';
import { Supply } from '../trace/supply';
import type { ModelInfo, SampleSettings } from '../trace/wire';
import { askedModel, filmOf, tellers, type Crossing, type Errand, type Left } from './doors';
import { readHash, writeHash, type Saved } from './hash';
import { placeOf, restore, sayMissing, viewOf } from './link';
import { likelyNext } from './ahead';
import { inspect, type Inspected } from './inspect';
import { Lab } from './lab/lab.svelte';
import { guard } from './mending';
import { cross } from './models';
import { Training } from './train/training.svelte';
import { Film, type FilmPlace } from './player';
import { TIME_TO_ANSWER, openQuestion } from '../story/asking';
import type { Answers } from '../story/asking';

export type Depth = 'story' | 'numbers' | 'formula' | 'code';
export const DEPTHS: readonly Depth[] = ['story', 'numbers', 'formula', 'code'];
export const SPEEDS: readonly number[] = [0.25, 0.5, 1, 1.5, 2];
const BREATH = 0.6; // Seconds between a step that was read aloud and the next.

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
  /** The server's own model, those beside it and those that were trained here. */
  models = $state.raw<readonly ModelInfo[]>([]);
  /** Of each kind, the one that tells its chapters. */
  tellers = $state.raw<readonly ModelInfo[]>([]);
  /** Where the film will stand when another model's run has come. */
  crossing = $state.raw<Crossing | null>(null);
  /** The entry of the browser's history that is being opened. */
  following = $state.raw<Saved | null>(null);
  /** Rises with each jump that the browser's Back should undo: another text, a chapter chosen. */
  jumps = $state(0);

  /** The text last asked for; its run may still be on its way. */
  asked = { text: '', chat: false };
  /** By name: the models that had the page before, as they were left; the last one last. */
  readonly left = new Map<string, Left>();

  private dwell = 0;
  private headChosen = false;
  private headPicked = false;
  /** The run that the inspected number is of. */
  looked: Bundle | null = null;
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
    return this.bundle !== null && !this.crossing && this.wanting.length === 0 && this.lab.beside.every((b) => this.missing(b).length === 0);
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
    this.place = placeOf(this.film, s, false) ?? this.place;
    this.lab.restore(hash);
    await this.guard(async () => {
      this.meet(await this.find(s));
      // The film is perhaps another than was thought: a link into it is found now.
      const place = placeOf(this.film, s);
      if (place && this.isOwn(place)) this.place = place;
      if (!place) this.playing = !this.reduced;
      this.text = s.text ?? kept ?? this.model?.initial_text ?? this.model?.default_text[this.lang] ?? '';
      await this.run(s);
    });
  }

  /** The model that a link asks for, of those that there are now; one that has gone gives way to the server's own. */
  async find(s: Pick<Saved, 'model' | 'chapter'>): Promise<ModelInfo> {
    this.models = await this.engine.models();
    return askedModel(s, this.models);
  }

  /** A model takes the page: the film is told by it and by the others, and stands at the same step where that is one of its own. */
  meet(model: ModelInfo): void {
    const [old, b] = [this.model, this.bundle];
    if (old && b && old.name !== model.name) {
      this.left.delete(old.name);
      this.left.set(old.name, { model: old, ...b.asked, view: { ...this.view } });
    }
    const before = [...this.left.values()].map((left) => left.model).reverse();
    this.tellers = tellers([model, ...before], this.models);
    const film = filmOf(this.tellers);
    const place = film.moved(this.place, this.film);
    this.model = model;
    this.film = film;
    this.place = this.isOwn(place) ? place : { chapter: film.chapters.findIndex((c) => c.kind === model.kind), t: 0 };
  }

  /** Is it a place in the chapters of the page's model? */
  isOwn(place: FilmPlace): boolean {
    return this.model === null || this.film.at(place.chapter).kind === this.model.kind;
  }

  address(): string {
    const asked = this.bundle?.asked ?? { text: this.text, chat: this.chat };
    return writeHash({ ...asked, model: this.model?.name ?? '', version: this.model?.version ?? '', chapter: this.chapter.id, t: this.place.t, ...this.view, lang: this.lang, depth: this.depth, settings: $state.snapshot(this.settings) }) + this.lab.address();
  }

  // ---- the run --------------------------------------------------------------------------------------------------

  /** Runs the model on the text in the box, or makes the `errand`; `link`: as a link has it. Until the run has come, the page stays. */
  async run(link?: Saved, errand?: Errand): Promise<void> {
    const { text, chat } = errand ?? this;
    this.crossing = errand?.to ?? null;
    if (text.trim() === '') {
      this.error = { key: 'error.empty', message: '' };
      return;
    }
    this.busy = true;
    const mine = (this.asked = { text, chat });
    await this.guard(async () => {
      const model = errand?.model ?? this.model ?? (await this.find(link ?? {}));
      const asked = { text, chat: chat && model.chat };
      const trace = await this.engine.trace(asked.text, asked.chat, [], model.name);
      // Whoever asks for another text meanwhile waits for that one only.
      if (mine !== this.asked) return;
      const isOther = model.name !== this.model?.name;
      // What was changed in the other one's run, or stood beside it, was of that one.
      if (isOther && !link) this.lab.reset();
      const bundle = await this.lab.begin(emptyBundle(model, trace, asked), link !== undefined);
      if (mine !== this.asked) return;
      if (!link && this.bundle && (isOther || this.bundle.asked.text !== asked.text || this.bundle.asked.chat !== asked.chat)) this.jumps++;
      const goesOn = this.crossing !== null;
      this.take(bundle, isOther, link ?? (errand?.view && { ...errand.view, settings: {} }));
      if (errand) [this.text, this.chat] = [text, chat];
      if (link) sayMissing(this, link, bundle);
      await this.fill();
      if (!goesOn && !link && !this.reduced && mine === this.asked) {
        this.place = this.film.startOf(this.place.chapter, this.step);
        this.playing = true;
      }
    });
    if (mine !== this.asked) return;
    this.busy = false;
    this.crossing = null;
  }

  /** A run takes the stage, with its model and the place where the film is wanted. */
  private take(bundle: Bundle, isOther: boolean, looked?: Saved): void {
    const { layer, head, token } = this.view;
    if (this.crossing) {
      this.place = { chapter: this.crossing.chapter, t: this.crossing.t };
      this.playing = this.crossing.playing && !this.reduced;
      this.crossing = null;
    }
    if (isOther) {
      this.headPicked = false;
      this.meet(bundle.model);
    }
    this.view = viewOf(looked ?? { settings: {} }, isOther ? { layer, head, token } : this.view, bundle.model, choices(bundle.trace).length);
    this.headChosen = this.headPicked || looked?.layer !== undefined;
    this.trail = [];
    this.bundle = bundle;
    this.version++;
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
    const best = b.trace.target ? bestAligned(b) : b.heads ? headInterest(b) : undefined;
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

  /** Runs `job`, and says in one line what went wrong. */
  guard = (job: () => Promise<void>): Promise<void> => guard(this, job);

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
    if (!this.playing || !this.ready || this.crossing) return;
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
    const to = this.reduced ? this.film.endOf(place.chapter, this.film.place(place).step) : place;
    if (!this.isOwn(to)) return cross(this, to, playing);
    // Somebody comes back before another model's run has come: it is waited for no longer.
    if (this.crossing && this.bundle) [this.asked, this.crossing, this.busy] = [{ ...this.bundle.asked }, null, false];
    const moved = to.chapter !== this.place.chapter;
    this.place = to;
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
    const to = this.film.startOf(i, 0);
    // Another model is a jump in itself.
    if (i !== this.place.chapter && this.isOwn(to)) this.jumps++;
    this.seek(to, true);
  }
  nudge(seconds: number): void {
    this.seek(this.film.atTime(this.film.time(this.place) + seconds), false);
  }

  /** Opens a number of a run: fresh from a picture, or from the terms of the one before. */
  inspect = (datum: Datum, fresh = true, run = this.bundle): Promise<void> => inspect(this, datum, fresh, run);
}
