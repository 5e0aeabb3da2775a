// Chapter 8 against the real server: the lesson's numbers, and a small model trained, stopped and opened in the browser.
import AxeBuilder from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import { num, percent, sci } from '../src/i18n/format';
import { SAMPLES } from '../src/app/train/sample';
import { parseSafetensors } from '../src/trace/safetensors';
import type { Lesson, TrainRun } from '../src/trace/wire';
import { open, ready, seek, watch } from './stage';

const STEPS = ['loss', 'mean', 'gradient', 'norms', 'step', 'after'];

async function tensors(page: Page, path: string): Promise<ReturnType<typeof parseSafetensors>> {
  const body = await (await page.request.get(path)).body();
  return parseSafetensors(body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength) as ArrayBuffer);
}
const traceId = (page: Page): Promise<string> => page.evaluate(() => window.__glassformer?.traceId ?? '');
const running = async (page: Page): Promise<TrainRun> => (await (await page.request.get('./api/train')).json()) as TrainRun;

/** Nothing trains when a test begins. */
test.beforeEach(async ({ page, baseURL }) => {
  await page.request.delete('./api/train', { headers: { origin: new URL(baseURL ?? '').origin } });
  await expect.poll(async () => (await running(page)).phase ?? 'none').not.toBe('running');
});

