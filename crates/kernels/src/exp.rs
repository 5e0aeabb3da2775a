//! e^x without branches, so that loops over it vectorise.

/// e^x for one value, within 2 units in the last place of f32; 0 below −87.3, ∞ above 88.7.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2; e^r by a polynomial (Taylor to r⁷, enough for f32 on that interval);
/// 2^n through the exponent bits. ln 2 is split in two parts (Cody–Waite) so that r is exact.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5·2²³: adding it rounds to an integer
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.3, 88.7);
    let n = clamped * std::f32::consts::LOG2_E + ROUND - ROUND;
    let r = (clamped - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    // n lies in −126..=128; 2^n is built in two factors so that 2^128 · small does not overflow early.
    let n = n as i32;
    let half = n >> 1;
    let scale = f32::from_bits(((half + 127) << 23) as u32);
    let rest = f32::from_bits(((n - half + 127) << 23) as u32);
    let value = p * scale * rest;
    let value = if x < -87.3 { 0.0 } else { value };
    if x > 88.7 { f32::INFINITY } else { value }
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn close_to_f64_over_the_whole_range() {
        let mut x = -87.0f32;
        while x < 88.5 {
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 3e-7, "exp({x}) is off by {error:e}");
            x += 0.0137;
        }
    }

    #[test]
    fn extremes() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
    }
}
