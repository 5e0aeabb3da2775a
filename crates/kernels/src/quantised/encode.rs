//! f32 to Q8_0 and Q4_0, one block of 32 after the other; the bytes are those of ggml's reference.
//!
//! ```text
//! Q8_0: d = max|x| / 127,             q = round(x/d)
//! Q4_0: d = (the x of largest |x|)/−8, u = min(15, ⌊x/d + 8.5⌋)
//! ```
//!
//! Codes are made with d in f32; d is rounded to f16 only when it is written.

use super::BLOCK;
use super::blocks::Kind;
use super::half;

/// Whole blocks of `x` into `bytes`. Panics for a kind other than Q8_0 and Q4_0.
pub fn quantise(kind: Kind, x: &[f32], bytes: &mut [u8]) {
    assert!(
        x.len().is_multiple_of(BLOCK) && bytes.len() == x.len() / BLOCK * kind.bytes(),
        "{} numbers do not fill {} bytes of {kind:?}",
        x.len(),
        bytes.len()
    );
    for (x, block) in x
        .chunks_exact(BLOCK)
        .zip(bytes.chunks_exact_mut(kind.bytes()))
    {
        match kind {
            Kind::Q8_0 => q8_0(x, block),
            Kind::Q4_0 => q4_0(x, block),
            _ => panic!("quantisation to {kind:?} is not offered, only to Q8_0 and Q4_0"),
        }
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
    let extreme = x
        .iter()
        .fold(0.0f32, |max, &x| if x.abs() > max.abs() { x } else { max });
    let d = extreme / -8.0;
    let inverse = inverse(d);
    block[..2].copy_from_slice(&half::from_f32(d).to_le_bytes());
    let code = |x: f32| ((x * inverse + 8.5) as u8).min(15);
    for (i, byte) in block[2..].iter_mut().enumerate() {
        *byte = code(x[i]) | code(x[i + BLOCK / 2]) << 4;
    }
}
