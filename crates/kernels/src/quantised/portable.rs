//! The innermost loops in plain Rust: the equation of the module, as it stands there.

use super::activations::Block;
use super::chunk::{Chunk, WIDTH};
use super::packed::{GROUPS, Line, PANEL};

/// `sums += ` the products of one row with a chunk, for sub-blocks of `groups` groups; `log` is log₂ of the offset, and
/// without one there is a minimum.
pub(super) fn row(
    sums: &mut [f32; WIDTH],
    chunk: &Chunk,
    x: &[Block],
    groups: usize,
    log: Option<u32>,
) {
    let per_tile = GROUPS / groups;
    for (tile, (x, codes)) in x.iter().zip(&chunk.codes[..chunk.tiles]).enumerate() {
        let (values, _) = x.codes.as_chunks::<4>();
        let sub_blocks = values
            .chunks_exact(groups)
            .zip(codes.chunks_exact(groups))
            .enumerate();
        for (s, (values, codes)) in sub_blocks {
            let which = if per_tile == 1 { 0 } else { 1 + s };
            let mut whole = [log.map_or(0, |log| x.minus_sums[which] << log); WIDTH];
            for (&values, panels) in values.iter().zip(codes) {
                for (line, whole) in panels.iter().zip(whole.as_chunks_mut::<PANEL>().0) {
                    add_products(whole, line, values);
                }
            }
            let at = tile * per_tile + s;
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

/// `whole[j] += Σᵢ u[4j + i]·v[i]`: one `vpdpbusd`.
fn add_products(whole: &mut [i32; PANEL], codes: &Line, values: [i8; 4]) {
    for (whole, word) in whole.as_chunks_mut::<2>().0.iter_mut().zip(codes.0) {
        let bytes = word.to_le_bytes();
        for (whole, codes) in whole.iter_mut().zip(bytes.as_chunks::<4>().0) {
            for (&u, v) in codes.iter().zip(values) {
                *whole += i32::from(u) * i32::from(v);
            }
        }
    }
}
