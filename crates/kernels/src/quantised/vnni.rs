//! The innermost loops with AVX-512 VNNI: `vpdpbusd` adds four products u·v to each of 16 sums.
//!
//! [`rows`] keeps the sums of up to 6 rows × 32 outputs in registers: for each group two registers of codes and, for
//! each row, four activations repeated 16 times. [`few_rows`] reads each weight once, as it lies in memory, and
//! unpacks the codes in registers, for up to 8 rows.

use std::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_prefetch,
    _mm256_add_epi32, _mm256_dpbusd_epi32, _mm256_extract_epi32, _mm256_loadu_si256,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi32, _mm512_add_epi32, _mm512_add_ps,
    _mm512_and_si512, _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtph_ps,
    _mm512_dpbusd_epi32, _mm512_load_ps, _mm512_load_si512, _mm512_loadu_ps, _mm512_mul_ps,
    _mm512_or_si512, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_sll_epi32, _mm512_sllv_epi16,
    _mm512_srlv_epi16, _mm512_store_si512, _mm512_storeu_ps,
};

use super::BLOCK;
use super::activations::Block;
use super::chunk::{Chunk, Outputs, Tile, WIDTH};
use super::packed::{GROUPS, Line, PANEL, Packed, field_widths};

/// The sums over the codes, as products with 1: of four neighbours each by `vpdpbusd`, then of the four in a half.
#[target_feature(enable = "avx512f,avx512vl,avx512vnni")]
pub(super) fn make_sums(blocks: &mut [Block]) {
    for block in blocks {
        // SAFETY: the 32 bytes read are the array.
        let codes = unsafe { _mm256_loadu_si256(block.codes.as_ptr().cast()) };
        let quads = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), codes);
        let pairs = _mm256_add_epi32(quads, _mm256_shuffle_epi32::<0b11_10_11_10>(quads));
        let halves = _mm256_add_epi32(pairs, _mm256_shuffle_epi32::<0b01_01_01_01>(pairs));
        block.set_sums([
            _mm256_extract_epi32::<0>(halves),
            _mm256_extract_epi32::<4>(halves),
        ]);
    }
}

/// Four activations, for each of 16 outputs.
#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast(x: &Block, group: usize) -> __m512i {
    let v = x.codes.as_chunks::<4>().0[group];
    _mm512_set1_epi32(i32::from_le_bytes(v.map(i8::cast_unsigned)))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &Line) -> __m512i {
    // SAFETY: a line is 64 bytes, aligned to as many.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_outputs(values: &Outputs) -> [__m512; 2] {
    let from = values.0.as_ptr();
    // SAFETY: these are the two halves of 32 f32, aligned to 64 bytes.
    unsafe { [_mm512_load_ps(from), _mm512_load_ps(from.add(16))] }
}

/// `sums += ` the products of `ROWS` rows with a chunk, for sub-blocks of `SUB` groups, with a minimum if `MIN`, else
/// an offset of 2^`log`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn rows<const ROWS: usize, const SUB: usize, const MIN: bool>(
    sums: &mut [[f32; WIDTH]; ROWS],
    chunk: &Chunk,
    x: &[&[Block]; ROWS],
    log: u32,
) {
    let log = _mm_cvtsi32_si128(log as i32);
    let mut y = [[_mm512_setzero_ps(); 2]; ROWS];
    for (y, sums) in y.iter_mut().zip(&*sums) {
        let from = sums.as_ptr();
        // SAFETY: these are the two halves of 32 f32.
        *y = unsafe { [_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16))] };
    }
    assert!(
        x.iter().all(|x| x.len() >= chunk.tiles),
        "a block for each tile"
    );
    for (tile, codes) in chunk.codes.iter().enumerate().take(chunk.tiles) {
        // SAFETY: the rows were seen to be as long as the chunk; each check here would cost a hundredth.
        let x: [&Block; ROWS] = std::array::from_fn(|r| unsafe { x[r].get_unchecked(tile) });
        for (s, codes) in codes.as_chunks::<SUB>().0.iter().enumerate() {
            let which = if SUB == GROUPS { 0 } else { 1 + s };
            let mut whole = [[_mm512_setzero_si512(); 2]; ROWS];
            if !MIN {
                for (whole, x) in whole.iter_mut().zip(&x) {
                    let sum = _mm512_set1_epi32(x.minus_sums[which]);
                    *whole = [_mm512_sll_epi32(sum, log); 2];
                }
            }
            for (g, [u0, u1]) in codes.iter().enumerate() {
                let [u0, u1] = [load(u0), load(u1)];
                for (whole, x) in whole.iter_mut().zip(&x) {
                    let v = broadcast(x, s * SUB + g);
                    whole[0] = _mm512_dpbusd_epi32(whole[0], u0, v);
                    whole[1] = _mm512_dpbusd_epi32(whole[1], u1, v);
                }
            }
            let at = tile * (GROUPS / SUB) + s;
            let (scale, min) = (
                load_outputs(&chunk.scales[at]),
                load_outputs(&chunk.mins[at]),
            );
            for r in 0..ROWS {
                let x = x[r];
                for p in 0..2 {
                    let part = _mm512_mul_ps(_mm512_cvtepi32_ps(whole[r][p]), scale[p]);
                    y[r][p] = _mm512_add_ps(y[r][p], _mm512_mul_ps(part, _mm512_set1_ps(x.scale)));
                    if MIN {
                        let part = _mm512_mul_ps(min[p], _mm512_set1_ps(x.scaled_sums[which]));
                        y[r][p] = _mm512_add_ps(y[r][p], part);
                    }
                }
            }
        }
    }
    for (y, sums) in y.iter().zip(sums) {
        let to = sums.as_mut_ptr();
        // SAFETY: as for loading.
        unsafe {
            _mm512_storeu_ps(to, y[0]);
            _mm512_storeu_ps(to.add(16), y[1]);
        }
    }
}

