//! Laying operands out: row-major numbers into the words of a product.
//!
//! In bf16 a word holds the numbers of k = 2w (low half) and 2w + 1 (high half), rounded to nearest even. Where k runs
//! down the rows, a word is made of two rows; where it runs along them, of two neighbours.

use super::round::{interleaved, neighbours, two_rows};
use super::strip::{Down, Strip};
use super::transpose::{SIDE, transpose};
use super::{GROUP, LEFT, NARROW, NEAR, Precision, RIGHT, Rows};
use crate::arch::multiversion;
use crate::memory::{LINE, fetch, fetch_far, floats, settle_writes};
use crate::pool::{Parts, Pool};

/// Rows handled at a time where words are made of two rows: few enough that their strides cannot crowd a cache set.
const STRIP: usize = LEFT;
/// Columns between what is packed and what is fetched meanwhile: strips jump from row to row where they are read and from
/// panel to panel where they are written, which no processor foresees.
const READ_AHEAD: usize = 128;
const WRITE_AHEAD: usize = 2 * RIGHT;
/// Words transposed at a time where k is adjacent in memory.
pub(super) const RUN: usize = 64;
/// Words of output below which another thread does not pay.
const PIECE: usize = 8192;

/// Rounds row-major `f32` to row-major words of `precision`, rows adjacent.
pub fn rows(pool: &Pool, words: &mut [u32], precision: Precision, x: Rows<'_>) {
    let width = precision.words(x.cols);
    let each = (PIECE / width.max(1)).max(1);
    assert!(words.len() >= x.rows * width, "room for {} rows", x.rows);
    pool.chunks(
        &mut words[..x.rows * width],
        (each * width).max(1),
        |i, words| {
            for (r, words) in words.chunks_exact_mut(width).enumerate() {
                row(words, precision, x.row(i * each + r), x.precision);
            }
        },
    );
}

multiversion! {
    /// One row: copied, or rounded to pairs.
    fn row(words: &mut [u32], precision: Precision, x: &[u32], from: Precision) {
        if precision == from {
            words.copy_from_slice(x);
            return;
        }
        assert!(precision == Precision::Bf16, "numbers are rounded, never widened");
        neighbours::<BF16>(words, floats(x));
    }
}

/// B [K,N] from its rows.
pub fn right(pool: &Pool, words: &mut [u32], precision: Precision, b: Rows<'_>) {
    down_rows::<RIGHT>(pool, words, precision, b);
}

/// As [`right`], in narrow panels.
pub fn narrow_right(pool: &Pool, words: &mut [u32], precision: Precision, b: Rows<'_>) {
    down_rows::<NARROW>(pool, words, precision, b);
}

/// B [K,N] from the rows of its transpose [N,K].
pub fn right_transposed(pool: &Pool, words: &mut [u32], precision: Precision, b: Rows<'_>) {
    let panel = RIGHT * precision.words(b.cols);
    let panels = b.rows.div_ceil(RIGHT);
    assert!(words.len() >= panels * panel, "room for B");
    let past_caches = panels * panel > NEAR;
    pool.chunks(&mut words[..panels * panel], panel.max(1), |p, panel| {
        let (first, last) = (p * RIGHT, ((p + 1) * RIGHT).min(b.rows));
        along_rows(panel, precision, b.range(first, last), past_caches);
    });
}

/// As [`right_transposed`], of rows that lie nowhere in f32: `read` writes those from the given one on, as many as there is
/// room for. A panel's are packed while they are in the cache.
pub fn right_transposed_from(
    pool: &Pool,
    words: &mut [u32],
    precision: Precision,
    [n, k]: [usize; 2],
    read: impl Fn(usize, &mut [f32]) + Sync,
) {
    let panel = RIGHT * precision.words(k);
    let words = &mut words[..n.div_ceil(RIGHT) * panel];
    pool.chunks(words, panel.max(1), |p, panel| {
        let first = p * RIGHT;
        let mut rows = vec![0.0; RIGHT.min(n - first) * k];
        read(first, &mut rows);
        along_rows(panel, precision, Rows::f32(&rows, k), false);
    });
}

/// A [M,K] in panels, from the rows of its transpose [K,M].
pub fn columns(pool: &Pool, words: &mut [u32], precision: Precision, a: Rows<'_>) {
    down_rows::<LEFT>(pool, words, precision, a);
}

