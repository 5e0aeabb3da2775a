//! Products with their finish: what becomes of each tile of C before it leaves the cache.
//!
//! | function | equation |
//! |---|---|
//! | [`store`] | C = A·B (+ bias) (+ what is there, or other rows) |
//! | [`round`] | C = A·B (+ bias), rounded, as rows for the next product |
//! | [`activate`] | h = A·B + bias; C = f(h); keeps h |
//! | [`activate_backward`] | dh = (A·B)∘f′(h), laid out for the two products that need it |

use super::{BLOCK_ROWS, Left, Precision, RIGHT, Right, Rows, Tile, product};
use crate::Pool;
use crate::activation::{Activation, for_each_activation};
use crate::arch::multiversion;
use crate::memory::{settle_writes, write_past_caches};
use crate::pool::Parts;
use crate::rows::in_groups;

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub enum Onto<'a> {
    /// Nothing: C is overwritten.
    Nothing,
    /// Nothing, and C is not read soon: it goes to memory past the caches, which would read first what is there.
    NothingSoonRead,
    /// What is in C.
    Itself,
    /// Other rows, of C's shape.
    Rows(&'a [f32]),
}

/// `out [M,N]` = A·B (+ `bias [N]`) + `onto`.
pub fn store(
    pool: &Pool,
    out: &mut [f32],
    a: Left<'_>,
    b: Right<'_>,
    bias: Option<&[f32]>,
    onto: Onto<'_>,
) {
    let n = b.cols();
    check(out.len(), a.rows() * n, bias, n);
    if let Onto::Rows(rows) = onto {
        assert_eq!(rows.len(), out.len(), "rows of the same shape");
    }
    let out = Parts::new(out);
    product(pool, a, b, |tile| store_tile(tile, &out, n, bias, onto));
}

fn check(len: usize, expected: usize, bias: Option<&[f32]>, n: usize) {
    assert_eq!(len, expected, "C is M×N");
    assert!(
        bias.is_none_or(|bias| bias.len() == n),
        "one bias for each column"
    );
}

multiversion! {
    fn store_tile(tile: &mut Tile, out: &Parts<'_, f32>, n: usize, bias: Option<&[f32]>, onto: Onto<'_>) {
        add_bias(tile, bias);
        let columns = tile.columns();
        if let Onto::Rows(rows) = onto {
            tile.fetch_next(Rows::f32(rows, n));
        }
        if !matches!(onto, Onto::NothingSoonRead) {
            tile.fetch_next_to_write(out, Precision::F32, n);
        }
        for (r, line) in tile.lines_mut() {
            let range = r * n + columns.start..r * n + columns.end;
            // SAFETY: each tile of C is finished once, by one thread.
            let out = unsafe { out.slice(range.clone()) };
            match onto {
                Onto::Nothing => {}
                Onto::NothingSoonRead => {
                    write_past_caches::<BF16>(out, &line[..columns.len()]);
                    continue;
                }
                Onto::Itself => in_groups(line, out, |x, more| *x += *more),
                Onto::Rows(rows) => in_groups(line, &rows[range], |x, more| *x += *more),
            }
            in_groups(out, line, |out, x| *out = *x);
        }
        if matches!(onto, Onto::NothingSoonRead) {
            settle_writes();
        }
    }
}

#[inline(always)]
fn add_bias(tile: &mut Tile, bias: Option<&[f32]>) {
    if let Some(bias) = bias {
        let bias = &bias[tile.columns()];
        for (_, line) in tile.lines_mut() {
            in_groups(line, bias, |x, bias| *x += *bias);
        }
    }
}

/// `out` = A·B (+ `bias [N]`) as adjacent rows of `precision`.
pub fn round(
    pool: &Pool,
    out: &mut [u32],
    precision: Precision,
    a: Left<'_>,
    b: Right<'_>,
    bias: Option<&[f32]>,
) {
    let stride = precision.words(b.cols());
    check(out.len(), a.rows() * stride, bias, b.cols());
    let out = Parts::new(out);
    product(pool, a, b, |tile| {
        round_tile(tile, &out, precision, stride, bias);
    });
}

multiversion! {
    fn round_tile(tile: &mut Tile, out: &Parts<'_, u32>, precision: Precision, stride: usize, bias: Option<&[f32]>) {
        add_bias(tile, bias);
        // SAFETY: each tile of C is finished once, by one thread.
        unsafe { tile.to_rows::<BF16>(out, precision, stride) };
    }
}

/// h = A·B + `bias [N]`, rounded to the operands' precision, into `pre`; f(h) into `post`. Both [M,N], adjacent rows.
///
/// Without `pre` (nobody will ask for the gradient) h is not kept.
pub fn activate(
    pool: &Pool,
    [pre, post]: [&mut [u32]; 2],
    f: Activation,
    a: Left<'_>,
    b: Right<'_>,
    bias: Option<&[f32]>,
) {
    let stride = a.precision().words(b.cols());
    check(post.len(), a.rows() * stride, bias, b.cols());
    let keeps = !pre.is_empty();
    assert!(!keeps || pre.len() == post.len(), "h has C's shape");
    let (pre, post) = (Parts::new(pre), Parts::new(post));
    product(pool, a, b, |tile| {
        activate_tile(
            tile,
            keeps.then_some(&pre),
            &post,
            (a.precision(), stride),
            f,
            bias,
        );
    });
}

