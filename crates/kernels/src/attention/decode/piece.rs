//! One piece of the cache for all heads: scores, their softmax, the weighted sum of the values.
//!
//! ```text
//! for each KEYS keys, for each key head, for each of its GROUP query heads:      score[h][s] = q[h]·k[s]
//! for each head:                                              m, l, score[h] = its largest, Σ, exp(score − m)
//! for each BLOCK keys, for each key head, for each of its query heads:        z[h] += Σₛ score[h][s]·v[s]
//! ```
//!
//! Departure: rows of the cache are read in the order in which they lie, and each load of a key or value serves all the
//! query heads that share it; the sums stay in registers meanwhile.

use super::PIECE;
use crate::arch::{Level, level, multiversion};
use crate::memory::floats;
use crate::product::Rows;
use crate::softmax::exponentials;
use crate::vector::{Portable, Vector};

/// Keys whose scores are made at a time.
const KEYS: usize = 4;
/// Keys whose values are added at a time.
const BLOCK: usize = 16;
/// Vectors of a value that are added at a time.
const VECTORS: usize = 4;
/// How many rows ahead of their use keys and values are fetched from memory.
const AHEAD: usize = 8;
/// Words of a cache line.
const LINE: usize = 16;

/// What the piece gives for one head: m, l, Σ exp(score − m)·v [E], and the scores [PIECE].
pub(super) const fn len(e: usize) -> usize {
    2 + e + PIECE
}

/// One piece of one query.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    /// [H,E].
    pub q: &'a [f32],
    /// [S,K·E] in `f32`, S ≤ [`PIECE`].
    pub k: Rows<'a>,
    /// [S,K·E] in `f32`.
    pub v: Rows<'a>,
    /// H/K.
    pub group: usize,
    /// E.
    pub e: usize,
    /// 1/√E.
    pub scale: f32,
}

impl Piece<'_> {
    /// Writes, for each head, what [`len`] describes to `parts`.
    pub(super) fn attend(self, parts: &mut [f32]) {
        let Self {
            q,
            k,
            v,
            group,
            e,
            scale,
        } = self;
        let width = q.len() / group;
        assert!(e > 0 && q.len().is_multiple_of(group * e) && parts.len() == q.len() / e * len(e));
        assert!(k.rows == v.rows && k.rows <= PIECE && k.cols == width && v.cols == width);
        let [scores, values] = kernels();
        // SAFETY: the shapes were checked; the kernels are those of this processor.
        unsafe { scores(&self, parts) };
        for part in parts.chunks_exact_mut(len(e)) {
            soften(part, e, k.rows, scale);
        }
        // SAFETY: as above.
        unsafe { values(&self, parts) };
    }
}

multiversion! {
    /// Replaces the `keys` scores of a head by exp(scale·score − m), and writes m, l and a sum of 0.
    fn soften(part: &mut [f32], e: usize, keys: usize, scale: f32) {
        let (part, scores) = part.split_at_mut(e + 2);
        part.fill(0.0);
        part[..2].copy_from_slice(&exponentials::<FUSED>(&mut scores[..keys], scale));
    }
}

/// Calls `$f::<V, N>` with N = `$n` up to 4.
macro_rules! heads {
    ($n:expr, $f:ident::<$v:ty>($($arg:expr),*)) => {
        match $n {
            1 => $f::<$v, 1>($($arg),*),
            2 => $f::<$v, 2>($($arg),*),
            3 => $f::<$v, 3>($($arg),*),
            _ => $f::<$v, 4>($($arg),*),
        }
    };
}

/// Query heads `first..first + n`, n ≤ 4, that share a key head, for all of them.
fn groups(piece: &Piece<'_>) -> impl Iterator<Item = (usize, usize)> {
    let (heads, group) = (piece.q.len() / piece.e, piece.group);
    (0..heads).step_by(group).flat_map(move |first| {
        (0..group)
            .step_by(4)
            .map(move |h| (first + h, (group - h).min(4)))
    })
}

/// All scores of a piece.
///
/// # Safety
/// The processor has the instructions of `V`; the shapes are as [`Piece::attend`] checks them.
#[inline(always)]
unsafe fn scores<V: Vector>(piece: &Piece<'_>, parts: &mut [f32]) {
    let keys = piece.k.rows;
    for s in (0..keys).step_by(KEYS) {
        // Behind the last key the last one once more, whose score is then written to the same place.
        let rows: [&[f32]; KEYS] =
            std::array::from_fn(|i| floats(piece.k.row((s + i).min(keys - 1))));
        (s..s + KEYS).for_each(|key| fetch::<V>(piece.k, key + AHEAD));
        for (h, n) in groups(piece) {
            // SAFETY: the caller's promise.
            unsafe { heads!(n, score::<V>(piece, parts, rows, s, h)) };
        }
    }
}

/// Asks for row `r`, which may lie behind the last one: it is then the first of the next piece.
#[inline(always)]
fn fetch<V: Vector>(rows: Rows<'_>, r: usize) {
    let start = rows.words.as_ptr().wrapping_add(r * rows.stride);
    for line in (0..rows.cols).step_by(LINE) {
        V::fetch(start.wrapping_add(line));
    }
}

