import { chromium } from 'playwright-core';
const [url, out, w, h, lang, theme, ...places] = process.argv.slice(2);
const b = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox','--disable-gpu','--disable-quic','--no-first-run','--disable-background-networking','--disable-component-update','--disable-sync'] });
const p = await b.newPage({ viewport: { width: +w, height: +h }, colorScheme: theme, locale: lang === 'zh' ? 'zh-CN' : 'en-US' });
p.on('console', m => { if (m.type() === 'error') console.log('console:', m.text()); });
p.on('pageerror', e => console.log('pageerror:', e.message));
await p.goto(url + '#lang=' + lang);
await p.waitForFunction(() => window.__glassformer?.ready, null, { timeout: 20000 });
console.log(JSON.stringify(await p.evaluate(() => window.__glassformer.chapters())));
for (const place of places) {
  const [ch, step, prog] = place.split(':');
  await p.evaluate(([c, s, q]) => window.__glassformer.seek(c, isNaN(+s) ? s : +s, q === undefined ? 1 : +q), [ch, step, prog]);
  await p.waitForTimeout(900);
  await p.screenshot({ path: `${out}-${ch}-${step}${prog ? '-' + prog : ''}.png` });
}
await b.close();
