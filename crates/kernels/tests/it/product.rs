//! C = A·B from packed operands, and each finish, against the three nested loops in f64.

use glassformer_kernels::Pool;
use glassformer_kernels::activation::Activation;
use glassformer_kernels::memory::Block;
use glassformer_kernels::product::finish::{
    self, ActivationGradients, Onto, activate, activate_backward,
};
use glassformer_kernels::product::stored::{MOST_ROWS, StoredRows, few_rows};
use glassformer_kernels::product::{BLOCK_ROWS, Left, Precision, Right, Rows, pack};
use proptest::prelude::*;

use crate::activation::naive;
use crate::support::{assert_close, cases, normals, under_miri};

/// Rounded to bf16 and back, by the definition: the nearest of the numbers with 8 bits, even on ties.
fn rounded(precision: Precision, x: f32) -> f32 {
    match precision {
        Precision::F32 => x,
        Precision::Bf16 => {
            let lower = f32::from_bits(x.to_bits() & 0xffff_0000);
            let upper = f32::from_bits((x.to_bits() & 0xffff_0000).wrapping_add(0x1_0000));
            let (down, up) = ((x - lower).abs(), (upper - x).abs());
            let even = (lower.to_bits() >> 16).is_multiple_of(2);
            if down < up || (down == up && even) {
                lower
            } else {
                upper
            }
        }
    }
}

/// A row-major matrix of random numbers that are exact in `precision`.
#[derive(Clone)]
struct Matrix {
    data: Vec<f32>,
    rows: usize,
    cols: usize,
}

impl Matrix {
    fn new(seed: u64, purpose: u64, precision: Precision, rows: usize, cols: usize) -> Self {
        let data = normals(seed, purpose, rows * cols);
        let data = data.into_iter().map(|x| rounded(precision, x)).collect();
        Self { data, rows, cols }
    }

    fn at(&self, r: usize, c: usize) -> f64 {
        f64::from(self.data[r * self.cols + c])
    }

    fn t(&self) -> Self {
        let (rows, cols) = (self.cols, self.rows);
        let data = (0..rows * cols)
            .map(|i| self.data[i % cols * self.cols + i / cols])
            .collect();
        Self { data, rows, cols }
    }

    fn times(&self, b: &Self) -> Vec<f64> {
        let cell = |i: usize| {
            let (r, c) = (i / b.cols, i % b.cols);
            (0..self.cols).map(|k| self.at(r, k) * b.at(k, c)).sum()
        };
        (0..self.rows * b.cols).map(cell).collect()
    }

    /// Words of the rows, and the rows; or of the rows in bf16 pairs.
    fn words(&self, precision: Precision, pool: &Pool) -> Block {
        let mut block = filled(self.rows * precision.words(self.cols));
        pack::rows(
            pool,
            block.words_mut(),
            precision,
            Rows::f32(&self.data, self.cols),
        );
        block
    }

    fn rows<'a>(&self, block: &'a Block, precision: Precision) -> Rows<'a> {
        Rows::new(
            block.words(),
            precision,
            [self.rows, self.cols],
            precision.words(self.cols),
        )
    }
}

/// What nobody wrote must not matter.
fn filled(len: usize) -> Block {
    let mut block = Block::zeros(len);
    block.fill(f32::NAN);
    block
}

fn precisions() -> impl Strategy<Value = Precision> {
    prop_oneof![Just(Precision::F32), Just(Precision::Bf16)]
}

fn sizes() -> impl Strategy<Value = (usize, usize, usize)> {
    prop_oneof![
        (1..under_miri(20, 30), 1..under_miri(6, 40), 1usize..120),
        // Beyond one block of work in each direction.
        (
            1..under_miri(20, 300),
            1..under_miri(6, 20),
            1..under_miri(120, 430),
        ),
        (
            1usize..10,
            under_miri(10, 100)..under_miri(20, 1_700),
            1usize..60,
        ),
    ]
}

const IN_NARROW: usize = 6;

