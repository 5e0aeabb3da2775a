//! Rotary position embedding.

use glassformer_kernels::rope::rotate;
use proptest::prelude::*;

use crate::support::{assert_close, cases, normals, to_f64};

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn pairs_are_turned_as_complex_numbers_are(heads in 1usize..4, half in 1usize..70, seed: u64) {
        let row = normals(seed, 1, heads * 2 * half);
        let angles = normals(seed, 2, half);
        let [cos, sin] = [f32::cos, f32::sin].map(|f| -> Vec<f32> { angles.iter().map(|&x| f(x)).collect() });
        let mut turned = row.clone();
        rotate(&mut turned, &cos, &sin, false);
        let expected: Vec<f64> = (0..row.len())
            .map(|at| {
                let (head, i) = (at / (2 * half) * 2 * half, at % half);
                let [x, y] = [head + i, head + half + i].map(|i| f64::from(row[i]));
                let (sin, cos) = (f64::from(sin[i]), f64::from(cos[i]));
                if at == head + i { x * cos - y * sin } else { x * sin + y * cos }
            })
            .collect();
        assert_close("turned", &turned, &expected, 1e-6);
        rotate(&mut turned, &cos, &sin, true);
        assert_close("turned back", &turned, &to_f64(&row), 2e-6);
    }
}
