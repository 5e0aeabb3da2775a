//! Rows on their way into panels.

use super::{GROUP, Precision};
use crate::memory::{LINE, write_line_past_caches};
use crate::pool::Parts;

/// Panels in which k runs down the rows of what they are made of.
#[derive(Clone, Copy)]
pub(super) struct Down {
    pub(super) precision: Precision,
    /// K.
    pub(super) depth: usize,
    /// Whether they are written past the caches, where they are wide enough: they are too much to stay there. Then
    /// [`settle_writes`](crate::memory::settle_writes) follows.
    pub(super) past_caches: bool,
}

/// Up to LEFT rows of a [K,·] matrix, a group of columns wide, on their way into such panels.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    pub(super) down: Down,
    pub(super) place: [usize; 2],
    /// Rows; columns up to the end of the last panel that the group reaches.
    pub(super) size: [usize; 2],
}

impl Strip {
    /// Puts the groups of words, one for each word of k, into panels of `W` columns.
    ///
    /// # Safety
    /// No other thread touches this strip's place in `out`.
    #[inline(always)]
    pub(super) unsafe fn put<const W: usize, const WIDE: bool>(
        self,
        out: &Parts<'_, u32>,
        group: impl Fn(usize) -> [u32; GROUP],
    ) {
        let (col, cols, count) = (self.place[1], self.size[1], self.count());
        let last = self.at::<W>(col + cols - 1, count - 1) + 1;
        assert!(last <= out.len(), "the operand ends before word {last}");
        for k in 0..count {
            let group = group(k);
            // SAFETY: the caller's promise; nothing is written behind `last`.
            unsafe {
                if W >= GROUP && self.down.past_caches {
                    let at = self.at::<W>(col, k);
                    let line = out.slice(at..at + GROUP).first_chunk_mut();
                    write_line_past_caches::<WIDE>(line.expect("a line"), &group);
                } else if W >= GROUP {
                    out.write(self.at::<W>(col, k), group);
                } else {
                    for (part, col) in group
                        .as_chunks::<W>()
                        .0
                        .iter()
                        .zip((col..col + cols).step_by(W))
                    {
                        out.write(self.at::<W>(col, k), *part);
                    }
                }
            }
        }
    }

    /// Asks for the cache lines that the strip `further` columns on will be put into.
    #[inline(always)]
    pub(super) fn fetch<const W: usize>(self, out: &Parts<'_, u32>, further: usize) {
        let from = self.place[1] + further;
        for col in (from..from + GROUP).step_by(W.min(GROUP)) {
            for k in (0..self.count()).step_by(LINE.div_ceil(W)) {
                out.fetch_to_write(self.at::<W>(col, k));
            }
        }
    }

    /// Words of k.
    #[inline(always)]
    fn count(self) -> usize {
        let ([row, _], [rows, _]) = (self.place, self.size);
        let precision = self.down.precision;
        precision.words(row + rows) - precision.words(row)
    }

    /// Where word `k` of a column lies, in panels of `W` columns.
    #[inline(always)]
    fn at<const W: usize>(self, col: usize, k: usize) -> usize {
        let Down {
            precision, depth, ..
        } = self.down;
        let panel = W * precision.words(depth);
        let k = precision.words(self.place[0]) + k;
        col / W * panel + k * W + col % W
    }
}
