import { alone, hex, tokenText } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import { textWidth } from '../../marks/measure';
import { hue } from '../../marks/palette';
import { chipWidth, tokenChip } from '../../marks/tokens';
import type { Box } from '../../marks/types';
import { lerp, part, stagger } from '../../timeline/ease';
import type { Token } from '../../trace/wire';
import { pad, prog, tokensOf } from '../common';
import type { Frame } from '../types';

interface Char {
  text: string;
  bytes: number[];
  /** The token of each byte. */
  tokens: number[];
}

/** The token whose merges are shown: the chosen one, or, where that is a single byte, the one with the most merges. */
export function focusToken(f: Frame): number {
  const tokens = tokensOf(f);
  if ((tokens[f.view.token]?.merges.length ?? 0) > 0) return f.view.token;
  let best = 0;
  tokens.forEach((t, i) => {
    if (t.merges.length > (tokens[best] as Token).merges.length) best = i;
  });
  return best;
}

/** The characters of a run, worked out once: a long text has thousands. */
const spelledOut = new WeakMap<object, Char[]>();

function characters(f: Frame): Char[] {
  const known = spelledOut.get(f.b.trace.tokens);
  if (known) return known;
  const owner: number[] = [];
  tokensOf(f).forEach((t, i) => t.bytes.forEach(() => owner.push(i)));
  const encoder = new TextEncoder();
  let at = 0;
  const out: Char[] = [];
  for (const text of f.b.trace.kept?.text ?? f.b.trace.text) {
    const code = text.codePointAt(0) as number;
    const bytes = code < 0x80 ? [code] : [...encoder.encode(text)];
    out.push({ text, bytes, tokens: bytes.map((_, i) => owner[at + i] ?? -1) });
    at += bytes.length;
  }
  spelledOut.set(f.b.trace.tokens, out);
  return out;
}

interface CharPlace extends Char {
  x: number;
  w: number;
  row: number;
}

interface Spelling {
  places: CharPlace[];
  left: number;
  /** Width of a byte: large for a short text. */
  byteW: number;
  rows: number;
}

const GAP = 5;

/** Characters in centred lines, each as wide as its bytes need; lines break between tokens. What does not fit is left out and said. */
function layout(f: Frame, area: Box, rowH: number): Spelling {
  const chars = characters(f);
  const bytes = byteCount(f);
  const most = Math.max(1, Math.floor(area.h / rowH));
  const byteW = Math.max(f.narrow ? 23 : 25, Math.min(40, (area.w * Math.min(2, most)) / (bytes + 6) - 4));
  // Lines of about the same length: no single character is left alone on the last one.
  const whole = bytes * byteW + chars.length * GAP;
  const limit = Math.min(area.w, whole / Math.ceil(whole / area.w) + byteW * 4);
  const lines: CharPlace[][] = [[]];
  let x = 0;
  for (const [i, c] of chars.entries()) {
    const w = c.bytes.length * byteW + GAP;
    const fresh = i === 0 || c.tokens[0] !== chars[i - 1]?.tokens.at(-1);
    const room = fresh ? tokenRest(chars, i) * byteW : w;
    if (x > 0 && (x + w > area.w || (fresh && x + Math.min(room, area.w * 0.5) > limit))) {
      if (lines.length === most) break;
      lines.push([]);
      x = 0;
    }
    lines[lines.length - 1]?.push({ ...c, x, w, row: lines.length - 1 });
    x += w;
  }
  const shown = lines.slice(0, most);
  const places = shown.flatMap((line) => {
    const last = line[line.length - 1];
    const shift = area.x + (area.w - (last ? last.x + last.w : 0)) / 2;
    return line.map((c) => ({ ...c, x: c.x + shift }));
  });
  return { places, left: chars.length - places.length, byteW, rows: shown.length };
}

const byteCount = (f: Frame): number => tokensOf(f).reduce((n, t) => n + t.bytes.length, 0);

/** Bytes from here to the end of the token that begins here. */
function tokenRest(chars: Char[], from: number): number {
  const token = chars[from]?.tokens[0];
  let n = 0;
  for (let i = from; i < chars.length && chars[i]?.tokens[0] === token; i++) n += chars[i]?.bytes.length ?? 0;
  return n;
}

export function scene(f: Frame, d: Draw): void {
  const m = pad(f);
  const away = part(prog(f, 'merge'), 0, 0.15);
  const back = part(prog(f, 'tokens'), 0, 0.25);
  const ids = part(prog(f, 'ids'), 0, 0.35);
  const cost = part(prog(f, 'cost'), 0, 0.3);
  const area: Box = { x: m, y: f.narrow ? 20 : 50, w: f.W - 2 * m, h: f.H - (f.narrow ? 36 : 90) };
  d.fade(Math.max(1 - away, back) * (1 - ids), () => spelled(f, d, area, back));
  if (away > 0 && back < 1) d.fade(away * (1 - back), () => tree(f, d, area));
  if (ids > 0) d.fade(ids * (1 - cost), () => idList(f, d, area));
  if (cost > 0) d.fade(cost, () => price(f, d, area));
}

