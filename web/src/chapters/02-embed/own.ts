// The visitor's own words against each other: the cosine of every pair of their rows.
import { num } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import { fit } from '../../marks/measure';
import { tokenChip } from '../../marks/tokens';
import { stagger } from '../../timeline/ease';
import { heading, pad, prog, tokenAt, tokensOf, word } from '../common';
import type { Frame } from '../types';
import { idsOf, ownTokens } from './words';

export function ownWords(f: Frame, d: Draw): void {
  const ids = idsOf(f.view, f.b);
  const table = f.b.cosines.get(ids.join());
  if (!table) return;
  const g = prog(f, 'own');
  const m = pad(f);
  const tokens = ownTokens(f.view, f.b).slice(f.narrow ? -6 : 0);
  if (tokens.length < tokensOf(f).length) d.badge('badge.tokens', { n: String(tokens.length), total: String(tokensOf(f).length) });
  const labelW = f.narrow ? 72 : 108;
  const top = f.narrow ? 78 : 96;
  const cw = Math.min(f.narrow ? 52 : 74, (f.W - 2 * m - labelW - 8) / tokens.length);
  const ch = Math.min(cw * 0.72, (f.H - top - 24) / tokens.length);
  const x0 = (f.W - labelW - 8 - cw * tokens.length) / 2 + labelW + 8;
  heading(d, x0, top - (f.narrow ? 44 : 56), f.t(f.narrow ? 'scene.ownCosinesShort' : 'scene.ownCosines'), 'resid', f.narrow ? '' : 'W_E');
  tokens.forEach((t, j) => d.text(x0 + cw * (j + 0.5), top - 14, fit(word(f, t), cw - 4, 12), { size: 12, anchor: 'middle', fill: t === f.view.token ? 'accent' : 'muted', weight: 560 }));
  tokens.forEach((t, i) => {
    const y = top + ch * i;
    tokenChip(d, { x: x0 - labelW - 8, y: y + 2, w: labelW, h: ch - 4 }, tokenAt(f, t), { active: t === f.view.token });
    tokens.forEach((other, j) => {
      const [a, b] = [tokenAt(f, t).id, tokenAt(f, other).id];
      const v = table.cosines[ids.indexOf(a)]?.[ids.indexOf(b)] ?? NaN;
      // The table is the same on both sides of its diagonal: it fills from there.
      const alpha = stagger(g, Math.abs(i - j), tokens.length, 0.15, 0.95, 0.35);
      const text = cw >= 34 ? num(v) : '';
      d.rect(x0 + cw * j + 1.5, y + 1.5, cw - 3, ch - 3, { r: 4, fill: `s:${Math.round(Math.max(-1, Math.min(1, v)) * 100) / 100}`, label: text ? { text, size: Math.min(13, cw / 4, ch * 0.5), font: 'mono' } : undefined, cell: { site: 'derived:cosine', index: [a, b], value: v, text }, a: alpha });
    });
    if (t === f.view.token) d.rect(x0 - 2, y - 1, cw * tokens.length + 4, ch + 1, { r: 7, stroke: 'accent', sw: 2 });
  });
}
