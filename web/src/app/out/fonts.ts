// The fonts that a picture takes along. Chinese stays with the system's, which is where it comes from on the page too.
import inter from '@fontsource-variable/inter/files/inter-latin-wght-normal.woff2?url';
import mono from '@fontsource-variable/jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2?url';
import ams from 'katex/dist/fonts/KaTeX_AMS-Regular.woff2?url';
import caligraphic from 'katex/dist/fonts/KaTeX_Caligraphic-Regular.woff2?url';
import main from 'katex/dist/fonts/KaTeX_Main-Regular.woff2?url';
import math from 'katex/dist/fonts/KaTeX_Math-Italic.woff2?url';
import size1 from 'katex/dist/fonts/KaTeX_Size1-Regular.woff2?url';
import size2 from 'katex/dist/fonts/KaTeX_Size2-Regular.woff2?url';
import size3 from 'katex/dist/fonts/KaTeX_Size3-Regular.woff2?url';
import size4 from 'katex/dist/fonts/KaTeX_Size4-Regular.woff2?url';
import type { Sheet } from '../../film/sheet';
import { isItalic } from '../../marks/svg';
import type { Font } from '../../marks/types';

const FORMULAS: Record<string, string> = { KaTeX_AMS: ams, KaTeX_Caligraphic: caligraphic, KaTeX_Main: main, KaTeX_Math: math, KaTeX_Size1: size1, KaTeX_Size2: size2, KaTeX_Size3: size3, KaTeX_Size4: size4 };

function used(sheet: Sheet): Set<Font> {
  const fonts = new Set<Font>(['sans']);
  for (const { list } of sheet.layers) for (const p of list) fonts.add((p.k === 'text' ? p.font : 'label' in p ? p.label?.font : undefined) ?? 'sans');
  return fonts;
}

/** Waits until a canvas can write them. */
export async function loadFonts(sheet: Sheet): Promise<void> {
  const fonts = [...used(sheet)];
  const formulas = fonts.filter((f) => f in FORMULAS);
  if (formulas.length) await import('katex/dist/katex.min.css');
  await Promise.all([document.fonts.load("500 16px 'Inter Variable'"), document.fonts.load("500 16px 'JetBrains Mono Variable'"), ...formulas.map((f) => document.fonts.load(`${isItalic(f) ? 'italic ' : ''}16px ${f}`))]);
}

async function face(family: string, weight: string, url: string, style = 'normal'): Promise<string> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${family}: HTTP ${answer.status}`);
  let bytes = '';
  for (const byte of new Uint8Array(await answer.arrayBuffer())) bytes += String.fromCharCode(byte);
  return `@font-face{font-family:'${family}';font-style:${style};font-weight:${weight};src:url(data:font/woff2;base64,${btoa(bytes)}) format('woff2')}`;
}

/** As rules of a style sheet, the fonts inside. */
export async function fontRules(sheet: Sheet): Promise<string> {
  const rules = [...used(sheet)].map((f) => {
    if (f === 'sans') return face('Inter Variable', '100 900', inter);
    if (f === 'mono') return face('JetBrains Mono Variable', '100 800', mono);
    return face(f, '400', FORMULAS[f] ?? main, isItalic(f) ? 'italic' : 'normal');
  });
  return (await Promise.all(rules)).join('');
}
