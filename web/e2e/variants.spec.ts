// Chapter 9 in a real browser: a translator and an encoder, behind the development server (random weights, true sums).
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import AxeBuilder from '@axe-core/playwright';
import { expect, test } from '@playwright/test';
import { open, ready, seek } from './stage';

const SERVERS = [['translator', 8198, 'translate', 7], ['filler', 8199, 'gaps', 3]] as const;
const servers: ChildProcess[] = [];

test.beforeAll(async () => {
  for (const [kind, port] of SERVERS) {
    const server = spawn('node', ['dev/mock-server.mjs', '--dist', `--${kind}`], { env: { ...process.env, PORT: String(port) }, stdio: ['ignore', 'pipe', 'inherit'] });
    await once(server.stdout as NodeJS.ReadableStream, 'data');
    servers.push(server);
  }
});
test.afterAll(() => servers.forEach((s) => s.kill()));

for (const [kind, port, chapter, count] of SERVERS) {
  test.describe(kind, () => {
    test.use({ baseURL: `http://127.0.0.1:${port}/` });

    test('opens on its own chapter, says why, and plays through it by keyboard', async ({ page }) => {
      const wrong: string[] = [];
      page.on('pageerror', (e) => wrong.push(e.message));
      page.on('console', (m) => m.type() === 'error' && wrong.push(m.text()));
      page.on('request', (r) => /^(data|blob):/.test(r.url()) || new URL(r.url()).port === String(port) || wrong.push(r.url()));
      await open(page, '#lang=en&ch=attention');
      const chapters = await page.evaluate(() => window.__glassformer?.chapters() ?? []);
      expect(chapters.map((c) => c.id)).toEqual([chapter]);
      expect(chapters[0]?.steps).toHaveLength(count);
      await expect(page.getByTestId('only')).toContainText('chapter 9');
      await expect(page.getByTestId(`chapter-${chapter}`)).toContainText('9');
      await expect(page.getByTestId('open-lab')).toHaveCount(0);
      for (let i = 1; i < count; i++) {
        await page.keyboard.press('ArrowRight');
        await page.waitForFunction((step) => window.__glassformer?.step === step, chapters[0]?.steps[i]);
        await ready(page);
      }
      await expect(page.getByTestId('narration')).not.toContainText('{');
      expect(wrong).toEqual([]);
    });

    test('is told in Chinese too, and free of barriers', async ({ page }) => {
      await open(page, `#lang=zh&ch=${chapter}`);
      const steps = await page.evaluate(() => window.__glassformer?.chapters()[0]?.steps ?? []);
      for (const step of steps) {
        await seek(page, chapter, step);
        await expect(page.getByTestId('narration')).toContainText(/[\u4e00-\u9fff]/);
      }
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map((v) => `${v.id}: ${v.nodes[0]?.html}`)).toEqual([]);
    });
  });
}

test('a link into the chapter opens at its step', async ({ page }) => {
  await page.goto('http://127.0.0.1:8198/#lang=en&ch=translate&t=9&layer=0&head=2&token=1');
  await ready(page);
  const at = await page.evaluate(() => [window.__glassformer?.chapter, window.__glassformer?.step]);
  expect(at).toEqual(['translate', 'ask']);
  await expect(page.getByTestId('pick-head')).toHaveValue('2');
  await expect(page.getByTestId('pick-token')).toHaveValue('1');
});

test('moving the gap makes another run', async ({ page }) => {
  await page.goto('http://127.0.0.1:8199/#lang=en&ch=gaps');
  await ready(page);
  await seek(page, 'gaps', 'fill');
  const told = page.getByTestId('narration');
  const before = await told.textContent();
  const asked = page.waitForRequest((r) => r.url().endsWith('/api/trace') && r.postData()?.includes('"mask":[2]') === true);
  await page.getByTestId('pick-token').selectOption('2');
  await asked;
  await expect(told).not.toHaveText(before ?? '');
  await expect(told).not.toContainText('{');
});
