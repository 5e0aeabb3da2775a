// The film of another family, in a real browser: a small model that turns queries, shares keys, has gates and no biases,
// behind the development server (its weights are random, its sums are true).
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from '@playwright/test';
import { num } from '../src/i18n/format';

const PORT = 8197;
const URL_ = `http://127.0.0.1:${PORT}/`;
let server: ChildProcess;

test.beforeAll(async () => {
  server = spawn('node', ['dev/mock-server.mjs', '--dist', '--llama'], { env: { ...process.env, PORT: String(PORT) }, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(server.stdout as NodeJS.ReadableStream, 'data');
});
test.afterAll(() => server.kill());

test('tells what the family does its own way, with numbers of the trace', async ({ page }) => {
  const errors: string[] = [];
  page.on('pageerror', (e) => errors.push(e.message));
  await page.goto(`${URL_}#lang=en`);
  await page.waitForFunction(() => window.__glassformer?.ready === true);
  const chapters = await page.evaluate(() => window.__glassformer?.chapters() ?? []);
  const steps = (id: string): string[] => chapters.find((c) => c.id === id)?.steps ?? [];
  expect(steps('attention')).toEqual(expect.arrayContaining(['turn', 'share']));
  expect(steps('mlp')).toContain('gate');
  const id = await page.evaluate(() => window.__glassformer?.traceId ?? '');
  for (const [chapter, step, site] of [['embed', 'position', 'blocks.0.resid_pre'], ['attention', 'norm', 'ln1'], ['attention', 'turn', 'q_pre'], ['attention', 'share', '.k'], ['mlp', 'gate', 'mlp_up'], ['mlp', 'curve', 'mlp_pre']] as const) {
    await page.evaluate(([c, s, at]) => window.__glassformer?.seek(c, s, at), [chapter, step, step === 'curve' ? 0.2 : 1] as const);
    await page.waitForFunction(() => window.__glassformer?.ready === true);
    await page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r))));
    const cells = (await page.evaluate(() => window.__glassformer?.cells() ?? [])).filter((c) => c.site.endsWith(site));
    expect(cells.length, `${chapter}.${step} shows ${site}`).toBeGreaterThan(3);
    for (const c of cells.slice(0, 4)) {
      const answer = await page.request.get(`${URL_}api/trace/${id}/cell?site=${c.site}&index=${c.index.join()}`);
      const { value } = (await answer.json()) as { value: number };
      expect(c.value, `${c.site}[${c.index.join()}]`).toBeCloseTo(value, 6);
      expect(['', num(value), num(value, 1)]).toContain(c.text);
    }
  }
  await expect(page.getByTestId('narration')).not.toContainText('{');
  expect(errors).toEqual([]);
});

test('a turned number opens into its pair and their angle', async ({ page }) => {
  await page.goto(`${URL_}#lang=en&ch=attention`);
  await page.waitForFunction(() => window.__glassformer?.ready === true);
  await page.evaluate(() => window.__glassformer?.inspect('blocks.1.q', [3, 2, 5]));
  const inspector = page.getByTestId('inspector');
  await expect(inspector).toContainText('cos θ');
  await inspector.locator('button.cell').first().click();
  await expect(page.getByTestId('inspect-value')).toContainText('q_pre');
  await page.evaluate(() => window.__glassformer?.inspect('blocks.1.mlp_post', [3, 7]));
  await expect(inspector).toContainText('a gate × what it lets through');
  await page.evaluate(() => window.__glassformer?.inspect('blocks.1.ln1', [3, 7]));
  await expect(inspector).toContainText('÷');
});
