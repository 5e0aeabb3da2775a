//! Keys and values as a cache keeps them.

use crate::arch::multiversion;
use crate::half;
use crate::memory::{self, halves, halves_mut};

/// What a cache keeps numbers in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Number {
    /// As they were computed.
    F32,
    /// Rounded to 11 bits (IEEE 754 half precision), two to a word: half the memory, and half of it to read for a token.
    F16,
}

impl Number {
    /// Words that a row of `n` numbers takes.
    pub fn words(self, n: usize) -> usize {
        match self {
            Self::F32 => n,
            Self::F16 => n.div_ceil(2),
        }
    }

    /// Writes a row.
    pub fn write(self, words: &mut [u32], row: &[f32]) {
        match self {
            Self::F32 => words.copy_from_slice(memory::words(row)),
            Self::F16 => narrow(&mut halves_mut(words)[..row.len()], row),
        }
    }

    /// Reads a row.
    pub fn read(self, row: &mut [f32], words: &[u32]) {
        match self {
            Self::F32 => row.copy_from_slice(memory::floats(words)),
            Self::F16 => widen(row, &halves(words)[..row.len()]),
        }
    }
}

multiversion! {
    fn narrow(halves: &mut [u16], row: &[f32]) {
        for (half, &x) in halves.iter_mut().zip(row) {
            *half = half::from_f32(x);
        }
    }
}

multiversion! {
    fn widen(row: &mut [f32], halves: &[u16]) {
        for (x, &half) in row.iter_mut().zip(halves) {
            *x = half::to_f32(half);
        }
    }
}

/// Keys or values `[S,K·E]`, row behind row.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    words: &'a [u32],
    number: Number,
    cols: usize,
}

impl<'a> Kept<'a> {
    /// Rows of `cols` numbers. Panics unless `words` are whole rows.
    pub fn new(words: &'a [u32], number: Number, cols: usize) -> Self {
        assert!(
            words.len().is_multiple_of(number.words(cols).max(1)),
            "{} words are no rows of {cols} numbers",
            words.len()
        );
        Self {
            words,
            number,
            cols,
        }
    }

    /// S.
    pub fn rows(&self) -> usize {
        self.words.len() / self.stride().max(1)
    }

    /// K·E.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// What they are kept in.
    pub fn number(&self) -> Number {
        self.number
    }

    /// Rows `start..end`.
    #[must_use]
    pub fn range(self, start: usize, end: usize) -> Self {
        let stride = self.stride();
        Self {
            words: &self.words[start * stride..end * stride],
            ..self
        }
    }

    /// Words from row to row.
    pub(super) fn stride(&self) -> usize {
        self.number.words(self.cols)
    }

    /// The words of all rows.
    pub(super) fn words(&self) -> &'a [u32] {
        self.words
    }

    /// Number `i` of row `r`.
    #[inline(always)]
    pub(super) fn at(&self, r: usize, i: usize) -> f32 {
        let row = &self.words[r * self.stride()..];
        match self.number {
            Number::F32 => f32::from_bits(row[i]),
            Number::F16 => half::to_f32(halves(row)[i]),
        }
    }

    /// All rows, where they lie in `f32`.
    pub fn floats(&self) -> Option<&'a [f32]> {
        (self.number == Number::F32).then(|| memory::floats(self.words))
    }

    /// All rows in `f32`, `[S,K·E]`.
    pub fn read(&self, numbers: &mut [f32]) {
        let rows = numbers.chunks_exact_mut(self.cols);
        for (row, words) in rows.zip(self.words.chunks_exact(self.stride())) {
            self.number.read(row, words);
        }
    }
}
