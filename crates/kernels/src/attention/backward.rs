//! The gradient of attention, from log Σ exp of each row of scores.
//!
//! With P = exp(score − log Σ exp) the pattern, made again, and dP = dz·vᵀ (Dao et al. 2022, algorithm 4):
//!
//! dv = Pᵀ·dz; dS = P∘(dP − rowsum(dz∘z)); dq = scale·dS·k; dk = scale·dSᵀ·q.
//!
//! With a bias of scores by distance, d_bias[h,d] = Σ P∘(dP − rowsum(dz∘z)) over all pairs at distance d.
//!
//! With dropout, P is replaced by P∘mask in dv, and dP by dP∘mask; rowsum(dz∘z) is rowsum(P∘dP) with either.
//!
//! Departure: queries go in blocks of [`QUERIES`], keys in blocks of [`KEYS`]. A tile of scores and the same tile of dP
//! are made together, and P and dS go from the first-level cache straight into the layouts of the three products
//! that need them. Tiles in which no query sees a key are left out, and the products sum over what is seen alone.

mod output;

use std::cell::RefCell;
use std::ops::Range;

use self::output::Written;
pub use self::output::{Output, OutputRows};
use super::forward::{Space, right, right_transposed, rounded, within};
use super::{Head, Input, Sees, Shape, head};
use crate::Pool;
use crate::arch::multiversion;
use crate::dropout::Mask;
use crate::exp::exp;
use crate::memory::Block;
use crate::pool::Parts;
use crate::product::{LEFT, Left, Precision, RIGHT, Right, Rows, Tile, banded_block};
use crate::rows::{in_groups, inner_products};

/// Queries handled at a time.
const QUERIES: usize = 128;
/// Keys handled at a time: a multiple of a panel's columns, and even.
const KEYS: usize = 8 * RIGHT;

/// What the forward pass leaves for the backward pass.
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a> {
    /// [ΣT,H·E].
    pub z: Rows<'a>,
    /// [H,T] of each sequence.
    pub log_sum: &'a [f32],
}

/// Gradients with respect to queries, keys, values and bias into `out`, given `dz [ΣT,H·E]`.
pub fn backward(
    pool: &Pool,
    shape: Shape<'_>,
    input: Input<'_>,
    saved: Saved<'_>,
    dz: Rows<'_>,
    precision: Precision,
    Output { rows, kept, bias }: Output<'_>,
) {
    input.check(&shape);
    let Shape {
        heads,
        kv_heads,
        d_head: e,
        ..
    } = shape;
    let [queries, keys] = shape.sequences.rows();
    let (d_q, apart);
    // The rows of keys and values, and the heads that stand before them.
    let (d_kv, before) = match rows {
        OutputRows::Fused(words) => {
            assert_eq!(queries, keys, "fused rows are those of the same positions");
            d_q = Written::new(words, kept, [queries, heads + 2 * kv_heads, e]);
            (&d_q, heads)
        }
        OutputRows::Apart([q, kv]) => {
            d_q = Written::new(q, kept, [queries, heads, e]);
            apart = Written::new(kv, kept, [keys, 2 * kv_heads, e]);
            (&apart, 0)
        }
    };
    let width = input.bias.map_or(0, |bias| bias.width);
    let count = shape.sequences.count();
    assert_eq!(bias.len(), count * heads * width, "bias");
    let d_bias = Parts::new(bias);
    pool.each(count * kv_heads, |i| {
        let (b, kv) = (i / kv_heads, i % kv_heads);
        let sequence = shape.sequences.get(b);
        SCRATCH.with_borrow_mut(|scratch| {
            let first = kv * shape.group();
            for h in first..first + shape.group() {
                let one = HeadGradient {
                    head: input.head(&shape, &sequence, h),
                    z: head(saved.z, &sequence.queries, h, e),
                    dz: head(dz, &sequence.queries, h, e),
                    log_sum: &saved.log_sum[shape.sums(&sequence, h)],
                };
                let place = (b * heads + h) * width;
                // SAFETY: each head of each sequence has its own numbers.
                let d_bias = unsafe { d_bias.slice(place..place + width) };
                scratch.head(&one, precision, h == first, d_bias, |t, row| {
                    // SAFETY: as above.
                    unsafe { d_q.write(sequence.queries.start + t, h, row) };
                });
            }
            let len = sequence.keys.len() * e;
            let [dk, dv] = [&mut scratch.dk, &mut scratch.dv].map(|x| x.floats(len));
            let rows = dk.chunks_exact(e).zip(dv.chunks_exact(e));
            for (row, (dk, dv)) in sequence.keys.clone().zip(rows) {
                // SAFETY: as above.
                unsafe {
                    d_kv.write(row, before + kv, dk);
                    d_kv.write(row, before + kv_heads + kv, dv);
                }
            }
        });
    });
}

