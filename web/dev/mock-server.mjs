// DEVELOPMENT AND TESTS ONLY: stands in for `cargo run --release` while the page is being worked on.
// It implements docs/api.md over a small GPT with random weights; its words mean nothing.
// With `--dist` it also serves web/dist under the real server's content security policy.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createEngine } from './mock-engine.mjs';
import { createFiller, createTranslator } from './mock-variants.mjs';
import { routeAmong } from './mock-routes.mjs';

const port = Number(process.env.PORT ?? 8190);
const dist = process.argv.includes('--dist') ? fileURLToPath(new URL('../dist/', import.meta.url)) : null;
const asked = (name) => process.argv.includes(`--${name}`);
const own = asked('translator') ? createTranslator() : asked('filler') ? createFiller() : createEngine(asked('llama') ? { llama: true, kvHeads: 2 } : {});
const engines = [own, ...(asked('beside-translator') ? [createTranslator()] : []), ...(asked('beside-filler') ? [createFiller()] : [])];
/** As the real server names itself. */
const INSTANCE = `${Date.now().toString(16)}-${process.pid}`;
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.woff2': 'font/woff2', '.woff': 'font/woff', '.ttf': 'font/ttf', '.svg': 'image/svg+xml' };
const CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'";

async function file(path, res) {
  const safe = normalize(path === '/' ? '/index.html' : path);
  try {
    const data = await readFile(join(dist, safe));
    res.writeHead(200, { 'content-type': TYPES[extname(safe)] ?? 'application/octet-stream', 'content-security-policy': CSP });
    res.end(data);
  } catch {
    res.writeHead(404).end('not found');
  }
}

createServer(async (req, res) => {
  const url = new URL(req.url, 'http://localhost');
  if (dist && !url.pathname.startsWith('/api/')) return file(url.pathname, res);
  const chunks = [];
  for await (const c of req) chunks.push(c);
  try {
    const out = routeAmong(engines, req.method, url, chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : {});
    const binary = Buffer.isBuffer(out);
    res.writeHead(200, { 'content-type': binary ? 'application/octet-stream' : 'application/json', 'glassformer-instance': INSTANCE });
    res.end(binary ? out : JSON.stringify(out));
  } catch (e) {
    res.writeHead(e.status ?? 400, { 'content-type': 'application/json', 'glassformer-instance': INSTANCE });
    res.end(JSON.stringify({ error: e.message }));
  }
}).listen(port, '127.0.0.1', () => console.log(`mock server (development only) on http://127.0.0.1:${port}`));
