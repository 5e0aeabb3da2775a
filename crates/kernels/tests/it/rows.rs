//! Work on rows.

use glassformer_kernels::Pool;
use glassformer_kernels::rows::{add, fill, gather, scatter_add, sum, sum_rows};
use proptest::prelude::*;

use crate::support::{assert_close, below, cases, normals};

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn sums(n in 0usize..70, seed: u64) {
        let (a, b) = (normals(seed, 1, n), normals(seed, 2, n));
        let expected: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        let mut y = vec![f32::NAN; n];
        sum(&mut y, &a, &b);
        prop_assert_eq!(&y, &expected);
        y.copy_from_slice(&a);
        add(&mut y, &b);
        prop_assert_eq!(&y, &expected);
    }

    #[test]
    fn a_bias_and_its_gradient(n in 0usize..40, d in 1usize..40, seed: u64) {
        let bias = normals(seed, 1, d);
        let mut y = vec![f32::NAN; n * d];
        fill(&mut y, &bias);
        prop_assert!(y.chunks_exact(d).all(|row| row == bias));
        let x = normals(seed, 2, n * d);
        let mut sums = bias.clone();
        sum_rows(&mut sums, &x);
        let column = |c: usize| x.iter().skip(c).step_by(d).map(|&x| f64::from(x)).sum::<f64>();
        let expected: Vec<f64> = (0..d).map(|c| f64::from(bias[c]) + column(c)).collect();
        assert_close("sums", &sums, &expected, 1e-5);
    }

    #[test]
    fn picks_rows_and_gives_gradients_back(vocab in 1usize..9, n in 0usize..30, d in 1usize..40, seed: u64) {
        // Few rows and many ids: each row is picked several times, some never.
        let ids: Vec<u32> = (0..n as u64).map(|i| below(seed, i, vocab) as u32).collect();
        let table = normals(seed, 1, vocab * d);
        let mut y = vec![f32::NAN; n * d];
        gather(&Pool::new(2), &mut y, &table, &ids);
        for (row, &id) in y.chunks_exact(d).zip(&ids) {
            prop_assert_eq!(row, &table[id as usize * d..][..d]);
        }
        let dy = normals(seed, 2, n * d);
        let mut d_table = table.clone();
        scatter_add(&Pool::new(2), &mut d_table, &dy, &ids);
        let expected: Vec<f64> = (0..vocab * d)
            .map(|i| {
                let picked = ids.iter().zip(dy.chunks_exact(d)).filter(|(id, _)| **id as usize == i / d);
                f64::from(table[i]) + picked.map(|(_, dy)| f64::from(dy[i % d])).sum::<f64>()
            })
            .collect();
        assert_close("d_table", &d_table, &expected, 1e-5);
    }
}