/// Panels of `W` columns of `x`, k running down its rows.
fn down_rows<const W: usize>(pool: &Pool, words: &mut [u32], precision: Precision, x: Rows<'_>) {
    let len = x.cols.div_ceil(W) * W * precision.words(x.rows);
    let words = Parts::new(&mut words[..len]);
    // A multiple of the strip, so that no word is shared by two pieces.
    let each = (PIECE / x.cols.max(1)).next_multiple_of(STRIP).max(STRIP);
    let down = Down {
        precision,
        depth: x.rows,
        past_caches: W >= GROUP && len > NEAR,
    };
    pool.each(x.rows.div_ceil(each), |i| {
        let (first, last) = (i * each, ((i + 1) * each).min(x.rows));
        strips(&words, W, down, x.range(first, last), first);
    });
}

multiversion! {
    /// Rows that are number `first` of K and those after it into all panels of `w` columns.
    pub(super) fn strips(words: &Parts<'_, u32>, w: usize, down: Down, x: Rows<'_>, first: usize) {
        for r in (0..x.rows).step_by(STRIP) {
            let rows = x.range(r, (r + STRIP).min(x.rows));
            match w {
                RIGHT => groups::<RIGHT, BF16>(words, down, rows, first + r),
                NARROW => groups::<NARROW, BF16>(words, down, rows, first + r),
                _ => groups::<LEFT, BF16>(words, down, rows, first + r),
            }
        }
        if down.past_caches {
            settle_writes();
        }
    }
}

/// As [`strips`], of at most STRIP rows into panels of `W` columns, group after group.
#[inline(always)]
fn groups<const W: usize, const BF16: bool>(
    words: &Parts<'_, u32>,
    down: Down,
    x: Rows<'_>,
    first: usize,
) {
    let Down {
        precision,
        past_caches,
        ..
    } = down;
    let cols = x.cols.next_multiple_of(W);
    for col in (0..cols).step_by(GROUP) {
        let strip = Strip {
            down,
            place: [first, col],
            size: [x.rows, (cols - col).min(GROUP)],
        };
        // Of rows shorter than that, what is next of the rows below.
        let (further, ahead) = if x.cols > READ_AHEAD {
            (0, col + READ_AHEAD)
        } else {
            (2 * STRIP, col)
        };
        for r in further..further + x.rows {
            fetch(
                x.words
                    .as_ptr()
                    .wrapping_add(r * x.stride + x.precision.words(ahead)),
            );
        }
        if !past_caches {
            strip.fetch::<W>(words, WRITE_AHEAD);
        }
        // SAFETY: the strip's words belong to these rows alone (`first` is a multiple of STRIP).
        unsafe {
            match (precision, x.precision) {
                (Precision::F32, _) => strip.put::<W, BF16>(words, |k| copied(x, k, col)),
                (_, Precision::F32) => {
                    strip.put::<W, BF16>(words, |k| rounded::<BF16>(x, 2 * k, col));
                }
                (_, _) => strip.put::<W, BF16>(words, |k| both::<BF16>(x, 2 * k, col)),
            }
        }
    }
}

/// `N` words of row `r` of `x` from column `col` on, where they lie; of fewer a copy in `spare`, the missing ones 0.
#[inline(always)]
fn line<'a, const N: usize>(
    x: Rows<'a>,
    r: usize,
    col: usize,
    spare: &'a mut [u32; N],
) -> &'a [u32; N] {
    let row = if r < x.rows { x.row(r) } else { &[] };
    let row = row.get(x.precision.words(col)..).unwrap_or_default();
    if let Some(whole) = row.first_chunk() {
        return whole;
    }
    *spare = [0; N];
    spare
        .iter_mut()
        .zip(row)
        .for_each(|(line, row)| *line = *row);
    spare
}

/// Words of one row of `f32`.
#[inline(always)]
fn copied(x: Rows<'_>, r: usize, col: usize) -> [u32; GROUP] {
    *line(x, r, col, &mut [0; GROUP])
}

/// Words made of two rows of `f32`.
#[inline(always)]
fn rounded<const BF16: bool>(x: Rows<'_>, r: usize, col: usize) -> [u32; GROUP] {
    let mut spare = [[0; GROUP]; 2];
    let [low, high] = &mut spare;
    let (low, high) = (line(x, r, col, low), line(x, r + 1, col, high));
    two_rows::<BF16>(group(low), group(high))
}

