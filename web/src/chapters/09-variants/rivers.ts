// Two rivers: the source flows up through the encoder, the target through the decoder; every block of the decoder is linked to the
// encoder's end.
import type { Draw } from '../../marks/draw';
import { n } from '../../marks/draw';
import { ribbon, riverScale } from '../../marks/river';
import { tokenChip, type TokenLike } from '../../marks/tokens';
import type { Box, Paint } from '../../marks/types';
import { part, stagger } from '../../timeline/ease';
import { row } from '../../trace/bundle';
import { heading, norm, pad, prog } from '../common';
import type { Frame } from '../types';
import { levels, readAt, sourceOf, sourceWindow, targetWindow, writtenOf, type Stack } from './cross';

interface River {
  stack: Stack;
  box: Box;
  shown: number[];
  tokens: readonly TokenLike[];
  sites: string[];
  ys: number[];
  tint: Paint;
}

export function rivers(f: Frame, d: Draw): void {
  const g = prog(f, 'two');
  const m = pad(f);
  const gap = f.narrow ? 44 : 120;
  const w = (f.W - 2 * m - gap) / 2;
  const top = f.narrow ? 44 : 66;
  const most = f.narrow ? 3 : Math.max(4, Math.floor(w / 50));
  const box = (x: number): Box => ({ x, y: top, w, h: f.H - top - (f.narrow ? 46 : 56) });
  const source = river(f, 'encoder', box(m), sourceWindow(f, most), sourceOf(f), 'k');
  const shownT = targetWindow(f, most);
  const target = river(f, 'decoder', box(m + w + gap), shownT, writtenOf(f).map((_, t) => readAt(f, t)), 'q');
  for (const [r, total] of [[source, sourceOf(f).length], [target, writtenOf(f).length]] as const)
    if (r.shown.length < total) d.badge('badge.tokens', { n: String(r.shown.length), total: String(total) });
  draw(f, d, source, part(g, 0.05, 0.45));
  links(f, d, source, target, part(g, 0.4, 0.62));
  draw(f, d, target, part(g, 0.55, 1));
}

function river(f: Frame, stack: Stack, box: Box, shown: number[], tokens: readonly TokenLike[], tint: Paint): River {
  const sites = levels(f.b, stack);
  const ys = sites.map((_, i) => box.y + box.h - 10 - ((box.h - 26) * i) / Math.max(1, sites.length - 1));
  return { stack, box, shown, tokens, sites, ys, tint };
}

function draw(f: Frame, d: Draw, r: River, flow: number): void {
  const { box, ys } = r;
  const step = box.w / r.shown.length;
  heading(d, box.x, box.y - (f.narrow ? 26 : 36), f.t(`scene.${r.stack}${f.narrow ? 'Short' : ''}`), r.tint);
  ys.slice(1).forEach((y, l) => {
    const low = ys[l] as number;
    d.rect(box.x - 6, y + 2, box.w + 12, low - y - 4, { r: 8, fill: `${r.tint}/0.05`, stroke: `${r.tint}/0.35`, sw: 1 });
    // The numbers of the decoder's blocks stand where no link ends.
    const left = r.stack === 'encoder';
    if (!f.narrow && low - y > 14) d.text(left ? box.x - 12 : box.x + box.w + 12, (y + low) / 2, String(l), { size: 11, font: 'mono', anchor: left ? 'end' : 'start', fill: 'faint' });
  });
  const lengths = r.shown.map((t) => r.sites.map((site) => norm(row(f.b, site, [t]))));
  const { full, isCut } = riverScale(lengths);
  if (isCut) d.badge('badge.cut', { v: full.toFixed(1) });
  r.shown.forEach((t, i) => {
    const x = box.x + step * (i + 0.5);
    const mine = r.stack === 'decoder' && t === f.view.token;
    const widths = (lengths[i] as number[]).map((v) => 3 + (Math.min(v, full) / full) * step * 0.5);
    ribbon(d, x, ys, widths, flow, r.tint, mine ? 0.95 : 0.55);
    tokenChip(d, { x: x - step / 2 + 2, y: box.y + box.h + 4, w: step - 4, h: f.narrow ? 26 : 30 }, r.tokens[t] ?? { text: '' }, { active: mine, tint: r.tint, a: Math.max(0.25, part(flow, 0, 0.2)) });
  });
}

/** From the encoder's end to each block of the decoder. */
function links(f: Frame, d: Draw, from: River, to: River, p: number): void {
  const x0 = from.box.x + from.box.w + 6;
  const x1 = to.box.x - 6;
  const y0 = from.ys[from.ys.length - 1] as number;
  const blocks = to.ys.length - 1;
  for (let l = 0; l < blocks; l++) {
    const y1 = ((to.ys[l] as number) + (to.ys[l + 1] as number)) / 2;
    const a = stagger(p, l, blocks, 0, 1, 0.6);
    const mid = (x0 + x1) / 2;
    const mine = l === f.view.layer;
    d.path(`M${n(x0)},${n(y0 + 8)}C${n(mid)},${n(y0 + 8)} ${n(mid)},${n(y1)} ${n(x1)},${n(y1)}`, { stroke: mine ? 'attn' : 'attn/0.5', sw: mine ? 3.2 : 1.8, a });
    d.disc(x1, y1, mine ? 4.5 : 3, { fill: 'attn', a });
  }
  if (!f.narrow) d.text((x0 + x1) / 2, y0 - 14, f.t('scene.crossLink'), { size: 12, anchor: 'middle', fill: 'attn', weight: 600, a: p });
}
