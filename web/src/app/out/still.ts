// The present frame as a file. Loaded when somebody wants one.
import { sheet, sheetSvg, type Sheet, type Size } from '../../film/sheet';
import { paintCanvas } from '../../marks/canvas';
import { colour, type Theme } from '../../marks/palette';
import type { Store } from '../store.svelte';
import { fontRules, loadFonts } from './fonts';
import { shownOf } from './shown';

/** Paints a sheet; the canvas has its size. */
export function paintSheet(ctx: CanvasRenderingContext2D, s: Sheet, theme: Theme): void {
  const k = ctx.canvas.width / s.W;
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  ctx.fillStyle = colour('page', theme);
  ctx.fillRect(0, 0, ctx.canvas.width, ctx.canvas.height);
  for (const layer of s.layers) {
    ctx.save();
    ctx.setTransform(k, 0, 0, k, layer.x * k, layer.y * k);
    ctx.beginPath();
    ctx.rect(0, 0, layer.w, layer.h);
    ctx.clip();
    paintCanvas(ctx, layer.list, theme);
    ctx.restore();
  }
}

export function canvasOf({ width, height }: Size): CanvasRenderingContext2D {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, height];
  const ctx = canvas.getContext('2d');
  if (!ctx) throw new Error('no canvas');
  return ctx;
}

export async function png(store: Store, size: Size): Promise<Blob> {
  const s = sheet(shownOf(store), size);
  await loadFonts(s);
  const ctx = canvasOf(size);
  paintSheet(ctx, s, store.theme);
  return new Promise((done, failed) => ctx.canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error('no picture'))), 'image/png'));
}

export async function svg(store: Store, size: Size): Promise<Blob> {
  const s = sheet(shownOf(store), size);
  return new Blob([sheetSvg(s, store.theme, size, await fontRules(s))], { type: 'image/svg+xml' });
}
