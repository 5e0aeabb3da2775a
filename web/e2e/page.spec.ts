import AxeBuilder from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import { num, percent, signed } from '../src/i18n/format';
import { parseSafetensors, type Tensor } from '../src/trace/safetensors';
import { chapters, open, ready, seek, watch, where } from './stage';

for (const lang of ['en', 'zh'] as const) {
  test(`the film plays from beginning to end by keyboard alone (${lang})`, async ({ page }) => {
    const seen = watch(page);
    const begin = Date.now();
    await open(page, `#lang=${lang}`);
    console.log(`first picture after ${Date.now() - begin} ms`);
    const all = await chapters(page);
    expect((await where(page)).playing, 'plays by itself').toBe(true);
    await page.keyboard.press('0');
    await page.keyboard.press(' ');
    for (const chapter of all) {
      for (const step of chapter.steps) {
        await ready(page);
        expect(await where(page)).toMatchObject({ chapter: chapter.id, step });
        await expect(page.getByTestId('narration')).not.toContainText(/\{\w+\}|undefined|NaN|\ufffd/);
        expect((await page.getByTestId('narration').innerText()).trim().length).toBeGreaterThan(20);
        await page.keyboard.press('ArrowRight');
      }
    }
    await page.keyboard.press('ArrowLeft');
    expect((await where(page)).playing).toBe(false);
    for (const { id, number } of all) {
      await page.keyboard.press(String(number));
      await ready(page);
      expect((await where(page)).chapter).toBe(id);
    }
    await page.keyboard.press('?');
    await expect(page.getByTestId('help-dialog')).toBeVisible();
    await page.keyboard.press('Escape');
    await expect(page.getByTestId('help-dialog')).toBeHidden();
    expect(seen).toEqual({ foreign: [], errors: [] });
  });
}

test('a step plays, holds at its end, and scrubs', async ({ page }) => {
  await open(page, '#lang=en&ch=tokenize&t=0');
  expect((await where(page)).playing).toBe(false);
  await page.keyboard.press(' ');
  await page.waitForFunction(() => window.__glassformer?.playing === false && (window.__glassformer?.p ?? 0) === 1);
  expect((await where(page)).step).toBe('chars');
  await page.keyboard.press(' ');
  await page.waitForFunction(() => window.__glassformer?.step === 'bytes' && (window.__glassformer?.p ?? 0) > 0.05);
  await page.keyboard.press(' ');
  const stopped = (await where(page)).p;
  await page.waitForTimeout(200);
  expect((await where(page)).p).toBe(stopped);
  const t = await page.evaluate(() => window.__glassformer?.t ?? 0);
  await page.keyboard.press('.');
  expect(await page.evaluate(() => window.__glassformer?.t ?? 0)).toBeCloseTo(t + 0.1, 3);
  await page.keyboard.press(',');
  expect(await page.evaluate(() => window.__glassformer?.t ?? 0)).toBeCloseTo(t, 3);
});

test('every number on the stage is the number of the trace', async ({ page }) => {
  for (const hash of ['#lang=en', '#lang=zh', '#lang=en&text=The%20dog%20%E5%92%8C%20%E7%8C%AB']) {
    await page.goto('about:blank');
    await open(page, hash);
    // Another model's chapter shows another run.
    const runs = new Map<string, Map<string, Tensor>>();
    let compared = 0;
    for (const chapter of await chapters(page)) {
      for (const step of chapter.steps) {
        await seek(page, chapter.id, step);
        const id = await page.evaluate(() => window.__glassformer?.traceId ?? '');
        const tensors = runs.get(id) ?? (await tensorsOf(page, id));
        runs.set(id, tensors);
        const cells = await page.evaluate(() => window.__glassformer?.cells() ?? []);
        for (const c of cells) {
          const value = lookUp(tensors, c.site, c.index);
          const place = `${chapter.id}.${step} ${c.site}[${c.index.join()}]`;
          // -Infinity does not survive every way out of the page, but its writing does.
          if (value === -Infinity) expect(c.text, place).toBe('−∞');
          else {
            expect(Math.abs(c.value - value), place).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(value)));
            expect(['', num(value), num(value, 1), num(value, 0), signed(value), percent(value), String(value)], place).toContain(c.text);
          }
          compared++;
        }
      }
    }
    console.log(`${hash}: ${compared} cells compared`);
    expect(compared).toBeGreaterThan(500);
  }
});

async function tensorsOf(page: Page, id: string): Promise<Map<string, Tensor>> {
  const body = await (await page.request.get(`./api/trace/${id}/tensors?sites=*`)).body();
  return parseSafetensors(body.buffer.slice(body.byteOffset, body.byteOffset + body.byteLength) as ArrayBuffer);
}

function lookUp(tensors: Map<string, Tensor>, site: string, index: number[]): number {
  const t = tensors.get(site);
  if (!t) throw new Error(`the trace has no ${site}`);
  return t.data[index.reduce((at, i, axis) => at * (t.shape[axis] ?? 1) + i, 0)] ?? NaN;
}

