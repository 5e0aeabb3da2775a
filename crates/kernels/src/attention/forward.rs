//! Attention over whole sequences.
//!
//! Departure from the pseudo-code: queries go in panels of [`LEFT`] rows and keys in blocks of [`KEYS`], so that scores
//! live in the first-level cache only. The softmax is taken online (Milakov & Gimelshein 2018; Dao et al. 2022,
//! algorithm 1): with m the largest score so far and l = Σ exp(score − m), a new block with a larger score first scales
//! l and z by exp(m_old − m_new). Blocks that no query of a panel sees are never touched. Kept for the backward
//! pass: m + ln l = log Σ exp of each row, one number per query.

use std::cell::RefCell;
use std::ops::Range;

use super::{Head, Input, Shape};
use crate::Pool;
use crate::arch::multiversion;
use crate::exp::exp;
use crate::memory::Block;
use crate::pool::Parts;
use crate::product::round::write;
use crate::product::{LEFT, Left, Precision, RIGHT, Right, Rows, Tile, Tiles, block, pack};
use crate::reduce::{larger, largest, total};
use crate::rows::in_groups;

/// Keys handled at a time: a multiple of a panel's columns, and even.
const KEYS: usize = 8 * RIGHT;

/// `z [ΣT,H·E]` in adjacent rows of precision `kept`, and `log_sum`, [H,T] of each sequence; products in `precision`.
pub fn forward(
    pool: &Pool,
    shape: Shape<'_>,
    input: Input<'_>,
    precision: Precision,
    (z, kept): (&mut [u32], Precision),
    log_sum: &mut [f32],
) {
    input.check(&shape);
    let Shape { heads, d_head, .. } = shape;
    let [queries, _] = shape.sequences.rows();
    let stride = kept.words(heads * d_head);
    assert_eq!(z.len(), queries * stride, "z");
    assert_eq!(
        log_sum.len(),
        queries * heads,
        "a number for each query of each head"
    );
    let (z, sums) = (Parts::new(z), Parts::new(log_sum));
    pool.each(shape.sequences.count() * heads, |i| {
        let (sequence, h) = (shape.sequences.get(i / heads), i % heads);
        // SAFETY: each head of each sequence has its own numbers.
        let sums = unsafe { sums.slice(shape.sums(&sequence, h)) };
        let column = kept.words(h * d_head);
        let head = input.head(&shape, &sequence, h);
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.head(&head, precision, sums, |t, row| {
                let start = (sequence.queries.start + t) * stride + column;
                // SAFETY: as above; heads begin at whole words, as `Rows::columns` makes sure for the inputs.
                let out = unsafe { z.slice(start..start + kept.words(d_head)) };
                write_row(out, kept, row);
            });
        });
    });
}

