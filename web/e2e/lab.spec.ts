// The lab on the real page: each change is the engine's, is seen, can be undone, and stands in the link.
import AxeBuilder from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import { parseSafetensors, type Tensor } from '../src/trace/safetensors';
import { open, ready, seek, watch } from './stage';

const TEXT = 'Once upon a time, there was a little dog';
const HASH = `#lang=en&text=${encodeURIComponent(TEXT)}&ch=attention&layer=1&head=0`;

async function tensor(page: Page, site: string): Promise<Tensor> {
  const id = await page.evaluate(() => window.__glassformer?.traceId ?? '');
  const answer = await page.request.get(`./api/trace/${id}/tensors?sites=${site}`);
  const body = await answer.body();
  return parseSafetensors(body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength) as ArrayBuffer).get(site) as Tensor;
}
async function changed(page: Page, act: () => Promise<void>): Promise<void> {
  const before = await page.evaluate(() => window.__glassformer?.traceId);
  await act();
  await page.waitForFunction((id) => window.__glassformer?.traceId !== id, before);
  await ready(page);
}
const at = (t: Tensor, ...index: number[]): number => t.data[index.reduce((place, i, axis) => place * (t.shape[axis] ?? 1) + i, 0)] ?? NaN;

test('a head that is switched off is off, what follows is shown, and the link and the undo know it', async ({ page }) => {
  const seen = watch(page);
  await open(page, HASH);
  const plain = await tensor(page, 'logits');
  await page.keyboard.press('l');
  await expect(page.getByTestId('lab')).toBeVisible();
  await expect(page.getByTestId('difference')).toHaveCount(0);
  await changed(page, () => page.getByTestId('head-1-0').click());
  await changed(page, () => page.getByTestId('mlp-0').click());
  await seek(page, 'layers', 'lens');
  const z = await tensor(page, 'blocks.1.z');
  const width = z.shape[2] ?? 0;
  for (let e = 0; e < width; e++) expect(Math.abs(at(z, 3, 0, e))).toBe(0);
  expect(Array.from((await tensor(page, 'blocks.0.mlp_out')).data).every((v) => v === 0)).toBe(true);
  await expect(page.getByTestId('badge-edited')).toContainText('2');
  await expect(page.getByTestId('difference')).toContainText('→');
  const edited = await tensor(page, 'logits');
  expect(Array.from(edited.data)).not.toEqual(Array.from(plain.data));
  await page.waitForFunction(() => location.hash.includes('edits='));

  await page.reload();
  await ready(page);
  await expect(page.getByTestId('edits').locator('li')).toHaveCount(2);
  expect(Array.from((await tensor(page, 'logits')).data)).toEqual(Array.from(edited.data));
  await changed(page, () => page.getByTestId('undo-all').click());
  await expect(page.getByTestId('difference')).toHaveCount(0);
  expect(Array.from((await tensor(page, 'logits')).data)).toEqual(Array.from(plain.data));
  await page.waitForFunction(() => !location.hash.includes('edits='));
  expect(seen).toEqual({ foreign: [], errors: [] });
});

test('a cell of the mask is closed and opened', async ({ page }) => {
  await open(page, HASH);
  await page.getByTestId('open-lab').click();
  await page.getByTestId('open-mask').click();
  await changed(page, () => page.getByTestId('mask-4-2').click());
  await changed(page, () => page.getByTestId('mask-1-3').click());
  const pattern = await tensor(page, 'blocks.1.pattern');
  expect(at(pattern, 0, 4, 2)).toBe(0);
  expect(at(pattern, 0, 1, 3)).toBeGreaterThan(0);
  expect(at(pattern, 1, 1, 3)).toBe(0);
  // Once more gives the mask back its own.
  await changed(page, () => page.getByTestId('mask-4-2').click());
  await expect(page.getByTestId('edits').locator('li')).toHaveCount(1);
  // The first query has one key, which it must keep: a line says so, and all stays as it was.
  await page.getByTestId('mask-0-0').click();
  await expect(page.getByTestId('banner')).toContainText('leave it one key');
  await expect(page.getByTestId('edits').locator('li')).toHaveCount(1);
});

test('a number and a weight are set by hand', async ({ page }) => {
  await open(page, HASH);
  await page.getByTestId('open-lab').click();
  await page.evaluate(() => window.__glassformer?.inspect('blocks.1.mlp_out', [3, 5]));
  await expect(page.getByTestId('hand-name')).toContainText('blocks.1.mlp_out[3, 5]');
  await page.getByTestId('hand-value').fill('4.5');
  await changed(page, () => page.getByTestId('hand-set').click());
  expect(at(await tensor(page, 'blocks.1.mlp_out'), 3, 5)).toBe(4.5);
  await page.evaluate(() => window.__glassformer?.inspect('blocks.1.attn_out', [3, 5]));
  const weight = page.getByTestId('pick-weight').first();
  const before = at(await tensor(page, 'blocks.1.attn_out'), 3, 5);
  await weight.click();
  await expect(page.getByTestId('hand-name')).toContainText('W_O');
  await page.getByTestId('hand-value').fill('2');
  await changed(page, () => page.getByTestId('hand-set').click());
  expect(at(await tensor(page, 'blocks.1.attn_out'), 3, 5)).not.toBe(before);
});

test('the state of another text is pasted in', async ({ page }) => {
  await open(page, HASH);
  await page.getByTestId('open-lab').click();
  const plain = await tensor(page, 'blocks.3.resid_post');
  await page.getByTestId('open-paste').click();
  await page.getByTestId('paste-text').fill('The big red ball');
  await changed(page, () => page.getByTestId('paste-go').click());
  const pasted = await tensor(page, 'blocks.3.resid_post');
  const last = (pasted.shape[0] ?? 1) - 1;
  expect(at(pasted, last, 0)).not.toBe(at(plain, last, 0));
  expect(at(pasted, last - 1, 0)).toBe(at(plain, last - 1, 0));
});

test('two prompts stand side by side at the same moment, and the link knows it', async ({ page }) => {
  const seen = watch(page);
  await open(page, `${HASH}&vs=${encodeURIComponent('Once upon a time, there was a big')}`);
  for (const [chapter, step] of [['tokenize', 'tokens'], ['attention', 'softmax'], ['layers', 'lens'], ['unembed', 'cut'], ['generate', 'loop']] as const) {
    await page.evaluate(([c, s]) => window.__glassformer?.seek(c as string, s as string), [chapter, step] as const);
    await ready(page);
    await expect(page.getByTestId('stage')).toBeVisible();
    await expect(page.getByTestId('stage-right')).toBeVisible();
  }
  await expect(page.getByTestId('difference')).toContainText('Likelier after B');
  await page.getByTestId('end-compare').click();
  await expect(page.getByTestId('stage-right')).toHaveCount(0);
  expect(seen).toEqual({ foreign: [], errors: [] });
});

for (const theme of ['light', 'dark'] as const) {
  test(`the lab can be used by everyone (${theme})`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: 'reduce' });
    const edits = encodeURIComponent(JSON.stringify([{ kind: 'off', part: 'blocks.0.mlp' }]));
    for (const hash of [`${HASH}&edits=${edits}`, `${HASH}&edits=${edits}&vs=There`]) {
      await open(page, hash);
      const closed = page.getByTestId('lab').locator('details:not([open]) > summary');
      while (await closed.count()) await closed.first().click();
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' ')}`)).toEqual([]);
    }
  });
}
