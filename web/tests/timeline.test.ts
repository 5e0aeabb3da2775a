import { describe, expect, it } from 'vitest';
import { CHAPTERS } from '../src/chapters';
import { Film } from '../src/app/player';
import { readHash, writeHash } from '../src/app/hash';
import { part, stagger } from '../src/timeline/ease';
import { advance, chapterLength, placeAt, readingTime, stepLength, stepStart } from '../src/timeline/timeline';

const film = new Film(CHAPTERS);
const STEPS = [{ id: 'a', seconds: 1 }, { id: 'b', seconds: 2 }];

describe('time', () => {
  it('rests, moves, rests in every step', () => {
    expect(placeAt(STEPS, 0)).toEqual({ step: 0, p: 0 });
    expect(placeAt(STEPS, stepLength(STEPS[0]!))).toEqual({ step: 0, p: 1 });
    expect(placeAt(STEPS, stepLength(STEPS[0]!) + 0.01)).toEqual({ step: 1, p: 0 });
    expect(placeAt(STEPS, 99)).toEqual({ step: 1, p: 1 });
  });
  it('never runs backwards in a step', () => {
    let last = -1;
    for (let t = 0; t <= chapterLength(STEPS); t += 0.05) {
      const { step, p } = placeAt(STEPS, t);
      expect(step + p).toBeGreaterThanOrEqual(last);
      last = step + p - (p === 1 ? 1e-9 : 0);
    }
  });
  it('holds at the end of a step unless it flows', () => {
    expect(advance(STEPS, 0, 10, false)).toEqual({ t: stepLength(STEPS[0]!), held: true, ended: false });
    expect(advance(STEPS, stepStart(STEPS, 1) + 0.1, 10, false)).toEqual({ t: chapterLength(STEPS), held: true, ended: true });
    expect(advance(STEPS, 0, 10, true)).toEqual({ t: chapterLength(STEPS), held: false, ended: true });
    expect(advance(STEPS, 0, 0.1, false).held).toBe(false);
  });
  it('is the same for the same moment, whatever came before', () => {
    for (const t of [0.3, 2, 1.1, 0.3, 2]) expect(placeAt(STEPS, t)).toEqual(placeAt(STEPS, t));
  });
});

describe('the film', () => {
  it('goes through every step once, forwards and backwards', () => {
    const count = CHAPTERS.reduce((n, c) => n + c.steps.length, 0);
    let place = { chapter: 0, t: 0 };
    const seen = new Set<string>();
    const note = (): void => void seen.add(`${place.chapter}.${film.place(place).step}`);
    note();
    for (let i = 1; i < count; i++) {
      place = film.next(place);
      note();
      expect(film.place(place).p).toBe(0);
    }
    expect(seen.size).toBe(count);
    for (let i = 1; i < count; i++) {
      place = film.prev(place);
      expect(film.atStepEnd(place)).toBe(true);
    }
    expect(place.chapter).toBe(0);
    expect(film.place(place).step).toBe(0);
  });
  it('finds every moment again from the scrubber', () => {
    for (let time = 0; time < film.total; time += 1.37) expect(film.time(film.atTime(time))).toBeCloseTo(time, 9);
    expect(film.atTime(-5)).toEqual({ chapter: 0, t: 0 });
    expect(film.time(film.atTime(1e9))).toBeCloseTo(film.total, 9);
  });
  it('seeks to a step by its progress', () => {
    expect(film.place(film.momentOf(3, 4, 0.5)).step).toBe(4);
    expect(film.place(film.momentOf(3, 4, 0.5)).p).toBeCloseTo(0.5, 2);
    expect(film.place(film.endOf(2, 1))).toEqual({ step: 1, p: 1 });
    expect(film.place(film.startOf(2, 1))).toEqual({ step: 1, p: 0 });
  });
  it('gives time to read', () => expect(readingTime('x'.repeat(200), 'en')).toBeGreaterThan(6));
});

describe('easing', () => {
  it('begins at 0, ends at 1 and stays within', () => {
    expect(part(0.2, 0.2, 0.8)).toBe(0);
    expect(part(0.8, 0.2, 0.8)).toBe(1);
    for (let i = 0; i < 7; i++) {
      expect(stagger(0, i, 7)).toBe(0);
      expect(stagger(1, i, 7)).toBe(1);
    }
  });
});

describe('the address', () => {
  it('restores what it was made from', () => {
    const saved = { text: '从前有一只小 & a "dog"', chat: true, chapter: 'attention', t: 12.34, layer: 2, head: 3, token: 4, lang: 'zh' as const, depth: 'formula', model: 'builtin', version: '0.1.0', settings: { temperature: 0.8, top_k: 40, top_p: 0.95, seed: 7 } };
    expect(readHash(writeHash(saved))).toEqual(saved);
  });
  it('survives nonsense', () => {
    expect(readHash('#t=abc&layer=-1&head=x&lang=fr&seed=1e999')).toEqual({ text: undefined, chapter: undefined, t: undefined, layer: undefined, head: undefined, token: undefined, lang: undefined, depth: undefined, settings: {} });
  });
});