/// B in its words, from its rows or from the rows of its transpose, in f32 or already in pairs; from layout 5 read on the way, in
/// narrow panels in layout [`IN_NARROW`].
fn right(b: &Matrix, precision: Precision, layout: usize, pool: &Pool) -> Block {
    let len = if layout == IN_NARROW {
        Right::narrow_len
    } else {
        Right::len
    };
    let mut block = filled(len(precision, b.rows, b.cols));
    let source = if layout.is_multiple_of(2) {
        b.clone()
    } else {
        b.t()
    };
    let kept = if (layout / 2).is_multiple_of(2) {
        Precision::F32
    } else {
        precision
    };
    let words = source.words(kept, pool);
    let rows = source.rows(&words, kept);
    if layout == 5 {
        let read = |first: usize, out: &mut [f32]| {
            out.copy_from_slice(&source.data[first * source.cols..][..out.len()]);
        };
        let size = [source.rows, source.cols];
        pack::right_transposed_from(pool, block.words_mut(), precision, size, read);
    } else if layout == IN_NARROW {
        pack::narrow_right(pool, block.words_mut(), precision, rows);
    } else if layout.is_multiple_of(2) {
        pack::right(pool, block.words_mut(), precision, rows);
    } else {
        pack::right_transposed(pool, block.words_mut(), precision, rows);
    }
    block
}

/// A: where it lies, or in panels.
fn left(a: &Matrix, precision: Precision, layout: usize, pool: &Pool) -> Block {
    if layout.is_multiple_of(2) {
        return a.words(precision, pool);
    }
    let mut block = filled(Left::panels_len(precision, a.rows, a.cols));
    let source = a.t();
    let kept = if (layout / 2).is_multiple_of(2) {
        Precision::F32
    } else {
        precision
    };
    let words = source.words(kept, pool);
    pack::columns(
        pool,
        block.words_mut(),
        precision,
        source.rows(&words, kept),
    );
    block
}