/// One query head's inputs.
struct HeadGradient<'a> {
    head: Head<'a>,
    z: Rows<'a>,
    dz: Rows<'a>,
    log_sum: &'a [f32],
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A thread's space for one head; grows to the largest that it met.
#[derive(Default)]
struct Scratch {
    queries: Space,
    d_outputs: Space,
    /// kᵀ and vᵀ as B [E,S]; k as B [S,E]; q and dz as B [T,E].
    right: [Space; 5],
    /// rowsum(dz∘z).
    inner: Space,
    dq: Space,
    dk: Space,
    dv: Space,
    block: ScoreBlock,
}

impl Scratch {
    /// Adds one head's part to dk and dv (sets them when it is the `first`) and to `d_bias [W]`; each row of dq goes to `write`.
    fn head(
        &mut self,
        one: &HeadGradient<'_>,
        precision: Precision,
        first: bool,
        d_bias: &mut [f32],
        mut write: impl FnMut(usize, &[f32]),
    ) {
        let Head { q, k, v, .. } = one.head;
        let (queries, keys, e) = (q.rows, k.rows, q.cols);
        let [kt_space, vt_space, k_space, q_space, dz_space] = &mut self.right;
        let kt = right_transposed(kt_space, k, precision);
        let vt = right_transposed(vt_space, v, precision);
        let [k, q_right, dz_right] = [(k_space, k), (q_space, q), (dz_space, one.dz)]
            .map(|(space, x)| right(space, x, precision));
        let q = rounded(&mut self.queries, q, precision);
        let dz = rounded(&mut self.d_outputs, one.dz, precision);
        let inner = self.inner.floats(queries);
        inner_products(inner, one.dz, one.z);
        let (dk, dv) = (self.dk.floats(keys * e), self.dv.floats(keys * e));
        if first {
            dk.fill(0.0);
            dv.fill(0.0);
        }
        let dq = self.dq.floats(QUERIES * e);
        for start in (0..queries).step_by(QUERIES) {
            let end = (start + QUERIES).min(queries);
            dq.fill(0.0);
            let (begin, last) = (one.head.seen(start).start, one.head.seen(end - 1).end);
            for first in (begin / RIGHT * RIGHT..last).step_by(KEYS) {
                let keys = first..(first + KEYS).min(last.next_multiple_of(2)).min(keys);
                // The queries before the first one that sees something of these keys.
                let from = one.head.seen_by(keys.clone()).start / LEFT * LEFT;
                let from = from.max(start);
                let place = Place {
                    queries: from..end,
                    keys,
                };
                let Range {
                    start: first,
                    end: last,
                } = place.keys;
                let of_keys = [kt, vt].map(|x| x.columns(first, last));
                self.block
                    .fill(one, inner, &place, [q, dz], of_keys, d_bias);
                let [ds, ds_t, p_t] = self.block.operands(precision, &place);
                let part = first * e..last * e;
                banded_block(
                    ds,
                    k.rows(first, last),
                    |rows| place.keys_seen(&one.head, rows),
                    |tile| add_tile(tile, &mut dq[(from - start) * e..], e),
                );
                banded_block(
                    ds_t,
                    q_right.rows(from, end),
                    |rows| place.queries_that_see(&one.head, rows),
                    |tile| add_tile(tile, &mut dk[part.clone()], e),
                );
                banded_block(
                    p_t,
                    dz_right.rows(from, end),
                    |rows| place.queries_that_see(&one.head, rows),
                    |tile| add_tile(tile, &mut dv[part.clone()], e),
                );
            }
            for (r, t) in (start..end).enumerate() {
                write(t, &dq[r * e..][..e]);
            }
        }
    }
}

