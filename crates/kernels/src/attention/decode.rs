//! Few new queries against a long cache: the shape of generating text.
//!
//! With one query there is no product of matrices to speak of: each key and value is read once, and what counts is to
//! read them on all threads. So the cache is cut into pieces of [`PIECE`] keys; each piece of each query head gives
//! its own largest score m, l = Σ exp(score − m) and Σ exp(score − m)·v, and the pieces are merged by the online
//! softmax's rule (Dao 2023, "Flash-Decoding").

use super::{Input, Shape};
use crate::Pool;
use crate::arch::multiversion;
use crate::exp::exp;
use crate::memory::floats;
use crate::pool::Parts;
use crate::product::{Precision, Rows};
use crate::reduce::sum_of;
use crate::softmax::exponentials;

/// Keys of a piece.
pub const PIECE: usize = 256;
/// Queries up to which this is the better way.
pub const MOST_QUERIES: usize = 4;

/// Numbers of scratch space that [`decode`] needs.
pub fn scratch_len(shape: &Shape<'_>) -> usize {
    let [queries, keys] = shape.sequences.rows();
    queries * shape.heads * keys.div_ceil(PIECE) * (shape.d_head + 2)
}

/// `z [T,H·E]` in `f32` for one sequence; q, k and v in `f32`; scratch as [`scratch_len`] says.
pub fn decode(pool: &Pool, shape: Shape<'_>, input: Input<'_>, z: &mut [f32], scratch: &mut [f32]) {
    input.check(&shape);
    let Shape {
        heads, d_head: e, ..
    } = shape;
    let [_, keys] = shape.sequences.rows();
    assert!(
        shape.sequences.count() == 1 && input.dropout.is_none(),
        "decoding is of one sequence, without dropout"
    );
    let sequence = shape.sequences.get(0);
    assert!(
        [input.q, input.k, input.v]
            .iter()
            .all(|x| x.precision == Precision::F32),
        "the cache is in f32"
    );
    let pieces = keys.div_ceil(PIECE);
    let scratch = &mut scratch[..scratch_len(&shape)];
    pool.chunks(scratch, e + 2, |i, part| {
        let (row, piece) = (i / pieces, i % pieces);
        let (t, h) = (row / heads, row % heads);
        let head = input.head(&shape, &sequence, h);
        let seen = head.seen(t);
        let end = ((piece + 1) * PIECE).min(seen.end);
        let start = (piece * PIECE).max(seen.start).min(end);
        let (state, z) = part.split_at_mut(2);
        let [k, v] = [head.k, head.v].map(|x| x.range(start, end));
        let q = floats(head.q.row(t));
        let state: &mut [f32; 2] = state.try_into().expect("two numbers");
        attend(z, state, q, k, v, head.scale);
    });
    let z = Parts::new(z);
    for (row, parts) in scratch.chunks_exact(pieces * (e + 2)).enumerate() {
        // SAFETY: one thread, one row after the other.
        let z = unsafe { z.slice(row * e..(row + 1) * e) };
        merge(z, parts);
    }
}

multiversion! {
    /// One piece: Σ exp(score − m)·v into `z`, (m, l) into `state`.
    fn attend(z: &mut [f32], state: &mut [f32; 2], q: &[f32], k: Rows<'_>, v: Rows<'_>, scale: f32) {
        let mut scores = [0.0; PIECE];
        let scores = &mut scores[..k.rows];
        for (s, score) in scores.iter_mut().enumerate() {
            let k = floats(k.row(s));
            *score = sum_of([q, k], |[q, k]| q * k);
        }
        *state = exponentials::<FUSED>(scores, scale);
        z.fill(0.0);
        for (s, &weight) in scores.iter().enumerate() {
            for (z, &v) in z.iter_mut().zip(floats(v.row(s))) {
                *z += weight * v;
            }
        }
    }
}

multiversion! {
    /// z from the pieces [(m, l, Σ)].
    fn merge(z: &mut [f32], parts: &[f32]) {
        let width = z.len() + 2;
        let max = parts.chunks_exact(width).fold(f32::NEG_INFINITY, |max, part| max.max(part[0]));
        let mut total = 0.0;
        z.fill(0.0);
        for part in parts.chunks_exact(width) {
            let weight = if part[0] == f32::NEG_INFINITY { 0.0 } else { exp::<FUSED>(part[0] - max) };
            total += weight * part[1];
            for (z, &x) in z.iter_mut().zip(&part[2..]) {
                *z += weight * x;
            }
        }
        let inverse = 1.0 / total;
        for z in z.iter_mut() {
            *z *= inverse;
        }
    }
}
