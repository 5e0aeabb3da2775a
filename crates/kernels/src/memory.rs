//! Memory for kernels: aligned to cache lines, and in large pages where there is much of it.

use std::fmt;
use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// Words of a cache line.
pub(crate) const LINE: usize = 16;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Bytes from which a block asks the system for large pages: strided reads then miss the page table's cache less.
const LARGE: usize = 1 << 20;

/// A large page.
const PAGE: usize = 1 << 21;

enum Home {
    Lines(Box<[Line]>),
    Pages {
        map: MmapMut,
        /// Bytes before the block.
        start: usize,
    },
}

impl Home {
    /// Anonymous pages for `bytes`. A block of several large pages begins with one, as only what lies whole in a large
    /// page can have it; the bytes before it are never touched, so they take no memory.
    fn pages(bytes: usize) -> std::io::Result<Self> {
        let spare = if bytes >= 2 * PAGE { PAGE } else { 0 };
        let map = MmapMut::map_anon(bytes + spare)?;
        let start = if spare > 0 {
            map.as_ptr().align_offset(PAGE)
        } else {
            0
        };
        #[cfg(target_os = "linux")]
        // A system without large pages says no; the block serves as well.
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Self::Pages { map, start })
    }
}

/// An owned run of 32-bit words, zero when new, that begins at a cache line. Read as `f32` (through `Deref`) or as
/// plain words ([`Block::words`]): every bit pattern is both.
pub struct Block {
    home: Home,
    len: usize,
}

impl Block {
    /// `len` words of 0.
    pub fn zeros(len: usize) -> Self {
        let bytes = len * size_of::<f32>();
        let lines = || Home::Lines(vec![Line([0.0; LINE]); len.div_ceil(LINE)].into_boxed_slice());
        let pages = (bytes >= LARGE).then(|| Home::pages(bytes).ok()).flatten();
        let home = pages.unwrap_or_else(lines);
        Self { home, len }
    }

    /// The block as words.
    pub fn words(&self) -> &[u32] {
        words(self)
    }

    /// The block as words.
    pub fn words_mut(&mut self) -> &mut [u32] {
        words_mut(self)
    }
}

/// `f32` as the words that they are.
pub fn words(x: &[f32]) -> &[u32] {
    // SAFETY: both are 32 bits with the same alignment, and every bit pattern is a valid u32.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

/// Words as their halves, the low one first: `bf16` numbers in the order in which a row has them.
pub(crate) fn halves(x: &[u32]) -> &[u16] {
    const {
        assert!(
            cfg!(target_endian = "little"),
            "the low half of a word comes first in memory"
        );
    };
    // SAFETY: a word is two u16 of lower alignment, and every bit pattern is valid.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), 2 * x.len()) }
}

/// As [`halves`], to be written.
pub(crate) fn halves_mut(x: &mut [u32]) -> &mut [u16] {
    const {
        assert!(
            cfg!(target_endian = "little"),
            "the low half of a word comes first in memory"
        );
    };
    // SAFETY: as for `halves`; `x` is borrowed alone.
    unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), 2 * x.len()) }
}

/// Words that are `f32`, as such.
pub(crate) fn floats(x: &[u32]) -> &[f32] {
    // SAFETY: as for `words`.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

/// `f32` as the words that they are.
pub fn words_mut(x: &mut [f32]) -> &mut [u32] {
    // SAFETY: as for `words`; every bit pattern is a valid f32 too.
    unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) }
}

/// Asks for the cache line at `at`, which will be read soon; it need not be readable.
#[inline(always)]
pub(crate) fn fetch<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint reads nothing; every x86-64 has it.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    };
}

/// As [`fetch`], into the second-level cache, for what is not read at once.
#[inline(always)]
pub(crate) fn fetch_far<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(at.cast());
    };
}

/// Asks for the cache line at `at` alone, which will be written soon; it need not be there.
#[inline(always)]
pub(crate) fn fetch_to_write<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint reads and writes nothing, and is one for nothing where a processor does not know it.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
}

/// Copies `x` to `out` without reading what is there, where the processor can. Other threads see it after
/// [`settle_writes`]. `WIDE` says that the code is compiled for AVX-512.
#[inline(always)]
pub(crate) fn write_past_caches<const WIDE: bool>(out: &mut [f32], x: &[f32]) {
    let (lines, rest) = words_mut(out).as_chunks_mut();
    let (chunks, tail) = words(x).as_chunks();
    for (line, chunk) in lines.iter_mut().zip(chunks) {
        write_line_past_caches::<WIDE>(line, chunk);
    }
    rest.copy_from_slice(tail);
}

/// As [`write_past_caches`], of as many words as a cache line has.
#[inline(always)]
pub(crate) fn write_line_past_caches<const WIDE: bool>(line: &mut [u32; LINE], x: &[u32; LINE]) {
    #[cfg(target_arch = "x86_64")]
    if WIDE && line.as_ptr().addr().is_multiple_of(size_of::<Line>()) {
        // SAFETY: `WIDE` holds in code that runs where AVX-512 is; the words begin at a cache line.
        unsafe { x86::write_line(line, x) };
        return;
    }
    *line = *x;
}

/// Lets other threads see what this one [wrote past the caches](write_past_caches), before it tells them of it.
#[inline(always)]
pub(crate) fn settle_writes() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: every x86-64 has it.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{_mm512_loadu_si512, _mm512_stream_si512};

    use super::LINE;

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn write_line(line: &mut [u32; LINE], x: &[u32; LINE]) {
        // SAFETY: both are as long as a register; the caller promises that the line begins at a cache line.
        unsafe {
            _mm512_stream_si512(
                line.as_mut_ptr().cast(),
                _mm512_loadu_si512(x.as_ptr().cast()),
            );
        };
    }
}

impl From<&[f32]> for Block {
    fn from(x: &[f32]) -> Self {
        let mut block = Self::zeros(x.len());
        block.copy_from_slice(x);
        block
    }
}

impl Clone for Block {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Deref for Block {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        let start: *const f32 = match &self.home {
            Home::Lines(lines) => lines.as_ptr().cast(),
            Home::Pages { map, start } => map[*start..].as_ptr().cast(),
        };
        // SAFETY: both hold at least `len` initialised f32 (a map begins as zeros), at an alignment of 4 or more.
        unsafe { std::slice::from_raw_parts(start, self.len) }
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [f32] {
        let start: *mut f32 = match &mut self.home {
            Home::Lines(lines) => lines.as_mut_ptr().cast(),
            Home::Pages { map, start } => map[*start..].as_mut_ptr().cast(),
        };
        // SAFETY: as for `deref`; the block is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(start, self.len) }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block[{}]", self.len)
    }
}
