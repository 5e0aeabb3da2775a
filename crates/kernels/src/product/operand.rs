//! How the operands of a product lie in memory.

use std::ops::Range;

use super::round::widened;
use super::{LEFT, NARROW, RIGHT};
use crate::arch::{Level, level};
use crate::matrix::MatRef;
use crate::memory::{self, halves};

/// What operands of a product are rounded to. Sums are always `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// 24 bits of mantissa.
    #[default]
    F32,
    /// 8 bits of mantissa, the range of `f32`; twice the speed where the processor multiplies pairs of them.
    Bf16,
}

impl Precision {
    /// The one in which products are fastest on this processor.
    pub fn fastest() -> Self {
        if level() >= Level::Avx512Bf16 {
            Self::Bf16
        } else {
            Self::F32
        }
    }

    /// Words that `n` adjacent numbers take.
    pub fn words(self, n: usize) -> usize {
        match self {
            Self::F32 => n,
            Self::Bf16 => n.div_ceil(2),
        }
    }
}

/// A row-major matrix of `f32` or of `bf16` pairs; rows are `stride` words apart.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "rows and cols belong together")]
pub struct Rows<'a> {
    pub(crate) words: &'a [u32],
    pub(crate) stride: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) precision: Precision,
}

impl<'a> Rows<'a> {
    /// Rows that begin `stride` words apart. Panics when the last one would end outside of `words`.
    pub fn new(words: &'a [u32], precision: Precision, size: [usize; 2], stride: usize) -> Self {
        let [rows, cols] = size;
        let row = precision.words(cols);
        assert!(
            rows == 0 || (rows - 1) * stride + row <= words.len(),
            "{rows} rows of {row} words, {stride} apart, need more than {} words",
            words.len()
        );
        Self {
            words,
            stride,
            rows,
            cols,
            precision,
        }
    }

    /// Rows of adjacent `f32`.
    pub fn f32(x: &'a [f32], cols: usize) -> Self {
        let rows = x.len() / cols.max(1);
        Self::new(memory::words(x), Precision::F32, [rows, cols], cols)
    }

    /// Rows `start..end`.
    #[must_use]
    pub fn range(self, start: usize, end: usize) -> Self {
        assert!(
            start <= end && end <= self.rows,
            "rows {start}..{end} of {}",
            self.rows
        );
        Self {
            words: self.words.get(start * self.stride..).unwrap_or_default(),
            rows: end - start,
            ..self
        }
    }

    /// Columns `start..end`; `start` must begin a word.
    #[must_use]
    pub fn columns(self, start: usize, end: usize) -> Self {
        assert!(
            start <= end && end <= self.cols,
            "columns {start}..{end} of {}",
            self.cols
        );
        let words = self.precision.words(start);
        assert!(
            self.precision == Precision::F32 || start.is_multiple_of(2),
            "column {start} begins inside a word"
        );
        Self {
            words: self.words.get(words..).unwrap_or_default(),
            cols: end - start,
            ..self
        }
    }

    /// Number of rows.
    pub fn row_count(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn col_count(&self) -> usize {
        self.cols
    }

    /// What the numbers are rounded to.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The words of row `r`.
    #[inline(always)]
    pub(crate) fn row(&self, r: usize) -> &'a [u32] {
        &self.words[r * self.stride..][..self.precision.words(self.cols)]
    }

    /// The numbers of row `r` in `f32`.
    #[inline(always)]
    pub fn read(&self, r: usize, out: &mut [f32]) {
        let row = self.row(r);
        match self.precision {
            Precision::F32 => {
                for (out, &word) in out.iter_mut().zip(row) {
                    *out = f32::from_bits(word);
                }
            }
            Precision::Bf16 => {
                for (out, &half) in out.iter_mut().zip(halves(row)) {
                    *out = widened(half);
                }
            }
        }
    }
}

impl<'a> From<MatRef<'a>> for Rows<'a> {
    /// Panics unless columns are adjacent.
    fn from(x: MatRef<'a>) -> Self {
        assert!(x.col_stride == 1 || x.cols <= 1, "columns are adjacent");
        let size = [x.rows, x.cols];
        Self::new(memory::words(x.data), Precision::F32, size, x.row_stride)
    }
}

/// A [M,K].
#[derive(Clone, Copy, Debug)]
pub struct Left<'a> {
    words: &'a [u32],
    rows: usize,
    depth: usize,
    precision: Precision,
    /// From row to row within a panel, from word to word, from panel to panel.
    strides: [usize; 3],
}

impl<'a> From<Rows<'a>> for Left<'a> {
    /// A where it lies.
    fn from(rows: Rows<'a>) -> Self {
        Self {
            words: rows.words,
            rows: rows.rows,
            depth: rows.cols,
            precision: rows.precision,
            strides: [rows.stride, 1, LEFT * rows.stride],
        }
    }
}

impl<'a> Left<'a> {
    /// Words of an A packed in panels.
    pub fn panels_len(precision: Precision, rows: usize, depth: usize) -> usize {
        rows.div_ceil(LEFT) * LEFT * precision.words(depth)
    }

