// Fetches what chapters need, each thing once, and keeps it in the bundle.
import { EngineError, type Engine } from './engine';
import { cellKey, emptyBundle, isEdited, sumKey, weightKey, type Bundle, type Need } from './bundle';
import { positionsOf, SiteRows } from './rows';
import type { SampleSettings } from './wire';

type SitesNeed = Extract<Need, { kind: 'sites' | 'gradients' }>;

/** The sites of a model that a glob names, found once: they are asked for with every frame. */
const named = new WeakMap<Bundle['trace']['sites'], Map<string, string[]>>();

function sitesOf(bundle: Bundle, glob: string): string[] {
  const { sites } = bundle.trace;
  const known = named.get(sites) ?? new Map<string, string[]>();
  named.set(sites, known);
  const found = known.get(glob) ?? sites.map((s) => s.name).filter((name) => toRegExp(glob).test(name));
  known.set(glob, found);
  return found;
}

const toRegExp = (glob: string): RegExp => new RegExp(`^${glob.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*')}$`);

const range = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
const everyRow = (bundle: Bundle): number[] => range(0, bundle.trace.tokens.length);
/** All positions of a site, of which an encoder–decoder's have two numbers. The last has no next token, and so no gradient. */
function rowsOf(bundle: Bundle, kind: SitesNeed['kind'], name: string): number[] {
  if (kind === 'gradients') return everyRow(bundle).slice(0, -1);
  return bundle.trace.target ? range(0, positionsOf(bundle.trace.sites.find((s) => s.name === name)?.shape ?? [], name)) : everyRow(bundle);
}

/** Which positions of which sites have not come yet; all of one kind. */
export function missingRows(bundle: Bundle, needs: readonly SitesNeed[], kind: SitesNeed['kind'] = 'sites'): Map<string, number[]> {
  const out = new Map<string, Set<number>>();
  for (const need of needs) {
    for (const name of need.globs.flatMap((glob) => sitesOf(bundle, glob))) {
      const have = bundle[kind].get(name);
      const rows = (need.rows ?? rowsOf(bundle, kind, name)).filter((r) => !have?.has(r));
      if (rows.length) out.set(name, new Set([...(out.get(name) ?? []), ...rows]));
    }
  }
  return new Map([...out].map(([name, rows]) => [name, [...rows].sort((a, b) => a - b)]));
}

function missingLens(bundle: Bundle, rows: readonly number[] | undefined): number[] {
  return (rows ?? everyRow(bundle)).filter((t) => bundle.lens?.top[0]?.[t] === undefined);
}

export function isMissing(bundle: Bundle, need: Need): boolean {
  switch (need.kind) {
    case 'sites':
    case 'gradients':
      return missingRows(bundle, [need], need.kind).size > 0;
    case 'lesson':
      return bundle.lesson === undefined;
    case 'corner':
      return bundle.corner === undefined;
    case 'heads':
      return bundle.heads === undefined;
    case 'guesses':
      return bundle.guesses === undefined;
    case 'gap':
      return !bundle.gaps.has(need.at);
    case 'lens':
      return missingLens(bundle, need.rows).length > 0;
    case 'sample':
      return bundle.sample === undefined;
    case 'generate':
      return bundle.generated === undefined;
    case 'neighbours':
      return !bundle.neighbours.has(need.id);
    case 'cosines':
      return !bundle.cosines.has(need.ids.join());
    case 'map':
      return bundle.map === undefined || (bundle.map.around !== null && bundle.map.around !== need.ids[0]);
    case 'sum':
      return !bundle.sums.has(sumKey(need.words));
    case 'cell':
      return !bundle.cells.has(cellKey(need.site, need.index));
    case 'weights':
      return !bundle.weights.has(weightKey(need.name, need.rows, need.cols));
  }
}

export async function load(engine: Engine, bundle: Bundle, needs: Need[], settings: SampleSettings, loopLength: number): Promise<void> {
  const jobs = (['sites', 'gradients'] as const).flatMap((kind) => sites(engine, bundle, kind, needs.filter((n): n is SitesNeed => n.kind === kind)));
  for (const need of needs) if (need.kind !== 'sites' && need.kind !== 'gradients' && isMissing(bundle, need)) jobs.push(one(engine, bundle, need, settings, loopLength));
  await Promise.all(jobs);
}

