// DEVELOPMENT ONLY: a browser on the page, for the scripts that look at it and measure it.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from '@playwright/test';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });

/** A page that says on the console what goes wrong in it; the scripts may run code of their own there. DIST=1: as just built, at the origin of a server that holds an older one inside. */
export async function newPage(browser, { size = '1440x900', theme = 'light', init } = {}) {
  const [width, height] = size.split('x').map(Number);
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, deviceScaleFactor: 1, bypassCSP: true });
  const page = await context.newPage();
  page.on('console', (m) => m.type() === 'error' && console.log('console:', m.text()));
  page.on('pageerror', (e) => console.log('pageerror:', e.message, e.stack?.split('\n')[1]));
  if (init) await page.addInitScript(init);
  if (process.env.DIST === '1') {
    await page.route((u) => !u.pathname.startsWith('/api/'), (r) => {
      const path = new URL(r.request().url()).pathname;
      const file = fileURLToPath(new URL(`../dist${path === '/' ? '/index.html' : path}`, import.meta.url));
      return existsSync(file) ? r.fulfill({ path: file }) : r.abort();
    });
  }
  return page;
}

export const ready = (page, timeout = 60_000) => page.waitForFunction(() => window.__glassformer?.ready, null, { timeout, polling: 20 });

export const quantile = (values, q) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
};
