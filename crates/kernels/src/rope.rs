//! Rotary position embedding (Su et al. 2021, eq. 15): each pair of a head's numbers is turned by an angle that grows
//! with the position.
//!
//! With h = E/2 and the pair (x[i], x[i + h]), the way Hugging Face's checkpoints are laid out:
//!
//! y[i] = x[i]·cos θᵢ − x[i + h]·sin θᵢ; y[i + h] = x[i + h]·cos θᵢ + x[i]·sin θᵢ, θᵢ = position·frequencyᵢ.
//!
//! The derivative is the rotation by −θ.

use crate::arch::{mul_add, multiversion};

multiversion! {
    /// Turns each head of `row [heads·E]` in place by the angles of which `cos, sin [E/2]` are given, or back: the gradient.
    pub fn rotate(row: &mut [f32], cos: &[f32], sin: &[f32], back: bool) {
        let half = cos.len();
        assert!(sin.len() == half && row.len().is_multiple_of(2 * half));
        let sign = if back { -1.0 } else { 1.0 };
        for head in row.chunks_exact_mut(2 * half) {
            let (a, b) = head.split_at_mut(half);
            for i in 0..half {
                let (x, y, sin) = (a[i], b[i], sign * sin[i]);
                a[i] = mul_add::<FUSED>(x, cos[i], -(y * sin));
                b[i] = mul_add::<FUSED>(y, cos[i], x * sin);
            }
        }
    }
}
