// What a visitor can change in a run, as the API takes it; and in the address. Pure.
import type { Edit } from '../../trace/wire';

export type { Edit };

type Translate = (key: string, vars?: Record<string, string | number>) => string;

/** Two edits of one place: the newer takes the older's. */
export function placeOf(e: Edit): string {
  switch (e.kind) {
    case 'off':
      return `part|${e.part}`;
    case 'set':
      return `cell|${e.site}|${e.at.join()}`;
    case 'mask':
      return `mask|${e.layer ?? '*'}|${e.head ?? '*'}|${e.query}|${e.key}`;
    case 'weight':
      return `weight|${e.name}|${e.at.join()}`;
    case 'paste':
      return `paste|${e.site}|${e.to}`;
  }
}

/** The edits with one more, in place of what was done to the same place before. */
export const withEdit = (edits: readonly Edit[], e: Edit): Edit[] => [...without(edits, placeOf(e)), e];
export const without = (edits: readonly Edit[], place: string): Edit[] => edits.filter((x) => placeOf(x) !== place);
export const has = (edits: readonly Edit[], e: Edit): boolean => edits.some((x) => placeOf(x) === placeOf(e));

/** Does it name a place in the text? Such an edit means nothing for another text. */
export const isOfText = (e: Edit): boolean => e.kind === 'set' || e.kind === 'mask' || e.kind === 'paste';

const head = (layer: number, h: number): Edit => ({ kind: 'off', part: `blocks.${layer}.head.${h}` });
const attn = (layer: number): Edit => ({ kind: 'off', part: `blocks.${layer}.attn` });
const mlp = (layer: number): Edit => ({ kind: 'off', part: `blocks.${layer}.mlp` });
export const parts = { head, attn, mlp };

export const layerOff = (edits: readonly Edit[], layer: number): boolean => has(edits, attn(layer)) && has(edits, mlp(layer));

/** A layer passes the stream on as it is: neither attention nor MLP adds anything. */
export function toggleLayer(edits: readonly Edit[], layer: number): Edit[] {
  const rest = without(without(edits, placeOf(attn(layer))), placeOf(mlp(layer)));
  return layerOff(edits, layer) ? rest : [...rest, attn(layer), mlp(layer)];
}
export const toggle = (edits: readonly Edit[], e: Edit): Edit[] => (has(edits, e) ? without(edits, placeOf(e)) : [...edits, e]);

/** An edit in a few words. */
export function describe(e: Edit, t: Translate): string {
  switch (e.kind) {
    case 'off': {
      const [, layer, what, h] = /^blocks\.(\d+)\.(head|attn|mlp)(?:\.(\d+))?$/.exec(e.part) ?? [];
      return what ? t(`lab.is.${what}`, { layer: layer ?? '', head: h ?? '' }) : e.part;
    }
    case 'set':
      return `${e.site}[${e.at.join(', ')}] = ${e.to}`;
    case 'weight':
      return `${e.name}[${e.at.join(', ')}] = ${e.to}`;
    case 'mask':
      return t(e.allow ? 'lab.is.open' : 'lab.is.closed', { query: e.query, key: e.key, where: e.layer === undefined ? t('lab.everywhere') : e.head === undefined ? `L${e.layer}` : `L${e.layer} H${e.head}` });
    case 'paste':
      return t('lab.is.paste', { site: e.site, to: e.to, text: e.text, from: e.from ?? t('lab.last') });
  }
}

const isIndex = (v: unknown): v is number => typeof v === 'number' && Number.isInteger(v) && v >= 0;
const isPlace = (v: unknown): boolean => Array.isArray(v) && v.length > 0 && v.every(isIndex);
const isNumber = (v: unknown): boolean => typeof v === 'number' && Number.isFinite(v);

function isEdit(v: unknown): v is Edit {
  if (typeof v !== 'object' || v === null) return false;
  const e = v as Record<string, unknown>;
  const maybe = (x: unknown): boolean => x === undefined || isIndex(x);
  switch (e['kind']) {
    case 'off':
      return typeof e['part'] === 'string';
    case 'set':
      return typeof e['site'] === 'string' && isPlace(e['at']) && isNumber(e['to']);
    case 'mask':
      return maybe(e['layer']) && maybe(e['head']) && isIndex(e['query']) && isIndex(e['key']) && typeof e['allow'] === 'boolean';
    case 'weight':
      return typeof e['name'] === 'string' && isPlace(e['at']) && (e['at'] as unknown[]).length === 2 && isNumber(e['to']);
    case 'paste':
      return typeof e['site'] === 'string' && isIndex(e['to']) && typeof e['text'] === 'string' && maybe(e['from']);
    default:
      return false;
  }
}

export interface LabLink {
  edits: Edit[];
  /** The second prompt. */
  other: string;
  /** The model that reads it; none: the first's. */
  otherModel: string;
}

/** The names of what the lab keeps in a link. */
export const LAB_FIELDS = ['edits', 'vs', 'vsmodel'] as const;

/** What of the lab stands in an address; what cannot be understood is left out. */
export function readLab(hash: string): LabLink {
  const q = new URLSearchParams(hash.replace(/^#/, ''));
  let list: unknown = [];
  try {
    list = JSON.parse(q.get('edits') ?? '[]');
  } catch {
    // An address that was cut short: the rest of it still opens.
  }
  return { edits: Array.isArray(list) ? list.filter(isEdit) : [], other: q.get('vs') ?? '', otherModel: q.get('vsmodel') ?? '' };
}

export function writeLab({ edits, other, otherModel }: LabLink): string {
  const q = new URLSearchParams();
  if (edits.length) q.set('edits', JSON.stringify(edits));
  if (other) q.set('vs', other);
  if (other && otherModel) q.set('vsmodel', otherModel);
  const text = q.toString();
  return text && `&${text}`;
}
