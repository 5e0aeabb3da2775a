// A chapter as frames: the page's own chapters on the page's own bundle, without a browser.
import { filmOf, tellers } from '../app/doors';
import { bestAligned } from '../chapters/09-variants/cross';
import { headInterest } from '../chapters/heads';
import type { Chapter, Frame, View } from '../chapters/types';
import { translate, type Lang } from '../i18n';
import { Draw } from '../marks/draw';
import type { Theme } from '../marks/palette';
import { toSvg } from '../marks/svg';
import { choices, emptyBundle, usualToken, type Bundle } from '../trace/bundle';
import { HttpEngine } from '../trace/http';
import { isMissing } from '../trace/loader';
import { Supply } from '../trace/supply';
import type { ModelInfo, SampleSettings } from '../trace/wire';
import type { Depth } from './caption';
import { shots, type Shot } from './schedule';
import { sheet, sheetSvg, type Size } from './sheet';

/** What the program asks for; what is not given is chosen as the page chooses it. */
export interface Wanted {
  text?: string;
  chat: boolean;
  /** A number or a name, in any letters; the model's first where it is not given. */
  chapter?: string;
  /** The first and the last step: numbers from 1 on, or names. */
  from?: string;
  to?: string;
  lang: Lang;
  theme: Theme;
  depth: Depth;
  size: Size;
  fps: number;
  speed: number;
  layer?: number;
  head?: number;
  token?: number;
  settings: SampleSettings;
  /** The stage alone, without the words beside it. */
  bare: boolean;
}

/** What will be shown. */
interface Plan {
  chapter: string;
  title: string;
  frames: number;
  kept: Bundle['trace']['kept'];
}

const ROUNDS = 6;

interface Opened {
  wanted: Wanted;
  bundle: Bundle;
  view: View;
  chapter: Chapter;
  shots: Shot[];
}

let opened: Opened | null = null;

/** A chapter of the models that there are, and the model that tells it. */
function told(models: readonly ModelInfo[], asked: string | undefined): { chapter: Chapter; model: ModelInfo } {
  const telling = tellers(models.slice(0, 1), models);
  const { chapters } = filmOf(telling);
  const chapter = chapters.find((c) => (asked === undefined ? c.kind === models[0]?.kind : String(c.number) === asked || c.id === asked.toLowerCase()));
  const model = telling.find((m) => m.kind === chapter?.kind);
  if (chapter && model) return { chapter, model };
  throw new Error(`there is no chapter “${asked}”; there are ${chapters.map((c) => `${c.number} ${c.id}`).join(', ')}`);
}

function found<T extends { id: string }>(all: readonly T[], asked: string, first: number, what: string): number {
  const at = /^\d+$/.test(asked) ? Number(asked) - first : all.findIndex((x) => x.id === asked.toLowerCase());
  if (all[at]) return at;
  throw new Error(`there is no ${what} “${asked}”; there are ${all.map((x, i) => `${i + first} ${x.id}`).join(', ')}`);
}

function within(asked: number | undefined, otherwise: number, count: number, what: string): number {
  if (asked !== undefined && asked >= count) throw new Error(`there is no ${what} ${asked}; the last one is ${count - 1}`);
  return asked ?? otherwise;
}

export async function open(wanted: Wanted): Promise<Plan> {
  const engine = new HttpEngine();
  const { chapter, model } = told(await engine.models(), wanted.chapter);
  const from = wanted.from === undefined ? 0 : found(chapter.steps, wanted.from, 1, `step of ${chapter.id}`);
  const to = wanted.to === undefined ? chapter.steps.length - 1 : found(chapter.steps, wanted.to, 1, `step of ${chapter.id}`);
  if (to < from) throw new Error(`step ${to + 1} comes before step ${from + 1}`);
  const asked = { text: wanted.text ?? model.initial_text ?? model.default_text[wanted.lang], chat: wanted.chat };
  if (asked.text.trim() === '') throw new Error('there is nothing to read: write a few words after --text');
  const bundle = emptyBundle(model, await engine.trace(asked.text, asked.chat, [], model.name), asked);
  const tokens = choices(bundle.trace).length;
  const supply = new Supply(engine);
  const first = { layer: within(wanted.layer, 0, model.n_layers, 'layer'), head: within(wanted.head, 0, model.n_heads, 'head'), token: within(wanted.token, usualToken(model, tokens), tokens, 'token') };
  if (model.kind === 'encoder_decoder') await fill(supply, bundle, chapter, first, wanted.settings);
  else bundle.heads = await engine.heads(bundle.trace.id);
  const best = wanted.layer !== undefined ? null : model.kind === 'encoder_decoder' ? bestAligned(bundle) : headInterest(bundle);
  const view: View = { ...first, layer: wanted.layer ?? best?.layer ?? 0, head: wanted.head ?? best?.head ?? 0 };
  await fill(supply, bundle, chapter, view, wanted.settings);
  opened = { wanted, bundle, view, chapter, shots: [] };
  const vars = chapter.vars(frame(opened, { step: from, p: 1 }, { W: 860, H: 560, narrow: false }));
  const story = (step: number): string => translate(wanted.lang, `ch.${chapter.id}.${chapter.steps[step]?.text ?? ''}.story`, vars);
  opened.shots = shots(chapter, wanted.lang, story, { from, to, fps: wanted.fps, speed: wanted.speed });
  return { chapter: chapter.id, title: translate(wanted.lang, `ch.${chapter.id}.title`), frames: opened.shots.length, kept: bundle.trace.kept };
}

/** Some needs are only known once others have come. */
async function fill(supply: Supply, bundle: Bundle, chapter: Chapter, view: View, settings: SampleSettings): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    const missing = chapter.needs(view, bundle).filter((n) => isMissing(bundle, n));
    if (!missing.length) return;
    await supply.fetch(bundle, missing, settings);
  }
}

function frame({ wanted, bundle, view, chapter }: Opened, shot: Shot, stage: { W: number; H: number; narrow: boolean }): Frame {
  return { b: bundle, view, settings: wanted.settings, ...shot, steps: chapter.steps, ...stage, numbers: wanted.depth !== 'story', lang: wanted.lang, t: (key, vars) => translate(wanted.lang, key, vars) };
}

/** Frame `i` as an SVG document. */
export function svg(i: number): string {
  const shot = opened?.shots[i];
  if (!opened || !shot) throw new Error(`there is no frame ${i}`);
  const now = opened;
  const { wanted, chapter, bundle } = now;
  if (wanted.bare) {
    const narrow = wanted.size.width < 560;
    const scale = narrow ? 1 : Math.min(wanted.size.width / 860, wanted.size.height / 560);
    const [W, H] = [wanted.size.width / scale, wanted.size.height / scale];
    const d = new Draw();
    chapter.scene(frame(now, shot, { W, H, narrow }), d);
    return toSvg(d.list, W, H, wanted.theme);
  }
  const say = (key: string, vars?: Record<string, string>): string => translate(wanted.lang, key, vars);
  const { stored } = bundle.model;
  const notes = [say('badge.real'), ...(stored && stored !== 'F32' ? [say('badge.stored', { type: stored })] : [])];
  return sheetSvg(sheet({ chapter, number: chapter.number, depth: wanted.depth, model: bundle.model.name, notes, frame: (stage) => frame(now, shot, stage) }, wanted.size), wanted.theme, wanted.size);
}
