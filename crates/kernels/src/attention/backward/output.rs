//! Where the gradients of attention are written.

use crate::attention::forward::write_row;
use crate::pool::Parts;
use crate::product::Precision;

/// Where the gradients go.
#[derive(Debug)]
pub struct Output<'a> {
    /// Those of queries, keys and values, overwritten.
    pub rows: OutputRows<'a>,
    /// What these are kept in.
    pub kept: Precision,
    /// Where scores have a bias, its gradient for each sequence, [B,H,W] as [`Bias`](crate::attention::Bias) has it, added to what
    /// is there; else empty.
    pub bias: &'a mut [f32],
}

/// Adjacent rows of gradients.
#[derive(Debug)]
pub enum OutputRows<'a> {
    /// Of fused rows q·k·v: [ΣT,(H+2K)·E], S = T.
    Fused(&'a mut [u32]),
    /// Of queries [ΣT,H·E], and of fused rows k·v [ΣS,2K·E].
    Apart([&'a mut [u32]; 2]),
}

/// Rows of gradients, one head's columns beside another's.
pub(super) struct Written<'a> {
    words: Parts<'a, u32>,
    kept: Precision,
    /// Words from row to row, and of a head.
    stride: usize,
    head: usize,
}

impl<'a> Written<'a> {
    pub(super) fn new(words: &'a mut [u32], kept: Precision, [rows, heads, e]: [usize; 3]) -> Self {
        let stride = kept.words(heads * e);
        assert_eq!(words.len(), rows * stride, "gradients");
        Self {
            words: Parts::new(words),
            kept,
            stride,
            head: kept.words(e),
        }
    }

    /// # Safety
    /// Nobody else touches this row of this head.
    pub(super) unsafe fn write(&self, row: usize, head: usize, numbers: &[f32]) {
        // Heads begin at whole words, as `Rows::columns` makes sure for the inputs.
        let start = row * self.stride + head * self.head;
        // SAFETY: the caller's promise.
        let out = unsafe { self.words.slice(start..start + self.head) };
        write_row(out, self.kept, numbers);
    }
}