multiversion! {
    /// Numbers as words of a precision.
    pub(super) fn write_row(out: &mut [u32], precision: Precision, row: &[f32]) {
        write::<BF16>(out, precision, row);
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A thread's space for one head; grows to the largest that it met.
#[derive(Default)]
struct Scratch {
    /// kᵀ as B [E,S], v as B [S,E], q rounded [T,E].
    keys: Space,
    values: Space,
    queries: Space,
    panel: Option<Box<Panel>>,
    /// z of a panel [LEFT,E].
    z: Space,
}

/// What one panel of queries needs.
struct Panel {
    /// Scores of the panel against a block of keys, then their exponentials.
    scores: [Tile; KEYS / RIGHT],
    /// The exponentials as A [LEFT,KEYS].
    pattern: [u32; LEFT * KEYS],
}

impl Default for Panel {
    fn default() -> Self {
        Self {
            scores: std::array::from_fn(|_| Tile::new()),
            pattern: [0; LEFT * KEYS],
        }
    }
}

/// A block that grows.
#[derive(Default)]
pub(super) struct Space(Option<Block>);

impl Space {
    /// The first `len` words, whatever is in them.
    pub(super) fn floats(&mut self, len: usize) -> &mut [f32] {
        if self.0.as_ref().is_none_or(|block| block.len() < len) {
            self.0 = Some(Block::zeros(len));
        }
        let block = self.0.as_mut().expect("just made");
        &mut block[..len]
    }

    /// The first `len` words, whatever is in them.
    pub(super) fn words(&mut self, len: usize) -> &mut [u32] {
        crate::memory::words_mut(self.floats(len))
    }
}

/// `x` where it lies if it is of this precision already, else rounded into `space`.
pub(super) fn rounded<'a>(space: &'a mut Space, x: Rows<'a>, precision: Precision) -> Rows<'a> {
    if x.precision == precision {
        return x;
    }
    let width = precision.words(x.cols);
    let words = space.words(x.rows * width);
    pack::rows(&Pool::single(), words, precision, x);
    Rows::new(words, precision, [x.rows, x.cols], width)
}

/// `x` as B, in the panels that it fills best.
pub(super) fn right<'a>(space: &'a mut Space, x: Rows<'_>, precision: Precision) -> Right<'a> {
    let [wide, narrow] = [Right::len, Right::narrow_len].map(|len| len(precision, x.rows, x.cols));
    let words = space.words(wide.min(narrow));
    if narrow < wide {
        pack::narrow_right(&Pool::single(), words, precision, x);
        return Right::narrow(words, precision, x.rows, x.cols);
    }
    pack::right(&Pool::single(), words, precision, x);
    Right::new(words, precision, x.rows, x.cols)
}

/// `xᵀ` as B.
pub(super) fn right_transposed<'a>(
    space: &'a mut Space,
    x: Rows<'_>,
    precision: Precision,
) -> Right<'a> {
    let words = space.words(Right::len(precision, x.cols, x.rows));
    pack::right_transposed(&Pool::single(), words, precision, x);
    Right::new(words, precision, x.cols, x.rows)
}

impl Scratch {
    /// One head: log Σ exp into `log_sum [T]`, each row of z to `write`.
    fn head(
        &mut self,
        head: &Head<'_>,
        precision: Precision,
        log_sum: &mut [f32],
        mut write: impl FnMut(usize, &[f32]),
    ) {
        let (queries, e) = (head.q.rows, head.q.cols);
        let kt = right_transposed(&mut self.keys, head.k, precision);
        let v = right(&mut self.values, head.v, precision);
        let q = rounded(&mut self.queries, head.q, precision);
        let panel = self.panel.get_or_insert_default();
        let z = self.z.floats(LEFT * e);
        for start in (0..queries).step_by(LEFT) {
            let end = (start + LEFT).min(queries);
            let state = panel.queries(head, [q.range(start, end)], [kt, v], start, z);
            for (r, t) in (start..end).enumerate() {
                let [max, sum] = state[r];
                log_sum[t] = max + sum.ln();
                let row = &mut z[r * e..][..e];
                scale(row, 1.0 / sum);
                write(t, row);
            }
        }
    }
}

multiversion! {
    fn scale(row: &mut [f32], factor: f32) {
        for x in row.iter_mut() {
            *x *= factor;
        }
    }
}

/// The part of `range` in `first..first + len`, counted from `first`.
#[inline(always)]
pub(super) fn within(range: Range<usize>, first: usize, len: usize) -> Range<usize> {
    let place = |x: usize| x.saturating_sub(first).min(len);
    place(range.start)..place(range.end)
}

