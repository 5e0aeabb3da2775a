//! The MLP's non-linearity, element by element.
//!
//! | function | f(x) | f′(x) |
//! |---|---|---|
//! | GELU (Hendrycks & Gimpel 2016) | x·Φ(x), Φ(x) = ½(1 + erf(x/√2)) | Φ(x) + x·φ(x) |
//! | … in its tanh form (§2 there) | ½·x·(1 + tanh u) = x·σ(2u), u = √(2/π)·(x + 0.044715·x³) | s + x·s·(1−s)·2u′, s = σ(2u) |
//! | SiLU (§4 there; Elfwing et al. 2018) | x·σ(x) | s + x·s·(1−s), s = σ(x) |
//! | ReLU (the original Transformer's) | max(0, x) | 1 where x > 0, else 0 |
//!
//! As x·σ(2u) the tanh form loses nothing to cancellation for large negative x. erf is taken from Abramowitz & Stegun
//! 1964, formula 7.1.26, which is off by at most 1.5e-7.

use crate::arch::{mul_add, multiversion};
use crate::exp::exp;
use crate::product::Precision;
use crate::product::round::{read, write};

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// GELU with the normal distribution's own Φ (BERT).
    Gelu,
    /// GELU in the tanh form (GPT-2).
    GeluTanh,
    /// x·σ(x) (Llama).
    Silu,
    /// max(0, x) (the original Transformer).
    Relu,
}

impl Activation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Gelu, Self::GeluTanh, Self::Silu, Self::Relu];

    /// Its name in the API and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::Silu => "silu",
            Self::Relu => "relu",
        }
    }

    /// f(x).
    #[inline(always)]
    pub(crate) fn value<const FUSED: bool>(self, x: f32) -> f32 {
        match self {
            Self::Gelu => x * normal_cdf::<FUSED>(x).0,
            Self::GeluTanh => x * gelu_gate::<FUSED>(x),
            Self::Silu => x * sigmoid::<FUSED>(x),
            Self::Relu => relu(x),
        }
    }

    /// f(x) and f′(x).
    #[inline(always)]
    pub(crate) fn value_and_slope<const FUSED: bool>(self, x: f32) -> (f32, f32) {
        match self {
            Self::Gelu => {
                let (cdf, density) = normal_cdf::<FUSED>(x);
                // Far out the density is exactly 0; the product must be too.
                (x * cdf, mul_add::<FUSED>(bounded(x), density, cdf))
            }
            Self::GeluTanh => {
                let gate = gelu_gate::<FUSED>(x);
                (x * gate, gelu_tanh_slope::<FUSED>(x, gate))
            }
            Self::Silu => {
                let s = sigmoid::<FUSED>(x);
                (x * s, mul_add::<FUSED>(bounded(x) * s, 1.0 - s, s))
            }
            Self::Relu => (relu(x), if x > 0.0 { 1.0 } else { 0.0 }),
        }
    }
}

/// Runs a body for the activation as a constant, so that its loop holds one function only.
macro_rules! for_each_activation {
    ($f:expr, $constant:ident => $body:expr) => {
        match $f {
            Activation::Gelu => {
                const $constant: Activation = Activation::Gelu;
                $body
            }
            Activation::GeluTanh => {
                const $constant: Activation = Activation::GeluTanh;
                $body
            }
            Activation::Silu => {
                const $constant: Activation = Activation::Silu;
                $body
            }
            Activation::Relu => {
                const $constant: Activation = Activation::Relu;
                $body
            }
        }
    };
}
pub(crate) use for_each_activation;

/// So large that a gate is exactly 0 or 1 there, so small that its square is finite; NaN stays NaN.
#[inline(always)]
fn bounded(x: f32) -> f32 {
    x.clamp(-1e4, 1e4)
}

/// σ(x) = 1/(1 + exp(−x)).
#[inline(always)]
fn sigmoid<const FUSED: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FUSED>(-x))
}

/// σ(2u) of the GELU's tanh form.
#[inline(always)]
fn gelu_gate<const FUSED: bool>(x: f32) -> f32 {
    let u = SQRT_2_OVER_PI * x * mul_add::<FUSED>(CUBIC * x, x, 1.0);
    sigmoid::<FUSED>(2.0 * u)
}

/// f′(x) of the GELU's tanh form, given σ(2u).
#[inline(always)]
fn gelu_tanh_slope<const FUSED: bool>(x: f32, s: f32) -> f32 {
    // Far out s is exactly 0 or 1 and x² might overflow; the product with s·(1−s) must stay 0 there.
    let bounded = bounded(x);
    let slope = 2.0 * SQRT_2_OVER_PI * mul_add::<FUSED>(3.0 * CUBIC * bounded, bounded, 1.0);
    mul_add::<FUSED>(bounded * s * (1.0 - s), slope, s)
}

