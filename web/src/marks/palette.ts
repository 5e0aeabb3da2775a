// Colours by meaning, for both themes. The same colour is the same thing on every picture; the page's CSS uses the same table.
export type Theme = 'light' | 'dark';

export interface Rgb {
  r: number;
  g: number;
  b: number;
}

const LIGHT: Record<string, string> = {
  page: '#eef1f7', stage: '#ffffff', surface: '#f4f6fa', raised: '#ffffff', ink: '#172033', muted: '#55617a', faint: '#8a94a8', line: '#d5dbe6', ghost: '#e9edf3',
  accent: '#1f55d8', q: '#7047e0', k: '#0b7f78', v: '#c02a7c', attn: '#7047e0', resid: '#5b7493', mlp: '#96690a', weight: '#8a7a66',
  pos: '#2a6fdb', neg: '#e2711d', place: '#4c7a12', token: '#eef2fb', good: '#0b7f78', grad: '#c0362b', white: '#ffffff', black: '#0c1220',
};

const DARK: Record<string, string> = {
  page: '#0a0e18', stage: '#10162499', surface: '#182034', raised: '#1b2439', ink: '#eaf0fb', muted: '#a4b1c9', faint: '#74819b', line: '#2f3a53', ghost: '#212b42',
  accent: '#7fa8ff', q: '#a78bff', k: '#3fc8bd', v: '#ff7cc0', attn: '#a78bff', resid: '#8aa4c8', mlp: '#e3b341', weight: '#b5a48c',
  pos: '#4c93ff', neg: '#ff9340', place: '#a5d05f', token: '#222d46', good: '#3fc8bd', grad: '#ff8073', white: '#ffffff', black: '#0c1220',
};
DARK.stage = '#101624';

export const TABLE: Record<Theme, Record<string, string>> = { light: LIGHT, dark: DARK };

export function parse(hex: string): Rgb {
  const v = Number.parseInt(hex.slice(1, 7), 16);
  return { r: (v >> 16) & 255, g: (v >> 8) & 255, b: v & 255 };
}

const mix = (a: Rgb, b: Rgb, t: number): Rgb => ({ r: Math.round(a.r + (b.r - a.r) * t), g: Math.round(a.g + (b.g - a.g) * t), b: Math.round(a.b + (b.b - a.b) * t) });
const css = (c: Rgb, a = 1): string => (a >= 1 ? `rgb(${c.r},${c.g},${c.b})` : `rgba(${c.r},${c.g},${c.b},${Math.round(a * 1000) / 1000})`);

/** Signed values: blue above zero, orange below; the further from zero the stronger. */
function signedColour(v: number, theme: Theme): Rgb {
  const t = TABLE[theme];
  const strength = Math.min(1, Math.abs(v)) ** 0.75 * 0.92 + 0.02;
  return mix(parse(t.surface as string), parse((v >= 0 ? t.pos : t.neg) as string), strength);
}

interface Rgba extends Rgb {
  a: number;
}

function read(paint: string, theme: Theme): Rgba {
  if (paint.startsWith('s:')) return { ...signedColour(Number(paint.slice(2)), theme), a: 1 };
  const [name, alpha] = paint.split('/') as [string, string | undefined];
  return { ...parse(TABLE[theme][name] ?? '#ff00ff'), a: alpha === undefined ? 1 : Number(alpha) };
}

/** Makes each answer once: a frame asks for hundreds of the same few paints. */
function once<T>(make: (paint: string, theme: Theme) => T): (paint: string, theme: Theme) => T {
  const known = { light: new Map<string, T>(), dark: new Map<string, T>() };
  return (paint, theme) => {
    const found = known[theme].get(paint);
    if (found !== undefined) return found;
    // Opacities that run with the film are many: the table is begun anew before it grows large.
    if (known[theme].size > MOST_PAINTS) known[theme].clear();
    const made = make(paint, theme);
    known[theme].set(paint, made);
    return made;
  };
}
const MOST_PAINTS = 4096;

export const colour = once((paint, theme) => {
  const c = read(paint, theme);
  return css(c, c.a);
});

/** As four bytes, for images. */
export const rgbaOf = once((paint, theme): readonly number[] => {
  const c = read(paint, theme);
  return [c.r, c.g, c.b, Math.round(c.a * 255)];
});

const channel = (c: number): number => {
  const s = c / 255;
  return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
};
export const luminance = (c: Rgb): number => 0.2126 * channel(c.r) + 0.7152 * channel(c.g) + 0.0722 * channel(c.b);

/** Below this opacity the stage shines through a paint, and its own ink is the one that can be read. */
export const FAINT = 0.6;

/** The ink that can be read on a paint. */
export const inkOn = (paint: string | undefined, theme: Theme): string => (paint === undefined ? colour('ink', theme) : readableOn(paint, theme));

const readableOn = once((paint, theme) => {
  const t = TABLE[theme];
  const { a, ...own } = read(paint, theme);
  const l = luminance(mix(parse(t.stage as string), own, a));
  const onDark = 1.05 / (l + 0.05);
  const onLight = (l + 0.05) / (luminance(parse(t.black as string)) + 0.05);
  return (onLight >= onDark ? t.black : t.white) as string;
});

const HUES = ['pos', 'mlp', 'k', 'v', 'q', 'resid', 'neg', 'accent'];
/** A quiet colour per place, for neighbours that must be told apart and mean nothing by it. */
export const hue = (i: number): string => HUES[i % HUES.length] as string;