fn left_view<'a>(a: &Matrix, block: &'a Block, precision: Precision, layout: usize) -> Left<'a> {
    if layout.is_multiple_of(2) {
        a.rows(block, precision).into()
    } else {
        Left::in_panels(block.words(), precision, a.rows, a.cols)
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn is_the_sum_of_products(
        (m, k, n) in sizes(), precision in precisions(), layouts in (0usize..4, 0usize..=IN_NARROW),
        threads in 1usize..4, (onto, shift) in (0usize..4, 0usize..3), with_bias: bool, seed: u64,
    ) {
        let pool = Pool::new(threads);
        let (a, b) = (Matrix::new(seed, 1, precision, m, k), Matrix::new(seed, 2, precision, k, n));
        let (a_words, b_words) = (left(&a, precision, layouts.0, &pool), right(&b, precision, layouts.1, &pool));
        let left = left_view(&a, &a_words, precision, layouts.0);
        let view = if layouts.1 == IN_NARROW { Right::narrow } else { Right::new };
        let right = view(b_words.words(), precision, k, n);
        let bias = normals(seed, 3, n);
        let other = normals(seed, 4, m * n);
        // Behind a few numbers rows begin inside of cache lines.
        let mut room = Block::zeros(shift + m * n);
        let out = &mut room[shift..];
        out.fill(f32::NAN);
        let what = [Onto::Nothing, Onto::NothingSoonRead, Onto::Itself, Onto::Rows(&other)][onto];
        if onto == 2 {
            out.copy_from_slice(&other);
        }
        finish::store(&pool, out, left, right, with_bias.then_some(&bias), what);
        let mut expected = a.times(&b);
        for (i, x) in expected.iter_mut().enumerate() {
            *x += if with_bias { f64::from(bias[i % n]) } else { 0.0 };
            *x += if onto > 1 { f64::from(other[i]) } else { 0.0 };
        }
        assert_close("C", out, &expected, 2e-6 * (k as f64).sqrt());
    }

    #[test]
    fn rounded_rows_are_the_rounded_product((m, k, n) in sizes(), precision in precisions(), seed: u64) {
        let pool = Pool::new(2);
        let (a, b) = (Matrix::new(seed, 1, precision, m, k), Matrix::new(seed, 2, precision, k, n));
        let (a_words, b_words) = (left(&a, precision, 0, &pool), right(&b, precision, 0, &pool));
        let left = left_view(&a, &a_words, precision, 0);
        let right = Right::new(b_words.words(), precision, k, n);
        let mut plain = vec![0.0; m * n];
        finish::store(&pool, &mut plain, left, right, None, Onto::Nothing);
        let mut out = filled(m * precision.words(n));
        finish::round(&pool, out.words_mut(), precision, left, right, None);
        let rows = Rows::new(out.words(), precision, [m, n], precision.words(n));
        let mut row = vec![0.0; n];
        for (r, plain) in plain.chunks_exact(n).enumerate() {
            rows.read(r, &mut row);
            let expected: Vec<f32> = plain.iter().map(|&x| rounded(precision, x)).collect();
            prop_assert_eq!(&row, &expected);
        }
    }

    #[test]
    fn activations_and_their_gradients(
        (m, d, f) in sizes(), precision in precisions(), act in prop::sample::select(&Activation::ALL), seed: u64,
    ) {
        let pool = Pool::new(2);
        let (x, w) = (Matrix::new(seed, 1, precision, m, d), Matrix::new(seed, 2, precision, d, f));
        let scale = 1.0 / (d as f32).sqrt();
        let w = Matrix { data: w.data.iter().map(|&w| rounded(precision, w * scale)).collect(), ..w };
        let bias = normals(seed, 3, f);
        let (x_words, w_words) = (left(&x, precision, 0, &pool), right(&w, precision, 0, &pool));
        let width = precision.words(f);
        let (mut pre, mut post) = (filled(m * width), filled(m * width));
        activate(
            &pool, [pre.words_mut(), post.words_mut()], act,
            left_view(&x, &x_words, precision, 0), Right::new(w_words.words(), precision, d, f), Some(&bias),
        );
        let read = |block: &Block| -> Vec<f32> {
            let rows = Rows::new(block.words(), precision, [m, f], width);
            let mut all = vec![0.0; m * f];
            all.chunks_exact_mut(f).enumerate().for_each(|(r, row)| rows.read(r, row));
            all
        };
        let h: Vec<f64> = x.times(&w).iter().enumerate().map(|(i, h)| h + f64::from(bias[i % f])).collect();
        let tolerance = if precision == Precision::F32 { 1e-5 } else { 5e-3 };
        assert_close("h", &read(&pre), &h, tolerance);
        let h: Vec<f64> = read(&pre).iter().map(|&h| f64::from(h)).collect();
        let value = |h: f64| naive(act, h);
        let slope = |h: f64| match act {
            Activation::Relu => f64::from(u8::from(h > 0.0)),
            _ => (value(h + 1e-5) - value(h - 1e-5)) / 2e-5,
        };
        let activated: Vec<f64> = h.iter().map(|&h| value(h)).collect();
        assert_close("f(h)", &read(&post), &activated, tolerance);

        // The gradient of f(h) is dy·vᵀ for some dy [m,d], v [f,d].
        let (dy, v) = (Matrix::new(seed, 4, precision, m, d), Matrix::new(seed, 5, precision, f, d));
        let (dy_words, v_words) = (left(&dy, precision, 0, &pool), right(&v.t(), precision, 1, &pool));
        let (mut rows, mut right_words) = (filled(m * width), filled(Right::len(precision, m, f)));
        let mut columns = filled(Left::panels_len(precision, f, m));
        let mut sums = filled(m.div_ceil(BLOCK_ROWS) * f);
        let mut out = ActivationGradients {
            rows: rows.words_mut(), right: right_words.words_mut(), post: columns.words_mut(), sums: &mut sums,
        };
        activate_backward(
            &pool, &mut out, act, left_view(&dy, &dy_words, precision, 0), Right::new(v_words.words(), precision, d, f),
            Rows::new(pre.words(), precision, [m, f], width),
        );
        let dh: Vec<f64> = dy.times(&v.t()).iter().zip(&h).map(|(d, &h)| d * slope(h)).collect();
        assert_close("dh", &read(&rows), &dh, if precision == Precision::F32 { 2e-4 } else { 2e-2 });
        // What the other layouts hold shows in products with a matrix of ones: row sums of dh … and column sums.
        let of_rows = read(&rows);
        let ones = Matrix { data: vec![1.0; m * 3], rows: 3, cols: m };
        let ones_words = ones.words(precision, &pool);
        let mut out = vec![0.0; 3 * f];
        let dh_right = Right::new(right_words.words(), precision, m, f);
        finish::store(&pool, &mut out, ones.rows(&ones_words, precision).into(), dh_right, None, Onto::Nothing);
        let column_sums: Vec<f64> = (0..f).map(|c| (0..m).map(|r| f64::from(of_rows[r * f + c])).sum()).collect();
        assert_close("columns of dh as B", &out[..f], &column_sums, 1e-4);
        let exact: Vec<f64> = (0..f).map(|c| (0..m).map(|r| dh[r * f + c]).sum()).collect();
        let all: Vec<f32> = (0..f).map(|c| sums.chunks_exact(f).map(|row| row[c]).sum()).collect();
        assert_close("Σ dh", &all, &exact, 1e-3);
        let ones = Matrix { data: vec![1.0; m], rows: m, cols: 1 };
        let ones_words = right(&ones, precision, 0, &pool);
        let mut out = vec![0.0; f];
        let post_left = Left::in_panels(columns.words(), precision, f, m);
        finish::store(&pool, &mut out, post_left, Right::new(ones_words.words(), precision, m, 1), None, Onto::Nothing);
        let sums: Vec<f64> = (0..f).map(|c| (0..m).map(|r| activated[r * f + c]).sum()).collect();
        assert_close("rows of f(h)ᵀ as A", &out, &sums, if precision == Precision::F32 { 1e-4 } else { 0.05 });
    }

    #[test]
    fn is_the_same_for_any_number_of_threads((m, k, n) in sizes(), precision in precisions(), seed: u64) {
        let (a, b) = (Matrix::new(seed, 1, precision, m, k), Matrix::new(seed, 2, precision, k, n));
        let results = [1, 2, 3].map(|threads| {
            let pool = Pool::new(threads);
            let (a_words, b_words) = (left(&a, precision, 1, &pool), right(&b, precision, 1, &pool));
            let mut out = vec![f32::NAN; m * n];
            let (left, right) = (left_view(&a, &a_words, precision, 1), Right::new(b_words.words(), precision, k, n));
            finish::store(&pool, &mut out, left, right, None, Onto::Nothing);
            out
        });
        prop_assert_eq!(&results[0], &results[1]);
        prop_assert_eq!(&results[0], &results[2]);
    }
}

