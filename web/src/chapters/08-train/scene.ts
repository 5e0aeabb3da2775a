import type { Draw } from '../../marks/draw';
import { part } from '../../timeline/ease';
import { current, note, prog } from '../common';
import type { Frame } from '../types';
import { gradients } from './gradient';
import { lesson, runOf, taught } from './lesson';
import { after, losses } from './losses';
import { norms } from './norms';
import { step } from './step';

type Picture = (f: Frame, d: Draw) => void;
const wayBack: Picture = (f, d) => gradients(f, d, part(prog(f, 'gradient'), 0.12, 0.95));

/** The picture of each step. */
const PICTURES: Record<string, Picture> = { loss: losses, mean: losses, gradient: wayBack, norms, step, after };
/** The part of a step in which one picture gives way to the next. */
const TURN = 0.14;

export function scene(f: Frame, d: Draw): void {
  const b = runOf(f);
  if (!taught(b)) {
    note(d, f.W / 2, f.H / 2, f.t(b.model.teachable ? 'train.needsTwo' : 'train.notTeachable'), 'muted', f.narrow ? 12.5 : 15, 'middle');
    return;
  }
  if (f.ghost) d.badge('train.untouched');
  if (!lesson(f)) return;
  const now = PICTURES[current(f)] as Picture;
  const before = PICTURES[f.steps[f.step - 1]?.id ?? current(f)] as Picture;
  const turned = now === before ? 1 : part(f.p, 0, TURN);
  d.fade(1 - turned, () => before(f, d));
  d.fade(turned, () => now(f, d));
}
