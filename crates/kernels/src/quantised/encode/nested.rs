//! Q4_K and Q6_K: blocks of 256 in sub-blocks, whose scales are small integers times the block's own.
//!
//! The sub-blocks' scales are found first ([`fit`]); the block's d is the largest of them over the largest integer. Then
//! each code is made anew with d, in f16, and the integers as they will be read.

use super::super::blocks::Kind;
use super::fit;
use super::inverse;
use crate::arch::multiversion;
use crate::half;

const WEIGHTS: usize = 256;

/// The largest f16; a block whose d would be larger keeps finite weights.
const LARGEST: f32 = 65_504.0;

multiversion! {
    /// Whole blocks.
    pub(super) fn q4_k(x: &[f32], bytes: &mut [u8]) {
        let (x, _) = x.as_chunks::<WEIGHTS>();
        let (blocks, _) = bytes.as_chunks_mut::<{ Kind::Q4_K.bytes() }>();
        for (x, block) in x.iter().zip(blocks) {
            q4_k_block(x, block);
        }
    }
}

multiversion! {
    /// Whole blocks.
    pub(super) fn q6_k(x: &[f32], bytes: &mut [u8]) {
        let (x, _) = x.as_chunks::<WEIGHTS>();
        let (blocks, _) = bytes.as_chunks_mut::<{ Kind::Q6_K.bytes() }>();
        for (x, block) in x.iter().zip(blocks) {
            q6_k_block(x, block);
        }
    }
}

/// d, −m, eight scales and mins in 12 bytes, codes.
#[inline(always)]
fn q4_k_block(x: &[f32; WEIGHTS], block: &mut [u8; 144]) {
    const MOST: f32 = 63.0;
    let (subs, _) = x.as_chunks::<32>();
    let mut lines = [fit::Line::default(); 8];
    for (line, x) in lines.iter_mut().zip(subs) {
        *line = fit::line::<15, 32>(x);
    }
    let largest = |of: fn(&fit::Line) -> f32| lines.iter().map(of).fold(0.0, f32::max);
    let (d, d_half) = rounded(largest(|line| line.scale) / MOST);
    let (m, m_half) = rounded(largest(|line| -line.min) / MOST);
    let integer = |x: f32, inverse: f32| (x * inverse).round_ties_even().clamp(0.0, MOST) as u8;
    let scales = lines.map(|line| integer(line.scale, inverse(d)));
    let mins = lines.map(|line| integer(-line.min, inverse(m)));
    let mut codes = [0; WEIGHTS];
    let (code_subs, _) = codes.as_chunks_mut::<32>();
    for (i, (codes, x)) in code_subs.iter_mut().zip(subs).enumerate() {
        let (inverse, min) = (inverse(d * f32::from(scales[i])), m * f32::from(mins[i]));
        for (code, x) in codes.iter_mut().zip(x) {
            *code = ((x + min) * inverse).round_ties_even().clamp(0.0, 15.0) as u8;
        }
    }
    block[..2].copy_from_slice(&d_half.to_le_bytes());
    block[2..4].copy_from_slice(&m_half.to_le_bytes());
    put_scales_and_mins(scales, mins, &mut block[4..16]);
    put_fields(&codes, &mut block[16..], 4, 32, 0);
}

/// Low and high parts of the codes, sixteen signed scales, d.
#[inline(always)]
fn q6_k_block(x: &[f32; WEIGHTS], block: &mut [u8; 210]) {
    let (subs, _) = x.as_chunks::<16>();
    let mut slopes = [0.0; 16];
    for (slope, x) in slopes.iter_mut().zip(subs) {
        *slope = fit::slope::<32, 16>(x);
    }
    // The largest becomes −128, which has no positive partner.
    let (d, d_half) = rounded(super::extreme(&slopes) / -128.0);
    let inverse_d = inverse(d);
    let scales =
        slopes.map(|slope| (slope * inverse_d).round_ties_even().clamp(-128.0, 127.0) as i8);
    let mut codes = [0; WEIGHTS];
    let (code_subs, _) = codes.as_chunks_mut::<16>();
    for ((codes, x), &scale) in code_subs.iter_mut().zip(subs).zip(&scales) {
        let inverse = inverse(d * f32::from(scale));
        for (code, x) in codes.iter_mut().zip(x) {
            *code = ((x * inverse).round_ties_even().clamp(-32.0, 31.0) + 32.0) as u8;
        }
    }
    put_fields(&codes, &mut block[..128], 4, 64, 0);
    put_fields(&codes, &mut block[128..192], 2, 32, 4);
    for (byte, scale) in block[192..208].iter_mut().zip(scales) {
        *byte = scale as u8;
    }
    block[208..].copy_from_slice(&d_half.to_le_bytes());
}

/// The nearest f16, as f32 and as bits.
fn rounded(d: f32) -> (f32, u16) {
    let bits = half::from_f32(d.clamp(-LARGEST, LARGEST));
    (half::to_f32(bits), bits)
}

/// The inverse of `blocks::fields`: bits `shift..shift + bits` of each code, in groups of `width` bytes.
#[inline(always)]
fn put_fields(codes: &[u8; WEIGHTS], bytes: &mut [u8], bits: usize, width: usize, shift: usize) {
    for (group, codes) in bytes
        .chunks_exact_mut(width)
        .zip(codes.chunks_exact(width * (8 / bits)))
    {
        group.fill(0);
        for (place, codes) in codes.chunks_exact(width).enumerate() {
            for (byte, code) in group.iter_mut().zip(codes) {
                *byte |= ((code >> shift) & ((1 << bits) - 1)) << (place * bits);
            }
        }
    }
}

/// The inverse of `blocks::scales_and_mins`.
fn put_scales_and_mins(scales: [u8; 8], mins: [u8; 8], bytes: &mut [u8]) {
    for i in 0..4 {
        bytes[i] = scales[i] | (scales[4 + i] >> 4) << 6;
        bytes[4 + i] = mins[i] | (mins[4 + i] >> 4) << 6;
        bytes[8 + i] = scales[4 + i] & 15 | mins[4 + i] << 4;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::blocks::parts;
    use super::*;
    use crate::random;

    #[test]
    fn bytes_taken_apart_go_together_again() {
        let random: Vec<u8> = (0..210).map(|i| random::bits(1, i) as u8).collect();
        let whole = parts(Kind::Q6_K, &random);
        let mut made = [0; 192];
        put_fields(&whole.codes, &mut made[..128], 4, 64, 0);
        put_fields(&whole.codes, &mut made[128..], 2, 32, 4);
        assert_eq!(made, random[..192]);

        let whole = parts(Kind::Q4_K, &random[..144]);
        let mut made = [0; 140];
        let eight = |of: [i8; 16]| std::array::from_fn(|i| of[i] as u8);
        put_scales_and_mins(eight(whole.scales), eight(whole.mins), &mut made[..12]);
        put_fields(&whole.codes, &mut made[12..], 4, 32, 0);
        assert_eq!(made, random[4..144]);
    }
}
