import { describe, expect, it } from 'vitest';
import { chaptersOf } from '../src/chapters';
import { PLAIN } from '../src/chapters/family';
import { CATALOGUES, translate } from '../src/i18n';

const placeholders = (s: string): string[] => [...new Set(s.match(/\{\w+\}/g) ?? [])].sort();

describe('the two catalogues', () => {
  it('have the same keys', () => {
    expect(Object.keys(CATALOGUES.zh).sort()).toEqual(Object.keys(CATALOGUES.en).sort());
  });
  it('leave no text empty', () => {
    for (const catalogue of Object.values(CATALOGUES)) for (const [key, text] of Object.entries(catalogue)) expect(text.trim(), key).not.toBe('');
  });
  it('say nothing in one language that needs what the other has not', () => {
    // A narration may leave out what its language does not need; it may not ask for a number nobody gives.
    const known = new Map(Object.keys(CATALOGUES.en).map((k) => [k.replace(/\.(story|numbers|title)$/, ''), new Set<string>()]));
    for (const c of Object.values(CATALOGUES)) for (const [k, text] of Object.entries(c)) placeholders(text).forEach((p) => known.get(k.replace(/\.(story|numbers|title)$/, ''))?.add(p));
    for (const key of Object.keys(CATALOGUES.en).filter((k) => !k.startsWith('ch.'))) expect(placeholders(CATALOGUES.zh[key] ?? ''), key).toEqual(placeholders(CATALOGUES.en[key] ?? ''));
  });
  it('hold a title, a story and numbers for every step of every chapter, for every family', () => {
    const llama = { ...PLAIN, norm: 'rms', positions: 'rotary', gated: true, grouped: true, qkv_bias: false, mlp_bias: false } as const;
    const told = new Set<string>();
    for (const c of [...chaptersOf(PLAIN), ...chaptersOf(llama), ...chaptersOf({ ...PLAIN, kind: 'encoder' }), ...chaptersOf({ ...PLAIN, kind: 'encoder_decoder' })]) {
      expect(CATALOGUES.en).toHaveProperty([`ch.${c.id}.title`]);
      for (const s of c.steps) for (const part of ['title', 'story', 'numbers']) {
        expect(CATALOGUES.en, `${c.id}.${s.text}`).toHaveProperty([`ch.${c.id}.${s.text}.${part}`]);
        told.add(`ch.${c.id}.${s.text}.${part}`);
      }
    }
    const written = Object.keys(CATALOGUES.en).filter((k) => /^ch\..*\.(story|numbers)$/.test(k));
    expect(written.filter((k) => !told.has(k)), 'told in no film').toEqual([]);
  });
  it('write Chinese in Chinese: no text of the narration is without a Han character', () => {
    for (const [key, text] of Object.entries(CATALOGUES.zh)) if (/\.(story|title)$/.test(key) && !key.includes('.numbers')) expect(text, key).toMatch(/[\u4e00-\u9fff√]|softmax/);
  });
  it('fills placeholders and shows what is missing', () => {
    expect(translate('en', 'badge.shown', { n: 3, total: 9 })).toBe('3 of 9 numbers shown');
    expect(translate('en', 'no.such.key')).toBe('no.such.key');
    expect(translate('en', 'badge.shown', { n: 3 })).toContain('{total}');
  });
});
