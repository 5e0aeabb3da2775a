// What leaves the page, as the visitor gets it: files that Chromium has downloaded, read again and held against the trace.
import { readFileSync } from 'node:fs';
import AxeBuilder from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import { ALL_FORMATS, BufferSource, EncodedPacketSink, Input } from 'mediabunny';
import { num } from '../src/i18n/format';
import { parseSafetensors, type Tensor } from '../src/trace/safetensors';
import { open, ready, seek, watch } from './stage';

const buffer = (b: Buffer): ArrayBuffer => b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength) as ArrayBuffer;

async function save(page: Page, kind: string): Promise<{ name: string; bytes: Buffer }> {
  await page.keyboard.press('s');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByTestId(`save-${kind}`).click()]);
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

async function traced(page: Page, sites: string): Promise<Map<string, Tensor>> {
  const id = await page.evaluate(() => window.__glassformer?.traceId ?? '');
  return parseSafetensors(buffer(await (await page.request.get(`./api/trace/${id}/tensors?sites=${sites}`)).body()));
}

/** How a picture looks to Chromium itself: its size, and the share of each of some colours. */
const looks = (page: Page, type: string, bytes: Buffer): Promise<{ width: number; height: number; colours: number; centre: string }> =>
  page.evaluate(
    async ([mime, base64]) => {
      const image = new Image();
      image.src = URL.createObjectURL(new Blob([Uint8Array.from(atob(base64 as string), (c) => c.charCodeAt(0))], { type: mime }));
      await image.decode();
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
      const ctx = canvas.getContext('2d') as CanvasRenderingContext2D;
      ctx.drawImage(image, 0, 0);
      const { data } = ctx.getImageData(0, 0, canvas.width, canvas.height);
      const seen = new Set<number>();
      for (let i = 0; i < data.length; i += 4 * 37) seen.add(((data[i] as number) << 16) | ((data[i + 1] as number) << 8) | (data[i + 2] as number));
      return { width: canvas.width, height: canvas.height, colours: seen.size, centre: [...data.slice(0, 3)].join() };
    },
    [type, bytes.toString('base64')] as const,
  );

