// One film of several models: which chapters it has, and what changes when somebody goes to another model's.
import { beforeEach, describe, expect, it } from 'vitest';
import { askedModel, tellers, filmOf } from '../src/app/doors';
import { readHash } from '../src/app/hash';
import { follow } from '../src/app/link';
import { kin, open, readsBoth, translateBack } from '../src/app/models';
import { Store } from '../src/app/store.svelte';
import type { ModelInfo } from '../src/trace/wire';
import { among, engine, filler, translator, turning } from './fixture';

const [own, pair, gaps, llama] = await Promise.all([engine.model(), translator.model(), filler.model(), turning.model()]);
const other = { ...llama, name: 'llama' };
const trained = { ...own, name: 'trained-1' };
const told = (page: ModelInfo, models: readonly ModelInfo[]): string =>
  filmOf(tellers([page], models))
    .chapters.map((c) => `${c.number}${c.kind === page.kind ? '' : '*'}`)
    .join(' ');

describe('the film', () => {
  it('has the chapters of all kinds of models, in their order, whichever has the page', () => {
    expect(told(own, [own])).toBe('0 1 2 3 4 5 6 7 8');
    expect(told(own, [own, pair])).toBe('0 1 2 3 4 5 6 7 8 9*');
    expect(told(pair, [own, pair])).toBe('0* 1* 2* 3* 4* 5* 6* 7* 8* 9');
    expect(told(pair, [pair, own])).toBe('0* 1* 2* 3* 4* 5* 6* 7* 8* 9');
    expect(told(gaps, [own, pair, gaps])).toBe('0* 1* 2* 3* 4* 5* 6* 7* 8* 9* 9');
    expect(told(pair, [pair])).toBe('9');
    expect(told(own, [own, other, trained])).toBe('0 1 2 3 4 5 6 7 8');
  });
  it('is told by the model that has or had the page, else by the first that was given', () => {
    const names = (open: ModelInfo[], models: ModelInfo[]): string[] => tellers(open, models).map((m) => m.name);
    expect(names([pair, other], [own, other, pair])).toEqual(['llama', pair.name]);
    expect(names([pair], [own, other, pair])).toEqual([own.name, pair.name]);
    expect(names([pair, trained], [own, pair, trained])).toEqual(['trained-1', pair.name]);
    // One that the server has no longer.
    expect(names([pair, trained], [own, pair])).toEqual([own.name, pair.name]);
    expect(names([pair], [trained, pair])).toEqual([pair.name]);
  });
});

describe('a link', () => {
  const opens = (hash: string, models = [own, other, pair]): string => askedModel(readHash(hash), models).name;
  it('opens the model that it names, or the one that tells its chapter, or the server’s own', () => {
    expect(opens('#')).toBe(own.name);
    expect(opens('#ch=attention&model=llama')).toBe('llama');
    expect(opens('#ch=translate')).toBe(pair.name);
    expect(opens(`#ch=translate&model=${pair.name}`)).toBe(pair.name);
    // Made where the translator had another name, or none has the chapter.
    expect(opens('#ch=translate&model=elsewhere')).toBe(pair.name);
    expect(opens('#ch=gaps&model=llama')).toBe('llama');
    expect(opens('#ch=mlp', [pair, own])).toBe(own.name);
    expect(opens('#', [pair, own])).toBe(pair.name);
  });
});

describe('the models to change to', () => {
  it('are of the same kind, and none where the lab lays them side by side', () => {
    const back = { ...pair, name: 'the other direction' };
    expect(kin(pair, [own, pair, back]).map((m) => m.name)).toEqual([pair.name, back.name]);
    expect(kin(own, [own, other, pair])).toEqual([]);
    // A link opened it: there is a way back.
    expect(kin(other, [own, other, pair, trained]).map((m) => m.name)).toEqual([own.name, 'llama']);
  });
  it('in the lab are those that go on with a text', async () => {
    const store = new Store(among([engine, turning, translator]));
    await store.start('#lang=en&text=Once');
    expect(await store.lab.models()).toEqual([own.name, 'mock llama']);
  });
});

