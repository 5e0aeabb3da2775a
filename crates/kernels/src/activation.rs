//! The MLP's non-linearity, element by element.
//!
//! GELU in the tanh form (Hendrycks & Gimpel 2016, eq. in §2): with u = √(2/π)·(x + 0.044715·x³),
//! gelu(x) = ½·x·(1 + tanh u) = x·σ(2u), the form computed here: no cancellation for large negative x.
//! gelu′(x) = s + x·s·(1−s)·2u′ with s = σ(2u), u′ = √(2/π)·(1 + 3·0.044715·x²).
//! ReLU (the original Transformer's): max(0, x); its derivative is 1 where x > 0, else 0.

use crate::arch::{mul_add, multiversion};
use crate::exp::exp;

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

/// σ(2u) of the GELU.
#[inline(always)]
fn gelu_gate<const FUSED: bool>(x: f32) -> f32 {
    let u = SQRT_2_OVER_PI * x * mul_add::<FUSED>(CUBIC * x, x, 1.0);
    1.0 / (1.0 + exp::<FUSED>(-2.0 * u))
}

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// GELU in the tanh form (GPT-2).
    GeluTanh,
    /// max(0, x) (the original Transformer).
    Relu,
}

impl Activation {
    /// Its name in the API and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::GeluTanh => "gelu_tanh",
            Self::Relu => "relu",
        }
    }

    /// f(x).
    #[inline(always)]
    pub(crate) fn value<const FUSED: bool>(self, x: f32) -> f32 {
        match self {
            Self::GeluTanh => x * gelu_gate::<FUSED>(x),
            Self::Relu => relu_value(x),
        }
    }

    /// f(x) and f′(x).
    #[inline(always)]
    pub(crate) fn value_and_slope<const FUSED: bool>(self, x: f32) -> (f32, f32) {
        match self {
            Self::GeluTanh => {
                let gate = gelu_gate::<FUSED>(x);
                (x * gate, gelu_slope::<FUSED>(x, gate))
            }
            Self::Relu => (relu_value(x), if x > 0.0 { 1.0 } else { 0.0 }),
        }
    }
}

/// max(0, x); this way round NaN stays NaN.
#[inline(always)]
fn relu_value(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// gelu′(x), given σ(2u).
#[inline(always)]
fn gelu_slope<const FUSED: bool>(x: f32, s: f32) -> f32 {
    // Far out s is exactly 0 or 1 and x² might overflow; the product with s·(1−s) must stay 0 there.
    let bounded = x.clamp(-1e4, 1e4);
    let slope = 2.0 * SQRT_2_OVER_PI * mul_add::<FUSED>(3.0 * CUBIC * bounded, bounded, 1.0);
    mul_add::<FUSED>(bounded * s * (1.0 - s), slope, s)
}

multiversion! {
    /// `y[i] = gelu(x[i])`.
    pub fn gelu(y: &mut [f32], x: &[f32]) {
        assert_eq!(y.len(), x.len());
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * gelu_gate::<FUSED>(x);
        }
    }
}

multiversion! {
    /// `dx[i] = gelu′(x[i])·dy[i]`.
    pub fn gelu_backward(dx: &mut [f32], x: &[f32], dy: &[f32]) {
        assert!(dx.len() == x.len() && dx.len() == dy.len());
        for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
            *dx = dy * gelu_slope::<FUSED>(x, gelu_gate::<FUSED>(x));
        }
    }
}

multiversion! {
    /// `y[i] = max(0, x[i])`.
    pub fn relu(y: &mut [f32], x: &[f32]) {
        assert_eq!(y.len(), x.len());
        for (y, &x) in y.iter_mut().zip(x) {
            *y = relu_value(x);
        }
    }
}

multiversion! {
    /// `dx[i] = dy[i]` where `x[i] > 0`, else 0.
    pub fn relu_backward(dx: &mut [f32], x: &[f32], dy: &[f32]) {
        assert!(dx.len() == x.len() && dx.len() == dy.len());
        for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
            *dx = if x > 0.0 { dy } else { 0.0 };
        }
    }
}
