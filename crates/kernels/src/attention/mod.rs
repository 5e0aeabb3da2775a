//! Causal attention of all heads of a batch (Vaswani et al. 2017, eq. 1): z = softmax(q·kᵀ·scale + mask)·v.
//!
//! Pseudo-code of one head, for queries t and keys s (S ≥ T keys; query t stands at key position S − T + t):
//!
//! ```text
//! score[t,s]   = scale · Σₑ q[t,e]·k[s,e]      for s up to t's own position, else −∞
//! pattern[t,:] = softmax(score[t,:])
//! z[t,e]       = Σₛ pattern[t,s]·v[s,e]
//! ```
//!
//! | file | holds |
//! |---|---|
//! | [`forward`] | whole sequences: online softmax over blocks of keys |
//! | [`backward`] | the gradient, from log Σ exp of each row |
//! | [`decode`] | few queries against a long cache, split over the cache |
//! | [`open`] | scores and pattern in full, for recorders and edits |
//!
//! Query head h reads key head h·K/H (grouped-query attention, Ainslie et al. 2023; K = H is the classic case).

pub mod backward;
pub mod decode;
pub mod forward;
pub mod open;

use crate::dropout::Mask;
use crate::product::Rows;

/// Sizes of one call.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// B.
    pub batch: usize,
    /// T, new positions.
    pub queries: usize,
    /// S ≥ T, all positions; the last T are the new ones.
    pub keys: usize,
    /// H.
    pub heads: usize,
    /// K, a divisor of H.
    pub kv_heads: usize,
    /// E.
    pub d_head: usize,
}

impl Shape {
    /// 1/√E.
    pub fn scale(&self) -> f32 {
        1.0 / (self.d_head as f32).sqrt()
    }

    /// Query heads per key head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Keys that query `t` may look at: those up to its own position.
    pub fn visible(&self, t: usize) -> usize {
        self.keys - self.queries + t + 1
    }

    /// Index of log Σ exp of query 0 of a head in an array [B,H,T].
    fn sums(&self, b: usize, h: usize) -> std::ops::Range<usize> {
        let start = (b * self.heads + h) * self.queries;
        start..start + self.queries
    }
}

/// The three inputs and the dropout mask of the pattern.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// [B·T, H·E].
    pub q: Rows<'a>,
    /// [B·S, K·E].
    pub k: Rows<'a>,
    /// [B·S, K·E].
    pub v: Rows<'a>,
    /// Over the pattern [B,H,T,S].
    pub dropout: Option<Mask>,
}

/// Rows and columns of head `h` of sequence `b` in an array of heads side by side.
fn head(x: Rows<'_>, b: usize, rows: usize, h: usize, e: usize) -> Rows<'_> {
    x.range(b * rows, (b + 1) * rows)
        .columns(h * e, (h + 1) * e)
}

/// One head of one sequence.
#[derive(Clone, Copy)]
struct Head<'a> {
    shape: &'a Shape,
    q: Rows<'a>,
    k: Rows<'a>,
    v: Rows<'a>,
    /// The mask, and the index in it of the pattern's element [0,0].
    dropout: Option<(Mask, u64)>,
}

impl<'a> Input<'a> {
    fn head(&self, shape: &'a Shape, b: usize, h: usize) -> Head<'a> {
        let &Shape {
            queries,
            keys,
            d_head,
            ..
        } = shape;
        let kv = h / shape.group();
        let plane = ((b * shape.heads + h) * queries * keys) as u64;
        Head {
            shape,
            q: head(self.q, b, queries, h, d_head),
            k: head(self.k, b, keys, kv, d_head),
            v: head(self.v, b, keys, kv, d_head),
            dropout: self.dropout.map(|mask| (mask, plane)),
        }
    }

    /// Panics unless the arrays have the shape.
    fn check(&self, shape: &Shape) {
        let &Shape {
            batch,
            queries,
            keys,
            heads,
            kv_heads,
            d_head,
        } = shape;
        assert!(
            queries <= keys && heads.is_multiple_of(kv_heads),
            "{shape:?}"
        );
        assert_eq!(
            [self.q.rows, self.q.cols],
            [batch * queries, heads * d_head],
            "q"
        );
        for kv in [self.k, self.v] {
            assert_eq!(
                [kv.rows, kv.cols],
                [batch * keys, kv_heads * d_head],
                "k and v"
            );
        }
    }
}

impl Head<'_> {
    /// Multiplies `row`, the pattern of query `t` from key `first` on, by the dropout mask.
    fn drop_row(&self, row: &mut [f32], t: usize, first: usize) {
        if let Some((mask, plane)) = self.dropout {
            let index = plane + (t * self.shape.keys + first) as u64;
            crate::dropout::apply(row, mask, index);
        }
    }
}
