//! C = A·B with operands laid out for the processor, and with work done on each tile of C while it is warm.
//!
//! A is [M,K], B is [K,N]. The naive version is three nested loops (`tests/it/product.rs`); the departures:
//!
//! 1. **Layout** ([`operand`], [`pack`]). B lies in panels of [`RIGHT`] columns, each panel word by word along K, so the
//!    inner loop ([`kernel`]) reads it from front to back. A is read row by row where it lies, or in panels of [`LEFT`]
//!    rows where it is the transpose of what lies in memory. A word is 32 bits: an `f32`, or in [`Precision::Bf16`]
//!    two adjacent k, which one `vdpbf16ps` multiplies and adds in f32. Odd ends are filled with 0.
//! 2. **Finishing** ([`tile`], [`finish`]). Each tile [LEFT, RIGHT] of C is handed to a closure as soon as it is there,
//!    in the first-level cache: bias, activation, residual and the layout for the next product happen without C ever
//!    going to memory.
//! 3. **Threads** take blocks of C as they become free. Each element is summed by one thread in one order, so the
//!    result does not depend on how many there are.
//!
//! The panels of B stay in the second-level cache while the rows of A of one block stream past (Goto & van de Geijn
//! 2008, with the roles of A and B exchanged, as C is row-major here).

pub mod finish;
mod kernel;
pub mod operand;
pub mod pack;
pub(crate) mod round;
pub mod stored;
pub mod tile;
mod transpose;

pub use operand::{Left, Precision, Right, Rows};
pub use tile::Tile;

use crate::Pool;

/// Rows of a tile.
pub const LEFT: usize = 8;
/// Columns of a tile, and of a panel of B.
pub const RIGHT: usize = 48;

/// Columns handled at a time where rows are laid out: a panel of B has some whole groups, a group some panels of A.
pub(crate) const GROUP: usize = 16;

/// Rows of C in one block of work; the tiles of a block are made in order, by one thread.
pub const BLOCK_ROWS: usize = 8 * LEFT;

/// Most columns of C in one block of work, in panels of B.
const BLOCK_PANELS: usize = 8;

/// Blocks that each thread should find, so that one that comes late does not hold up the others.
const BLOCKS_PER_THREAD: usize = 8;

/// Words of k from which on a panel is too long for the second-level cache, and the product goes part after part.
const DEEP: usize = 4096;
/// Words of k in a part: so many of some panels of B lie in the second-level cache, of a panel of A in the first.
const PART: usize = 1024;
/// Panels of B whose parts are used by all rows of a block before the next part's turn.
const DEEP_PANELS: usize = 2;

/// Computes A·B and gives each tile of it to `finish` once, on whichever thread made it.
pub fn product(pool: &Pool, a: Left<'_>, b: Right<'_>, finish: impl Fn(&mut Tile) + Sync) {
    let down = a.rows().div_ceil(BLOCK_ROWS);
    let panels = b.cols().div_ceil(RIGHT);
    let wanted = pool.threads() * BLOCKS_PER_THREAD;
    let across = (panels * down / wanted).clamp(1, BLOCK_PANELS);
    let groups = panels.div_ceil(across);
    let bands = pool.threads().min(down).max(1);
    pool.each(down * groups, |i| {
        let (row, group) = place(i, [down, groups], bands);
        let (row, panel) = (row * BLOCK_ROWS, group * across);
        let (a, b) = (
            a.panels(row / LEFT, BLOCK_ROWS / LEFT),
            b.panels(panel, across),
        );
        block(a, b, |tile| {
            tile.shift(row, panel * RIGHT);
            finish(tile);
        });
    });
}

/// Row and column of block `i` of `down` × `across`: band of rows after band, column after column within a band. Each
/// thread begins with the band whose rows it made, and the panels of B of a column stay near while the band passes.
fn place(i: usize, [down, across]: [usize; 2], bands: usize) -> (usize, usize) {
    let band = ((i / across + 1) * bands - 1) / down;
    let [first, end] = [band, band + 1].map(|band| band * down / bands);
    let within = i - first * across;
    let rows = end - first;
    (first + within % rows, within / rows)
}

/// A·B on the calling thread, tile by tile, row after row of tiles.
pub fn block(a: Left<'_>, b: Right<'_>, mut finish: impl FnMut(&mut Tile)) {
    let mut tile = Tile::new();
    if a.precision().words(a.depth()) > DEEP && a.rows() <= BLOCK_ROWS {
        return deep_block(a, b, &mut tile, finish);
    }
    for row in (0..a.rows()).step_by(LEFT) {
        for col in (0..b.cols()).step_by(RIGHT) {
            tile.compute(a, b, row, col);
            finish(&mut tile);
        }
    }
}

/// As [`block`], part of k after part: those words of B's panels are still near when the next rows of tiles need them.
/// Sums wait in between; each is taken in the same order whatever the number of threads.
#[expect(
    clippy::large_stack_arrays,
    reason = "24 KiB; a step allocates nothing on the heap"
)]
fn deep_block(a: Left<'_>, b: Right<'_>, tile: &mut Tile, mut finish: impl FnMut(&mut Tile)) {
    let words = a.precision().words(a.depth());
    for first_panel in (0..b.cols().div_ceil(RIGHT)).step_by(DEEP_PANELS) {
        let end = b.cols().min((first_panel + DEEP_PANELS) * RIGHT);
        let mut sums = [[[0.0; LEFT * RIGHT]; DEEP_PANELS]; BLOCK_ROWS / LEFT];
        for first in (0..words).step_by(PART) {
            let part = first..(first + PART).min(words);
            let last = part.end == words;
            for (row, sums) in (0..a.rows()).step_by(LEFT).zip(&mut sums) {
                for (col, sums) in (first_panel * RIGHT..end).step_by(RIGHT).zip(sums) {
                    tile.compute_part(a, b, [row, col], part.clone());
                    tile.sum_up(sums, last);
                    if last {
                        finish(tile);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn each_block_has_one_place() {
        for (down, across, bands) in [(1, 5, 1), (7, 3, 2), (12, 4, 5), (5, 1, 5), (64, 9, 3)] {
            let mut seen: Vec<_> = (0..down * across)
                .map(|i| place(i, [down, across], bands))
                .collect();
            seen.sort_unstable();
            let all: Vec<_> = (0..down)
                .flat_map(|row| (0..across).map(move |group| (row, group)))
                .collect();
            assert_eq!(seen, all, "{down} × {across} in {bands} bands");
        }
    }
}
