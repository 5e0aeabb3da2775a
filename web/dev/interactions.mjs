// DEVELOPMENT ONLY: how long the page takes to answer, on a text as long as the model reads.
// node dev/interactions.mjs URL [TOKENS]      (DIST=1: the page as just built)
//   answer   from the act to the end of the next frame: what a visitor feels
//   whole    until everything that the picture wants has come and is drawn
//   longest  the longest task of the page on the way
import { launch, newPage, ready } from './browser.mjs';

const [url, words = '1100'] = process.argv.slice(2);
const STORY = 'Once upon a time, there was a little girl who lived in a village near the sea. She liked to walk along the shore and count the waves. ';
const text = STORY.repeat(Math.ceil(Number(words) / 30));

function watch() {
  window.__tasks = [];
  new PerformanceObserver((list) => window.__tasks.push(...list.getEntries().map((e) => e.duration))).observe({ entryTypes: ['longtask'] });
}

const browser = await launch();
const page = await newPage(browser, { init: watch });
/** Runs `act` in the page; resolves after the frame that shows its first answer, and after the one that shows all. */
const timed = (act, arg) => page.evaluate(async ([source, arg]) => {
  const frame = () => new Promise((r) => requestAnimationFrame(() => { const c = new MessageChannel(); c.port1.onmessage = r; c.port2.postMessage(0); }));
  window.__tasks = [];
  await frame();
  const begin = performance.now();
  (0, eval)(`(${source})`)(arg);
  await frame();
  const answer = performance.now() - begin;
  while (!window.__glassformer.ready) await frame();
  await frame();
  return { answer, whole: performance.now() - begin, longest: Math.max(0, ...window.__tasks) };
}, [act.toString(), arg]);
const report = (name, t) => console.log(`${name.padEnd(34)} answer ${t.answer.toFixed(0).padStart(5)} ms   whole ${t.whole.toFixed(0).padStart(5)} ms   longest task ${t.longest.toFixed(0).padStart(4)} ms`);

const pick = ([id, value]) => {
  const select = document.querySelector(`[data-testid=pick-${id}]`);
  select.value = String(value);
  select.dispatchEvent(new Event('change', { bubbles: true }));
};
const click = (id) => document.querySelector(`[data-testid=${id}]`).click();
const seek = ([chapter, step]) => window.__glassformer.seek(chapter, step, 1);

let answered = 0;
page.on('response', (r) => { if (r.url().endsWith('/api/trace')) answered = Date.now(); });
await page.goto(`${url}#lang=en&ch=overview&text=${encodeURIComponent(text)}`);
await page.waitForFunction(() => window.__glassformer?.traceId, null, { timeout: 120_000, polling: 20 });
await page.waitForFunction(() => window.__glassformer?.cells || true);
await page.waitForFunction(() => !document.querySelector('.wait'), null, { timeout: 120_000, polling: 20 });
console.log(`first picture ${Date.now() - answered} ms after the server's answer`);
await ready(page, 120_000);
await page.evaluate(() => { if (window.__glassformer.playing) document.querySelector('[data-testid=play]').click(); });
for (const { id, steps } of await page.evaluate(() => window.__glassformer.chapters())) report(`chapter ${id}`, await timed(seek, [id, steps.at(-1)]));
for (const [chapter, step] of [['attention', 'values'], ['attention', 'mask'], ['attention', 'wall'], ['mlp', 'down']]) {
  await timed(seek, [chapter, step]);
  for (const layer of [1, 2, 3]) report(`${chapter}.${step}: layer ${layer}`, await timed(pick, ['layer', layer]));
  if (chapter === 'attention') report(`${chapter}.${step}: head`, await timed(pick, ['head', 1]));
  report(`${chapter}.${step}: token`, await timed(pick, ['token', 70]));
  report(`${chapter}.${step}: language`, await timed(click, 'lang'));
  report(`${chapter}.${step}: theme`, await timed(click, 'theme'));
  await timed(click, 'lang');
  await timed(pick, ['token', 200]);
}
for (const depth of ['story', 'formula', 'numbers']) report(`depth ${depth}`, await timed(click, `depth-${depth}`));
for (const id of ['next', 'prev', 'prev']) report(id, await timed(click, id));
await timed(seek, ['unembed', 'draw']);
report('temperature', await timed(() => { const dial = document.querySelector('[data-testid=temperature]'); dial.value = '1.2'; dial.dispatchEvent(new Event('input', { bubbles: true })); dial.dispatchEvent(new Event('change', { bubbles: true })); }));
await timed(seek, ['attention', 'values']);
report('a cell opens', await timed(() => { const c = window.__glassformer.cells().at(-1); window.__glassformer.inspect(c.site, c.index); }));
await browser.close();
