// The lab: what an address says of it, what two runs say differently, and the untouched run behind an edited one.
import { beforeAll, describe, expect, it } from 'vitest';
import { alongLayers, comparable, difference, likeliest } from '../src/app/lab/difference';
import { describe as inWords, isOfText, layerOff, parts, readLab, toggle, toggleLayer, withEdit, without, placeOf, writeLab, type Edit } from '../src/app/lab/edits';
import { CHAPTERS } from '../src/chapters';
import { translate } from '../src/i18n';
import { cellsOf } from '../src/marks/hit';
import { toSvg } from '../src/marks/svg';
import { row, type Bundle } from '../src/trace/bundle';
import type { View } from '../src/chapters/types';
import { bundleOf, draw, engine, SIZES } from './fixture';

const ALL: Edit[] = [
  { kind: 'off', part: 'blocks.2.head.3' },
  { kind: 'set', site: 'blocks.1.mlp_post', at: [5, 17], to: -3.5 },
  { kind: 'mask', layer: 1, head: 2, query: 4, key: 1, allow: false },
  { kind: 'mask', query: 1, key: 4, allow: true },
  { kind: 'weight', name: 'blocks.0.attn.W_Q', at: [3, 5], to: 0.25 },
  { kind: 'paste', site: 'blocks.3.resid_post', to: 5, text: '<b>狗</b> & "cat"', from: 2 },
];

describe('an address', () => {
  it('restores edits and the second prompt', () => {
    for (const lab of [{ edits: ALL, other: 'b & c=d 床', otherModel: '' }, { edits: [], other: 'b', otherModel: 'a b&c.gguf (2)' }]) expect(readLab(`#text=a${writeLab(lab)}`)).toEqual(lab);
    expect(writeLab({ edits: [], other: '', otherModel: 'x' })).toBe('');
  });
  it('that is broken opens without what cannot be understood', () => {
    for (const text of ['{', '3', 'null', '[{}]', '[{"kind":"set","site":"q","at":[-1],"to":1}]', '[{"kind":"off"}]', '[{"kind":"mask","query":0.5,"key":0,"allow":true}]', '[{"kind":"weight","name":"W_E","at":[1],"to":1}]'])
      expect(readLab(`#edits=${encodeURIComponent(text)}`).edits, text).toEqual([]);
    expect(readLab(`#edits=${encodeURIComponent(JSON.stringify([ALL[0], { kind: 'later' }]))}`).edits).toEqual([ALL[0]]);
  });
});

