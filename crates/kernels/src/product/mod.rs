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
    for row in (0..a.rows()).step_by(LEFT) {
        for col in (0..b.cols()).step_by(RIGHT) {
            tile.compute(a, b, row, col);
            finish(&mut tile);
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
