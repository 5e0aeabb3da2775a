//! Products with block-quantised weights, as GGUF files hold them: `y[m,n] = Σₖ x[m,k]·w[n,k]`.
//!
//! Every format ([`blocks`]) is one equation, with an unsigned code u of 2 to 8 bits per weight, a constant offset o,
//! and a scale s and perhaps a minimum μ for each sub-block B of 16 or 32 weights:
//!
//! ```text
//! w[n,k] = s[n,B]·(u[n,k] − o) + μ[n,B]                                        (GGUF's)
//! x[m,k] ≈ t[m,B]·v[m,k],   |v| ≤ 127                                          (made in `activations`)
//! y[m,n] = Σ_B  t[m,B]·s[n,B]·( Σ_{k∈B} u[n,k]·v[m,k]  −  o·Σ_{k∈B} v[m,k] )   (bracket: exact, in i32)
//!             + μ[n,B]·( t[m,B]·Σ_{k∈B} v[m,k] )
//! ```
//!
//! Codes are unsigned and activations signed, which is what AVX-512's `vpdpbusd` multiplies. The sums over v are made
//! once per block of activations. Three paths, chosen at run time, give the same bits: integers are exact, and the
//! steps in f32 have one order and are not fused.
//!
//! | file | holds |
//! |---|---|
//! | [`blocks`], [`encode`] | GGUF's bytes: layouts, dequantisation; quantisation to Q8_0, Q4_0, Q4_K and Q6_K |
//! | [`activations`] | x as 8-bit codes with scales and sums |
//! | [`packed`] | weights in the order in which the products read them, still 2 to 8 bits each |
//! | [`matmul`] | the product: order of tiles, choice of path |
//! | `chunk` | a piece of packed weights as bytes and f32, for products of several rows |
//! | `vnni`, `avx2`, `portable` | the innermost loops |

use std::sync::OnceLock;

use crate::arch::{Level, level};

#[cfg(target_arch = "x86_64")]
mod avx2;
mod chunk;
mod portable;
#[cfg(target_arch = "x86_64")]
mod vnni;

pub mod activations;
pub mod blocks;
pub mod encode;
pub mod matmul;
pub mod packed;

/// Weights (and activations) handled together: the least block of GGUF's formats.
pub const BLOCK: usize = 32;

/// The innermost loops to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Path {
    Portable,
    Avx2,
    Vnni,
}

/// The widest path that this processor has, within what [`level`] allows.
fn path() -> Path {
    static PATH: OnceLock<Path> = OnceLock::new();
    *PATH.get_or_init(|| detect(level()))
}

#[cfg(target_arch = "x86_64")]
fn detect(level: Level) -> Path {
    if level >= Level::Avx512 && is_x86_feature_detected!("avx512vnni") {
        Path::Vnni
    } else if level != Level::Baseline && is_x86_feature_detected!("avx2") {
        Path::Avx2
    } else {
        Path::Portable
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect(_: Level) -> Path {
    Path::Portable
}

/// Name of the path in use, for `glassformer info`.
pub fn integer_instruction_set() -> &'static str {
    match path() {
        Path::Vnni => "avx512-vnni",
        Path::Avx2 => "avx2",
        Path::Portable => "baseline",
    }
}
