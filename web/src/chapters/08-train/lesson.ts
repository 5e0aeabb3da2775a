// What the chapter's pictures share: the lesson of the untouched run, and lengths of gradients.
import type { Bundle } from '../../trace/bundle';
import type { Lesson } from '../../trace/wire';
import { norm } from '../common';
import type { Frame } from '../types';

/** Can a lesson be given on this text? It needs a token and the one that follows it, and weights that a step can be taken on. */
export const taught = (b: Bundle): boolean => b.trace.tokens.length > 1 && b.model.teachable;

/** The run that the lesson is of: edits change a run, never the model. */
export const runOf = (f: Frame): Bundle => f.ghost ?? f.b;

export const lesson = (f: Frame): Lesson | undefined => runOf(f).lesson;

const NOTHING = new Float32Array(0);

/** The gradient of the mean loss with respect to a position of a site; empty where it has not come. */
export const gradient = (b: Bundle, site: string, t: number): Float32Array => b.gradients.get(site)?.row([t]) ?? NOTHING;

/** Its length; 0 where it has not come, and at the last position, of which nothing is asked. */
export const gradientLength = (b: Bundle, site: string, t: number): number => norm(gradient(b, site, t));
