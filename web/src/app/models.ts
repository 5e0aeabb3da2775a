// The models that a server was given beside its own.
import type { ModelInfo } from '../trace/wire';
import { isTrained } from './link';
import type { Store } from './store.svelte';

/** A link made with a model that stands beside the server's own opens with it. */
export async function besideIt(store: Store, own: ModelInfo, name?: string): Promise<ModelInfo> {
  if (name === undefined || name === own.name || isTrained(name)) return own;
  store.beside = (await store.engine.models()).filter((n) => !isTrained(n));
  return store.beside.includes(name) ? store.engine.model(name) : own;
}

/** Another of the server's models takes the page; after a translator, it is given what that wrote. */
export const open = (store: Store, name: string): Promise<void> =>
  store.guard(async () => {
    const written = store.bundle?.trace.target?.text;
    // Before the model is another: the place that is left keeps its own address.
    store.jumps++;
    const model = await store.become(name);
    store.text = (model.kind === 'encoder_decoder' && written) || store.text;
    await store.run();
  });
