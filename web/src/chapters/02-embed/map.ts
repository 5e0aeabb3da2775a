// The vocabulary as a map: the direction of every row of W_E as a point, in the plane in which they lie furthest apart.
import { percent, prose, tokenText } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import { fit, textWidth } from '../../marks/measure';
import type { Box, Paint } from '../../marks/types';
import { part, stagger } from '../../timeline/ease';
import type { VocabMap } from '../../trace/wire';
import { heading, pad, prog, tokenAt } from '../common';
import type { Frame } from '../types';
import { idsOf } from './words';

const KINDS = ['latin', 'han', 'other'] as const;
type Kind = (typeof KINDS)[number];
const TINTS: Record<Kind, Paint> = { latin: 'resid', han: 'mlp', other: 'place' };

const kindOf = (text: string | null): Kind => (text === null ? 'other' : /\p{Script=Han}/u.test(text) ? 'han' : /\p{Script=Latin}/u.test(text) ? 'latin' : 'other');

interface Placed {
  /** By id, from the middle of the map. */
  at: Map<number, [number, number]>;
  text: Map<number, string>;
  groups: { kind: Kind; ids: number[]; points: Float32Array }[];
}

/** Where the points lie, worked out once for each map and size: there are thousands. */
const known = new WeakMap<VocabMap, Map<string, Placed>>();

function placed(map: VocabMap, w: number, h: number): Placed {
  const of = known.get(map) ?? new Map<string, Placed>();
  known.set(map, of);
  const key = `${w.toFixed(1)}|${h.toFixed(1)}`;
  const found = of.get(key) ?? place(map, w, h);
  if (of.size > 4) of.clear();
  of.set(key, found);
  return found;
}

/** One scale for both axes: what is nearer on the map is nearer in the plane. The middle is the middle of what is shown. */
function place(map: VocabMap, w: number, h: number): Placed {
  const [xs, ys] = [map.tokens.map((t) => t.x), map.tokens.map((t) => t.y)];
  const span = (v: number[]): [number, number] => v.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
  const [[x0, x1], [y0, y1]] = [span(xs), span(ys)];
  const unit = Math.min(w / Math.max(1e-9, x1 - x0), h / Math.max(1e-9, y1 - y0));
  const at = new Map(map.tokens.map((t) => [t.id, [(t.x - (x0 + x1) / 2) * unit, ((y0 + y1) / 2 - t.y) * unit] as [number, number]]));
  const groups = KINDS.map((kind) => {
    const ids = map.tokens.filter((t) => kindOf(t.text) === kind).map((t) => t.id);
    return { kind, ids, points: Float32Array.from(ids.flatMap((id) => at.get(id) ?? [0, 0])) };
  });
  return { at, groups, text: new Map(map.tokens.map((t) => [t.id, tokenText({ text: t.text, bytes: t.bytes ?? [] })])) };
}

export function vocabulary(f: Frame, d: Draw): void {
  const { map } = f.b;
  if (!map) return;
  const g = prog(f, 'map');
  const m = pad(f);
  const box: Box = { x: m + 8, y: f.narrow ? 64 : 82, w: f.W - 2 * m - 16, h: f.H - (f.narrow ? 64 + 44 : 82 + 52) };
  const p = placed(map, box.w, box.h);
  const [cx, cy] = [box.x + box.w / 2, box.y + box.h / 2];
  if (map.around !== null) d.badge('badge.around', { n: String(map.tokens.length), total: String(map.vocab), word: prose(tokenAt(f, f.view.token)) });
  d.badge('badge.plane', { d: String(f.b.model.d_model) });
  captions(f, d, map);
  // The points come out of the middle, along the two axes.
  const out = part(g, 0.05, 0.5);
  d.line(box.x, cy, box.x + box.w, cy, 'line', 1, { dash: [2, 4] });
  d.line(cx, box.y, cx, box.y + box.h, 'line', 1, { dash: [2, 4] });
  for (const { kind, ids, points } of p.groups)
    d.shift(cx, cy, () => d.dots(out < 1 ? points.map((v) => v * out) : points, f.narrow ? 1.3 : 1.9, `${TINTS[kind]}/0.42`, { ids, a: part(g, 0, 0.15) }));
  legend(f, d, p, box);
  names(f, d, p, [cx, cy]);
}

