// Fetches what chapters need, each thing once, and keeps it in the bundle.
import type { Engine } from './engine';
import { cellKey, weightKey, type Bundle, type Need } from './bundle';
import type { SampleSettings } from './wire';

const toRegExp = (glob: string): RegExp => new RegExp(`^${glob.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*')}$`);

export function missingSites(bundle: Bundle, globs: string[]): string[] {
  const tests = globs.map(toRegExp);
  return bundle.trace.sites.map((s) => s.name).filter((n) => !bundle.sites.has(n) && tests.some((t) => t.test(n)));
}

export function isMissing(bundle: Bundle, need: Need): boolean {
  switch (need.kind) {
    case 'sites':
      return missingSites(bundle, need.globs).length > 0;
    case 'lens':
      return bundle.lens === undefined;
    case 'sample':
      return bundle.sample === undefined;
    case 'generate':
      return bundle.generated === undefined;
    case 'neighbours':
      return !bundle.neighbours.has(need.id);
    case 'cell':
      return !bundle.cells.has(cellKey(need.site, need.index));
    case 'weights':
      return !bundle.weights.has(weightKey(need.name, need.rows, need.cols));
  }
}

export async function load(engine: Engine, bundle: Bundle, needs: Need[], settings: SampleSettings, loopLength: number): Promise<void> {
  const id = bundle.trace.id;
  const globs = needs.flatMap((n) => (n.kind === 'sites' ? n.globs : []));
  const names = missingSites(bundle, globs);
  const jobs: Promise<unknown>[] = [];
  if (names.length) jobs.push(engine.tensors(id, names).then((got) => got.forEach((t, n) => bundle.sites.set(n, t))));
  for (const need of needs) if (need.kind !== 'sites' && isMissing(bundle, need)) jobs.push(one(engine, bundle, need, settings, loopLength));
  await Promise.all(jobs);
}

async function one(engine: Engine, bundle: Bundle, need: Exclude<Need, { kind: 'sites' }>, settings: SampleSettings, loopLength: number): Promise<void> {
  const id = bundle.trace.id;
  switch (need.kind) {
    case 'lens':
      bundle.lens = await engine.lens(id, 5);
      break;
    case 'sample':
      bundle.sample = await engine.sample(id, settings);
      break;
    case 'generate':
      bundle.generated = await engine.generate(bundle.trace.kept?.text ?? bundle.trace.text, loopLength, settings);
      break;
    case 'neighbours':
      bundle.neighbours.set(need.id, await engine.neighbours(need.id, 8));
      break;
    case 'cell':
      bundle.cells.set(cellKey(need.site, need.index), await engine.cell(id, need.site, need.index));
      break;
    case 'weights':
      bundle.weights.set(weightKey(need.name, need.rows, need.cols), await engine.weights(need.name, need.rows, need.cols));
  }
}