for (const lang of ['en', 'zh'] as const) {
  test(`a picture of the frame, with its words, numbers and formula (${lang})`, async ({ page }) => {
    const seen = watch(page);
    await open(page, `#lang=${lang}&depth=formula`);
    await seek(page, 'attention', 'softmax');
    const cells = await page.evaluate(() => window.__glassformer?.cells() ?? []);
    const title = await page.getByTestId('narration').locator('h3').innerText();
    const svg = await save(page, 'svg');
    expect(svg.name).toBe('glassformer-attention-softmax.svg');
    const text = svg.bytes.toString('utf8');
    // Every number that stands on the stage stands in the picture, beside the name of its place.
    const shares = cells.filter((c) => c.site.endsWith('.pattern') && c.text !== '');
    expect(shares.length).toBeGreaterThan(3);
    for (const c of cells.filter((x) => /\.(scores|pattern)$/.test(x.site) && x.text !== '' && x.text !== '−∞')) {
      expect(text).toContain(`data-cell="${c.site}[${c.index.join(',')}]"`);
      expect(text).toContain(`>${c.text}<`);
    }
    const words = await page.evaluate((source) => new DOMParser().parseFromString(source, 'image/svg+xml').documentElement.textContent ?? '', text);
    const bare = (s: string): string => s.replace(/\s/g, '');
    expect(bare(words)).toContain(bare(title));
    expect(text).toMatch(/font-family="KaTeX_Math" font-style="italic"/);
    expect(text).toMatch(/@font-face\{font-family:'KaTeX_Math'[^}]*base64,d09GM/);
    expect(text, 'nothing is fetched from elsewhere').not.toMatch(/(href|src)="?https?:/);
    const drawn = await looks(page, 'image/svg+xml', svg.bytes);
    const png = await save(page, 'png');
    expect(png.name).toBe('glassformer-attention-softmax.png');
    const painted = await looks(page, 'image/png', png.bytes);
    expect(painted).toMatchObject({ width: 1920, height: 1080 });
    expect(drawn).toMatchObject({ width: 1920, height: 1080, centre: painted.centre });
    expect(painted.colours).toBeGreaterThan(100);
    expect(seen).toEqual({ foreign: [], errors: [] });
  });
}

test('the tensors of a step, as safetensors and as a table, are those of the trace', async ({ page }) => {
  await open(page, '#lang=en');
  await seek(page, 'attention', 'softmax');
  const file = await save(page, 'safetensors');
  expect(file.name).toBe('glassformer-attention-softmax.safetensors');
  const tensors = parseSafetensors(buffer(file.bytes));
  expect([...tensors.keys()].filter((n) => /\.(q|k|scores|pattern)$/.test(n)).length).toBe(4);
  const own = await traced(page, '*');
  for (const [name, t] of tensors) {
    expect(t.shape).toEqual(own.get(name)?.shape);
    expect(Buffer.from(t.data.buffer, t.data.byteOffset, t.data.byteLength).equals(Buffer.from(own.get(name)?.data.slice().buffer as ArrayBuffer)), name).toBe(true);
  }
  const table = (await save(page, 'csv')).bytes.toString('utf8').trim().split('\n');
  expect(table[0]).toBe('site,i0,i1,i2,value');
  expect(table.length - 1).toBe([...tensors.values()].reduce((n, t) => n + t.data.length, 0));
  for (const line of table.slice(1).filter((_, i) => i % 97 === 0)) {
    const [site, i, j, k, value] = line.split(',') as [string, string, string, string, string];
    const t = tensors.get(site) as Tensor;
    const at = [i, j, k].filter((x) => x !== '').reduce((sum, x, axis) => sum * (t.shape[axis] as number) + Number(x), 0);
    expect(value === '-inf' ? -Infinity : Math.fround(Number(value)), line).toBe(t.data[at]);
  }
});

test('a film has the frames that were promised, in order, and can be cancelled', async ({ page }) => {
  const seen = watch(page);
  await open(page, '#lang=en');
  await seek(page, 'attention', 'softmax');
  await page.keyboard.press('s');
  await page.getByTestId('save-film').click();
  await expect(page.getByTestId('film-dialog')).toBeVisible();
  await expect(page.getByTestId('film-make')).toBeEnabled({ timeout: 20_000 });
  await page.getByTestId('film-to').selectOption('1');
  await page.getByTestId('film-fps').selectOption('15');
  for (const format of await page.getByTestId('film-format').locator('option').evaluateAll((all) => all.map((o) => (o as HTMLOptionElement).value))) {
    if (!(await page.getByTestId('film-dialog').isVisible())) {
      await page.keyboard.press('s');
      await page.getByTestId('save-film').click();
      await page.getByTestId('film-to').selectOption('1');
      await page.getByTestId('film-fps').selectOption('15');
    }
    await page.getByTestId('film-format').selectOption(format);
    const promised = Number(/^(\d+)/.exec(await page.getByTestId('film-length').innerText())?.[1]);
    expect(promised).toBeGreaterThan(60);
    const [download] = await Promise.all([page.waitForEvent('download', { timeout: 120_000 }), page.getByTestId('film-make').click()]);
    expect(download.suggestedFilename()).toBe(`glassformer-attention.${format}`);
    const input = new Input({ formats: ALL_FORMATS, source: new BufferSource(buffer(readFileSync(await download.path()))) });
    const track = await input.getPrimaryVideoTrack();
    if (!track) throw new Error('no track');
    expect([track.displayWidth, track.displayHeight]).toEqual([1280, 720]);
    const times: number[] = [];
    for await (const packet of new EncodedPacketSink(track).packets()) times.push(packet.timestamp);
    console.log(`${format}: ${track.codec}, ${times.length} frames`);
    expect(times.length).toBe(promised);
    times.sort((a, b) => a - b).forEach((t, i) => expect(t).toBeCloseTo(i / 15, 2));
    await expect(page.getByTestId('film-dialog')).toBeHidden();
  }
  await page.keyboard.press('s');
  await page.getByTestId('save-film').click();
  await page.getByTestId('film-make').click();
  await expect(page.getByTestId('film-progress')).toBeVisible();
  await page.getByTestId('film-cancel').click();
  await expect(page.getByTestId('film-make')).toBeEnabled();
  expect(seen).toEqual({ foreign: [], errors: [] });
});

test('where the browser has no encoder, one line says so and what can be done', async ({ page }) => {
  await page.addInitScript(() => Reflect.deleteProperty(window, 'VideoEncoder'));
  await open(page, '#lang=en');
  await page.keyboard.press('s');
  await page.getByTestId('save-film').click();
  await expect(page.getByTestId('film-none')).toContainText('glassformer film');
  await expect(page.getByTestId('film-make')).toBeDisabled();
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('film-dialog')).toBeHidden();
});

