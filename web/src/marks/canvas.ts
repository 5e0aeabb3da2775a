import { colour, FAINT, inkOn, rgbaOf, type Theme } from './palette';
import { familyOf, isItalic } from './svg';
import { gridPaint } from './grid';
import type { DisplayList, Font, GridPrim, Label, Prim } from './types';

const font = (size: number, family: Font | undefined, weight: number): string => `${isItalic(family) ? 'italic ' : ''}${weight} ${size}px ${familyOf(family)}`;

/** Draws a display list. The context comes scaled so that the list's units fit it. */
export function paintCanvas(ctx: CanvasRenderingContext2D, list: DisplayList, theme: Theme): void {
  ctx.textBaseline = 'middle';
  ctx.lineCap = 'round';
  ctx.lineJoin = 'round';
  for (const p of list) {
    ctx.globalAlpha = p.a;
    one(ctx, p, theme);
  }
  ctx.globalAlpha = 1;
}

function one(ctx: CanvasRenderingContext2D, p: Prim, theme: Theme): void {
  switch (p.k) {
    case 'rect':
      ctx.beginPath();
      ctx.roundRect(p.x, p.y, p.w, p.h, Math.min(p.r, p.w / 2, p.h / 2));
      fillAndStroke(ctx, p, theme);
      label(ctx, p.label, p.x + p.w / 2, p.y + p.h / 2, p.a < FAINT ? undefined : p.fill, theme);
      break;
    case 'disc':
      ctx.beginPath();
      ctx.arc(p.x, p.y, p.r, 0, Math.PI * 2);
      fillAndStroke(ctx, p, theme);
      label(ctx, p.label, p.x, p.y, p.a < FAINT ? undefined : p.fill, theme);
      break;
    case 'path':
      fillAndStroke(ctx, p, theme, new Path2D(p.d));
      break;
    case 'grid':
      ctx.imageSmoothingEnabled = false;
      ctx.drawImage(gridImage(p, theme), p.x, p.y, p.w, p.h);
      break;
    case 'dots':
      ctx.beginPath();
      for (let i = 0; i < p.points.length; i += 2) {
        const [x, y] = [p.x + (p.points[i] as number), p.y + (p.points[i + 1] as number)];
        ctx.moveTo(x + p.r, y);
        ctx.arc(x, y, p.r, 0, Math.PI * 2);
      }
      fillAndStroke(ctx, p, theme);
      break;
    case 'text':
      ctx.font = font(p.size, p.font, p.weight);
      ctx.textAlign = p.anchor === 'middle' ? 'center' : p.anchor;
      ctx.fillStyle = colour(p.fill, theme);
      if (p.base) ctx.textBaseline = 'alphabetic';
      ctx.fillText(p.text, p.x, p.y);
      ctx.textBaseline = 'middle';
  }
}

/** A grid as an image of one pixel for each number, kept beside the numbers: it is drawn sixty times a second. */
const images = new WeakMap<Float32Array, Map<string, HTMLCanvasElement>>();

function gridImage(p: GridPrim, theme: Theme): HTMLCanvasElement {
  const kept = images.get(p.values) ?? new Map<string, HTMLCanvasElement>();
  images.set(p.values, kept);
  const key = `${theme}|${p.tint ?? ''}|${p.full}|${p.cols}`;
  const known = kept.get(key);
  if (known) return known;
  const image = document.createElement('canvas');
  image.width = p.cols;
  image.height = Math.ceil(p.values.length / p.cols);
  const ctx = image.getContext('2d') as CanvasRenderingContext2D;
  const pixels = ctx.createImageData(image.width, image.height);
  p.values.forEach((v, i) => {
    const paint = gridPaint(p, v);
    if (paint !== null) pixels.data.set(rgbaOf(paint, theme), i * 4);
  });
  ctx.putImageData(pixels, 0, 0);
  // A dial that changes the scale makes new images; the oldest are let go.
  if (kept.size > 8) kept.delete(kept.keys().next().value as string);
  kept.set(key, image);
  return image;
}

function fillAndStroke(ctx: CanvasRenderingContext2D, p: { fill?: string; stroke?: string; sw?: number; dash?: number[] }, theme: Theme, path?: Path2D): void {
  if (p.fill) {
    ctx.fillStyle = colour(p.fill, theme);
    if (path) ctx.fill(path);
    else ctx.fill();
  }
  if (p.stroke) {
    ctx.strokeStyle = colour(p.stroke, theme);
    ctx.lineWidth = p.sw ?? 1;
    ctx.setLineDash(p.dash ?? []);
    if (path) ctx.stroke(path);
    else ctx.stroke();
  }
}

function label(ctx: CanvasRenderingContext2D, l: Label | undefined, x: number, y: number, back: string | undefined, theme: Theme): void {
  if (!l) return;
  ctx.font = font(l.size, l.font, l.weight ?? 500);
  ctx.textAlign = 'center';
  ctx.fillStyle = l.fill ? colour(l.fill, theme) : inkOn(back, theme);
  ctx.fillText(l.text, x, y + 0.5);
}
