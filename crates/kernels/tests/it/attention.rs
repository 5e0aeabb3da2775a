//! Causal attention of all heads, in each of its forms, against the equation in f64.

use glassformer_kernels::Pool;
use glassformer_kernels::attention::{Input, Shape, backward, decode, forward, open};
use glassformer_kernels::dropout::{self, Mask};
use glassformer_kernels::memory::{Block, words};
use glassformer_kernels::product::{Precision, Rows, pack};
use proptest::prelude::*;

use crate::support::{assert_close, below, cases, normals, slope, to_f64};

/// Sizes, and arrays q [B·T,H·E], k and v [B·S,K·E] behind each other.
#[derive(Clone, Debug)]
struct Case {
    shape: Shape,
    dropout: Option<Mask>,
    seed: u64,
}

impl Case {
    /// Lengths of q, and of k or v.
    fn lens(&self) -> [usize; 2] {
        let s = &self.shape;
        [
            s.batch * s.queries * s.heads * s.d_head,
            s.batch * s.keys * s.kv_heads * s.d_head,
        ]
    }

    fn numbers(&self) -> [Vec<f32>; 3] {
        let [q, kv] = self.lens();
        [
            normals(self.seed, 1, q),
            normals(self.seed, 2, kv),
            normals(self.seed, 3, kv),
        ]
    }

    fn input<'a>(&self, [q, k, v]: &'a [Vec<f32>; 3]) -> Input<'a> {
        let kv = self.shape.kv_heads * self.shape.d_head;
        Input {
            q: Rows::f32(q, self.shape.heads * self.shape.d_head),
            k: Rows::f32(k, kv),
            v: Rows::f32(v, kv),
            dropout: self.dropout,
        }
    }

    fn mask(&self) -> Vec<f64> {
        let s = &self.shape;
        let mut factors = vec![1.0; s.batch * s.heads * s.queries * s.keys];
        if let Some(mask) = self.dropout {
            dropout::apply(&mut factors, mask, 0);
        }
        to_f64(&factors)
    }

    /// z [B·T,H·E] and log Σ exp [B,H,T], by the equation.
    fn naive(&self, qkv: &[f64], mask: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let Shape {
            batch,
            queries,
            keys,
            heads,
            kv_heads,
            d_head: e,
        } = self.shape;
        let [q_len, kv_len] = self.lens();
        let (q, kv) = qkv.split_at(q_len);
        let (k, v) = kv.split_at(kv_len);
        let (mut z, mut sums) = (vec![0.0; q_len], Vec::new());
        for (b, h, t) in (0..batch * heads * queries)
            .map(|i| (i / queries / heads, i / queries % heads, i % queries))
        {
            let at =
                |s: usize, c: usize| ((b * keys + s) * kv_heads + h * kv_heads / heads) * e + c;
            let query = ((b * queries + t) * heads + h) * e;
            let dot = |s: usize| {
                (0..e).map(|c| q[query + c] * k[at(s, c)]).sum::<f64>() / (e as f64).sqrt()
            };
            let scores: Vec<f64> = (0..=keys - queries + t).map(dot).collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|x| (x - max).exp()).sum();
            for (s, score) in scores.iter().enumerate() {
                let kept = mask[((b * heads + h) * queries + t) * keys + s];
                let weight = (score - max).exp() / sum * kept;
                (0..e).for_each(|c| z[query + c] += weight * v[at(s, c)]);
            }
            sums.push(max + sum.ln());
        }
        (z, sums)
    }

    fn forward(&self, pool: &Pool, input: Input<'_>, precision: Precision) -> (Vec<f32>, Vec<f32>) {
        let s = &self.shape;
        let (mut z, mut sums) = (
            vec![f32::NAN; self.lens()[0]],
            vec![f32::NAN; s.batch * s.heads * s.queries],
        );
        let words = glassformer_kernels::memory::words_mut(&mut z);
        forward::forward(
            pool,
            *s,
            input,
            precision,
            (words, Precision::F32),
            &mut sums,
        );
        (z, sums)
    }
}

fn case(most: usize, more: usize) -> impl Strategy<Value = Case> {
    let sizes = (
        1usize..3,
        1..most,
        0..=more,
        1usize..3,
        1usize..3,
        prop_oneof![1usize..20, Just(64)],
    );
    (sizes, prop::option::of(0.0f32..0.6), any::<u64>()).prop_map(|(sizes, p, seed)| {
        let (batch, queries, more, kv_heads, group, d_head) = sizes;
        let shape = Shape {
            batch,
            queries,
            keys: queries + more,
            heads: kv_heads * group,
            kv_heads,
            d_head,
        };
        Case {
            shape,
            dropout: p.map(|p| Mask::new(seed, p)),
            seed,
        }
    })
}

