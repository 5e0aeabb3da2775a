//! A tile of a product while it is in the first-level cache, and how it becomes an operand of the next product.

use super::round::{neighbours, round, two_rows, widen};
use super::strip::{Down, Strip};
use super::{GROUP, LEFT, Precision, RIGHT, Rows};
use crate::memory::{LINE, fetch, floats, halves, words};
use crate::pool::Parts;
use crate::rows::in_groups;

/// LEFT × RIGHT numbers of C, row-major, of which `rows` × `cols` count. In this order in memory: the numbers begin at a cache
/// line, so that no vector of them lies across two.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Tile {
    pub(super) values: [f32; LEFT * RIGHT],
    pub(super) row: usize,
    pub(super) col: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Where the tile after this one begins, most often, if it is one of a block.
    pub(super) next: Option<[usize; 2]>,
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
            next: None,
        }
    }

    /// Moves the tile's place by that of its block.
    pub(super) fn shift(&mut self, rows: usize, cols: usize) {
        self.row += rows;
        self.col += cols;
        self.next = self.next.map(|[row, col]| [row + rows, col + cols]);
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
    pub(crate) fn read<const BF16: bool>(&self, from: Rows<'_>) -> Self {
        let mut tile = self.clone();
        let part = from.columns(self.col, self.col + self.cols);
        for (r, line) in tile.lines_mut() {
            let row = part.row(r);
            match from.precision {
                Precision::F32 => in_groups(line, floats(row), |x, from| *x = *from),
                Precision::Bf16 => widen::<BF16>(&mut line[..self.cols], halves(row)),
            }
        }
        tile
    }

    /// Asks for the numbers of `from` that the tile after this one will read.
    #[inline(always)]
    pub(crate) fn fetch_next(&self, from: Rows<'_>) {
        self.next_lines(from.precision, from.stride, |word| {
            fetch(from.words.as_ptr().wrapping_add(word));
        });
    }

    /// Asks for the place in row-major C, as of [`Tile::to_rows`], of the tile after this one.
    #[inline(always)]
    pub(crate) fn fetch_next_to_write<T: Copy>(
        &self,
        out: &Parts<'_, T>,
        precision: Precision,
        stride: usize,
    ) {
        self.next_lines(precision, stride, |word| out.fetch_to_write(word));
    }

    /// Calls `f` with a word of each cache line of the tile after this one in row-major C.
    #[inline(always)]
    fn next_lines(&self, precision: Precision, stride: usize, f: impl Fn(usize)) {
        let Some([row, col]) = self.next else {
            return;
        };
        for row in row..row + LEFT {
            let first = row * stride + precision.words(col);
            (0..precision.words(RIGHT))
                .step_by(LINE)
                .for_each(|word| f(first + word));
        }
    }

    /// Row `r` of the tile, in full width.
    #[inline(always)]
    pub(crate) fn line(&self, r: usize) -> &[f32; RIGHT] {
        &self.values.as_chunks().0[r]
    }

    /// Row `r` of the tile, in full width.
    #[inline(always)]
    pub(crate) fn line_mut(&mut self, r: usize) -> &mut [f32; RIGHT] {
        &mut self.values.as_chunks_mut().0[r]
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
    pub(crate) fn round<const BF16: bool>(&mut self, precision: Precision) {
        if precision == Precision::Bf16 {
            for (_, line) in self.lines_mut() {
                line.as_chunks_mut().0.iter_mut().for_each(round::<BF16>);
            }
        }
    }

    /// Into row-major C of `precision`, `stride` words from row to row.
    ///
    /// # Safety
    /// No other thread touches this tile's place in `out`.
    #[inline(always)]
    pub(crate) unsafe fn to_rows<const BF16: bool>(
        &self,
        out: &Parts<'_, u32>,
        precision: Precision,
        stride: usize,
    ) {
        let width = precision.words(self.cols);
        self.fetch_next_to_write(out, precision, stride);
        for r in 0..self.rows {
            let start = (self.row + r) * stride + precision.words(self.col);
            // SAFETY: the caller's promise; tiles begin at whole words.
            let out = unsafe { out.slice(start..start + width) };
            let line = self.line(r);
            match precision {
                Precision::F32 => in_groups(out, words(line), |out, x| *out = *x),
                Precision::Bf16 if self.cols == RIGHT => neighbours::<BF16>(out, line),
                Precision::Bf16 => neighbours::<BF16>(out, &line[..self.cols]),
            }
        }
    }

    /// Into panels of B, where C [K,N] is that B. What does not count must be 0.
    ///
    /// # Safety
    /// As for [`Tile::to_rows`].
    #[inline(always)]
    pub(crate) unsafe fn to_right<const BF16: bool>(
        &self,
        out: &Parts<'_, u32>,
        precision: Precision,
        depth: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.to_panels::<RIGHT, BF16>(out, precision, depth) };
    }

    /// Into panels of A, where C [K,M] is the transpose of that A. What does not count must be 0.
    ///
    /// # Safety
    /// As for [`Tile::to_rows`].
    #[inline(always)]
    pub(crate) unsafe fn to_columns<const BF16: bool>(
        &self,
        out: &Parts<'_, u32>,
        precision: Precision,
        depth: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.to_panels::<LEFT, BF16>(out, precision, depth) };
    }

    #[inline(always)]
    unsafe fn to_panels<const W: usize, const BF16: bool>(
        &self,
        out: &Parts<'_, u32>,
        precision: Precision,
        depth: usize,
    ) {
        let cols = self.cols.next_multiple_of(W);
        for (g, col) in (0..cols).step_by(GROUP).enumerate() {
            let strip = Strip {
                down: Down {
                    precision,
                    depth,
                    past_caches: false,
                },
                place: [self.row, self.col + col],
                size: [self.rows, (cols - col).min(GROUP)],
            };
            let group = |r: usize| &self.line(r).as_chunks::<GROUP>().0[g];
            // SAFETY: the caller's promise.
            unsafe {
                match precision {
                    Precision::F32 => strip.put::<W, BF16>(out, |k| {
                        *words(group(k)).first_chunk().expect("a whole group")
                    }),
                    Precision::Bf16 => {
                        strip.put::<W, BF16>(out, |k| {
                            two_rows::<BF16>(group(2 * k), group(2 * k + 1))
                        });
                    }
                }
            }
            if let Some([row, first]) = self.next {
                let place = [row, first + col];
                Strip { place, ..strip }.fetch::<W>(out, 0);
            }
        }
    }
}
