import { colour, FAINT, inkOn, type Theme } from './palette';
import { gridPaint } from './grid';
import type { DisplayList, DotsPrim, Font, GridPrim, Label, Prim } from './types';

// Controls may not stand in XML at all; scenes show their pictures instead.
const esc = (s: string): string => s.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '').replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] as string);
const r2 = (v: number): string => String(Math.round(v * 100) / 100);
const SANS = "'Inter Variable', system-ui, 'Noto Sans CJK SC', 'Noto Sans SC', 'PingFang SC', 'Microsoft YaHei', sans-serif";
const MONO = "'JetBrains Mono Variable', ui-monospace, 'Noto Sans Mono CJK SC', Menlo, monospace";

export const familyOf = (font: Font | undefined): string => (font === 'mono' ? MONO : font === undefined || font === 'sans' ? SANS : font);
/** The letters of formulas lean. */
export const isItalic = (font: Font | undefined): boolean => font === 'KaTeX_Math';

/** The display list as an SVG document: for snapshots and export. */
export function toSvg(list: DisplayList, width: number, height: number, theme: Theme): string {
  return `${openSvg(width, height)}\n<rect width="100%" height="100%" fill="${colour('stage', theme)}"/>\n${bodyOf(list, theme)}\n</svg>\n`;
}

/** `size`: in pixels, where the document has one of its own. */
export const openSvg = (width: number, height: number, size?: { width: number; height: number }): string =>
  `<svg xmlns="http://www.w3.org/2000/svg"${size ? ` width="${size.width}" height="${size.height}"` : ''} viewBox="0 0 ${r2(width)} ${r2(height)}" font-family="${esc(SANS)}">`;

/** What stands inside of a document. */
export const bodyOf = (list: DisplayList, theme: Theme): string => list.map((p) => one(p, theme)).join('\n');

const fontOf = (font: Font | undefined): string => (font === undefined || font === 'sans' ? '' : ` font-family="${esc(familyOf(font))}"${isItalic(font) ? ' font-style="italic"' : ''}`);

function paint(p: Prim & { fill?: string; stroke?: string; sw?: number; dash?: number[] }, theme: Theme): string {
  const fill = p.fill ? colour(p.fill, theme) : 'none';
  const stroke = p.stroke ? ` stroke="${colour(p.stroke, theme)}" stroke-width="${r2(p.sw ?? 1)}"` : '';
  const dash = p.dash ? ` stroke-dasharray="${p.dash.join(' ')}"` : '';
  return `fill="${fill}"${stroke}${dash}${opacity(p)}`;
}

/** Without it, spaces at the ends of a text take no room: tokens often begin with one. */
const spaced = (text: string): string => (/^ | $| {2}/.test(text) ? ' xml:space="preserve"' : '');
const opacity = (p: Prim): string => (p.a < 1 ? ` opacity="${r2(p.a)}"` : '');

function label(l: Label | undefined, x: number, y: number, p: Prim & { fill?: string }, theme: Theme): string {
  if (!l) return '';
  const fill = l.fill ? colour(l.fill, theme) : inkOn(p.a < FAINT ? undefined : p.fill, theme);
  return `<text x="${r2(x)}" y="${r2(y)}" font-size="${r2(l.size)}" font-weight="${l.weight ?? 500}" text-anchor="middle" dominant-baseline="central"${fontOf(l.font)} fill="${fill}"${opacity(p)}>${esc(l.text)}</text>`;
}

/** A path for each paint: thousands of squares stay a small document. */
function grid(p: GridPrim, theme: Theme): string {
  const [w, h] = [p.w / p.cols, p.h / Math.ceil(p.values.length / p.cols)];
  const paths = new Map<string, string[]>();
  p.values.forEach((v, i) => {
    const key = gridPaint(p, v);
    if (key === null) return;
    const squares = paths.get(key) ?? [];
    squares.push(`M${r2(p.x + (i % p.cols) * w)},${r2(p.y + Math.floor(i / p.cols) * h)}h${r2(w)}v${r2(h)}h${r2(-w)}z`);
    paths.set(key, squares);
  });
  return [...paths].map(([key, squares]) => `<path d="${squares.join('')}" fill="${colour(key, theme)}"${opacity(p)}/>`).join('');
}

/** Lines of no length with round ends: one path for thousands of points. */
function dots(p: DotsPrim, theme: Theme): string {
  const d: string[] = [];
  for (let i = 0; i < p.points.length; i += 2) d.push(`M${r2(p.x + (p.points[i] as number))},${r2(p.y + (p.points[i + 1] as number))}h0`);
  return `<path d="${d.join('')}" fill="none" stroke="${colour(p.fill, theme)}" stroke-width="${r2(2 * p.r)}" stroke-linecap="round"${opacity(p)}/>`;
}

function one(p: Prim, theme: Theme): string {
  const data = p.cell ? ` data-cell="${esc(`${p.cell.site}[${p.cell.index.join(',')}]`)}"` : '';
  switch (p.k) {
    case 'rect':
      return `<rect x="${r2(p.x)}" y="${r2(p.y)}" width="${r2(p.w)}" height="${r2(p.h)}" rx="${r2(p.r)}" ${paint(p, theme)}${data}/>${label(p.label, p.x + p.w / 2, p.y + p.h / 2, p, theme)}`;
    case 'disc':
      return `<circle cx="${r2(p.x)}" cy="${r2(p.y)}" r="${r2(p.r)}" ${paint(p, theme)}${data}/>${label(p.label, p.x, p.y, p, theme)}`;
    case 'path':
      return `<path d="${p.d}" ${paint(p, theme)} stroke-linecap="round" stroke-linejoin="round"${data}/>`;
    case 'grid':
      return grid(p, theme);
    case 'dots':
      return dots(p, theme);
    case 'text':
      return `<text x="${r2(p.x)}" y="${r2(p.y)}" font-size="${r2(p.size)}" font-weight="${p.weight}" text-anchor="${p.anchor}"${p.base ? '' : ' dominant-baseline="central"'}${fontOf(p.font)} fill="${colour(p.fill, theme)}"${opacity(p)}${data}${spaced(p.text)}>${esc(p.text)}</text>`;
  }
}
