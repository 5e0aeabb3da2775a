//! Attention of all heads of a batch, split over threads; the arithmetic of one head is in the kernels.

use glassformer_kernels::attention::{self, Head, HeadGradients, TILE};
use glassformer_kernels::dropout::Mask;
use glassformer_kernels::matmul::matmul;
use glassformer_kernels::matrix::{MatMut, MatRef};
use glassformer_kernels::softmax::softmax;

use crate::Pool;

/// Sizes of one call. Query head h reads key head h·K/H (grouped-query attention; K = H is the classic case).
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
    fn group(&self) -> usize {
        self.heads / self.kv_heads
    }
}

/// Rows of heads somewhere in a larger array: element (b, t, h, e) is at `b·batch_stride + t·row_stride + h·E + e`.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Begins at the first head of the first row.
    pub data: &'a [f32],
    /// From one position to the next.
    pub row_stride: usize,
    /// From one sequence to the next.
    pub batch_stride: usize,
}

impl<'a> Rows<'a> {
    fn head(&self, b: usize, h: usize, rows: usize, e: usize) -> MatRef<'a> {
        MatRef::strided(
            &self.data[b * self.batch_stride + h * e..],
            rows,
            e,
            self.row_stride,
            1,
        )
    }
}

/// The three inputs and the dropout mask of the pattern.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// H heads per row, T rows.
    pub q: Rows<'a>,
    /// K heads per row, S rows.
    pub k: Rows<'a>,
    /// K heads per row, S rows.
    pub v: Rows<'a>,
    /// Over the pattern [B,H,T,S].
    pub dropout: Option<Mask>,
}

impl<'a> Input<'a> {
    fn head(&self, shape: &Shape, b: usize, h: usize) -> Head<'a> {
        let &Shape {
            queries,
            keys,
            heads,
            d_head,
            ..
        } = shape;
        let kv = h / shape.group();
        Head {
            q: self.q.head(b, h, queries, d_head),
            k: self.k.head(b, kv, keys, d_head),
            v: self.v.head(b, kv, keys, d_head),
            scale: shape.scale(),
            dropout: self
                .dropout
                .map(|mask| (mask, ((b * heads + h) * queries * keys) as u64)),
        }
    }
}

/// `z [B,T,H·E]` and `log_sum [B,T,H]`, without ever holding more than TILE × S scores per thread.
pub fn forward(pool: &Pool, shape: Shape, input: Input<'_>, z: &mut [f32], log_sum: &mut [f32]) {
    let Shape {
        batch,
        queries,
        heads,
        d_head,
        ..
    } = shape;
    let width = heads * d_head;
    // One sequence per piece; a single sequence is cut into tiles of queries instead.
    let piece = if batch > 1 { queries } else { TILE };
    pool.chunks2(
        (z, piece * width),
        (log_sum, piece * heads),
        |i, z, log_sum| {
            let (b, first) = if batch > 1 { (i, 0) } else { (0, i * TILE) };
            let rows = z.len() / width;
            let mut tile = Vec::new();
            let mut sums = [0.0; TILE];
            for h in 0..heads {
                let head = input.head(&shape, b, h);
                for start in (0..rows).step_by(TILE) {
                    let end = (start + TILE).min(rows);
                    let sums = &mut sums[..end - start];
                    let z = MatMut::strided(
                        &mut z[start * width + h * d_head..],
                        end - start,
                        d_head,
                        width,
                    );
                    attention::forward(z, sums, &head, first + start, first + end, &mut tile);
                    for (r, &sum) in sums.iter().enumerate() {
                        log_sum[(start + r) * heads + h] = sum;
                    }
                }
            }
        },
    );
}

