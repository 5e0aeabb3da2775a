//! The inner loop of a product: one panel of A against one panel of B.
//!
//! ```text
//! for each word k:                       a word is one k, or two adjacent ones in bf16
//!     for each row r of the register tile, for each vector v:
//!         sum[r][v] += a[k][r] · b[k][v]
//! ```
//!
//! Departure: the sums of a whole register tile stay in registers over all of k, so each load of B serves
//! `TILE_ROWS` multiply-adds and each broadcast of A `TILE_VECTORS` of them; the multiply-add units stay busy.

use std::sync::OnceLock;

use super::{LEFT, Precision, RIGHT};
use crate::arch::{Level, level};
use crate::memory::{fetch, fetch_far};
use crate::vector::{Portable, Vector};

/// Words between what a few rows read of B, as fast as memory gives it, and what is asked for meanwhile.
const FURTHER: usize = 2048;

/// What will be read soon, and is asked for while some words of k pass: a place for each of them. It need not be readable.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// Words of k.
    pub(super) words: usize,
    /// The first place.
    pub(super) at: *const u32,
    /// From place to place.
    pub(super) step: usize,
}

/// Things that a tile asks for, one after the other: each that it asks for costs as much as a load, so there is no more than
/// one for each word of k.
pub(super) const AHEAD: usize = 3;

/// Some words of k of a panel of A and of one of B.
#[derive(Clone, Copy)]
pub(super) struct Strips {
    /// Together they have all the words.
    pub(super) ahead: [Ahead; AHEAD],
    /// Word k of row r is at r·`a_strides[0]` + k·`a_strides[1]`.
    pub(super) a: *const u32,
    pub(super) a_strides: [usize; 2],
    pub(super) b: *const u32,
    /// From word to word of B: columns of a panel.
    pub(super) b_stride: usize,
    /// Whether they go on with the sums that are there.
    pub(super) more: bool,
}

/// Writes the product of `size` (rows of A, columns of a panel of B) to `out` [LEFT, RIGHT]; what lies outside of it there
/// is unspecified.
pub(super) type Kernel = unsafe fn(out: *mut f32, size: [usize; 2], strips: &Strips);

/// The kernel of this processor.
pub(super) fn kernel(precision: Precision) -> Kernel {
    static KERNELS: OnceLock<[Kernel; 2]> = OnceLock::new();
    let [f32, bf16] = *KERNELS.get_or_init(|| match level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Bf16 => [avx512_f32, avx512_bf16],
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => [avx512_f32, avx512_pairs],
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => [avx2_f32, avx2_pairs],
        _ => [portable_f32, portable_pairs],
    });
    match precision {
        Precision::F32 => f32,
        Precision::Bf16 => bf16,
    }
}

/// One register tile: ROWS rows × VECTORS vectors.
///
/// # Safety
/// The processor has the instructions of `V`; `a` holds ROWS rows of that many words at these strides, `b` as many
/// groups of columns, of which the first VECTORS · LANES are read; `out` is writable in rows of [`RIGHT`].
#[inline(always)]
unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize, const PAIRS: bool>(
    out: *mut f32,
    strips: &Strips,
) {
    let (mut a, mut b) = (strips.a, strips.b);
    let [row_stride, word_stride] = strips.a_strides;
    // SAFETY: the offsets stay within what the caller promises.
    unsafe {
        let mut sums = [[V::zero(); VECTORS]; ROWS];
        if strips.more {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(out.add(r * RIGHT + v * V::LANES).cast());
                }
            }
        }
        for Ahead {
            words,
            mut at,
            step,
        } in strips.ahead
        {
            for _ in 0..words {
                if ROWS < V::TILE_ROWS {
                    (0..VECTORS).for_each(|v| fetch(b.wrapping_add(v * V::LANES + FURTHER)));
                } else {
                    fetch_far(at);
                    at = at.wrapping_add(step);
                }
                let mut columns = [V::zero(); VECTORS];
                for (v, column) in columns.iter_mut().enumerate() {
                    *column = V::load(b.add(v * V::LANES));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let row = V::splat(a.add(r * row_stride));
                    for (sum, &column) in sums.iter_mut().zip(&columns) {
                        *sum = if PAIRS {
                            sum.add_pairs(row, column)
                        } else {
                            sum.add_product(row, column)
                        };
                    }
                }
                // Behind the last word they may leave the operands by more than one element; nothing is read there.
                a = a.wrapping_add(word_stride);
                b = b.wrapping_add(strips.b_stride);
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                sum.store(out.add(r * RIGHT + v * V::LANES));
            }
        }
    }
}

