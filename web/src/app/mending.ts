// What the page does when an answer does not come: it waits for a server that has gone, and makes its runs anew where they have been
// forgotten.
import { EngineError } from '../trace/engine';
import { sameModel } from '../trace/wire';
import type { Store } from './store.svelte';

const RETRY_MS = 1500;

/** Runs `job`; says in one line what went wrong; traces again when the trace has gone, waits when the server has. */
export async function guard(store: Store, job: () => Promise<void>, again = true): Promise<void> {
  try {
    await job();
    if (store.error?.key === 'error.unreachable') store.notice = store.t('error.recovered');
    store.error = null;
  } catch (e) {
    if (!(e instanceof EngineError)) {
      store.error = { key: 'error.server', message: e instanceof Error ? e.message : String(e) };
    } else if (e.unreachable) {
      store.error = { key: 'error.unreachable', message: e.message };
      await new Promise((r) => setTimeout(r, RETRY_MS));
      await guard(store, job, again);
    } else if (e.restarted) {
      await guard(store, () => renew(store, job), again);
    } else if (e.gone && again && store.bundle) {
      await guard(
        store,
        async () => {
          await retrace(store);
          await job();
        },
        false,
      );
    } else {
      store.error = { key: 'error.server', message: e.message };
    }
  }
}

/** The server has forgotten a run: all are made again under new ids, and what was loaded stays valid. */
async function retrace(store: Store): Promise<void> {
  for (const old of [store.bundle, ...store.lab.beside]) {
    if (!old) continue;
    const trace = await store.engine.trace(old.asked.text, old.asked.chat, old.asked.edits, old.model.name);
    old.trace = { ...old.trace, id: trace.id };
  }
  store.version++;
}

/** Another server answers. With the same model in it, what was loaded stays valid; with another one, the text is run anew. */
async function renew(store: Store, job: () => Promise<void>): Promise<void> {
  const old = store.model;
  const model = await store.find({ model: old?.name });
  if (!old || !store.bundle || sameModel(old, model)) {
    store.meet(model);
    await retrace(store);
    await job();
    return;
  }
  const { text, chat } = store.bundle.asked;
  store.lab.reset();
  await store.run({ settings: {} }, { model, text, chat });
  store.notice = store.t('error.otherModel', { name: model.name });
}
