//! GGUF's block formats: y = (d·scale)·(u − o) + m·min for each weight.
//!
//! A row of weights is a sequence of blocks, each with its own f16 d (and m where the format has a minimum). The K
//! formats have blocks of 256 and, in them, a small integer scale (and min) for each sub-block of 16 or 32 weights;
//! in the others scale = min = 1. Numbers are little-endian. Bytes of a block, in their order:
//!
//! | kind | weights | bytes | u | o | fields |
//! |---|---|---|---|---|---|
//! | Q4_0 | 32 | 18 | 4 bits | 8 | d, low 16 |
//! | Q4_1 | 32 | 20 | 4 | 0 | d, m, low 16 |
//! | Q5_0 | 32 | 22 | 5 | 16 | d, high 4, low 16 |
//! | Q5_1 | 32 | 24 | 5 | 0 | d, m, high 4, low 16 |
//! | Q8_0 | 32 | 34 | 8 | 128 | d, 32 signed bytes: u − o |
//! | Q2_K | 256, by 16 | 84 | 2 | 0 | scale and min 16 (low and high nibbles), low 64, d, −m |
//! | Q3_K | 256, by 16 | 110 | 3 | 4 | high 32, low 64, scale + 32 in 12, d |
//! | Q4_K | 256, by 32 | 144 | 4 | 0 | d, −m, scale and min in 12, low 128 |
//! | Q5_K | 256, by 32 | 176 | 5 | 0 | d, −m, scale and min in 12, high 32, low 128 |
//! | Q6_K | 256, by 16 | 210 | 6 | 32 | low 128, high 64, 16 signed scales, d |
//!
//! *Low* holds the low 4 bits of each code (2 in Q2_K and Q3_K), *high* the rest; in what order `fields` says. The
//! layouts are those of ggml (`ggml-common.h`), the values those of the Python package `gguf`, bit for bit.

use crate::half;

/// A format, by its name in GGUF.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[expect(non_camel_case_types, reason = "these are the formats' names")]
#[expect(missing_docs, reason = "the table above describes them")]
pub enum Kind {
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2_K,
    Q3_K,
    Q4_K,
    Q5_K,
    Q6_K,
}

/// A row of the table above.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    /// Weights of a block.
    pub(super) weights: usize,
    /// Bytes of a block.
    pub(super) bytes: usize,
    /// Weights that share a scale.
    pub(super) sub: usize,
    /// Bits of a code.
    pub(super) bits: usize,
    /// log₂ o, or none where o = 0.
    pub(super) offset: Option<u32>,
}

impl Kind {
    /// Every format.
    pub const ALL: [Self; 10] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2_K,
        Self::Q3_K,
        Self::Q4_K,
        Self::Q5_K,
        Self::Q6_K,
    ];

    pub(super) const fn format(self) -> Format {
        let (weights, bytes, sub, bits, offset) = match self {
            Self::Q4_0 => (32, 18, 32, 4, Some(3)),
            Self::Q4_1 => (32, 20, 32, 4, None),
            Self::Q5_0 => (32, 22, 32, 5, Some(4)),
            Self::Q5_1 => (32, 24, 32, 5, None),
            Self::Q8_0 => (32, 34, 32, 8, Some(7)),
            Self::Q2_K => (256, 84, 16, 2, None),
            Self::Q3_K => (256, 110, 16, 3, Some(2)),
            Self::Q4_K => (256, 144, 32, 4, None),
            Self::Q5_K => (256, 176, 32, 5, None),
            Self::Q6_K => (256, 210, 16, 6, Some(5)),
        };
        Format {
            weights,
            bytes,
            sub,
            bits,
            offset,
        }
    }

    /// Weights in a block; the length K of a row must be a multiple.
    pub const fn weights(self) -> usize {
        self.format().weights
    }

    /// Bytes of a block.
    pub const fn bytes(self) -> usize {
        self.format().bytes
    }

    /// Where the f16 numbers of a block stand: d, and the minimum's factor if there is one.
    pub const fn halves(self) -> &'static [usize] {
        match self {
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => &[0],
            Self::Q4_1 | Self::Q5_1 | Self::Q4_K | Self::Q5_K => &[0, 2],
            Self::Q2_K => &[80, 82],
            Self::Q3_K => &[108],
            Self::Q6_K => &[208],
        }
    }
}

