//! The innermost loops with AVX2: 8 outputs and up to 4 rows at a time.
//!
//! `vpmaddubsw` multiplies unsigned by signed bytes like `vpdpbusd`, but adds pairs into 16 bits, which saturate:
//! codes of 8 bits are too large. For these the offset is taken off first, and |w|·(v·sign w) multiplied: at most
//! 2·128·127 < 2¹⁵. `vpmaddwd` with ones adds the pairs up.

use std::arch::x86_64::{
    __m256i, _mm256_abs_epi8, _mm256_add_epi32, _mm256_add_ps, _mm256_cvtepi32_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_sign_epi8,
    _mm256_storeu_ps, _mm256_xor_si256,
};

use super::activations::Block;
use super::chunk::{Chunk, WIDTH};
use super::packed::GROUPS;

/// `sums += ` the products of `ROWS` rows with a chunk, for sub-blocks of `SUB` groups, with a minimum if `MIN`;
/// `WIDE` codes have 8 bits. Without a minimum, the offset is 2^`log`.
#[target_feature(enable = "avx2")]
pub(super) fn rows<const ROWS: usize, const SUB: usize, const MIN: bool, const WIDE: bool>(
    sums: &mut [[f32; WIDTH]; ROWS],
    chunk: &Chunk,
    x: &[&[Block]; ROWS],
    log: u32,
) {
    for eighth in 0..WIDTH / 8 {
        let mut y = [_mm256_setzero_ps(); ROWS];
        for (y, sums) in y.iter_mut().zip(&*sums) {
            // SAFETY: the pointer is to eight f32 of the row, WIDTH being a multiple of 8.
            *y = unsafe { _mm256_loadu_ps(sums[eighth * 8..eighth * 8 + 8].as_ptr()) };
        }
        for tile in 0..chunk.tiles {
            for s in 0..GROUPS / SUB {
                let which = if SUB == GROUPS { 0 } else { 1 + s };
                let at = tile * (GROUPS / SUB) + s;
                let mut whole: [__m256i; ROWS] = std::array::from_fn(|r| {
                    let start = x[r][tile].minus_sums[which] << log;
                    _mm256_set1_epi32(if MIN || WIDE { 0 } else { start })
                });
                for g in s * SUB..(s + 1) * SUB {
                    let line = &chunk.codes[tile][g][eighth / 2].0;
                    let words = &line[eighth % 2 * 4..eighth % 2 * 4 + 4];
                    // SAFETY: the pointer is to the four words of the slice, 32 bytes.
                    let mut u = unsafe { _mm256_loadu_si256(words.as_ptr().cast()) };
                    if WIDE {
                        u = _mm256_xor_si256(u, _mm256_set1_epi8(-128));
                    }
                    for r in 0..ROWS {
                        let v = &x[r][tile].codes[4 * g..4 * g + 4];
                        let v =
                            _mm256_set1_epi32(i32::from_le_bytes([0, 1, 2, 3].map(|i| v[i] as u8)));
                        let pairs = if WIDE {
                            _mm256_maddubs_epi16(_mm256_abs_epi8(u), _mm256_sign_epi8(v, u))
                        } else {
                            _mm256_maddubs_epi16(u, v)
                        };
                        let quads = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
                        whole[r] = _mm256_add_epi32(whole[r], quads);
                    }
                }
                let load = |values: &[f32; WIDTH]| {
                    // SAFETY: as for `y`.
                    unsafe { _mm256_loadu_ps(values[eighth * 8..eighth * 8 + 8].as_ptr()) }
                };
                let (scale, min) = (load(&chunk.scales[at].0), load(&chunk.mins[at].0));
                for r in 0..ROWS {
                    let x = &x[r][tile];
                    let part = _mm256_mul_ps(_mm256_cvtepi32_ps(whole[r]), scale);
                    y[r] = _mm256_add_ps(y[r], _mm256_mul_ps(part, _mm256_set1_ps(x.scale)));
                    if MIN {
                        let part = _mm256_mul_ps(min, _mm256_set1_ps(x.scaled_sums[which]));
                        y[r] = _mm256_add_ps(y[r], part);
                    }
                }
            }
        }
        for (y, sums) in y.iter().zip(&mut *sums) {
            // SAFETY: as for loading.
            unsafe { _mm256_storeu_ps(sums[eighth * 8..eighth * 8 + 8].as_mut_ptr(), *y) };
        }
    }
}
