import { beforeAll, describe, expect, it } from 'vitest';
import { chaptersOf, CHAPTERS } from '../src/chapters';
import { factsOf } from '../src/chapters/family';
import { CATALOGUES } from '../src/i18n';
import { cellAt, cellsOf, isTraceSite } from '../src/marks/hit';
import { textWidth } from '../src/marks/measure';
import { toSvg } from '../src/marks/svg';
import type { Bundle } from '../src/trace/bundle';
import type { View } from '../src/chapters/types';
import { bundleOf, draw, engine, filler, SETTINGS, SIZES, translator, turning } from './fixture';
import { recounted, writings } from './recount';

let en: { bundle: Bundle; view: View };
let zh: { bundle: Bundle; view: View };
let one: { bundle: Bundle; view: View };
let long: { bundle: Bundle; view: View };
/** The same texts through a model that turns queries, shares keys and has gates. */
let kin: { bundle: Bundle; view: View };
let kinZh: { bundle: Bundle; view: View };
let kinLong: { bundle: Bundle; view: View };
const LONG = 'Once upon a time, there was a little girl. She had a red ball and a big dog in the park. '.repeat(3);
type Run = { bundle: Bundle; view: View };
/** Texts through the other kinds of models; the first is drawn, in English and in Chinese. */
const others: Record<'translator' | 'filler', Run[]> = { translator: [], filler: [] };
const FILMS = { gpt2: CHAPTERS, llama: chaptersOf(factsOf(await turning.model())), translator: chaptersOf(factsOf(await translator.model())), filler: chaptersOf(factsOf(await filler.model())) };
type Family = keyof typeof FILMS;
const KIN = FILMS.llama;
beforeAll(async () => {
  for (const [name, from] of [['translator', translator], ['filler', filler]] as const) for (const text of ['Once upon a time, there', '从前有一张床', LONG, 'a']) others[name].push(await bundleOf(text, from));

  kin = await bundleOf('Once upon a time, there', turning);
  kinZh = await bundleOf('从前有一张床', turning);
  kinLong = await bundleOf(LONG, turning);
  en = await bundleOf('Once upon a time, there');
  zh = await bundleOf('从前有一张床');
  one = await bundleOf('a');
  long = await bundleOf(LONG);
});

const everyStep = (Object.keys(FILMS) as Family[]).flatMap((family) => FILMS[family].flatMap((c, i) => c.steps.map((s, j) => [`${family === 'llama' ? 'llama.' : ''}${c.id}.${s.id}`, i, j, family] as const)));

/** Is a step of the second family drawn in a way of its own? */
function isOwn(chapter: number, step: number): boolean {
  const s = KIN[chapter]!.steps[step]!;
  return s.text !== s.id || ['turn', 'share', 'gate', 'dot', 'heads', 'wall', 'down'].includes(s.id);
}

/** The marks of an axis. */
const TICK = /^−?\d+\.[05]0?$|^0\.(25|75)$/;

