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

use std::mem::MaybeUninit;

use super::BLOCK;
use super::blocks::{Kind, Parts};
use crate::pool::{self, Pool};

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
    /// Repacks N rows of K weights, where `row(n)` has the bytes of row n in GGUF's layout of `kind`; threads take panels.
    ///
    /// # Panics
    /// Unless K is a multiple of the kind's block and each row has K weights.
    pub fn new<'a>(
        pool: &Pool,
        kind: Kind,
        [n, k]: [usize; 2],
        row: impl Fn(usize) -> &'a [u8] + Sync,
    ) -> Self {
        let format = kind.format();
        assert!(
            k.is_multiple_of(format.weights),
            "{k} weights are no whole blocks of {kind:?}"
        );
        let (panels, blocks) = (n.div_ceil(PANEL), k / format.weights);
        let subs = if format.is_nested() {
            k / format.sub
        } else {
            0
        };
        let lines = k / BLOCK * format.bits;
        let has_min = usize::from(format.has_min());
        let mut packed = Self {
            kind,
            n,
            k,
            codes: Vec::with_capacity(panels * lines),
            d: vec![[0; PANEL]; panels * blocks],
            m: vec![[0; PANEL]; panels * blocks * has_min],
            scales: vec![[0; PANEL]; panels * subs],
            mins: vec![[0; PANEL]; panels * subs * has_min],
        };
        let codes = pool::Parts::new(&mut packed.codes.spare_capacity_mut()[..panels * lines]);
        let [d, m] = [&mut packed.d, &mut packed.m].map(|halves| pool::Parts::new(halves));
        let [scales, mins] =
            [&mut packed.scales, &mut packed.mins].map(|bytes| pool::Parts::new(bytes));
        pool.each(panels, |panel| {
            let run = |of: usize| panel * of..(panel + 1) * of;
            let rows = panel * PANEL..n.min((panel + 1) * PANEL);
            // SAFETY: `each` gives every panel once, and runs of different panels do not overlap.
            let mut target = unsafe {
                Panel {
                    codes: codes.slice(run(lines)),
                    d: d.slice(run(blocks)),
                    m: m.slice(run(blocks * has_min)),
                    scales: scales.slice(run(subs)),
                    mins: mins.slice(run(subs * has_min)),
                }
            };
            target.fill(kind, k, rows.map(&row));
        });
        // SAFETY: the capacity is at least that, and every panel has filled its lines.
        unsafe { packed.codes.set_len(panels * lines) };
        packed
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

/// Sixteen outputs of a matrix that is being repacked, and where they go.
struct Panel<'a> {
    codes: &'a mut [MaybeUninit<Line>],
    d: &'a mut [[u16; PANEL]],
    m: &'a mut [[u16; PANEL]],
    scales: &'a mut [[i8; PANEL]],
    mins: &'a mut [[i8; PANEL]],
}

impl Panel<'_> {
    /// Fills all of it with rows of K weights, of which there are at most sixteen.
    fn fill<'a>(&mut self, kind: Kind, k: usize, rows: impl Iterator<Item = &'a [u8]>) {
        let format = kind.format();
        let (blocks, subs) = (k / format.weights, format.weights / format.sub);
        let nothing = vec![0; blocks * format.bytes];
        let mut all = [&nothing[..]; PANEL];
        for (place, row) in all.iter_mut().zip(rows) {
            assert_eq!(
                row.len(),
                nothing.len(),
                "bytes of a row of {k} weights of {kind:?}"
            );
            *place = row;
        }
        let mut parts: [Parts; PANEL] = std::array::from_fn(|_| Parts::ZERO);
        let mut codes = self.codes.iter_mut();
        for block in 0..blocks {
            for (parts, row) in parts.iter_mut().zip(all) {
                parts.take(kind, &row[block * format.bytes..(block + 1) * format.bytes]);
            }
            self.d[block] = parts.each_ref().map(|parts| parts.d);
            if let Some(m) = self.m.get_mut(block) {
                *m = parts.each_ref().map(|parts| parts.m);
            }
            if format.is_nested() {
                for sub in 0..subs {
                    let at = block * subs + sub;
                    self.scales[at] = parts.each_ref().map(|parts| parts.scales[sub]);
                    if let Some(mins) = self.mins.get_mut(at) {
                        *mins = parts.each_ref().map(|parts| parts.mins[sub]);
                    }
                }
            }
            for tile in 0..format.weights / BLOCK {
                let tile = tile * BLOCK..(tile + 1) * BLOCK;
                let groups = groups(parts.each_ref().map(|parts| &parts.codes[tile.clone()]));
                let lines = match field_widths(format.bits) {
                    (8, 0) => lines::<8, 0>(&groups),
                    (4, 0) => lines::<4, 0>(&groups),
                    (4, 1) => lines::<4, 1>(&groups),
                    (4, 2) => lines::<4, 2>(&groups),
                    (2, 0) => lines::<2, 0>(&groups),
                    (2, 1) => lines::<2, 1>(&groups),
                    widths => unreachable!("no format has fields of {widths:?} bits"),
                };
                for (place, line) in codes.by_ref().zip(lines).take(format.bits) {
                    place.write(line);
                }
            }
        }
    }
}

/// The codes of a tile: of each output 32 neighbours.
fn groups(codes: [&[u8]; PANEL]) -> [Line; GROUPS] {
    let mut groups = [Line::ZERO; GROUPS];
    for (j, codes) in codes.chunks_exact(2).enumerate() {
        let [(even, _), (odd, _)] = [codes[0], codes[1]].map(|codes| codes.as_chunks::<4>());
        for (group, (&even, &odd)) in groups.iter_mut().zip(even.iter().zip(odd)) {
            let [even, odd] = [even, odd].map(|codes| u64::from(u32::from_le_bytes(codes)));
            group.0[j] = even | odd << 32;
        }
    }
    groups
}

/// The lines of a tile, of which the first LOW + HIGH count: LOW bits of each code, then the next HIGH.
fn lines<const LOW: usize, const HIGH: usize>(groups: &[Line; GROUPS]) -> [Line; 8] {
    let mut lines = [Line::ZERO; 8];
    for (g, group) in groups.iter().enumerate() {
        lines[g % LOW].add(group.field(LOW, 0, LOW * (g / LOW)));
        if let Some(turn) = g.checked_div(HIGH) {
            lines[LOW + g % HIGH].add(group.field(HIGH, LOW, HIGH * turn));
        }
    }
    lines
}