describe('edits', () => {
  it('of one place replace each other, and are undone one by one', () => {
    const newer: Edit = { kind: 'set', site: 'blocks.1.mlp_post', at: [5, 17], to: 9 };
    const list = withEdit(ALL, newer);
    expect(list.length).toBe(ALL.length);
    expect(list.at(-1)).toBe(newer);
    expect(without(list, placeOf(newer)).length).toBe(ALL.length - 1);
  });
  it('switch a layer off and on again', () => {
    const off = toggleLayer([parts.attn(1)], 1);
    expect(off).toEqual([parts.attn(1), parts.mlp(1)]);
    expect(layerOff(off, 1) && !layerOff(off, 0)).toBe(true);
    expect(toggleLayer(off, 1)).toEqual([]);
    expect(toggle(toggle([], parts.head(0, 1)), parts.head(0, 1))).toEqual([]);
  });
  it('that name a place of the text are known, and all can be said in words', () => {
    expect(ALL.filter(isOfText).length).toBe(4);
    for (const lang of ['en', 'zh'] as const) for (const e of ALL) expect(inWords(e, (k, v) => translate(lang, k, v))).not.toMatch(/lab\.|\{|undefined/);
  });
});

describe('an edited run', () => {
  const TEXT = 'Once upon a time, there';
  let plain: { bundle: Bundle; view: View };
  let edited: { bundle: Bundle; view: View };
  beforeAll(async () => {
    plain = await bundleOf(TEXT);
    edited = await bundleOf(TEXT, engine, [parts.head(1, 1), parts.head(0, 0)]);
  });
  const steps = CHAPTERS.flatMap((c, i) => c.steps.map((s, j) => [`${c.id}.${s.id}`, i, j] as const));
  const DRAWN = ['attention.softmax', 'attention.values', 'attention.heads', 'attention.add', 'attention.wall', 'layers.changes', 'layers.lens', 'layers.last', 'unembed.last', 'unembed.logits', 'unembed.cut'];

  it.each(steps.filter(([name]) => DRAWN.includes(name)))('%s has the untouched run behind it', async (name, chapter, step) => {
    const with_ = draw(edited.bundle, edited.view, chapter, step, 1, 'wide', 'en', plain.bundle);
    const alone = draw(edited.bundle, edited.view, chapter, step, 1);
    expect(with_.list.length).toBeGreaterThan(alone.list.length);
    await expect(toSvg(with_.list, SIZES.wide.W, SIZES.wide.H, 'light')).toMatchFileSnapshot(`./pictures/ghost.${name}.svg`);
  });
  // A lesson is of the model, which edits leave as it is.
  const ofTheUntouched = steps.filter(([name]) => name.startsWith('train.'));
  it.each(ofTheUntouched)('%s shows the untouched run itself', (_, chapter, step) => {
    const list = (d: ReturnType<typeof draw>): unknown => d.list;
    expect(list(draw(edited.bundle, edited.view, chapter, step, 1, 'wide', 'en', plain.bundle))).toEqual(list(draw(plain.bundle, plain.view, chapter, step, 1)));
  });
  it.each(steps.filter((s) => !ofTheUntouched.includes(s)))('%s shows the same numbers with a ghost as without, and breaks nothing', (_, chapter, step) => {
    for (const size of ['wide', 'narrow'] as const) for (const p of [0.3, 0.7, 1]) {
      const { list } = draw(edited.bundle, edited.view, chapter, step, p, size, 'en', plain.bundle);
      // Of words there may be fewer: the old ones need room.
      const numbers = cellsOf(draw(edited.bundle, edited.view, chapter, step, p, size).list).map((c) => `${c.site}[${c.index.join()}]=${c.text}`);
      for (const c of cellsOf(list)) expect(numbers).toContain(`${c.site}[${c.index.join()}]=${c.text}`);
      for (const prim of list) {
        if (prim.k === 'path') expect(prim.d).not.toMatch(/NaN|undefined|Infinity/);
        else expect(Number.isFinite(prim.x) && Number.isFinite(prim.y)).toBe(true);
      }
    }
  });
  it('that is the untouched one has no ghost in sight', () => {
    for (const [name, chapter, step] of steps.filter(([name]) => ['attention.softmax', 'attention.wall', 'unembed.last', 'unembed.cut'].includes(name)))
      expect(draw(plain.bundle, plain.view, chapter, step, 1, 'wide', 'en', plain.bundle).list, name).toEqual(draw(plain.bundle, plain.view, chapter, step, 1).list);
  });
  it('differs by what its logits say', () => {
    const d = difference(plain.bundle, edited.bundle)!;
    const last = plain.bundle.trace.tokens.length - 1;
    const softmax = (b: Bundle): number[] => {
      const e = Array.from(row(b, 'logits', [last]), Math.exp);
      const sum = e.reduce((a, v) => a + v, 0);
      return e.map((v) => v / sum);
    };
    const [p, q] = [softmax(plain.bundle), softmax(edited.bundle)];
    for (const c of [...d.risen, ...d.fallen, ...d.tops]) {
      expect(c.before).toBeCloseTo(p[c.id]!, 9);
      expect(c.after).toBeCloseTo(q[c.id]!, 9);
    }
    expect(d.tops[0].before).toBeCloseTo(Math.max(...p), 9);
    expect(d.tops[1].after).toBeCloseTo(Math.max(...q), 9);
    expect(d.risen.every((c) => c.after > c.before) && d.fallen.every((c) => c.after < c.before)).toBe(true);
    expect(d.moved).toBeGreaterThan(0);
    expect(difference(plain.bundle, plain.bundle)!).toMatchObject({ risen: [], fallen: [], moved: 0 });
  });
  it('of another model is set beside it by its guess alone', () => {
    const other = { ...edited.bundle, model: { ...edited.bundle.model, name: 'another' } };
    expect(comparable(plain.bundle, edited.bundle)).toBe(true);
    expect(comparable(plain.bundle, other)).toBe(false);
    const { tops } = difference(plain.bundle, edited.bundle)!;
    expect(likeliest(plain.bundle)).toMatchObject({ id: tops[0].id, share: tops[0].before });
    expect(likeliest(other)).toMatchObject({ id: tops[1].id, share: tops[1].after });
    expect(likeliest({ ...other, sample: undefined })).toBeNull();
  });
  it('goes another way from the edited layer on', () => {
    const [first, second] = alongLayers(plain.bundle, edited.bundle, last(), last());
    expect(first!.cosine).toBeLessThan(1);
    expect(second!.cosine).toBeLessThan(first!.cosine);
    for (const l of alongLayers(plain.bundle, plain.bundle, 1, 1)) expect(l.cosine).toBeCloseTo(1, 6);
  });
  const last = (): number => plain.bundle.trace.tokens.length - 1;
});