describe.each(everyStep)('%s', (name, chapter, step, family) => {
  const ofKin = family === 'llama';
  const runs = (): Run[] => (family === 'gpt2' ? [en, zh, one, long] : ofKin ? [kin, kinLong] : others[family]);
  const first = (): Run => runs()[0]!;
  const chinese = (): Run => (ofKin ? kinZh : runs()[1]!);
  it('is drawn alike every time, from the trace and the moment alone', () => {
    for (const p of [0, 0.37, 1]) expect(draw(first().bundle, first().view, chapter, step, p).list).toEqual(draw(first().bundle, first().view, chapter, step, p).list);
  });
  it.runIf(!ofKin || isOwn(chapter, step)).each(['en', 'zh'] as const)('matches its picture (%s)', async (lang) => {
    const run = lang === 'en' ? first() : chinese();
    const svg = toSvg(draw(run.bundle, run.view, chapter, step, 1, 'wide', lang).list, SIZES.wide.W, SIZES.wide.H, 'light');
    await expect(svg).toMatchFileSnapshot(`./pictures/${lang === 'en' ? '' : `${lang}/`}${name}.svg`);
  });
  it('shows only numbers of the trace', () => {
    for (const run of runs()) for (const size of ['wide', 'narrow'] as const) for (const p of [0.15, 0.5, 0.8, 1]) {
      const cells = cellsOf(draw(run.bundle, run.view, chapter, step, p, size).list);
      for (const c of cells.filter((x) => x.site !== 'pick:head' && x.site !== 'derived:moving')) {
        const place = `${c.site}[${c.index.join()}] = ${c.value} (${c.text})`;
        const value = recounted({ b: run.bundle, view: run.view, settings: SETTINGS, cells }, c);
        if (value === undefined || Number.isNaN(value)) throw new Error(`${place}: tests/recount.ts cannot find this number again`);
        if (isTraceSite(c.site)) expect(Math.fround(c.value), place).toBe(Math.fround(value));
        else expect(Math.abs(c.value - value), `${place}, not ${value}`).toBeLessThanOrEqual(2e-5 * Math.max(1, Math.abs(value)));
        expect(writings(c.value), place).toContain(c.text);
      }
    }
  });
  it('writes no measured number that is not a cell', () => {
    // Whoever sees a number can open it: text with a decimal point or a per cent sign belongs to a cell.
    for (const { list } of runs().map((run) => draw(run.bundle, run.view, chapter, step, 1))) {
      const of = new Set(cellsOf(list).map((c) => c.text));
      const written = list.flatMap((p) => (p.k === 'text' ? [[p.text, p.cell]] as const : (p.k === 'rect' || p.k === 'disc') && p.label ? [[p.label.text, p.cell]] as const : []));
      for (const [text, cell] of written) if (/^[−+]?\d+\.\d+%?$|^\d+%$/.test(text) && !cell) expect(of.has(text) || TICK.test(text), `${name} writes ${text}, which is no cell`).toBe(true);
    }
  });
  it('has no broken geometry and stays within the stage', () => {
    for (const run of runs()) for (const size of ['wide', 'narrow'] as const) for (const p of [0, 0.3, 0.6, 1]) {
      const { list } = draw(run.bundle, run.view, chapter, step, p, size);
      const { W, H } = SIZES[size];
      expect(list.length).toBeGreaterThan(0);
      for (const prim of list) {
        if (prim.k === 'path') {
          expect(prim.d).not.toMatch(/NaN|undefined|Infinity/);
          continue;
        }
        expect(Number.isFinite(prim.x) && Number.isFinite(prim.y), `${prim.k} ${JSON.stringify(prim)}`).toBe(true);
        if (p === 1 && prim.k === 'rect' && prim.cell?.text) expect(prim.x >= -2 && prim.x + prim.w <= W + 2 && prim.y >= -2 && prim.y + prim.h <= H + 2, `${size} ${prim.cell.site} lies outside`).toBe(true);
        if (p === 1 && prim.k === 'text' && prim.a > 0.3) {
          const w = textWidth(prim.text, prim.size, prim.font);
          const x = prim.anchor === 'start' ? prim.x : prim.anchor === 'end' ? prim.x - w : prim.x - w / 2;
          expect(x >= -4 && x + w <= W + 4, `${size}: “${prim.text}” is cut off (${Math.round(x)} to ${Math.round(x + w)} of ${W})`).toBe(true);
        }
        if (prim.k === 'text') expect(prim.text).not.toMatch(/\ufffd|undefined|NaN/);
      }
    }
  });
  it('mentions only what it knows', () => {
    const c = FILMS[family][chapter]!;
    for (const lang of ['en', 'zh'] as const) {
      const vars = c.vars({ b: first().bundle, view: first().view, settings: { temperature: 1, top_k: 1, top_p: 1, seed: 1 }, step, steps: c.steps, p: 1, ...SIZES.wide, narrow: false, numbers: true, lang, t: (k) => k });
      for (const part of ['title', 'story', 'numbers']) for (const [, key] of (CATALOGUES[lang][`ch.${c.id}.${c.steps[step]!.text}.${part}`] ?? '').matchAll(/\{(\w+)\}/g)) {
        expect(vars, `${lang} ${name}.${part}`).toHaveProperty(key!);
        expect(vars[key!], key).not.toMatch(/NaN|undefined|\ufffd|…/);
      }
    }
  });
});

describe('softmax', () => {
  it('fills one bar: the slices add up to 1 at every moment', () => {
    const chapter = CHAPTERS.findIndex((c) => c.id === 'attention');
    const step = CHAPTERS[chapter]!.steps.findIndex((s) => s.id === 'softmax');
    const shares = cellsOf(draw(en.bundle, en.view, chapter, step, 1).list).filter((c) => c.site.endsWith('.pattern') && c.text !== '');
    const each = new Map(shares.map((c) => [c.index.join(), c.value]));
    expect([...each.values()].reduce((x, y) => x + y, 0)).toBeCloseTo(1, 5);
  });
});

describe('a click', () => {
  it('finds the cell that lies there, and the engine can say where it came from', async () => {
    const chapter = CHAPTERS.findIndex((c) => c.id === 'attention');
    const { list } = draw(en.bundle, en.view, chapter, CHAPTERS[chapter]!.steps.length - 5, 1);
    const target = list.find((p) => p.k === 'rect' && p.cell && isTraceSite(p.cell.site) && p.a > 0.9);
    if (!target || target.k !== 'rect' || !target.cell) throw new Error('no cell');
    const hit = cellAt(list, target.x + target.w / 2, target.y + target.h / 2);
    expect(hit?.datum.site).toBe(target.cell.site);
    const made = await engine.cell(en.bundle.trace.id, target.cell.site, target.cell.index, 1000);
    expect(made.recomputed).toBeCloseTo(target.cell.value, 4);
    expect(cellAt(list, -50, -50)).toBeNull();
  });
});

describe('the heads', () => {
  it('add up, with the bias, to attn_out', async () => {
    const chapter = CHAPTERS.findIndex((c) => c.id === 'attention');
    const step = CHAPTERS[chapter]!.steps.findIndex((s) => s.id === 'heads');
    const shown = cellsOf(draw(en.bundle, en.view, chapter, step, 1).list);
    const bias = await engine.weights(`blocks.${en.view.layer}.attn.b_O`, [0, 1], [0, 48]);
    for (const out of shown.filter((c) => c.site.endsWith('attn_out'))) {
      const dim = out.index[1] as number;
      // The last number of a head's cell is the entry of the stream that it adds to.
      const parts = shown.filter((c) => c.site === 'derived:head adds' && c.index[2] === dim);
      expect(parts.length).toBe(en.bundle.model.n_heads);
      expect(parts.reduce((s, c) => s + c.value, bias.data[dim] as number)).toBeCloseTo(out.value, 4);
    }
  });
});