/// Bits `from..from + width` of each byte, moved to bits `to..`; the others are 0.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn field(line: __m512i, width: usize, from: usize, to: usize) -> __m512i {
    // There are no shifts of bytes: what comes over from the neighbour is masked away.
    let moved = if from > to {
        _mm512_srlv_epi16(line, _mm512_set1_epi16((from - to) as i16))
    } else {
        _mm512_sllv_epi16(line, _mm512_set1_epi16((to - from) as i16))
    };
    let mask = ((1u16 << width) - 1) << to;
    _mm512_and_si512(moved, _mm512_set1_epi8(mask as u8 as i8))
}

/// The 8 groups of a tile, as `packed` lays them out.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn groups<const BITS: usize>(lines: &[Line; BITS]) -> [__m512i; GROUPS] {
    let (low, high) = const { field_widths(BITS) };
    let mut groups = [_mm512_setzero_si512(); GROUPS];
    for (g, group) in groups.iter_mut().enumerate() {
        let line = load(&lines[g % low]);
        *group = if low == 8 {
            line
        } else {
            field(line, low, low * (g / low), 0)
        };
        if high > 0 {
            let line = load(&lines[low + g % high]);
            *group = _mm512_or_si512(*group, field(line, high, high * (g / high), low));
        }
    }
    groups
}

/// Unpacks the lines of panel `p` of a chunk to their places in each tile.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn expand<const BITS: usize>(tiles: &mut [Tile], p: usize, lines: &[Line]) {
    let (lines, _) = lines.as_chunks::<BITS>();
    for (tile, lines) in tiles.iter_mut().zip(lines) {
        for (group, codes) in tile.iter_mut().zip(groups(lines)) {
            // SAFETY: a line is 64 bytes, aligned to as many.
            unsafe { _mm512_store_si512(group[p].0.as_mut_ptr().cast(), codes) };
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn halves(values: &[u16; PANEL]) -> __m512 {
    // SAFETY: the 32 bytes read are the array.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(values.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn factors(values: &[i8; PANEL]) -> __m512 {
    // SAFETY: the 16 bytes read are the array.
    let bytes = unsafe { _mm_loadu_si128(values.as_ptr().cast()) };
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))
}

/// How far ahead of their use codes are fetched from memory, in tiles.
const AHEAD: usize = 12;

/// `sums = ` the products of a few rows with the 16 outputs of `panel`, whose codes are read once.
/// `NESTED`: scales within blocks of 256.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn few_rows<
    const ROWS: usize,
    const BITS: usize,
    const SUB: usize,
    const MIN: bool,
    const NESTED: bool,
>(
    sums: &mut [[f32; PANEL]; ROWS],
    weights: &Packed,
    panel: usize,
    x: &[&[Block]; ROWS],
    log: u32,
) {
    let log = _mm_cvtsi32_si128(log as i32);
    let tiles = weights.inputs() / BLOCK;
    let per_block = if NESTED { 8 } else { 1 };
    let subs = GROUPS / SUB;
    let (lines, _) = weights.codes.as_chunks::<BITS>();
    let lines = &lines[panel * tiles..(panel + 1) * tiles];
    let (first_block, first_sub) = (panel * tiles / per_block, panel * tiles * subs);
    assert!(x.iter().all(|x| x.len() >= tiles), "a block for each tile");
    let mut y = [_mm512_setzero_ps(); ROWS];
    let (mut d, mut m) = (y[0], y[0]);
    for (tile, lines) in lines.iter().enumerate() {
        // SAFETY: the rows were seen to be as long as the panel's.
        let x: [&Block; ROWS] = std::array::from_fn(|r| unsafe { x[r].get_unchecked(tile) });
        let ahead = lines.as_ptr().wrapping_add(AHEAD * BITS);
        for line in 0..BITS {
            _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(line).cast());
        }
        if tile % per_block == 0 {
            d = halves(&weights.d[first_block + tile / per_block]);
            if MIN {
                m = halves(&weights.m[first_block + tile / per_block]);
            }
        }
        let groups = groups(lines);
        for s in 0..subs {
            let which = if SUB == GROUPS { 0 } else { 1 + s };
            let (mut scale, mut min) = (d, m);
            if NESTED {
                let sub = first_sub + tile * subs + s;
                scale = _mm512_mul_ps(d, factors(&weights.scales[sub]));
                if MIN {
                    min = _mm512_mul_ps(m, factors(&weights.mins[sub]));
                }
            }
            for (y, x) in y.iter_mut().zip(x) {
                // Two sums, so that half as many additions wait for each other.
                let mut whole = [_mm512_setzero_si512(); 2];
                if !MIN {
                    whole[0] = _mm512_sll_epi32(_mm512_set1_epi32(x.minus_sums[which]), log);
                }
                for g in s * SUB..(s + 1) * SUB {
                    whole[g % 2] = _mm512_dpbusd_epi32(whole[g % 2], groups[g], broadcast(x, g));
                }
                let whole = _mm512_cvtepi32_ps(_mm512_add_epi32(whole[0], whole[1]));
                let part = _mm512_mul_ps(_mm512_mul_ps(whole, scale), _mm512_set1_ps(x.scale));
                *y = _mm512_add_ps(*y, part);
                if MIN {
                    let part = _mm512_mul_ps(min, _mm512_set1_ps(x.scaled_sums[which]));
                    *y = _mm512_add_ps(*y, part);
                }
            }
        }
    }
    for (sums, y) in sums.iter_mut().zip(y) {
        // SAFETY: the array has 16 f32.
        unsafe { _mm512_storeu_ps(sums.as_mut_ptr(), y) };
    }
}
