// What the browser tests share: the page, its film, and what must not be heard of it.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { test, type Page } from '@playwright/test';
import type { Hook } from '../src/app/hook';

declare global {
  interface Window {
    __glassformer?: Hook;
  }
}

export const ready = (page: Page): Promise<unknown> => page.waitForFunction(() => window.__glassformer?.ready === true, null, { timeout: 30_000 });
export const where = (page: Page): Promise<{ chapter: string; step: string; playing: boolean; p: number }> => page.evaluate(() => ({ chapter: window.__glassformer?.chapter ?? '', step: window.__glassformer?.step ?? '', playing: window.__glassformer?.playing ?? false, p: window.__glassformer?.p ?? 0 }));
export const chapters = (page: Page): Promise<{ id: string; number: number; steps: string[] }[]> => page.evaluate(() => window.__glassformer?.chapters() ?? []);

/** GLASSFORMER_DIST=1: the page as last built, at the origin of a server that holds an older one inside. For development. */
export async function freshPage(page: Page): Promise<void> {
  if (process.env['GLASSFORMER_DIST'] !== '1') return;
  await page.route((u) => !u.pathname.startsWith('/api/'), (r) => {
    const path = new URL(r.request().url()).pathname;
    const file = resolve('dist', path === '/' ? 'index.html' : path.slice(1));
    return existsSync(file) ? r.fulfill({ path: file }) : r.abort();
  });
}

export async function open(page: Page, hash = ''): Promise<void> {
  await freshPage(page);
  await page.goto(`./${hash}`);
  await ready(page);
}

export async function seek(page: Page, chapter: string, step: string, p = 1): Promise<void> {
  await page.evaluate(([c, s, at]) => window.__glassformer?.seek(c as string, s as string, at as number), [chapter, step, p] as const);
  await ready(page);
  // Two frames: the state has reached the picture.
  await page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r))));
}

/** Every request must go to the page's own server, and nothing may be said on the console. */
export function watch(page: Page): { foreign: string[]; errors: string[] } {
  const seen = { foreign: [] as string[], errors: [] as string[] };
  page.on('request', (r) => {
    const url = new URL(r.url());
    const own = new URL(test.info().project.use.baseURL ?? 'http://127.0.0.1:8190/');
    if (url.protocol !== 'data:' && url.protocol !== 'blob:' && url.origin !== own.origin) seen.foreign.push(r.url());
  });
  page.on('pageerror', (e) => seen.errors.push(e.message));
  page.on('console', (m) => {
    if (m.type() === 'error') seen.errors.push(m.text());
  });
  return seen;
}