/// Φ(x) and φ(x) = exp(−x²/2)/√(2π).
#[inline(always)]
fn normal_cdf<const FUSED: bool>(x: f32) -> (f32, f32) {
    const A: [f32; 5] = [
        0.254_829_6,
        -0.284_496_7,
        1.421_413_8,
        -1.453_152,
        1.061_405_4,
    ];
    let x = bounded(x);
    let t = 1.0 / mul_add::<FUSED>(0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2, x.abs(), 1.0);
    let decay = exp::<FUSED>(-0.5 * x * x);
    let mut sum = A[4];
    for a in [A[3], A[2], A[1], A[0]] {
        sum = mul_add::<FUSED>(sum, t, a);
    }
    // ½·erfc(|x|/√2): the part of the distribution further out than |x|, on one side.
    let tail = 0.5 * sum * t * decay;
    let cdf = if x > 0.0 { 1.0 - tail } else { tail };
    (cdf, decay * (0.5 * SQRT_2_OVER_PI))
}

/// max(0, x); this way round NaN stays NaN.
#[inline(always)]
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

multiversion! {
    /// `y[i] = f(x[i])`.
    pub fn forward(f: Activation, y: &mut [f32], x: &[f32]) {
        assert_eq!(y.len(), x.len());
        for_each_activation!(f, F => {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = F.value::<FUSED>(x);
            }
        });
    }
}

multiversion! {
    /// `dx[i] = f′(x[i])·dy[i]`.
    pub fn backward(f: Activation, dx: &mut [f32], x: &[f32], dy: &[f32]) {
        assert!(dx.len() == x.len() && dx.len() == dy.len());
        for_each_activation!(f, F => {
            for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                *dx = dy * F.value_and_slope::<FUSED>(x).1;
            }
        });
    }
}

/// Numbers of a row that are handled at a time, a whole number of words.
const RUN: usize = 128;

multiversion! {
    /// As [`backward`], of one row: `dx [F]` and `x [F]` as words of `precision`, `dy [F]` as words of `kept`.
    pub fn backward_rounded(
        f: Activation, dx: &mut [u32], x: &[u32], precision: Precision, dy: &[u32], kept: Precision, width: usize,
    ) {
        assert!(dx.len() == precision.words(width) && x.len() == dx.len() && dy.len() == kept.words(width));
        let [mut h, mut d] = [[0.0; RUN]; 2];
        for_each_activation!(f, F => {
            for first in (0..width).step_by(RUN) {
                let n = RUN.min(width - first);
                read::<BF16>(&mut h[..n], x, precision, first);
                read::<BF16>(&mut d[..n], dy, kept, first);
                for (d, h) in d.iter_mut().zip(&h) {
                    *d *= F.value_and_slope::<FUSED>(*h).1;
                }
                write::<BF16>(&mut dx[precision.words(first)..precision.words(first + n)], precision, &d[..n]);
            }
        });
    }
}

multiversion! {
    /// One row of a gated MLP (Shazeer 2020, "GLU variants"): y = f(g)∘u, y [F] as words of `kept`, from `x [2F]` which
    /// holds g and u side by side as words of `precision`.
    pub fn gate(f: Activation, y: &mut [u32], kept: Precision, x: &[u32], precision: Precision, width: usize) {
        assert!(y.len() == kept.words(width) && x.len() == precision.words(2 * width));
        let (mut gate, mut value) = ([0.0; RUN], [0.0; RUN]);
        for_each_activation!(f, F => {
            for first in (0..width).step_by(RUN) {
                let n = RUN.min(width - first);
                read::<BF16>(&mut gate[..n], x, precision, first);
                read::<BF16>(&mut value[..n], x, precision, width + first);
                for (gate, value) in gate.iter_mut().zip(&value) {
                    *gate = F.value::<FUSED>(*gate) * value;
                }
                write::<BF16>(&mut y[kept.words(first)..kept.words(first + n)], kept, &gate[..n]);
            }
        });
    }
}

multiversion! {
    /// The gradient of [`gate`]: `dx [2F]` from `dy [F]` as words of `kept`; dx and x as words of `precision`, F even
    /// unless that is `f32`.
    pub fn gate_backward(
        f: Activation, dx: &mut [u32], x: &[u32], precision: Precision, dy: &[u32], kept: Precision, width: usize,
    ) {
        assert!(dx.len() == x.len() && x.len() == precision.words(2 * width) && dy.len() == kept.words(width));
        let (d_gate, d_value) = dx.split_at_mut(precision.words(width));
        let [mut gate, mut value, mut d] = [[0.0; RUN]; 3];
        for_each_activation!(f, F => {
            for first in (0..width).step_by(RUN) {
                let n = RUN.min(width - first);
                read::<BF16>(&mut gate[..n], x, precision, first);
                read::<BF16>(&mut value[..n], x, precision, width + first);
                read::<BF16>(&mut d[..n], dy, kept, first);
                for i in 0..RUN {
                    let (activated, slope) = F.value_and_slope::<FUSED>(gate[i]);
                    gate[i] = d[i] * value[i] * slope;
                    value[i] = d[i] * activated;
                }
                let words = precision.words(first)..precision.words(first + n);
                write::<BF16>(&mut d_gate[words.clone()], precision, &gate[..n]);
                write::<BF16>(&mut d_value[words], precision, &value[..n]);
            }
        });
    }
}