describe('the page', () => {
  let store: Store;
  const settled = async (): Promise<void> => {
    for (let i = 0; i < 200 && (store.busy || store.crossing); i++) await new Promise((r) => setTimeout(r, 5));
  };
  const at = (): unknown[] => [store.model?.name, store.chapter.id, store.text];
  const chapter = (id: string): number => store.film.chapters.findIndex((c) => c.id === id);
  beforeEach(async () => {
    store = new Store(among([engine, translator]));
    await store.start('#lang=en&ch=train&text=Once%20upon');
  });

  it('changes to the translator and back, each with its own text and choice', async () => {
    expect(at()).toEqual([own.name, 'train', 'Once upon']);
    store.setView({ head: 2 });
    store.goChapter(chapter('translate'));
    // Until the run has come, nothing changes but what is waited for.
    expect(at()).toEqual([own.name, 'train', 'Once upon']);
    expect([store.complete, store.crossing?.chapter]).toEqual([false, 9]);
    await settled();
    expect(at()).toEqual([pair.name, 'translate', pair.default_text.en]);
    expect([store.bundle?.model.name, store.jumps, store.complete]).toEqual([pair.name, 1, true]);
    expect(store.address()).toContain('ch=translate');
    store.text = 'there was a little';
    await store.run();
    store.prev();
    await settled();
    expect(at()).toEqual([own.name, 'train', 'Once upon']);
    expect([store.view.head, store.playing]).toEqual([2, false]);
    store.next();
    await settled();
    expect(at()).toEqual([pair.name, 'translate', 'there was a little']);
    expect(store.playing).toBe(true);
  });

  it('begins the other model in the language of the page', async () => {
    store.lang = 'zh';
    store.goChapter(9);
    await settled();
    expect(at()).toEqual([pair.name, 'translate', pair.default_text.zh]);
    store.lang = 'en';
    expect([store.offered, store.otherDefault]).toEqual([pair.default_text.en, true]);
  });

  it('stays with its own model for who comes back before the other has come', async () => {
    store.goChapter(9);
    store.seek(store.film.startOf(3, 0), false);
    expect([store.busy, store.crossing]).toEqual([false, null]);
    await new Promise((r) => setTimeout(r, 60));
    expect(at()).toEqual([own.name, 'attention', 'Once upon']);
    expect(store.left.size).toBe(0);
  });

  it('goes where somebody scrubs to while the model is on its way', async () => {
    store.seek({ chapter: 9, t: 1 }, false);
    store.seek({ chapter: 9, t: 6 }, false);
    await settled();
    expect([store.place.chapter, Math.round(store.place.t), store.playing]).toEqual([9, 6, false]);
  });

  it('goes back by its addresses', async () => {
    const before = store.address();
    store.goChapter(9);
    await settled();
    const there = store.address();
    await follow(store, before, {});
    expect(at()).toEqual([own.name, 'train', 'Once upon']);
    await follow(store, there, {});
    expect(at()).toEqual([pair.name, 'translate', pair.default_text.en]);
    expect(store.jumps, 'Back and forward are no jumps').toBe(1);
  });

  it('shows the door of a chapter to who opens a link into it', async () => {
    const next = new Store(among([engine, translator]));
    await next.start('#lang=en&ch=translate&t=9');
    expect([next.model?.name, next.chapter.id, next.text, next.playing]).toEqual([pair.name, 'translate', pair.default_text.en, false]);
    expect(next.place.t).toBeCloseTo(9);
  });

  it('takes what was written as the text', async () => {
    expect([readsBoth(pair), readsBoth(own), readsBoth({ ...pair, default_text: { en: 'a', zh: 'a' } })]).toEqual([true, false, false]);
    store.goChapter(9);
    await settled();
    const written = store.bundle?.trace.target?.text ?? '';
    expect(written).not.toBe('');
    translateBack(store);
    await settled();
    expect([store.text, store.bundle?.asked.text, store.jumps]).toEqual([written, written, 2]);
  });

  it('opens a model by its name at the same step', async () => {
    store = new Store(among([engine, turning, translator]));
    await store.start('#lang=en&ch=attention&t=12');
    const step = store.chapter.steps[store.step]?.id;
    await open(store, 'mock llama', 'Once');
    expect([...at(), store.chapter.steps[store.step]?.id]).toEqual(['mock llama', 'attention', 'Once', step]);
    // What that one told, it tells again.
    store.goChapter(9);
    await settled();
    store.goChapter(3);
    await settled();
    expect(at()).toEqual(['mock llama', 'attention', 'Once']);
  });
});