/// The numbers that the words are.
#[inline(always)]
fn group(words: &[u32; GROUP]) -> &[f32; GROUP] {
    floats(words).first_chunk().expect("a whole group")
}

/// Words of two rows of pairs become pairs of the two rows.
#[inline(always)]
fn both<const BF16: bool>(x: Rows<'_>, r: usize, col: usize) -> [u32; GROUP] {
    let mut spare = [[0; GROUP / 2]; 2];
    let [low, high] = &mut spare;
    interleaved::<BF16>(line(x, r, col, low), line(x, r + 1, col, high))
}

multiversion! {
    /// One panel of B from up to RIGHT rows of its transpose: rounds runs of words if need be, then transposes them.
    pub(super) fn along_rows(panel: &mut [u32], precision: Precision, x: Rows<'_>, past_caches: bool) {
        let depth = precision.words(x.cols);
        let mut run = [[0u32; RUN]; RIGHT];
        for first in (0..depth).step_by(RUN) {
            let count = RUN.min(depth - first);
            let mut lanes: [&[u32]; RIGHT] = [&[0; RUN]; RIGHT];
            for ((r, lane), run) in lanes.iter_mut().enumerate().take(x.rows).zip(&mut run) {
                let row = x.row(r);
                // What the next run reads: no processor foresees as many streams as there are rows.
                let ahead = row.as_ptr().wrapping_add(x.precision.words(2 * (first + RUN)));
                for line in (0..x.precision.words(2 * RUN)).step_by(LINE) {
                    fetch(ahead.wrapping_add(line));
                }
                *lane = if precision == x.precision {
                    &row[first..first + count]
                } else {
                    neighbours::<BF16>(&mut run[..count], floats(&row[2 * first..(2 * (first + count)).min(x.cols)]));
                    run
                };
            }
            let groups = panel[first * RIGHT..(first + count) * RIGHT].as_chunks_mut().0;
            if past_caches {
                transposed::<BF16, true>(groups, &lanes);
            } else {
                transposed::<BF16, false>(groups, &lanes);
            }
        }
        if past_caches {
            settle_writes();
        }
    }
}

multiversion! {
    /// Some words of k of a panel of B: as many as there are `groups`, from word `first` on, of up to RIGHT rows of its
    /// transpose. Those of other rows are any.
    pub(super) fn part_of_panel(groups: &mut [[u32; RIGHT]], rows: &[&[u32]], first: usize) {
        let (squares, rest) = groups.as_chunks_mut::<SIDE>();
        let whole = squares.len() * SIDE;
        for (i, square) in squares.iter_mut().enumerate() {
            for lane in (0..RIGHT).step_by(SIDE) {
                let mut beside = [&[0; SIDE]; SIDE];
                for (word, row) in beside.iter_mut().zip(rows.get(lane..).unwrap_or_default()) {
                    *word = row[first + i * SIDE..].first_chunk().expect("as many words as groups");
                    // Streams this short end before the processor sees that they are streams: what is next of the row, and,
                    // most often, the same of the next panel.
                    fetch(word.as_ptr().wrapping_add(3 * SIDE));
                    fetch_far(word.as_ptr().wrapping_add(RIGHT * row.len()));
                }
                transpose::<BF16, false>(square, lane, beside);
            }
        }
        for (k, group) in rest.iter_mut().enumerate() {
            for (word, row) in group.iter_mut().zip(rows) {
                *word = row[first + whole + k];
            }
        }
    }
}

/// `groups[k][i]` = `lanes[i][k]`, as far as there are groups.
#[inline(always)]
fn transposed<const WIDE: bool, const PAST: bool>(
    groups: &mut [[u32; RIGHT]],
    lanes: &[&[u32]; RIGHT],
) {
    let (squares, rest) = groups.as_chunks_mut::<SIDE>();
    let whole = squares.len() * SIDE;
    for (i, square) in squares.iter_mut().enumerate() {
        for lane in (0..RIGHT).step_by(SIDE) {
            // Written out: a closure over the array would be compiled for the oldest processor.
            let mut rows = [&[0; SIDE]; SIDE];
            for (row, lane) in rows.iter_mut().zip(&lanes[lane..]) {
                *row = &lane.as_chunks().0[i];
            }
            transpose::<WIDE, PAST>(square, lane, rows);
        }
    }
    for (k, group) in rest.iter_mut().enumerate() {
        for (word, lane) in group.iter_mut().zip(lanes) {
            *word = lane[whole + k];
        }
    }
}
