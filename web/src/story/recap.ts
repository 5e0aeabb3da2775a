// What to keep of a chapter, in three lines; some say it otherwise of another family.
import type { Facts } from '../chapters/family';

const LINES = [1, 2, 3] as const;

const VARIANTS: Readonly<Record<string, (facts: Facts) => string | undefined>> = {
  'embed.2': (p) => (p.positions === 'learned' ? undefined : 'later'),
  'mlp.2': (p) => (p.gated ? 'gated' : undefined),
};

/** Keys of the catalogues. */
export const recapKeys = (chapter: string, facts: Facts): string[] =>
  LINES.map((n) => {
    const variant = VARIANTS[`${chapter}.${n}`]?.(facts);
    return `recap.${chapter}.${n}${variant ? `.${variant}` : ''}`;
  });
