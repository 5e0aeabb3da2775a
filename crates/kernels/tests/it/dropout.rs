//! Masks from a counter.

use glassformer_kernels::dropout::{Mask, apply};
use glassformer_kernels::random;
use proptest::prelude::*;

use crate::support::{cases, normals};

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn is_the_same_however_it_is_cut(n in 0usize..300, cut in 0usize..300, first in 0u64..u64::MAX / 2, p in 0.0f32..0.99, key: u64) {
        let (x, mask) = (normals(key, 1, n), Mask::new(key, p));
        let mut whole = x.clone();
        apply(&mut whole, mask, first);
        for (x, y) in x.iter().zip(&whole) {
            prop_assert!(*y == 0.0 || *y == x * (1.0 / (1.0 - p)));
        }
        let mut parts = x;
        let (left, right) = parts.split_at_mut(cut.min(n));
        apply(right, mask, first + left.len() as u64);
        apply(left, mask, first);
        prop_assert_eq!(parts, whole);
    }

    #[test]
    fn drops_as_many_as_it_says(p in 0.0f32..0.95, key: u64) {
        let mut x = vec![1.0; 20_000];
        apply(&mut x, Mask::new(key, p), 0);
        let dropped = x.iter().filter(|&&x| x == 0.0).count() as f64 / 20_000.0;
        // Six standard deviations.
        let most = 6.0 * f64::from(p * (1.0 - p)).sqrt() / 20_000f64.sqrt();
        prop_assert!((dropped - f64::from(p)).abs() <= most, "{} dropped", dropped);
        // Neighbours are independent: both kept with (1 − p)².
        let both = x.windows(2).filter(|pair| pair.iter().all(|&x| x > 0.0)).count() as f64 / 19_999.0;
        prop_assert!((both - f64::from(1.0 - p).powi(2)).abs() < 0.03, "{} pairs", both);
    }

    #[test]
    fn numbers_lie_in_their_range(key: u64, counter: u64) {
        prop_assert!((0.0..1.0).contains(&random::uniform(key, counter)));
        prop_assert!(random::normal(key, counter / 2).is_finite());
    }
}

#[test]
fn probability_zero_changes_nothing() {
    let x = normals(1, 1, 100);
    let mut y = x.clone();
    apply(&mut y, Mask::new(5, 0.0), 7);
    assert_eq!(x, y);
}

#[test]
#[should_panic(expected = "dropout probability 1 is not in 0..1")]
fn dropping_all_is_refused() {
    Mask::new(0, 1.0);
}
