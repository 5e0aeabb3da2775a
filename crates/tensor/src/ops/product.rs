//! Operands of products in buffers: what is laid out for the processor lives no longer than it is needed.

use std::ops::Range;

use glassformer_kernels::product::both_ways::BothWays;
use glassformer_kernels::product::{Left, Precision, Right, Rows, pack};

use crate::{Buffers, Pool, Tensor};

/// A in panels, from the rows of its transpose.
#[derive(Debug)]
pub struct PackedLeft {
    words: Tensor,
    precision: Precision,
    rows: usize,
    depth: usize,
}

impl PackedLeft {
    /// Room for A [rows,depth], to be written in full.
    pub fn uninitialised(
        buffers: &Buffers,
        precision: Precision,
        rows: usize,
        depth: usize,
    ) -> Self {
        let len = Left::panels_len(precision, rows, depth);
        Self {
            words: Tensor::uninitialised(buffers, &[len]),
            precision,
            rows,
            depth,
        }
    }

    /// A = xᵀ.
    pub fn columns(pool: &Pool, buffers: &Buffers, precision: Precision, x: Rows<'_>) -> Self {
        let mut packed = Self::uninitialised(buffers, precision, x.col_count(), x.row_count());
        pack::columns(pool, packed.words_mut(), precision, x);
        packed
    }

    /// Its words, to be written.
    pub fn words_mut(&mut self) -> &mut [u32] {
        self.words.words_mut()
    }

    /// The operand.
    pub fn view(&self) -> Left<'_> {
        Left::in_panels(self.words.words(), self.precision, self.rows, self.depth)
    }
}

/// B in panels.
#[derive(Debug)]
pub struct PackedRight {
    words: Tensor,
    precision: Precision,
    depth: usize,
    cols: usize,
}

impl PackedRight {
    /// Room for B [depth,cols], to be written in full.
    pub fn uninitialised(
        buffers: &Buffers,
        precision: Precision,
        depth: usize,
        cols: usize,
    ) -> Self {
        let len = Right::len(precision, depth, cols);
        Self {
            words: Tensor::uninitialised(buffers, &[len]),
            precision,
            depth,
            cols,
        }
    }

    /// B from its rows.
    pub fn of(pool: &Pool, buffers: &Buffers, precision: Precision, b: Rows<'_>) -> Self {
        let mut packed = Self::uninitialised(buffers, precision, b.row_count(), b.col_count());
        pack::right(pool, packed.words_mut(), precision, b);
        packed
    }

    /// B from the rows of its transpose.
    pub fn of_transposed(
        pool: &Pool,
        buffers: &Buffers,
        precision: Precision,
        b: Rows<'_>,
    ) -> Self {
        let mut packed = Self::uninitialised(buffers, precision, b.col_count(), b.row_count());
        pack::right_transposed(pool, packed.words_mut(), precision, b);
        packed
    }

    /// B [K,N] from the rows of its transpose [N,K], which `read` writes, from the given one on, as many as there is room for.
    pub fn of_transposed_from(
        pool: &Pool,
        buffers: &Buffers,
        precision: Precision,
        [n, k]: [usize; 2],
        read: impl Fn(usize, &mut [f32]) + Sync,
    ) -> Self {
        let mut packed = Self::uninitialised(buffers, precision, k, n);
        pack::right_transposed_from(pool, packed.words_mut(), precision, [n, k], read);
        packed
    }

    /// Its words, to be written.
    pub fn words_mut(&mut self) -> &mut [u32] {
        self.words.words_mut()
    }

    /// The operand.
    pub fn view(&self) -> Right<'_> {
        Right::new(self.words.words(), self.precision, self.depth, self.cols)
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(self.words.words())
    }
}

/// The operands that one matrix is, W and its transpose, to be kept up with it.
#[derive(Debug)]
pub struct BothOperands<'a> {
    /// Made of the matrix by [`PackedRight::of`].
    pub of: &'a mut PackedRight,
    /// Made of it by [`PackedRight::of_transposed`].
    pub of_transposed: &'a mut PackedRight,
    /// Bytes of all operands that are laid out together with these.
    pub among: usize,
}

impl BothOperands<'_> {
    /// Numbers of the matrix.
    pub fn len(&self) -> usize {
        self.of.depth * self.of.cols
    }

    /// Whether the matrix has no number.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes the matrix, the first of the `arrays`, and lays it out, as [`BothWays::follow`] does.
    pub fn follow<const N: usize>(
        self,
        pool: &Pool,
        arrays: [&mut [f32]; N],
        change: impl Fn(Range<usize>, [&mut [f32]; N]) + Sync,
    ) {
        let both = BothWays {
            precision: self.of.precision,
            size: [self.of.depth, self.of.cols],
            down: self.of.words_mut(),
            along: self.of_transposed.words_mut(),
            among: self.among / size_of::<u32>(),
        };
        both.follow(pool, arrays, change);
    }
}

/// Rows rounded to a precision: where they lie, or in a buffer.
#[derive(Debug)]
pub enum Rounded<'a> {
    /// They were so already.
    There(Rows<'a>),
    /// A copy.
    Copied(Tensor),
}

impl<'a> Rounded<'a> {
    /// `x` in `precision`.
    pub fn new(pool: &Pool, buffers: &Buffers, precision: Precision, x: Rows<'a>) -> Self {
        if x.precision() == precision {
            return Self::There(x);
        }
        let mut copy = Tensor::in_precision(buffers, precision, &[x.row_count(), x.col_count()]);
        pack::rows(pool, copy.words_mut(), precision, x);
        Self::Copied(copy)
    }

    /// The rows.
    pub fn view(&self) -> Rows<'_> {
        match self {
            Self::There(rows) => *rows,
            Self::Copied(tensor) => tensor.as_rows(),
        }
    }
}
