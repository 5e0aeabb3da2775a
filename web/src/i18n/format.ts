// One way to write a number, everywhere: a real minus sign, fixed digits, −∞ for masked scores.

export function num(v: number, digits = 2): string {
  if (Number.isNaN(v)) return '?';
  if (v === Infinity) return '∞';
  if (v === -Infinity) return '−∞';
  const text = Math.abs(v).toFixed(digits);
  const zero = Number(text) === 0;
  return v < 0 && !zero ? `−${text}` : text;
}

/** With its sign always there: for changes and for sums. */
export const signed = (v: number, digits = 2): string => (v > 0 && num(v, digits) !== num(0, digits) ? `+${num(v, digits)}` : num(v, digits));

const RAISED = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** Three figures, whatever the size: 0.0312, 3.12×10⁻⁵. */
export function sci(v: number): string {
  if (v === 0 || !Number.isFinite(v)) return num(v, 0);
  const size = Math.floor(Math.log10(Math.abs(Number(v.toPrecision(3)))));
  if (size >= -2 && size < 4) return num(v, Math.max(0, 2 - size));
  const exponent = [...String(Math.abs(size))].map((c) => RAISED[Number(c)]).join('');
  return `${num(v / 10 ** size)}×10${size < 0 ? '⁻' : ''}${exponent}`;
}

export function percent(p: number): string {
  const v = p * 100;
  if (v === 0) return '0%';
  if (v < 0.1) return '<0.1%';
  if (v >= 99.95 && v < 100) return '>99.9%';
  return `${v.toFixed(v < 10 ? 1 : 0)}%`;
}

export const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');

/** 349 万 and 3.49 million, each as its readers write it. */
export function scale(n: number, lang: 'en' | 'zh'): string {
  const steps: [number, string][] = lang === 'zh' ? [[1e8, ' 亿'], [1e4, ' 万']] : [[1e9, ' billion'], [1e6, ' million'], [1e3, ' thousand']];
  for (const [unit, name] of steps) if (n >= unit) return trim((n / unit).toPrecision(3)) + name;
  return String(n);
}

const trim = (s: string): string => (s.includes('.') ? s.replace(/\.?0+$/, '') : String(Number(s)));

/** Characters that would not be seen, or that would turn their neighbours around: spaces of all kinds, controls, marks of direction. */
const UNSEEN = /[\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u115f\u1160\u1680\u180e\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
/** Joiners and accents belong to the character before them; a token may begin with one all the same. */
const LOOSE_JOINER = /^[\u200c\u200d\ufe00-\ufe0f]/u;
const LOOSE_MARK = /^\p{M}/u;
const WRITTEN: Record<string, string> = { '\n': '⏎', '\r': '␍', '\t': '⇥', '\u007f': '␡', '\u00a0': '⍽', '\u2028': '⏎', '\u2029': '⏎', '\u3000': '⍽' };

const code = (c: string): string => {
  const n = c.codePointAt(0) as number;
  return WRITTEN[c] ?? (n < 0x20 ? String.fromCodePoint(0x2400 + n) : `⟨${n.toString(16).toUpperCase().padStart(4, '0')}⟩`);
};

/** Text in which nothing is hidden: control characters have their pictures (␛), what has none its number (⟨202E⟩). */
export const visible = (text: string): string => text.replace(UNSEEN, code);

/** As `visible`, of text that stands alone: what has lost the character that it belongs to stands on a dotted circle. */
export const alone = (text: string): string => visible(text).replace(LOOSE_JOINER, code).replace(LOOSE_MARK, '◌$&');

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

export const isRightToLeft = (text: string): boolean => RIGHT_TO_LEFT.test(text);

/** Is a text mostly one that is read from the right? */
export function readsFromRight(pieces: readonly string[]): boolean {
  const letters = [...pieces.join('')].filter((c) => /\p{L}/u.test(c));
  return letters.filter(isRightToLeft).length * 2 > letters.length;
}

/** Hebrew and Arabic words are set apart, so that they do not carry the words around them along. */
export const apart = (text: string): string => (isRightToLeft(text) ? `\u2068${text}\u2069` : text);

/** A token as it is shown: a visible space, and bytes where it is no whole character. Never `�`. */
export function tokenText(token: { text: string | null; bytes?: number[] }): string {
  if (token.text === null) return (token.bytes ?? []).map(hex).join(' ');
  return apart(alone(token.text).replace(/ /g, '␣'));
}

/** A token inside of a sentence: without the space it may begin with. */
export const prose = (token: { text: string | null; bytes?: number[] }): string => (token.text !== null && token.text.trim() !== '' ? apart(visible(token.text.trim())) : tokenText(token));

/** The text of a run of tokens, one string for each: a character whose bytes lie in several tokens appears with the last of them. */
export function joined(tokens: readonly { text: string | null; bytes?: number[] }[]): string[] {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return tokens.map((t) => visible(t.bytes ? decoder.decode(Uint8Array.from(t.bytes), { stream: true }).replace(/\ufffd/g, '') : (t.text ?? '')));
}
