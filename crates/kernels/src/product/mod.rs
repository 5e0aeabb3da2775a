//! C = A·B with operands laid out for the processor, and with work done on each tile of C while it is warm.
//!
//! A is [M,K], B is [K,N]. The naive version is three nested loops (`tests/it/product.rs`); the departures:
//!
//! 1. **Layout** ([`operand`], [`pack`]). B lies in panels of [`RIGHT`] (or [`NARROW`]) columns, each panel word by word along K, so the
//!    inner loop ([`kernel`]) reads it from front to back. A is read row by row where it lies, or in panels of [`LEFT`]
//!    rows where it is the transpose of what lies in memory. A word is 32 bits: an `f32`, or in [`Precision::Bf16`]
//!    two adjacent k, which one `vdpbf16ps` multiplies and adds in f32. Odd ends are filled with 0.
//! 2. **Finishing** ([`tile`], [`finish`]). Each tile [LEFT, RIGHT] of C is handed to a closure as soon as it is there,
//!    in the first-level cache: bias, activation, residual and the layout for the next product happen without C ever
//!    going to memory.
//! 3. **Memory** ([`tiles`]): while a tile is made, its kernel asks for its share of what the next part of k or the next block
//!    reads of B, and the next row of tiles of A; where it is finished, for the place of the next tile. And blocks go in the
//!    order in which least is read from memory. Weights in training are laid out while they change ([`both_ways`]).
//! 4. **Threads** take blocks of C as they become free. Each element is summed by one thread in one order, so the
//!    result does not depend on how many there are.
//!
//! The panels of B stay in the second-level cache while the rows of A of one block stream past (Goto & van de Geijn
//! 2008, with the roles of A and B exchanged, as C is row-major here).

pub mod both_ways;
pub mod finish;
mod kernel;
pub mod operand;
pub mod pack;
pub(crate) mod round;
pub mod stored;
mod strip;
pub mod tile;
mod tiles;
mod transpose;

pub use operand::{Left, Precision, Right, Rows};
pub use tile::Tile;
pub(crate) use tiles::Tiles;

use std::cell::RefCell;
use std::ops::Range;

use crate::Pool;

/// Rows of a tile.
pub const LEFT: usize = 8;
/// Columns of a tile, and of a panel of B.
pub const RIGHT: usize = 48;

/// Columns of a narrow panel of B. Heads are mostly 64 wide: two of these make better use of the registers than 48 and 16.
pub const NARROW: usize = 32;

/// Columns handled at a time where rows are laid out: a panel of B has some whole groups, a group some panels of A.
pub(crate) const GROUP: usize = 16;

/// Rows of C in one block of work; the tiles of a block are made in order, by one thread.
pub const BLOCK_ROWS: usize = 8 * LEFT;

/// Most columns of C in one block of work, in panels of B.
const BLOCK_PANELS: usize = 4;

/// Words that stay in a last-level cache while the other operand passes.
const NEAR: usize = 1 << 22;

/// Blocks that each thread should find, so that one that comes late does not hold up the others.
const BLOCKS_PER_THREAD: usize = 8;

/// Most words of k at a time: so many of a panel of A stay in the first-level cache while the panels of B of a block, which
/// stay in the second, have their turn.
const PART: usize = 384;

thread_local! {
    /// The tiles of a block whose sums wait for the next part of k.
    static WAITING: RefCell<Vec<Tile>> = const { RefCell::new(Vec::new()) };
}

/// Computes A·B and gives each tile of it to `finish` once, on whichever thread made it.
pub fn product(pool: &Pool, a: Left<'_>, b: Right<'_>, finish: impl Fn(&mut Tile) + Sync) {
    let down = a.rows().div_ceil(BLOCK_ROWS);
    let panels = b.cols().div_ceil(b.width());
    let wanted = pool.threads() * BLOCKS_PER_THREAD;
    let across = (panels * down / wanted).clamp(1, BLOCK_PANELS);
    let groups = panels.div_ceil(across);
    let bands = bands(pool.threads(), a, b, [down, groups]);
    pool.each(down * groups, |i| {
        let (row, group) = place(i, [down, groups], bands);
        let (row, panel) = (row * BLOCK_ROWS, group * across);
        let (a, b) = (
            a.panels(row / LEFT, BLOCK_ROWS / LEFT),
            b.panels(panel, across),
        );
        block(a, b, |tile| {
            tile.shift(row, panel * b.width());
            finish(tile);
        });
    });
}

