//! A few rows times weights that stay where a file has them.
//!
//! `y[r][n]` = Σ_k `a[r][k]`·`w[n][k]`: a [R,K] and w [N,K] are rows of `bf16`, sums are `f32`. The naive version is three
//! nested loops (`tests/it/product.rs`); the departures:
//!
//! 1. **No layout.** To lay w out is to read and write all of it before the first product. So its rows are read where they
//!    are, from front to back, straight from a memory map.
//! 2. **[`AT_ONCE`] rows of each side by side**, so that each word that is loaded serves several multiply-adds.
//! 3. **Threads** take pieces of w as they become free. Each element is summed by one thread in one order, so the result does
//!    not depend on how many there are. It differs in its last bits from that of a product with panels, which sums in another order.

use std::sync::OnceLock;

use super::{Precision, Rows};
use crate::Pool;
use crate::arch::{Level, level};
use crate::memory::fetch;
use crate::pool::Parts;
use crate::vector::{Portable, Vector};

/// Most rows of a product that [`few_rows`] makes: beyond them an operand that is laid out is faster.
pub const MOST_ROWS: usize = 8;
/// Rows of w that are read side by side, and rows of a that meet them: their sums fill half the registers of AVX-512.
const AT_ONCE: usize = 4;
/// Bytes of w that a thread takes at a time, about.
const PIECE: usize = 1 << 16;

/// The rows of a matrix [N,K] in `bf16` as a file has them, adjacent, little-endian.
#[derive(Clone, Copy, Debug)]
pub struct StoredRows<'a> {
    words: &'a [u32],
    /// Words of a row.
    width: usize,
}

impl<'a> StoredRows<'a> {
    /// None where they cannot be read in place: an odd K, bytes that do not begin at a word or are not N·K numbers, or a
    /// processor with another byte order.
    pub fn new(bytes: &'a [u8], [n, k]: [usize; 2]) -> Option<Self> {
        // SAFETY: every bit pattern is a u32.
        let (before, words, behind) = unsafe { bytes.align_to() };
        let is_whole = before.is_empty() && behind.is_empty();
        let width = k / 2;
        (cfg!(target_endian = "little")
            && is_whole
            && k.is_multiple_of(2)
            && width > 0
            && words.len() == n * width)
            .then_some(Self { words, width })
    }

    /// N.
    pub fn count(&self) -> usize {
        self.words.len() / self.width
    }

    fn row(&self, n: usize) -> *const u32 {
        self.words[n * self.width..][..self.width].as_ptr()
    }
}

/// Columns `first..` of `y [R,O]` = A·wᵀ, R at most [`MOST_ROWS`]; row n of w is the file's row `order(n)`.
///
/// # Panics
/// When A is not in bf16 or has more rows or another K, when y has no room for the columns, or `order` leaves w.
pub fn few_rows(
    pool: &Pool,
    (y, width, first): (&mut [f32], usize, usize),
    a: Rows<'_>,
    w: StoredRows<'_>,
    order: impl Fn(usize) -> usize + Sync,
) {
    let (rows, n) = (a.rows, w.count());
    assert!(
        a.precision == Precision::Bf16 && a.cols == 2 * w.width && rows <= MOST_ROWS,
        "a few rows of bf16 as wide as w's"
    );
    assert!(y.len() == rows * width && first + n <= width, "y is R×O");
    let y = Parts::new(y);
    // At least as many as are read at once, however long they are.
    let each = (PIECE / (4 * w.width)).max(1).next_multiple_of(AT_ONCE);
    let kernel = kernel();
    pool.each(n.div_ceil(each), |piece| {
        for at in (piece * each..n.min((piece + 1) * each)).step_by(AT_ONCE) {
            let count = (n - at).min(AT_ONCE);
            // Behind the last row the first of these again: what it gives is dropped.
            let mut beside = [w.row(order(at)); AT_ONCE];
            for (i, row) in beside.iter_mut().enumerate().take(count) {
                *row = w.row(order(at + i));
            }
            for row in (0..rows).step_by(AT_ONCE) {
                let some = (rows - row).min(AT_ONCE);
                let mut sums = [[0.0; AT_ONCE]; AT_ONCE];
                let from = a.range(row, row + some).words.as_ptr();
                // SAFETY: it is for instructions that the processor has; the rows of both have that many words.
                unsafe { kernel(&mut sums, from, (a.stride, some), beside, w.width) };
                for (r, sums) in sums.iter().enumerate().take(some) {
                    let start = (row + r) * width + first + at;
                    // SAFETY: each element belongs to one piece.
                    unsafe { y.slice(start..start + count) }.copy_from_slice(&sums[..count]);
                }
            }
        }
    });
}

