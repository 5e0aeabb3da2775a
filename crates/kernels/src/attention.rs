//! Causal attention of one head (Vaswani et al. 2017, eq. 1): z = softmax(q·kᵀ·scale + mask)·v.
//!
//! Pseudo-code for queries t and keys s:
//!
//! ```text
//! score[t,s]   = scale · Σₑ q[t,e]·k[s,e]      for s ≤ t, else −∞
//! pattern[t,:] = softmax(score[t,:])
//! z[t,e]       = Σₛ pattern[t,s]·v[s,e]
//! ```
//!
//! Departure: queries go in tiles of [`TILE`] rows, so that only TILE × S scores exist at a time, and keys beyond the
//! tile's last query are never touched. Kept for the backward pass: log Σ exp of each row (one number per query), from
//! which the pattern is made again. Derivative, with P the pattern and dP = dz·vᵀ:
//!
//! dv = Pᵀ·dz; dS = P∘(dP − rowsum(P∘dP)); dq = scale·dS·k; dk = scale·dSᵀ·q.
//!
//! With dropout, P is replaced by P∘mask in dv and z, and dP by dP∘mask.

use crate::arch::{multiversion, sum_by};
use crate::dropout::{self, Mask};
use crate::matmul::matmul;
use crate::matrix::{MatMut, MatRef};
use crate::softmax::{softmax, softmax_again};

/// Queries handled at a time.
pub const TILE: usize = 64;

/// What is the same for every tile of one head.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Queries [T,E].
    pub q: MatRef<'a>,
    /// Keys [S,E], S ≥ T: query t stands at key position S − T + t.
    pub k: MatRef<'a>,
    /// Values [S,E].
    pub v: MatRef<'a>,
    /// Usually 1/√E.
    pub scale: f32,
    /// Dropout on the pattern, and the index of the pattern's element [0,0] in the mask.
    pub dropout: Option<(Mask, u64)>,
}

impl Head<'_> {
    /// Keys that query `t` may look at.
    fn visible(&self, t: usize) -> usize {
        self.k.rows - self.q.rows + t + 1
    }

    /// Multiplies rows `start..` of a tile of the pattern by the dropout mask.
    fn drop(&self, tile: &mut [f32], start: usize, width: usize) {
        if let Some((mask, first)) = self.dropout {
            for (r, row) in tile.chunks_exact_mut(width).enumerate() {
                dropout::apply(row, mask, first + ((start + r) * self.k.rows) as u64);
            }
        }
    }
}

/// Scores of queries `start..end` before scaling, [end−start, visible(end−1)], into `tile`.
fn raw_scores(tile: &mut Vec<f32>, head: &Head<'_>, start: usize, end: usize) -> usize {
    let width = head.visible(end - 1);
    tile.resize((end - start) * width, 0.0);
    matmul(
        MatMut::new(tile, end - start, width),
        head.q.rows(start, end),
        head.k.rows(0, width).t(),
        false,
    );
    width
}

/// Attention of queries `start..end` (at most [`TILE`]): writes `z` [end−start, E] and `log_sum` [end−start].
///
/// `tile` is scratch space; its contents do not matter.
pub fn forward(
    z: MatMut<'_>,
    log_sum: &mut [f32],
    head: &Head<'_>,
    start: usize,
    end: usize,
    tile: &mut Vec<f32>,
) {
    let width = raw_scores(tile, head, start, end);
    for (r, (row, log_sum)) in tile.chunks_exact_mut(width).zip(log_sum).enumerate() {
        let (seen, masked) = row.split_at_mut(head.visible(start + r));
        *log_sum = softmax(seen, head.scale);
        masked.fill(0.0);
    }
    head.drop(tile, start, width);
    matmul(
        z,
        MatRef::new(tile, end - start, width),
        head.v.rows(0, width),
        false,
    );
}

/// Gradients of one head, all dense: `dq [T,E]`, `dk, dv [S,E]`.
#[derive(Debug)]
pub struct HeadGradients<'a> {
    /// Overwritten.
    pub dq: &'a mut [f32],
    /// Added to.
    pub dk: &'a mut [f32],
    /// Added to.
    pub dv: &'a mut [f32],
}

/// Backward of [`forward`] for queries `start..end`: `dz` [T,E] of the whole head, `log_sum` [T] as saved.
pub fn backward(
    out: &mut HeadGradients<'_>,
    head: &Head<'_>,
    dz: MatRef<'_>,
    log_sum: &[f32],
    start: usize,
    end: usize,
    [p_tile, d_tile]: [&mut Vec<f32>; 2],
) {
    let (rows, e) = (end - start, head.q.cols);
    let width = raw_scores(p_tile, head, start, end);
    for (r, row) in p_tile.chunks_exact_mut(width).enumerate() {
        let (seen, masked) = row.split_at_mut(head.visible(start + r));
        softmax_again(seen, head.scale, log_sum[start + r]);
        masked.fill(0.0);
    }
    let dz = dz.rows(start, end);
    // dP, then dS in place.
    d_tile.resize(rows * width, 0.0);
    matmul(
        MatMut::new(d_tile, rows, width),
        dz,
        head.v.rows(0, width).t(),
        false,
    );
    head.drop(d_tile, start, width);
    for (p, d) in p_tile
        .chunks_exact(width)
        .zip(d_tile.chunks_exact_mut(width))
    {
        score_gradient(d, p, head.scale);
    }
    let ds = MatRef::new(d_tile, rows, width);
    matmul(
        MatMut::new(&mut out.dq[start * e..end * e], rows, e),
        ds,
        head.k.rows(0, width),
        false,
    );
    matmul(
        MatMut::new(&mut out.dk[..width * e], width, e),
        ds.t(),
        head.q.rows(start, end),
        true,
    );
    head.drop(p_tile, start, width);
    let p = MatRef::new(p_tile, rows, width);
    matmul(
        MatMut::new(&mut out.dv[..width * e], width, e),
        p.t(),
        dz,
        true,
    );
}

multiversion! {
    /// d ← scale·p∘(d − Σ p∘d) for one row.
    fn score_gradient(d: &mut [f32], p: &[f32], scale: f32) {
        let n = d.len();
        assert_eq!(p.len(), n);
        let inner = sum_by(n, |i| p[i] * d[i]);
        for i in 0..n {
            d[i] = scale * p[i] * (d[i] - inner);
        }
    }
}

/// Scores and pattern of one head in full, for a recorder or an edit: `scores [T,S]` scaled and masked.
pub fn scores(out: &mut [f32], head: &Head<'_>) {
    let (t, s) = (head.q.rows, head.k.rows);
    matmul(MatMut::new(out, t, s), head.q, head.k.t(), false);
    for (r, row) in out.chunks_exact_mut(s).enumerate() {
        let (seen, masked) = row.split_at_mut(head.visible(r));
        for x in seen {
            *x *= head.scale;
        }
        masked.fill(f32::NEG_INFINITY);
    }
}