/// Covers rows × cols of a panel pair by register tiles, the last ones narrower.
///
/// # Safety
/// As for [`tile`], for whole panels.
#[inline(always)]
unsafe fn panels<V: Vector, const PAIRS: bool>(
    out: *mut f32,
    [rows, cols]: [usize; 2],
    strips: &Strips,
) {
    let width = V::TILE_VECTORS * V::LANES;
    if V::TILE_ROWS == LEFT && rows == LEFT {
        // Most tiles by far: nothing but the loop.
        match cols.div_ceil(V::LANES) {
            // SAFETY: the caller's promise.
            3 => return unsafe { tile::<V, LEFT, 3, PAIRS>(out, strips) },
            // SAFETY: as above.
            2 => return unsafe { tile::<V, LEFT, 2, PAIRS>(out, strips) },
            _ => {}
        }
    }
    let mut row = 0;
    while row < rows {
        let height = match rows - row {
            1 => 1,
            2 | 3 => 2,
            4..8 => 4,
            _ => V::TILE_ROWS,
        };
        for col in (0..cols).step_by(width) {
            let vectors = (cols - col).div_ceil(V::LANES).min(V::TILE_VECTORS);
            // SAFETY: height ≤ rows − row, so only rows of A are read; a panel's columns are a multiple of LANES, so
            // that col + vectors · LANES does not leave it.
            unsafe {
                let out = out.add(row * RIGHT + col);
                let strips = &Strips {
                    a: strips.a.add(row * strips.a_strides[0]),
                    b: strips.b.add(col),
                    ..*strips
                };
                match (height, vectors) {
                    (1, 1) => tile::<V, 1, 1, PAIRS>(out, strips),
                    (1, 2) => tile::<V, 1, 2, PAIRS>(out, strips),
                    (1, _) => tile::<V, 1, 3, PAIRS>(out, strips),
                    (2, 1) => tile::<V, 2, 1, PAIRS>(out, strips),
                    (2, 2) => tile::<V, 2, 2, PAIRS>(out, strips),
                    (2, _) => tile::<V, 2, 3, PAIRS>(out, strips),
                    (4, 1) => tile::<V, 4, 1, PAIRS>(out, strips),
                    (4, 2) => tile::<V, 4, 2, PAIRS>(out, strips),
                    (4, _) => tile::<V, 4, 3, PAIRS>(out, strips),
                    (_, 1) => tile::<V, 8, 1, PAIRS>(out, strips),
                    (_, 2) => tile::<V, 8, 2, PAIRS>(out, strips),
                    (_, _) => tile::<V, 8, 3, PAIRS>(out, strips),
                }
            }
        }
        row += height;
    }
}

/// A kernel compiled for one instruction set.
macro_rules! kernel {
    ($name:ident, $vector:ty, $pairs:literal $(, $features:literal)?) => {
        /// # Safety
        /// As for [`panels`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn $name(out: *mut f32, size: [usize; 2], strips: &Strips) {
            // SAFETY: the caller's promise; the instructions are those that this function is compiled for.
            unsafe { panels::<$vector, $pairs>(out, size, strips) }
        }
    };
}

kernel!(portable_f32, Portable, false);
kernel!(portable_pairs, Portable, true);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Strips, panels};
    use crate::vector::x86::{Avx2, Avx512, Avx512Bf16};

    kernel!(avx2_f32, Avx2, false, "avx2,fma");
    kernel!(avx2_pairs, Avx2, true, "avx2,fma");
    kernel!(
        avx512_f32,
        Avx512,
        false,
        "avx512f,avx512bw,avx512dq,avx512vl,fma"
    );
    kernel!(
        avx512_pairs,
        Avx512,
        true,
        "avx512f,avx512bw,avx512dq,avx512vl,fma"
    );
    kernel!(
        avx512_bf16,
        Avx512Bf16,
        true,
        "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma"
    );
}
#[cfg(target_arch = "x86_64")]
use x86::{avx2_f32, avx2_pairs, avx512_bf16, avx512_f32, avx512_pairs};
