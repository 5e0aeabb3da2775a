// A chapter as a video: each frame is painted from the trace and its moment, then encoded by the browser. Nothing is recorded off the screen.
import { BufferTarget, CanvasSource, getFirstEncodableVideoCodec, Mp4OutputFormat, Output, QUALITY_HIGH, WebMOutputFormat, type VideoCodec } from 'mediabunny';
import { shots, type Cut } from '../../film/schedule';
import { sheet, type Size } from '../../film/sheet';
import { frameOf, stepVars } from '../frame';
import type { Store } from '../store.svelte';
import { loadFonts } from './fonts';
import { nameOf, shownOf } from './shown';
import { canvasOf, paintSheet } from './still';

export type Format = 'mp4' | 'webm';

/** In the order of how many players play them. */
const CODECS: Record<Format, VideoCodec[]> = { mp4: ['avc', 'av1', 'vp9'], webm: ['vp9', 'vp8', 'av1'] };

/** The formats that this browser can write at this size, with the codec of each. */
export async function formats(size: Size): Promise<Map<Format, VideoCodec>> {
  const found = new Map<Format, VideoCodec>();
  if (typeof VideoEncoder === 'undefined') return found;
  for (const format of ['mp4', 'webm'] as const) {
    const codec = await getFirstEncodableVideoCodec(CODECS[format], { ...size, bitrate: QUALITY_HIGH }).catch(() => null);
    if (codec) found.set(format, codec);
  }
  return found;
}

export interface Wanted {
  size: Size;
  format: Format;
  codec: VideoCodec;
  cut: Cut;
}

export function shotsOf(store: Store, cut: Cut): { step: number; p: number }[] {
  const { chapter } = store;
  const vars = stepVars(store);
  return shots(chapter, store.lang, (step) => store.t(`ch.${chapter.id}.${chapter.steps[step]?.text ?? ''}.story`, vars), cut);
}

/** Encodes frame after frame; `progress` hears how many are done. Returns null where `signal` has stopped it. */
export async function film(store: Store, { size, format, codec, cut }: Wanted, progress: (done: number, of: number) => void, signal: AbortSignal): Promise<{ blob: Blob; name: string } | null> {
  const ctx = canvasOf(size);
  const target = new BufferTarget();
  const output = new Output({ format: format === 'mp4' ? new Mp4OutputFormat({ fastStart: 'in-memory' }) : new WebMOutputFormat(), target });
  const source = new CanvasSource(ctx.canvas, { codec, bitrate: QUALITY_HIGH });
  output.addVideoTrack(source, { frameRate: cut.fps });
  // The visitor may go on meanwhile: the film is of what was shown when it was asked for.
  const still = { ...shownOf(store), theme: store.theme, base: frameOf(store, { W: 0, H: 0, scale: 1, narrow: false }) };
  const { base } = still;
  const name = nameOf(store, format, false);
  const moments = shotsOf(store, cut);
  if (!base || !moments.length) return null;
  const at = (step: number, p: number): ReturnType<typeof sheet> => sheet({ ...still, frame: (stage) => ({ ...base, ...stage, step, p }) }, size);
  for (let step = cut.from; step <= cut.to; step++) await loadFonts(at(step, 1));
  await output.start();
  let before = '';
  for (const [i, { step, p }] of moments.entries()) {
    if (signal.aborted) {
      await output.cancel();
      return null;
    }
    if (before !== `${step}|${p}`) paintSheet(ctx, at(step, p), still.theme);
    before = `${step}|${p}`;
    await source.add(i / cut.fps, 1 / cut.fps);
    progress(i + 1, moments.length);
    // The page stays alive beside the work.
    if (i % 4 === 3) await new Promise((r) => setTimeout(r));
  }
  await output.finalize();
  if (!target.buffer) throw new Error('the encoder gave no file');
  return { blob: new Blob([target.buffer], { type: format === 'mp4' ? 'video/mp4' : 'video/webm' }), name };
}