/** Characters above, their bytes below; later bytes of one token share its colour and frame. */
function spelled(f: Frame, d: Draw, area: Box, grouped: number): void {
  const rowH = f.narrow ? 74 : 92;
  const { places, left, byteW, rows } = layout(f, area, rowH);
  const top = area.y + Math.max(0, (area.h - rows * rowH) / 2);
  if (left > 0) d.badge('badge.chars', { n: String(places.length), total: String(places.length + left) });
  const size = Math.min(f.narrow ? 22 : 34, byteW * 0.95);
  places.forEach((c, i) => {
    const y = top + c.row * rowH;
    const seen = 0.15 + 0.85 * stagger(prog(f, 'chars'), i, places.length, 0, 0.8, 0.2);
    const shown = c.text === ' ' ? '␣' : alone(c.text);
    d.fade(seen, () => d.text(c.x + c.w / 2, y + 18, shown, { size: Math.min(size, (size * c.w) / textWidth(shown, size)), anchor: 'middle', weight: 560, fill: c.text === ' ' ? 'faint' : 'ink' }));
    c.bytes.forEach((b, j) => {
      const a = stagger(prog(f, 'bytes'), i, places.length, 0, 0.9, 0.25);
      const token = c.tokens[j] as number;
      const x = c.x + 2.5 + byteW * j;
      const tint = hue(token);
      d.rect(x + 1, lerp(y + 18, y + 42, a), byteW - 2, 24, { r: 4, a, fill: grouped > 0 ? `${tint}/${0.22 * grouped + 0.02}` : 'token', stroke: grouped > 0.5 ? tint : 'line', label: { text: hex(b), size: Math.min(13.5, byteW * 0.45), font: 'mono' } });
    });
  });
  if (grouped > 0) brackets(d, { places, byteW }, top, rowH, grouped);
}

/** A line under the bytes of each token: where it is one piece, where a character is cut. */
function brackets(d: Draw, { places, byteW }: Pick<Spelling, 'places' | 'byteW'>, top: number, rowH: number, a: number): void {
  for (const i of new Set(places.flatMap((c) => c.tokens))) {
    for (const row of new Set(places.filter((c) => c.tokens.includes(i)).map((c) => c.row))) {
      const xs = places.filter((c) => c.row === row).flatMap((c) => c.tokens.flatMap((t, j) => (t === i ? [c.x + 2.5 + byteW * j] : [])));
      if (!xs.length) continue;
      const [from, to] = [Math.min(...xs) + 2, Math.max(...xs) + byteW - 2];
      d.fade(a, () => d.line(from, top + row * rowH + 72, to, top + row * rowH + 72, hue(i), 3));
    }
  }
}

interface Node {
  from: number;
  to: number;
  level: number;
  rank: number;
  bytes: number[];
  kids: [number, number] | null;
}

/** The merges of one token as a tree, in the order in which they happened. */
function nodes(token: Token): { nodes: Node[]; order: number[] } {
  const all: Node[] = token.bytes.map((b, i) => ({ from: i, to: i + 1, level: 0, rank: -1, bytes: [b], kids: null }));
  const pieces = all.map((_, i) => i);
  const order: number[] = [];
  for (const m of token.merges) {
    const [l, r] = [pieces[m.at], pieces[m.at + 1]];
    if (l === undefined || r === undefined) break;
    const [a, b] = [all[l] as Node, all[r] as Node];
    all.push({ from: a.from, to: b.to, level: Math.max(a.level, b.level) + 1, rank: m.rank, bytes: [...a.bytes, ...b.bytes], kids: [l, r] });
    order.push(all.length - 1);
    pieces.splice(m.at, 2, all.length - 1);
  }
  return { nodes: all, order };
}

function textOf(bytes: number[]): { text: string | null; bytes: number[] } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes)), bytes };
  } catch {
    return { text: null, bytes };
  }
}

function tree(f: Frame, d: Draw, area: Box): void {
  const token = tokensOf(f)[focusToken(f)] as Token;
  const { nodes: all, order } = nodes(token);
  const n = token.bytes.length;
  const levels = Math.max(1, ...all.map((v) => v.level));
  const gap = Math.min(f.narrow ? 62 : 110, area.w / n);
  const x0 = area.x + (area.w - gap * n) / 2;
  const levelH = Math.min(f.narrow ? 50 : 78, (area.h - 60) / levels);
  const base = area.y + area.h / 2 + (levels * levelH) / 2;
  const place = (v: Node): { x: number; y: number } => ({ x: x0 + (gap * (v.from + v.to)) / 2, y: base - v.level * levelH });
  const when = (i: number): number => (order.indexOf(i) < 0 ? 1 : stagger(prog(f, 'merge'), order.indexOf(i), order.length, 0.15, 0.95, 1 / Math.max(1.5, order.length)));
  all.forEach((v, i) => {
    if (!v.kids) return;
    const to = place(v);
    for (const k of v.kids) {
      const from = place(all[k] as Node);
      d.path(`M${from.x},${from.y - 15}C${from.x},${(from.y + to.y) / 2} ${to.x},${(from.y + to.y) / 2} ${to.x},${to.y + 15}`, { stroke: 'accent', sw: 2, a: when(i) });
    }
  });
  all.forEach((v, i) => {
    const c = place(v);
    const piece = textOf(v.bytes);
    const w = Math.min(gap * (v.to - v.from) - 6, Math.max(34, chipWidth(piece, 15, 220)));
    d.fade(when(i), () => {
      tokenChip(d, { x: c.x - w / 2, y: c.y - 16, w, h: 32 }, piece, { size: 16, active: i === all.length - 1 });
      if (v.rank >= 0) d.text(c.x - w / 2 - 7, c.y, `#${v.rank}`, { size: 12, font: 'mono', fill: 'muted', anchor: 'end' });
      else d.text(c.x, c.y + 27, hex(v.bytes[0] as number), { size: 11, font: 'mono', fill: 'muted', anchor: 'middle' });
    });
  });
  if (order.length) d.text(area.x + area.w / 2, f.narrow ? f.H - 14 : f.H - 26, f.t('scene.mergeRank'), { size: 12, fill: 'muted', anchor: 'middle' });
}

