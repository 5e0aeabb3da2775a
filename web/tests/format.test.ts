import { describe, expect, it } from 'vitest';
import { hex, joined, num, percent, prose, readsFromRight, scale, signed, tokenText, visible } from '../src/i18n/format';
import { fit, textWidth } from '../src/marks/measure';

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
    expect(tokenText({ text: '\u0002' })).toBe('␂');
    expect(hex(10)).toBe('0A');
    expect(prose({ text: ' girl' })).toBe('girl');
  });
  it('join into characters, never into a replacement character', () => {
    const bed = [...new TextEncoder().encode('床')];
    const parts = joined([{ text: null, bytes: bed.slice(0, 2) }, { text: null, bytes: bed.slice(2) }, { text: null, bytes: [0xe5] }]);
    expect(parts).toEqual(['', '床', '']);
  });
});

describe('text that hides or turns', () => {
  it('shows control characters by their pictures, and marks that have none by their number', () => {
    expect(visible('a\u0000\u001b\u007f')).toBe('a␀␛␡');
    expect(visible('a\u202eb\u200bc\ufeff')).toBe('a⟨202E⟩b⟨200B⟩c⟨FEFF⟩');
    expect(tokenText({ text: ' \u00a0\u3000\n\r\t' })).toBe('␣⍽⍽⏎␍⇥');
    expect(joined([{ text: 'a\u0007' }])).toEqual(['a␇']);
  });
  it('keeps whole what joiners and accents hold together, and shows those that stand alone', () => {
    expect(tokenText({ text: '👩‍💻' })).toBe('👩‍💻');
    expect(tokenText({ text: '\u200d' })).toBe('⟨200D⟩');
    expect(tokenText({ text: '\u0301' })).toBe('◌\u0301');
    expect(tokenText({ text: 'e\u0301' })).toBe('e\u0301');
  });
  it('sets Hebrew and Arabic apart, so that the words around them keep their order', () => {
    expect(tokenText({ text: ' שלום' })).toBe('\u2068␣שלום\u2069');
    expect(prose({ text: ' سلام' })).toBe('\u2068سلام\u2069');
    expect(prose({ text: ' girl' })).toBe('girl');
    expect(readsFromRight(['שלום', ' world', ' עולם', ' ושמש'])).toBe(true);
    expect(readsFromRight(['The word ', 'שלום', ' means peace'])).toBe(false);
  });
  it('is measured by what is seen, and cut between whole characters', () => {
    expect(textWidth('\u2068שלום\u2069', 10)).toBe(textWidth('שלום', 10));
    expect(textWidth('e\u0301', 10)).toBe(textWidth('e', 10));
    expect(fit('👩‍💻👩‍💻👩‍💻', 36, 10)).toMatch(/^(👩‍💻)*…$/u);
    expect(fit('\u2068שלום עולם ושמש\u2069', 40, 10)).toMatch(/^\u2068.*…\u2069$/u);
  });
});

describe('scale', () => {
  it('follows the language', () => {
    expect(scale(3_490_000, 'en')).toBe('3.49 million');
    expect(scale(3_490_000, 'zh')).toBe('349 万');
    expect(scale(124_000_000, 'zh')).toBe('1.24 亿');
  });
});