multiversion! {
    fn add_tile(tile: &mut Tile, out: &mut [f32], stride: usize) {
        let columns = tile.columns();
        for (r, row) in tile.rows_mut() {
            let out = &mut out[r * stride + columns.start..r * stride + columns.end];
            in_groups(out, row, |out, x| *out += *x);
        }
    }
}

/// Which block of scores.
struct Place {
    queries: Range<usize>,
    keys: Range<usize>,
}

impl Place {
    /// Keys of the block that its queries `rows` see some of, both counted from the block's first.
    fn keys_seen(&self, head: &Head<'_>, rows: Range<usize>) -> Range<usize> {
        let first = self.queries.start;
        let [start, end] = [rows.start, rows.end - 1].map(|row| head.seen(first + row));
        within(start.start..end.end, self.keys.start, self.keys.len())
    }

    /// Queries of the block that see some of its keys `rows`, both counted from the block's first.
    fn queries_that_see(&self, head: &Head<'_>, rows: Range<usize>) -> Range<usize> {
        let first = self.keys.start;
        let queries = head.seen_by(first + rows.start..first + rows.end);
        within(queries, self.queries.start, self.queries.len())
    }
}

/// dS and P of one block, in the layouts of the products that follow.
struct ScoreBlock {
    /// dS as A [queries, keys], rows of KEYS numbers.
    ds: Block,
    /// dSᵀ and (P∘mask)ᵀ as A [keys, queries].
    ds_t: Block,
    p_t: Block,
}

impl Default for ScoreBlock {
    fn default() -> Self {
        let [ds, ds_t, p_t] = [(); 3].map(|()| Block::zeros(QUERIES * KEYS));
        Self { ds, ds_t, p_t }
    }
}

