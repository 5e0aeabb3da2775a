// What leaves the page: sheets as pictures, formulas as marks, numbers as a table, moments of a film.
import { describe, expect, it } from 'vitest';
import { sitesShown } from '../src/app/out/numbers';
import { chaptersOf, CHAPTERS } from '../src/chapters';
import { factsOf } from '../src/chapters/family';
import { shots } from '../src/film/schedule';
import { sheet, sheetSvg, type Shown } from '../src/film/sheet';
import { translate, type Lang } from '../src/i18n';
import { Draw } from '../src/marks/draw';
import { textWidth } from '../src/marks/measure';
import { formula, layFormula } from '../src/marks/tex';
import { wrap } from '../src/marks/wrap';
import { LEAD, readingTime, TAIL } from '../src/timeline/timeline';
import { shortest, toCsv } from '../src/trace/csv';
import { bundleOf, draw, SETTINGS, turning } from './fixture';

const ATTENTION = CHAPTERS.findIndex((c) => c.id === 'attention');
const chapter = CHAPTERS[ATTENTION]!;
const SOFTMAX = chapter.steps.findIndex((s) => s.id === 'softmax');
const WIDE = { width: 1280, height: 720 };
const UPRIGHT = { width: 720, height: 1280 };
const KIN = chaptersOf(factsOf(await turning.model()));
const runs = { en: await bundleOf('Once upon a time, there'), zh: await bundleOf('从前有一张床') };

const shown = (lang: Lang, step: number, p: number, depth: Shown['depth'] = 'formula'): Shown => ({
  chapter, number: ATTENTION, depth, model: 'mock', notes: [translate(lang, 'badge.mock')],
  frame: (stage) => ({ b: runs[lang].bundle, view: runs[lang].view, settings: SETTINGS, step, steps: chapter.steps, p, ...stage, numbers: depth !== 'story', lang, t: (k, v) => translate(lang, k, v) }),
});

describe('a sheet', () => {
  it.each([['en', WIDE], ['zh', WIDE], ['en', UPRIGHT], ['zh', UPRIGHT]] as const)('matches its picture (%s, %o)', async (lang, size) => {
    const svg = sheetSvg(sheet(shown(lang, SOFTMAX, 1), size), 'light', size);
    await expect(svg).toMatchFileSnapshot(`./pictures/${lang === 'en' ? '' : `${lang}/`}sheet.${size.width}x${size.height}.svg`);
  });
  it.each(['en', 'zh'] as const)('writes nothing beside itself, in any step of any chapter (%s)', (lang) => {
    for (const [n, c] of CHAPTERS.entries()) for (let step = 0; step < c.steps.length; step++) for (const size of [WIDE, UPRIGHT]) for (const depth of ['story', 'numbers', 'formula'] as const) {
      const s = sheet({ ...shown(lang, step, 1, depth), chapter: c, number: n, frame: (stage) => ({ ...shown(lang, step, 1, depth).frame(stage), steps: c.steps }) }, size);
      expect(s.W / s.H).toBeCloseTo(size.width / size.height, 6);
      const words = s.layers[2]!.list;
      const texts = words.filter((p) => p.k === 'text');
      expect(texts.length).toBeGreaterThan(3);
      for (const p of texts) {
        expect(p.text).not.toMatch(/\{\w+\}|undefined|NaN/);
        const right = p.x + (p.anchor === 'start' && !p.base ? textWidth(p.text, p.size, p.font) : 0);
        expect(right <= s.W && p.y + p.size * (p.base ? 0.2 : 0.5) <= s.H - 22, `${c.id}.${step} ${depth} ${size.width}: “${p.text}” at ${p.x}, ${p.y} of ${s.W} × ${s.H}`).toBe(true);
      }
    }
  });
});

describe('a formula', () => {
  const all = [CHAPTERS, KIN].flatMap((film) => film.flatMap((c) => c.steps.flatMap((s) => (s.formula ? [s.formula] : []))));
  it.each([...new Set(all)])('is laid out: %s', (tex) => {
    const laid = layFormula(tex);
    expect(laid.w).toBeGreaterThan(1);
    for (const p of laid.pieces) {
      const points = 'text' in p ? [[p.x, p.y] as const] : p.points;
      for (const [x, y] of points) expect(x >= -0.2 && x <= laid.w + 0.2 && y >= -laid.up - 0.1 && y <= laid.down + 0.1, `${JSON.stringify(p)} of ${laid.w}, ${laid.up}, ${laid.down}`).toBe(true);
    }
  });
  it('stands as its letters say: a fraction has its parts above and below, centred', () => {
    const { pieces, w } = layFormula('\\frac{a}{bcd}');
    const at = (text: string): { x: number; y: number } => pieces.find((p) => 'text' in p && p.text === text) as { x: number; y: number };
    expect(at('a').y).toBeLessThan(at('b').y);
    expect(at('a').x).toBeGreaterThan(at('b').x);
    const rule = pieces.find((p) => 'points' in p) as { points: [number, number][] };
    expect(rule.points[0]![1]).toBeGreaterThan(at('a').y);
    expect(rule.points[0]![1]).toBeLessThan(at('b').y);
    expect(rule.points[1]![0] - rule.points[0]![0]).toBeLessThanOrEqual(w);
  });
  it('throws where KaTeX cannot read it', () => {
    expect(() => formula(new Draw(), 0, 0, '\\frac{a', 12)).toThrow();
  });
});

