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

/** A token as it is shown: a visible space, and bytes where it is no whole character. Never `�`. */
export function tokenText(token: { text: string | null; bytes?: number[] }): string {
  if (token.text === null) return (token.bytes ?? []).map(hex).join(' ');
  return token.text.replace(/ /g, '␣').replace(/\n/g, '⏎').replace(/\t/g, '⇥').replace(/[\u0000-\u001f\u007f]/g, (c) => hex(c.charCodeAt(0)));
}

/** A token inside of a sentence: without the space it may begin with. */
export const prose = (token: { text: string | null; bytes?: number[] }): string => (token.text !== null && token.text.trim() !== '' ? token.text.trim() : tokenText(token));

/** The text of a run of tokens, one string for each: a character whose bytes lie in several tokens appears with the last of them. */
export function joined(tokens: readonly { text: string | null; bytes?: number[] }[]): string[] {
  const decoder = new TextDecoder('utf-8');
  return tokens.map((t) => (t.bytes ? decoder.decode(Uint8Array.from(t.bytes), { stream: true }).replace(/\ufffd/g, '') : (t.text ?? '')));
}
