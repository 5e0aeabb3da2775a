//! Attention of all heads, in each of its forms, against the equation in f64.

use glassformer_kernels::Pool;
use glassformer_kernels::attention::{
    Input, Kept, Number, Sees, Sequences, Shape, backward, decode, forward, open,
};
use glassformer_kernels::dropout::{self, Mask};
use glassformer_kernels::memory::{Block, words};
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
        }
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

    fn input<'a>(&self, [q, k, v]: &'a [Vec<f32>; 3]) -> Input<'a> {
        let kv = self.kv_heads * self.d_head;
        Input {
            q: Rows::f32(q, self.heads * self.d_head),
            k: Rows::f32(k, kv),
            v: Rows::f32(v, kv),
            dropout: self.dropout,
        }
    }

    fn mask(&self) -> Vec<f64> {
        let pairs: usize = self.lengths.iter().map(|[t, s]| t * s).sum();
        let mut factors = vec![1.0; self.heads * pairs];
        if let Some(mask) = self.dropout {
            dropout::apply(&mut factors, mask, 0);
        }
        to_f64(&factors)
    }

    /// z [ΣT,H·E] and log Σ exp, [H,T] of each sequence, by the equation.
    fn naive(&self, qkv: &[f64], mask: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let &Self {
            heads,
            kv_heads,
            d_head: e,
            ..
        } = self;
        let [q_len, kv_len] = self.lens();
        let (q, kv) = qkv.split_at(q_len);
        let (k, v) = kv.split_at(kv_len);
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
                        (0..e).map(|c| q[query + c] * k[at(s, c)]).sum::<f64>() / (e as f64).sqrt()
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
    (sizes, sees, prop::option::of(0.0f32..0.6), any::<u64>()).prop_map(|(sizes, sees, p, seed)| {
        let (lengths, equal, kv_heads, group, d_head) = sizes;
        let lengths: Vec<_> = lengths
            .iter()
            .map(|&(queries, more)| [queries, queries + more])
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
        let numbers = case.numbers();
        let (expected, log_sums) = case.naive(&to_f64(&numbers.concat()), &case.mask());
        let (z, sums) = case.forward(&Pool::new(2), case.input(&numbers), Precision::F32);
        assert_close("z", &z, &expected, 1e-5);
        assert_close("log Σ exp", &sums, &log_sums, 1e-5);
        let (z, _) = case.forward(&Pool::single(), case.input(&numbers), Precision::Bf16);
        // A head of a few numbers has nothing over which rounding could average out.
        let error = nmse(&z, &expected);
        prop_assert!(error <= 1e-4 || case.d_head < 8, "bf16: {error}");
    }

    #[test]
    fn the_open_form_agrees(case in case(40, 20), batch in 1usize..3) {
        let lengths = vec![case.lengths[0]; batch];
        let case = Case { dropout: None, equal: true, ..case }.with(lengths);
        let [queries, keys] = case.lengths[0];
        let (pool, numbers) = (Pool::new(2), case.numbers());
        let mut scores = vec![f32::NAN; batch * case.heads * queries * keys];
        open::scores(&pool, case.shape(), case.input(&numbers), &mut scores);
        for (i, row) in scores.chunks_exact(keys).enumerate() {
            for (s, &score) in row.iter().enumerate() {
                let seen = case.looks_at(i % queries, queries, s, keys);
                let as_masked = if seen { score.is_finite() } else { score == f32::NEG_INFINITY };
                prop_assert!(as_masked, "score {score} of query {}, key {s}", i % queries);
            }
        }
        open::pattern(&pool, &mut scores, keys);
        let mut z = vec![f32::NAN; case.lens()[0]];
        open::weighted_values(&pool, case.shape(), &scores, case.input(&numbers), &mut z);
        let (expected, _) = case.naive(&to_f64(&numbers.concat()), &case.mask());
        assert_close("z", &z, &expected, 1e-5);
    }

    #[test]
    fn decoding_agrees_with_f64(case in case(4, 700)) {
        let lengths = vec![case.lengths[0]];
        let case = Case { dropout: None, ..case }.with(lengths);
        let numbers = case.numbers();
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
            decode::decode(&Pool::new(2), case.shape(), q, cache, &mut z, &mut scratch);
            let (expected, _) = case.naive(&to_f64(&meant.concat()), &case.mask());
            assert_close("z", &z, &expected, 1e-5);
            let rounding = nmse(&meant[1], &to_f64(&numbers[1]));
            prop_assert!(rounding == 0.0 || number == Number::F16 && rounding < 1e-6, "{rounding}");
        }
    }

    #[test]
    fn backward_is_the_derivative(case in case(100, 0)) {
        let (pool, numbers) = (Pool::new(2), case.numbers());
        let input = case.input(&numbers);
        let (width, kv) = (case.heads * case.d_head, case.kv_heads * case.d_head);
        let (fused, [rows, _]) = (width + 2 * kv, case.rows());
        let dz = normals(case.seed, 4, case.lens()[0]);
        let gradient = |precision| {
            let (z, sums) = case.forward(&pool, input, precision);
            let saved = backward::Saved { z: Rows::f32(&z, width), log_sum: &sums };
            let mut d_qkv = vec![f32::NAN; rows * fused];
            let out = (glassformer_kernels::memory::words_mut(&mut d_qkv), Precision::F32);
            backward::backward(&pool, case.shape(), input, saved, Rows::f32(&dz, width), precision, out);
            d_qkv
        };
        let actual = gradient(Precision::F32);
        let mut dense = to_f64(&numbers.concat());
        let mask = case.mask();
        let loss = |qkv: &[f64]| -> f64 {
            case.naive(qkv, &mask).0.iter().zip(&dz).map(|(z, &dz)| z * f64::from(dz)).sum()
        };
        for i in 0..under_miri(3, 9) as u64 {
            // Three places in each of q, k, v.
            let part = i as usize % 3;
            let (len, first) = ([width, kv, kv][part], [0, width, width + kv][part]);
            let (row, col) = (below(case.seed, i, rows), below(case.seed, 50 + i, len));
            let [q_len, kv_len] = case.lens();
            let at = [0, q_len, q_len + kv_len][part] + row * len + col;
            let expected = slope(&mut dense, at, loss);
            assert_close("gradient", &[actual[row * fused + first + col]], &[expected], 5e-5);
        }
        let error = nmse(&gradient(Precision::Bf16), &to_f64(&actual));
        prop_assert!(error <= 1e-4 || case.d_head < 8, "bf16: {error}");
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
        },
        Precision::Bf16,
    );
    let (plain, plain_sums) = case.forward(&pool, case.input(&numbers), Precision::Bf16);
    assert_eq!(from_pairs, plain);
    assert_eq!(words(&sums), words(&plain_sums));
}
