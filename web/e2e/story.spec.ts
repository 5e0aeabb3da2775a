// Questions, recaps and the Code depth, in the real page.
import AxeBuilder from '@axe-core/playwright';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from '@playwright/test';
import { QUESTIONS } from '../src/story/questions';
import { parseSafetensors } from '../src/trace/safetensors';
import { percent } from '../src/i18n/format';
import { chapters, open, seek, where } from './stage';

test('each chapter asks before it shows; the answer is checked, and nothing moves when it comes', async ({ page }) => {
  for (const lang of ['en', 'zh'] as const) {
    await page.goto('about:blank');
    await open(page, `#lang=${lang}`);
    for (const chapter of (await chapters(page)).filter((c) => c.id in QUESTIONS)) {
      await seek(page, chapter.id, QUESTIONS[chapter.id]!.at);
      const question = page.getByTestId('question');
      await expect(question, chapter.id).toBeVisible();
      const verdict = page.getByTestId('verdict');
      await expect(verdict).toBeEmpty();
      const [before, stage] = [await question.boundingBox(), await page.getByTestId('stage').boundingBox()];
      await page.getByTestId('choice-0').focus();
      await page.keyboard.press(lang === 'en' ? 'b' : 'Enter');
      await expect(verdict).toContainText(/\d/);
      await expect(verdict).not.toContainText(/[{}]|undefined|NaN/);
      expect((await question.boundingBox())?.height, `${lang} ${chapter.id} grows`).toBe(before?.height);
      expect(await page.getByTestId('stage').boundingBox()).toEqual(stage);
      // It can be given once.
      const said = await verdict.innerText();
      await page.keyboard.press('c');
      expect(await verdict.innerText()).toBe(said);
      // The step that answers it still shows the verdict.
      const at = chapter.steps.indexOf(QUESTIONS[chapter.id]!.at);
      await seek(page, chapter.id, chapter.steps[at + 1] as string);
      await expect(verdict).toHaveText(said);
    }
  }
});

test('the verdict has the figure of the trace', async ({ page }) => {
  await open(page, '#lang=en&layer=2&head=1&token=5');
  await seek(page, 'attention', 'guess');
  const id = await page.evaluate(() => window.__glassformer?.traceId ?? '');
  const body = await (await page.request.get(`./api/trace/${id}/tensors?sites=blocks.2.pattern`)).body();
  const pattern = parseSafetensors(body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength) as ArrayBuffer).get('blocks.2.pattern')!;
  const T = pattern.shape[2]!;
  const shares = [...pattern.data.subarray((1 * T + 5) * T, (1 * T + 5) * T + 6)];
  await page.getByTestId('choice-0').click();
  await expect(page.getByTestId('verdict')).toContainText(percent(Math.max(...shares)));
});

test('a question can be skipped and never stands in the way', async ({ page }) => {
  await open(page, '#lang=en');
  await seek(page, 'mlp', 'ask');
  await page.getByTestId('skip').click();
  await expect(page.getByTestId('question')).toBeHidden();
  await seek(page, 'attention', 'guess');
  await page.keyboard.press('ArrowRight');
  expect((await where(page)).step).toBe('goal');
  await expect(page.getByTestId('question'), 'unanswered it goes away').toBeHidden();
});

test('a chapter ends with three lines and the way on', async ({ page }) => {
  await open(page, '#lang=en');
  for (const chapter of (await chapters(page)).filter((c) => c.id in QUESTIONS)) {
    await seek(page, chapter.id, chapter.steps[chapter.steps.length - 2] as string);
    await expect(page.getByTestId('recap')).toBeHidden();
    await seek(page, chapter.id, chapter.steps[chapter.steps.length - 1] as string);
    await expect(page.getByTestId('recap').locator('li')).toHaveCount(3);
    await expect(page.getByTestId('recap')).not.toContainText(/[{}]|undefined|NaN/);
  }
  await seek(page, 'tokenize', 'cost');
  await page.getByTestId('recap-next').click();
  expect((await where(page)).chapter).toBe('embed');
});