/// Into how many bands the rows of `down` × `across` blocks are best cut, of which each is passed column after column.
fn bands(threads: usize, a: Left<'_>, b: Right<'_>, [down, across]: [usize; 2]) -> usize {
    let words = a.precision().words(a.depth());
    let [of_a, of_b] = [a.rows() * words, b.cols() * words];
    let row_by_row = from_memory([of_a, of_b], down);
    let column_by_column = from_memory([of_b, of_a], across);
    if row_by_row < column_by_column || (row_by_row == column_by_column && of_a >= of_b) {
        // Threads begin with runs of neighbouring blocks: each most often finds in its cache what it wrote there.
        down
    } else if words > PART {
        // A column's panels are too much for a cache of its own: threads pass the same one, each its rows.
        threads.min(down)
    } else {
        1
    }
}

/// Row and column of block `i` of `down` × `across`: band of rows after band, column after column within a band.
fn place(i: usize, [down, across]: [usize; 2], bands: usize) -> (usize, usize) {
    let band = ((i / across + 1) * bands - 1) / down;
    let [first, end] = [band, band + 1].map(|band| band * down / bands);
    let within = i - first * across;
    let rows = end - first;
    (first + within % rows, within / rows)
}

/// Words read from memory where one operand is read once and the other anew each time, unless it stays near.
fn from_memory([once, again]: [usize; 2], times: usize) -> usize {
    once + if again > NEAR { again * times } else { again }
}

/// A·B on the calling thread, tile by tile, row after row of tiles. `finish` must not ask for another product.
pub fn block(a: Left<'_>, b: Right<'_>, mut finish: impl FnMut(&mut Tile)) {
    let tiles = Tiles::new(a, b);
    if tiles.words() > PART {
        return WAITING.with_borrow_mut(|waiting| {
            waiting.resize_with(BLOCK_ROWS / LEFT * BLOCK_PANELS, Tile::new);
            deep_block(&tiles, waiting, finish);
        });
    }
    let mut tile = Tile::new();
    let [rows, cols] = tiles.panels();
    for i in 0..rows {
        for j in 0..cols {
            tiles.make_part(&mut tile, [i, j], 0..tiles.words());
            finish(&mut tile);
        }
    }
}

/// As [`block`], where rows of A have numbers only at those k that `within` says of each panel's rows: the others are not
/// read, whatever they are, but for one beside an odd end. Nothing is finished where there is none.
pub(crate) fn banded_block(
    a: Left<'_>,
    b: Right<'_>,
    within: impl Fn(Range<usize>) -> Range<usize>,
    mut finish: impl FnMut(&mut Tile),
) {
    let precision = a.precision();
    let (tiles, mut tile) = (Tiles::new(a, b), Tile::new());
    let [rows, cols] = tiles.panels();
    for i in 0..rows {
        let row = i * LEFT;
        let Range { start, end } = within(row..(row + LEFT).min(a.rows()));
        if start >= end {
            continue;
        }
        let part = precision.words(start / 2 * 2)..precision.words(end);
        for j in 0..cols {
            tiles.add_part(&mut tile, [i, j], part.clone(), false);
            finish(&mut tile);
        }
    }
}

/// As [`block`], part of k after part: those words of B's panels are still near when the next rows of tiles need them. Sums
/// go on where they stopped, so that they are the same as of k as a whole.
fn deep_block(tiles: &Tiles<'_>, waiting: &mut [Tile], mut finish: impl FnMut(&mut Tile)) {
    let words = tiles.words();
    let parts = words.div_ceil(PART);
    let [rows, cols] = tiles.panels();
    for first_row in (0..rows).step_by(BLOCK_ROWS / LEFT) {
        for first_col in (0..cols).step_by(BLOCK_PANELS) {
            let below = first_row..rows.min(first_row + BLOCK_ROWS / LEFT);
            let beside = first_col..cols.min(first_col + BLOCK_PANELS);
            for part in 0..parts {
                let range = words * part / parts..words * (part + 1) / parts;
                let places = below.clone().flat_map(|i| {
                    let beside = beside.clone();
                    beside.map(move |j| [i, j])
                });
                for (place, tile) in places.zip(&mut *waiting) {
                    tiles.make_part(tile, place, range.clone());
                    if part + 1 == parts {
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
