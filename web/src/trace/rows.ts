// A site of which some positions have come. Of long texts and large models only what is looked at travels.
import type { Tensor } from './safetensors';

/** Scores and patterns are [head, query, key]; all other sites begin with the position. */
export const isPlane = (site: string): boolean => /\.(cross_)?(scores|pattern)$/.test(site);

/** How many positions a site of this shape has. */
export const positionsOf = (shape: readonly number[], site: string): number => shape[isPlane(site) ? 1 : 0] ?? 0;

const product = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
const NOTHING = new Float32Array(0);

export class SiteRows {
  private readonly at = new Map<number, Float32Array>();
  private readonly parts = new Map<string, Float32Array>();
  private readonly plane: boolean;

  constructor(
    site: string,
    /** Of the whole site. */
    readonly shape: readonly number[],
  ) {
    this.plane = isPlane(site);
  }

  get positions(): number {
    return this.shape[this.plane ? 1 : 0] ?? 0;
  }
  has(position: number): boolean {
    return this.at.has(position);
  }

  /** Notes what came: the positions `rows`, in this order along their axis. */
  put(rows: readonly number[], t: Tensor): void {
    const inner = product(this.shape.slice(this.plane ? 2 : 1));
    const heads = this.plane ? (this.shape[0] ?? 0) : 1;
    rows.forEach((position, i) => {
      if (!this.plane) {
        this.at.set(position, t.data.subarray(i * inner, (i + 1) * inner));
        return;
      }
      const own = new Float32Array(heads * inner);
      for (let h = 0; h < heads; h++) own.set(t.data.subarray((h * rows.length + i) * inner, (h * rows.length + i + 1) * inner), h * inner);
      this.at.set(position, own);
    });
  }

  /** The innermost row at `outer`, empty where it has not come: the same array each time, so that pictures of it can be kept. */
  row(outer: readonly number[]): Float32Array {
    const key = outer.join();
    const known = this.parts.get(key);
    if (known) return known;
    const [position, part] = this.plane ? [outer[1], outer[0]] : [outer[0], outer[1]];
    const all = this.at.get(position ?? -1);
    if (!all) return NOTHING;
    const n = this.shape[this.shape.length - 1] ?? 0;
    const found = this.shape.length < 3 ? all : all.subarray((part ?? 0) * n, ((part ?? 0) + 1) * n);
    this.parts.set(key, found);
    return found;
  }

  /** One number; NaN where it has not come. */
  value(index: readonly number[]): number {
    if (this.shape.length === 1) return this.at.get(index[0] ?? -1)?.[0] ?? NaN;
    return this.row(index.slice(0, -1))[index[index.length - 1] ?? -1] ?? NaN;
  }
}
