// DEVELOPMENT ONLY: plays every step of every chapter in Chromium without a graphics card and says how smoothly.
// node dev/frames.mjs URL [1440x900] [TEXT]      (DIST=1: the page as just built)
//   in time  share of frames that came with the next refresh of the screen (60 a second)
//   own      our own time in a frame: state, picture, canvas; the figure that a busy machine disturbs least
//   long     tasks of more than 50 ms
import { launch, newPage, quantile, ready } from './browser.mjs';

const [url, size = '1440x900', text = ''] = process.argv.slice(2);
/** One and a half refreshes: a frame that comes later has missed one. */
const LATE_MS = 25;

function watch() {
  window.__frames = [];
  window.__long = 0;
  new PerformanceObserver((list) => (window.__long += list.getEntries().length)).observe({ entryTypes: ['longtask'] });
  const raf = window.requestAnimationFrame.bind(window);
  // What a callback sets in motion runs in microtasks behind it: the time is taken after those.
  const after = (n, f) => queueMicrotask(() => (n ? after(n - 1, f) : f()));
  window.requestAnimationFrame = (callback) => raf((now) => {
    const begin = performance.now();
    callback(now);
    after(4, () => window.__frames.push([now, performance.now() - begin]));
  });
}

const browser = await launch();
const page = await newPage(browser, { size, init: watch });
await page.goto(`${url}#lang=en&ch=overview&t=0${text ? `&text=${encodeURIComponent(text)}` : ''}`);
await ready(page);
console.log('chapter      frames  in time   own ms: median   95 %    most   long');
for (const { id, steps } of await page.evaluate(() => window.__glassformer.chapters())) {
  const gaps = [];
  const own = [];
  let long = 0;
  for (const step of steps) {
    await page.evaluate(([c, s]) => window.__glassformer.seek(c, s, 0), [id, step]);
    await ready(page);
    await page.waitForTimeout(100);
    await page.evaluate(() => { window.__frames = []; window.__long = 0; });
    await page.keyboard.press(' ');
    await page.waitForFunction(() => !window.__glassformer.playing || window.__glassformer.p >= 1, null, { timeout: 60_000, polling: 100 });
    const got = await page.evaluate(() => ({ frames: window.__frames, long: window.__long }));
    if (await page.evaluate(() => window.__glassformer.playing)) await page.keyboard.press(' ');
    got.frames.slice(1).forEach(([now, ms], i) => { gaps.push(now - got.frames[i][0]); own.push(ms); });
    long += got.long;
  }
  const inTime = gaps.filter((g) => g < LATE_MS).length / gaps.length;
  console.log(`${id.padEnd(12)} ${String(gaps.length).padStart(6)} ${(100 * inTime).toFixed(1).padStart(7)}% ${quantile(own, 0.5).toFixed(1).padStart(17)} ${quantile(own, 0.95).toFixed(1).padStart(6)} ${Math.max(...own).toFixed(1).padStart(7)} ${String(long).padStart(6)}`);
}
await browser.close();
