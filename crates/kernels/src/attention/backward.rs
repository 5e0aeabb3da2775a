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
mod scores;

use std::cell::RefCell;
use std::ops::Range;

use self::output::Written;
pub use self::output::{Output, OutputRows};
use self::scores::{Place, ScoreBlock};
use super::forward::{Space, right, right_transposed, rounded};
use super::{Head, Input, Shape, head};
use crate::Pool;
use crate::arch::multiversion;
use crate::pool::Parts;
use crate::product::{LEFT, Precision, RIGHT, Rows, Tile, banded_block};
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