describe('lines', () => {
  it('hold whole words, and no line is too wide', () => {
    const text = 'Softmax makes every score positive with the exponential function and divides by the sum.';
    const lines = wrap(text, 200, 16);
    expect(lines.length).toBeGreaterThan(2);
    expect(lines.join(' ')).toBe(text);
    for (const line of lines) expect(textWidth(line, 16)).toBeLessThanOrEqual(200);
  });
  it('break Chinese between characters, never before a comma or after an opening quote', () => {
    const text = '它先把文字切成一小块一小块，每一块叫一个“词元”（token）。';
    for (let width = 110; width < 300; width += 7) {
      const lines = wrap(text, width, 16);
      expect(lines.join('')).toBe(text);
      for (const line of lines) expect(line).not.toMatch(/^[，。）”]|[（“]$/);
    }
  });
  it('cut a word that is longer than a line', () => {
    expect(wrap('a'.repeat(60), 100, 16).length).toBeGreaterThan(3);
  });
});

describe('a film', () => {
  const cut = { from: 0, to: chapter.steps.length - 1, fps: 30, speed: 1 };
  const story = (i: number): string => translate('en', `ch.attention.${chapter.steps[i]!.text}.story`);
  it('shows every step from its beginning to its end, in order, as long as its words take', () => {
    const all = shots(chapter, 'en', story, cut);
    for (let step = 0; step < chapter.steps.length; step++) {
      const of = all.filter((s) => s.step === step);
      expect(of[0]!.p).toBe(0);
      expect(of[of.length - 1]!.p).toBe(1);
      expect(of.every((s, i) => i === 0 || s.p >= of[i - 1]!.p)).toBe(true);
      const seconds = Math.max(LEAD + chapter.steps[step]!.seconds + TAIL, LEAD + readingTime(story(step), 'en'));
      expect(of.length).toBe(Math.round(seconds * 30));
    }
    expect(all.map((s) => s.step)).toEqual([...all.map((s) => s.step)].sort((a, b) => a - b));
  });
  it('is half as long at twice the speed, and holds what was cut out alone', () => {
    const one = shots(chapter, 'en', story, { ...cut, from: 2, to: 4 });
    const two = shots(chapter, 'en', story, { ...cut, from: 2, to: 4, speed: 2 });
    expect(new Set(one.map((s) => s.step))).toEqual(new Set([2, 3, 4]));
    expect(Math.abs(two.length - one.length / 2)).toBeLessThanOrEqual(3);
  });
});

describe('numbers', () => {
  it('of the stage are named by their sites', () => {
    const { list } = draw(runs.en.bundle, runs.en.view, ATTENTION, SOFTMAX, 1);
    expect(sitesShown(list)).toEqual(expect.arrayContaining(['blocks.1.k', 'blocks.1.pattern', 'blocks.1.q', 'blocks.1.scores']));
  });
  it('come back from a table with the same bits', () => {
    const data = Float32Array.from([0.1, -3.4028234e38, 1 / 3, 1e-40, 12345.678, 0, -0.75, 8388609]);
    for (const v of data) expect(Math.fround(Number(shortest(v)))).toBe(v);
    expect([shortest(-Infinity), shortest(Infinity), shortest(NaN), shortest(Math.fround(0.1))]).toEqual(['-inf', 'inf', 'nan', '0.1']);
  });
  it('stand at their place, and rows that were left out keep their numbers', () => {
    const t = { shape: [2, 2, 1], data: Float32Array.from([1, 2, 3, -Infinity]) };
    expect(toCsv(new Map([['a', { shape: [2], data: Float32Array.from([5, 6]) }], ['blocks.0.scores', t]]), [7, 9]).split('\n')).toEqual(['site,i0,i1,i2,value', 'a,7,,,5', 'a,9,,,6', 'blocks.0.scores,0,7,0,1', 'blocks.0.scores,0,9,0,2', 'blocks.0.scores,1,7,0,3', 'blocks.0.scores,1,9,0,-inf', '']);
  });
});