test('a cell opens into the sum that made it, and on back through the net', async ({ page }) => {
  await open(page, '#lang=en');
  await seek(page, 'attention', 'values');
  const stage = page.getByTestId('stage');
  await expect(stage).toBeVisible();
  await page.keyboard.press(']');
  await expect(page.getByTestId('inspect-value')).toBeVisible();
  await page.evaluate(async () => {
    const z = window.__glassformer?.cells().find((c) => c.site.endsWith('.z'));
    if (z) await window.__glassformer?.inspect(z.site, z.index);
  });
  const inspector = page.getByTestId('inspector');
  await expect(page.getByTestId('inspect-value')).toContainText('z[');
  for (let depth = 0; depth < 3; depth++) await inspector.locator('button.cell').last().click();
  await expect(page.getByTestId('inspect-back')).toBeVisible();
  await page.getByTestId('inspect-back').click();
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('inspect-value')).toBeHidden();
});

test('a click on the canvas hits the cell that is drawn there', async ({ page }) => {
  await open(page, '#lang=en');
  await seek(page, 'embed', 'position');
  const box = await page.getByTestId('stage').boundingBox();
  if (!box) throw new Error('no stage');
  let found = false;
  for (let y = 0.15; y < 0.95 && !found; y += 0.05) {
    await page.mouse.click(box.x + box.width * 0.5, box.y + box.height * y);
    await page.waitForTimeout(60);
    found = await page.getByTestId('inspect-value').isVisible();
  }
  expect(found).toBe(true);
});

test('layer, head, token, language and depth can be chosen, and the address restores them', async ({ page }) => {
  await open(page, '#lang=en');
  await seek(page, 'attention', 'softmax', 0.5);
  await page.getByTestId('pick-layer').selectOption('1');
  await page.getByTestId('pick-head').selectOption('2');
  await page.getByTestId('pick-token').selectOption('3');
  await page.getByTestId('depth-formula').check({ force: true });
  await expect(page.getByTestId('formula').locator('.katex')).toBeVisible();
  const before = await where(page);
  await page.getByTestId('lang').click();
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN');
  await ready(page);
  expect(await where(page)).toMatchObject({ chapter: before.chapter, step: before.step });
  await page.waitForTimeout(300);
  const address = page.url();
  expect(address).toContain('layer=1');
  await page.goto('about:blank');
  await page.goto(address);
  await ready(page);
  await expect(page.getByTestId('pick-layer')).toHaveValue('1');
  await expect(page.getByTestId('pick-head')).toHaveValue('2');
  expect(await where(page)).toMatchObject({ chapter: 'attention', step: 'softmax' });
});

test('long text, empty text, a lost trace and a lost server are said and survived', async ({ page }) => {
  await open(page, '#lang=en');
  const box = page.getByTestId('text');
  await box.fill('');
  await page.getByTestId('run').click();
  await expect(page.getByTestId('banner')).toContainText('few words');
  await box.fill('word '.repeat(700));
  await page.getByTestId('run').click();
  await expect(page.getByTestId('kept')).toBeVisible();
  await ready(page);
  await seek(page, 'attention', 'values');
  await box.fill('Once upon a time');
  await page.getByTestId('run').click();
  await expect(page.getByTestId('kept')).toBeHidden();
  await ready(page);
  // Sixteen newer traces push this one out of the server's memory.
  for (let i = 0; i < 18; i++) await page.request.post('./api/trace', { data: { text: `number ${i}` } });
  await seek(page, 'mlp', 'down');
  await expect(page.getByTestId('banner')).toBeHidden();
  // The server goes away and comes back.
  await page.route('**/api/**', (r) => r.abort());
  await page.evaluate(() => window.__glassformer?.seek('layers', 'lens'));
  await expect(page.getByTestId('banner')).toContainText('does not answer');
  await page.unroute('**/api/**');
  await ready(page);
  await expect(page.getByTestId('banner')).not.toContainText('does not answer', { timeout: 10_000 });
});

test('reduced motion shows steps as cuts', async ({ browser }) => {
  const page = await browser.newPage({ reducedMotion: 'reduce', baseURL: test.info().project.use.baseURL });
  await open(page, '#lang=en');
  expect((await where(page)).playing).toBe(false);
  await page.keyboard.press('ArrowRight');
  expect((await where(page)).p).toBe(1);
  await page.close();
});

for (const [width, height] of [[1440, 900], [1024, 768], [390, 844], [360, 740]] as const) {
  for (const theme of ['light', 'dark'] as const) {
    test(`every chapter is without barriers at ${width}×${height}, ${theme}`, async ({ browser }) => {
      const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, baseURL: test.info().project.use.baseURL });
      const page = await context.newPage();
      for (const lang of ['en', 'zh'] as const) {
        await page.goto('about:blank');
        await open(page, `#lang=${lang}&depth=formula`);
        for (const chapter of await chapters(page)) {
          const step = chapter.steps[Math.min(chapter.steps.length - 1, 5)] as string;
          await seek(page, chapter.id, step);
          await page.keyboard.press(']');
          expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 'nothing lies beside the page').toBeLessThanOrEqual(0);
          const report = await new AxeBuilder({ page }).analyze();
          expect(report.violations.map((v) => `${chapter.id}: ${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(' | ')}`)).toEqual([]);
          await page.screenshot({ path: `test-results/${chapter.id}-${step}-${width}x${height}-${lang}-${theme}.png` });
        }
      }
      await context.close();
    });
  }
}
