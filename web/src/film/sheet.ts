// A frame as it leaves the page: the stage with its honest notes, and the words of the step beside it. Pure; the page's stills and
// films and the program's are made from it.
import type { Chapter, Frame } from '../chapters/types';
import { Draw } from '../marks/draw';
import { fit, textWidth } from '../marks/measure';
import type { Theme } from '../marks/palette';
import { bodyOf, openSvg } from '../marks/svg';
import type { DisplayList } from '../marks/types';
import { caption, type Depth } from './caption';

/** Part of a sheet; what is drawn lies within `w` × `h`. */
export interface Layer {
  x: number;
  y: number;
  w: number;
  h: number;
  list: DisplayList;
}

export interface Sheet {
  W: number;
  H: number;
  layers: Layer[];
}

/** In pixels. */
export interface Size {
  width: number;
  height: number;
}

export interface Shown {
  chapter: Chapter;
  /** The chapter's number. */
  number: number;
  depth: Depth;
  /** What the picture is of: the model's name. */
  model: string;
  /** Further notes beside the scene's own. */
  notes: readonly string[];
  /** The moment, on a stage of this size. */
  frame: (stage: { W: number; H: number; narrow: boolean }) => Frame;
}

const MARGIN = 18;
const HEAD = 50;
const NOTES = 30;
const SIDE = 316;
const BELOW = 258;
/** The smallest stages that scenes are laid out for, and the widest narrow one. */
const WIDE = { W: 860, H: 560 };
const NARROW = { W: 384, H: 420, most: 552 };

export function sheet(shown: Shown, size: Size): Sheet {
  return size.width >= size.height * 1.2 ? beside(shown, size) : above(shown, size);
}

function beside(shown: Shown, size: Size): Sheet {
  const scale = Math.min(size.width / (WIDE.W + SIDE + 3 * MARGIN + 6), size.height / (WIDE.H + HEAD + NOTES + MARGIN));
  const [W, H] = [size.width / scale, size.height / scale];
  const stage = { x: MARGIN, y: HEAD, w: W - SIDE - 3 * MARGIN - 6, h: H - HEAD - MARGIN };
  const words = { x: stage.x + stage.w + MARGIN + 6, y: HEAD + 6, w: SIDE, h: stage.h - 30 };
  return compose(shown, W, H, stage, words, false);
}

function above(shown: Shown, size: Size): Sheet {
  const scale = Math.min(size.width / (NARROW.W + 24), size.height / (NARROW.H + HEAD + NOTES + BELOW + MARGIN));
  const [W, H] = [size.width / scale, size.height / scale];
  const w = Math.min(W - 24, NARROW.most);
  const stage = { x: (W - w) / 2, y: HEAD, w, h: H - HEAD - BELOW - MARGIN };
  const words = { x: stage.x + 4, y: stage.y + stage.h + 8, w: w - 8, h: BELOW - 18 };
  return compose(shown, W, H, stage, words, true);
}

type Place = { x: number; y: number; w: number; h: number };

function compose(shown: Shown, W: number, H: number, stage: Place, words: Place, narrow: boolean): Sheet {
  const scene = { x: stage.x, y: stage.y, w: stage.w, h: stage.h - NOTES };
  const frame = shown.frame({ W: scene.w, H: scene.h, narrow });
  const d = new Draw();
  shown.chapter.scene(frame, d);
  const ground = new Draw();
  ground.rect(0, 0, W, H, { fill: 'page' });
  ground.rect(stage.x, stage.y, stage.w, stage.h, { r: 14, fill: 'stage', stroke: 'line' });
  head(ground, shown, frame, W, stage);
  notes(ground, [...shown.notes, ...[...d.badges].map(([key, vars]) => frame.t(key, vars))], stage);
  progress(ground, shown.chapter, frame, { x: words.x, y: H - MARGIN - 7, w: words.w, h: 5 });
  const whole = { x: 0, y: 0, w: W, h: H };
  return { W, H, layers: [{ ...whole, list: ground.list }, { ...scene, list: d.list }, { ...whole, list: caption(frame, shown.chapter, shown.depth, words) }] };
}

function head(d: Draw, shown: Shown, f: Frame, W: number, stage: Place): void {
  const y = HEAD / 2 + 1;
  d.rect(stage.x, y - 14, 28, 28, { r: 8, fill: 'token', label: { text: String(shown.number), size: 14, font: 'mono', weight: 650, fill: 'accent' } });
  const title = f.t(`ch.${shown.chapter.id}.title`);
  d.text(stage.x + 39, y, title, { size: 18.5, weight: 670 });
  const right = W - stage.x;
  const room = right - stage.x - 39 - textWidth(title, 19.5) - 24;
  const name = `Glassformer · ${shown.model}`;
  d.text(right, y, room > textWidth(name, 13) ? name : fit('Glassformer', room, 13), { size: 13, fill: 'muted', anchor: 'end', weight: 520 });
}

/** What the numbers are, and which of them are shown. */
function notes(d: Draw, all: readonly string[], stage: Place): void {
  let x = stage.x + 14;
  const y = stage.y + stage.h - NOTES / 2;
  for (const text of all) {
    const w = textWidth(text, 11.5) + 18;
    if (x + w > stage.x + stage.w - 10) return;
    d.rect(x, y - 9.5, w, 19, { r: 9.5, stroke: 'line' });
    d.text(x + w / 2, y, text, { size: 11.5, fill: 'muted', anchor: 'middle' });
    x += w + 6;
  }
}

function progress(d: Draw, chapter: Chapter, f: Frame, at: Place): void {
  const gap = 3;
  const w = (at.w - gap * (chapter.steps.length - 1)) / chapter.steps.length;
  chapter.steps.forEach((_, i) => {
    const x = at.x + i * (w + gap);
    d.rect(x, at.y, w, at.h, { r: 2.5, fill: 'line' });
    const done = i < f.step ? 1 : i === f.step ? f.p : 0;
    if (done > 0.02) d.rect(x, at.y, w * done, at.h, { r: 2.5, fill: 'accent' });
  });
}

/** `style`: fonts that the document carries with it. */
export function sheetSvg(s: Sheet, theme: Theme, size: Size, style = ''): string {
  const layers = s.layers.map((l, i) => `<g transform="translate(${r2(l.x)} ${r2(l.y)})" clip-path="url(#layer${i})">\n${bodyOf(l.list, theme)}\n</g>`);
  const clips = s.layers.map((l, i) => `<clipPath id="layer${i}"><rect width="${r2(l.w)}" height="${r2(l.h)}"/></clipPath>`);
  return `${openSvg(s.W, s.H, size)}\n<defs>${style ? `<style>${style}</style>` : ''}${clips.join('')}</defs>\n${layers.join('\n')}\n</svg>\n`;
}

const r2 = (v: number): string => String(Math.round(v * 100) / 100);
