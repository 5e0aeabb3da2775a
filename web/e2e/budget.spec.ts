// What a first visit costs: bytes of script and style, and time from the server's answer to the first picture.
import { gzipSync } from 'node:zlib';
import { expect, test } from '@playwright/test';
import { open, ready, seek } from './stage';

const MOST_BYTES = 300_000;
const MOST_MS = 1000;

test('script and style of a whole visit, formulas too, stay within 300 KB compressed', async ({ page }) => {
  const sizes = new Map<string, Promise<number>>();
  page.on('response', (r) => {
    if (/\.(js|css)$/.test(new URL(r.url()).pathname)) sizes.set(new URL(r.url()).pathname, r.body().then((b) => gzipSync(b).length));
  });
  await open(page, '#lang=en');
  const begin = new Set(sizes.keys());
  expect([...begin].filter((path) => /katex/i.test(path)), 'formulas come when one is to be seen').toEqual([]);
  await page.getByTestId('depth-formula').check({ force: true });
  await seek(page, 'attention', 'softmax');
  await expect(page.getByTestId('formula').locator('.katex')).toBeVisible();
  const all = await Promise.all(sizes.values());
  const sum = all.reduce((a, b) => a + b, 0);
  console.log(`${sizes.size} files, ${sum} bytes compressed, ${begin.size} of them at first`);
  expect(begin.size).toBeGreaterThan(1);
  expect(sum).toBeLessThanOrEqual(MOST_BYTES);
});

test('the server sends script and style compressed', async ({ page, request }) => {
  test.skip(process.env['GLASSFORMER_DIST'] === '1', 'the page comes from a folder, not from the server');
  await open(page);
  for (const path of await page.evaluate(() => performance.getEntriesByType('resource').map((r) => r.name).filter((n) => /\.(js|css)$/.test(n)))) {
    const answer = await request.get(path, { headers: { 'accept-encoding': 'gzip' } });
    expect(answer.headers()['content-encoding'], path).toBe('gzip');
  }
});

test('the first picture stands within a second after the model has answered', async ({ page }) => {
  await open(page, '#lang=en');
  // The page's own clock: from the end of the answer to the first frame that shows a picture.
  const ms = await page.evaluate(() => {
    const answer = performance.getEntriesByType('resource').find((r) => r.name.endsWith('/api/trace')) as PerformanceResourceTiming;
    return (performance.getEntriesByName('first picture')[0]?.startTime ?? Infinity) - answer.responseEnd;
  });
  console.log(`first picture ${ms.toFixed(0)} ms after the answer`);
  expect(ms).toBeLessThan(MOST_MS);
  await ready(page);
});
