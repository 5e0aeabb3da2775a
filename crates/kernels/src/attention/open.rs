//! Attention step by step, with scores and pattern in full: what recorders see and edits change.

use super::{Input, Sequences, Shape};
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

/// Scaled and masked scores `[B,H,T,S]` of sequences of equal length.
pub fn scores(pool: &Pool, shape: Shape<'_>, input: Input<'_>, scores: &mut [f32]) {
    input.check(&shape);
    let (_, queries, keys) = equal(&shape);
    pool.chunks(scores, queries * keys, |i, plane| {
        let sequence = shape.sequences.get(i / shape.heads);
        let head = input.head(&shape, &sequence, i % shape.heads);
        let out = MatMut::new(plane, queries, keys);
        matmul(out, matrix(head.q), matrix(head.k).t(), false);
        for (t, row) in plane.chunks_exact_mut(keys).enumerate() {
            let seen = head.seen(t);
            row[..seen.start].fill(f32::NEG_INFINITY);
            row[seen.end..].fill(f32::NEG_INFINITY);
            let bias = head.bias_row(t, seen.start);
            for x in &mut row[seen.clone()] {
                *x *= head.scale;
            }
            if let Some(bias) = bias {
                crate::rows::add(&mut row[seen.clone()], &bias[..seen.len()]);
            }
        }
    });
}

/// B, T and S. Whoever looks at scores looks at sequences of equal length.
fn equal(shape: &Shape<'_>) -> (usize, usize, usize) {
    match shape.sequences {
        Sequences::Equal {
            batch,
            queries,
            keys,
        } => (batch, queries, keys),
        Sequences::Ragged { .. } => panic!("patterns are shown of sequences of equal length"),
    }
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
    shape: Shape<'_>,
    pattern: &[f32],
    input: Input<'_>,
    z: &mut [f32],
) {
    input.check(&shape);
    let (batch, queries, keys) = equal(&shape);
    let Shape {
        heads, d_head: e, ..
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
            let head = input.head(&shape, &shape.sequences.get(b), h);
            matmul(z, pattern, matrix(head.v), false);
        }
    });
}