impl ScoreBlock {
    /// Computes the tiles of the block at `place` in which a query sees a key; the B are already cut to its keys.
    fn fill(
        &mut self,
        one: &HeadGradient<'_>,
        inner: &[f32],
        place: &Place,
        [q, dz]: [Rows<'_>; 2],
        [kt, vt]: [Right<'_>; 2],
        d_bias: &mut [f32],
    ) {
        let (start, end) = (place.queries.start, place.queries.end);
        let [q, dz] = [q, dz].map(|x| Left::from(x.range(start, end)));
        let [ds, ds_t, p_t] = [&mut self.ds, &mut self.ds_t, &mut self.p_t]
            .map(|block| Parts::new(block.words_mut()));
        let (mut p, mut d) = (Tile::new(), Tile::new());
        for row in (0..end - start).step_by(LEFT) {
            let first = one.head.seen(start + row).start;
            let last = one.head.seen((start + row + LEFT).min(end) - 1).end;
            for col in (0..kt.cols()).step_by(RIGHT) {
                let depth = end - start;
                let key = place.keys.start + col;
                if key < last && key + RIGHT > first {
                    p.compute(q, kt, row, col);
                    d.compute(dz, vt, row, col);
                    let scores = one.scores(inner, place, col);
                    combine(&mut p, &mut d, &scores, d_bias);
                    spread(&p, &d, [&ds, &ds_t, &p_t], q.precision(), depth);
                }
            }
        }
    }

    /// dS, dSᵀ and Pᵀ as they were filled for `place`.
    fn operands(&self, precision: Precision, place: &Place) -> [Left<'_>; 3] {
        let (queries, keys) = (place.queries.len(), place.keys.len());
        let stride = precision.words(KEYS);
        let ds = Rows::new(self.ds.words(), precision, [queries, keys], stride);
        let [ds_t, p_t] = [&self.ds_t, &self.p_t]
            .map(|block| Left::in_panels(block.words(), precision, keys, queries));
        [ds.into(), ds_t, p_t]
    }
}

multiversion! {
    /// Tiles of P and dS into the layouts, which nobody else touches.
    fn spread(p: &Tile, d: &Tile, out: [&Parts<'_, u32>; 3], precision: Precision, depth: usize) {
        // SAFETY: one thread writes one block, tile after tile.
        unsafe {
            d.to_rows::<BF16>(out[0], precision, precision.words(KEYS));
            d.to_columns::<BF16>(out[1], precision, depth);
            p.to_columns::<BF16>(out[2], precision, depth);
        }
    }
}

/// The numbers of the queries of a block, and where a tile's columns stand among the keys.
struct Scores<'a> {
    scale: f32,
    /// log Σ exp and rowsum(dz∘z) of each query of the block.
    log_sum: &'a [f32],
    inner: &'a [f32],
    /// The tile's columns that the block's first query sees; each later one sees those `step` further on. They may lie
    /// outside of the tile.
    seen: Range<isize>,
    step: isize,
    /// The numbers by distance, and the place among them of the first query's first column, which may lie outside.
    bias: Option<(&'a [f32], isize)>,
    /// The mask, the index of the first query's first column, and the step from query to query.
    dropout: Option<(Mask, u64, u64)>,
}

impl HeadGradient<'_> {
    /// For the tiles of the block at `place` whose columns begin at `col` of it.
    fn scores<'a>(&'a self, inner: &'a [f32], place: &Place, col: usize) -> Scores<'a> {
        let (head, queries) = (&self.head, place.queries.clone());
        let first = place.keys.start + col;
        let (queries_all, keys) = (head.q.rows, head.k.rows);
        // The last column of a window may lie before the first key, where `Sees::keys` cuts it off.
        let end = head.seen(queries.start).end as isize - first as isize;
        let (seen, step) = match head.sees {
            Sees::All => (0..keys as isize - first as isize, 0),
            Sees::Past => (isize::MIN / 2..end, 1),
            Sees::Window(width) => (end - (width.min(keys + queries_all)) as isize..end, 1),
        };
        Scores {
            scale: head.scale,
            log_sum: &self.log_sum[queries.clone()],
            inner: &inner[queries.clone()],
            seen,
            step,
            bias: head.bias.map(|(numbers, zero)| {
                let own = keys - queries_all + queries.start;
                (numbers, zero as isize + first as isize - own as isize)
            }),
            dropout: self.head.dropout.map(|(mask, plane)| {
                let index = plane + (queries.start * keys + first) as u64;
                (mask, index, keys as u64)
            }),
        }
    }
}

/// The first column of a tile that has a number, and that number's place, where column 0's would be at `at`.
#[inline(always)]
fn beginning(at: isize) -> [usize; 2] {
    [(-at).clamp(0, RIGHT as isize) as usize, at.max(0) as usize]
}

multiversion! {
    /// Scores `p` and dP `d` of one tile become P∘mask and dS = scale·P∘(dP∘mask − inner); dS/scale is added to
    /// `d_bias` by distance.
    fn combine(p: &mut Tile, d: &mut Tile, scores: &Scores<'_>, d_bias: &mut [f32]) {
        let Scores { scale, log_sum, inner, ref seen, step, bias, dropout } = *scores;
        for ((row, p), (_, d)) in p.lines_mut().zip(d.lines_mut()) {
            let (log_sum, inner) = (log_sum[row], inner[row]);
            // Where the row's bias begins.
            let [column, place] = bias.map_or([RIGHT, 0], |(_, at)| beginning(at - row as isize));
            if let Some((numbers, _)) = bias {
                let numbers = numbers.get(place..).unwrap_or_default();
                for (x, bias) in p[column..].iter_mut().zip(numbers) {
                    *x += bias / scale;
                }
            }
            for x in p.iter_mut() {
                *x = exp::<FUSED>(*x * scale - log_sum);
            }
            let [start, end] = [seen.start, seen.end]
                .map(|x| (x + row as isize * step).clamp(0, RIGHT as isize) as usize);
            p[..start].fill(0.0);
            p[end..].fill(0.0);
            let mask = dropout.map(|(mask, first, step)| (mask, first + row as u64 * step));
            if let Some((mask, index)) = mask {
                crate::dropout::apply(d, mask, index);
            }
            // Where nothing is seen d may be anything, infinities included.
            for (d, &p) in d.iter_mut().zip(&*p) {
                *d = if p == 0.0 { 0.0 } else { scale * p * (*d - inner) };
            }
            let sums = d_bias.get_mut(place..).unwrap_or_default();
            for (sum, d) in sums.iter_mut().zip(&d[column..]) {
                *sum += d / scale;
            }
            if let Some((mask, index)) = mask {
                crate::dropout::apply(p, mask, index);
            }
        }
        p.clear_outside();
        d.clear_outside();
    }
}