/// `sums[r][n]` of (row stride, count) rows from `a` on with the rows at `w`, over `words` words.
type Kernel = unsafe fn(
    sums: &mut [[f32; AT_ONCE]; AT_ONCE],
    a: *const u32,
    rows: (usize, usize),
    w: [*const u32; AT_ONCE],
    words: usize,
);

/// The kernel of this processor.
fn kernel() -> Kernel {
    static KERNEL: OnceLock<Kernel> = OnceLock::new();
    *KERNEL.get_or_init(|| match level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Bf16 => avx512_bf16,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => avx512,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => avx2,
        _ => portable,
    })
}

/// Some rows of a, as many as [`AT_ONCE`] or fewer.
///
/// # Safety
/// The processor has the instructions of `V`; ROWS rows from `a` on, `stride` apart, and those at `w` hold `words` words.
#[inline(always)]
unsafe fn dots<V: Vector, const ROWS: usize>(
    sums: &mut [[f32; AT_ONCE]; AT_ONCE],
    a: *const u32,
    stride: usize,
    w: [*const u32; AT_ONCE],
    words: usize,
) {
    // SAFETY: all reads lie within the first `words` words of a row.
    unsafe {
        let mut totals = [[V::zero(); AT_ONCE]; ROWS];
        let whole = words / V::LANES * V::LANES;
        for at in (0..whole).step_by(V::LANES) {
            let mut weights = [V::zero(); AT_ONCE];
            for (weights, row) in weights.iter_mut().zip(&w) {
                *weights = V::load(row.add(at));
                // The next rows, most often: streams this short end before the processor sees that they are streams.
                fetch(row.wrapping_add(at + AT_ONCE * words));
                fetch(row.wrapping_add(at + 2 * AT_ONCE * words));
            }
            for (r, totals) in totals.iter_mut().enumerate() {
                let x = V::load(a.add(r * stride + at));
                for (total, &weights) in totals.iter_mut().zip(&weights) {
                    *total = total.add_pairs(x, weights);
                }
            }
        }
        for (r, (sums, totals)) in sums.iter_mut().zip(totals).enumerate() {
            *sums = V::totals(totals);
            for at in whole..words {
                let x = a.add(r * stride + at).read();
                for (sum, row) in sums.iter_mut().zip(&w) {
                    *sum += pair(x, row.add(at).read());
                }
            }
        }
    }
}

/// a₀·b₀ + a₁·b₁ of two words.
#[inline(always)]
fn pair(a: u32, b: u32) -> f32 {
    let low = |word: u32| f32::from_bits(word << 16);
    let high = |word: u32| f32::from_bits(word & 0xffff_0000);
    low(a) * low(b) + high(a) * high(b)
}

/// [`dots`] compiled for one instruction set.
macro_rules! kernel {
    ($name:ident, $vector:ty $(, $features:literal)?) => {
        /// # Safety
        /// As for [`dots`].
        $(#[target_feature(enable = $features)])?
        pub(super) unsafe fn $name(
            sums: &mut [[f32; AT_ONCE]; AT_ONCE],
            a: *const u32,
            (stride, count): (usize, usize),
            w: [*const u32; AT_ONCE],
            words: usize,
        ) {
            // SAFETY: the caller's promise; the instructions are those that this function is compiled for.
            unsafe {
                match count {
                    1 => dots::<$vector, 1>(sums, a, stride, w, words),
                    2 => dots::<$vector, 2>(sums, a, stride, w, words),
                    3 => dots::<$vector, 3>(sums, a, stride, w, words),
                    _ => dots::<$vector, AT_ONCE>(sums, a, stride, w, words),
                }
            }
        }
    };
}

kernel!(portable, Portable);
#[cfg(target_arch = "x86_64")]
use x86::{avx2, avx512, avx512_bf16};
#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{AT_ONCE, dots};
    use crate::vector::x86::{Avx2, Avx512, Avx512Bf16};

    kernel!(avx2, Avx2, "avx2,fma");
    kernel!(avx512, Avx512, "avx512f,avx512bw,avx512dq,avx512vl,fma");
    kernel!(
        avx512_bf16,
        Avx512Bf16,
        "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma"
    );
}
