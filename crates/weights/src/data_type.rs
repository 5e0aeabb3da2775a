//! How the numbers of a tensor are kept in a file, and what they mean in f32.

use std::fmt;
use std::ops::BitOr;

use glassformer_kernels::quantised::blocks::{self, Kind, dequantise};
use glassformer_kernels::quantised::encode::{is_offered, quantise};
use half::{bf16, f16};

/// The type of a tensor's elements. Numbers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataType {
    /// 4 bytes, IEEE 754.
    F32,
    /// 2 bytes, 5 bits of exponent.
    F16,
    /// 2 bytes, 8 bits of exponent: the upper half of an f32.
    Bf16,
    /// 4 bytes, two's complement: ids in golden files and recordings.
    I32,
    /// Blocks of 32 or 256 weights that share scales. A row is whole blocks.
    Block(Kind),
    /// A type that is known by name and can be listed, but has no values in f32 here.
    Other(&'static str),
}

impl DataType {
    /// Elements and bytes of the smallest piece that stands by itself; none for [`DataType::Other`].
    pub const fn piece(self) -> Option<(usize, usize)> {
        match self {
            Self::F32 | Self::I32 => Some((1, 4)),
            Self::F16 | Self::Bf16 => Some((1, 2)),
            Self::Block(kind) => Some((kind.weights(), kind.bytes())),
            Self::Other(_) => None,
        }
    }

    /// Bytes of `elements` elements; none where they are not whole pieces, overflow, or have no known size.
    pub fn byte_len(self, elements: usize) -> Option<usize> {
        let (weights, bytes) = self.piece()?;
        elements
            .is_multiple_of(weights)
            .then(|| (elements / weights).checked_mul(bytes))?
    }

    /// The values of `bytes` into `out`, exactly; false where the type has none.
    ///
    /// # Panics
    /// When `bytes` is not [`byte_len`](Self::byte_len) of `out`.
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) -> bool {
        if self.piece().is_none() {
            return false;
        }
        assert_eq!(
            Some(bytes.len()),
            self.byte_len(out.len()),
            "bytes of {} numbers as {self}",
            out.len()
        );
        match self {
            Self::F32 => each(bytes, out, f32::from_le_bytes),
            Self::F16 => each(bytes, out, |b| f16::from_le_bytes(b).to_f32()),
            // Its upper half and nothing else; a look for NaN, as the type's own conversion takes, would keep it from vectors.
            Self::Bf16 => each(bytes, out, |b| {
                f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)
            }),
            Self::I32 => each(bytes, out, |b| i32::from_le_bytes(b) as f32),
            Self::Block(kind) => dequantise(kind, bytes, out),
            Self::Other(_) => return false,
        }
        true
    }

    /// Whether [`encode`](Self::encode) makes this type from values.
    pub const fn is_writable(self) -> bool {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => true,
            Self::Block(kind) => is_offered(kind),
            Self::I32 | Self::Other(_) => false,
        }
    }

    /// The bytes that `values` are in this type, each rounded to the nearest number it has.
    ///
    /// # Panics
    /// When the type is not [writable](Self::is_writable), or `bytes` is not [`byte_len`](Self::byte_len) of `values`.
    pub fn encode(self, values: &[f32], bytes: &mut [u8]) {
        assert!(
            self.is_writable() && Some(bytes.len()) == self.byte_len(values.len()),
            "{} bytes for {} numbers as {self}",
            bytes.len(),
            values.len()
        );
        match self {
            Self::F32 => fill(values, bytes, f32::to_le_bytes),
            Self::F16 => fill(values, bytes, |x| f16::from_f32(x).to_le_bytes()),
            Self::Bf16 => fill(values, bytes, |x| bf16::from_f32(x).to_le_bytes()),
            Self::Block(kind) => quantise(kind, values, bytes),
            Self::I32 | Self::Other(_) => {}
        }
    }

    /// Whether no value in `bytes` is NaN or an infinity; true for types without any. Much faster than decoding.
    pub fn is_finite(self, bytes: &[u8]) -> bool {
        // Where the exponent is all ones, its lowest bit once more carries into the sign's place.
        match self {
            Self::F32 => {
                let carry = |b| (u32::from_le_bytes(b) & 0x7f80_0000) + 0x0080_0000;
                any_of(bytes, carry) >> 31 == 0
            }
            Self::F16 => any_of(bytes, |b| (u16::from_le_bytes(b) & 0x7c00) + 0x0400) >> 15 == 0,
            Self::Bf16 => any_of(bytes, |b| (u16::from_le_bytes(b) & 0x7f80) + 0x0080) >> 15 == 0,
            Self::Block(kind) => blocks::is_finite(kind, bytes),
            Self::I32 | Self::Other(_) => true,
        }
    }
}

/// The name in safetensors' and GGUF's own spelling.
impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F32 => f.write_str("F32"),
            Self::F16 => f.write_str("F16"),
            Self::Bf16 => f.write_str("BF16"),
            Self::I32 => f.write_str("I32"),
            Self::Block(kind) => write!(f, "{kind:?}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], out: &mut [f32], convert: impl Fn([u8; N]) -> f32) {
    let (pieces, _) = bytes.as_chunks::<N>();
    for (out, &piece) in out.iter_mut().zip(pieces) {
        *out = convert(piece);
    }
}

fn fill<const N: usize>(values: &[f32], bytes: &mut [u8], convert: impl Fn(f32) -> [u8; N]) {
    let (pieces, _) = bytes.as_chunks_mut::<N>();
    for (piece, &value) in pieces.iter_mut().zip(values) {
        *piece = convert(value);
    }
}

/// The bits that any number has after `map`. Without a way out at the first, so that the loop vectorises.
fn any_of<const N: usize, T: BitOr<Output = T> + Default>(
    bytes: &[u8],
    map: impl Fn([u8; N]) -> T,
) -> T {
    let (pieces, _) = bytes.as_chunks::<N>();
    pieces
        .iter()
        .fold(T::default(), |any, &piece| any | map(piece))
}
