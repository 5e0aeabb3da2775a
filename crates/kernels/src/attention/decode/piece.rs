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

use super::super::{Bias, Kept, Number};
use super::PIECE;
use super::tile::{KEYS, add_values, score};
use crate::arch::{Level, level, multiversion};
use crate::memory::{LINE, fetch};
use crate::softmax::exponentials;
use crate::vector::{Portable, Vector};

/// Keys whose values are added at a time.
const BLOCK: usize = 16;
/// How many rows ahead of their use keys and values are fetched from memory.
const AHEAD: usize = 8;

/// What the piece gives for one head: m, l, Σ exp(score − m)·v [E], and the scores [PIECE].
pub(super) const fn len(e: usize) -> usize {
    2 + e + PIECE
}

/// One piece of one query.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    /// [H,E].
    pub q: &'a [f32],
    /// [S,K·E], S ≤ [`PIECE`].
    pub k: Kept<'a>,
    /// [S,K·E].
    pub v: Kept<'a>,
    /// H/K.
    pub group: usize,
    /// E.
    pub e: usize,
    /// By what scores are multiplied.
    pub scale: f32,
    /// What is added to them then, and the place of the first key's number in each head's row.
    pub bias: Option<(Bias<'a>, usize)>,
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
            bias,
        } = self;
        let (width, keys) = (q.len() / group, k.rows());
        assert!(e > 0 && q.len().is_multiple_of(group * e) && parts.len() == q.len() / e * len(e));
        assert!(keys == v.rows() && keys <= PIECE && k.cols() == width && v.cols() == width);
        assert_eq!(k.number(), v.number(), "keys and values are kept alike");
        let [scores, values] = kernels(k.number());
        // SAFETY: the shapes were checked; the kernels are those of this processor.
        unsafe { scores(&self, parts) };
        for (h, part) in parts.chunks_exact_mut(len(e)).enumerate() {
            // A piece without keys may lie where there are no numbers.
            let bias = bias.filter(|_| keys > 0);
            let bias = bias.map_or([].as_slice(), |(bias, at)| &bias.head(h).0[at..][..keys]);
            soften(part, e, keys, scale, bias);
        }
        // SAFETY: as above.
        unsafe { values(&self, parts) };
    }
}

multiversion! {
    /// Replaces the `keys` scores of a head by exp(scale·score + bias − m), and writes m, l and a sum of 0.
    fn soften(part: &mut [f32], e: usize, keys: usize, scale: f32, bias: &[f32]) {
        let (part, scores) = part.split_at_mut(e + 2);
        part.fill(0.0);
        // What is left of the scale once it has met the scores.
        let mut rest = scale;
        if !bias.is_empty() {
            scores.iter_mut().zip(bias).for_each(|(score, bias)| *score = *score * scale + bias);
            rest = 1.0;
        }
        part[..2].copy_from_slice(&exponentials::<FUSED>(&mut scores[..keys], rest));
    }
}

/// Calls `$f::<V, N, HALVES>` with N = `$n` up to 4.
macro_rules! heads {
    ($n:expr, $f:ident::<$v:ty, $halves:ident>($($arg:expr),*)) => {
        match $n {
            1 => $f::<$v, 1, $halves>($($arg),*),
            2 => $f::<$v, 2, $halves>($($arg),*),
            3 => $f::<$v, 3, $halves>($($arg),*),
            _ => $f::<$v, 4, $halves>($($arg),*),
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

/// All scores of a piece, whose numbers are halves or not.
///
/// # Safety
/// The processor has the instructions of `V`; the shapes are as [`Piece::attend`] checks them.
#[inline(always)]
unsafe fn scores<V: Vector, const HALVES: bool>(piece: &Piece<'_>, parts: &mut [f32]) {
    for s in (0..piece.k.rows()).step_by(KEYS) {
        (s..s + KEYS).for_each(|key| fetch_row(piece.k, key + AHEAD));
        for (h, n) in groups(piece) {
            // SAFETY: the caller's promise.
            unsafe { heads!(n, score::<V, HALVES>(piece, parts, s, h)) };
        }
    }
}

/// Σₛ score[h][s]·v[s] of a piece.
///
/// # Safety
/// As for [`scores`].
#[inline(always)]
unsafe fn values<V: Vector, const HALVES: bool>(piece: &Piece<'_>, parts: &mut [f32]) {
    let keys = piece.v.rows();
    for s in (0..keys).step_by(BLOCK) {
        (s..s + BLOCK).for_each(|key| fetch_row(piece.v, key + AHEAD));
        let block = s..(s + BLOCK).min(keys);
        for (h, n) in groups(piece) {
            // SAFETY: the caller's promise.
            unsafe { heads!(n, add_values::<V, HALVES>(piece, parts, block.clone(), h)) };
        }
    }
}

/// Asks for row `r`, which may lie behind the last one: it is then the first of the next piece.
#[inline(always)]
fn fetch_row(rows: Kept<'_>, r: usize) {
    let start = rows.words().as_ptr().wrapping_add(r * rows.stride());
    for line in (0..rows.stride()).step_by(LINE) {
        fetch(start.wrapping_add(line));
    }
}

type Kernel = unsafe fn(&Piece<'_>, &mut [f32]);

/// [`scores`] and [`values`] of this processor.
fn kernels(number: Number) -> [Kernel; 2] {
    let [floats, halves] = match level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Bf16 | Level::Avx512 => x86::AVX512,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => x86::AVX2,
        _ => [
            [scores::<Portable, false>, values::<Portable, false>],
            [scores::<Portable, true>, values::<Portable, true>],
        ],
    };
    match number {
        Number::F32 => floats,
        Number::F16 => halves,
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Kernel, Piece};
    use crate::vector::x86::{Avx2, Avx512};

    /// A kernel compiled for one instruction set.
    macro_rules! kernel {
        ($kernel:ident, $vector:ty, $halves:literal, $features:literal) => {{
            /// # Safety
            /// As for the function that it calls.
            #[target_feature(enable = $features)]
            unsafe fn compiled(piece: &Piece<'_>, parts: &mut [f32]) {
                // SAFETY: the caller's promise; the instructions are those that this function is compiled for.
                unsafe { super::$kernel::<$vector, $halves>(piece, parts) }
            }
            compiled
        }};
    }

    /// All kernels compiled for one instruction set: for floats and for halves.
    macro_rules! kernels {
        ($name:ident, $vector:ty, $features:literal) => {
            pub(super) const $name: [[Kernel; 2]; 2] = [
                [
                    kernel!(scores, $vector, false, $features),
                    kernel!(values, $vector, false, $features),
                ],
                [
                    kernel!(scores, $vector, true, $features),
                    kernel!(values, $vector, true, $features),
                ],
            ];
        };
    }

    kernels!(AVX512, Avx512, "avx512f,avx512bw,avx512dq,avx512vl,fma");
    kernels!(AVX2, Avx2, "avx2,fma,f16c");
}
