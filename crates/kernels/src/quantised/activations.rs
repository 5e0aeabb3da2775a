//! Activations for integer products: `v[k] = round(x[k]·127/a)`, x ≈ t·v with t = a/127 and a = max|x| over 32 numbers.
//!
//! Beside the codes v stand the sums over them that offsets and minima need, of the block and of its halves, so that
//! one block is one cache line.
//!
//! ```text
//! for each block of 32:
//!     a ← max |x|;  t ← a/127
//!     v[k] ← round(x[k]·(127/a))
//! ```
//!
//! Departures: rounding (to even) is one addition of 1.5·2²³, after which the low byte is the integer; the
//! maximum is taken over bits without their sign, whose order is that of the magnitudes and in which NaN is the
//! largest, so that a NaN or infinity makes t one and is seen in every product. Blocks below 2⁻¹⁰⁰ are taken as 0.
//! GGML uses blocks of 256 for the K formats; 32 is more accurate, and one set of codes serves weights of any kind.

#[cfg(target_arch = "x86_64")]
use super::vnni;
use super::{BLOCK, Path, path};
use crate::arch::multiversion;

/// 32 activations.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(C, align(64))]
pub struct Block {
    /// v.
    pub(super) codes: [i8; BLOCK],
    /// t.
    pub(super) scale: f32,
    /// −Σv over the block, its first and its second half.
    pub(super) minus_sums: [i32; 3],
    /// t·Σv over the same.
    pub(super) scaled_sums: [f32; 3],
}

impl Block {
    /// 32 zeros.
    pub const ZERO: Self = Self {
        codes: [0; BLOCK],
        scale: 0.0,
        minus_sums: [0; 3],
        scaled_sums: [0.0; 3],
    };

    /// Words as the blocks that they are. Panics unless they begin at a cache line and are whole blocks.
    pub fn slice(words: &[u32]) -> &[Self] {
        let count = Self::count(words);
        // SAFETY: `count` blocks lie in `words` at their alignment, and every bit pattern is a block.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), count) }
    }

    /// As [`Block::slice`], to be written.
    pub fn slice_mut(words: &mut [u32]) -> &mut [Self] {
        let count = Self::count(words);
        // SAFETY: as above; `words` is borrowed alone, and every block is a bit pattern.
        unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), count) }
    }

    fn count(words: &[u32]) -> usize {
        let bytes = size_of_val(words);
        assert!(
            bytes.is_multiple_of(size_of::<Self>())
                && words.as_ptr().addr().is_multiple_of(align_of::<Self>()),
            "whole blocks at a cache line"
        );
        bytes / size_of::<Self>()
    }

    /// With Σv over both halves.
    #[inline(always)]
    pub(super) fn set_sums(&mut self, [first, second]: [i32; 2]) {
        let both = first + second;
        self.minus_sums = [-both, -first, -second];
        self.scaled_sums = [
            self.scale * both as f32,
            self.scale * first as f32,
            self.scale * second as f32,
        ];
    }
}

const LEAST: f32 = f32::from_bits((127 - 100) << 23);
const ROUNDING: f32 = 12_582_912.0; // 1.5·2²³

/// Blocks of which first all codes are made, then all sums.
const TOGETHER: usize = 64;

/// Rows `x [M,K]`, K a multiple of 32, into `blocks [M,K/32]`.
pub fn quantise(blocks: &mut [Block], x: &[f32]) {
    assert_eq!(x.len(), blocks.len() * BLOCK, "32 numbers for each block");
    let (x, _) = x.as_chunks::<BLOCK>();
    for (blocks, x) in blocks.chunks_mut(TOGETHER).zip(x.chunks(TOGETHER)) {
        make_codes(blocks, x);
        match path() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `path` returned this value only after detecting the features.
            Path::Vnni => unsafe { vnni::make_sums(blocks) },
            _ => make_sums(blocks),
        }
    }
}

multiversion! {
    fn make_codes(blocks: &mut [Block], x: &[[f32; BLOCK]]) {
        for (block, x) in blocks.iter_mut().zip(x) {
            let mut bits = 0;
            for x in x {
                bits = bits.max(x.to_bits() & 0x7fff_ffff);
            }
            let largest = f32::from_bits(bits);
            let inverse = if largest > LEAST { 127.0 / largest } else { 0.0 };
            for (code, x) in block.codes.iter_mut().zip(x) {
                *code = (x * inverse + ROUNDING).to_bits() as i8;
            }
            block.scale = largest / 127.0;
        }
    }
}

fn make_sums(blocks: &mut [Block]) {
    for block in blocks {
        let (first, second) = block.codes.split_at(BLOCK / 2);
        let sums = [first, second].map(|codes| codes.iter().copied().map(i32::from).sum());
        block.set_sums(sums);
    }
}

/// What the codes stand for, `[M,K]`.
pub fn dequantise(blocks: &[Block], out: &mut [f32]) {
    assert_eq!(out.len(), blocks.len() * BLOCK, "32 numbers for each block");
    for (block, out) in blocks.iter().zip(out.chunks_exact_mut(BLOCK)) {
        for (y, &v) in out.iter_mut().zip(&block.codes) {
            *y = block.scale * f32::from(v);
        }
    }
}
