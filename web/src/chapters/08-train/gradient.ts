// The way back: down the same river, as wide at each height as the gradient of the loss is long.
import { num, sci } from '../../i18n/format';
import type { Draw } from '../../marks/draw';
import { ribbon } from '../../marks/river';
import { stagger } from '../../timeline/ease';
import type { Lesson } from '../../trace/wire';
import { levels } from '../05-layers/levels';
import { frames, plan } from '../05-layers/scene';
import type { Frame } from '../types';
import { gradientLength, lesson, runOf } from './lesson';

const LABEL = 26;

export function gradients(f: Frame, d: Draw, flow: number): void {
  const p = plan(f);
  const [b, l] = [runOf(f), lesson(f) as Lesson];
  if (p.shown.length < b.trace.tokens.length) d.badge('badge.tokens', { n: String(p.shown.length), total: String(b.trace.tokens.length) });
  frames(f, d, p);
  const lengths = p.shown.map((t) => p.stages.map((site) => gradientLength(b, site, t)));
  // Small embeddings are steep: at the entry the gradient is many times as long as in all blocks above, which must be seen.
  const full = Math.max(1e-12, ...lengths.flatMap((l) => l.slice(l.length > 3 ? 2 : 0)));
  if (lengths.some((l) => l.some((v) => v > full))) d.badge('badge.cut', { v: sci(full) });
  const wide = Math.min(46, p.step * 0.55);
  const down = [...p.ys].reverse();
  // The numbers stand where there is room for them, the first and the last of the way among them.
  const named = levels(p.stages.length, ((p.ys[0] as number) - (p.ys[p.ys.length - 1] as number)) / LABEL);
  p.shown.forEach((t, i) => {
    if (t >= l.losses.length) {
      d.text(p.x(i), (down[0] as number) - 12, '–', { size: 13, anchor: 'middle', fill: 'faint' });
      return;
    }
    const widths = (lengths[i] as number[]).map((v) => 2 + (wide - 2) * Math.min(1, v / full)).reverse();
    ribbon(d, p.x(i), down, widths, flow, 'grad', t === f.view.token ? 0.85 : 0.5);
    const loss = l.losses[t] as number;
    d.text(p.x(i), (down[0] as number) - (f.narrow ? 10 : 14), num(loss), { size: f.narrow ? 11 : 12, font: 'mono', weight: 650, anchor: 'middle', fill: 'grad', cell: { site: 'lesson:loss', index: [t], value: loss, text: num(loss) } });
    if (p.step < 58 || !f.numbers) return;
    for (const s of named) {
      const v = (lengths[i] as number[])[s] as number;
      const far = stagger(flow, p.stages.length - 1 - s, p.stages.length, 0, 1, 0.25);
      const y = (p.ys[s] as number) + (s === p.stages.length - 1 ? 9 : 0);
      d.text(p.x(i) + (widths[p.stages.length - 1 - s] as number) / 2 + 4, y, brief(v), { size: 10, font: 'mono', fill: 'muted', a: far, cell: { site: 'derived:‖∂L/∂x‖', index: [s, t], value: v, text: brief(v) } });
    }
  });
  if (!f.narrow) d.text(p.left - 10, (down[0] as number) - 14, f.t('train.loss'), { size: 12, anchor: 'end', weight: 600, fill: 'grad' });
}

/** There is little room beside the river. */
const brief = (v: number): string => (v >= 0.01 ? num(v, v >= 1 ? 1 : 2) : sci(v));
