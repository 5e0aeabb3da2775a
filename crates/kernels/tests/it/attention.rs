//! Causal attention of one head: tiles against the equation.

use glassformer_kernels::attention::{Head, HeadGradients, TILE, backward, forward, scores};
use glassformer_kernels::dropout::{self, Mask};
use glassformer_kernels::matrix::{MatMut, MatRef};
use proptest::prelude::*;

use crate::support::{assert_close, below, cases, normals, slope, to_f64};

/// Sizes and numbers of one head; q, k and v lie behind each other in `qkv`.
#[derive(Clone, Debug)]
struct Case {
    t: usize,
    s: usize,
    e: usize,
    scale: f32,
    dropout: Option<(Mask, u64)>,
}

impl Case {
    /// q, k, v as they lie fused in rows of 3·E + 1, which only the strides tell.
    fn head<'a>(&self, q: &'a [f32], kv: &'a [f32]) -> Head<'a> {
        let stride = 3 * self.e + 1;
        Head {
            q: MatRef::strided(q, self.t, self.e, stride, 1),
            k: MatRef::strided(&kv[self.e..], self.s, self.e, stride, 1),
            v: MatRef::strided(&kv[2 * self.e..], self.s, self.e, stride, 1),
            scale: self.scale,
            dropout: self.dropout,
        }
    }

    /// The factors of the mask [T,S].
    fn mask(&self) -> Vec<f64> {
        let mut factors = vec![1.0; self.t * self.s];
        if let Some((mask, first)) = self.dropout {
            dropout::apply(&mut factors, mask, first);
        }
        to_f64(&factors)
    }

    /// z [T,E] and log Σ exp [T] of dense q [T,E], k and v [S,E] behind each other.
    fn naive(&self, qkv: &[f64], mask: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let &Self { t, s, e, scale, .. } = self;
        let (q, kv) = qkv.split_at(t * e);
        let (k, v) = kv.split_at(s * e);
        let (mut z, mut log_sums) = (vec![0.0; t * e], Vec::new());
        for i in 0..t {
            let dot = |j: usize| {
                (0..e).map(|c| q[i * e + c] * k[j * e + c]).sum::<f64>() * f64::from(scale)
            };
            let scores: Vec<f64> = (0..=s - t + i).map(dot).collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|x| (x - max).exp()).sum();
            for (j, score) in scores.iter().enumerate() {
                let weight = (score - max).exp() / sum * mask[i * s + j];
                for c in 0..e {
                    z[i * e + c] += weight * v[j * e + c];
                }
            }
            log_sums.push(max + sum.ln());
        }
        (z, log_sums)
    }

    /// Dense q, k, v behind each other, from the fused rows.
    fn dense(&self, q: &[f32], kv: &[f32]) -> Vec<f64> {
        let part = |rows: &[f32], n: usize, first: usize| -> Vec<f32> {
            rows.chunks(3 * self.e + 1)
                .take(n)
                .flat_map(|row| &row[first..first + self.e])
                .copied()
                .collect()
        };
        to_f64(
            &[
                part(q, self.t, 0),
                part(kv, self.s, self.e),
                part(kv, self.s, 2 * self.e),
            ]
            .concat(),
        )
    }
}

fn case(most: usize) -> impl Strategy<Value = (Case, u64)> {
    let sizes = (1..most, 0..most / 2, 1usize..20);
    (
        sizes,
        0.05f32..1.0,
        prop::option::of(0.0f32..0.6),
        any::<u64>(),
    )
        .prop_map(|((t, more, e), scale, p, seed)| {
            let dropout = p.map(|p| (Mask::new(seed, p), seed % 1_000));
            (
                Case {
                    t,
                    s: t + more,
                    e,
                    scale,
                    dropout,
                },
                seed,
            )
        })
}

/// z dense, log_sum, in tiles as the tensor crate calls it.
fn run(case: &Case, head: &Head<'_>) -> (Vec<f32>, Vec<f32>) {
    let (mut z, mut log_sum, mut tile) = (
        vec![f32::NAN; case.t * case.e],
        vec![f32::NAN; case.t],
        vec![f32::NAN; 3],
    );
    for start in (0..case.t).step_by(TILE) {
        let end = (start + TILE).min(case.t);
        let rows = MatMut::new(&mut z[start * case.e..end * case.e], end - start, case.e);
        forward(rows, &mut log_sum[start..end], head, start, end, &mut tile);
    }
    (z, log_sum)
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn forward_agrees_with_f64((case, seed) in case(150)) {
        let stride = 3 * case.e + 1;
        let (q, kv) = (normals(seed, 1, case.t * stride), normals(seed, 2, case.s * stride));
        let head = case.head(&q, &kv);
        let (z, log_sum) = run(&case, &head);
        let dense = case.dense(&q, &kv);
        let (expected, log_sums) = case.naive(&dense, &case.mask());
        assert_close("z", &z, &expected, 5e-6);
        assert_close("log Σ exp", &log_sum, &log_sums, 5e-6);

        let mut all = vec![f32::NAN; case.t * case.s];
        scores(&mut all, &head);
        let (q, kv) = dense.split_at(case.t * case.e);
        for (i, row) in all.chunks_exact(case.s).enumerate() {
            let dot = |j: usize| -> f64 { (0..case.e).map(|c| q[i * case.e + c] * kv[j * case.e + c]).sum() };
            let seen = case.s - case.t + i;
            let expected: Vec<f64> = (0..case.s)
                .map(|j| if j <= seen { dot(j) * f64::from(case.scale) } else { f64::NEG_INFINITY })
                .collect();
            assert_close("scores", row, &expected, 5e-6);
        }
    }

    #[test]
    fn backward_is_the_derivative((case, seed) in case(100)) {
        let &Case { t, s, e, .. } = &case;
        let stride = 3 * e + 1;
        let (q, kv) = (normals(seed, 1, t * stride), normals(seed, 2, s * stride));
        let head = case.head(&q, &kv);
        let (_, log_sum) = run(&case, &head);
        let dz = normals(seed, 3, t * e);
        let (mut dq, mut dk, mut dv) = (vec![f32::NAN; t * e], vec![0.0; s * e], vec![0.0; s * e]);
        let (mut p_tile, mut d_tile) = (Vec::new(), Vec::new());
        for start in (0..t).step_by(TILE) {
            let end = (start + TILE).min(t);
            let mut out = HeadGradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
            backward(&mut out, &head, MatRef::new(&dz, t, e), &log_sum, start, end, [&mut p_tile, &mut d_tile]);
        }
        let mut dense = case.dense(&q, &kv);
        let mask = case.mask();
        let loss = |qkv: &[f64]| -> f64 {
            case.naive(qkv, &mask).0.iter().zip(&dz).map(|(z, &dz)| z * f64::from(dz)).sum()
        };
        let actual = [dq, dk, dv].concat();
        for i in 0..9 {
            // Three places in each of q, k, v.
            let parts = [0..t * e, t * e..(t + s) * e, (t + s) * e..(t + 2 * s) * e];
            let part = parts[i as usize % 3].clone();
            let i = part.start + below(seed, i, part.len());
            let expected = slope(&mut dense, i, loss);
            assert_close("gradient", &actual[i..=i], &[expected], 2e-5);
        }
    }
}