/// Σ(a − b)² ÷ Σb².
fn nmse(actual: &[f32], expected: &[f64]) -> f64 {
    let error: f64 = actual
        .iter()
        .zip(expected)
        .map(|(&a, b)| (f64::from(a) - b).powi(2))
        .sum();
    error / expected.iter().map(|b| b * b).sum::<f64>().max(1e-30)
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn forward_agrees_with_f64(case in case(150, 60)) {
        let numbers = case.numbers();
        let (expected, log_sums) = case.naive(&to_f64(&numbers.concat()), &case.mask());
        let (z, sums) = case.forward(&Pool::new(2), case.input(&numbers), Precision::F32);
        assert_close("z", &z, &expected, 1e-5);
        assert_close("log Σ exp", &sums, &log_sums, 1e-5);
        let (z, _) = case.forward(&Pool::single(), case.input(&numbers), Precision::Bf16);
        let error = nmse(&z, &expected);
        prop_assert!(error <= 1e-4, "bf16: {error}");
    }

    #[test]
    fn the_open_form_agrees(case in case(40, 20)) {
        let Case { shape, .. } = case;
        let case = Case { dropout: None, ..case };
        let (pool, numbers) = (Pool::new(2), case.numbers());
        let mut scores = vec![f32::NAN; shape.batch * shape.heads * shape.queries * shape.keys];
        open::scores(&pool, shape, case.input(&numbers), &mut scores);
        for (i, row) in scores.chunks_exact(shape.keys).enumerate() {
            let seen = shape.visible(i % shape.queries);
            prop_assert!(row[..seen].iter().all(|x| x.is_finite()));
            prop_assert!(row[seen..].iter().all(|&x| x == f32::NEG_INFINITY));
        }
        open::pattern(&pool, &mut scores, shape.keys);
        let mut z = vec![f32::NAN; case.lens()[0]];
        open::weighted_values(&pool, shape, &scores, case.input(&numbers), &mut z);
        let (expected, _) = case.naive(&to_f64(&numbers.concat()), &case.mask());
        assert_close("z", &z, &expected, 1e-5);
    }

    #[test]
    fn decoding_agrees_with_f64(case in case(4, 700)) {
        let case = Case { shape: Shape { batch: 1, ..case.shape }, dropout: None, ..case };
        let numbers = case.numbers();
        let mut z = vec![f32::NAN; case.lens()[0]];
        let mut scratch = vec![f32::NAN; decode::scratch_len(&case.shape)];
        decode::decode(&Pool::new(2), case.shape, case.input(&numbers), &mut z, &mut scratch);
        let (expected, _) = case.naive(&to_f64(&numbers.concat()), &case.mask());
        assert_close("z", &z, &expected, 1e-5);
    }

    #[test]
    fn backward_is_the_derivative(case in case(100, 0)) {
        let Case { shape, .. } = case;
        let (pool, numbers) = (Pool::new(2), case.numbers());
        let input = case.input(&numbers);
        let width = shape.heads * shape.d_head;
        let fused = (shape.heads + 2 * shape.kv_heads) * shape.d_head;
        let dz = normals(case.seed, 4, case.lens()[0]);
        let gradient = |precision| {
            let (z, sums) = case.forward(&pool, input, precision);
            let saved = backward::Saved { z: Rows::f32(&z, width), log_sum: &sums };
            let mut d_qkv = vec![f32::NAN; shape.batch * shape.queries * fused];
            let out = (glassformer_kernels::memory::words_mut(&mut d_qkv), Precision::F32);
            backward::backward(&pool, shape, input, saved, Rows::f32(&dz, width), precision, out);
            d_qkv
        };
        let actual = gradient(Precision::F32);
        let mut dense = to_f64(&numbers.concat());
        let mask = case.mask();
        let loss = |qkv: &[f64]| -> f64 {
            case.naive(qkv, &mask).0.iter().zip(&dz).map(|(z, &dz)| z * f64::from(dz)).sum()
        };
        let kv = shape.kv_heads * shape.d_head;
        for i in 0..9 {
            // Three places in each of q, k, v.
            let part = i as usize % 3;
            let (len, first) = ([width, kv, kv][part], [0, width, width + kv][part]);
            let (row, col) = (below(case.seed, i, shape.batch * shape.queries), below(case.seed, 50 + i, len));
            let [q_len, kv_len] = case.lens();
            let at = [0, q_len, q_len + kv_len][part] + row * len + col;
            let expected = slope(&mut dense, at, loss);
            assert_close("gradient", &[actual[row * fused + first + col]], &[expected], 5e-5);
        }
        // A head of a few numbers has nothing over which rounding could average out.
        let error = nmse(&gradient(Precision::Bf16), &to_f64(&actual));
        prop_assert!(error <= 1e-4 || shape.d_head < 8, "bf16: {error}");
    }
}

#[test]
fn values_kept_in_pairs_give_the_same_as_their_numbers() {
    let case = Case {
        shape: Shape {
            batch: 2,
            queries: 70,
            keys: 70,
            heads: 3,
            kv_heads: 3,
            d_head: 6,
        },
        dropout: None,
        seed: 5,
    };
    let pool = Pool::single();
    let numbers = case.numbers();
    let width = case.shape.heads * case.shape.d_head;
    let pairs = numbers.each_ref().map(|x| {
        let mut block = Block::zeros(x.len() / 2);
        pack::rows(
            &pool,
            block.words_mut(),
            Precision::Bf16,
            Rows::f32(x, width),
        );
        block
    });
    let [q, k, v] = pairs
        .each_ref()
        .map(|x| Rows::new(x.words(), Precision::Bf16, [140, width], width / 2));
    let (from_pairs, sums) = case.forward(
        &pool,
        Input {
            q,
            k,
            v,
            dropout: None,
        },
        Precision::Bf16,
    );
    let (plain, plain_sums) = case.forward(&pool, case.input(&numbers), Precision::Bf16);
    assert_eq!(from_pairs, plain);
    assert_eq!(words(&sums), words(&plain_sums));
}
