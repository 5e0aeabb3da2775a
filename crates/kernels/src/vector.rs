//! The vector trait: what a product's inner loop needs of a processor, so that the loop is written once.
//!
//! A *word* is 32 bits: one `f32`, or two adjacent `bf16` (the first in the low half).

use crate::half;
use crate::reduce::total;

/// Lanes of the widest register.
const MOST_LANES: usize = 16;

/// A register of 32-bit lanes.
///
/// The methods are `unsafe` because they may only run where the processor has the instructions (the callers are
/// compiled with the matching `target_feature`), and because they read and write through pointers.
pub(crate) trait Vector: Copy {
    /// Lanes of one register.
    const LANES: usize;
    /// Rows of a register tile; with [`Vector::TILE_VECTORS`] it fills the register file without spilling.
    const TILE_ROWS: usize;
    /// Vectors in a row of a register tile.
    const TILE_VECTORS: usize;

    /// All lanes 0.
    unsafe fn zero() -> Self;
    /// The word at `at` in all lanes.
    unsafe fn splat(at: *const u32) -> Self;
    /// The words from `at` on.
    unsafe fn load(at: *const u32) -> Self;
    /// The halves (f16) from `at` on, in `f32`.
    unsafe fn load_halves(at: *const u16) -> Self;
    /// Writes the lanes as `f32`.
    unsafe fn store(self, at: *mut f32);
    /// self + a·b, lane by lane in `f32`.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// self + a₀·b₀ + a₁·b₁, where each lane of a and b holds two `bf16`.
    unsafe fn add_pairs(self, a: Self, b: Self) -> Self;
    /// The sum of the lanes of each.
    #[inline(always)]
    unsafe fn totals(vectors: [Self; 4]) -> [f32; 4] {
        vectors.map(|vector| {
            let mut lanes = [0.0; MOST_LANES];
            // SAFETY: no vector has more lanes; the rest is the caller's promise.
            unsafe { vector.store(lanes.as_mut_ptr()) };
            total(lanes)
        })
    }
}

/// Eight lanes as a plain array: what the compiler makes of it is its affair.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn zip(self, a: Self, b: Self, f: impl Fn(f32, f32, f32) -> f32) -> Self {
        let mut out = self.0;
        for (i, out) in out.iter_mut().enumerate() {
            *out = f(*out, a.0[i], b.0[i]);
        }
        Self(out)
    }
}

/// The `bf16` in the low half of a word.
#[inline(always)]
fn low(word: f32) -> f32 {
    f32::from_bits(word.to_bits() << 16)
}

/// The `bf16` in the high half of a word.
#[inline(always)]
fn high(word: f32) -> f32 {
    f32::from_bits(word.to_bits() & 0xffff_0000)
}

