// The world that the page's code expects of a browser, as far as it is used without a picture: given by the program that runs this
// file in an engine of its own. Must be loaded before all else.

/** What the program offers. */
interface Host {
  ask(path: string, body: string | undefined): { status: number; instance: string; bytes: ArrayBuffer };
  /** What readers take for one character each. */
  graphemes(text: string): string[];
}

declare const host: Host;

const REPLACEMENT = 0xfffd;

/** UTF-8, also in pieces; invalid bytes become � one by one, or end it where `fatal`. */
class Utf8Decoder {
  private left: number[] = [];
  private readonly fatal: boolean;

  constructor(_label?: string, options?: { fatal?: boolean }) {
    this.fatal = options?.fatal === true;
  }

  decode(bytes: Iterable<number> = [], options?: { stream?: boolean }): string {
    const all = [...this.left, ...bytes];
    this.left = [];
    const out: string[] = [];
    for (let i = 0; i < all.length; ) {
      const { code, length } = point(all, i);
      if (code === null && options?.stream) {
        this.left = all.slice(i);
        break;
      }
      if ((code === null || code === REPLACEMENT) && this.fatal) throw new TypeError('the bytes are not UTF-8');
      out.push(String.fromCodePoint(code ?? REPLACEMENT));
      i += length;
    }
    return out.join('');
  }
}

/** The character that begins at `i`; null where the bytes end within it. */
function point(all: readonly number[], i: number): { code: number | null; length: number } {
  const first = all[i] as number;
  if (first < 0x80) return { code: first, length: 1 };
  const length = first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (length === 0) return { code: REPLACEMENT, length: 1 };
  let code = first & (0xff >> (length + 1));
  for (let k = 1; k < length; k++) {
    const next = all[i + k];
    if (next === undefined) return { code: null, length: k };
    if ((next & 0xc0) !== 0x80) return { code: REPLACEMENT, length: k };
    code = (code << 6) | (next & 0x3f);
  }
  const least = [0, 0, 0x80, 0x800, 0x10000][length] as number;
  const valid = code >= least && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  return valid ? { code, length } : { code: REPLACEMENT, length: 1 };
}

/** What a text is in bytes. */
class Utf8Encoder {
  encode(text: string): Uint8Array {
    // Escapes of an address are UTF-8; what is half of a character is written as the one that stands for it.
    const escaped = encodeURIComponent(text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, '\ufffd'));
    const bytes = escaped.match(/%[0-9A-F]{2}|[^%]/g) ?? [];
    return Uint8Array.from(bytes, (b) => (b.length === 3 ? Number.parseInt(b.slice(1), 16) : b.charCodeAt(0)));
  }
}

function fetchFromHost(path: string, init?: { body?: string }): Promise<unknown> {
  const { status, instance, bytes } = host.ask(path, init?.body);
  const text = (): string => new Utf8Decoder().decode(new Uint8Array(bytes));
  return Promise.resolve({
    ok: status >= 200 && status < 300,
    status,
    headers: { get: (name: string) => (name === 'glassformer-instance' ? instance : null) },
    arrayBuffer: () => Promise.resolve(bytes),
    text: () => Promise.resolve(text()),
    json: () => Promise.resolve(JSON.parse(text()) as unknown),
  });
}

class Segmenter {
  segment(text: string): { segment: string }[] {
    return host.graphemes(text).map((segment) => ({ segment }));
  }
}

const silent = (): void => undefined;

Object.assign(globalThis, {
  TextDecoder: Utf8Decoder,
  TextEncoder: Utf8Encoder,
  Intl: { Segmenter },
  fetch: fetchFromHost,
  AbortSignal: { timeout: silent },
  console: { log: silent, warn: silent, error: silent },
});

export {};
