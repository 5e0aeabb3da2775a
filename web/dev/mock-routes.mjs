// DEVELOPMENT AND TESTS ONLY: docs/api.md's routes, without a server around them.

/** What one of several engines answers, the first of which is the server's own: the one that is named, or whose run is asked about. */
export function routeAmong(engines, method, url, body) {
  if (url.pathname === '/api/models') return { models: engines.map((e) => e.model()) };
  const q = url.searchParams;
  const [, run] = url.pathname.match(/^\/api\/trace\/(\d+\.\d+)\//) ?? [null, q.get('trace') ?? body.trace];
  const name = q.get('model') ?? body.model;
  const at = run ? Number(run.split('.')[0]) : name ? engines.findIndex((e) => e.model().name === name) : 0;
  const engine = engines[at] ?? gone(`this server has no model ${name}`);
  // Runs are named after their engine, so that those of two are told apart.
  const own = run?.split('.')[1] ?? '';
  const out = route(engine, method, new URL(url.href.replace(run ?? ' ', own)), run && body.trace ? { ...body, trace: own } : body);
  return method === 'POST' && url.pathname === '/api/trace' ? { ...out, id: `${at}.${out.id}` } : out;
}

const gone = (message) => {
  throw Object.assign(new Error(message), { status: 404 });
};

/** What the engine answers: a Buffer, or what becomes JSON. */
export function route(engine, method, url, body) {
  const q = url.searchParams;
  const path = url.pathname;
  const k = q.has('k') ? Number(q.get('k')) : undefined;
  const on = path.match(/^\/api\/trace\/([^/]+)\/(tensors|lens|guesses|heads|cell|lesson|gradients)$/);
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
  if (on?.[2] === 'guesses') return engine.guesses(on[1], k, q.get('rows'));
  if (on?.[2] === 'heads') return engine.heads(on[1]);
  if (on?.[2] === 'lens') return engine.lens(on[1], k, q.get('rows'));
  if (on?.[2] === 'cell') return engine.cell(on[1], q.get('site'), q.get('index').split(',').map(Number), k);
  if (on?.[2] === 'lesson') return engine.lesson(on[1]);
  if (on?.[2] === 'gradients') return engine.gradients(on[1], q.get('sites'), q.get('rows'));
  if (path === '/api/train') return { run: null };
  return gone(`no such route: ${path}`);
}