test('the Code depth shows the lines that stand in the repository, and the shapes of this run', async ({ page }) => {
  await open(page, '#lang=en&depth=code');
  const root = resolve(import.meta.dirname, '../..');
  for (const chapter of (await chapters(page)).filter((c) => c.id in QUESTIONS)) {
    for (const step of chapter.steps) {
      await seek(page, chapter.id, step);
      const figures = page.getByTestId('code').locator('figure');
      await expect(figures.first(), `${chapter.id}.${step}`).toBeVisible();
      for (const figure of await figures.all()) {
        const source = readFileSync(resolve(root, await figure.locator('b').first().innerText()), 'utf8').split('\n').map((l) => l.trim());
        const lines = await figure.locator('.line').evaluateAll((all) => all.map((l) => [Number(l.querySelector('i')?.textContent), l.querySelector('code')?.textContent ?? ''] as const));
        for (const [n, text] of lines) expect(text.trim(), `${chapter.id}.${step}, line ${n}`).toBe(source[n - 1]);
      }
    }
  }
  await seek(page, 'attention', 'keys');
  await expect(page.getByTestId('code').locator('tr').filter({ hasText: /^W_K/ })).toContainText('192 × 192');
  await expect(page).toHaveURL(/depth=code/);
});

test('the map, the cosines and the sum are those of the engine, with words of one’s own', async ({ page }) => {
  await open(page, '#lang=en');
  await seek(page, 'embed', 'own');
  await page.waitForFunction(() => (window.__glassformer?.derived().length ?? 0) > 9);
  const shown = await page.evaluate(() => window.__glassformer?.derived() ?? []);
  const ids = [...new Set(shown.map((c) => c.index[0]))];
  const { cosines } = (await (await page.request.get(`./api/cosines?ids=${ids.join()}`)).json()) as { cosines: number[][] };
  for (const c of shown) expect(c.value).toBeCloseTo(cosines[ids.indexOf(c.index[0])]![ids.indexOf(c.index[1]!)]!, 5);
  await seek(page, 'embed', 'sum');
  for (const [name, word] of [['a', 'his'], ['b', 'he'], ['c', 'she']] as const) await page.getByTestId(`word-${name}`).fill(word);
  await page.getByTestId('word-c').press('Enter');
  await expect(page.getByTestId('narration')).toContainText('his − he + she');
  const sum = (await (await page.request.get('./api/sum?a=his&b=he&c=she')).json()) as { neighbours: { id: number; text: string; cosine: number }[]; left_out: { id: number }[] };
  await expect(page.getByTestId('narration')).toContainText(`“${sum.neighbours[0]!.text.trim()}”`);
  await page.waitForFunction((id) => window.__glassformer?.derived().some((c) => c.site === 'sum:cosine' && c.index[0] === id), sum.neighbours[0]!.id);
  for (const out of sum.left_out) expect(sum.neighbours.map((n) => n.id)).not.toContain(out.id);
  // The link brings the words back.
  await page.waitForTimeout(300);
  const address = page.url();
  await page.goto('about:blank');
  await open(page, new URL(address).hash);
  await seek(page, 'embed', 'sum');
  await expect(page.getByTestId('word-a')).toHaveValue('his');
  const refused = await page.request.get('./api/map?ids=999999');
  expect(refused.status()).toBe(400);
  expect(((await refused.json()) as { error: string }).error).toMatch(/999999.*4096/);
});

test('a point of the map that is clicked says who it is', async ({ page }) => {
  await open(page, '#lang=en');
  await seek(page, 'embed', 'map');
  await page.waitForFunction(() => (window.__glassformer?.derived() ?? []).some((c) => c.site === 'map:share'));
  const box = (await page.getByTestId('stage').boundingBox())!;
  for (let x = 0.2; x < 0.9; x += 0.07) for (const y of [0.45, 0.55, 0.62]) {
    if (/word=\d/.test(page.url())) break;
    await page.mouse.click(box.x + box.width * x, box.y + box.height * y);
    await page.waitForTimeout(120);
  }
  await expect(page).toHaveURL(/word=\d/);
});

for (const [width, height, theme, lang] of [[1440, 900, 'dark', 'en'], [1440, 900, 'light', 'zh'], [390, 844, 'light', 'en'], [390, 844, 'dark', 'zh']] as const) {
  test(`questions, recaps and code are without barriers at ${width}×${height}, ${theme}`, async ({ browser }) => {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, baseURL: test.info().project.use.baseURL });
    const page = await context.newPage();
    await open(page, `#lang=${lang}&depth=code`);
    for (const chapter of (await chapters(page)).filter((c) => c.id in QUESTIONS)) {
      const steps = [QUESTIONS[chapter.id]!.at, chapter.steps[chapter.steps.length - 1] as string];
      for (const [i, step] of steps.entries()) {
        await seek(page, chapter.id, step);
        if (i === 0) await page.keyboard.press('a');
        expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 'nothing lies beside the page').toBeLessThanOrEqual(0);
        const report = await new AxeBuilder({ page }).analyze();
        expect(report.violations.map((v) => `${chapter.id}.${step}: ${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(' | ')}`)).toEqual([]);
      }
    }
    await context.close();
  });
}
