// A reader for safetensors files: u64 little-endian header length, a JSON header, then the numbers.
// Only F32 is read, which is all the server sends. Everything in the file is checked before it is believed.

export interface Tensor {
  shape: number[];
  data: Float32Array;
}

export class SafetensorsError extends Error {}

const MAX_HEADER = 16 * 1024 * 1024;

interface Entry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

export function parseSafetensors(buffer: ArrayBuffer): Map<string, Tensor> {
  if (buffer.byteLength < 8) throw new SafetensorsError('the file is shorter than its header length');
  const length = new DataView(buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER) || Number(length) > buffer.byteLength - 8) throw new SafetensorsError('the header is longer than the file');
  const body = 8 + Number(length);
  const header = parseHeader(new Uint8Array(buffer, 8, Number(length)));
  const tensors = new Map<string, Tensor>();
  for (const [name, raw] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const entry = checkEntry(name, raw);
    tensors.set(name, { shape: entry.shape, data: readF32(buffer, body, entry, name) });
  }
  return tensors;
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new SafetensorsError('the header is not JSON');
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) throw new SafetensorsError('the header is not an object');
  return header as Record<string, unknown>;
}

const isCount = (n: unknown): n is number => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0;

function checkEntry(name: string, raw: unknown): Entry {
  const e = raw as Partial<Entry> | null;
  const ok = e !== null && typeof e === 'object' && Array.isArray(e.shape) && e.shape.every(isCount) && Array.isArray(e.data_offsets) && e.data_offsets.length === 2 && e.data_offsets.every(isCount);
  if (!ok) throw new SafetensorsError(`the entry of ${name} is malformed`);
  if (e.dtype !== 'F32') throw new SafetensorsError(`${name} is ${String(e.dtype)}, not F32`);
  return e as Entry;
}

function readF32(buffer: ArrayBuffer, body: number, entry: Entry, name: string): Float32Array {
  const [from, to] = entry.data_offsets;
  const count = entry.shape.reduce((a, b) => a * b, 1);
  if (to < from || body + to > buffer.byteLength || to - from !== count * 4) throw new SafetensorsError(`${name} does not fit its place in the file`);
  // A copy is made where the numbers do not begin at a multiple of four bytes.
  const at = body + from;
  if (at % 4 === 0) return new Float32Array(buffer, at, count);
  return new Float32Array(buffer.slice(at, at + count * 4));
}
