// The address holds the whole state: text, chapter, moment, layer, head, token, language, seed.
import { LAB_FIELDS } from './lab/edits';
import type { SampleSettings } from '../trace/wire';
import type { Lang } from '../i18n';
import type { Triple } from '../trace/engine';

export interface Saved {
  text?: string;
  chat?: boolean;
  chapter?: string;
  t?: number;
  layer?: number;
  head?: number;
  token?: number;
  word?: number;
  sum?: Triple;
  lang?: Lang;
  depth?: string;
  /** The model that the link was made with, and the program's version. */
  model?: string;
  version?: string;
  settings: Partial<SampleSettings>;
  /** Names in the link that this version does not know. */
  unknown?: string[];
}

/** Longer texts are not in the address: browsers cut it. They are kept in the history's entry instead. */
const MOST_CHARACTERS = 12_000;
export const fitsInLink = (text: string): boolean => text.length <= MOST_CHARACTERS;

/** The fields of a link; notes which of them somebody has read. */
class Fields {
  private readonly all: URLSearchParams;
  private readonly read = new Set<string>();
  constructor(hash: string) {
    this.all = new URLSearchParams(hash.replace(/^#/, ''));
  }
  get(name: string): string | null {
    this.read.add(name);
    return this.all.get(name);
  }
  getAll(name: string): string[] {
    this.read.add(name);
    return this.all.getAll(name);
  }
  unread(): string[] {
    return [...new Set(this.all.keys())].filter((name) => !this.read.has(name));
  }
}

const number = (v: string | null): number | undefined => {
  if (v === null || v.trim() === '') return undefined;
  const n = Number(v);
  return Number.isFinite(n) && n >= 0 ? n : undefined;
};
const whole = (v: string | null): number | undefined => {
  const n = number(v);
  return n === undefined ? undefined : Math.floor(n);
};

/** Three words, none of them empty. */
const triple = (all: string[]): Triple | undefined => {
  const words = all.map((w) => w.trim()).filter((w) => w !== '');
  return words.length === 3 ? (words as unknown as Triple) : undefined;
};

export function readHash(hash: string): Saved {
  const q = new Fields(hash);
  const lang = q.get('lang');
  const settings: Partial<SampleSettings> = {};
  const [temperature, top_k, top_p, seed] = [number(q.get('temp')), whole(q.get('topk')), number(q.get('topp')), whole(q.get('seed'))];
  if (temperature !== undefined) settings.temperature = Math.min(2, temperature);
  if (top_k !== undefined) settings.top_k = top_k;
  if (top_p !== undefined) settings.top_p = Math.min(1, top_p);
  if (seed !== undefined) settings.seed = seed;
  const saved: Saved = {
    text: q.get('text') ?? undefined, chat: q.get('chat') === '1' || undefined, chapter: q.get('ch') ?? undefined, t: number(q.get('t')), layer: whole(q.get('layer')), head: whole(q.get('head')), token: whole(q.get('token')), word: whole(q.get('word')), sum: triple(q.getAll('sum')),
    lang: lang === 'en' || lang === 'zh' ? lang : undefined, depth: q.get('depth') ?? undefined, model: q.get('model') ?? undefined, version: q.get('v') ?? undefined, settings,
  };
  // The lab reads its own.
  for (const name of LAB_FIELDS) q.get(name);
  const unknown = q.unread();
  return unknown.length ? { ...saved, unknown } : saved;
}

export function writeHash(s: Required<Omit<Saved, 'settings' | 'unknown' | 'word' | 'sum'>> & Pick<Saved, 'word' | 'sum'> & { settings: SampleSettings }): string {
  const q = new URLSearchParams({ ch: s.chapter, t: s.t.toFixed(2), layer: String(s.layer), head: String(s.head), token: String(s.token), lang: s.lang, depth: s.depth, seed: String(s.settings.seed), temp: String(s.settings.temperature), topk: String(s.settings.top_k), topp: String(s.settings.top_p), model: s.model, v: s.version });
  if (fitsInLink(s.text)) q.set('text', s.text);
  if (s.chat) q.set('chat', '1');
  if (s.word !== undefined) q.set('word', String(s.word));
  for (const word of s.sum ?? []) q.append('sum', word);
  return `#${q.toString()}`;
}