test('the link brings text, chapter, moment, head, language and depth back', async ({ page, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await open(page, '#lang=zh&depth=formula&text=%E5%B0%8F%E7%8B%97%E5%92%8C%E7%8C%AB');
  await seek(page, 'attention', 'softmax', 0.5);
  await page.getByTestId('pick-head').selectOption('2');
  await ready(page);
  await page.keyboard.press('s');
  await page.getByTestId('save-link').click();
  await expect(page.getByTestId('save-link')).toContainText('已复制');
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const before = await page.evaluate(() => ({ cells: window.__glassformer?.cells(), t: window.__glassformer?.t }));
  await page.goto('about:blank');
  await page.goto(link);
  await ready(page);
  await expect(page.getByTestId('text')).toHaveValue('小狗和猫');
  await expect(page.getByTestId('depth-formula')).toBeChecked();
  expect(await page.evaluate(() => window.__glassformer?.t)).toBeCloseTo(before.t ?? NaN, 1);
  const sites = (cells: typeof before.cells): string[] => [...new Set(cells?.map((c) => `${c.site}[${c.index.join()}] ${num(c.value)}`))].sort();
  expect(sites(await page.evaluate(() => window.__glassformer?.cells()))).toEqual(sites(before.cells));
});

test('the menu and the dialog are reached by keyboard alone and are without barriers', async ({ browser }) => {
  for (const [width, height] of [[1440, 900], [390, 844]] as const) for (const theme of ['light', 'dark'] as const) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, baseURL: test.info().project.use.baseURL });
    const page = await context.newPage();
    for (const lang of ['en', 'zh'] as const) {
      await page.goto('about:blank');
      await open(page, `#lang=${lang}&ch=embed&t=0`);
      await page.keyboard.press('s');
      await expect(page.getByTestId('save-link')).toBeFocused();
      for (let i = 0; i < 5; i++) await page.keyboard.press('ArrowDown');
      await expect(page.getByTestId('save-film')).toBeFocused();
      const violations = async (): Promise<string[]> => (await new AxeBuilder({ page }).analyze()).violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(' | ')}`);
      expect(await violations()).toEqual([]);
      const box = await page.getByTestId('save-items').boundingBox();
      expect(box && box.x >= 0 && box.x + box.width <= width).toBe(true);
      await page.keyboard.press('Enter');
      await expect(page.getByTestId('film-dialog')).toBeVisible();
      await expect(page.getByTestId('film-length')).toBeVisible();
      expect(await violations()).toEqual([]);
      await page.screenshot({ path: `test-results/film-dialog-${width}-${lang}-${theme}.png` });
      await page.keyboard.press('Escape');
      await expect(page.getByTestId('film-dialog')).toBeHidden();
      await page.keyboard.press('s');
      await page.keyboard.press('Escape');
      await expect(page.getByTestId('save-items')).toBeHidden();
      await expect(page.getByTestId('save')).toBeFocused();
    }
    await context.close();
  }
});
