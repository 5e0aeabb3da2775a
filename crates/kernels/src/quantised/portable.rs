//! The innermost loops in plain Rust: the equation of the module, as it stands there.

use super::activations::Block;
use super::chunk::{Chunk, WIDTH};
use super::packed::GROUPS;

/// `sums += ` the products of one row with a chunk. See `matmul::Tile` for the parameters.
pub(super) fn row(
    sums: &mut [f32; WIDTH],
    chunk: &Chunk,
    x: &[Block],
    sub: usize,
    log: Option<u32>,
) {
    let per_tile = 32 / sub;
    let groups = GROUPS / per_tile;
    for (tile, x) in x.iter().enumerate().take(chunk.tiles) {
        let (values, _) = x.codes.as_chunks::<4>();
        for s in 0..per_tile {
            let (at, which) = (tile * per_tile + s, if per_tile == 1 { 0 } else { 1 + s });
            let mut whole = [log.map_or(0, |log| x.minus_sums[which] << log); WIDTH];
            for g in s * groups..(s + 1) * groups {
                let v = values[g].map(i32::from);
                for (line, whole) in chunk.codes[tile][g]
                    .iter()
                    .zip(whole.as_chunks_mut::<16>().0)
                {
                    let (codes, _) = line.0.as_chunks::<4>();
                    for (whole, u) in whole.iter_mut().zip(codes) {
                        let [a, b, c, d] = [0, 1, 2, 3].map(|i| i32::from(u[i]) * v[i]);
                        *whole += a + b + c + d;
                    }
                }
            }
            let (scales, mins) = (&chunk.scales[at].0, &chunk.mins[at].0);
            for j in 0..WIDTH {
                sums[j] += whole[j] as f32 * scales[j] * x.scale;
                if log.is_none() {
                    sums[j] += mins[j] * x.scaled_sums[which];
                }
            }
        }
    }
}
