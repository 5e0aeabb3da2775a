// A link opens as far as it can; what it asks for and this page has not is said.
import type { Chapter, View } from '../chapters/types';
import { choices, usualToken, type Bundle } from '../trace/bundle';
import type { ModelInfo, SampleSettings } from '../trace/wire';
import { isTrained } from './doors';
import { readHash, type Saved } from './hash';
import { readLab, writeLab } from './lab/edits';
import type { Film, FilmPlace } from './player';
import { DEPTHS, type Depth, type Store } from './store.svelte';

/** What a history entry of this page holds: the text, where it is too long for the address. */
export type Entry = { text?: string } | null;

/** Depth and dials, as far as they are known here. */
export function restore(store: Store, s: Saved): void {
  if (s.depth && (DEPTHS as readonly string[]).includes(s.depth)) store.depth = s.depth as Depth;
  if (Object.entries(s.settings).some(([name, v]) => store.settings[name as keyof SampleSettings] !== v)) store.setSettings(s.settings);
}

/** Where a link leads to; `known`: it is the film of this server's models, not the one that is thought of before they have told. */
export function placeOf(film: Film, s: Saved, known = true): FilmPlace | undefined {
  const chapter = film.chapters.findIndex((c) => c.id === s.chapter);
  return chapter < 0 ? undefined : { chapter, t: Math.min(s.t ?? 0, known ? film.length(chapter) : Infinity) };
}

/** Back, forward, or another link in the same tab. Of an entry that this page wrote (`own`) the language is not taken: it is the visitor's, not the place's. */
export async function follow(store: Store, hash: string, own: Entry): Promise<void> {
  const [s, b] = [readHash(hash), store.bundle];
  if (!b) return;
  if (!own && s.lang) store.lang = s.lang;
  store.seek(store.place, false);
  store.following = s;
  restore(store, s);
  const [text, chat] = [s.text ?? own?.text ?? store.asked.text, s.chat ?? false];
  const place = placeOf(store.film, s);
  const stays = (s.model === undefined || s.model === b.model.name) && (!place || store.isOwn(place));
  await store.guard(async () => {
    const model = stays ? b.model : await store.find(s);
    // Somebody went on meanwhile.
    if (store.following !== s) return;
    if (model.name !== b.model.name) store.lab.reset();
    const sameLab = store.lab.address() === writeLab(readLab(hash));
    if (!sameLab) store.lab.restore(hash);
    if (text === store.asked.text && chat === store.asked.chat && sameLab && model.name === b.model.name) {
      store.text = text;
      if (place) store.place = place;
      store.view = viewOf(s, store.view, b.model, choices(b.trace).length);
      sayMissing(store, s, b);
      return;
    }
    await store.run(s, { model, text, chat, to: place && { ...place, playing: false } });
  });
  if (store.following === s) store.following = null;
}

export function sayMissing(store: Store, s: Saved, b: Bundle): void {
  const missing = lacking(s, b.model, store.film.chapters, choices(b.trace).length, DEPTHS);
  if (missing.length) store.notice = missing.map(({ key, vars }) => store.t(key, vars)).join(' ');
}

/** What cannot be shown as the link has it: keys of the catalogues with their words. */
export function lacking(s: Saved, model: ModelInfo, chapters: readonly Chapter[], tokens: number, depths: readonly string[]): { key: string; vars: Record<string, string | number> }[] {
  const out: { key: string; vars: Record<string, string | number> }[] = [];
  const say = (key: string, vars: Record<string, string | number>): number => out.push({ key: `link.${key}`, vars });
  if (s.model !== undefined && s.model !== model.name) say(isTrained(s.model) ? 'trained' : 'model', { theirs: s.model, ours: model.name });
  if (s.version !== undefined && s.version !== model.version) say('version', { theirs: s.version, ours: model.version });
  if (s.chapter !== undefined && !chapters.some((c) => c.id === s.chapter)) say('chapter', { name: s.chapter });
  if (s.depth !== undefined && !depths.includes(s.depth)) say('depth', { name: s.depth });
  const most: Record<'layer' | 'head' | 'token', number> = { layer: model.n_layers, head: model.n_heads, token: tokens };
  for (const what of ['layer', 'head', 'token'] as const) {
    const asked = s[what];
    if (asked !== undefined && asked >= most[what]) say(what, { asked, last: most[what] - 1 });
  }
  if (s.unknown?.length) say('unknown', { names: s.unknown.slice(0, 5).join(', ') });
  // That a link is of another version matters only where something of it is missing.
  return out.length === 1 && out[0]?.key === 'link.version' ? [] : out;
}

/** The choice that a link makes, within what there is. */
export function viewOf(s: Saved, now: View, model: ModelInfo, tokens: number): View {
  const within = (v: number, count: number): number => Math.max(0, Math.min(v, count - 1));
  return { layer: within(s.layer ?? now.layer, model.n_layers), head: within(s.head ?? now.head, model.n_heads), token: within(s.token ?? usualToken(model, tokens), tokens), word: s.word === undefined ? now.word : within(s.word, model.vocab), sum: s.sum ?? now.sum };
}
