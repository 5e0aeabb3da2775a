//! A tile of a product while it is in the first-level cache, and how it becomes an operand of the next product.

use super::kernel::kernel;
use super::pack::{bf16, pair, round_row};
use super::{LEFT, Left, Precision, RIGHT, Right, Rows};
use crate::memory::words;
use crate::pool::Parts;

/// LEFT × RIGHT numbers of C, row-major, of which `rows` × `cols` count.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Tile {
    values: [f32; LEFT * RIGHT],
    row: usize,
    col: usize,
    rows: usize,
    cols: usize,
}

impl Default for Tile {
    fn default() -> Self {
        Self::new()
    }
}

impl Tile {
    /// A tile of nothing.
    pub fn new() -> Self {
        Self {
            values: [0.0; LEFT * RIGHT],
            row: 0,
            col: 0,
            rows: 0,
            cols: 0,
        }
    }

    /// Becomes the tile of A·B at (row, col), both multiples of the tile's sizes.
    #[inline]
    pub fn compute(&mut self, a: Left<'_>, b: Right<'_>, row: usize, col: usize) {
        assert_eq!(
            (a.depth(), a.precision()),
            (b.depth(), b.precision()),
            "A is M×K, B is K×N, of one precision"
        );
        let (rows, cols) = ((a.rows() - row).min(LEFT), (b.cols() - col).min(RIGHT));
        (self.row, self.col, self.rows, self.cols) = (row, col, rows, cols);
        // SAFETY: `kernel` gives one whose instructions the processor has; `Left` and `Right` hold all words of these
        // panels (checked when they were made), and the tile has room for LEFT × RIGHT numbers.
        unsafe {
            kernel(a.precision())(
                self.values.as_mut_ptr(),
                [rows, cols],
                a.precision().words(a.depth()),
                a.panel(row / LEFT).as_ptr(),
                a.strides(),
                b.panel(col / RIGHT).as_ptr(),
            );
        }
    }

    /// Becomes a tile of zeros at that place of C [rows,cols].
    pub(crate) fn blank(&mut self, row: usize, col: usize, rows: usize, cols: usize) {
        (self.row, self.col) = (row, col);
        (self.rows, self.cols) = ((rows - row).min(LEFT), (cols - col).min(RIGHT));
        self.values.fill(0.0);
    }

    /// Moves the tile's place by that of its block.
    pub(super) fn shift(&mut self, rows: usize, cols: usize) {
        self.row += rows;
        self.col += cols;
    }

    /// Row of C at which the tile begins.
    #[inline(always)]
    pub fn row(&self) -> usize {
        self.row
    }

    /// Column of C at which the tile begins.
    #[inline(always)]
    pub fn col(&self) -> usize {
        self.col
    }

    /// The tile's columns in C.
    #[inline(always)]
    pub fn columns(&self) -> std::ops::Range<usize> {
        self.col..self.col + self.cols
    }

    /// The rows that count, each with its number in C.
    #[inline(always)]
    pub fn rows_mut(&mut self) -> impl Iterator<Item = (usize, &mut [f32])> {
        let (row, cols) = (self.row, self.cols);
        self.values
            .chunks_exact_mut(RIGHT)
            .take(self.rows)
            .enumerate()
            .map(move |(r, values)| (row + r, &mut values[..cols]))
    }

    /// The rows that count in full width, each with its number in C: loops over them have a fixed length.
    #[inline(always)]
    pub(crate) fn lines_mut(&mut self) -> impl Iterator<Item = (usize, &mut [f32; RIGHT])> {
        let row = self.row;
        let (lines, _) = self.values.as_chunks_mut::<RIGHT>();
        lines
            .iter_mut()
            .take(self.rows)
            .enumerate()
            .map(move |(r, line)| (row + r, line))
    }

    /// A tile in the same place, with the numbers of `from` there.
    #[inline(always)]
    pub(crate) fn read(&self, from: Rows<'_>) -> Self {
        let mut tile = Self {
            values: [0.0; LEFT * RIGHT],
            ..*self
        };
        let part = from.columns(self.col, self.col + self.cols);
        let width = from.precision.words(self.cols);
        for (r, line) in tile.lines_mut() {
            let row = part.row(r);
            match from.precision {
                Precision::F32 => line[..width].copy_from_slice(crate::memory::floats(row)),
                Precision::Bf16 => {
                    let mut pairs = [0; RIGHT / 2];
                    pairs[..width].copy_from_slice(row);
                    for (two, &word) in line.as_chunks_mut::<2>().0.iter_mut().zip(&pairs) {
                        *two = [f32::from_bits(word << 16), f32::from_bits(word & 0xffff_0000)];
                    }
                }
            }
        }
        tile
    }

    /// Row `r` of the tile, in full width.
    #[inline(always)]
    fn line(&self, r: usize) -> &[f32] {
        &self.values[r * RIGHT..][..RIGHT]
    }

