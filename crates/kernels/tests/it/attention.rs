//! Attention of all heads, in each of its forms, against the equation in f64.

use glassformer_kernels::Pool;
use glassformer_kernels::attention::{
    Bias, Input, Kept, Number, Sees, Sequences, Shape, backward, decode, forward, open, usual_scale,
};
use glassformer_kernels::dropout::{self, Mask};
use glassformer_kernels::memory::{Block, words, words_mut};
use glassformer_kernels::product::{Precision, Rows, pack};
use proptest::prelude::*;

use crate::support::{assert_close, below, cases, normals, slope, to_f64, under_miri};

/// Sizes, and arrays q [ΣT,H·E], k and v [ΣS,K·E] behind each other.
#[derive(Clone, Debug)]
struct Case {
    /// T and S of each sequence.
    lengths: Vec<[usize; 2]>,
    /// Where each begins, and the end: of the queries, of the keys.
    starts: [Vec<usize>; 2],
    /// Whether the lengths are told as one pair for all.
    equal: bool,
    sees: Sees,
    heads: usize,
    kv_heads: usize,
    d_head: usize,
    dropout: Option<Mask>,
    /// Whether scores have a bias by distance, and another scale than usual.
    biased: bool,
    seed: u64,
}

impl Case {
    /// Of sequences of these lengths.
    fn with(self, lengths: Vec<[usize; 2]>) -> Self {
        let starts = [0, 1].map(|i| {
            let ends = lengths.iter().scan(0, |end, length| {
                *end += length[i];
                Some(*end)
            });
            std::iter::once(0).chain(ends).collect()
        });
        let equal = lengths.windows(2).all(|pair| pair[0] == pair[1]);
        Self {
            lengths,
            starts,
            equal: self.equal && equal,
            ..self
        }
    }

