// One film of two models in a real browser, behind the development server: chapter 9 is another model's, and the way there leads back.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import AxeBuilder from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import { open, ready, seek, where } from './stage';

const PORT = 8197;
let server: ChildProcess;
test.use({ baseURL: `http://127.0.0.1:${PORT}/` });
test.beforeAll(async () => {
  server = spawn('node', ['dev/mock-server.mjs', '--dist', '--beside-translator', '--beside-filler'], { env: { ...process.env, PORT: String(PORT) }, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout as NodeJS.ReadableStream, 'data');
});
test.afterAll(() => server.kill());

const text = (page: Page) => page.getByTestId('text');
const shown = (page: Page, chapter: string): Promise<unknown> => page.waitForFunction((c) => window.__glassformer?.ready && window.__glassformer.chapter === c, chapter);

test('the ninth chapter is in the list, and leads to another model and back', async ({ page }) => {
  const wrong: string[] = [];
  page.on('pageerror', (e) => wrong.push(e.message));
  page.on('console', (m) => m.type() === 'error' && wrong.push(m.text()));
  await open(page, '#lang=en&ch=attention&text=Once%20upon%20a%20time');
  await expect(page.getByTestId('only')).toHaveCount(0);
  await page.getByTestId('chapter-translate').click();
  await shown(page, 'translate');
  await expect(page.getByTestId('model')).toContainText('mock translator');
  await expect(text(page)).toHaveValue('The little girl has a red ball.');
  await expect(page.getByTestId('only')).toContainText('lead back');
  await expect(page.getByTestId('narration')).not.toContainText('{');
  await page.keyboard.press('3');
  await shown(page, 'attention');
  await expect(page.getByTestId('model')).toContainText('mock (random weights)');
  await expect(text(page)).toHaveValue('Once upon a time');
  await page.goBack();
  await shown(page, 'translate');
  await expect(text(page)).toHaveValue('The little girl has a red ball.');
  await page.goBack();
  await shown(page, 'attention');
  await page.goForward();
  await shown(page, 'translate');
  await expect(page.getByTestId('model')).toContainText('mock translator');
  // The address alone leads there too.
  await page.reload();
  await shown(page, 'translate');
  await expect(page.getByTestId('banner')).toHaveCount(0);
  expect(wrong).toEqual([]);
});

test('by step, by key and by the scrubber', async ({ page }) => {
  await open(page, '#lang=zh');
  await seek(page, 'train', 'after');
  await page.keyboard.press('ArrowRight');
  await shown(page, 'translate');
  expect(await where(page)).toMatchObject({ step: 'two', playing: true });
  await expect(text(page)).toHaveValue('小女孩有一个红球。');
  await page.keyboard.press('ArrowLeft');
  await shown(page, 'train');
  expect(await where(page)).toMatchObject({ step: 'after', playing: false });
  // Two chapters have the number: one after the other.
  await page.keyboard.press('9');
  await shown(page, 'translate');
  await page.keyboard.press('9');
  await shown(page, 'gaps');
  await expect(page.getByTestId('model')).toContainText('mock filler');
  await page.getByTestId('scrub').fill('0');
  await shown(page, 'overview');
  await page.getByTestId('scrub').press('End');
  await shown(page, 'gaps');
  await page.keyboard.press('0');
  await shown(page, 'overview');
});

test('what was written is translated back in one press', async ({ page }) => {
  await open(page, '#lang=en&ch=translate');
  const asked = page.waitForRequest((r) => r.url().endsWith('/api/trace'));
  const first = await text(page).inputValue();
  await page.getByTestId('translate-back').click();
  const { text: sent } = JSON.parse((await asked).postData() ?? '{}') as { text: string };
  expect(sent).not.toBe(first);
  await expect(text(page)).toHaveValue(sent);
  await page.waitForFunction((t) => new URLSearchParams(location.hash.slice(1)).get('text') === t, sent);
  await page.goBack();
  await expect(text(page)).toHaveValue(first);
  await page.getByTestId('chapter-mlp').click();
  await shown(page, 'mlp');
  await expect(page.getByTestId('translate-back')).toHaveCount(0);
});

test('the list is free of barriers, and fits at every size', async ({ page }) => {
  for (const [width, height] of [[1440, 900], [1024, 768], [390, 844]] as const) {
    await page.setViewportSize({ width, height });
    await open(page, '#lang=zh&ch=translate');
    await page.reload();
    await ready(page);
    // On a phone the list scrolls to it.
    await expect.poll(async () => {
      const box = await page.getByTestId('chapter-translate').boundingBox();
      return box && box.x >= 0 && box.x + box.width <= width && box.y + box.height <= height;
    }).toBe(true);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
  }
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map((v) => `${v.id}: ${v.nodes[0]?.html}`)).toEqual([]);
});
