/** Evenly spaced of `count` levels so many as fit, the first and the last among them. */
export function levels(count: number, most: number): number[] {
  const n = Math.max(2, Math.min(count, Math.floor(most)));
  return Array.from({ length: n }, (_, i) => Math.round((i * (count - 1)) / (n - 1)));
}