/// What is too much for the caches is written past them; in parts it is not.
#[test]
#[cfg_attr(miri, ignore = "too much")]
fn large_operands_are_laid_out_as_small_ones() {
    let (pool, precision) = (Pool::new(2), Precision::Bf16);
    let (k, n) = (300, 30_100);
    let b = Matrix::new(5, 1, precision, k, n);
    let transposed = b.t();
    let mut large = filled(Right::len(precision, k, n));
    let mut small = large.clone();
    let half = 15_072; // whole panels
    let at = half * precision.words(k);
    for (first, end, place) in [(0, half, 0..at), (half, n, at..large.len())] {
        let part = Rows::f32(&b.data, n).columns(first, end);
        pack::right(&pool, &mut small.words_mut()[place], precision, part);
    }
    pack::right(&pool, large.words_mut(), precision, Rows::f32(&b.data, n));
    assert!(large.words() == small.words(), "from rows");
    large.fill(f32::NAN);
    let rows = Rows::f32(&transposed.data, k);
    pack::right_transposed(&pool, large.words_mut(), precision, rows);
    assert!(large.words() == small.words(), "from columns");
}

#[test]
fn deep_products_are_summed_part_after_part() {
    let pool = Pool::new(2);
    let sizes = [
        (Precision::F32, [3, 4097, 5]),
        (Precision::F32, [70, 6151, 101]),
        (Precision::Bf16, [65, 8195, 150]),
        (Precision::Bf16, [1, 20_011, 49]),
    ];
    for (precision, [m, k, n]) in sizes {
        let k = under_miri(k / 100, k);
        let (a, b) = (
            Matrix::new(7, 1, precision, m, k),
            Matrix::new(7, 2, precision, k, n),
        );
        for layout in [0, 1] {
            let (a_words, b_words) = (
                left(&a, precision, layout, &pool),
                right(&b, precision, layout, &pool),
            );
            let left = left_view(&a, &a_words, precision, layout);
            let right = Right::new(b_words.words(), precision, k, n);
            let mut out = vec![f32::NAN; m * n];
            finish::store(&pool, &mut out, left, right, None, Onto::Nothing);
            assert_close("C", &out, &a.times(&b), 2e-6 * (k as f64).sqrt());
        }
    }
}

#[test]
fn extremes_come_through() {
    let pool = Pool::single();
    for precision in [Precision::F32, Precision::Bf16] {
        let a = Matrix {
            data: vec![1.0, f32::INFINITY, f32::NAN, 0.0, 3e38, -3e38],
            rows: 3,
            cols: 2,
        };
        let b = Matrix {
            data: vec![1.0, 0.0],
            rows: 2,
            cols: 1,
        };
        let (a_words, b_words) = (
            left(&a, precision, 0, &pool),
            right(&b, precision, 0, &pool),
        );
        let mut out = vec![0.0; 3];
        let (left, right) = (
            left_view(&a, &a_words, precision, 0),
            Right::new(b_words.words(), precision, 2, 1),
        );
        finish::store(&pool, &mut out, left, right, None, Onto::Nothing);
        assert!(out[0].is_nan() && out[1].is_nan(), "∞·0 and NaN: {out:?}");
        assert!((out[2] - 3e38).abs() < 2e36, "{out:?}");
    }
}