multiversion! {
    fn activate_tile(
        tile: &mut Tile, pre: Option<&Parts<'_, u32>>, post: &Parts<'_, u32>,
        layout: (Precision, usize), f: Activation, bias: Option<&[f32]>,
    ) {
        let (precision, stride) = layout;
        add_bias(tile, bias);
        tile.round::<BF16>(precision);
        if let Some(pre) = pre {
            // SAFETY: each tile of C is finished once, by one thread.
            unsafe { tile.to_rows::<BF16>(pre, precision, stride) };
        }
        for_each_activation!(f, F => map(tile, |x| F.value::<FUSED>(x)));
        // SAFETY: as above.
        unsafe { tile.to_rows::<BF16>(post, precision, stride) };
    }
}

/// Where [`activate_backward`] puts what the next products need, of an MLP of F neurons over M rows.
#[derive(Debug)]
pub struct ActivationGradients<'a> {
    /// dh as A [M,F], adjacent rows: for dx = dh·Wᵀ.
    pub rows: &'a mut [u32],
    /// dh as B [M,F]: for dW = xᵀ·dh.
    pub right: &'a mut [u32],
    /// f(h)ᵀ as A [F,M] in panels, made again: for the gradient of the weights after f.
    pub post: &'a mut [u32],
    /// Σ dh over each [`BLOCK_ROWS`] rows, [⌈M/BLOCK_ROWS⌉,F].
    pub sums: &'a mut [f32],
}

/// dh = (A·B)∘f′(h), where A·B [M,F] is the gradient of f(h) and `pre` is h.
pub fn activate_backward(
    pool: &Pool,
    out: &mut ActivationGradients<'_>,
    f: Activation,
    a: Left<'_>,
    b: Right<'_>,
    pre: Rows<'_>,
) {
    let (m, n, precision) = (a.rows(), b.cols(), a.precision());
    assert_eq!(
        (pre.rows, pre.cols, pre.precision),
        (m, n, precision),
        "h has C's shape"
    );
    assert_eq!(out.rows.len(), m * precision.words(n), "dh as rows");
    assert_eq!(out.right.len(), Right::len(precision, m, n), "dh as B");
    assert_eq!(
        out.post.len(),
        Left::panels_len(precision, n, m),
        "f(h)ᵀ as A"
    );
    assert_eq!(
        out.sums.len(),
        m.div_ceil(BLOCK_ROWS) * n,
        "a row of sums for each block"
    );
    let parts = [
        Parts::new(out.rows),
        Parts::new(out.right),
        Parts::new(out.post),
    ];
    let sums = Parts::new(out.sums);
    product(pool, a, b, |tile| {
        activate_backward_tile(tile, &parts, &sums, f, pre);
    });
}

multiversion! {
    fn activate_backward_tile(
        tile: &mut Tile, parts: &[Parts<'_, u32>; 3], sums: &Parts<'_, f32>, f: Activation, pre: Rows<'_>,
    ) {
        let [rows, right, post] = parts;
        let (columns, first, precision) = (tile.columns(), tile.row(), pre.precision);
        let block = first / BLOCK_ROWS * pre.cols;
        // SAFETY: the tiles of a block of rows are made one after the other by one thread, each finished once.
        let sums = unsafe { sums.slice(block + columns.start..block + columns.end) };
        let mut activated = tile.read::<BF16>(pre);
        tile.fetch_next(pre);
        let more = for_each_activation!(f, F => chain(tile, &mut activated, |h| F.value_and_slope::<FUSED>(h)));
        if first % BLOCK_ROWS == 0 {
            sums.fill(0.0);
        }
        sums.iter_mut().zip(&more).for_each(|(sum, more)| *sum += *more);
        tile.clear_outside();
        activated.clear_outside();
        // SAFETY: as above.
        unsafe {
            tile.to_rows::<BF16>(rows, precision, precision.words(pre.cols));
            tile.to_right::<BF16>(right, precision, pre.rows);
            activated.to_columns::<BF16>(post, precision, pre.rows);
        }
    }
}

/// x ← f(x).
#[inline(always)]
fn map(tile: &mut Tile, f: impl Fn(f32) -> f32) {
    for (_, line) in tile.lines_mut() {
        for x in line {
            *x = f(*x);
        }
    }
}

/// d ← d·f′(h) and h ← f(h); Σ d of each column.
#[inline(always)]
fn chain(d: &mut Tile, h: &mut Tile, f: impl Fn(f32) -> (f32, f32)) -> [f32; RIGHT] {
    let mut sums = [0.0; RIGHT];
    for ((_, d), (_, h)) in d.lines_mut().zip(h.lines_mut()) {
        for ((d, h), sum) in d.iter_mut().zip(h).zip(&mut sums) {
            let (value, slope) = f(*h);
            *h = value;
            *d *= slope;
            *sum += *d;
        }
    }
    sums
}
