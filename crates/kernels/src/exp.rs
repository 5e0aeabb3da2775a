//! e^x without branches, so that loops over it vectorise.

use crate::arch::mul_add;

/// e^x for one value, within 2 units in the last place of f32; 0 below −86.6, ∞ where f32 ends.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2; e^r by its Taylor polynomial to r⁶ (a relative error of 1.2e-7 at most there);
/// 2^n through the exponent bits. ln 2 is split in two parts (Cody–Waite) so that r is exact.
#[inline(always)]
pub(crate) fn exp<const FUSED: bool>(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5·2²³: adding it leaves the nearest integer in the lowest bits
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const LOWEST: f32 = -86.6;
    const HIGHEST: f32 = 89.0; // beyond the largest f32, whose logarithm is 88.72
    // This way round the comparisons are one instruction each and NaN comes through.
    let clamped = if x < LOWEST { LOWEST } else { x };
    let clamped = if clamped > HIGHEST { HIGHEST } else { clamped };
    let shifted = mul_add::<FUSED>(clamped, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = mul_add::<FUSED>(-n, LN2_LOW, mul_add::<FUSED>(-n, LN2_HIGH, clamped));
    // Twice e^r, and 2^(n−1), as n may be 128.
    let mut p = 2.0 / 720.0;
    p = mul_add::<FUSED>(p, r, 2.0 / 120.0);
    p = mul_add::<FUSED>(p, r, 2.0 / 24.0);
    p = mul_add::<FUSED>(p, r, 2.0 / 6.0);
    p = mul_add::<FUSED>(p, r, 1.0);
    p = mul_add::<FUSED>(p, r, 2.0);
    p = mul_add::<FUSED>(p, r, 2.0);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(126 << 23));
    if x < LOWEST { 0.0 } else { p * power }
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn close_to_f64_over_the_whole_range() {
        let mut x = -86.5f32;
        while x < 88.5 {
            let expected = f64::from(x).exp();
            for value in [exp::<false>(x), exp::<true>(x)] {
                let error = (f64::from(value) - expected).abs() / expected;
                assert!(error < 3e-7, "exp({x}) is off by {error:e}");
            }
            x += 0.0137;
        }
    }

    #[test]
    fn extremes() {
        assert_eq!(exp::<false>(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp::<false>(f32::INFINITY), f32::INFINITY);
        for x in [88.73, 89.0, 1e4] {
            assert_eq!(exp::<false>(x), f32::INFINITY);
        }
        let largest = exp::<false>(88.722);
        assert!(largest > 3.39e38 && largest.is_finite());
        assert_eq!(exp::<false>(0.0), 1.0);
        assert!(exp::<false>(f32::NAN).is_nan());
    }
}
