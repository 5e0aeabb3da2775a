// What visitors type, and what happens to servers, links and tabs: the page stays whole and says what it does.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { expect, test, type Page } from '@playwright/test';
import { chapters, freshPage, open, ready, seek, watch, where } from './stage';

async function run(page: Page, text: string): Promise<void> {
  await page.getByTestId('text').fill(text);
  await page.getByTestId('run').click();
  await expect(page.getByTestId('run')).toBeEnabled();
  await ready(page);
}

/** Every chapter's last step is drawn, tells its story, and nothing goes wrong in the page. */
async function everyChapter(page: Page): Promise<void> {
  for (const { id, steps } of await chapters(page)) {
    await seek(page, id, steps[steps.length - 1] as string);
    await expect(page.getByTestId('narration')).not.toContainText(/\{\w+\}|undefined|NaN|\ufffd/);
  }
}

for (const [name, text] of [
  ['one token', 'a'],
  ['emoji', '👩‍💻🏽 ❤️ 🇨🇳 🙂'],
  ['mixed scripts', 'The 猫 и кот, γάτα ネコ 고양이 แมว'],
  ['right to left', 'שלום עולם, سلام دنیا (Hello)'],
  ['control characters', 'bell\u0007 escape\u001b turn\u202e zero\u200b end'],
  ['markup', '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script> {@html 1} {{x}} &amp;'],
] as const) {
  test(`a film is made of ${name}`, async ({ page }) => {
    const seen = watch(page);
    await open(page, '#lang=en');
    await run(page, text);
    await everyChapter(page);
    expect(await page.evaluate(() => (window as { pwned?: number }).pwned), 'text is shown, never run').toBeUndefined();
    expect(await page.locator('img, body script:not([src])').count()).toBe(0);
    expect(seen).toEqual({ foreign: [], errors: [] });
  });
}

test('100,000 characters are read as far as the model can, and Back brings them again', async ({ page }) => {
  const seen = watch(page);
  await open(page, '#lang=en');
  await run(page, '很长的故事 long story '.repeat(5600));
  await expect(page.getByTestId('kept')).toContainText('were kept');
  await everyChapter(page);
  // Where the last chapter is another model's: the way back has the text still.
  await page.getByTestId('text').blur();
  await page.keyboard.press('0');
  await ready(page);
  await expect(page.getByTestId('kept')).toBeVisible();
  await page.waitForTimeout(150);
  expect(page.url().length, 'the address stays short').toBeLessThan(4000);
  await run(page, 'Once upon a time');
  await expect(page.getByTestId('kept')).toBeHidden();
  await page.waitForTimeout(150);
  await page.goBack();
  await expect(page.getByTestId('kept')).toBeVisible({ timeout: 20_000 });
  await ready(page);
  expect(seen).toEqual({ foreign: [], errors: [] });
});

test('Back and Forward go from text to text and from chapter to chapter', async ({ page }) => {
  await open(page, '#lang=en&text=The%20first');
  await run(page, 'The second');
  await page.waitForTimeout(150);
  await page.keyboard.press('Escape');
  await page.getByTestId('chapter-mlp').click();
  await ready(page);
  await page.waitForTimeout(700);
  await page.goBack();
  await expect.poll(async () => (await where(page)).chapter).toBe('overview');
  await expect(page.getByTestId('text')).toHaveValue('The second');
  await page.goBack();
  await expect(page.getByTestId('text')).toHaveValue('The first');
  await ready(page);
  await page.goForward();
  await expect(page.getByTestId('text')).toHaveValue('The second');
  await page.goForward();
  await expect.poll(async () => (await where(page)).chapter).toBe('mlp');
});

test('a link of another version opens as far as it can and says what is missing', async ({ page }) => {
  await open(page, '#lang=en&text=The%20dog&ch=dreams&layer=99&head=1&depth=poem&model=other&v=9.9&warp=7');
  const banner = page.getByTestId('banner');
  for (const word of ['other', '9.9', 'dreams', 'poem', 'layer 99', 'warp']) await expect(banner).toContainText(word);
  await expect(page.getByTestId('text')).toHaveValue('The dog');
  await seek(page, 'attention', 'values');
  await expect(page.getByTestId('pick-head')).toHaveValue('1');
  await page.goto('about:blank');
  await open(page, '#lang=en&text=The%20dog&ch=mlp&layer=1');
  await expect(banner).toBeHidden();
});

test('two tabs keep apart', async ({ context }) => {
  const [one, two] = [await context.newPage(), await context.newPage()];
  await open(one, '#lang=en&text=The%20dog&ch=tokenize');
  await open(two, '#lang=zh&text=%E7%8C%AB&ch=tokenize');
  for (let i = 0; i < 3; i++) await run(i % 2 ? one : two, `tab ${i}`);
  await seek(one, 'attention', 'values');
  await seek(two, 'attention', 'values');
  await expect(one.getByTestId('text')).toHaveValue('tab 1');
  await expect(two.getByTestId('text')).toHaveValue('tab 2');
  expect(await one.evaluate(() => window.__glassformer?.traceId)).not.toBe(await two.evaluate(() => window.__glassformer?.traceId));
});

test.describe('a server that goes', () => {
  const PORT = 8196;
  let server: ChildProcess;
  const start = async (...options: string[]): Promise<void> => {
    server = spawn('node', ['dev/mock-server.mjs', '--dist', ...options], { env: { ...process.env, PORT: String(PORT) }, stdio: ['ignore', 'pipe', 'inherit'] });
    await once(server.stdout as NodeJS.ReadableStream, 'data');
  };
  const stop = async (): Promise<void> => {
    server.kill();
    await once(server, 'exit');
  };
  test.afterEach(() => server.kill());

  test('is waited for; when it is back, the film goes on', async ({ page }) => {
    await start();
    await page.goto(`http://127.0.0.1:${PORT}/#lang=en&text=The%20dog`);
    await ready(page);
    await stop();
    await page.evaluate(() => window.__glassformer?.seek('attention', 'values'));
    await page.getByTestId('pick-layer').selectOption('2');
    await expect(page.getByTestId('banner')).toContainText('does not answer');
    await start();
    await expect(page.getByTestId('banner')).not.toContainText('does not answer', { timeout: 15_000 });
    await ready(page);
    await expect(page.getByTestId('pick-layer')).toHaveValue('2');
  });

  test('and comes back with another model: the page says so and runs the text anew, in its film', async ({ page }) => {
    await start();
    await page.goto(`http://127.0.0.1:${PORT}/#lang=en&text=The%20dog`);
    await ready(page);
    await page.evaluate(() => window.__glassformer?.seek('attention', 'values'));
    await ready(page);
    await stop();
    await start('--llama');
    await page.getByTestId('pick-layer').selectOption('3');
    await expect(page.getByTestId('banner')).toContainText('another model', { timeout: 15_000 });
    await ready(page);
    expect((await chapters(page)).find((c) => c.id === 'attention')?.steps).toContain('turn');
    expect(await where(page)).toMatchObject({ chapter: 'attention', step: 'values' });
    await expect(page.getByTestId('text')).toHaveValue('The dog');
  });
});

test('an empty text is not run', async ({ page }) => {
  await freshPage(page);
  await open(page, '#lang=en');
  const before = await page.evaluate(() => window.__glassformer?.traceId);
  await page.getByTestId('text').fill('   ');
  await page.getByTestId('run').click();
  await expect(page.getByTestId('banner')).toContainText('few words');
  expect(await page.evaluate(() => window.__glassformer?.traceId)).toBe(before);
});
