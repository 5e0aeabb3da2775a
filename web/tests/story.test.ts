import { resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { bare, excerpts, find } from '../build/rust-code';
import { readHash, writeHash } from '../src/app/hash';
import { chaptersOf, CHAPTERS } from '../src/chapters';
import { factsOf, type Facts } from '../src/chapters/family';
import type { Chapter, Frame, View } from '../src/chapters/types';
import { CATALOGUES, translate, type Lang } from '../src/i18n';
import { percent, prose } from '../src/i18n/format';
import { CODE, codeOf } from '../src/story/code';
import { pieces } from '../src/story/highlight';
import { QUESTIONS } from '../src/story/questions';
import { recapKeys } from '../src/story/recap';
import { shapeOf } from '../src/story/shapes';
import { cellAt } from '../src/marks/hit';
import { sumKey, valueAt, type Bundle } from '../src/trace/bundle';
import { bundleOf, draw, engine, filler, SETTINGS, SIZES, translator, turning } from './fixture';

interface Run {
  bundle: Bundle;
  view: View;
}

/** Chapters that this part of the page has texts for. */
const FAMILIES = [engine, turning, translator, filler];
const VARIANTS = ['translate', 'gaps'];
const TOLD = ['overview', 'tokenize', 'embed', 'attention', 'mlp', 'layers', 'unembed', 'generate', 'train'];
const told = (facts: Facts): Chapter[] => chaptersOf(facts).filter((c) => TOLD.includes(c.id) || VARIANTS.includes(c.id));

let runs: Run[];
let one: Run;
let others: Run[];
beforeAll(async () => {
  const long = 'Once upon a time, there was a little girl. She had a red ball and a big dog in the park. '.repeat(3);
  runs = await Promise.all([bundleOf('Once upon a time, there'), bundleOf('从前有一张床'), bundleOf(long), bundleOf('the dog, the cat, the dog'), bundleOf('Once upon a time, there', turning), bundleOf('从前有一张床', turning)]);
  others = await Promise.all([translator, filler].flatMap((from) => ['Once upon a time, there', '从前有一张床', long].map((text) => bundleOf(text, from))));
  one = await bundleOf('a');
});

function frame({ bundle, view }: Run, chapter: Chapter, lang: Lang = 'en'): Frame {
  return { b: bundle, view, settings: SETTINGS, step: 0, steps: chapter.steps, p: 0, ...SIZES.wide, narrow: false, numbers: true, lang, t: (k, v) => translate(lang, k, v) };
}
const chapterOf = (b: Bundle, id: string): Chapter => told(factsOf(b.model)).find((c) => c.id === id)!;

describe('the questions', () => {
  it('stand at a step that another follows, in every family', async () => {
    for (const family of FAMILIES)
      for (const c of told(factsOf(await family.model()))) {
        const at = c.steps.findIndex((s) => s.id === QUESTIONS[c.id]?.at);
        expect(at, c.id).toBeGreaterThanOrEqual(0);
        expect(at, c.id).toBeLessThan(c.steps.length - 1);
      }
  });
  it('can be told from the run, in both languages, with one right choice among different ones', () => {
    for (const run of [...runs, ...others]) for (const id of told(factsOf(run.bundle.model)).map((c) => c.id)) for (const lang of ['en', 'zh'] as const) {
      const q = QUESTIONS[id]!.make(frame(run, chapterOf(run.bundle, id), lang));
      if (id === 'tokenize' && !q) continue;
      expect(q, id).not.toBeNull();
      expect(q!.choices.length).toBeGreaterThanOrEqual(2);
      expect(q!.choices.length, 'keys A to E').toBeLessThanOrEqual(5);
      expect(new Set(q!.choices).size).toBe(q!.choices.length);
      expect(q!.figures[q!.right], id).not.toBe('');
      for (const part of ['ask', 'verdict']) {
        const text = translate(lang, `quiz.${id}.${part}`, q!.vars);
        expect(text, `${id}.${part}`).not.toMatch(/[{}]|undefined|NaN|Infinity|\ufffd|“”/);
      }
      for (const text of [...q!.choices, ...q!.figures]) expect(text).not.toMatch(/[{}]|undefined|NaN|Infinity|\ufffd/);
    }
  });
  it('ask nothing where there is nothing to choose', () => {
    for (const id of ['attention', 'tokenize']) expect(QUESTIONS[id]!.make(frame(one, chapterOf(one.bundle, id))), id).toBeNull();
  });
  it('have the answer that the trace has', () => {
    for (const run of runs) {
      const { bundle: b, view } = run;
      const ask = (id: string): NonNullable<ReturnType<(typeof QUESTIONS)[string]['make']>> => QUESTIONS[id]!.make(frame(run, chapterOf(b, id)))!;
      const shares = b.trace.tokens.map((_, k) => valueAt(b, `blocks.${view.layer}.pattern`, [view.head, view.token, k]));
      const attention = ask('attention');
      expect(attention.figures[attention.right]).toBe(percent(Math.max(...shares)));
      const overview = ask('overview');
      const likeliest = [...b.sample!.candidates].sort((x, y) => y.prob - x.prob)[0]!;
      expect(overview.choices[overview.right]).toBe(prose(likeliest));
      const mlp = ask('mlp');
      const on = Array.from({ length: b.model.d_ff }, (_, n) => valueAt(b, `blocks.${view.layer}.mlp_pre`, [view.token, n])).filter((v) => v > 0).length;
      const [from, to] = mlp.choices[mlp.right]!.split(' to ').map(Number) as [number, number];
      expect(on >= from && on <= to, `${on} in ${from} to ${to}`).toBe(true);
      expect(mlp.figures[mlp.right]).toBe(String(on));
      expect(ask('unembed').vars['figure']).toBe(String(b.sample!.kept));
      const rows = b.generated!.steps.reduce((n, s) => n + s.position, 0);
      expect(ask('generate').vars['figure']).toBe(String(rows));
      const near = ask('embed');
      const figures = near.figures.map((v) => Number(v.replace('−', '-')));
      expect(figures[near.right]).toBe(Math.max(...figures));
    }
  });
  it('give another question for another choice', () => {
    const run = runs[0]!;
    const at = (token: number): string => JSON.stringify(QUESTIONS['attention']!.make(frame({ ...run, view: { ...run.view, token } }, chapterOf(run.bundle, 'attention')))!.vars);
    expect(at(2)).not.toBe(at(3));
  });
});

describe('words of one’s own', () => {
  it('stand in the address and come back from it', () => {
    const saved = { text: 'a', chat: false, chapter: 'embed', t: 1, layer: 0, head: 0, token: 0, lang: 'en', depth: 'code', model: 'm', version: '1', settings: SETTINGS } as const;
    const back = readHash(writeHash({ ...saved, word: 7, sum: ['a & b', '男孩', 'c,d'] }));
    expect(back.sum).toEqual(['a & b', '男孩', 'c,d']);
    expect(back.word).toBe(7);
    expect(back.unknown).toBeUndefined();
    expect(readHash(writeHash(saved))).not.toHaveProperty('sum.length');
    expect(readHash('#sum=a&sum=b').sum).toBeUndefined();
  });
  it('that make no sum get the engine’s answer on the stage', () => {
    const run = runs[0]!;
    const words = ['x', 'y', 'z'] as const;
    run.bundle.sums.set(sumKey(words), { error: 'no such word' });
    const chapter = CHAPTERS.findIndex((c) => c.id === 'embed');
    const { list } = draw(run.bundle, { ...run.view, sum: words }, chapter, CHAPTERS[chapter]!.steps.length - 1, 1);
    expect(list.some((p) => p.k === 'text' && p.text.includes('no such word'))).toBe(true);
  });
  it('are found on the map where they are clicked', () => {
    const run = runs[0]!;
    const chapter = CHAPTERS.findIndex((c) => c.id === 'embed');
    const { list } = draw(run.bundle, run.view, chapter, CHAPTERS[chapter]!.steps.findIndex((s) => s.id === 'map'), 1);
    const dots = list.filter((p) => p.k === 'dots');
    expect(dots.reduce((n, p) => n + (p.k === 'dots' ? p.ids!.length : 0), 0)).toBe(run.bundle.model.vocab);
    const p = dots[0]!;
    if (p.k !== 'dots') throw new Error('no points');
    const hit = cellAt([p], p.x + p.points[6]!, p.y + p.points[7]!);
    expect(hit?.datum).toMatchObject({ site: 'pick:word', index: [p.ids![3]] });
    expect(cellAt([p], -50, -50)).toBeNull();
  });
});

describe('the recaps', () => {
  it('have three lines in both languages that mention only what the chapter knows', () => {
    for (const run of [...runs, ...others]) for (const c of told(factsOf(run.bundle.model))) {
      const keys = recapKeys(c.id, factsOf(run.bundle.model));
      expect(keys).toHaveLength(3);
      for (const lang of ['en', 'zh'] as const) for (const key of keys) {
        expect(CATALOGUES[lang], key).toHaveProperty([key]);
        expect(translate(lang, key, c.vars(frame(run, c, lang))), key).not.toMatch(/[{}]|undefined|NaN|\ufffd|…/);
      }
    }
  });
});

describe('the code', () => {
  const root = resolve(import.meta.dirname, '../..');
  it('is there for every step, and holds the lines that the step is about', async () => {
    const all = excerpts(root);
    const used = new Set<string>();
    for (const facts of await Promise.all(FAMILIES.map(async (family) => factsOf(await family.model()))))
      for (const c of told(facts)) for (const s of c.steps) {
        const own = codeOf(c.id, s.id, facts);
        used.add(`${c.id}.${s.id}`);
        expect(own?.code.length, `${c.id}.${s.id}`).toBeGreaterThan(0);
        for (const { of, marks } of own!.code) for (const mark of marks) expect(all[of]!.text, `${c.id}.${s.id}: ${of}`).toContain(mark);
      }
    expect(Object.keys(CODE).filter((k) => !used.has(k)), 'of no step').toEqual([]);
  });
  it('stands beside shapes of this run', () => {
    for (const { bundle, view } of [...runs, ...others]) for (const c of told(factsOf(bundle.model))) for (const s of c.steps)
      for (const name of codeOf(c.id, s.id, factsOf(bundle.model))!.shapes) {
        const shape = shapeOf(bundle, view.layer, name);
        expect(shape.sizes.every((n) => Number.isInteger(n) && n > 0), `${shape.name} ${shape.sizes}`).toBe(true);
        expect(shape.axes, shape.name).toHaveLength(shape.sizes.length);
      }
  });
  const RUST = ['//! fn a() { "{" }', 'impl Thing {', '    /// What a does.', '    #[inline]', '    pub(crate) fn a(&self, c: char) -> bool {', "        c == '{' || c == '\\'' // }", '    }', '}', "impl<'a> Other for Thing2<'a> {", '    fn a() -> &\'a str {', '        r#"}"#', '    }', '}', 'multiversion! {', '    pub fn b() { if true { b() } }', '}', 'fn b_more() {}'].join('\n');
  it('is cut at its own braces, with its doc comment and its line', () => {
    expect(find(RUST, 'Thing::a')).toEqual({ line: 3, text: "/// What a does.\n#[inline]\npub(crate) fn a(&self, c: char) -> bool {\n    c == '{' || c == '\\'' // }\n}" });
    expect(find(RUST, 'Thing2::a')).toEqual({ line: 10, text: 'fn a() -> &\'a str {\n    r#"}"#\n}' });
    expect(find(RUST, 'b')).toEqual({ line: 15, text: 'pub fn b() { if true { b() } }' });
    expect(bare(RUST).length).toBe(RUST.length);
  });
  it('stops the build where a name is no longer there, or stands twice', () => {
    expect(() => find(RUST, 'Thing::gone')).toThrow('0 functions are named Thing::gone');
    expect(() => find(RUST, 'a')).toThrow('0 functions');
    expect(() => find(`${RUST}\nfn b() {}`, 'b')).toThrow('2 functions');
  });
  it('is painted without losing a letter', () => {
    for (const { text } of Object.values(excerpts(root))) for (const line of text.split('\n')) expect(pieces(line).map((p) => p.text).join('')).toBe(line);
    expect(pieces("let x: &'a f32 = f(1.0); // half").map((p) => p.kind)).toEqual(['word', 'plain', 'type', 'plain', 'type', 'plain', 'call', 'plain', 'number', 'plain', 'comment']);
  });
});
