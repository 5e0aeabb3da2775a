// The film as the program makes it: the same pictures as the page's, and the answers with which the program's own test makes them.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createEngine } from '../dev/mock-engine.mjs';
import { routeAmong } from '../dev/mock-routes.mjs';
import { createTranslator } from '../dev/mock-variants.mjs';
import { open, svg, type Wanted } from '../src/film/run';
import { SETTINGS, SIZES } from './fixture';

/** What was asked and answered: JSON as it is, files in hexadecimal. */
const answers: Record<string, { json?: unknown; hex?: string }> = {};
const mock = createEngine({ layers: 2, dModel: 48, dFf: 96, heads: 3 });
let models = [mock];

function ask(path: string, init?: { body?: string }): Response {
  try {
    const out = routeAmong(models, init?.body === undefined ? 'GET' : 'POST', new URL(path, 'http://localhost'), init?.body === undefined ? {} : JSON.parse(init.body));
    answers[`${path} ${init?.body ?? ''}`.trim()] = Buffer.isBuffer(out) ? { hex: out.toString('hex') } : { json: out };
    return new Response(Buffer.isBuffer(out) ? Uint8Array.from(out) : JSON.stringify(out));
  } catch (e) {
    return new Response(JSON.stringify({ error: (e as Error).message }), { status: 400 });
  }
}

beforeAll(() => void vi.stubGlobal('fetch', async (path: string, init?: { body?: string }) => ask(path, init)));
afterAll(() => void vi.unstubAllGlobals());

const TEXTS = { en: 'Once upon a time, there', zh: '从前有一张床' };
const wanted = (lang: 'en' | 'zh', change: Partial<Wanted> = {}): Wanted => ({ text: TEXTS[lang], chat: false, chapter: 'attention', from: 'scale', to: 'softmax', lang, theme: 'light', depth: 'numbers', size: { width: SIZES.wide.W, height: SIZES.wide.H }, fps: 30, speed: 1, layer: 1, head: 1, settings: SETTINGS, bare: true, ...change });

describe('a film', () => {
  it.each(['en', 'zh'] as const)('ends with the picture of the page (%s)', async (lang) => {
    const { frames, chapter } = await open(wanted(lang));
    expect(chapter).toBe('attention');
    expect(svg(frames - 1)).toBe(readFileSync(new URL(`./pictures/${lang === 'en' ? '' : 'zh/'}attention.softmax.svg`, import.meta.url), 'utf8'));
    expect(svg(0)).not.toBe(svg(frames - 1));
    expect(() => svg(frames)).toThrow(/no frame/);
  });
  it('is asked for by number or by name, and says what there is', async () => {
    const [byName, byNumber] = [await open(wanted('en')), await open(wanted('en', { chapter: '3', from: '7', to: '9' }))];
    expect(byNumber).toEqual(byName);
    await expect(open(wanted('en', { chapter: 'attnetion' }))).rejects.toThrow(/no chapter “attnetion”; there are 0 overview, 1 tokenize/);
    await expect(open(wanted('en', { from: '99' }))).rejects.toThrow(/no step of attention “99”; there are 1 guess/);
    await expect(open(wanted('en', { from: 'softmax', to: 'scale' }))).rejects.toThrow(/step 7 comes before step 9/);
    await expect(open(wanted('en', { head: 3 }))).rejects.toThrow(/no head 3; the last one is 2/);
  });
  it('of the ninth chapter is told by the translator that is there, of its own text', async () => {
    await expect(open(wanted('en', { chapter: '9' }))).rejects.toThrow(/no chapter “9”; there are 0 overview.* 8 train$/);
    models = [mock, createTranslator()];
    try {
      for (const chapter of ['9', 'Translate']) {
        const plan = await open(wanted('en', { chapter, from: undefined, to: undefined, token: undefined, layer: undefined, head: undefined, bare: false, text: undefined }));
        expect([plan.chapter, plan.title]).toEqual(['translate', 'Variants: translator']);
        const last = svg(plan.frames - 1);
        expect(last).toContain('mock translator');
        expect(last).toContain('ball');
        expect(last).not.toMatch(/NaN|undefined|\{\w+\}/);
      }
      // The picture of the page, of the run with which its own test draws it.
      const { frames } = await open(wanted('en', { chapter: '9', from: undefined, to: 'align' }));
      expect(svg(frames - 1)).toBe(readFileSync(new URL('./pictures/translate.align.svg', import.meta.url), 'utf8'));
      expect((await open(wanted('en', { from: undefined, to: 'norm' }))).chapter).toBe('attention');
      models = [createTranslator()];
      expect((await open(wanted('en', { chapter: undefined, from: undefined, to: undefined }))).chapter).toBe('translate');
    } finally {
      models = [mock];
    }
  });
  it('lasts as its frames say: twice the rate, twice the frames; twice the speed, half of them', async () => {
    const { frames } = await open(wanted('en'));
    const fast = await open(wanted('en', { fps: 60 }));
    const short = await open(wanted('en', { speed: 2 }));
    expect(Math.abs(fast.frames - 2 * frames)).toBeLessThanOrEqual(3);
    expect(Math.abs(short.frames * 2 - frames)).toBeLessThanOrEqual(3);
  });
  it('can be made by the program without an engine: what it asks is kept', async () => {
    for (const key of Object.keys(answers)) delete answers[key];
    // Ids of runs count up: those of the program begin anew.
    const fresh = createEngine({ layers: 2, dModel: 48, dFf: 96, heads: 3 });
    models = [fresh];
    await open(wanted('en', { bare: false }));
    await open(wanted('zh'));
    await expect(`${JSON.stringify(answers, null, 1)}\n`).toMatchFileSnapshot('../../crates/film/tests/answers.json');
  });
});
