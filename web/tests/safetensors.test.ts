import { describe, expect, it } from 'vitest';
import { safetensors } from '../dev/mock-engine.mjs';
import { parseSafetensors, SafetensorsError } from '../src/trace/safetensors';

const buffer = (b: Uint8Array): ArrayBuffer => b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength) as ArrayBuffer;

function file(header: unknown, body = 0): ArrayBuffer {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const out = new Uint8Array(8 + json.length + body);
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true);
  out.set(json, 8);
  return out.buffer;
}

describe('safetensors', () => {
  it('gives back what was written', () => {
    const read = parseSafetensors(buffer(safetensors([['a', { shape: [2, 2], data: Float32Array.of(1, -2, 3.5, -Infinity) }], ['b', { shape: [1], data: Float32Array.of(7) }]])));
    expect([...(read.get('a')?.data ?? [])]).toEqual([1, -2, 3.5, -Infinity]);
    expect(read.get('a')?.shape).toEqual([2, 2]);
    expect(read.get('b')?.data[0]).toBe(7);
  });
  it('reads a body that does not begin at a multiple of four', () => {
    const header = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
    for (let pad = 0; pad < 4; pad++) {
      const bytes = new Uint8Array(file(header + ' '.repeat(pad), 4));
      new DataView(bytes.buffer).setFloat32(bytes.length - 4, 2.5, true);
      expect(parseSafetensors(bytes.buffer).get('a')?.data[0]).toBe(2.5);
    }
  });
  it('skips the metadata and takes a scalar and an empty tensor', () => {
    const read = parseSafetensors(file({ __metadata__: { x: 'y' }, s: { dtype: 'F32', shape: [], data_offsets: [0, 4] }, e: { dtype: 'F32', shape: [0, 3], data_offsets: [4, 4] } }, 4));
    expect(read.get('s')?.data.length).toBe(1);
    expect(read.get('e')?.data.length).toBe(0);
  });
  it.each<[string, ArrayBuffer]>([
    ['an empty file', new ArrayBuffer(0)],
    ['seven bytes', new ArrayBuffer(7)],
    ['a header longer than the file', (() => { const b = new ArrayBuffer(16); new DataView(b).setBigUint64(0, 1000n, true); return b; })()],
    ['an absurd header length', (() => { const b = new ArrayBuffer(16); new DataView(b).setBigUint64(0, 2n ** 63n, true); return b; })()],
    ['a header that is no JSON', file('{nope')],
    ['a header that is a list', file('[]')],
    ['an entry without a shape', file({ a: { dtype: 'F32', data_offsets: [0, 4] } }, 4)],
    ['a null entry', file({ a: null })],
    ['another type', file({ a: { dtype: 'F16', shape: [2], data_offsets: [0, 4] } }, 4)],
    ['offsets behind the end', file({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }, 4)],
    ['offsets the wrong way round', file({ a: { dtype: 'F32', shape: [1], data_offsets: [4, 0] } }, 4)],
    ['a shape that is not its size', file({ a: { dtype: 'F32', shape: [3], data_offsets: [0, 4] } }, 4)],
    ['a negative size', file({ a: { dtype: 'F32', shape: [-1], data_offsets: [0, 4] } }, 4)],
    ['a size that is no whole number', file({ a: { dtype: 'F32', shape: [0.5], data_offsets: [0, 2] } }, 4)],
  ])('refuses %s', (_, bytes) => expect(() => parseSafetensors(bytes)).toThrow(SafetensorsError));
});
