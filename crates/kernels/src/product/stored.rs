//! A few rows times weights that stay where a file has them.
//!
//! `y[r][n]` = Σ_k `a[r][k]`·`w[n][k]`: a [R,K] and w [N,K] are rows of `bf16`, sums are `f32`. The naive version is three
//! nested loops (`tests/it/product.rs`); the departures:
//!
//! 1. **No layout.** To lay w out is to write all of it before the first product. So its rows are read where they are, from
//!    front to back, straight from a memory map; a piece of a panel at a time is laid out, meets the rows of a and is dropped
//!    while it is in the first-level cache.
//! 2. **Threads** take panels of w as they become free. Each element is summed by one thread in one order, the order of
//!    [`product`](super::product) with w laid out: bit for bit the same comes out.

use super::pack::{RUN, part_of_panel};
use super::{LEFT, Left, Precision, RIGHT, Right, Rows, Tile, Tiles};
use crate::Pool;
use crate::pool::Parts;

/// Most rows of a product that [`few_rows`] makes: beyond them an operand that is laid out is faster.
pub const MOST_ROWS: usize = LEFT;

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

    fn row(&self, n: usize) -> &'a [u32] {
        &self.words[n * self.width..][..self.width]
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
    pool.each(n.div_ceil(RIGHT), |panel| {
        let columns = panel * RIGHT..n.min((panel + 1) * RIGHT);
        let count = columns.len();
        let mut beside: [&[u32]; RIGHT] = [&[]; RIGHT];
        for (row, n) in beside.iter_mut().zip(columns.clone()) {
            *row = w.row(order(n));
        }
        let mut groups = [[0; RIGHT]; RUN];
        let mut tile = Tile::new();
        for start in (0..w.width).step_by(RUN) {
            let words = RUN.min(w.width - start);
            part_of_panel(&mut groups[..words], &beside[..count], start);
            let b = Right::new(groups.as_flattened(), a.precision, 2 * words, count);
            let a = Left::from(a.columns(2 * start, 2 * (start + words)));
            Tiles::new(a, b).add_part(&mut tile, [0, 0], 0..words, start > 0);
        }
        for (r, row) in tile.rows_mut() {
            let start = r * width + first + columns.start;
            // SAFETY: each element belongs to one panel.
            unsafe { y.slice(start..start + count) }.copy_from_slice(row);
        }
    });
}
