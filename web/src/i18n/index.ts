import { en } from './en';
import { zh } from './zh';

export type Lang = 'en' | 'zh';
export const CATALOGUES: Record<Lang, Record<string, string>> = { en, zh };

/** The text of a key; `{name}` is filled in. A missing key is shown as itself, so that it is seen. */
export function translate(lang: Lang, key: string, vars: Record<string, string | number> = {}): string {
  const text = CATALOGUES[lang][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in vars ? String(vars[name]) : whole));
}

export const has = (lang: Lang, key: string): boolean => key in CATALOGUES[lang];