impl Panel {
    /// A panel of queries from `start` on: z before division into `z`, and (m, l) of each row.
    fn queries(
        &mut self,
        head: &Head<'_>,
        [q]: [Rows<'_>; 1],
        [kt, v]: [Right<'_>; 2],
        start: usize,
        z: &mut [f32],
    ) -> [[f32; 2]; LEFT] {
        let (rows, e, precision) = (q.rows, q.cols, q.precision);
        let mut state = [[f32::NEG_INFINITY, 0.0]; LEFT];
        let (begin, last) = (head.seen(start).start, head.seen(start + rows - 1).end);
        let begin = begin / RIGHT * RIGHT;
        for first in (begin..last).step_by(KEYS) {
            let keys = (last - first).min(KEYS);
            let kt = kt.columns(first, first + keys);
            let scores = &mut self.scores[..keys.div_ceil(RIGHT)];
            let products = Tiles::new(q.into(), kt);
            for (i, tile) in scores.iter_mut().enumerate() {
                products.make(tile, [0, i]);
            }
            // Whole words of v; what is beyond the last visible key meets a 0 in the pattern.
            let span = keys.next_multiple_of(2).min(v.depth() - first);
            let words = precision.words(span);
            let mut scales = [1.0; LEFT];
            for r in 0..rows {
                let t = start + r;
                let seen = within(head.seen(t), first, keys);
                let mut scale = head.scale;
                if let Some(bias) = head.bias_row(t, first) {
                    biased(scores, r, scale, bias);
                    scale = 1.0;
                }
                scales[r] = online(scores, r, seen, scale, &mut state[r]);
                for (i, tile) in scores.iter_mut().enumerate() {
                    head.drop_row(tile.line_mut(r), t, first + i * RIGHT);
                }
                let pattern = &mut self.pattern[r * words..][..words];
                write_line(pattern, precision, scores, r, span);
            }
            let pattern = Rows::new(&self.pattern, precision, [rows, span], words);
            block(Left::from(pattern), v.rows(first, first + span), |tile| {
                add_scaled(tile, z, e, &scales, first == begin);
            });
        }
        state
    }
}

multiversion! {
    /// z ← z·scale + tile; without z's old value when it is the `first` block.
    fn add_scaled(tile: &mut Tile, z: &mut [f32], e: usize, scales: &[f32; LEFT], first: bool) {
        let columns = tile.columns();
        for (r, row) in tile.rows_mut() {
            let z = &mut z[r * e + columns.start..r * e + columns.end];
            if first {
                in_groups(z, row, |z, x| *z = *x);
            } else {
                in_groups(z, row, |z, x| *z = *z * scales[r] + *x);
            }
        }
    }
}

multiversion! {
    /// Row `r` of the tiles side by side becomes scale·x + bias; where the numbers of `bias` end nothing is seen.
    fn biased(tiles: &mut [Tile], r: usize, scale: f32, bias: &[f32]) {
        for (tile, bias) in tiles.iter_mut().zip(bias.chunks(RIGHT)) {
            in_groups(&mut tile.line_mut(r)[..bias.len()], bias, |x, bias| *x = *x * scale + *bias);
        }
    }
}

multiversion! {
    /// Replaces row `r` of the tiles side by side by exp(scale·x − m), m the largest so far, and what lies outside of
    /// `seen` by 0; updates (m, l); gives exp(m_old − m).
    fn online(tiles: &mut [Tile], r: usize, seen: Range<usize>, scale: f32, state: &mut [f32; 2]) -> f32 {
        let [old, sum] = *state;
        let mut largest_of = [f32::NEG_INFINITY; RIGHT];
        for (i, tile) in tiles.iter_mut().enumerate() {
            let line = tile.line_mut(r);
            let seen = within(seen.clone(), i * RIGHT, RIGHT);
            line[..seen.start].fill(f32::NEG_INFINITY);
            line[seen.end..].fill(f32::NEG_INFINITY);
            for (lane, &x) in largest_of.iter_mut().zip(&*line) {
                *lane = larger(*lane, x);
            }
        }
        let max = (largest(largest_of) * scale).max(old);
        if max == f32::NEG_INFINITY {
            for tile in tiles.iter_mut() {
                tile.line_mut(r).fill(0.0);
            }
            return 1.0;
        }
        let mut sums = [0.0; RIGHT];
        for tile in tiles.iter_mut() {
            let line = tile.line_mut(r);
            for (lane, x) in sums.iter_mut().zip(line) {
                *x = exp::<FUSED>(*x * scale - max);
                *lane += *x;
            }
        }
        let factor = exp::<FUSED>(old - max);
        *state = [max, sum * factor + total(sums)];
        factor
    }
}

multiversion! {
    /// The first `span` numbers of row `r` of the tiles side by side as words of a precision.
    fn write_line(out: &mut [u32], precision: Precision, tiles: &[Tile], r: usize, span: usize) {
        let lines = out.chunks_mut(precision.words(RIGHT)).zip(tiles);
        for (i, (out, tile)) in lines.enumerate() {
            let n = (span - i * RIGHT).min(RIGHT);
            match n {
                RIGHT => write::<BF16>(out, precision, tile.line(r)),
                _ => write::<BF16>(out, precision, &tile.line(r)[..n]),
            }
        }
    }
}
