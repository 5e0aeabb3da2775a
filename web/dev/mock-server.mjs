// DEVELOPMENT AND TESTS ONLY: stands in for `cargo run --release` while the page is being worked on.
// It implements docs/api.md over a small GPT with random weights; its words mean nothing.
// With `--dist` it also serves web/dist under the real server's content security policy.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createEngine } from './mock-engine.mjs';

const port = Number(process.env.PORT ?? 8190);
const dist = process.argv.includes('--dist') ? fileURLToPath(new URL('../dist/', import.meta.url)) : null;
const engine = createEngine(process.argv.includes('--llama') ? { llama: true, kvHeads: 2 } : {});
/** As the real server names itself. */
const INSTANCE = `${Date.now().toString(16)}-${process.pid}`;
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.woff2': 'font/woff2', '.woff': 'font/woff', '.ttf': 'font/ttf', '.svg': 'image/svg+xml' };
const CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'";

function route(method, url, body) {
  const q = url.searchParams;
  const path = url.pathname;
  const k = q.has('k') ? Number(q.get('k')) : undefined;
  const on = path.match(/^\/api\/trace\/([^/]+)\/(tensors|lens|heads|cell|lesson|gradients)$/);
  if (path === '/api/model') return engine.model();
  if (path === '/api/vocab') return engine.vocab();
  if (path === '/api/neighbours') return engine.neighbours(Number(q.get('id')), k);
  if (path === '/api/cosines') return engine.cosines(q.get('ids').split(',').map(Number));
  if (path === '/api/map') return engine.map();
  if (path === '/api/sum') return engine.sum([q.get('a'), q.get('b'), q.get('c')]);
  if (path === '/api/weights') return engine.weights(q.get('name'), q.get('rows'), q.get('cols'));
  if (method === 'POST' && path === '/api/trace') return engine.trace(body);
  if (method === 'POST' && path === '/api/sample') return engine.sample(body);
  if (method === 'POST' && path === '/api/generate') return engine.generate(body);
  if (on?.[2] === 'tensors') return engine.tensors(on[1], q.get('sites') ?? '*', q.get('rows'), q.get('cols'));
  if (on?.[2] === 'heads') return engine.heads(on[1]);
  if (on?.[2] === 'lens') return engine.lens(on[1], k, q.get('rows'));
  if (on?.[2] === 'cell') return engine.cell(on[1], q.get('site'), q.get('index').split(',').map(Number), k);
  if (on?.[2] === 'lesson') return engine.lesson(on[1]);
  if (on?.[2] === 'gradients') return engine.gradients(on[1], q.get('sites'), q.get('rows'));
  if (path === '/api/train') return { run: null };
  throw Object.assign(new Error(`no such route: ${path}`), { status: 404 });
}

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
    const out = route(req.method, url, chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : {});
    const binary = Buffer.isBuffer(out);
    res.writeHead(200, { 'content-type': binary ? 'application/octet-stream' : 'application/json', 'glassformer-instance': INSTANCE });
    res.end(binary ? out : JSON.stringify(out));
  } catch (e) {
    res.writeHead(e.status ?? 400, { 'content-type': 'application/json', 'glassformer-instance': INSTANCE });
    res.end(JSON.stringify({ error: e.message }));
  }
}).listen(port, '127.0.0.1', () => console.log(`mock server (development only) on http://127.0.0.1:${port}`));