impl Vector for Portable {
    const LANES: usize = 8;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 8])
    }

    #[inline(always)]
    unsafe fn splat(at: *const u32) -> Self {
        // SAFETY: the caller's pointer is readable.
        Self([f32::from_bits(unsafe { at.read() }); 8])
    }

    #[inline(always)]
    unsafe fn load(at: *const u32) -> Self {
        // SAFETY: the caller's pointer is readable for eight words; an array of f32 may be read from anywhere aligned.
        Self(unsafe { at.cast::<[f32; 8]>().read() })
    }

    #[inline(always)]
    unsafe fn load_halves(at: *const u16) -> Self {
        // SAFETY: the caller's pointer is readable for eight halves.
        Self(unsafe { at.cast::<[u16; 8]>().read_unaligned() }.map(half::to_f32))
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's pointer is writable for eight words.
        unsafe { at.cast::<[f32; 8]>().write(self.0) }
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        self.zip(a, b, |sum, a, b| sum + a * b)
    }

    #[inline(always)]
    unsafe fn add_pairs(self, a: Self, b: Self) -> Self {
        self.zip(a, b, |sum, a, b| sum + low(a) * low(b) + high(a) * high(b))
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    //! The registers of x86-64.
    use std::arch::x86_64::{
        __m256, __m512, __m512bh, _mm_add_ps, _mm_loadu_si128, _mm_storeu_ps, _mm256_add_ps,
        _mm256_and_ps, _mm256_broadcast_ss, _mm256_castps_si256, _mm256_castps256_ps128,
        _mm256_castsi256_ps, _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps,
        _mm256_hadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_set1_epi32, _mm256_setzero_ps,
        _mm256_slli_epi32, _mm256_storeu_ps, _mm512_and_epi32, _mm512_castps_si512,
        _mm512_castps512_ps256, _mm512_castsi512_ps, _mm512_cvtph_ps, _mm512_dpbf16_ps,
        _mm512_extractf32x8_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_epi32,
        _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32, _mm512_storeu_ps,
    };

    use super::Vector;

    /// 256 bits: AVX2 with FMA.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256);

    impl Vector for Avx2 {
        const LANES: usize = 8;
        // 12 sums, 3 columns, 1 row: the 16 registers.
        const TILE_ROWS: usize = 4;
        const TILE_VECTORS: usize = 3;

        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller runs where AVX2 is.
            Self(unsafe { _mm256_setzero_ps() })
        }

        #[inline(always)]
        unsafe fn splat(at: *const u32) -> Self {
            // SAFETY: the caller runs where AVX2 is, with a readable pointer.
            Self(unsafe { _mm256_broadcast_ss(&*at.cast::<f32>()) })
        }

        #[inline(always)]
        unsafe fn load(at: *const u32) -> Self {
            // SAFETY: as for `splat`.
            Self(unsafe { _mm256_loadu_ps(at.cast()) })
        }

        #[inline(always)]
        unsafe fn load_halves(at: *const u16) -> Self {
            // SAFETY: as for `splat`; what has AVX2 converts halves too (`arch::detect` asks).
            Self(unsafe { _mm256_cvtph_ps(_mm_loadu_si128(at.cast())) })
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: the caller runs where AVX2 is, with a writable pointer.
            unsafe { _mm256_storeu_ps(at, self.0) }
        }

        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller runs where FMA is.
            Self(unsafe { _mm256_fmadd_ps(a.0, b.0, self.0) })
        }

        #[inline(always)]
        unsafe fn add_pairs(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller runs where AVX2 and FMA are.
            unsafe {
                let mask = _mm256_castsi256_ps(_mm256_set1_epi32(0xffff_0000_u32.cast_signed()));
                let low = |x| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(x)));
                let sum = _mm256_fmadd_ps(low(a.0), low(b.0), self.0);
                let (a, b) = (_mm256_and_ps(a.0, mask), _mm256_and_ps(b.0, mask));
                Self(_mm256_fmadd_ps(a, b, sum))
            }
        }

        #[inline(always)]
        unsafe fn totals([a, b, c, d]: [Self; 4]) -> [f32; 4] {
            // SAFETY: the caller runs where AVX2 is; four f32 are written to four.
            unsafe {
                // Adjacent lanes, then adjacent pairs of the four: [a, b, c, d] of each half.
                let pairs = [_mm256_hadd_ps(a.0, b.0), _mm256_hadd_ps(c.0, d.0)];
                let halves = _mm256_hadd_ps(pairs[0], pairs[1]);
                let low = _mm256_castps256_ps128(halves);
                let sums = _mm_add_ps(low, _mm256_extractf128_ps::<1>(halves));
                let mut out = [0.0; 4];
                _mm_storeu_ps(out.as_mut_ptr(), sums);
                out
            }
        }
    }

    /// 512 bits: AVX-512; pairs of `bf16` by two multiply-adds.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512(__m512);

    impl Avx512 {
        /// The two halves added up.
        ///
        /// # Safety
        /// The processor has AVX-512.
        #[inline(always)]
        unsafe fn halved(self) -> Avx2 {
            // SAFETY: the caller's promise.
            unsafe {
                let low = _mm512_castps512_ps256(self.0);
                Avx2(_mm256_add_ps(low, _mm512_extractf32x8_ps::<1>(self.0)))
            }
        }
    }

    impl Vector for Avx512 {
        const LANES: usize = 16;
        // 24 sums, 3 columns, and room for rows: of the 32 registers.
        const TILE_ROWS: usize = 8;
        const TILE_VECTORS: usize = 3;

        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: the caller runs where AVX-512 is.
            Self(unsafe { _mm512_setzero_ps() })
        }

        #[inline(always)]
        unsafe fn splat(at: *const u32) -> Self {
            // SAFETY: the caller runs where AVX-512 is, with a readable pointer.
            Self(unsafe { _mm512_set1_ps(at.cast::<f32>().read()) })
        }

        #[inline(always)]
        unsafe fn load(at: *const u32) -> Self {
            // SAFETY: as for `splat`.
            Self(unsafe { _mm512_loadu_ps(at.cast()) })
        }

        #[inline(always)]
        unsafe fn load_halves(at: *const u16) -> Self {
            // SAFETY: the caller runs where AVX-512 is.
            Self(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(at.cast())) })
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: the caller runs where AVX-512 is, with a writable pointer.
            unsafe { _mm512_storeu_ps(at, self.0) }
        }

        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller runs where AVX-512 is.
            Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
        }

        #[inline(always)]
        unsafe fn add_pairs(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller runs where AVX-512 is.
            unsafe {
                let mask = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
                let low = |x| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(x)));
                let high = |x| _mm512_castsi512_ps(_mm512_and_epi32(_mm512_castps_si512(x), mask));
                let sum = _mm512_fmadd_ps(low(a.0), low(b.0), self.0);
                Self(_mm512_fmadd_ps(high(a.0), high(b.0), sum))
            }
        }

        #[inline(always)]
        unsafe fn totals([a, b, c, d]: [Self; 4]) -> [f32; 4] {
            // SAFETY: the caller runs where AVX-512 is, which has AVX2.
            unsafe { Avx2::totals([a.halved(), b.halved(), c.halved(), d.halved()]) }
        }
    }

    /// 512 bits with AVX-512 BF16: `vdpbf16ps` takes a pair per lane.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512Bf16(Avx512);

    impl Vector for Avx512Bf16 {
        const LANES: usize = 16;
        const TILE_ROWS: usize = 8;
        const TILE_VECTORS: usize = 3;

        #[inline(always)]
        unsafe fn zero() -> Self {
            // SAFETY: this and the next ones are those of `Avx512`.
            Self(unsafe { Avx512::zero() })
        }

        #[inline(always)]
        unsafe fn splat(at: *const u32) -> Self {
            // SAFETY: see `zero`.
            Self(unsafe { Avx512::splat(at) })
        }

        #[inline(always)]
        unsafe fn load(at: *const u32) -> Self {
            // SAFETY: see `zero`.
            Self(unsafe { Avx512::load(at) })
        }

        #[inline(always)]
        unsafe fn load_halves(at: *const u16) -> Self {
            // SAFETY: see `zero`.
            Self(unsafe { Avx512::load_halves(at) })
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: see `zero`.
            unsafe { self.0.store(at) }
        }

        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            // SAFETY: see `zero`.
            Self(unsafe { self.0.add_product(a.0, b.0) })
        }

        #[inline(always)]
        unsafe fn totals([a, b, c, d]: [Self; 4]) -> [f32; 4] {
            // SAFETY: the caller's promise.
            unsafe { Avx512::totals([a.0, b.0, c.0, d.0]) }
        }

        #[inline(always)]
        unsafe fn add_pairs(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller runs where AVX-512 BF16 is; the types only name what is in the lanes.
            unsafe {
                let pairs = |x: __m512| std::mem::transmute::<__m512, __m512bh>(x);
                let sum = _mm512_dpbf16_ps(self.0.0, pairs(a.0.0), pairs(b.0.0));
                Self(Avx512(sum))
            }
        }
    }
}
