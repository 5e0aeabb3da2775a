//! Few new queries against a long cache: the shape of generating text.
//!
//! With one query there is no product of matrices to speak of: each key and value is read once, and what counts is to
//! read them on all threads, row after row as they lie. So the cache is cut into pieces of [`PIECE`] keys; each piece
//! gives for each head its own largest score m, l = Σ exp(score − m) and Σ exp(score − m)·v, and the pieces are merged by
//! the online softmax's rule (Dao 2023, "Flash-Decoding").
//!
//! Several sequences are decoded together, each against keys and values of its own.

mod piece;
mod tile;

use self::piece::Piece;
use super::{Bias, Kept, Sequence, Shape};
use crate::Pool;
use crate::arch::multiversion;
use crate::exp::exp;
use crate::memory::floats;
use crate::product::{Precision, Rows};
use crate::rows::in_groups;

/// Keys of a piece.
pub const PIECE: usize = 32;
/// Queries up to which this is the better way.
pub const MOST_QUERIES: usize = 4;

/// Numbers of scratch space that [`decode`] needs.
pub fn scratch_len(shape: &Shape<'_>) -> usize {
    let [queries, _] = shape.sequences.rows();
    queries * pieces(shape) * shape.heads * piece::len(shape.d_head)
}

/// Pieces of the longest sequence.
fn pieces(shape: &Shape<'_>) -> usize {
    shape.sequences.most_keys().div_ceil(PIECE)
}

/// `z [ΣT,H·E]` in `f32`, from `q [ΣT,H·E]` and the keys and values `kept` for each sequence `[S,K·E]`; scratch as
/// [`scratch_len`] says.
pub fn decode<'a>(
    pool: &Pool,
    shape: Shape<'_>,
    q: Rows<'_>,
    bias: Option<Bias<'_>>,
    kept: impl Fn(usize) -> [Kept<'a>; 2] + Sync,
    z: &mut [f32],
    scratch: &mut [f32],
) {
    let (e, [queries, _]) = (shape.d_head, shape.sequences.rows());
    assert!(shape.heads.is_multiple_of(shape.kv_heads), "{shape:?}");
    let width = shape.heads * e;
    assert!(q.precision == Precision::F32, "queries are in f32");
    assert_eq!([q.rows, q.cols], [queries, width], "q");
    assert_eq!(z.len(), queries * width, "z");
    if let Some(bias) = bias {
        bias.check(&shape);
    }
    let (pieces, heads, each) = (pieces(&shape), shape.heads, piece::len(e));
    let scratch = &mut scratch[..scratch_len(&shape)];
    pool.chunks(scratch, heads * each, |i, parts| {
        let (row, piece) = (i / pieces, i % pieces);
        let b = shape.sequences.of_query(row);
        let (Sequence { queries, keys, .. }, [k, v]) = (shape.sequences.get(b), kept(b));
        for kept in [k, v] {
            let shape = [keys.len(), shape.kv_heads * e];
            assert_eq!([kept.rows(), kept.cols()], shape, "k and v");
        }
        let (t, queries, keys) = (row - queries.start, queries.len(), keys.len());
        let seen = shape.sees.keys(t, queries, keys);
        let end = ((piece + 1) * PIECE).min(seen.end);
        let start = (piece * PIECE).max(seen.start).min(end);
        Piece {
            q: floats(q.row(row)),
            k: k.range(start, end),
            v: v.range(start, end),
            group: shape.group(),
            e,
            scale: shape.scale,
            // From the query's own place, S − T + t, to the first of these keys.
            bias: bias.map(|bias| (bias, (bias.zero + start).wrapping_sub(keys + t - queries))),
        }
        .attend(parts);
    });
    pool.chunks(z, e, |i, z| {
        let (t, h) = (i / heads, i % heads);
        let parts = &scratch[(t * pieces * heads + h) * each..];
        merge(z, parts, pieces, heads * each);
    });
}

multiversion! {
    /// z from the `pieces` (m, l, Σ), which begin `stride` numbers apart.
    fn merge(z: &mut [f32], parts: &[f32], pieces: usize, stride: usize) {
        let largest = |max: f32, i: usize| max.max(parts[i * stride]);
        let max = (0..pieces).fold(f32::NEG_INFINITY, largest);
        let mut total = 0.0;
        z.fill(0.0);
        for i in 0..pieces {
            let part = &parts[i * stride..][..z.len() + 2];
            let weight = if part[0] == f32::NEG_INFINITY { 0.0 } else { exp::<FUSED>(part[0] - max) };
            total += weight * part[1];
            in_groups(z, &part[2..], |z, x| *z += weight * *x);
        }
        let inverse = 1.0 / total;
        for z in z.iter_mut() {
            *z *= inverse;
        }
    }
}