function captions(f: Frame, d: Draw, map: VocabMap): void {
  const m = pad(f);
  heading(d, m, f.narrow ? 18 : 30, map.around === null ? f.t('scene.map', { v: map.vocab }) : f.t('scene.mapAround', { n: map.tokens.length }), 'resid', f.narrow ? '' : 'W_E');
  const y = f.narrow ? 40 : 54;
  const words = f.t('scene.mapAxes');
  d.text(m, y, words, { size: 12.5, fill: 'muted' });
  let x = m + textWidth(words, 12.5) + 12;
  map.shares.forEach((share, axis) => {
    const sign = axis === 0 ? '↔' : '↕';
    d.text(x, y, sign, { size: 13, fill: 'muted' });
    d.text(x + 18, y, percent(share), { size: 12.5, font: 'mono', weight: 600, cell: { site: 'map:share', index: [axis], value: share, text: percent(share) } });
    x += f.narrow ? 62 : 72;
  });
}

function legend(f: Frame, d: Draw, p: Placed, box: Box): void {
  const y = f.H - (f.narrow ? 22 : 26);
  let x = box.x;
  for (const { kind, ids } of p.groups) {
    if (!ids.length) continue;
    const text = `${f.t(`scene.map.${kind}`)} ${ids.length}`;
    d.disc(x + 4, y, 4, { fill: TINTS[kind] });
    d.text(x + 13, y, text, { size: f.narrow ? 11 : 12, fill: 'muted' });
    x += textWidth(text, f.narrow ? 11 : 12) + 32;
  }
}

interface Named {
  id: number;
  tint: Paint;
  strong: boolean;
  a: number;
}

/** One's own tokens, the nearest to the chosen one, and the one that was picked; a name that would lie on another one is left out. */
function names(f: Frame, d: Draw, p: Placed, [cx, cy]: [number, number]): void {
  const g = prog(f, 'map');
  const own = tokenAt(f, f.view.token).id;
  const mine = idsOf(f.view, f.b).filter((id) => id !== own);
  const near = (f.b.neighbours.get(own)?.neighbours ?? []).slice(0, f.narrow ? 4 : 8).map((n) => n.id).filter((id) => !mine.includes(id));
  const picked = f.view.word !== undefined && f.view.word !== own ? [f.view.word] : [];
  const all: Named[] = [
    { id: own, tint: 'accent', strong: true, a: part(g, 0.5, 0.6) },
    ...picked.map((id) => ({ id, tint: 'ink', strong: true, a: 1 })),
    ...mine.map((id, i) => ({ id, tint: 'accent', strong: false, a: stagger(g, i, mine.length, 0.55, 0.8, 0.4) })),
    ...near.map((id, i) => ({ id, tint: 'muted', strong: false, a: stagger(g, i, near.length, 0.75, 1, 0.4) })),
  ];
  // No name lies on a named point.
  const taken: Box[] = all.flatMap(({ id }) => {
    const at = p.at.get(id);
    return at ? [{ x: cx + at[0] - 5, y: cy + at[1] - 5, w: 10, h: 10 }] : [];
  });
  for (const n of all) {
    const at = p.at.get(n.id);
    if (!at || n.a === 0) continue;
    const [x, y] = [cx + at[0], cy + at[1]];
    d.disc(x, y, n.strong ? 6 : 4, { fill: `${n.tint}/${n.strong ? 0.9 : 0.75}`, stroke: 'stage', sw: 1.5, a: n.a });
    const size = n.strong ? 13.5 : 12;
    const text = fit(p.text.get(n.id) ?? '', 110, size);
    const w = textWidth(text, size) + 8;
    const spots = [[x + 8, y - 9], [x - 8 - w, y - 9], [x - w / 2, y - 26], [x - w / 2, y + 8]] as const;
    const box = spots.map(([bx, by]) => ({ x: bx, y: by, w, h: 18 })).find((b) => b.x >= 0 && b.x + b.w <= f.W && taken.every((o) => b.x >= o.x + o.w || b.x + b.w <= o.x || b.y >= o.y + o.h || b.y + b.h <= o.y));
    if (!box) continue;
    taken.push(box);
    d.rect(box.x, box.y, box.w, box.h, { r: 5, fill: 'stage/0.82', a: n.a });
    d.text(box.x + 4, box.y + 9, text, { size, weight: n.strong ? 680 : 560, fill: n.tint, a: n.a });
  }
}
