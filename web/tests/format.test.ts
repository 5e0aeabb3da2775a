import { describe, expect, it } from 'vitest';
import { hex, joined, num, percent, prose, scale, signed, tokenText } from '../src/i18n/format';

describe('numbers', () => {
  it('have a real minus sign and fixed digits', () => {
    expect(num(-0.734)).toBe('−0.73');
    expect(num(1.005, 1)).toBe('1.0');
    expect(num(12)).toBe('12.00');
  });
  it('know no negative zero', () => {
    expect(num(-0.001)).toBe('0.00');
    expect(num(-0)).toBe('0.00');
    expect(signed(0.001)).toBe('0.00');
  });
  it('show the infinite and the missing', () => {
    expect(num(-Infinity)).toBe('−∞');
    expect(num(NaN)).toBe('?');
  });
  it('carry their sign where it is asked for', () => {
    expect(signed(0.4)).toBe('+0.40');
    expect(signed(-0.4)).toBe('−0.40');
  });
});

describe('shares', () => {
  it.each([[0, '0%'], [0.0004, '<0.1%'], [0.034, '3.4%'], [0.412, '41%'], [0.99999, '>99.9%'], [1, '100%']])('%f is %s', (p, text) => expect(percent(p)).toBe(text));
});

describe('tokens', () => {
  it('show spaces, and bytes where there is no whole character', () => {
    expect(tokenText({ text: ' girl' })).toBe('␣girl');
    expect(tokenText({ text: null, bytes: [0xe5, 0xba] })).toBe('E5 BA');
    expect(tokenText({ text: '\u0002' })).toBe('02');
    expect(hex(10)).toBe('0A');
    expect(prose({ text: ' girl' })).toBe('girl');
  });
  it('join into characters, never into a replacement character', () => {
    const bed = [...new TextEncoder().encode('床')];
    const parts = joined([{ text: null, bytes: bed.slice(0, 2) }, { text: null, bytes: bed.slice(2) }, { text: null, bytes: [0xe5] }]);
    expect(parts).toEqual(['', '床', '']);
  });
});

describe('scale', () => {
  it('follows the language', () => {
    expect(scale(3_490_000, 'en')).toBe('3.49 million');
    expect(scale(3_490_000, 'zh')).toBe('349 万');
    expect(scale(124_000_000, 'zh')).toBe('1.24 亿');
  });
});
