// Presenting: large, full screen where the browser grants it, by keys alone, read aloud by a voice of this machine.
import AxeBuilder from '@axe-core/playwright';
import { expect, test, type Page } from '@playwright/test';
import { open, ready, seek, watch, where } from './stage';

interface Spoken {
  text: string;
  lang: string;
  end: () => void;
}
declare global {
  interface Window {
    spoken: Spoken[];
    cancelled: number;
  }
}

/** A voice that says when it has ended as soon as the test lets it: headless browsers have none. */
async function withVoices(page: Page, langs: string[]): Promise<void> {
  await page.addInitScript((all) => {
    window.spoken = [];
    window.cancelled = 0;
    const voices = all.map((lang) => ({ lang: lang.replace('!', ''), localService: !lang.startsWith('!'), name: lang, default: false, voiceURI: lang }));
    class Utterance {
      voice: unknown = null;
      lang = '';
      onend: (() => void) | null = null;
      onerror: (() => void) | null = null;
      constructor(readonly text: string) {}
    }
    const synth = { getVoices: () => voices, addEventListener: () => undefined, pause: () => undefined, resume: () => undefined, cancel: () => window.cancelled++, speak: (u: Utterance) => window.spoken.push({ text: u.text, lang: u.lang, end: () => u.onend?.() }) };
    Object.defineProperty(window, 'speechSynthesis', { value: synth });
    Object.defineProperty(window, 'SpeechSynthesisUtterance', { value: Utterance });
  }, langs);
}

test('F presents: the stage and its words alone, larger, with the keys of the page; Escape leaves', async ({ page }) => {
  const seen = watch(page);
  await open(page, '#lang=en&depth=formula');
  await seek(page, 'attention', 'softmax');
  const before = await page.getByTestId('stage').boundingBox();
  await page.keyboard.press('f');
  await expect(page.getByTestId('captions')).toBeVisible();
  await expect(page.getByTestId('captions')).toContainText('Scores become shares');
  await expect(page.getByTestId('captions').locator('.katex')).toBeVisible();
  for (const hidden of ['text', 'scrub', 'narration', 'save']) await expect(page.getByTestId(hidden)).toBeHidden();
  await ready(page);
  const box = await page.getByTestId('stage').boundingBox();
  if (!before || !box) throw new Error('no stage');
  expect(box.height, 'the stage has grown').toBeGreaterThan(before.height * 1.1);
  await page.keyboard.press('ArrowRight');
  expect(await where(page)).toMatchObject({ chapter: 'attention', step: 'values' });
  await expect(page.getByTestId('captions')).not.toContainText('Scores become shares');
  await page.keyboard.press('1');
  expect((await where(page)).chapter).toBe('tokenize');
  // A browser in full screen takes Escape for itself, and the page follows.
  await page.evaluate(() => document.fullscreenElement && document.exitFullscreen());
  await page.keyboard.press('Escape');
  await expect(page.getByTestId('captions')).toBeHidden();
  await expect(page.getByTestId('text')).toBeVisible();
  expect(await page.evaluate(() => document.fullscreenElement === null)).toBe(true);
  expect(seen).toEqual({ foreign: [], errors: [] });
});

for (const [lang, voice, locale] of [['en', 'en-US', 'en-US'], ['zh', 'zh_CN', 'zh_CN']] as const) {
  test(`read aloud, the film waits for the end of the last sentence (${lang})`, async ({ page }) => {
    await withVoices(page, ['de-DE', voice]);
    await open(page, `#lang=${lang}&depth=story`);
    await seek(page, 'tokenize', 'tokens', 0);
    await page.keyboard.press('f');
    await page.keyboard.press('v');
    const spoken = (): Promise<string[]> => page.evaluate(() => window.spoken.map((s) => s.text));
    await expect.poll(spoken).toHaveLength(1);
    const words = (await page.getByTestId('captions').locator('.words').innerText()).replace(/\s+/g, '');
    const first = (await where(page)).step;
    const told: string[] = [];
    for (let i = 0; (await where(page)).step === first; i++) {
      // As long as the sentence lasts, and longer than the step moves and than its words take to read, nothing goes on.
      if (i === 0) {
        await page.waitForTimeout(6000);
        expect((await where(page)).step).toBe(first);
      }
      const s = await page.evaluate((n) => ({ text: window.spoken[n]?.text, lang: window.spoken[n]?.lang }), i);
      expect(s.lang).toBe(locale);
      told.push(s.text ?? '');
      await page.evaluate((n) => window.spoken[n]?.end(), i);
      await page.waitForFunction((n) => window.spoken.length > n, i + 1, { timeout: 15_000 });
    }
    // All that stood there has been read, once and in order; then came the next step.
    const of = told.join('').replace(/\s+/g, '');
    expect(of).toBe(words);
    await page.keyboard.press('Escape');
    await page.evaluate(() => document.fullscreenElement && document.exitFullscreen());
    await expect(page.getByTestId('captions')).toBeHidden();
    expect(await page.evaluate(() => window.cancelled)).toBeGreaterThan(0);
  });
}

test('without a voice of this machine it plays silently, and says why', async ({ page }) => {
  await withVoices(page, ['!en-US', 'fr-FR']);
  await open(page, '#lang=en&depth=story');
  await seek(page, 'tokenize', 'ids');
  await page.keyboard.press('f');
  await expect(page.getByTestId('present-voice')).toBeDisabled();
  await expect(page.getByTestId('present-voice')).toHaveAttribute('title', /no voice/);
  await page.keyboard.press('v');
  await page.keyboard.press('p');
  await page.waitForFunction(() => window.__glassformer?.step !== 'ids', null, { timeout: 20_000 });
  expect(await page.evaluate(() => window.spoken.length)).toBe(0);
});

for (const [width, height] of [[1440, 900], [1920, 1080], [390, 844]] as const) for (const theme of ['light', 'dark'] as const) {
  test(`presenting is without barriers at ${width}×${height}, ${theme}`, async ({ browser }) => {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, baseURL: test.info().project.use.baseURL });
    const page = await context.newPage();
    for (const lang of ['en', 'zh'] as const) {
      await page.goto('about:blank');
      await open(page, `#lang=${lang}&depth=formula&ch=mlp&t=0`);
      await seek(page, 'mlp', 'curve');
      await page.keyboard.press('f');
      await expect(page.getByTestId('captions')).toBeVisible();
      await ready(page);
      const report = await new AxeBuilder({ page }).analyze();
      expect(report.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(' | ')}`)).toEqual([]);
      await page.screenshot({ path: `test-results/present-${width}x${height}-${lang}-${theme}.png` });
    }
    await context.close();
  });
}
