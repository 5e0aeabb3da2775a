import type { Draw } from '../../marks/draw';
import { part } from '../../timeline/ease';
import { current } from '../common';
import type { Frame } from '../types';
import { assembled } from './formula';
import { added, goal, guess, normed } from './residual';
import { headsJoin, wall } from './heads';
import { maskMatrix } from './mask';
import { query } from './query';
import { share } from './share';
import { table } from './table';
import { turn } from './turn';

/** Which picture each step belongs to; where two neighbours differ, one fades into the other as the step begins. */
type Picture = (f: Frame, d: Draw) => void;
const PICTURES: Record<string, Picture> = {
  guess, goal, norm: normed, query, turn, keys: table, share, dot: table, scale: table, mask: maskMatrix, softmax: table, values: table, heads: headsJoin, add: added, wall, formula: assembled,
};

export function scene(f: Frame, d: Draw): void {
  const here = PICTURES[current(f)] as Picture;
  const before = f.steps[f.step - 1];
  const past = before ? (PICTURES[before.id] as Picture) : here;
  if (past === here || !before) return here(f, d);
  const g = part(f.p, 0, 0.16);
  if (g < 1) d.fade(1 - g, () => past({ ...f, step: f.step - 1, p: 1 }, d));
  d.fade(g, () => here(f, d));
}