for (const lang of ['en', 'zh'] as const) {
  test(`the lesson's numbers are those of the engine (${lang})`, async ({ page }) => {
    const seen = watch(page);
    await open(page, `#lang=${lang}`);
    await seek(page, 'train', 'loss');
    const id = await traceId(page);
    const lesson = (await (await page.request.get(`./api/trace/${id}/lesson?learning_rate=0.0001`)).json()) as Lesson;
    const probs = (await tensors(page, `./api/trace/${id}/tensors?sites=probs`)).get('probs');
    const vocab = probs?.shape[1] ?? 0;
    let compared = 0;
    for (const step of STEPS) {
      await seek(page, 'train', step);
      for (const c of await page.evaluate(() => window.__glassformer?.derived() ?? [])) {
        if (c.site === 'lesson:loss' || c.site === 'lesson:p') {
          const t = c.index[0] ?? 0;
          const p = probs?.data[t * vocab + (lesson.targets[t]?.id ?? 0)] ?? NaN;
          expect(c.site === 'lesson:p' ? c.value : Math.exp(-c.value), `${step} ${c.site}[${t}]`).toBeCloseTo(p, 4);
          expect(['', num(c.value), percent(c.value)]).toContain(c.text);
          compared++;
        }
        if (c.site === 'lesson:norm') {
          expect(c.value).toBe(lesson.weights[c.index[0] ?? -1]?.norm);
          expect(['', sci(c.value)]).toContain(c.text);
          compared++;
        }
        if (c.site === 'lesson:after') {
          expect(c.value).toBe(lesson.steps[0]?.after);
          compared++;
        }
      }
      expect(await page.getByTestId('narration').innerText()).not.toMatch(/\{|undefined|NaN|ch\.train/);
    }
    expect(compared).toBeGreaterThan(60);
    expect(seen.errors).toEqual([]);
    expect(seen.foreign).toEqual([]);
  });
}

test('a tiny model is trained on a text, stopped and opened; the page answers meanwhile', async ({ page }) => {
  const seen = watch(page);
  await open(page, '#lang=en&ch=train');
  const own = await page.evaluate(() => location.hash);
  await expect(page.getByTestId('train-start')).toBeDisabled();
  await page.getByTestId('train-text').fill('too short');
  await expect(page.getByTestId('train-start')).toBeDisabled();
  await page.getByTestId('train-sample').click();
  await page.getByTestId('train-steps').fill('3000');
  await page.getByTestId('train-steps').blur();
  await page.getByTestId('train-start').click();
  await expect(page.getByTestId('train-stop')).toBeVisible();
  await expect.poll(async () => (await running(page)).step, { timeout: 60_000 }).toBeGreaterThan(150);
  const half = await running(page);
  expect(half.phase).toBe('running');
  const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length;
  expect(mean(half.losses.slice(0, 10)) - mean(half.losses.slice(-10)), 'the loss falls').toBeGreaterThan(0.8);
  await expect.poll(async () => Number(await page.getByTestId('train-loss').innerText())).toBeLessThan(mean(half.losses.slice(0, 5)));

  // Another chapter, another text: the page answers while the training goes on.
  const before = await traceId(page);
  await page.getByTestId('chapter-attention').click();
  await page.getByTestId('text').fill('The dog was happy and');
  await page.getByTestId('run').click();
  await page.waitForFunction((old) => window.__glassformer?.traceId !== old, before, { timeout: 15_000 });
  await ready(page);
  expect((await running(page)).phase).toBe('running');

  await page.getByTestId('chapter-train').click();
  await page.getByTestId('train-stop').click();
  await expect(page.getByTestId('train-done')).toBeVisible({ timeout: 15_000 });
  expect(await page.getByTestId('train-samples').locator('li').count()).toBeGreaterThan(1);
  const done = await running(page);
  expect(done.phase).toBe('stopped');
  expect(done.step).toBeLessThan(3000);

  // Opened: chapter 3 shows its numbers, and they are those of its trace.
  await page.getByTestId('train-open').click();
  await expect(page.getByTestId('model')).toContainText(done.model ?? '?');
  await ready(page);
  await seek(page, 'attention', 'softmax');
  const recorded = await tensors(page, `./api/trace/${await traceId(page)}/tensors?sites=*`);
  expect(recorded.get('blocks.1.pattern')?.shape[0]).toBe(2);
  expect(recorded.has('blocks.2.pattern')).toBe(false);
  const cells = await page.evaluate(() => window.__glassformer?.cells() ?? []);
  expect(cells.length).toBeGreaterThan(10);
  for (const c of cells) {
    const t = recorded.get(c.site);
    const value = t?.data[c.index.reduce((at, i, axis) => at * (t.shape[axis] ?? 1) + i, 0)] ?? NaN;
    if (value !== -Infinity) expect(Math.abs(c.value - value), `${c.site}[${c.index.join()}]`).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(value)));
  }
  for (const chapter of ['overview', 'tokenize', 'embed', 'mlp', 'layers', 'unembed', 'generate', 'train']) {
    await page.getByTestId(`chapter-${chapter}`).click();
    await ready(page);
  }
  expect(await page.evaluate(() => document.querySelector('[data-testid=banner]')?.textContent ?? '')).toBe('');

  // The server's own model beside it, on the same text: two films, each with its own numbers.
  await seek(page, 'attention', 'softmax');
  await page.getByTestId('open-lab').click();
  await page.getByTestId('open-compare').click();
  await page.getByTestId('compare-model').selectOption('builtin');
  await page.getByTestId('compare-go').click();
  await expect(page.getByTestId('stage-right')).toBeVisible();
  await expect(page.locator('.pane em')).toHaveText([done.model ?? '?', 'builtin']);
  await expect(page.getByTestId('difference')).toContainText('builtin');
  for (const chapter of ['overview', 'attention', 'layers', 'unembed']) {
    await page.getByTestId(`chapter-${chapter}`).click();
    await ready(page);
  }
  expect(await page.evaluate(() => location.hash)).toContain('vsmodel=builtin');
  await page.getByTestId('end-compare').click();
  await expect(page.getByTestId('stage-right')).toHaveCount(0);

  // A link opens it again; one of a model that is gone opens the server's own, and says so.
  const link = await page.evaluate(() => location.hash);
  expect(link).toContain(done.model ?? '?');
  await page.goto('about:blank');
  await open(page, link);
  await expect(page.getByTestId('model')).toContainText(done.model ?? '?');
  await page.getByTestId('chapter-train').click();
  await page.getByTestId('train-back').click();
  await expect(page.getByTestId('model')).not.toContainText('trained-');
  await ready(page);
  expect(seen.errors).toEqual([]);
  await page.goto('about:blank');
  await open(page, own.replace(/model=[^&]*/, 'model=trained-000000'));
  await expect(page.getByTestId('model')).not.toContainText('trained-');
  await expect(page.getByTestId('banner')).toContainText('trained-000000');
});

test('chapter 8 is sound for readers of screens, and fits a phone', async ({ page }) => {
  for (const [width, height] of [[1440, 900], [390, 844]] as const) {
    await page.setViewportSize({ width, height });
    await page.goto('about:blank');
    await open(page, '#lang=zh&ch=train');
    await page.getByTestId('train-text').fill(SAMPLES.zh);
    await page.getByTestId('train-steps').fill('60');
    await page.getByTestId('train-steps').blur();
    await page.getByTestId('train-start').click();
    await expect(page.getByTestId('train-done')).toBeVisible({ timeout: 60_000 });
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join()).join('; ')}`)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBeLessThanOrEqual(0);
  }
});