/** Every token over its number in the vocabulary. */
function idList(f: Frame, d: Draw, area: Box): void {
  const tokens = tokensOf(f);
  const size = f.narrow ? 15 : 19;
  const [chipH, lineH] = f.narrow ? [30, 72] : [38, 100];
  const fits = Math.max(1, Math.floor(area.h / lineH));
  const rows: { i: number; x: number; w: number }[][] = [[]];
  let x = 0;
  for (let i = 0; i < tokens.length; i++) {
    const w = Math.max(chipWidth(tokens[i] as Token, size, 180), textWidth(String((tokens[i] as Token).id), 15, 'mono') + 10);
    if (x + w > area.w && x > 0) {
      if (rows.length === fits) break;
      rows.push([]);
      x = 0;
    }
    (rows[rows.length - 1] as { i: number; x: number; w: number }[]).push({ i, x, w });
    x += w + 8;
  }
  const shown = rows.slice(0, fits);
  const count = shown.flat().length;
  if (count < tokens.length) d.badge('badge.tokens', { n: String(count), total: String(tokens.length) });
  const top = area.y + (area.h - shown.length * lineH) / 2;
  shown.forEach((line, r) => {
    const last = line[line.length - 1] as { x: number; w: number };
    const x0 = area.x + (area.w - last.x - last.w) / 2;
    for (const { i, x: dx, w } of line) {
      const token = tokens[i] as Token;
      const y = top + r * lineH;
      tokenChip(d, { x: x0 + dx, y, w, h: chipH }, token, { size, tint: hue(i), active: i === f.view.token });
      const a = stagger(prog(f, 'ids'), i, count, 0.3, 1, 0.3);
      d.line(x0 + dx + w / 2, y + chipH + 3, x0 + dx + w / 2, y + chipH + 12, 'faint', 1.2, { a });
      d.text(x0 + dx + w / 2, y + chipH + 24, String(token.id), { size: 15, font: 'mono', weight: 600, anchor: 'middle', fill: 'accent', a, cell: { site: 'tokens', index: [i], value: token.id, text: String(token.id) } });
    }
  });
}

/** What the text costs: its length in characters, in bytes, in tokens. */
function price(f: Frame, d: Draw, area: Box): void {
  const tokens = tokensOf(f);
  const chars = [...(f.b.trace.kept?.text ?? f.b.trace.text)].length;
  const bytes = tokens.reduce((s, t) => s + t.bytes.length, 0);
  const rows: [string, number, string][] = [[f.t('scene.bytes'), bytes, 'faint'], [f.t('scene.chars'), chars, 'resid'], [f.t('scene.tokens'), tokens.length, 'accent']];
  const labelW = f.narrow ? 78 : 130;
  const full = Math.max(...rows.map((r) => r[1]));
  const rowH = Math.min(90, area.h / 4);
  const top = area.y + (area.h - rowH * 3) / 2;
  rows.forEach(([name, n, tint], i) => {
    const a = stagger(prog(f, 'cost'), i, 3, 0.2, 1, 0.5);
    const y = top + rowH * i + rowH / 2;
    const room = area.w - labelW - 60;
    d.text(area.x + labelW - 12, y, name, { size: 15, anchor: 'end', weight: 560 });
    const unit = (room / full) * a;
    for (let j = 0; j < n; j++) {
      const w = (room / n) * (n / full) * a;
      if (unit < 3) break;
      d.rect(area.x + labelW + w * j + 0.75, y - 16, w - 1.5, 32, { r: 3, fill: `${tint}/0.75` });
    }
    if (unit < 3) d.rect(area.x + labelW, y - 16, room * (n / full) * a, 32, { r: 3, fill: `${tint}/0.75` });
    d.text(area.x + labelW + room * (n / full) * a + 10, y, String(n), { size: 18, font: 'mono', weight: 650, a });
  });
  d.text(area.x + labelW, top + rowH * 3 + 16, tokens.slice(0, 60).map((t) => tokenText(t)).join(' · ').slice(0, Math.floor(area.w / 8)), { size: 12, fill: 'faint' });
}
