//! Weights W [N,K] in the order in which the products read them.
//!
//! Sixteen rows of W (output columns) make a *panel*; of a panel, 32 values of k make a *tile* of 8 *groups*: group g
//! holds 16 × 4 codes, four neighbouring k of each output, as one `vpdpbusd` wants them:
//!
//! ```text
//! group g, byte 4·j + i  =  u[n₀ + j, k₀ + 4·g + i]        j < 16, i < 4
//! ```
//!
//! Codes stay as small as the file has them. Of a code of b bits the low 8, 4 or 2 are stored in lines of 64 bytes,
//! then the high 0, 1 or 2 in further lines, b lines for each tile: fields of w bits lie in w lines, group g in line
//! g mod w at bit w·⌊g/w⌋. All widths follow this one rule.
//!
//! Scales lie in arrays of their own, 16 neighbours for the 16 outputs: f16 d (and m) per block of the format, i8
//! scale (and min) per sub-block where the format nests them. Outputs beyond N have scale 0.

use super::BLOCK;
use super::blocks::{self, Format, Kind, Parts};

/// Outputs in a panel.
pub const PANEL: usize = 16;

/// Groups of four k in a tile.
pub(super) const GROUPS: usize = BLOCK / 4;

/// 64 bytes that one AVX-512 register holds, as little-endian words of eight.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u64; 8]);

impl Line {
    pub(super) const ZERO: Self = Self([0; 8]);

    /// The `width` bits of each byte from bit `from` on, moved to bit `to`; the others are 0.
    ///
    /// Eight bytes go at once: what a shift brings in from the neighbour is masked away.
    #[inline(always)]
    pub(super) fn field(&self, width: usize, from: usize, to: usize) -> Self {
        let mask = 0x0101_0101_0101_0101 * ((1 << width) - 1);
        let mut field = Self::ZERO;
        for (field, word) in field.0.iter_mut().zip(self.0) {
            *field = ((word >> from) & mask) << to;
        }
        field
    }

    /// `self |= other`.
    #[inline(always)]
    pub(super) fn add(&mut self, other: Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word |= other;
        }
    }
}

/// How many bits of a code go into its low and its high field.
pub(super) const fn field_widths(bits: usize) -> (usize, usize) {
    match bits {
        8 => (8, 0),
        4..8 => (4, bits - 4),
        _ => (2, bits - 2),
    }
}

/// A weight matrix, repacked.
#[derive(Clone, Debug)]
pub struct Packed {
    kind: Kind,
    n: usize,
    k: usize,
    pub(super) codes: Vec<Line>,
    /// f16 [panel][block][16].
    pub(super) d: Vec<[u16; PANEL]>,
    /// As `d`; empty where the format has no minimum.
    pub(super) m: Vec<[u16; PANEL]>,
    /// [panel][sub-block][16]; empty where the format does not nest.
    pub(super) scales: Vec<[i8; PANEL]>,
    /// As `scales`.
    pub(super) mins: Vec<[i8; PANEL]>,
}

impl Packed {
    /// Repacks `bytes`, N rows of K weights in GGUF's layout of `kind`.
    ///
    /// Panics unless K is a multiple of the kind's block and `bytes` has N·K weights.
    pub fn new(kind: Kind, bytes: &[u8], n: usize, k: usize) -> Self {
        let format = kind.format();
        let row_bytes = k / format.weights * format.bytes;
        assert!(
            k.is_multiple_of(format.weights) && bytes.len() == n * row_bytes,
            "{} bytes are not {n}×{k} weights of {kind:?}",
            bytes.len()
        );
        let panels = n.div_ceil(PANEL);
        let mut packed = Self {
            kind,
            n,
            k,
            codes: Vec::with_capacity(panels * k / BLOCK * format.bits),
            d: Vec::new(),
            m: Vec::new(),
            scales: Vec::new(),
            mins: Vec::new(),
        };
        let nothing = vec![0; format.bytes];
        for panel in 0..panels {
            for block in 0..k / format.weights {
                let parts: [Parts; PANEL] = std::array::from_fn(|j| {
                    let row = panel * PANEL + j;
                    let from = row * row_bytes + block * format.bytes;
                    let bytes = bytes.get(from..from + format.bytes);
                    blocks::parts(kind, bytes.unwrap_or(&nothing))
                });
                packed.push(format, &parts);
            }
        }
        packed
    }

    /// Appends a block of each of 16 outputs.
    fn push(&mut self, format: Format, parts: &[Parts; PANEL]) {
        self.d.push(parts.each_ref().map(|parts| parts.d));
        if format.has_min() {
            self.m.push(parts.each_ref().map(|parts| parts.m));
        }
        if format.is_nested() {
            for sub in 0..format.weights / format.sub {
                let of = |values: fn(&Parts) -> &[i8; 16]| {
                    parts.each_ref().map(|parts| values(parts)[sub])
                };
                self.scales.push(of(|parts| &parts.scales));
                if format.has_min() {
                    self.mins.push(of(|parts| &parts.mins));
                }
            }
        }
        let (low, high) = field_widths(format.bits);
        for tile in 0..format.weights / BLOCK {
            let mut groups = [Line::ZERO; GROUPS];
            for (j, parts) in parts.iter().enumerate() {
                let (codes, _) = parts.codes[tile * BLOCK..(tile + 1) * BLOCK].as_chunks::<4>();
                for (group, &codes) in groups.iter_mut().zip(codes) {
                    group.0[j / 2] |= u64::from(u32::from_le_bytes(codes)) << (32 * (j % 2));
                }
            }
            squeeze(&mut self.codes, &groups, 0, low);
            squeeze(&mut self.codes, &groups, low, high);
        }
    }

    /// The format.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// N, the number of outputs.
    pub fn outputs(&self) -> usize {
        self.n
    }

    /// K, the number of inputs.
    pub fn inputs(&self) -> usize {
        self.k
    }

    /// Bytes that a product with one row reads.
    pub fn size(&self) -> usize {
        size_of_val(&self.codes[..])
            + size_of_val(&self.d[..])
            + size_of_val(&self.m[..])
            + size_of_val(&self.scales[..])
            + size_of_val(&self.mins[..])
    }
}

/// Appends bits `from..from + width` of the codes, as `width` lines.
fn squeeze(lines: &mut Vec<Line>, groups: &[Line; GROUPS], from: usize, width: usize) {
    let first = lines.len();
    lines.resize(first + width, Line::ZERO);
    for (g, group) in groups.iter().enumerate().filter(|_| width > 0) {
        lines[first + g % width].add(group.field(width, from, width * (g / width)));
    }
}