    fn shape(&self) -> Shape<'_> {
        let [queries, keys] = &self.starts;
        let [t, s] = self.lengths[0];
        Shape {
            sequences: if self.equal {
                Sequences::Equal {
                    batch: self.lengths.len(),
                    queries: t,
                    keys: s,
                }
            } else {
                Sequences::Ragged { queries, keys }
            },
            sees: self.sees,
            heads: self.heads,
            kv_heads: self.kv_heads,
            d_head: self.d_head,
            scale: self.scale(),
        }
    }

    fn scale(&self) -> f32 {
        let factor = if self.biased { 0.7 } else { 1.0 };
        factor * usual_scale(self.d_head)
    }

    /// Numbers of each head's bias; as many lie on both sides of the query's own place, and one more than needed.
    fn bias_width(&self) -> usize {
        let most = self.lengths.iter().map(|[_, keys]| *keys).max();
        if self.biased {
            2 * most.unwrap() + 1
        } else {
            0
        }
    }

    /// [H,W].
    fn bias(&self) -> Vec<f32> {
        normals(self.seed, 5, self.heads * self.bias_width())
    }

    /// Σ T, Σ S.
    fn rows(&self) -> [usize; 2] {
        self.starts
            .each_ref()
            .map(|starts| starts[starts.len() - 1])
    }

    /// Lengths of q, and of k or v.
    fn lens(&self) -> [usize; 2] {
        let [queries, keys] = self.rows();
        [
            queries * self.heads * self.d_head,
            keys * self.kv_heads * self.d_head,
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

    fn input<'a>(&self, [q, k, v]: &'a [Vec<f32>; 3], bias: &'a [f32]) -> Input<'a> {
        let kv = self.kv_heads * self.d_head;
        let width = self.bias_width();
        Input {
            bias: self.biased.then_some(Bias {
                table: bias,
                width,
                zero: width / 2,
            }),
            q: Rows::f32(q, self.heads * self.d_head),
            k: Rows::f32(k, kv),
            v: Rows::f32(v, kv),
            dropout: self.dropout,
        }
    }

    /// q, k, v and the bias one behind the other.
    fn all(&self, numbers: &[Vec<f32>; 3]) -> Vec<f64> {
        to_f64(&[numbers.concat(), self.bias()].concat())
    }

    fn mask(&self) -> Vec<f64> {
        let pairs: usize = self.lengths.iter().map(|[t, s]| t * s).sum();
        let mut factors = vec![1.0; self.heads * pairs];
        if let Some(mask) = self.dropout {
            dropout::apply(&mut factors, mask, 0);
        }
        to_f64(&factors)
    }

    /// z [ΣT,H·E] and log Σ exp, [H,T] of each sequence, by the equation, from q, k, v and the bias one behind the other.
    fn naive(&self, qkv: &[f64], mask: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let &Self {
            heads,
            kv_heads,
            d_head: e,
            ..
        } = self;
        let [q_len, kv_len] = self.lens();
        let (q, kv) = qkv.split_at(q_len);
        let (k, rest) = kv.split_at(kv_len);
        let (v, bias) = rest.split_at(kv_len);
        let width = self.bias_width();
        let (mut z, mut sums) = (vec![0.0; q_len], Vec::new());
        let mut planes = mask;
        for (b, &[queries, keys]) in self.lengths.iter().enumerate() {
            let [first_query, first_key] = [0, 1].map(|i| self.starts[i][b]);
            for h in 0..heads {
                let (plane, rest) = planes.split_at(queries * keys);
                planes = rest;
                for t in 0..queries {
                    let at = |s: usize, c: usize| {
                        ((first_key + s) * kv_heads + h * kv_heads / heads) * e + c
                    };
                    let query = ((first_query + t) * heads + h) * e;
                    let dot = |s: usize| {
                        let product: f64 = (0..e).map(|c| q[query + c] * k[at(s, c)]).sum();
                        let place = || h * width + width / 2 + s + queries - keys - t;
                        let bias = if self.biased { bias[place()] } else { 0.0 };
                        product * f64::from(self.scale()) + bias
                    };
                    let seen: Vec<usize> = (0..keys)
                        .filter(|&s| self.looks_at(t, queries, s, keys))
                        .collect();
                    let scores: Vec<f64> = seen.iter().map(|&s| dot(s)).collect();
                    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = scores.iter().map(|x| (x - max).exp()).sum();
                    for (&s, score) in seen.iter().zip(&scores) {
                        let weight = (score - max).exp() / sum * plane[t * keys + s];
                        (0..e).for_each(|c| z[query + c] += weight * v[at(s, c)]);
                    }
                    sums.push(max + sum.ln());
                }
            }
        }
        (z, sums)
    }

    fn looks_at(&self, t: usize, queries: usize, s: usize, keys: usize) -> bool {
        // Counted from the end, where the last query stands at the last key.
        let (t, s) = (queries - t, keys - s);
        match self.sees {
            Sees::All => true,
            Sees::Past => s >= t,
            Sees::Window(width) => s >= t && s < t + width,
        }
    }

    fn forward(&self, pool: &Pool, input: Input<'_>, precision: Precision) -> (Vec<f32>, Vec<f32>) {
        let (mut z, mut sums) = (
            vec![f32::NAN; self.lens()[0]],
            vec![f32::NAN; self.rows()[0] * self.heads],
        );
        let words = glassformer_kernels::memory::words_mut(&mut z);
        forward::forward(
            pool,
            self.shape(),
            input,
            precision,
            (words, Precision::F32),
            &mut sums,
        );
        (z, sums)
    }
}

/// Sequences of up to `most` queries and up to `more` keys before them.
fn case(most: usize, more: usize) -> impl Strategy<Value = Case> {
    let (most, more) = (
        under_miri(most.min(11), most),
        under_miri(more.min(3), more),
    );
    let lengths = prop::collection::vec((1..most, 0..=more), 1..under_miri(3, 4));
    let sizes = (
        lengths,
        any::<bool>(),
        1..under_miri(2, 3),
        1usize..3,
        prop_oneof![1..under_miri(8, 20), Just(under_miri(9, 64))],
    );
    let sees = prop_oneof![
        Just(Sees::Past),
        Just(Sees::All),
        (1usize..90).prop_map(Sees::Window)
    ];
    let extras = (prop::option::of(0.0f32..0.6), any::<bool>());
    (sizes, sees, extras, any::<u64>()).prop_map(|(sizes, sees, (p, biased), seed)| {
        let (lengths, equal, kv_heads, group, d_head) = sizes;
        // Who looks at all keys may look at those of a shorter text.
        let is_cross = sees == Sees::All && seed % 2 == 0;
        let lengths: Vec<_> = lengths
            .iter()
            .map(|&(queries, more)| {
                if is_cross {
                    [queries + more, queries]
                } else {
                    [queries, queries + more]
                }
            })
            .collect();
        let lengths = if equal {
            vec![lengths[0]; lengths.len()]
        } else {
            lengths
        };
        let case = Case {
            lengths: Vec::new(),
            starts: [vec![], vec![]],
            equal,
            sees,
            heads: kv_heads * group,
            kv_heads,
            d_head,
            dropout: p.map(|p| Mask::new(seed, p)),
            biased: biased && !is_cross,
            seed,
        };
        case.with(lengths)
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
        let (numbers, bias) = (case.numbers(), case.bias());
        let (expected, log_sums) = case.naive(&case.all(&numbers), &case.mask());
        let (z, sums) = case.forward(&Pool::new(2), case.input(&numbers, &bias), Precision::F32);
        assert_close("z", &z, &expected, 1e-5);
        assert_close("log Σ exp", &sums, &log_sums, 1e-5);
        let (z, _) = case.forward(&Pool::single(), case.input(&numbers, &bias), Precision::Bf16);
        // A head of a few numbers has nothing over which rounding could average out.
        let error = nmse(&z, &expected);
        prop_assert!(error <= 1e-4 || case.d_head < 8, "bf16: {error}");
    }

    #[test]
    fn the_open_form_agrees(case in case(40, 20), batch in 1usize..3) {
        let lengths = vec![case.lengths[0]; batch];
        let case = Case { dropout: None, equal: true, ..case }.with(lengths);
        let [queries, keys] = case.lengths[0];
        let (pool, numbers, bias) = (Pool::new(2), case.numbers(), case.bias());
        let mut scores = vec![f32::NAN; batch * case.heads * queries * keys];
        open::scores(&pool, case.shape(), case.input(&numbers, &bias), &mut scores);
        for (i, row) in scores.chunks_exact(keys).enumerate() {
            for (s, &score) in row.iter().enumerate() {
                let seen = case.looks_at(i % queries, queries, s, keys);
                let as_masked = if seen { score.is_finite() } else { score == f32::NEG_INFINITY };
                prop_assert!(as_masked, "score {score} of query {}, key {s}", i % queries);
            }
        }
        open::pattern(&pool, &mut scores, keys);
        let mut z = vec![f32::NAN; case.lens()[0]];
        open::weighted_values(&pool, case.shape(), &scores, case.input(&numbers, &bias), &mut z);
        let (expected, _) = case.naive(&case.all(&numbers), &case.mask());
        assert_close("z", &z, &expected, 1e-5);
    }

    #[test]
    fn decoding_agrees_with_f64(case in case(4, 700)) {
        let lengths = case.lengths.clone();
        let case = Case { dropout: None, ..case }.with(lengths);
        let (numbers, bias) = (case.numbers(), case.bias());
        let mut z = vec![f32::NAN; case.lens()[0]];
        let cols = [case.heads, case.kv_heads, case.kv_heads].map(|heads| heads * case.d_head);
        for number in [Number::F32, Number::F16] {
            // What the cache keeps: the same numbers, rounded.
            let [k, v] = [1, 2].map(|i| kept(number, &numbers[i], cols[i]));
            let meant = |words: &[u32], i: usize| {
                let mut read = vec![f32::NAN; numbers[i].len()];
                Kept::new(words, number, cols[i]).read(&mut read);
                read
            };
            let meant = [numbers[0].clone(), meant(&k, 1), meant(&v, 2)];
            let mut scratch = vec![f32::NAN; decode::scratch_len(&case.shape())];
            let q = Rows::f32(&numbers[0], cols[0]);
            let cache = [&k, &v].map(|words| Kept::new(words, number, cols[1]));
            let of = |b: usize| cache.map(|kept| kept.range(case.starts[1][b], case.starts[1][b + 1]));
            let bias = case.input(&numbers, &bias).bias;
            decode::decode(&Pool::new(2), case.shape(), q, bias, of, &mut z, &mut scratch);
            let (expected, _) = case.naive(&case.all(&meant), &case.mask());
            assert_close("z", &z, &expected, 1e-5);
            let rounding = nmse(&meant[1], &to_f64(&numbers[1]));
            prop_assert!(rounding == 0.0 || number == Number::F16 && rounding < 1e-6, "{rounding}");
        }
    }

    #[test]
    fn backward_is_the_derivative(case in case(100, 30)) {
        let (numbers, mask) = (case.numbers(), case.mask());
        let dz = normals(case.seed, 4, case.lens()[0]);
        let actual = case.gradients(&numbers, &dz, Precision::F32, false);
        let mut dense = case.all(&numbers);
        let loss = |all: &[f64]| -> f64 {
            case.naive(all, &mask).0.iter().zip(&dz).map(|(z, &dz)| z * f64::from(dz)).sum()
        };
        let [q_len, kv_len] = case.lens();
        let starts = [0, q_len, q_len + kv_len, q_len + 2 * kv_len, dense.len()];
        for i in 0..under_miri(4, 12) as u64 {
            // Three places in each of q, k, v and the bias.
            let [start, end] = [0, 1].map(|more| starts[i as usize % 4 + more]);
            if start < end {
                let at = start + below(case.seed, i, end - start);
                let expected = slope(&mut dense, at, loss);
                assert_close("gradient", &[actual[at]], &[expected], 5e-5);
            }
        }
        let rounded = case.gradients(&numbers, &dz, Precision::Bf16, false);
        let error = nmse(&rounded, &to_f64(&actual));
        prop_assert!(error <= 1e-4 || case.d_head < 8, "bf16: {error}");
        let [queries, keys] = case.rows();
        if queries == keys {
            let fused = case.gradients(&numbers, &dz, Precision::F32, true);
            prop_assert_eq!(words(&fused), words(&actual));
        }
    }
}

impl Case {
    /// d z·dz with respect to q, k, v and the bias, one behind the other; made as fused rows q·k·v, or apart.
    fn gradients(
        &self,
        numbers: &[Vec<f32>; 3],
        dz: &[f32],
        precision: Precision,
        fused: bool,
    ) -> Vec<f32> {
        let (pool, bias) = (Pool::new(2), self.bias());
        let input = self.input(numbers, &bias);
        let (z, sums) = self.forward(&pool, input, precision);
        let (width, kv) = (self.heads * self.d_head, self.kv_heads * self.d_head);
        let saved = backward::Saved {
            z: Rows::f32(&z, width),
            log_sum: &sums,
        };
        let [queries, keys] = self.rows();
        let first = if fused { width + 2 * kv } else { width };
        let mut d_q = vec![f32::NAN; queries * first];
        let mut d_kv = vec![f32::NAN; keys * 2 * kv];
        let mut d_bias = vec![0.0; self.lengths.len() * bias.len()];
        let apart = [&mut d_q, &mut d_kv].map(|x| words_mut(x));
        let out = backward::Output {
            rows: match apart {
                [d_qkv, _] if fused => backward::OutputRows::Fused(d_qkv),
                apart => backward::OutputRows::Apart(apart),
            },
            kept: Precision::F32,
            bias: &mut d_bias,
        };
        let dz = Rows::f32(dz, width);
        backward::backward(&pool, self.shape(), input, saved, dz, precision, out);
        let columns = |x: &[f32], stride: usize, first: usize, len: usize| -> Vec<f32> {
            let rows = x.chunks_exact(stride);
            rows.flat_map(|row| row[first..first + len].to_vec())
                .collect()
        };
        let [k, v] = [0, kv].map(|at| {
            if fused {
                columns(&d_q, first, width + at, kv)
            } else {
                columns(&d_kv, 2 * kv, at, kv)
            }
        });
        let mut sum = vec![0.0; bias.len()];
        for part in d_bias.chunks_exact(bias.len().max(1)) {
            sum.iter_mut()
                .zip(part)
                .for_each(|(sum, part)| *sum += part);
        }
        [columns(&d_q, first, 0, width), k, v, sum].concat()
    }
}

/// Rows of `cols` numbers as a cache keeps them.
fn kept(number: Number, x: &[f32], cols: usize) -> Vec<u32> {
    let row = number.words(cols);
    let mut words = vec![u32::MAX; x.len() / cols * row];
    for (words, x) in words.chunks_exact_mut(row).zip(x.chunks_exact(cols)) {
        number.write(words, x);
    }
    words
}

#[test]
fn values_kept_in_pairs_give_the_same_as_their_numbers() {
    let case = Case {
        lengths: Vec::new(),
        starts: [vec![], vec![]],
        equal: true,
        sees: Sees::Past,
        heads: 3,
        kv_heads: 3,
        d_head: 6,
        dropout: None,
        biased: false,
        seed: 5,
    };
    let case = case.with(vec![[70, 70]; 2]);
    let pool = Pool::single();
    let numbers = case.numbers();
    let width = case.heads * case.d_head;
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
            bias: None,
        },
        Precision::Bf16,
    );
    let bias = case.bias();
    let (plain, plain_sums) = case.forward(&pool, case.input(&numbers, &bias), Precision::Bf16);
    assert_eq!(from_pairs, plain);
    assert_eq!(words(&sums), words(&plain_sums));
}
