//! Y = X·Wᵀ for quantised X [M,K] and W [N,K], on the calling thread.
//!
//! ```text
//! for each m, n:
//!     y ← 0
//!     for each sub-block B of 16 or 32 k, in order:
//!         i ← Σ_{k∈B} (u[n,k] − o)·v[m,k]         in i32
//!         y ← y + (i·s[n,B])·t[m,B]               in f32
//!         y ← y + μ[n,B]·(t[m,B]·Σ v[m,k])        where the format has a minimum
//! ```
//!
//! Departure: with few rows, weights are unpacked in registers and read once (AVX-512 VNNI). Otherwise two panels of
//! outputs and 512 k at a time are unpacked into a `Chunk`, and tiles of a few rows pass over it; sums between
//! chunks wait in `dst`. At most `ROWS` rows go together, so that their codes stay in the second-level cache.
//!
//! Who wants several threads splits the rows (`x` and `dst` are contiguous in them) or, with one row, the outputs.

use std::ops::Range;

use super::activations::Block;
use super::blocks::{Format, Kind};
use super::chunk::{self, Chunk, TILES, WIDTH};
use super::packed::{PANEL, Packed};
use super::{BLOCK, Path, path, portable};
#[cfg(target_arch = "x86_64")]
use super::{avx2, vnni};
use crate::matrix::MatMut;

/// Rows for which weights are unpacked in registers.
#[cfg(target_arch = "x86_64")]
const FEW: usize = 8;

/// Rows that are multiplied with one chunk after another before the next rows' turn.
const ROWS: usize = 516;

/// `dst [M,columns] = X·Wᵀ` restricted to outputs `columns`, of which the first must be a multiple of [`PANEL`].
///
/// `x` has the rows [M,K] as [`super::activations::quantise`] makes them.
pub fn matmul(mut dst: MatMut<'_>, x: &[Block], weights: &Packed, columns: Range<usize>) {
    let (rows, per_row) = (dst.rows, weights.inputs() / BLOCK);
    assert_eq!(x.len(), rows * per_row, "x is M×K");
    assert!(
        columns.start.is_multiple_of(PANEL)
            && columns.end <= weights.outputs()
            && columns.len() == dst.cols,
        "outputs {columns:?} of {} into {}",
        weights.outputs(),
        dst.cols
    );
    if per_row == 0 {
        for r in 0..rows {
            dst.data[r * dst.row_stride..][..dst.cols].fill(0.0);
        }
        return;
    }
    let panel = columns.start / PANEL;
    #[cfg(target_arch = "x86_64")]
    if rows <= FEW && path() == Path::Vnni {
        return few_rows(&mut dst, x, weights, panel);
    }
    let mut chunk = Chunk::new();
    for first_row in (0..rows).step_by(ROWS) {
        let rows = first_row..rows.min(first_row + ROWS);
        for first in (0..per_row).step_by(TILES) {
            for column in (0..dst.cols).step_by(WIDTH) {
                let tiles = TILES.min(per_row - first);
                chunk::unpack(&mut chunk, weights, panel + column / PANEL, first, tiles);
                let pass = Pass {
                    chunk: &chunk,
                    format: weights.kind().format(),
                    x,
                    per_row,
                    first,
                };
                pass.all(&mut dst, rows.clone(), column);
            }
        }
    }
}

/// One chunk, and the rows that pass over it.
struct Pass<'a> {
    chunk: &'a Chunk,
    format: Format,
    x: &'a [Block],
    /// Blocks of each row of `x`.
    per_row: usize,
    /// The chunk's first block.
    first: usize,
}

/// Calls `$path::rows` for the number of rows, the sub-blocks and the minimum at hand; 8-bit codes are `$wide`.
macro_rules! call {
    ($path:ident, $rows:literal, $pass:ident, $dst:ident, $at:ident, $column:ident $(, $wide:literal)?) => {
        $pass.tile::<$rows>($dst, $at, $column, |sums, x| {
            let (chunk, log) = ($pass.chunk, $pass.format.offset.unwrap_or(0));
            // SAFETY: `path` returned this value only after detecting the features.
            unsafe {
                match ($pass.format.sub, $pass.format.has_min()) {
                    (16, false) => $path::rows::<$rows, 4, false $(, { $wide & false })?>(sums, chunk, x, log),
                    (16, true) => $path::rows::<$rows, 4, true $(, { $wide & false })?>(sums, chunk, x, log),
                    (_, false) => $path::rows::<$rows, 8, false $(, $wide)?>(sums, chunk, x, log),
                    (_, true) => $path::rows::<$rows, 8, true $(, { $wide & false })?>(sums, chunk, x, log),
                }
            }
        })
    };
}

