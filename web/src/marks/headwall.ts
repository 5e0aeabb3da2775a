// All heads at once: a thumbnail of every pattern, one row per layer.
import type { Draw } from './draw';
import type { Box } from './types';

export interface Thumb {
  layer: number;
  head: number;
  name: string;
  score: number;
}

export interface WallOptions extends Box {
  layers: number;
  heads: number;
  /** Squares along each side of a thumbnail. */
  side: number;
  weight: (layer: number, head: number, row: number, column: number) => number;
  name: (layer: number, head: number) => string;
  selected: { layer: number; head: number };
  reveal: (layer: number, head: number) => number;
  labelW: number;
}

export function thumbBox(o: Pick<WallOptions, 'x' | 'y' | 'w' | 'h' | 'layers' | 'heads' | 'labelW'>, layer: number, head: number): Box {
  const cw = (o.w - o.labelW) / o.heads;
  const ch = o.h / o.layers;
  const side = Math.max(8, Math.min(cw - 10, ch - 20));
  return { x: o.x + o.labelW + cw * head + (cw - side) / 2, y: o.y + ch * layer + (ch - side - 13) / 2, w: side, h: side };
}

export function headWall(d: Draw, o: WallOptions): void {
  for (let l = 0; l < o.layers; l++) {
    const left = thumbBox(o, l, 0);
    d.text(o.x, left.y + left.h / 2, `L${l}`, { size: 12, font: 'mono', fill: 'muted' });
    for (let h = 0; h < o.heads; h++) thumb(d, o, l, h);
  }
}

function thumb(d: Draw, o: WallOptions, l: number, h: number): void {
  const b = thumbBox(o, l, h);
  const active = o.selected.layer === l && o.selected.head === h;
  const side = b.w / o.side;
  d.fade(o.reveal(l, h), () => {
    d.rect(b.x - 2, b.y - 2, b.w + 4, b.h + 4, { r: 5, fill: 'surface', stroke: active ? 'attn' : 'line', sw: active ? 2.5 : 1, cell: { site: 'pick:head', index: [l, h], value: NaN, text: '' } });
    for (let i = 0; i < o.side; i++) {
      for (let j = 0; j <= i; j++) {
        const w = o.weight(l, h, i, j);
        if (w > 0.03) d.rect(b.x + side * j, b.y + side * i, side, side, { fill: `attn/${Math.round(Math.min(1, 0.1 + 0.9 * w) * 100) / 100}` });
      }
    }
    const name = o.name(l, h);
    d.text(b.x + b.w / 2, b.y + b.h + 10, name, { size: 10.5, anchor: 'middle', fill: active ? 'ink' : 'muted', weight: active ? 650 : 450 });
  });
}
