//! f32 to Q8_0, Q4_0, Q4_K and Q6_K, one block after the other.
//!
//! | kind | how |
//! |---|---|
//! | Q8_0 | d = max\|x\| / 127, q = round(x/d) |
//! | Q4_0 | d = (the x of largest \|x\|) / −8, u = min(15, ⌊x/d + 8.5⌋) |
//! | Q4_K, Q6_K | each sub-block's scale (and minimum) by trial and least squares (`fit.rs`) |
//!
//! Q8_0 and Q4_0 give the bytes of ggml's reference: codes are made with d in f32, and d is rounded to f16 only when
//! it is written. In the K formats codes are made last, with the numbers that a reader will see.

use super::BLOCK;
use super::blocks::Kind;
use crate::half;

mod fit;
mod nested;

/// Whether [`quantise`] makes blocks of this kind.
pub const fn is_offered(kind: Kind) -> bool {
    matches!(kind, Kind::Q8_0 | Kind::Q4_0 | Kind::Q4_K | Kind::Q6_K)
}

/// Whole blocks of `x` into `bytes`. A block of x with a NaN or an infinity becomes NaN as a whole: no code could show it.
///
/// # Panics
/// When the sizes do not fit, and for a kind that [is not offered](is_offered).
pub fn quantise(kind: Kind, x: &[f32], bytes: &mut [u8]) {
    let weights = kind.weights();
    assert!(
        x.len().is_multiple_of(weights) && bytes.len() == x.len() / weights * kind.bytes(),
        "{} numbers do not fill {} bytes of {kind:?}",
        x.len(),
        bytes.len()
    );
    match kind {
        Kind::Q8_0 => each_block(kind, x, bytes, q8_0),
        Kind::Q4_0 => each_block(kind, x, bytes, q4_0),
        Kind::Q4_K => nested::q4_k(x, bytes),
        Kind::Q6_K => nested::q6_k(x, bytes),
        _ => panic!("quantisation to {kind:?} is not offered, only to Q8_0, Q4_0, Q4_K and Q6_K"),
    }
    let blocks = bytes.chunks_exact_mut(kind.bytes());
    for (x, block) in x.chunks_exact(weights).zip(blocks) {
        if !all_finite(x) {
            block[kind.halves()[0]..][..2].copy_from_slice(&half::NAN.to_le_bytes());
        }
    }
}

/// Without a way out at the first that is not, so that the loop vectorises.
fn all_finite(x: &[f32]) -> bool {
    x.iter().fold(true, |all, x| all & x.is_finite())
}

fn each_block(kind: Kind, x: &[f32], bytes: &mut [u8], encode: fn(&[f32], &mut [u8])) {
    for (x, block) in x
        .chunks_exact(kind.weights())
        .zip(bytes.chunks_exact_mut(kind.bytes()))
    {
        encode(x, block);
    }
}

/// 1/d, or 0 where all of the block is 0.
fn inverse(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

fn q8_0(x: &[f32], block: &mut [u8]) {
    let d = x.iter().fold(0.0f32, |max, x| max.max(x.abs())) / 127.0;
    let inverse = inverse(d);
    block[..2].copy_from_slice(&half::from_f32(d).to_le_bytes());
    for (q, x) in block[2..].iter_mut().zip(x) {
        *q = (x * inverse).round() as i8 as u8;
    }
}

fn q4_0(x: &[f32], block: &mut [u8]) {
    let d = extreme(x) / -8.0;
    let inverse = inverse(d);
    block[..2].copy_from_slice(&half::from_f32(d).to_le_bytes());
    let code = |x: f32| ((x * inverse + 8.5) as u8).min(15);
    for (i, byte) in block[2..].iter_mut().enumerate() {
        *byte = code(x[i]) | code(x[i + BLOCK / 2]) << 4;
    }
}

/// The x of largest |x|; of several, the first.
fn extreme(x: &[f32]) -> f32 {
    x.iter()
        .fold(0.0f32, |max, &x| if x.abs() > max.abs() { x } else { max })
}
