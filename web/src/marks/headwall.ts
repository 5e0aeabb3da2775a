// All heads at once: a thumbnail of every pattern, one row per layer; of deep models in several columns of layers.
import type { Draw } from './draw';
import type { Box, Datum } from './types';

export interface WallPlan extends Box {
  layers: number;
  heads: number;
  labelW: number;
  /** Squares along each side of a thumbnail. */
  side: number;
}

export interface WallOptions extends WallPlan {
  pattern: (layer: number, head: number) => Float32Array;
  name: (layer: number, head: number) => string;
  /** What earned the name, where there is one. */
  score: (layer: number, head: number) => Datum | undefined;
  selected: { layer: number; head: number };
  reveal: (layer: number, head: number) => number;
  /** 0..1: how far its pattern is from the untouched run's. */
  changed?: (layer: number, head: number) => number;
}

interface Grid {
  /** Columns of layers, and layers in each. */
  groups: number;
  rows: number;
  cw: number;
  ch: number;
  thumb: number;
  names: boolean;
}

const NAME_H = 20;
const LEAST_NAMED = 34;
const MOST_GROUPS = 5;
const GUTTER = 14;

/** The division into columns that gives the largest thumbnails. */
function plan(o: WallPlan): Grid {
  let best: Grid | null = null;
  for (let groups = 1; groups <= Math.min(MOST_GROUPS, o.layers); groups++) {
    const rows = Math.ceil(o.layers / groups);
    const cw = ((o.w - GUTTER * (groups - 1)) / groups - o.labelW) / o.heads;
    const ch = o.h / rows;
    const named = Math.min(cw - 10, ch - NAME_H);
    const names = named >= LEAST_NAMED;
    const thumb = names ? named : Math.max(4, Math.min(cw - 4, ch - 4));
    if (!best || thumb > best.thumb) best = { groups, rows, cw, ch, thumb, names };
  }
  return best as Grid;
}

/** Is there room for a name under each thumbnail? */
export const roomForNames = (o: WallPlan): boolean => plan(o).names;

const columnX = (o: WallPlan, p: Grid, group: number): number => o.x + (o.w + GUTTER) * (group / p.groups);

function place(o: WallPlan, p: Grid, layer: number, head: number): Box {
  const [group, row] = [Math.floor(layer / p.rows), layer % p.rows];
  const x = columnX(o, p, group) + o.labelW + p.cw * head + (p.cw - p.thumb) / 2;
  return { x, y: o.y + p.ch * row + (p.ch - p.thumb - (p.names ? 13 : 0)) / 2, w: p.thumb, h: p.thumb };
}

export function headWall(d: Draw, o: WallOptions): void {
  const p = plan(o);
  for (let l = 0; l < o.layers; l++) {
    const left = place(o, p, l, 0);
    d.text(columnX(o, p, Math.floor(l / p.rows)), left.y + left.h / 2, `L${l}`, { size: Math.min(12, p.ch * 0.7), font: 'mono', fill: 'muted' });
    for (let h = 0; h < o.heads; h++) thumb(d, o, p, l, h);
  }
}

function thumb(d: Draw, o: WallOptions, p: Grid, l: number, h: number): void {
  const b = place(o, p, l, h);
  const active = o.selected.layer === l && o.selected.head === h;
  const edge = p.names ? 2 : 1;
  d.fade(o.reveal(l, h), () => {
    d.rect(b.x - edge, b.y - edge, b.w + 2 * edge, b.h + 2 * edge, { r: p.names ? 5 : 3, fill: 'surface', stroke: active ? 'attn' : 'line', sw: active ? 2.5 : 1, cell: { site: 'pick:head', index: [l, h], value: NaN, text: '' } });
    d.grid(b.x, b.y, b.w, b.h, o.side, o.pattern(l, h), { full: 1, tint: 'attn' });
    const far = o.changed?.(l, h) ?? 0;
    if (far > 0.02) {
      d.rect(b.x - 3, b.y - 3, b.w + 6, b.h + 6, { r: 6, stroke: 'neg', sw: 1.3, dash: [3, 2], a: Math.min(1, 0.35 + far) });
      d.rect(b.x, b.y + b.h - 3, b.w * Math.min(1, far), 3, { fill: 'neg' });
    }
    if (!p.names) return;
    const score = o.score(l, h);
    d.text(b.x + b.w / 2, b.y + b.h + 10, o.name(l, h), { size: Math.min(10.5, p.cw / 5.2), anchor: 'middle', fill: active || score ? 'ink' : 'faint', weight: active ? 680 : score ? 580 : 450, cell: score });
  });
}
