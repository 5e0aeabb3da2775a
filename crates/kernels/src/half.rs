//! IEEE 754 half precision (f16), in which GGUF keeps scales and caches keys and values: 1 sign, 5 exponent, 10 fraction bits.

/// Not a number.
pub(crate) const NAN: u16 = 0x7e00;

/// Exact. Without branches, so that loops over it vectorise.
#[inline(always)]
pub(crate) fn to_f32(half: u16) -> f32 {
    // Exponent and fraction moved into place are the value times 2⁻¹¹², subnormals included; all ones in the
    // exponent (infinity, NaN) must become all ones.
    let magnitude = f32::from_bits(u32::from(half & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    let special = if half & 0x7c00 == 0x7c00 {
        0x7f80_0000
    } else {
        0
    };
    f32::from_bits(magnitude.to_bits() | special | u32::from(half & 0x8000) << 16)
}

/// The nearest half, ties to even; too large becomes infinity.
#[inline(always)]
pub(crate) fn from_f32(x: f32) -> u16 {
    let sign = ((x.to_bits() >> 16) & 0x8000) as u16;
    let bits = x.to_bits() & 0x7fff_ffff;
    let magnitude = if bits > 0x7f80_0000 {
        NAN
    } else if bits >= 0x477f_f000 {
        0x7c00 // 65,520 and more
    } else if bits < 0x3880_0000 {
        // Below 2⁻¹⁴ halves lie 2⁻²⁴ apart; adding 0.5 leaves that spacing to f32's own rounding.
        ((f32::from_bits(bits) + 0.5).to_bits() - 0.5f32.to_bits()) as u16
    } else {
        let odd = (bits >> 13) & 1;
        ((bits - 0x3800_0000 + 0xfff + odd) >> 13) as u16
    };
    sign | magnitude
}

#[cfg(test)]
mod tests {
    use super::{from_f32, to_f32};

    #[test]
    fn each_half_comes_back() {
        for half in 0..=u16::MAX {
            let x = to_f32(half);
            if x.is_nan() {
                assert!(half & 0x7fff > 0x7c00 && to_f32(from_f32(x)).is_nan());
            } else {
                assert_eq!(from_f32(x), half, "{x:e}");
            }
        }
        assert_eq!(to_f32(0x0001), 2f32.powi(-24));
        assert_eq!(to_f32(0x3c01), 1.0 + 2f32.powi(-10));
        assert_eq!(to_f32(0xfbff), -65_504.0);
        assert_eq!(to_f32(0x7c00), f32::INFINITY);
    }

    #[test]
    fn the_nearest_half_is_taken() {
        for half in 0..0x7bff {
            let (low, high) = (to_f32(half), to_f32(half + 1));
            let middle = f32::midpoint(low, high);
            assert_eq!(from_f32(middle), half + (half & 1), "{middle:e}");
            assert_eq!(from_f32(middle.next_down()), half);
            assert_eq!(from_f32(middle.next_up()), half + 1);
        }
        assert_eq!(from_f32(65_519.0), 0x7bff);
        assert_eq!(from_f32(-65_520.0), 0xfc00);
    }
}
