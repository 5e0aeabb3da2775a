//! Words of 16 rows into 16 columns, in registers.

use super::RIGHT;

/// Words that are transposed at a time.
pub(super) const SIDE: usize = 16;

/// `groups[k][first + i]` = `rows[i][k]` for 16 rows of 16 words; `PAST` the caches, where the processor can.
///
/// Four rounds of shuffles, each of which doubles the size of the squares whose corners are exchanged.
#[inline(always)]
pub(super) fn transpose<const WIDE: bool, const PAST: bool>(
    groups: &mut [[u32; RIGHT]; SIDE],
    first: usize,
    rows: [&[u32; SIDE]; SIDE],
) {
    #[cfg(target_arch = "x86_64")]
    if WIDE {
        assert!(
            first + SIDE <= RIGHT,
            "columns {first} and {SIDE} more of {RIGHT}"
        );
        // SAFETY: `WIDE` holds in code that is compiled for AVX-512 and runs where that is; the columns were checked.
        unsafe { x86::transpose::<PAST>(groups, first, rows) };
        return;
    }
    for (k, group) in groups.iter_mut().enumerate() {
        for (word, row) in group[first..first + SIDE].iter_mut().zip(rows) {
            *word = row[k];
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m512i, _mm512_loadu_si512, _mm512_setzero_si512, _mm512_shuffle_i32x4,
        _mm512_storeu_si512, _mm512_stream_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
        _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    };

    use super::{RIGHT, SIDE};

    #[inline]
    #[target_feature(enable = "avx512f")]
    #[expect(clippy::cast_ptr_alignment, reason = "looked at before it matters")]
    pub(super) unsafe fn transpose<const PAST: bool>(
        groups: &mut [[u32; RIGHT]; SIDE],
        first: usize,
        rows: [&[u32; SIDE]; SIDE],
    ) {
        // SAFETY: each row holds 16 words, and each group 16 from `first` on, as the caller checked.
        unsafe {
            let mut r = [_mm512_setzero_si512(); SIDE];
            for (r, row) in r.iter_mut().zip(rows) {
                *r = _mm512_loadu_si512(row.as_ptr().cast());
            }
            let mut a = r;
            for i in 0..8 {
                a[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
                a[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
            }
            // b[4i + j]: of each 128 bits column j, rows 4i to 4i + 3.
            let mut b = a;
            for i in 0..4 {
                b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
                b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
                b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
                b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
            }
            for j in 0..4 {
                let low = [
                    _mm512_shuffle_i32x4::<0x88>(b[j], b[j + 4]),
                    _mm512_shuffle_i32x4::<0x88>(b[j + 8], b[j + 12]),
                ];
                let high = [
                    _mm512_shuffle_i32x4::<0xdd>(b[j], b[j + 4]),
                    _mm512_shuffle_i32x4::<0xdd>(b[j + 8], b[j + 12]),
                ];
                let columns = [
                    _mm512_shuffle_i32x4::<0x88>(low[0], low[1]),
                    _mm512_shuffle_i32x4::<0x88>(high[0], high[1]),
                    _mm512_shuffle_i32x4::<0xdd>(low[0], low[1]),
                    _mm512_shuffle_i32x4::<0xdd>(high[0], high[1]),
                ];
                for (i, column) in columns.into_iter().enumerate() {
                    let line = groups[4 * i + j].as_mut_ptr().add(first).cast::<__m512i>();
                    if PAST && line.is_aligned() {
                        _mm512_stream_si512(line, column);
                    } else {
                        _mm512_storeu_si512(line, column);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RIGHT, SIDE, transpose};
    use crate::memory::settle_writes;

    fn check<const WIDE: bool, const PAST: bool>() {
        let rows: [[u32; SIDE]; SIDE] =
            std::array::from_fn(|i| std::array::from_fn(|k| (100 * i + k) as u32));
        for first in [0, 16, 32] {
            let mut groups = [[7; RIGHT]; SIDE];
            transpose::<WIDE, PAST>(&mut groups, first, rows.each_ref());
            settle_writes();
            for (k, group) in groups.iter().enumerate() {
                for (at, &word) in group.iter().enumerate() {
                    let inside = (first..first + SIDE).contains(&at);
                    let expected = if inside {
                        (100 * (at - first) + k) as u32
                    } else {
                        7
                    };
                    assert_eq!(word, expected, "word {k} of column {at}");
                }
            }
        }
    }

    #[test]
    fn rows_become_columns() {
        check::<false, false>();
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") {
            check::<true, false>();
            check::<true, true>();
        }
    }
}
