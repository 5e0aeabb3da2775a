// The lab: what is changed in the run, the untouched run beside it, and the second prompt, perhaps in another model. Its pictures are
// made elsewhere.
import { chaptersOf } from '../../chapters';
import { factsOf } from '../../chapters/family';
import type { View } from '../../chapters/types';
import { emptyBundle, type Bundle, type Need } from '../../trace/bundle';
import { EngineError, type Engine } from '../../trace/engine';
import type { WeightOf } from '../../trace/wire';
import { Film } from '../player';
import { isOfText, readLab, writeLab, type Edit } from './edits';

/** What the lab needs of the page around it. */
export interface Bench {
  readonly bundle: Bundle | null;
  readonly view: View;
  readonly film: Film;
  notice: string;
  t(key: string, vars?: Record<string, string | number>): string;
  /** Another run takes the stage; the film stays where it is. */
  show(b: Bundle): Promise<void>;
  guard(job: () => Promise<void>): Promise<void>;
}

export class Lab {
  open = $state(false);
  edits = $state.raw<readonly Edit[]>([]);
  /** The run without edits, where the one on the stage has some. */
  ghost = $state.raw<Bundle | null>(null);
  /** The second prompt's run. */
  right = $state.raw<Bundle | null>(null);
  other = $state('');
  /** The model that reads the second prompt; none: the first's. */
  otherModel = $state('');
  /** The token looked at in the second prompt; none: the one that answers to the first's. */
  otherToken = $state<number | null>(null);
  /** A weight chosen in the inspector. */
  picked = $state.raw<WeightOf | null>(null);
  busy = $state(false);

  constructor(
    private readonly bench: Bench,
    private readonly engine: Engine,
  ) {}

  restore(hash: string): void {
    const { edits, other, otherModel } = readLab(hash);
    this.edits = edits;
    this.other = other;
    this.otherModel = otherModel;
    this.open = edits.length > 0;
  }
  /** Another model takes the page. */
  reset(): void {
    this.edits = [];
    this.ghost = null;
    this.other = '';
    this.otherModel = '';
    this.picked = null;
    this.endComparison();
  }
  address(): string {
    return writeLab({ edits: [...this.edits], other: this.right ? this.other : '', otherModel: this.otherModel });
  }

  /** All runs but the one on the stage. */
  get beside(): Bundle[] {
    return [this.ghost, this.right].filter((b) => b !== null);
  }

  /** A new text was run. What was changed at a place of the old one is let go; the rest is changed in this one too. */
  async begin(plain: Bundle, first: boolean): Promise<Bundle> {
    if (!first) this.edits = this.edits.filter((e) => !isOfText(e));
    this.ghost = null;
    this.picked = null;
    if (first && this.other) await this.restored(plain);
    if (!this.edits.length) return plain;
    try {
      const edited = await this.traced(plain, this.edits);
      this.ghost = plain;
      return edited;
    } catch (e) {
      // A link of another model: the film opens without the changes that do not fit it.
      if (!(e instanceof EngineError) || e.status !== 400) throw e;
      this.edits = [];
      this.bench.notice = e.message;
      return plain;
    }
  }

  /** Makes the run with these edits; where they do not fit, all stays as it was. */
  async change(edits: readonly Edit[]): Promise<void> {
    this.busy = true;
    await this.bench.guard(async () => {
      const plain = this.ghost ?? this.bench.bundle;
      if (!plain) return;
      const shown = edits.length ? await this.traced(plain, edits) : plain;
      this.edits = edits;
      this.ghost = edits.length ? plain : null;
      await this.bench.show(shown);
    });
    this.busy = false;
  }
  undoAll(): Promise<void> {
    return this.change([]);
  }

  /** The models that could read a second prompt, the one on the stage first: those of its kind. */
  async models(): Promise<string[]> {
    const own = this.bench.bundle?.model;
    const others = (await this.engine.models()).filter((m) => m.kind === own?.kind && m.name !== own.name);
    return [own?.name ?? '', ...others.map((m) => m.name)];
  }
  async compare(text: string, model = ''): Promise<void> {
    this.busy = true;
    await this.bench.guard(async () => {
      const b = this.bench.bundle;
      if (!b) return;
      await this.second(b, text, model);
      await this.bench.show(b);
    });
    this.busy = false;
  }
  endComparison(): void {
    this.right = null;
    this.otherToken = null;
  }

  /** What the second prompt's picture looks at: the same layer and head; its last token where the first's last is looked at. */
  get rightView(): View {
    const [left, right] = [this.bench.bundle, this.right];
    const { token, ...rest } = this.bench.view;
    const last = (right?.trace.tokens.length ?? 1) - 1;
    const isLast = token === (left?.trace.tokens.length ?? 1) - 1;
    const [layers, heads] = [right?.model.n_layers ?? Infinity, right?.model.n_heads ?? Infinity];
    return { ...rest, layer: Math.min(rest.layer, layers - 1), head: Math.min(rest.head, heads - 1), token: Math.min(this.otherToken ?? (isLast ? last : token), last) };
  }
  /** The second run's film: another one where its model is of another family. */
  rightFilm: Film = $derived.by(() => {
    const { right, bench } = this;
    return !right || right.model === bench.bundle?.model ? bench.film : new Film(chaptersOf(factsOf(right.model)));
  });

  /** Beside what a chapter wants: both runs' guesses, and their streams at the chosen token. */
  needs(b: Bundle, view: View): Need[] {
    if (!this.beside.length) return [];
    const last = b.trace.tokens.length - 1;
    return [
      { kind: 'sites', globs: ['logits'], rows: [last], later: true },
      { kind: 'sites', globs: ['blocks.*.resid_post', `blocks.${view.layer}.pattern`], rows: [view.token], later: true },
      { kind: 'sample', later: true },
    ];
  }

  /** The settings have changed: what was drawn with the old ones is forgotten. */
  forgetDraws(): void {
    const fresh = (b: Bundle | null): Bundle | null => {
      if (!b) return null;
      const { generated: _g, sample: _s, ...rest } = b;
      return rest;
    };
    this.ghost = fresh(this.ghost);
    this.right = fresh(this.right);
  }

  private async traced(plain: Bundle, edits: readonly Edit[]): Promise<Bundle> {
    const trace = await this.engine.trace(plain.asked.text, plain.asked.chat, edits, plain.model.name);
    return emptyBundle(plain.model, trace, { ...plain.asked, edits });
  }
  private async second(b: Bundle, text: string, name: string): Promise<void> {
    const model = name && name !== b.model.name ? await this.engine.model(name) : b.model;
    if (model.kind !== b.model.kind) {
      // Their films have no chapter in common.
      [this.other, this.otherModel] = ['', ''];
      this.bench.notice = this.bench.t('lab.otherKind', { name: model.name });
      return;
    }
    const chat = b.asked.chat && model.chat;
    const trace = await this.engine.trace(text, chat, [], model.name);
    this.right = emptyBundle(model, trace, { text, chat });
    this.other = text;
    this.otherModel = model === b.model ? '' : model.name;
    this.otherToken = null;
  }
  /** As a link has it; a second model that has gone is said and left out. */
  private async restored(b: Bundle): Promise<void> {
    try {
      await this.second(b, this.other, this.otherModel);
    } catch (e) {
      if (!(e instanceof EngineError) || !e.gone) throw e;
      this.otherModel = '';
      this.bench.notice = e.message;
      await this.second(b, this.other, '');
    }
  }
}