impl Format {
    /// Formats without an offset have a minimum.
    pub(super) const fn has_min(self) -> bool {
        self.offset.is_none()
    }

    /// Whether there are scales within a block.
    pub(super) const fn is_nested(self) -> bool {
        self.weights > super::BLOCK
    }

    /// o.
    pub(super) const fn offset(self) -> i32 {
        match self.offset {
            Some(log) => 1 << log,
            None => 0,
        }
    }
}

/// A block taken apart; of the arrays, the first `weights` and `weights / sub` count.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// f16.
    pub(super) d: u16,
    /// f16, 0 where there is no minimum.
    pub(super) m: u16,
    pub(super) scales: [i8; 16],
    pub(super) mins: [i8; 16],
    /// u.
    pub(super) codes: [u8; 256],
}

/// Takes one block apart.
pub(super) fn parts(kind: Kind, block: &[u8]) -> Parts {
    let mut parts = Parts::ZERO;
    parts.take(kind, block);
    parts
}

impl Parts {
    /// To be filled.
    pub(super) const ZERO: Self = Self {
        d: 0,
        m: 0,
        scales: [1; 16],
        mins: [1; 16],
        codes: [0; 256],
    };

    /// Takes one block apart, in the place of another one of the same kind.
    pub(super) fn take(&mut self, kind: Kind, block: &[u8]) {
        let Self {
            d,
            m,
            scales,
            mins,
            codes,
        } = self;
        let f16 = |at: usize| u16::from_le_bytes([block[at], block[at + 1]]);
        let negative = |half: u16| half ^ 0x8000;
        (*d, *m) = match kind {
            Kind::Q4_0 => {
                fields(codes, &block[2..18], 4, 16, 0);
                (f16(0), 0)
            }
            Kind::Q4_1 => {
                fields(codes, &block[4..20], 4, 16, 0);
                (f16(0), f16(2))
            }
            Kind::Q5_0 => {
                fields(codes, &block[6..22], 4, 16, 0);
                fields(codes, &block[2..6], 1, 1, 4);
                (f16(0), 0)
            }
            Kind::Q5_1 => {
                fields(codes, &block[8..24], 4, 16, 0);
                fields(codes, &block[4..8], 1, 1, 4);
                (f16(0), f16(2))
            }
            Kind::Q8_0 => {
                for (code, &signed) in codes.iter_mut().zip(&block[2..34]) {
                    *code = signed ^ 0x80;
                }
                (f16(0), 0)
            }
            Kind::Q2_K => {
                for (i, &both) in block[..16].iter().enumerate() {
                    (scales[i], mins[i]) = ((both & 15) as i8, (both >> 4) as i8);
                }
                fields(codes, &block[16..80], 2, 32, 0);
                (f16(80), negative(f16(82)))
            }
            Kind::Q3_K => {
                fields(codes, &block[32..96], 2, 32, 0);
                fields(codes, &block[..32], 1, 32, 2);
                *scales = scales_of_q3(&block[96..108]);
                (f16(108), 0)
            }
            Kind::Q4_K => {
                (*scales, *mins) = scales_and_mins(&block[4..16]);
                fields(codes, &block[16..144], 4, 32, 0);
                (f16(0), negative(f16(2)))
            }
            Kind::Q5_K => {
                (*scales, *mins) = scales_and_mins(&block[4..16]);
                fields(codes, &block[48..176], 4, 32, 0);
                fields(codes, &block[16..48], 1, 32, 4);
                (f16(0), negative(f16(2)))
            }
            Kind::Q6_K => {
                fields(codes, &block[..128], 4, 64, 0);
                fields(codes, &block[128..192], 2, 32, 4);
                for (scale, &byte) in scales.iter_mut().zip(&block[192..208]) {
                    *scale = byte as i8;
                }
                (f16(208), 0)
            }
        };
    }
}

