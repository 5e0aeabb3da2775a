//! `f32` to `bf16`, in the words of operands: by the processor's instruction where there is one.
//!
//! Rounded to nearest, to even on ties; NaN stays NaN. The instruction takes numbers below the smallest normal one
//! (1.2e-38) for 0.

use super::{GROUP, Precision};
use crate::memory::{self, halves, halves_mut};

/// The upper half of a `f32`, rounded: its `bf16`.
#[inline(always)]
pub(crate) fn bf16(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    // Rounding could carry a NaN's bits over into infinity or zero.
    if x.is_nan() {
        (bits >> 16) | 0x40
    } else {
        rounded
    }
}

/// Words of neighbours: `words[i]` = (x[2i], x[2i + 1]); an odd last number has a 0 beside it.
#[inline(always)]
pub(crate) fn neighbours<const BF16: bool>(words: &mut [u32], x: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    if BF16 {
        let (chunks, rest) = x.as_chunks::<32>();
        let (out, tail) = words.split_at_mut(16 * chunks.len());
        for (out, chunk) in out.as_chunks_mut::<16>().0.iter_mut().zip(chunks) {
            // SAFETY: `BF16` holds in code that is compiled for AVX-512 BF16 and runs where that is.
            unsafe { x86::neighbours(out, chunk) };
        }
        // A panel's 48 columns end with half a register's; a masked write would hold up who reads them next.
        if let (Some(chunk), Some(out)) = (rest.first_chunk(), tail.first_chunk_mut())
            && rest.len() == chunk.len()
        {
            // SAFETY: as above.
            unsafe { x86::half_of_neighbours(out, chunk) };
            return;
        }
        // SAFETY: as above.
        unsafe { x86::few_neighbours(tail, rest) };
        return;
    }
    let halves = halves_mut(words);
    for (half, &x) in halves.iter_mut().zip(x) {
        *half = bf16(x) as u16;
    }
    if let Some(odd) = halves.get_mut(x.len()) {
        *odd = 0;
    }
}

/// Numbers as words of a precision.
#[inline(always)]
pub(crate) fn write<const BF16: bool>(words: &mut [u32], precision: Precision, x: &[f32]) {
    match precision {
        Precision::F32 => words.copy_from_slice(memory::words(x)),
        Precision::Bf16 => neighbours::<BF16>(words, x),
    }
}

/// The numbers from number `first` on of a row of words of a precision.
#[inline(always)]
pub(crate) fn read<const BF16: bool>(
    x: &mut [f32],
    words: &[u32],
    precision: Precision,
    first: usize,
) {
    match precision {
        Precision::F32 => x.copy_from_slice(&memory::floats(words)[first..first + x.len()]),
        Precision::Bf16 => widen::<BF16>(x, &halves(words)[first..]),
    }
}