/// Scores of [`KEYS`] keys for HEADS query heads from `h` on.
///
/// # Safety
/// As for [`scores`]; the heads share a key head.
#[inline(always)]
unsafe fn score<V: Vector, const HEADS: usize>(
    piece: &Piece<'_>,
    parts: &mut [f32],
    rows: [&[f32]; KEYS],
    s: usize,
    h: usize,
) {
    let e = piece.e;
    let q: [&[f32]; HEADS] = std::array::from_fn(|i| &piece.q[(h + i) * e..][..e]);
    let k = rows.map(|row| &row[h / piece.group * e..][..e]);
    let whole = e / V::LANES * V::LANES;
    // SAFETY: all offsets are below E.
    let vectors = unsafe {
        let mut vectors = [[V::zero(); KEYS]; HEADS];
        for at in (0..whole).step_by(V::LANES) {
            let k = k.map(|k| V::load(k.as_ptr().add(at).cast()));
            for (sums, q) in vectors.iter_mut().zip(q) {
                let q = V::load(q.as_ptr().add(at).cast());
                for (sum, k) in sums.iter_mut().zip(k) {
                    *sum = sum.add_product(q, k);
                }
            }
        }
        vectors
    };
    let last = piece.k.rows - 1;
    for (i, vectors) in vectors.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        let sums = unsafe { V::totals(vectors) };
        for (j, sum) in sums.into_iter().enumerate() {
            let rest = q[i][whole..]
                .iter()
                .zip(&k[j][whole..])
                .map(|(q, k)| q * k)
                .sum::<f32>();
            parts[(h + i) * len(e) + e + 2 + (s + j).min(last)] = sum + rest;
        }
    }
}

/// Σₛ score[h][s]·v[s] of a piece.
///
/// # Safety
/// As for [`scores`].
#[inline(always)]
unsafe fn values<V: Vector>(piece: &Piece<'_>, parts: &mut [f32]) {
    for s in (0..piece.v.rows).step_by(BLOCK) {
        (s..s + BLOCK).for_each(|key| fetch::<V>(piece.v, key + AHEAD));
        for (h, n) in groups(piece) {
            // SAFETY: the caller's promise.
            unsafe { heads!(n, add_values::<V>(piece, parts, s, h)) };
        }
    }
}

/// Adds the weighted values of [`BLOCK`] keys to the sums of HEADS query heads from `h` on.
///
/// # Safety
/// As for [`score`].
#[inline(always)]
unsafe fn add_values<V: Vector, const HEADS: usize>(
    piece: &Piece<'_>,
    parts: &mut [f32],
    s: usize,
    h: usize,
) {
    let (e, each) = (piece.e, len(piece.e));
    let v = piece
        .v
        .range(s, (s + BLOCK).min(piece.v.rows))
        .columns(h / piece.group * e, (h / piece.group + 1) * e);
    let parts = &mut parts[h * each..][..HEADS * each];
    let whole = e / V::LANES * V::LANES;
    let mut at = 0;
    while at < whole {
        let vectors = ((whole - at) / V::LANES).min(VECTORS);
        // SAFETY: the columns from `at` on are below E.
        unsafe {
            match vectors {
                VECTORS => add_columns::<V, HEADS, VECTORS>(v, parts, e, s, at),
                _ => add_columns::<V, HEADS, 1>(v, parts, e, s, at),
            }
        }
        at += if vectors == VECTORS { VECTORS } else { 1 } * V::LANES;
    }
    for part in parts.chunks_exact_mut(each) {
        let (sums, scores) = part[2..].split_at_mut(e);
        for (i, &score) in scores[s..][..v.rows].iter().enumerate() {
            for (sum, &v) in sums[whole..].iter_mut().zip(&floats(v.row(i))[whole..]) {
                *sum += score * v;
            }
        }
    }
}

/// [`add_values`] for COLUMNS vectors of columns from `at` on.
///
/// # Safety
/// The processor has the instructions of `V`; `parts` are HEADS parts, the columns are there.
#[inline(always)]
unsafe fn add_columns<V: Vector, const HEADS: usize, const COLUMNS: usize>(
    v: Rows<'_>,
    parts: &mut [f32],
    e: usize,
    s: usize,
    at: usize,
) {
    let each = len(e);
    // SAFETY: the caller's promise.
    unsafe {
        let part = |h: usize| parts.as_ptr().add(h * each + 2);
        let mut sums: [[V; COLUMNS]; HEADS] = std::array::from_fn(|h| {
            std::array::from_fn(|c| V::load(part(h).add(at + c * V::LANES).cast()))
        });
        for i in 0..v.rows {
            let row = v.row(i).as_ptr().add(at);
            let row: [V; COLUMNS] = std::array::from_fn(|c| V::load(row.add(c * V::LANES)));
            for (h, sums) in sums.iter_mut().enumerate() {
                let weight = V::splat(part(h).add(e + s + i).cast());
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

type Kernel = unsafe fn(&Piece<'_>, &mut [f32]);

/// [`scores`] and [`values`] of this processor.
fn kernels() -> [Kernel; 2] {
    match level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Bf16 | Level::Avx512 => x86::AVX512,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => x86::AVX2,
        _ => [scores::<Portable>, values::<Portable>],
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Kernel, Piece};
    use crate::vector::x86::{Avx2, Avx512};

    /// Both kernels compiled for one instruction set.
    macro_rules! kernels {
        ($name:ident, $vector:ty, $features:literal) => {
            pub(super) const $name: [Kernel; 2] = {
                /// # Safety
                /// As for the function that it calls.
                #[target_feature(enable = $features)]
                unsafe fn scores(piece: &Piece<'_>, parts: &mut [f32]) {
                    // SAFETY: the caller's promise; the instructions are those that this function is compiled for.
                    unsafe { super::scores::<$vector>(piece, parts) }
                }
                /// # Safety
                /// As for the function that it calls.
                #[target_feature(enable = $features)]
                unsafe fn values(piece: &Piece<'_>, parts: &mut [f32]) {
                    // SAFETY: as above.
                    unsafe { super::values::<$vector>(piece, parts) }
                }
                [scores, values]
            };
        };
    }

    kernels!(AVX512, Avx512, "avx512f,avx512bw,avx512dq,avx512vl,fma");
    kernels!(AVX2, Avx2, "avx2,fma");
}
