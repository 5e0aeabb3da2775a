//! The scale of a sub-block that loses least: candidates side by side, each finished by least squares.
//!
//! A candidate rounds x to integer codes with a scale of its own, chosen near the one that just spans the values; given
//! the codes, the best scale s and minimum μ are those of weighted linear regression. One lane of a vector is one
//! candidate, so a sub-block is gone through once.
//!
//! ```text
//! x ≈ s·u + μ, u ∈ 0..=15, μ ≤ 0:   s = (Σw·Σwux − Σwu·Σwx) / (Σw·Σwu² − (Σwu)²),   μ = (Σwx − s·Σwu) / Σw
//! x ≈ s·q,     q ∈ −32..=31:        s = Σwqx / Σwq²,   and Σw(x − sq)² = Σwx² − (Σwqx)²/Σwq²
//! ```
//!
//! Large weights matter more to a product, so they have a larger w, as in ggml's quantiser: |x| + √(mean x²) with a
//! minimum, x² without.

/// Candidates.
const LANES: usize = 32;

/// How far apart candidates are, in codes at the end of the range.
const STEP: f32 = 0.15;

/// s and μ.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Line {
    pub(super) scale: f32,
    pub(super) min: f32,
}

/// One value for each candidate.
type Lanes = [f32; LANES];

/// How many codes candidate `c` spreads the values over, where `codes` would just span them.
fn span(codes: f32, c: usize) -> f32 {
    codes + STEP * (c as f32 - (LANES / 2) as f32)
}

/// s and μ for codes from 0 to `MOST`.
#[inline(always)]
pub(super) fn line<const MOST: u8, const N: usize>(x: &[f32; N]) -> Line {
    let low = x.iter().fold(0.0f32, |low, &x| low.min(x));
    let high = x.iter().fold(low, |high, &x| high.max(x));
    let range = high - low;
    if range <= f32::MIN_POSITIVE {
        return Line {
            scale: 0.0,
            min: low,
        };
    }
    let mean_square = x.iter().map(|x| x * x).sum::<f32>() / N as f32;
    let average = mean_square.sqrt();
    let most = f32::from(MOST);
    let inverse: Lanes = std::array::from_fn(|c| span(most, c) / range);
    let (mut wu, mut wuu, mut wux) = ([0.0; LANES], [0.0; LANES], [0.0; LANES]);
    let (mut w_sum, mut wx) = (0.0, 0.0);
    for &x in x {
        let w = average + x.abs();
        w_sum += w;
        wx += w * x;
        for c in 0..LANES {
            let u = ((x - low) * inverse[c]).round_ties_even().clamp(0.0, most);
            wu[c] += w * u;
            wuu[c] += w * u * u;
            wux[c] += w * u * x;
        }
    }
    best_line(w_sum, wx, &wu, &wuu, &wux)
}

/// The candidate that leaves the least error.
#[inline(always)]
fn best_line(w: f32, wx: f32, wu: &Lanes, wuu: &Lanes, wux: &Lanes) -> Line {
    let mut best = (f32::INFINITY, Line::default());
    for c in 0..LANES {
        let determinant = w * wuu[c] - wu[c] * wu[c];
        let mut scale = (w * wux[c] - wu[c] * wx) / determinant;
        let mut min = (wx - scale * wu[c]) / w;
        if min > 0.0 || determinant <= 0.0 {
            (scale, min) = (wux[c] / wuu[c], 0.0);
        }
        // Σw(su + μ − x)² without Σwx², which is the same for all.
        let error =
            scale * (scale * wuu[c] + 2.0 * (min * wu[c] - wux[c])) + min * (min * w - 2.0 * wx);
        if error < best.0 {
            best = (error, Line { scale, min });
        }
    }
    best.1
}

/// s for codes from −`MOST` to `MOST` − 1; negative where the largest |x| is positive, so that it gets the code which
/// the other sign lacks.
#[inline(always)]
pub(super) fn slope<const MOST: u8, const N: usize>(x: &[f32; N]) -> f32 {
    let extreme = super::extreme(x);
    if extreme.abs() <= f32::MIN_POSITIVE {
        return 0.0;
    }
    let most = f32::from(MOST);
    let inverse: Lanes = std::array::from_fn(|c| -span(most, c) / extreme);
    let (mut wqq, mut wqx) = ([0.0; LANES], [0.0; LANES]);
    for &x in x {
        let w = x * x;
        for c in 0..LANES {
            let q = (x * inverse[c]).round_ties_even().clamp(-most, most - 1.0);
            wqq[c] += w * q * q;
            wqx[c] += w * q * x;
        }
    }
    let mut best = (0.0, 0.0);
    for c in 0..LANES {
        let (scale, gain) = (wqx[c] / wqq[c], wqx[c] * wqx[c] / wqq[c]);
        if gain > best.0 {
            best = (gain, scale);
        }
    }
    best.1
}
