//! A tile of a product while it is in the first-level cache, and how it becomes an operand of the next product.

use std::ops::Range;

use super::kernel::{Next, RUNS, SHARE, Strips, kernel};
use super::round::{neighbours, round, two_rows, widen};
use super::strip::{Down, Strip};
use super::{BLOCK_PANELS, BLOCK_ROWS, GROUP, LEFT, Left, Precision, RIGHT, Right, Rows};
use crate::memory::{LINE, fetch, floats, halves, words};
use crate::pool::Parts;
use crate::rows::in_groups;

/// LEFT × RIGHT numbers of C, row-major, of which `rows` × `cols` count. In this order in memory: the numbers begin at a cache
/// line, so that no vector of them lies across two.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Tile {
    values: [f32; LEFT * RIGHT],
    row: usize,
    col: usize,
    rows: usize,
    cols: usize,
    /// Where the tile after this one begins, most often, if it is one of a block.
    next: Option<[usize; 2]>,
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

    /// Becomes the tile of A·B at (row, col), both multiples of the tile's sizes.
    #[inline]
    pub fn compute(&mut self, a: Left<'_>, b: Right<'_>, row: usize, col: usize) {
        let words = a.precision().words(a.depth());
        self.add_part(a, b, [row, col], 0..words, false);
    }

    /// As [`Tile::compute`], over those words of k alone, as one of the tiles of a block; what the words before them gave
    /// must be there already.
    #[inline]
    pub(super) fn compute_part(
        &mut self,
        a: Left<'_>,
        b: Right<'_>,
        place: [usize; 2],
        part: Range<usize>,
    ) {
        let (next, more) = (next(a, b, place, &part), part.start > 0);
        self.sum(a, b, place, part, more, next);
        let [row, col] = place;
        self.next = Some(if col + b.width() < b.cols() {
            [row, col + b.width()]
        } else {
            [row + LEFT, 0]
        });
    }

    /// Becomes the product over those words of k at that place, added to what is there if it is `more` of a sum.
    #[inline]
    pub(super) fn add_part(
        &mut self,
        a: Left<'_>,
        b: Right<'_>,
        place: [usize; 2],
        part: Range<usize>,
        more: bool,
    ) {
        // What is here already.
        let [row, col] = place;
        let next = Next {
            a: [a.panel(row / LEFT).as_ptr(); RUNS],
            b: b.panel(col / b.width()).as_ptr(),
        };
        self.sum(a, b, place, part, more, next);
        self.next = None;
    }

    #[inline(always)]
    fn sum(
        &mut self,
        a: Left<'_>,
        b: Right<'_>,
        [row, col]: [usize; 2],
        part: Range<usize>,
        more: bool,
        next: Next,
    ) {
        assert_eq!(
            (a.depth(), a.precision()),
            (b.depth(), b.precision()),
            "A is M×K, B is K×N, of one precision"
        );
        let (rows, cols) = ((a.rows() - row).min(LEFT), (b.cols() - col).min(b.width()));
        (self.row, self.col, self.rows, self.cols) = (row, col, rows, cols);
        let words = a.precision().words(a.depth());
        assert!(part.start <= part.end && part.end <= words);
        let a_panel = a.panel(row / LEFT).as_ptr();
        let b_panel = b.panel(col / b.width()).as_ptr();
        let strips = Strips {
            words: part.len(),
            a: a_panel.wrapping_add(part.start * a.strides()[1]),
            a_strides: a.strides(),
            b: b_panel.wrapping_add(part.start * b.width()),
            b_stride: b.width(),
            next,
            more,
        };
        // SAFETY: `kernel` gives one whose instructions the processor has; `Left` and `Right` hold all words of these
        // panels (checked when they were made), of which `part` are some, and the tile has room for LEFT × RIGHT numbers.
        unsafe {
            kernel(a.precision())(self.values.as_mut_ptr(), [rows, cols], strips);
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

/// What the tile of A·B at (row, col) asks for while the words `part` of k are summed.
#[inline(always)]
fn next(a: Left<'_>, b: Right<'_>, [row, col]: [usize; 2], part: &Range<usize>) -> Next {
    let words = a.precision().words(a.depth());
    // What the next row of tiles reads of A, or else the first row of the next part of k: each tile asks for some runs.
    let is_last = row + LEFT >= a.rows() || (row + LEFT).is_multiple_of(BLOCK_ROWS);
    let (below, of) = if is_last && part.end < words {
        (
            row / BLOCK_ROWS * BLOCK_ROWS,
            part.end..part.end + part.len(),
        )
    } else {
        (row + LEFT, part.clone())
    };
    let panel = col / b.width();
    let first = panel % BLOCK_PANELS * RUNS;
    let runs = std::array::from_fn(|i| a.run(below / LEFT, &of, first + i));
    // What the next part of k, or else the next block, reads of B: each row of tiles asks for a share.
    let behind = if part.end < words {
        part.end
    } else {
        b.cols().div_ceil(b.width()) * words
    };
    let share = row % BLOCK_ROWS / LEFT * part.len() * SHARE;
    let ahead = behind * b.width() + share;
    let b = b.panel(panel).as_ptr().wrapping_add(ahead);
    Next { a: runs, b }
}