    /// Makes what does not count 0, as operands want their odd ends.
    #[inline(always)]
    pub(crate) fn clear_outside(&mut self) {
        if self.cols < RIGHT {
            for row in self.values.chunks_exact_mut(RIGHT) {
                row[self.cols..].fill(0.0);
            }
        }
        self.values[self.rows * RIGHT..].fill(0.0);
    }

    /// Rounds each number to `precision`.
    #[inline(always)]
    pub(crate) fn round(&mut self, precision: Precision) {
        if precision == Precision::Bf16 {
            for x in &mut self.values {
                *x = f32::from_bits(bf16(*x) << 16);
            }
        }
    }

    /// Into row-major C of `precision`, `stride` words from row to row.
    ///
    /// # Safety
    /// No other thread touches this tile's place in `out`.
    #[inline(always)]
    pub(crate) unsafe fn to_rows(&self, out: &Parts<'_, u32>, precision: Precision, stride: usize) {
        let width = precision.words(self.cols);
        for r in 0..self.rows {
            let start = (self.row + r) * stride + precision.words(self.col);
            // SAFETY: the caller's promise; tiles begin at whole words.
            let out = unsafe { out.slice(start..start + width) };
            let line = self.line(r);
            match precision {
                Precision::F32 => out.copy_from_slice(&words(line)[..self.cols]),
                Precision::Bf16 if self.cols == RIGHT => round_line(out, line),
                Precision::Bf16 => round_row(out, &words(line)[..self.cols]),
            }
        }
    }

    /// Into panels of B, where C [K,N] is that B. What does not count must be 0.
    ///
    /// # Safety
    /// As for [`Tile::to_rows`].
    #[inline(always)]
    pub(crate) unsafe fn to_right(&self, out: &Parts<'_, u32>, precision: Precision, depth: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.strip(precision).put::<RIGHT>(out, depth) };
    }

    /// Into panels of A, where C [K,M] is the transpose of that A. What does not count must be 0.
    ///
    /// # Safety
    /// As for [`Tile::to_rows`].
    #[inline(always)]
    pub(crate) unsafe fn to_columns(&self, out: &Parts<'_, u32>, precision: Precision, depth: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.strip(precision).put::<LEFT>(out, depth) };
    }

    /// The words in which the tile's rows are k.
    #[inline(always)]
    fn strip(&self, precision: Precision) -> Strip {
        let mut strip = Strip::new(precision, [self.row, self.col], [self.rows, self.cols]);
        let lines = self.values.as_chunks::<RIGHT>().0;
        match precision {
            Precision::F32 => {
                for (group, line) in strip.groups.iter_mut().zip(lines) {
                    group.copy_from_slice(words(line));
                }
            }
            Precision::Bf16 => {
                for (group, two) in strip.groups.iter_mut().zip(lines.as_chunks::<2>().0) {
                    for ((word, &low), &high) in group.iter_mut().zip(&two[0]).zip(&two[1]) {
                        *word = pair(low, high);
                    }
                }
            }
        }
        strip
    }
}

/// LEFT rows of a [K,·] matrix, RIGHT columns wide, as words in which k runs down the rows.
pub(super) struct Strip {
    pub(super) groups: [[u32; RIGHT]; LEFT],
    precision: Precision,
    place: [usize; 2],
    size: [usize; 2],
}

impl Strip {
    #[inline(always)]
    pub(super) fn new(precision: Precision, place: [usize; 2], size: [usize; 2]) -> Self {
        Self {
            groups: [[0; RIGHT]; LEFT],
            precision,
            place,
            size,
        }
    }

    /// Puts the words in panels of `W` columns of an operand with K = `depth`.
    ///
    /// # Safety
    /// No other thread touches this strip's place in `out`.
    #[inline(always)]
    pub(super) unsafe fn put<const W: usize>(&self, out: &Parts<'_, u32>, depth: usize) {
        let ([row, col], [rows, cols]) = (self.place, self.size);
        let first = self.precision.words(row);
        let count = self.precision.words(row + rows) - first;
        let panel = W * self.precision.words(depth);
        for p in 0..cols.div_ceil(W) {
            let start = (col / W + p) * panel + first * W;
            // SAFETY: the caller's promise.
            let out = unsafe { out.slice(start..start + count * W) };
            for (out, group) in out.as_chunks_mut::<W>().0.iter_mut().zip(&self.groups) {
                out.copy_from_slice(&group[p * W..(p + 1) * W]);
            }
        }
    }
}

/// A whole row of a tile to pairs of `bf16`.
#[inline(always)]
fn round_line(out: &mut [u32], line: &[f32]) {
    let mut rounded = [0; RIGHT];
    for (rounded, &x) in rounded.iter_mut().zip(line) {
        *rounded = bf16(x);
    }
    for (out, two) in out.iter_mut().zip(rounded.as_chunks::<2>().0) {
        *out = two[0] | (two[1] << 16);
    }
}
