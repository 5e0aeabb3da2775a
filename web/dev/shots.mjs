// DEVELOPMENT ONLY: screenshots of chosen moments, to be looked at.
// node dev/shots.mjs OUT URL 'chapter:step:p,…' size,… lang,… theme,…
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from '@playwright/test';

const [out, url, moments, sizes = '1440x900', langs = 'en', themes = 'light', text = ''] = process.argv.slice(2);
const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags });
for (const size of sizes.split(',')) {
  const [width, height] = size.split('x').map(Number);
  for (const theme of themes.split(',')) {
    for (const lang of langs.split(',')) {
      const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, deviceScaleFactor: 1 });
      const page = await context.newPage();
      page.on('console', (m) => m.type() === 'error' && console.log('console:', m.text()));
      page.on('pageerror', (e) => console.log('pageerror:', e.message, e.stack?.split('\n')[1]));
      // DIST=1: the page as just built, at the origin of a server that holds an older one inside.
      if (process.env.DIST === '1') {
        await page.route((u) => !u.pathname.startsWith('/api/'), (r) => {
          const path = new URL(r.request().url()).pathname;
          const file = fileURLToPath(new URL(`../dist${path === '/' ? '/index.html' : path}`, import.meta.url));
          return existsSync(file) ? r.fulfill({ path: file }) : r.abort();
        });
      }
      await page.goto(`${url}#lang=${lang}${text ? `&text=${encodeURIComponent(text)}` : ''}&${process.env.HASH ?? ''}`);
      await page.waitForFunction(() => window.__glassformer?.ready, null, { timeout: 20000 });
      const list = moments === 'all' ? await page.evaluate(() => window.__glassformer.chapters().flatMap((c) => c.steps.map((s) => `${c.id}:${s}:1`))) : moments.split(',');
      for (const m of list) {
        const [chapter, step, p = '1'] = m.split(':');
        await page.evaluate(([c, s, p]) => window.__glassformer.seek(c, s, Number(p)), [chapter, step, p]);
        await page.waitForFunction(() => window.__glassformer.ready);
        await page.waitForTimeout(160);
        if (process.env.CLICK) await page.evaluate(async () => { const c = window.__glassformer.cells().at(-1); if (c) await window.__glassformer.inspect(c.site, c.index); });
        const full = process.env.FULL === '1';
        await page.screenshot({ path: `${out}/${chapter}-${step}-${p}-${size}-${lang}-${theme}.png`, fullPage: full });
      }
      await context.close();
    }
  }
}
await browser.close();
