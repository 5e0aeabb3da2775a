//! Register tiles of a piece: a few keys or values for the query heads that share them.

use std::ops::Range;

use super::piece::{Piece, len};
use crate::vector::Vector;

/// Keys whose scores are made at a time.
pub(super) const KEYS: usize = 4;
/// Vectors of a value that are added at a time.
const VECTORS: usize = 4;

/// Numbers `at..` of a row.
///
/// # Safety
/// The processor has the instructions of `V`; the row goes on for its lanes.
#[inline(always)]
unsafe fn load<V: Vector, const HALVES: bool>(row: *const u32, at: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        if HALVES {
            V::load_halves(row.cast::<u16>().add(at))
        } else {
            V::load(row.add(at))
        }
    }
}

/// Scores of the keys from `s` on, [`KEYS`] or as many as there are, for HEADS query heads from `h` on.
///
/// # Safety
/// The processor has the instructions of `V`; the shapes are as [`Piece::attend`] checks them; the heads share a key
/// head, there is a key `s`.
#[inline(always)]
pub(super) unsafe fn score<V: Vector, const HEADS: usize, const HALVES: bool>(
    piece: &Piece<'_>,
    parts: &mut [f32],
    s: usize,
    h: usize,
) {
    let (e, first) = (piece.e, h / piece.group * piece.e);
    // Behind the last key the last one once more, whose score is then written to the same place.
    let keys: [usize; KEYS] = std::array::from_fn(|i| (s + i).min(piece.k.rows() - 1));
    let q: [&[f32]; HEADS] = std::array::from_fn(|i| &piece.q[(h + i) * e..][..e]);
    let whole = e / V::LANES * V::LANES;
    // SAFETY: rows of keys that are there, whose numbers first..first + E are read.
    let vectors = unsafe {
        let k = keys.map(|s| piece.k.words().as_ptr().add(s * piece.k.stride()));
        let mut vectors = [[V::zero(); KEYS]; HEADS];
        for at in (0..whole).step_by(V::LANES) {
            let k: [V; KEYS] = k.map(|k| load::<V, HALVES>(k, first + at));
            for (sums, q) in vectors.iter_mut().zip(q) {
                let q = V::load(q.as_ptr().add(at).cast());
                for (sum, k) in sums.iter_mut().zip(k) {
                    *sum = sum.add_product(q, k);
                }
            }
        }
        vectors
    };
    for (i, vectors) in vectors.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        let sums = unsafe { V::totals(vectors) };
        for (s, sum) in keys.into_iter().zip(sums) {
            let rest = (whole..e).map(|at| q[i][at] * piece.k.at(s, first + at));
            parts[(h + i) * len(e) + e + 2 + s] = sum + rest.sum::<f32>();
        }
    }
}

/// Adds the weighted values of the keys of `block` to the sums of HEADS query heads from `h` on.
///
/// # Safety
/// As for [`score`], for all keys of the block.
#[inline(always)]
pub(super) unsafe fn add_values<V: Vector, const HEADS: usize, const HALVES: bool>(
    piece: &Piece<'_>,
    parts: &mut [f32],
    block: Range<usize>,
    h: usize,
) {
    let (e, each, first) = (piece.e, len(piece.e), h / piece.group * piece.e);
    let parts = &mut parts[h * each..][..HEADS * each];
    let (wide, whole) = (
        e / (VECTORS * V::LANES) * (VECTORS * V::LANES),
        e / V::LANES * V::LANES,
    );
    // SAFETY: the columns from `at` on, a tile of them, are below E.
    unsafe {
        for at in (0..wide).step_by(VECTORS * V::LANES) {
            add_columns::<V, HEADS, VECTORS, HALVES>(piece, parts, block.clone(), first, at);
        }
        for at in (wide..whole).step_by(V::LANES) {
            add_columns::<V, HEADS, 1, HALVES>(piece, parts, block.clone(), first, at);
        }
    }
    for part in parts.chunks_exact_mut(each) {
        let (sums, scores) = part[2..].split_at_mut(e);
        for s in block.clone() {
            for (at, sum) in sums.iter_mut().enumerate().skip(whole) {
                *sum += scores[s] * piece.v.at(s, first + at);
            }
        }
    }
}

/// [`add_values`] for COLUMNS vectors of columns from `at` on, of a value that begins at number `first` of a row.
///
/// # Safety
/// As for [`add_values`]; `parts` are HEADS parts, the columns are there.
#[inline(always)]
unsafe fn add_columns<V: Vector, const HEADS: usize, const COLUMNS: usize, const HALVES: bool>(
    piece: &Piece<'_>,
    parts: &mut [f32],
    block: Range<usize>,
    first: usize,
    at: usize,
) {
    let (e, each) = (piece.e, len(piece.e));
    // SAFETY: the caller's promise.
    unsafe {
        let part = |h: usize| parts.as_ptr().add(h * each + 2);
        let mut sums: [[V; COLUMNS]; HEADS] = std::array::from_fn(|h| {
            std::array::from_fn(|c| V::load(part(h).add(at + c * V::LANES).cast()))
        });
        for s in block {
            let row = piece.v.words().as_ptr().add(s * piece.v.stride());
            let row: [V; COLUMNS] =
                std::array::from_fn(|c| load::<V, HALVES>(row, first + at + c * V::LANES));
            for (h, sums) in sums.iter_mut().enumerate() {
                let weight = V::splat(part(h).add(e + s).cast());
                for (sum, v) in sums.iter_mut().zip(row) {
                    *sum = sum.add_product(weight, v);
                }
            }
        }
        for (h, sums) in sums.into_iter().enumerate() {
            for (c, sum) in sums.into_iter().enumerate() {
                sum.store(parts.as_mut_ptr().add(h * each + 2 + at + c * V::LANES));
            }
        }
    }
}