/// The `f32` that a `bf16` stands for.
#[inline(always)]
pub(crate) fn widened(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// `x[i]` = the number that `halves[i]` stands for.
#[inline(always)]
pub(super) fn widen<const BF16: bool>(x: &mut [f32], halves: &[u16]) {
    let (mut x, mut halves) = {
        let n = x.len();
        (x, &halves[..n])
    };
    #[cfg(target_arch = "x86_64")]
    if BF16 {
        let (chunks, rest) = halves.as_chunks::<16>();
        let (out, tail) = x.split_at_mut(16 * chunks.len());
        for (out, chunk) in out.as_chunks_mut::<16>().0.iter_mut().zip(chunks) {
            // SAFETY: as in `neighbours`.
            unsafe { x86::widen(out, chunk) };
        }
        (x, halves) = (tail, rest);
    }
    for (x, &half) in x.iter_mut().zip(halves) {
        *x = widened(half);
    }
}

/// Each number becomes the nearest that a `bf16` stands for.
#[inline(always)]
pub(super) fn round<const BF16: bool>(x: &mut [f32; GROUP]) {
    #[cfg(target_arch = "x86_64")]
    if BF16 {
        // SAFETY: as in `neighbours`.
        unsafe { x86::round(x) };
        return;
    }
    for x in x {
        *x = widened(bf16(*x) as u16);
    }
}

/// Words of two rows: `words[i]` = (low[i], high[i]).
#[inline(always)]
pub(super) fn two_rows<const BF16: bool>(low: &[f32; GROUP], high: &[f32; GROUP]) -> [u32; GROUP] {
    let mut words = [0; GROUP];
    #[cfg(target_arch = "x86_64")]
    if BF16 {
        // SAFETY: as in `neighbours`.
        unsafe { x86::two_rows(&mut words, low, high) };
        return words;
    }
    for ((word, &low), &high) in words.iter_mut().zip(low).zip(high) {
        *word = bf16(low) | (bf16(high) << 16);
    }
    words
}

/// Words of two rows that are rounded already: `words[i]` = (low[i], high[i]).
#[inline(always)]
pub(super) fn interleaved<const BF16: bool>(
    low: &[u32; GROUP / 2],
    high: &[u32; GROUP / 2],
) -> [u32; GROUP] {
    let mut words = [0; GROUP];
    #[cfg(target_arch = "x86_64")]
    if BF16 {
        // SAFETY: as in `neighbours`.
        unsafe { x86::interleaved(&mut words, low, high) };
        return words;
    }
    for ((word, &low), &high) in words.iter_mut().zip(halves(low)).zip(halves(high)) {
        *word = u32::from(low) | (u32::from(high) << 16);
    }
    words
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256bh, __m256i, __m512bh, __m512i, _mm256_loadu_si256, _mm256_storeu_si256,
        _mm512_castsi512_ps, _mm512_cvtepu16_epi32, _mm512_cvtne2ps_pbh, _mm512_cvtneps_pbh,
        _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_storeu_epi32, _mm512_maskz_loadu_ps,
        _mm512_or_si512, _mm512_permutexvar_epi16, _mm512_slli_epi32, _mm512_storeu_ps,
        _mm512_storeu_si512,
    };

    /// Each word's halves: number i of the first row, and number i of the second, 16 further on.
    const INTERLEAVE: [i16; 32] = {
        let mut indices = [0; 32];
        let mut i = 0;
        while i < 16 {
            indices[2 * i] = i as i16;
            indices[2 * i + 1] = i as i16 + 16;
            i += 1;
        }
        indices
    };

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn neighbours(words: &mut [u32; 16], x: &[f32; 32]) {
        // SAFETY: both arrays have the length of what is read and written.
        unsafe {
            let (low, high) = (
                _mm512_loadu_ps(x.as_ptr()),
                _mm512_loadu_ps(x.as_ptr().add(16)),
            );
            let pairs = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(words.as_mut_ptr().cast(), pairs);
        }
    }

    /// The same for 16 numbers.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) unsafe fn half_of_neighbours(words: &mut [u32; 8], x: &[f32; 16]) {
        // SAFETY: both arrays have the length of what is read and written.
        unsafe {
            let halves = _mm512_cvtneps_pbh(_mm512_loadu_ps(x.as_ptr()));
            let pairs = std::mem::transmute::<__m256bh, __m256i>(halves);
            _mm256_storeu_si256(words.as_mut_ptr().cast(), pairs);
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) unsafe fn round(x: &mut [f32; 16]) {
        // SAFETY: the array has the length of what is read and written.
        unsafe {
            let halves = _mm512_cvtneps_pbh(_mm512_loadu_ps(x.as_ptr()));
            let halves = std::mem::transmute::<__m256bh, __m256i>(halves);
            let words = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves));
            _mm512_storeu_ps(x.as_mut_ptr(), _mm512_castsi512_ps(words));
        }
    }

    /// As `neighbours`, for fewer than 32 numbers; behind them is 0.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn few_neighbours(words: &mut [u32], x: &[f32]) {
        assert!(x.len() < 32 && words.len() <= 16, "less than a chunk");
        let first = |n: usize| 0xffff_u16.checked_shr(16 - n.min(16) as u32).unwrap_or(0);
        // SAFETY: the masks leave out what lies behind the slices.
        unsafe {
            let low = _mm512_maskz_loadu_ps(first(x.len()), x.as_ptr());
            let high = _mm512_maskz_loadu_ps(
                first(x.len().saturating_sub(16)),
                x.as_ptr().wrapping_add(16),
            );
            let pairs = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
            _mm512_mask_storeu_epi32(words.as_mut_ptr().cast(), first(words.len()), pairs);
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn widen(x: &mut [f32; 16], halves: &[u16; 16]) {
        // SAFETY: both arrays have the length of what is read and written.
        unsafe {
            let halves = _mm256_loadu_si256(halves.as_ptr().cast());
            let words = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves));
            _mm512_storeu_ps(x.as_mut_ptr(), _mm512_castsi512_ps(words));
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn interleaved(words: &mut [u32; 16], low: &[u32; 8], high: &[u32; 8]) {
        // SAFETY: the arrays have the length of what is read and written.
        unsafe {
            let low = _mm512_cvtepu16_epi32(_mm256_loadu_si256(low.as_ptr().cast()));
            let high = _mm512_cvtepu16_epi32(_mm256_loadu_si256(high.as_ptr().cast()));
            let both = _mm512_or_si512(low, _mm512_slli_epi32::<16>(high));
            _mm512_storeu_si512(words.as_mut_ptr().cast(), both);
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    pub(super) unsafe fn two_rows(words: &mut [u32; 16], low: &[f32; 16], high: &[f32; 16]) {
        // SAFETY: the arrays have the length of what is read and written.
        unsafe {
            let (low, high) = (
                _mm512_loadu_ps(low.as_ptr()),
                _mm512_loadu_ps(high.as_ptr()),
            );
            let halves = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
            let order = _mm512_loadu_si512(INTERLEAVE.as_ptr().cast());
            _mm512_storeu_si512(
                words.as_mut_ptr().cast(),
                _mm512_permutexvar_epi16(order, halves),
            );
        }
    }
}
