//! How the tiles of a product are made.
//!
//! The inner loop of a small tile is as short as some four hundred cycles, in which the processor works ahead by a hundred: what
//! lies between two loops is hidden as long as it is few instructions. So what tiles have in common is looked up once for all.

use std::ops::Range;

use super::kernel::{AHEAD, Ahead, Kernel, Strips, kernel};
use super::{BLOCK_PANELS, BLOCK_ROWS, LEFT, Left, RIGHT, Right, Tile};

/// A·B as tiles.
pub(crate) struct Tiles<'a> {
    a: Left<'a>,
    b: Right<'a>,
    kernel: Kernel,
    /// Panels of B.
    panels: usize,
    /// Words of k.
    words: usize,
}

/// Words between two places that are asked for: half a cache line, so that each line is, wherever it begins.
const STEP: usize = 8;

/// Runs of words of a panel of A that a tile asks for: the tiles of a row together ask for all.
const RUNS: usize = LEFT / BLOCK_PANELS;

/// Words of B further on that a tile asks for, for each word of k: rows of tiles together ask for as many as are read.
const SHARE: usize = RIGHT * LEFT / BLOCK_ROWS;

impl<'a> Tiles<'a> {
    /// Of A [M,K] and B [K,N], of one precision.
    #[inline]
    pub(crate) fn new(a: Left<'a>, b: Right<'a>) -> Self {
        assert_eq!(
            (a.depth(), a.precision()),
            (b.depth(), b.precision()),
            "A is M×K, B is K×N, of one precision"
        );
        Self {
            a,
            b,
            kernel: kernel(a.precision()),
            panels: b.cols().div_ceil(b.width()),
            words: a.precision().words(a.depth()),
        }
    }

    /// Words of k.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// Panels of A and of B.
    pub(crate) fn panels(&self) -> [usize; 2] {
        [self.a.rows().div_ceil(LEFT), self.panels]
    }

    /// The tile of panel `i` of A and panel `j` of B, made alone.
    #[inline]
    pub(crate) fn make(&self, tile: &mut Tile, place: [usize; 2]) {
        self.add_part(tile, place, 0..self.words, false);
    }

    /// As [`Tiles::make`], of those words of k alone, added to what is in the tile if it is `more` of a sum.
    #[inline]
    pub(super) fn add_part(
        &self,
        tile: &mut Tile,
        [i, j]: [usize; 2],
        part: Range<usize>,
        more: bool,
    ) {
        // What is here already.
        let here = Ahead {
            words: 0,
            at: self.b.panel(j).as_ptr(),
            step: 0,
        };
        let all = Ahead {
            words: part.len(),
            ..here
        };
        self.sum(tile, [i, j], part, more, [all, here, here]);
        tile.next = None;
    }

    /// As [`Tiles::make`], of those words of k alone, as one of the tiles of a block that are made in order; what the words
    /// before them gave must be in the tile.
    #[inline]
    pub(super) fn make_part(&self, tile: &mut Tile, [i, j]: [usize; 2], part: Range<usize>) {
        let more = part.start > 0;
        let ahead = self.ahead([i, j], &part);
        self.sum(tile, [i, j], part, more, ahead);
        tile.next = Some(if j + 1 < self.panels {
            [i * LEFT, (j + 1) * self.b.width()]
        } else {
            [(i + 1) * LEFT, 0]
        });
    }

    #[inline(always)]
    fn sum(
        &self,
        tile: &mut Tile,
        [i, j]: [usize; 2],
        part: Range<usize>,
        more: bool,
        ahead: [Ahead; AHEAD],
    ) {
        let Self { a, b, .. } = self;
        let (row, col) = (i * LEFT, j * b.width());
        let (rows, cols) = ((a.rows() - row).min(LEFT), (b.cols() - col).min(b.width()));
        (tile.row, tile.col, tile.rows, tile.cols) = (row, col, rows, cols);
        assert!(part.start <= part.end && part.end <= self.words);
        let strips = Strips {
            ahead,
            a: a.panel(i)
                .as_ptr()
                .wrapping_add(part.start * a.strides()[1]),
            a_strides: a.strides(),
            b: b.panel(j).as_ptr().wrapping_add(part.start * b.width()),
            b_stride: b.width(),
            more,
        };
        // SAFETY: `kernel` gave one whose instructions the processor has; `Left` and `Right` hold all words of these
        // panels (checked when they were made), of which `part` are some, and the tile has room for LEFT × RIGHT numbers.
        unsafe {
            (self.kernel)(tile.values.as_mut_ptr(), [rows, cols], &strips);
        }
    }

    /// What the tile at a place asks for while the words `part` of k are summed.
    #[inline(always)]
    fn ahead(&self, [i, j]: [usize; 2], part: &Range<usize>) -> [Ahead; AHEAD] {
        const BLOCK: usize = BLOCK_ROWS / LEFT;
        let Self { a, b, words, .. } = *self;
        // What the next row of tiles reads of A, or else the first row of the next part of k: each tile asks for some runs.
        let is_last = (i + 1) * LEFT >= a.rows() || (i + 1).is_multiple_of(BLOCK);
        let (below, of) = if is_last && part.end < words {
            (i / BLOCK * BLOCK, part.end..part.end + part.len())
        } else {
            (i + 1, part.clone())
        };
        let first = j % BLOCK_PANELS * RUNS;
        let each = part.len().div_ceil(STEP);
        let run = |n| Ahead {
            words: each.min(part.len() / 4),
            at: a.run(below, &of, first + n),
            step: STEP,
        };
        let runs = [run(0), run(1)];
        // What the next part of k, or else the next block, reads of B: each row of tiles asks for a share.
        let behind = if part.end < words {
            part.end
        } else {
            self.panels * words
        };
        let share = i % BLOCK * part.len() * SHARE;
        let ahead = behind * b.width() + share;
        let b = Ahead {
            words: part.len() - runs[0].words - runs[1].words,
            at: b.panel(j).as_ptr().wrapping_add(ahead),
            step: STEP,
        };
        [b, runs[0], runs[1]]
    }
}
