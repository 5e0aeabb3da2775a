//! Dropout (Srivastava et al. 2014), in the inverted form: each element is kept with probability 1 − p and then
//! divided by 1 − p. The mask comes from a counter ([`crate::random`]), so the backward pass makes it again.

use crate::arch::multiversion;
use crate::random::bits;

/// A dropout mask: which elements it keeps is a function of its key and of the element's index alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mask {
    key: u64,
    threshold: u64,
    scale: f32,
}

impl Mask {
    /// A mask that drops each element with probability `p`, 0 ≤ p < 1.
    pub fn new(key: u64, p: f32) -> Self {
        assert!(
            (0.0..1.0).contains(&p),
            "dropout probability {p} is not in 0..1"
        );
        let threshold = (f64::from(p) * (1u64 << 32) as f64) as u64;
        Self {
            key,
            threshold,
            scale: 1.0 / (1.0 - p),
        }
    }

    /// 0 or 1/(1−p) for the element at `index`.
    #[inline(always)]
    fn factor(self, index: u64) -> f32 {
        if bits(self.key, index) >> 32 < self.threshold {
            0.0
        } else {
            self.scale
        }
    }
}

multiversion! {
    /// Multiplies each `x[i]` by the mask's factor for element `first + i`.
    pub fn apply(x: &mut [f32], mask: Mask, first: u64) {
        for (i, x) in x.iter_mut().enumerate() {
            *x *= mask.factor(first + i as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Mask, apply};

    #[test]
    fn keeps_the_mean_and_repeats_in_any_split() {
        let mask = Mask::new(3, 0.25);
        let mut whole = vec![1.0f32; 40_000];
        apply(&mut whole, mask, 0);
        let mean = whole.iter().sum::<f32>() / whole.len() as f32;
        assert!((mean - 1.0).abs() < 0.02, "mean {mean}");
        let mut part = vec![1.0f32; 1_000];
        apply(&mut part, mask, 777);
        assert_eq!(part, whole[777..1_777]);
        let dropped = whole.iter().filter(|&&x| x == 0.0).count();
        assert!((9_500..10_500).contains(&dropped), "{dropped} dropped");
    }
}