/// Gradient of [`forward`] with respect to a fused row q·k·v: `d_qkv [B,T,(H+2K)·E]`, overwritten. Needs S = T.
pub fn backward(
    pool: &Pool,
    shape: Shape,
    input: Input<'_>,
    dz: &[f32],
    log_sum: &[f32],
    d_qkv: &mut [f32],
) {
    let Shape {
        batch,
        queries,
        keys,
        heads,
        kv_heads,
        d_head,
    } = shape;
    assert_eq!(queries, keys, "gradients are taken over whole sequences");
    let group = shape.group();
    let plane = queries * d_head;
    // Head by head, dense: [B, K, group + 2, T, E]; then one pass that puts the heads side by side again.
    let mut planes = vec![0.0; batch * kv_heads * (group + 2) * plane];
    let dz = Rows {
        data: dz,
        row_stride: heads * d_head,
        batch_stride: queries * heads * d_head,
    };
    pool.chunks(&mut planes, (group + 2) * plane, |i, planes| {
        let (b, kv) = (i / kv_heads, i % kv_heads);
        let (dq, dkv) = planes.split_at_mut(group * plane);
        let (dk, dv) = dkv.split_at_mut(plane);
        let (mut p_tile, mut d_tile) = (Vec::new(), Vec::new());
        let mut sums = vec![0.0; queries];
        for (g, dq) in dq.chunks_exact_mut(plane).enumerate() {
            let h = kv * group + g;
            let head = input.head(&shape, b, h);
            for (t, sum) in sums.iter_mut().enumerate() {
                *sum = log_sum[(b * queries + t) * heads + h];
            }
            let mut out = HeadGradients { dq, dk, dv };
            let dz = dz.head(b, h, queries, d_head);
            for start in (0..queries).step_by(TILE) {
                let end = (start + TILE).min(queries);
                attention::backward(
                    &mut out,
                    &head,
                    dz,
                    &sums,
                    start,
                    end,
                    [&mut p_tile, &mut d_tile],
                );
            }
        }
    });
    side_by_side(pool, &shape, &planes, d_qkv);
}

/// `planes [B, K, group + 2, T, E]` into `rows [B,T,(H+2K)·E]`.
fn side_by_side(pool: &Pool, shape: &Shape, planes: &[f32], rows: &mut [f32]) {
    let &Shape {
        queries,
        heads,
        kv_heads,
        d_head,
        ..
    } = shape;
    let group = shape.group();
    pool.rows(rows, (heads + 2 * kv_heads) * d_head, 16, |first, rows| {
        for (i, row) in rows
            .chunks_exact_mut((heads + 2 * kv_heads) * d_head)
            .enumerate()
        {
            let (b, t) = ((first + i) / queries, (first + i) % queries);
            for (slot, out) in row.chunks_exact_mut(d_head).enumerate() {
                let (kv, plane) = if slot < heads {
                    (slot / group, slot % group)
                } else {
                    ((slot - heads) % kv_heads, group + (slot - heads) / kv_heads)
                };
                let from = (((b * kv_heads + kv) * (group + 2) + plane) * queries + t) * d_head;
                out.copy_from_slice(&planes[from..from + d_head]);
            }
        }
    });
}

/// Scaled and masked scores in full, `[B,H,T,S]`: only for recorders and edits.
pub fn scores(pool: &Pool, shape: Shape, input: Input<'_>, scores: &mut [f32]) {
    pool.chunks(scores, shape.queries * shape.keys, |i, plane| {
        attention::scores(plane, &input.head(&shape, i / shape.heads, i % shape.heads));
    });
}

/// Replaces the scores `[B,H,T,S]` by their pattern, row by row.
pub fn pattern(pool: &Pool, scores: &mut [f32], keys: usize) {
    pool.rows(scores, keys, 32, |_, rows| {
        for row in rows.chunks_exact_mut(keys) {
            softmax(row, 1.0);
        }
    });
}

/// `z [B,T,H·E]` from a pattern `[B,H,T,S]` and the values.
pub fn weighted_values(pool: &Pool, shape: Shape, pattern: &[f32], v: Rows<'_>, z: &mut [f32]) {
    let Shape {
        queries,
        keys,
        heads,
        d_head,
        ..
    } = shape;
    pool.chunks(z, queries * heads * d_head, |b, z| {
        for h in 0..heads {
            let pattern = MatRef::new(&pattern[(b * heads + h) * queries * keys..], queries, keys);
            let z = MatMut::strided(&mut z[h * d_head..], queries, d_head, heads * d_head);
            matmul(
                z,
                pattern,
                v.head(b, h / shape.group(), keys, d_head),
                false,
            );
        }
    });
}