/// A matrix's rows of `bf16` as a file has them, from the first word's bytes on.
struct FileBytes {
    bytes: Vec<u8>,
    start: usize,
}

impl FileBytes {
    fn of(matrix: &Matrix, pool: &Pool) -> Self {
        let words = matrix.words(Precision::Bf16, pool);
        let len = matrix.rows * Precision::Bf16.words(matrix.cols);
        let mut bytes = vec![0; 4 * (len + 1)];
        let start = bytes.as_ptr().align_offset(4);
        for (to, word) in bytes[start..]
            .chunks_exact_mut(4)
            .zip(&words.words()[..len])
        {
            to.copy_from_slice(&word.to_le_bytes());
        }
        bytes.truncate(start + 4 * len);
        Self { bytes, start }
    }

    fn get(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// `few_rows` into columns from `before` on, with the rows of w from the last to the first, against the three loops.
fn check_few_rows([m, k, n]: [usize; 3], before: usize, threads: usize, seed: u64) {
    let (pool, precision) = (Pool::new(threads), Precision::Bf16);
    let [a, w] = [(1, m), (2, n)].map(|(at, rows)| Matrix::new(seed, at, precision, rows, k));
    // Rows of a with something between them.
    let (packed, stride) = (a.words(precision, &pool), k / 2 + 3);
    let mut a_words = filled(m * stride);
    for r in 0..m {
        a_words.words_mut()[r * stride..][..k / 2]
            .copy_from_slice(&packed.words()[r * k / 2..][..k / 2]);
    }
    let file = FileBytes::of(&w, &pool);
    let stored = StoredRows::new(file.get(), [n, k]);
    assert_eq!(stored.is_some(), cfg!(target_endian = "little"));
    let Some(stored) = stored else {
        return;
    };
    assert_eq!(stored.count(), n);
    let width = before + n;
    let mut y = vec![7.0; m * width];
    let rows = Rows::new(a_words.words(), precision, [m, k], stride);
    let place = (y.as_mut_slice(), width, before);
    few_rows(&pool, place, rows, stored, |row| n - 1 - row);
    // Bit for bit what comes out with w laid out.
    let mut laid_out = filled(Right::len(precision, k, n));
    let file_rows = w.words(precision, &pool);
    let file_rows = Rows::new(file_rows.words(), precision, [n, k], k / 2);
    pack::right_transposed(&pool, laid_out.words_mut(), precision, file_rows);
    let right = Right::new(laid_out.words(), precision, k, n);
    let mut same = vec![0.0; m * n];
    finish::store(&pool, &mut same, rows.into(), right, None, Onto::Nothing);
    for (y, same) in y.chunks_exact(width).zip(same.chunks_exact(n)) {
        let reversed: Vec<f32> = same.iter().rev().copied().collect();
        assert_eq!(&y[before..], reversed);
    }
    let expected = a.times(&w.t());
    for (y, expected) in y.chunks_exact(width).zip(expected.chunks_exact(n)) {
        assert!(y[..before].iter().all(|&x| x == 7.0));
        let expected: Vec<f64> = expected.iter().rev().copied().collect();
        assert_close("y", &y[before..], &expected, 2e-6 * (k as f64).sqrt());
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn few_rows_meet_weights_where_a_file_has_them(
        m in 1..=MOST_ROWS, half_k in 1usize..90, n in 1usize..120, before in 0usize..5, threads in 1usize..4, seed: u64,
    ) {
        check_few_rows([m, 2 * half_k, n], before, threads, seed);
    }
}

/// Rows longer than a piece of work, and more of them than one piece holds.
#[test]
fn few_rows_meet_weights_of_any_size() {
    check_few_rows([5, 33_000, 6], 1, 2, 3);
    check_few_rows([2, 70, 1_900], 0, 3, 4);
}

#[test]
fn rows_that_cannot_be_read_in_place() {
    let bytes = [0; 64];
    let start = bytes.as_ptr().align_offset(4);
    let bytes = &bytes[start..];
    let is_little = cfg!(target_endian = "little");
    assert_eq!(StoredRows::new(&bytes[..48], [3, 8]).is_some(), is_little);
    for (what, bytes, size) in [
        ("inside a word", &bytes[2..50], [3, 8]),
        ("half a word at the end", &bytes[..50], [3, 8]),
        ("an odd row", &bytes[..36], [2, 9]),
        ("too few", &bytes[..48], [4, 8]),
        ("nothing in a row", &bytes[..0], [3, 0]),
    ] {
        assert!(StoredRows::new(bytes, size).is_none(), "{what}");
    }
}
