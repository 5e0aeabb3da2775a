// A formula as a mark. KaTeX sets it without a browser, as a tree of boxes that CSS would place; here the same boxes are placed by
// adding up what stands in the tree. So page, picture and film show one formula.
import katex from 'katex';
import type { Draw } from './draw';
import type { Font, Paint } from './types';

/** The part of KaTeX's tree that is read. Lengths of styles are written in em. */
interface Node {
  classes?: string[];
  children?: Node[];
  style?: Record<string, string | undefined>;
  text?: string;
  width?: number;
  italic?: number;
}

type Piece = { x: number; y: number; size: number; text: string; font: Font } | { points: [number, number][]; sw: number };

/** In em, from the left end of the baseline; y runs down. */
export interface Formula {
  w: number;
  up: number;
  down: number;
  pieces: Piece[];
}

interface Laid {
  w: number;
  pieces: Piece[];
}

const SIZES = [0, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.44, 1.728, 2.074, 2.488];
const RULE = 0.045;
const CENTRED = new Set(['mfrac', 'op-limits', 'col-align-c']);

const em = (length: string | undefined): number => (length ? Number.parseFloat(length) : 0);
const tree = (tex: string): Node & { height: number; depth: number } => (katex as unknown as { __renderToDomTree(tex: string, o: object): Node & { height: number; depth: number } }).__renderToDomTree(tex, { displayMode: true, output: 'html', throwOnError: true, strict: false });

const known = new Map<string, Formula>();

export function layFormula(tex: string): Formula {
  const found = known.get(tex);
  if (found) return found;
  const root = tree(tex);
  const { w, pieces } = lay(root, 1, 'KaTeX_Main', false);
  const made = { w, pieces, up: root.height, down: root.depth };
  known.set(tex, made);
  return made;
}

/** Draws it with its baseline at `y`. */
export function formula(d: Draw, x: number, y: number, tex: string, size: number, fill: Paint = 'ink'): void {
  for (const p of layFormula(tex).pieces) {
    if ('text' in p) d.text(x + p.x * size, y + p.y * size, p.text, { size: p.size * size, font: p.font, weight: 400, fill, base: true });
    else d.path(p.points.map(([px, py], i) => `${i ? 'L' : 'M'}${round(x + px * size)},${round(y + py * size)}`).join(''), { stroke: fill, sw: p.sw * size });
  }
}

const round = (v: number): number => Math.round(v * 100) / 100;

function moved(pieces: Piece[], dx: number, dy: number): Piece[] {
  return pieces.map((p) => ('text' in p ? { ...p, x: p.x + dx, y: p.y + dy } : { ...p, points: p.points.map(([x, y]): [number, number] => [x + dx, y + dy]) }));
}

function lay(n: Node, scale: number, font: Font, centred: boolean): Laid {
  const classes = n.classes ?? [];
  const is = (name: string): boolean => classes.includes(name);
  if (is('strut') || is('pstrut') || is('vlist-s')) return { w: 0, pieces: [] };
  if (n.text !== undefined && !n.children) return symbol(n, scale, font);
  if (is('vlist-t')) return pile(n, scale, font, centred);
  const sizing = is('sizing') ? scale * sizeOf(classes) : scale;
  const own = is('delimsizing') ? (`KaTeX_${classes.find((c) => /^size\d$/.test(c))?.replace('s', 'S')}` as Font) : font;
  const middle = centred || classes.some((c) => CENTRED.has(c));
  const left = (em(n.style?.['marginLeft']) + em(n.style?.['paddingLeft'])) * sizing;
  const pieces: Piece[] = [];
  let x = left;
  for (const child of n.children ?? []) {
    const part = lay(child, sizing, own, is('msupsub') || is('sqrt') ? false : middle);
    pieces.push(...moved(part.pieces, x, 0));
    x += part.w;
  }
  if (is('nulldelimiter')) x += 0.12 * sizing;
  return { w: x + (em(n.style?.['marginRight']) + em(n.style?.['width'])) * sizing, pieces };
}

function sizeOf(classes: string[]): number {
  const at = (prefix: string): number => SIZES[Number(classes.find((c) => c.startsWith(prefix))?.slice(prefix.length))] ?? 1;
  return at('size') / at('reset-size');
}

/** Things set one above the other, each at its height over the baseline. */
function pile(n: Node, scale: number, font: Font, centred: boolean): Laid {
  const layers = (n.children?.[0]?.children?.[0]?.children ?? []).map((wrap) => {
    const strut = wrap.children?.find((c) => c.classes?.includes('pstrut'));
    const [content] = (wrap.children ?? []).filter((c) => c !== strut);
    const y = (em(wrap.style?.['top']) + em(strut?.style?.['height'])) * scale;
    const classes = content?.classes ?? [];
    const kind = classes.includes('frac-line') ? 'rule' : classes.includes('hide-tail') ? 'root' : 'box';
    const laid = kind === 'box' && content ? lay(content, scale, font, false) : { w: 0, pieces: [] };
    return { y, kind, laid, left: em(wrap.style?.['marginLeft']) * scale, right: em(wrap.style?.['marginRight']) * scale, height: em(content?.style?.['height']) * scale };
  });
  const w = Math.max(0, ...layers.map((l) => l.laid.w + l.left + l.right));
  const pieces = layers.flatMap((l): Piece[] => {
    if (l.kind === 'rule') return [{ points: [[0, l.y - RULE / 2], [w, l.y - RULE / 2]], sw: RULE * scale }];
    if (l.kind === 'root') return [radical(w, l.y, l.height, scale)];
    return moved(l.laid.pieces, centred ? (w - l.laid.w) / 2 : l.left, l.y);
  });
  return { w, pieces };
}

/** A root's sign, `height` above `y`, its line as long as what stands below it. */
function radical(w: number, y: number, height: number, scale: number): Piece {
  const at = (x: number, share: number): [number, number] => [x * scale, y - height * (1 - share)];
  const top = y - height + 0.1 * scale;
  return { points: [at(0.05, 0.68), at(0.19, 0.6), at(0.42, 0.97), [0.85 * scale, top], [w, top]], sw: RULE * scale };
}

const FONTS: Record<string, Font> = { mathnormal: 'KaTeX_Math', mathbb: 'KaTeX_AMS', amsrm: 'KaTeX_AMS', mathcal: 'KaTeX_Caligraphic', 'large-op': 'KaTeX_Size2', 'small-op': 'KaTeX_Size1' };

function symbol(n: Node, scale: number, font: Font): Laid {
  const text = (n.text ?? '').replace(/\u200b/g, '');
  if (text === '') return { w: 0, pieces: [] };
  const own = FONTS[(n.classes ?? []).find((c) => c in FONTS) ?? ''] ?? font;
  const letters = [...text];
  // Of letters that it has joined KaTeX tells only the first one's width.
  const w = letters.length > 1 ? letters.reduce((sum, c) => sum + upright(c), 0) : (n.width ?? 0);
  return { w: (w + (n.italic ?? 0)) * scale, pieces: [{ x: 0, y: 0, size: scale, text, font: own }] };
}

const widths = new Map<string, number>();

/** The width of an upright letter. */
function upright(c: string): number {
  const found = widths.get(c);
  if (found !== undefined) return found;
  const first = (n: Node): number | undefined => (n.text !== undefined && !n.children ? n.width : (n.children ?? []).map(first).find((v) => v !== undefined));
  const w = first(tree(`\\text{${/[#$%&_{}]/.test(c) ? '\\' : ''}${c === '\u00a0' ? '~' : c}}`)) ?? 0.5;
  widths.set(c, w);
  return w;
}