/// Puts fields of `bits` bits, moved up by `shift`, into `codes`: the lowest first, which also clear what was there.
///
/// The bytes come in groups of `width`. A group's lowest fields are the next `width` codes, one from each byte; then
/// come its second lowest, and so on.
#[inline(always)] // where it is called all but the bytes is constant, and the loops become moves and shifts of whole registers
fn fields(codes: &mut [u8; 256], bytes: &[u8], bits: usize, width: usize, shift: usize) {
    let per_byte = 8 / bits;
    for (group, codes) in bytes
        .chunks_exact(width)
        .zip(codes.chunks_exact_mut(width * per_byte))
    {
        for (place, codes) in codes.chunks_exact_mut(width).enumerate() {
            for (code, &byte) in codes.iter_mut().zip(group) {
                let field = ((byte >> (place * bits)) & ((1 << bits) - 1)) << shift;
                *code = if shift == 0 { field } else { *code | field };
            }
        }
    }
}

/// The eight 6-bit scales and mins of Q4_K and Q5_K: the first four of each lie whole in bytes 0–3 and 4–7, of the
/// others the low four bits in bytes 8–11 and the high two above the whole ones.
fn scales_and_mins(bytes: &[u8]) -> ([i8; 16], [i8; 16]) {
    let (mut scales, mut mins) = ([0; 16], [0; 16]);
    for i in 0..4 {
        let (scale, min, low) = (bytes[i], bytes[4 + i], bytes[8 + i]);
        scales[i] = (scale & 63) as i8;
        mins[i] = (min & 63) as i8;
        scales[4 + i] = (low & 15 | (scale >> 6) << 4) as i8;
        mins[4 + i] = (low >> 4 | (min >> 6) << 4) as i8;
    }
    (scales, mins)
}

/// The sixteen 6-bit scales of Q3_K, 32 too large: nibbles of bytes 0–7, then pairs of bits of bytes 8–11.
fn scales_of_q3(bytes: &[u8]) -> [i8; 16] {
    std::array::from_fn(|i| {
        let low = (bytes[i % 8] >> (4 * (i / 8))) & 15;
        let high = (bytes[8 + i % 4] >> (2 * (i / 4))) & 3;
        (low | high << 4) as i8 - 32
    })
}

/// Whether all weights that the whole blocks in `bytes` mean are finite: they are when the f16 numbers are.
pub fn is_finite(kind: Kind, bytes: &[u8]) -> bool {
    const INFINITE: u8 = 0x7c; // the exponent's five bits, in the half's upper byte
    bytes.chunks_exact(kind.bytes()).all(|block| {
        let mut halves = kind.halves().iter();
        halves.all(|&at| block[at + 1] & INFINITE != INFINITE)
    })
}

/// The weights that `bytes` mean, in f32: the reference that the products are compared with.
///
/// `bytes` holds whole blocks, and `out` has as many elements as they have weights.
pub fn dequantise(kind: Kind, bytes: &[u8], out: &mut [f32]) {
    let format = kind.format();
    assert!(
        bytes.len() / format.bytes * format.weights == out.len()
            && bytes.len().is_multiple_of(format.bytes),
        "{} bytes of {kind:?} are not {} weights",
        bytes.len(),
        out.len()
    );
    for (block, out) in bytes
        .chunks_exact(format.bytes)
        .zip(out.chunks_exact_mut(format.weights))
    {
        let parts = parts(kind, block);
        let (d, m) = (half::to_f32(parts.d), half::to_f32(parts.m));
        for (i, y) in out.iter_mut().enumerate() {
            let scale = d * f32::from(parts.scales[i / format.sub]);
            *y = scale * (i32::from(parts.codes[i]) - format.offset()) as f32;
            if format.has_min() {
                *y += m * f32::from(parts.mins[i / format.sub]);
            }
        }
    }
}
