import type { Draw } from '../marks/draw';
import type { Step } from '../timeline/timeline';
import type { Facts } from './family';
import type { Triple } from '../trace/engine';
import type { Bundle, Need } from '../trace/bundle';
import type { Kind, SampleSettings } from '../trace/wire';

export type Translate = (key: string, vars?: Record<string, string | number>) => string;

/** What the visitor has chosen to look at. */
export interface View {
  layer: number;
  head: number;
  token: number;
  /** A token of the vocabulary, picked on its map. */
  word?: number;
  /** The words of a − b + c, where others than the first ones were chosen. */
  sum?: Triple;
}

/** All that a scene may know: the recorded run, the choice, the moment, the size of the stage. Nothing of the browser. */
export interface Frame {
  b: Bundle;
  /** The untouched run, where `b` is an edited one: it stays behind it, pale. */
  ghost?: Bundle;
  view: View;
  settings: SampleSettings;
  step: number;
  steps: readonly Step[];
  p: number;
  W: number;
  H: number;
  narrow: boolean;
  /** Are the numbers written into the cells (every depth but Story)? */
  numbers: boolean;
  lang: 'en' | 'zh';
  t: Translate;
}

/** A step of a chapter as a family shows it. */
export interface ChapterStep extends Step {
  /** Behind the chapter's key, the key of its texts. */
  text: string;
}

/** A step as it is written, for all families. */
export interface WrittenStep {
  id: string;
  seconds: number;
  formula?: string | ((facts: Facts) => string);
  /** The families that have it; all where this is not given. */
  only?: (facts: Facts) => boolean;
  /** Which of several texts tells it: `norm` as `norm.rms`, say. */
  variant?: (facts: Facts) => string | undefined;
}

/** `kinds`: of which models it tells; of those that go on with a text, where it says nothing. */
export type WrittenChapter = Omit<Chapter, 'steps' | 'number' | 'kind'> & { steps: readonly WrittenStep[]; kinds?: readonly Kind[] };

export interface Chapter {
  /** The key of its texts and the name in the address. */
  id: string;
  /** As it is counted in the map: a film may have only some. */
  number: number;
  /** Of the models that it tells of. */
  kind: Kind;
  steps: readonly ChapterStep[];
  /** Its steps follow on by themselves: for the opening film. */
  flow?: boolean;
  picks: readonly ('layer' | 'head' | 'token' | 'sampling')[];
  needs: (view: View, b: Bundle) => Need[];
  scene: (f: Frame, d: Draw) => void;
  /** The words and numbers of the run that its texts mention. */
  vars: (f: Frame) => Record<string, string>;
}
