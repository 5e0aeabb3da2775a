//! Attention step by step, with scores and pattern in full: what recorders see and edits change.

use super::{Input, Shape};
use crate::Pool;
use crate::matmul::matmul;
use crate::matrix::{MatMut, MatRef};
use crate::memory::floats;
use crate::pool::Parts;
use crate::product::{Precision, Rows};
use crate::softmax::softmax;

/// Rows of `f32` as a matrix.
fn matrix(x: Rows<'_>) -> MatRef<'_> {
    assert_eq!(x.precision, Precision::F32, "values that are shown are f32");
    MatRef::strided(floats(x.words), x.rows, x.cols, x.stride, 1)
}

/// Scaled and masked scores `[B,H,T,S]`.
pub fn scores(pool: &Pool, shape: Shape, input: Input<'_>, scores: &mut [f32]) {
    input.check(&shape);
    pool.chunks(scores, shape.queries * shape.keys, |i, plane| {
        let head = input.head(&shape, i / shape.heads, i % shape.heads);
        let out = MatMut::new(plane, shape.queries, shape.keys);
        matmul(out, matrix(head.q), matrix(head.k).t(), false);
        for (t, row) in plane.chunks_exact_mut(shape.keys).enumerate() {
            let (seen, masked) = row.split_at_mut(shape.visible(t));
            for x in seen {
                *x *= shape.scale();
            }
            masked.fill(f32::NEG_INFINITY);
        }
    });
}

/// Replaces the scores `[B,H,T,S]` by their pattern, row by row.
pub fn pattern(pool: &Pool, scores: &mut [f32], keys: usize) {
    pool.rows(scores, keys, 32, |_, rows| {
        for row in rows.chunks_exact_mut(keys) {
            softmax(row, 1.0);
        }
    });
}

/// `z [B·T,H·E]` from a pattern `[B,H,T,S]` and the values.
pub fn weighted_values(
    pool: &Pool,
    shape: Shape,
    pattern: &[f32],
    input: Input<'_>,
    z: &mut [f32],
) {
    input.check(&shape);
    let Shape {
        batch,
        queries,
        keys,
        heads,
        d_head: e,
        ..
    } = shape;
    let width = heads * e;
    assert_eq!(z.len(), batch * queries * width, "z");
    let z = Parts::new(z);
    pool.each(batch, |b| {
        // SAFETY: each sequence has its own rows.
        let z = unsafe { z.slice(b * queries * width..(b + 1) * queries * width) };
        for h in 0..heads {
            let pattern = MatRef::new(&pattern[(b * heads + h) * queries * keys..], queries, keys);
            let z = MatMut::strided(&mut z[h * e..], queries, e, width);
            matmul(z, pattern, matrix(input.head(&shape, b, h).v), false);
        }
    });
}