/** Sites that want the same positions come in one file. */
function sites(engine: Engine, bundle: Bundle, kind: SitesNeed['kind'], needs: readonly SitesNeed[]): Promise<void>[] {
  const groups = new Map<string, { rows: number[]; names: string[] }>();
  for (const [name, rows] of missingRows(bundle, needs, kind)) {
    const group = groups.get(rows.join()) ?? { rows, names: [] };
    group.names.push(name);
    groups.set(rows.join(), group);
  }
  const shapes = new Map(bundle.trace.sites.map((s) => [s.name, s.shape]));
  return [...groups.values()].map(async ({ rows, names }) => {
    const got = await (kind === 'sites' ? engine.tensors(bundle.trace.id, names, rows) : engine.gradients(bundle.trace.id, names, rows));
    for (const [name, tensor] of got) {
      const site = bundle[kind].get(name) ?? new SiteRows(name, shapes.get(name) ?? []);
      site.put(rows, tensor);
      bundle[kind].set(name, site);
    }
  });
}

/** Words that make no sum are an answer too: it is shown where the sum would be. */
function refusal(e: unknown): { error: string } {
  if (e instanceof EngineError && e.status === 400) return { error: e.message };
  throw e;
}

/** Guesses that are asked for at each position. */
const GUESSES = 8;

/** The same text with a gap at a place, run and looked at there. */
async function withGap(engine: Engine, bundle: Bundle, at: number): Promise<Bundle> {
  const { text, chat } = bundle.asked;
  const run = emptyBundle(bundle.model, await engine.trace(text, chat, [], bundle.model.name, [at]), bundle.asked);
  await Promise.all(sites(engine, run, 'sites', [{ kind: 'sites', globs: ['blocks.*.pattern'], rows: [at] }]));
  const { top } = await engine.guesses(run.trace.id, GUESSES, [at]);
  run.guesses = [];
  run.guesses[at] = top[0] ?? [];
  return run;
}

async function one(engine: Engine, bundle: Bundle, need: Exclude<Need, SitesNeed>, settings: SampleSettings, loopLength: number): Promise<void> {
  const id = bundle.trace.id;
  const [edited, model] = [isEdited(bundle) ? id : undefined, bundle.model.name];
  switch (need.kind) {
    case 'corner': {
      const last = range(need.first, bundle.trace.tokens.length);
      bundle.corner = { first: need.first, patterns: await engine.tensors(id, ['blocks.*.pattern'], last, last) };
      break;
    }
    case 'heads':
      bundle.heads = await engine.heads(id);
      break;
    case 'guesses':
      bundle.guesses = (await engine.guesses(id, GUESSES)).top;
      break;
    case 'gap':
      bundle.gaps.set(need.at, await withGap(engine, bundle, need.at));
      break;
    case 'lens': {
      const rows = missingLens(bundle, need.rows);
      const got = await engine.lens(id, 5, rows);
      const lens = bundle.lens ?? { sites: got.sites, top: got.sites.map(() => []) };
      got.top.forEach((guesses, s) => guesses.forEach((guess, i) => ((lens.top[s] ?? [])[rows[i] as number] = guess)));
      bundle.lens = lens;
      break;
    }
    case 'sample':
      bundle.sample = await engine.sample(id, settings);
      break;
    case 'generate':
      bundle.generated = await engine.generate(bundle.asked.chat ? bundle.asked.text : (bundle.trace.kept?.text ?? bundle.trace.text), bundle.asked.chat, loopLength, settings, edited, model);
      break;
    case 'neighbours':
      bundle.neighbours.set(need.id, await engine.neighbours(need.id, 8, edited, model));
      break;
    case 'cosines':
      bundle.cosines.set(need.ids.join(), await engine.cosines(need.ids, edited, model));
      break;
    case 'map':
      bundle.map = await engine.map(need.ids, edited, model);
      break;
    case 'sum':
      bundle.sums.set(sumKey(need.words), await engine.sum(need.words, edited, model).catch(refusal));
      break;
    case 'cell':
      bundle.cells.set(cellKey(need.site, need.index), await engine.cell(id, need.site, need.index));
      break;
    case 'weights':
      bundle.weights.set(weightKey(need.name, need.rows, need.cols), await engine.weights(need.name, need.rows, need.cols, edited, model));
      break;
    case 'lesson':
      bundle.lesson = await engine.lesson(id);
  }
}