    /// A as [`super::pack::columns`] writes it: `panel[word][row]`. Panics when there are too few words.
    pub fn in_panels(words: &'a [u32], precision: Precision, rows: usize, depth: usize) -> Self {
        let len = Self::panels_len(precision, rows, depth);
        assert!(
            words.len() >= len,
            "A [{rows},{depth}] takes {len} words, not {}",
            words.len()
        );
        Self {
            words: &words[..len],
            rows,
            depth,
            precision,
            strides: [1, LEFT, LEFT * precision.words(depth)],
        }
    }

    /// Panels of rows from `first` on, at most `count`.
    #[must_use]
    pub(super) fn panels(self, first: usize, count: usize) -> Self {
        Self {
            words: self.panel(first),
            rows: (self.rows - first * LEFT).min(count * LEFT),
            ..self
        }
    }

    /// M.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// K.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// What the numbers were rounded to.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The words from panel `i` on.
    pub(super) fn panel(&self, i: usize) -> &'a [u32] {
        self.words.get(i * self.strides[2]..).unwrap_or_default()
    }

    /// Where run `i` begins of the LEFT runs in which words `part` of k of a panel lie; it need not be there.
    pub(super) fn run(&self, panel: usize, part: &Range<usize>, i: usize) -> *const u32 {
        let [row, word, panels] = self.strides;
        let run = if word == 1 { row } else { part.len() };
        let first = panel * panels + part.start * word + i * run;
        self.words.as_ptr().wrapping_add(first)
    }

    /// From row to row within a panel, and from word to word.
    pub(super) fn strides(&self) -> [usize; 2] {
        [self.strides[0], self.strides[1]]
    }
}

/// B [K,N], in panels of [`RIGHT`] columns, or of [`NARROW`] ones: `panel[word][column]`.
#[derive(Clone, Copy, Debug)]
pub struct Right<'a> {
    words: &'a [u32],
    depth: usize,
    cols: usize,
    precision: Precision,
    /// Columns of a panel.
    width: usize,
    /// From panel to panel.
    stride: usize,
}

impl<'a> Right<'a> {
    /// Words of a B.
    pub fn len(precision: Precision, depth: usize, cols: usize) -> usize {
        Self::len_in_panels_of(RIGHT, precision, depth, cols)
    }

    /// Words of a B in panels of [`NARROW`] columns.
    pub fn narrow_len(precision: Precision, depth: usize, cols: usize) -> usize {
        Self::len_in_panels_of(NARROW, precision, depth, cols)
    }

    fn len_in_panels_of(width: usize, precision: Precision, depth: usize, cols: usize) -> usize {
        cols.next_multiple_of(width) * precision.words(depth)
    }

    /// B as [`super::pack::right`] writes it. Panics when there are too few words.
    pub fn new(words: &'a [u32], precision: Precision, depth: usize, cols: usize) -> Self {
        Self::in_panels_of(RIGHT, words, precision, [depth, cols])
    }

    /// B as [`super::pack::narrow_right`] writes it. Panics when there are too few words.
    pub fn narrow(words: &'a [u32], precision: Precision, depth: usize, cols: usize) -> Self {
        Self::in_panels_of(NARROW, words, precision, [depth, cols])
    }

    fn in_panels_of(
        width: usize,
        words: &'a [u32],
        precision: Precision,
        [depth, cols]: [usize; 2],
    ) -> Self {
        let len = Self::len_in_panels_of(width, precision, depth, cols);
        assert!(
            words.len() >= len,
            "B [{depth},{cols}] takes {len} words, not {}",
            words.len()
        );
        Self {
            words: &words[..len],
            depth,
            cols,
            precision,
            width,
            stride: width * precision.words(depth),
        }
    }

    /// Panels of columns from `first` on, at most `count`.
    #[must_use]
    pub fn panels(self, first: usize, count: usize) -> Self {
        self.columns(first * self.width, (first + count) * self.width)
    }

    /// Columns `start..end`, as far as there are; `start` must begin a panel.
    #[must_use]
    pub fn columns(self, start: usize, end: usize) -> Self {
        assert!(
            start.is_multiple_of(self.width) && start <= self.cols,
            "column {start} begins no panel"
        );
        Self {
            words: self
                .words
                .get(start / self.width * self.stride..)
                .unwrap_or_default(),
            cols: end.min(self.cols) - start,
            ..self
        }
    }

    /// Rows `start..end` of B; `start` must begin a word, and `end` end one unless it ends B.
    #[must_use]
    pub fn rows(self, start: usize, end: usize) -> Self {
        assert!(
            start <= end && end <= self.depth,
            "rows {start}..{end} of {}",
            self.depth
        );
        assert!(
            self.precision == Precision::F32
                || (start.is_multiple_of(2) && (end.is_multiple_of(2) || end == self.depth)),
            "rows {start}..{end} cut a word"
        );
        Self {
            words: self
                .words
                .get(self.precision.words(start) * self.width..)
                .unwrap_or_default(),
            depth: end - start,
            ..self
        }
    }

    /// K.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// N.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Columns of a panel, and of a tile of C.
    pub fn width(&self) -> usize {
        self.width
    }

    /// What the numbers were rounded to.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The words of panel `i`.
    pub(super) fn panel(&self, i: usize) -> &'a [u32] {
        let len = self.width * self.precision.words(self.depth);
        &self.words[i * self.stride..][..len]
    }
}