impl Pass<'_> {
    /// All `rows`, in tiles as large as the registers allow.
    fn all(&self, dst: &mut MatMut<'_>, rows: Range<usize>, column: usize) {
        let mut row = rows.start;
        while row < rows.end {
            let left = rows.end - row;
            row += match path() {
                #[cfg(target_arch = "x86_64")]
                Path::Vnni => match left {
                    6.. => call!(vnni, 6, self, dst, row, column),
                    4.. => call!(vnni, 4, self, dst, row, column),
                    2.. => call!(vnni, 2, self, dst, row, column),
                    _ => call!(vnni, 1, self, dst, row, column),
                },
                #[cfg(target_arch = "x86_64")]
                Path::Avx2 => match (left, self.format.bits == 8) {
                    (4.., false) => call!(avx2, 4, self, dst, row, column, false),
                    (4.., true) => call!(avx2, 4, self, dst, row, column, true),
                    (2.., false) => call!(avx2, 2, self, dst, row, column, false),
                    (2.., true) => call!(avx2, 2, self, dst, row, column, true),
                    (_, false) => call!(avx2, 1, self, dst, row, column, false),
                    (_, true) => call!(avx2, 1, self, dst, row, column, true),
                },
                _ => self.tile::<1>(dst, row, column, |[sums], [x]| {
                    let (groups, log) = (self.format.sub / 4, self.format.offset);
                    portable::row(sums, self.chunk, x, groups, log);
                }),
            };
        }
    }

    /// Hands `products` the sums of `R` rows from `row` on and their activations; returns `R`.
    #[inline(always)]
    fn tile<const R: usize>(
        &self,
        dst: &mut MatMut<'_>,
        row: usize,
        column: usize,
        products: impl FnOnce(&mut [[f32; WIDTH]; R], &[&[Block]; R]),
    ) -> usize {
        let x = std::array::from_fn(|r| {
            &self.x[(row + r) * self.per_row + self.first..][..self.chunk.tiles]
        });
        let width = WIDTH.min(dst.cols - column);
        let mut sums = [[0.0; WIDTH]; R];
        let start = |r: usize| (row + r) * dst.row_stride + column;
        if self.first > 0 {
            for (r, sums) in sums.iter_mut().enumerate() {
                copy::<WIDTH>(sums, &dst.data[start(r)..], width);
            }
        }
        products(&mut sums, &x);
        for (r, sums) in sums.iter().enumerate() {
            copy::<WIDTH>(&mut dst.data[start(r)..], sums, width);
        }
        R
    }
}

/// The first `width` elements; of all `N` it is a copy of known size.
#[inline(always)]
fn copy<const N: usize>(to: &mut [f32], from: &[f32], width: usize) {
    if width == N {
        to[..N].copy_from_slice(&from[..N]);
    } else {
        to[..width].copy_from_slice(&from[..width]);
    }
}

/// As [`matmul`], of at most [`FEW`] rows, outputs from `panel` on.
#[cfg(target_arch = "x86_64")]
fn few_rows(dst: &mut MatMut<'_>, x: &[Block], weights: &Packed, panel: usize) {
    match dst.rows {
        1 => exactly::<1>(dst, x, weights, panel),
        2 => exactly::<2>(dst, x, weights, panel),
        3..=4 => exactly::<4>(dst, x, weights, panel),
        5..=6 => exactly::<6>(dst, x, weights, panel),
        _ => exactly::<FEW>(dst, x, weights, panel),
    }
}

/// Of `R` rows: the last stands for those that are missing.
#[cfg(target_arch = "x86_64")]
fn exactly<const R: usize>(dst: &mut MatMut<'_>, x: &[Block], weights: &Packed, panel: usize) {
    let per_row = weights.inputs() / BLOCK;
    let log = weights.kind().format().offset.unwrap_or(0);
    let products = match weights.kind() {
        Kind::Q4_0 => vnni::few_rows::<R, 4, 8, false, false>,
        Kind::Q4_1 => vnni::few_rows::<R, 4, 8, true, false>,
        Kind::Q5_0 => vnni::few_rows::<R, 5, 8, false, false>,
        Kind::Q5_1 => vnni::few_rows::<R, 5, 8, true, false>,
        Kind::Q8_0 => vnni::few_rows::<R, 8, 8, false, false>,
        Kind::Q2_K => vnni::few_rows::<R, 2, 4, true, true>,
        Kind::Q3_K => vnni::few_rows::<R, 3, 4, false, true>,
        Kind::Q4_K => vnni::few_rows::<R, 4, 8, true, true>,
        Kind::Q5_K => vnni::few_rows::<R, 5, 8, true, true>,
        Kind::Q6_K => vnni::few_rows::<R, 6, 4, false, true>,
    };
    let row = |r: usize| &x[r.min(dst.rows - 1) * per_row..][..per_row];
    let x: [&[Block]; R] = std::array::from_fn(row);
    let mut sums = [[0.0; PANEL]; R];
    for (i, column) in (0..dst.cols).step_by(PANEL).enumerate() {
        // SAFETY: `matmul` comes here only after detecting the features.
        unsafe { products(&mut sums, weights, panel + i, &x, log) };
        let width = PANEL.min(dst.cols - column);
        for (r, sums) in sums.iter().enumerate().take(dst.rows) {
            copy::<PANEL>(&mut dst.data[r * dst.row_stride + column..], sums, width);
        }
    }
}
