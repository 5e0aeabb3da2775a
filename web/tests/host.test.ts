// The world of src/film/host.ts against Node's own.
import { afterAll, describe, expect, it } from 'vitest';

const own = { TextDecoder, TextEncoder, Intl, fetch, AbortSignal, console };
await import('../src/film/host');
const ours = { TextDecoder, TextEncoder };
Object.assign(globalThis, own);
afterAll(() => void Object.assign(globalThis, own));

const TEXTS = ['', 'plain', 'Größe −0.31', '从前有一张床', '👩🏽‍🚀🇨🇳', '\u0000\u007f\u0080\u07ff\u0800\uffff', '\u{10ffff}', 'half \ud83d and \udc00 and 😀'];

describe('text and bytes', () => {
  it('are those of Node', () => {
    for (const text of TEXTS) {
      const bytes = new own.TextEncoder().encode(text);
      expect([...new ours.TextEncoder().encode(text)]).toEqual([...bytes]);
      expect(new ours.TextDecoder('utf-8').decode(bytes)).toBe(new own.TextDecoder('utf-8').decode(bytes));
    }
  });
  it('come in pieces', () => {
    for (const text of TEXTS) {
      const bytes = new own.TextEncoder().encode(text);
      for (let size = 1; size < 6; size++) {
        const [a, b] = [new ours.TextDecoder('utf-8', { ignoreBOM: true }), new own.TextDecoder('utf-8', { ignoreBOM: true })];
        for (let i = 0; i < bytes.length; i += size) expect(a.decode(bytes.slice(i, i + size), { stream: true })).toBe(b.decode(bytes.slice(i, i + size), { stream: true }));
      }
    }
  });
  it('that are no text are refused where that is asked for', () => {
    for (const bytes of [[0xff], [0xc0, 0x80], [0xe4, 0xbb], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x41, 0x80]]) {
      expect(() => new own.TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes))).toThrow();
      expect(() => new ours.TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes))).toThrow();
    }
  });
});
