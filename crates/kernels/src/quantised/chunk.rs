//! A piece of packed weights, two panels wide and at most 512 k long, as one byte per code and f32 scales.
//!
//! With several rows of activations, unpacking once and multiplying often is best: the piece (24 KB with its scales)
//! stays in the first-level cache while all rows pass.

use super::BLOCK;
use super::blocks::Format;
use super::packed::{GROUPS, Line, PANEL, Packed, field_widths};
#[cfg(target_arch = "x86_64")]
use super::{Path, path, vnni};
use crate::arch::multiversion;
use crate::half;

/// Tiles (of 32 k) in a chunk.
pub(super) const TILES: usize = 16;

/// Outputs of a chunk.
pub(super) const WIDTH: usize = 2 * PANEL;

/// One f32 for each output.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Outputs(pub(super) [f32; WIDTH]);

/// See above. What lies beyond `tiles` is left from before.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) tiles: usize,
    pub(super) codes: [Tile; TILES],
    /// s for each sub-block; where these have 32 weights, the first half of the array counts.
    pub(super) scales: [Outputs; 2 * TILES],
    /// μ, as `scales`.
    pub(super) mins: [Outputs; 2 * TILES],
}

impl Chunk {
    pub(super) const fn new() -> Self {
        Self {
            tiles: 0,
            codes: [[[Line::ZERO; 2]; GROUPS]; TILES],
            scales: [Outputs([0.0; WIDTH]); 2 * TILES],
            mins: [Outputs([0.0; WIDTH]); 2 * TILES],
        }
    }
}

multiversion! {
    /// Unpacks tiles `first..first + tiles` of panels `panel` and `panel + 1`; the latter may be missing.
    pub(super) fn unpack(chunk: &mut Chunk, weights: &Packed, panel: usize, first: usize, tiles: usize) {
        let format = weights.kind().format();
        chunk.tiles = tiles;
        let per_panel = weights.inputs() / BLOCK;
        for p in 0..2 {
            let from = ((panel + p) * per_panel + first) * format.bits;
            let Some(lines) = weights.codes.get(from..from + tiles * format.bits) else {
                // Nobody reads these outputs, and their codes are finite: whatever is there may stay.
                continue;
            };
            let codes = &mut chunk.codes[..tiles];
            match format.bits {
                2 => expand::<2>(codes, p, lines),
                3 => expand::<3>(codes, p, lines),
                4 => expand::<4>(codes, p, lines),
                5 => expand::<5>(codes, p, lines),
                6 => expand::<6>(codes, p, lines),
                _ => expand::<8>(codes, p, lines),
            }
            expand_scales(chunk, p, weights, format, panel, first);
        }
    }
}

/// The codes of a tile: of each group, those of both panels.
pub(super) type Tile = [[Line; 2]; GROUPS];

/// Lines of panel `p` to its places in each tile.
#[inline(always)]
fn expand<const BITS: usize>(tiles: &mut [Tile], p: usize, lines: &[Line]) {
    #[cfg(target_arch = "x86_64")]
    if path() == Path::Vnni {
        // SAFETY: `path` returned this value only after detecting the features.
        return unsafe { vnni::expand::<BITS>(tiles, p, lines) };
    }
    let (low, high) = const { field_widths(BITS) };
    for (groups, lines) in tiles.iter_mut().zip(lines.chunks_exact(BITS)) {
        for (g, group) in groups.iter_mut().enumerate() {
            group[p] = lines[g % low].field(low, low * (g / low), 0);
            if high > 0 {
                group[p].add(lines[low + g % high].field(high, high * (g / high), low));
            }
        }
    }
}

#[inline(always)]
fn expand_scales(
    chunk: &mut Chunk,
    p: usize,
    weights: &Packed,
    format: Format,
    panel: usize,
    first: usize,
) {
    let k = weights.inputs();
    let subs = chunk.tiles * BLOCK / format.sub;
    let columns = p * PANEL..(p + 1) * PANEL;
    for i in 0..subs {
        let sub = (panel + p) * (k / format.sub) + first * BLOCK / format.sub + i;
        let block = sub * format.sub / format.weights;
        // An absent array is an absent factor.
        let nested = |factors: &[[i8; PANEL]]| factors.get(sub).copied().unwrap_or([1; PANEL]);
        let scales = &mut chunk.scales[i].0[columns.clone()];
        multiply(scales, &weights.d[block], &nested(&weights.scales));
        if format.has_min() {
            let mins = &mut chunk.mins[i].0[columns.clone()];
            multiply(mins, &weights.m[block], &nested(&weights.mins));
        }
    }
}

#[inline(always)]
fn multiply(out: &mut [f32], halves: &[u16; PANEL], factors: &[i8; PANEL]) {
    for ((out, &half), &factor) in out.iter_mut().zip(halves).zip(factors) {
        *out = half::to_f32(half) * f32::from(factor);
    }
}
