//! The map of the vocabulary: the plane in which rows lie furthest apart.

use glassformer_kernels::random::normal;
use glassformer_trace::map::{around, map, plane};
use glassformer_trace::neighbours::{Table, length};

use crate::support::{all, model};

/// Rows with a given spread along each direction of space, which is turned by a rotation that is no one's favourite.
fn cloud(count: usize, spread: &[f64]) -> (Vec<f32>, Vec<Vec<f64>>) {
    let d = spread.len();
    let mut axes: Vec<Vec<f64>> = Vec::new();
    for k in 0..d {
        let mut axis: Vec<f64> = (0..d).map(|i| normal(7 + k as u64, i as u64)).collect();
        for other in &axes {
            let along: f64 = axis.iter().zip(other).map(|(a, b)| a * b).sum();
            axis.iter_mut()
                .zip(other)
                .for_each(|(a, b)| *a -= along * b);
        }
        let length = axis.iter().map(|x| x * x).sum::<f64>().sqrt();
        axes.push(axis.iter().map(|x| x / length).collect());
    }
    let row = |n: usize| {
        let along: Vec<f64> = (0..d)
            .map(|k| spread[k] * normal(99 + k as u64, n as u64))
            .collect();
        (0..d)
            .map(|i| (0..d).map(|k| along[k] * axes[k][i]).sum::<f64>() as f32 + 3.0)
            .collect::<Vec<f32>>()
    };
    ((0..count).flat_map(row).collect(), axes)
}

#[test]
fn the_longest_directions_are_found_and_their_shares() {
    let (rows, axes) = cloud(4000, &[4.0, 2.0, 1.0, 0.5, 0.5]);
    let (points, shares) = plane(&rows, 5);
    let mean: Vec<f64> = (0..5)
        .map(|i| {
            rows.iter()
                .skip(i)
                .step_by(5)
                .map(|&x| f64::from(x))
                .sum::<f64>()
                / 4000.0
        })
        .collect();
    for axis in 0..2 {
        // Along the true direction, up to its sign and to what 4,000 draws leave open.
        let (mut same, mut own, mut other) = (0.0, 0.0, 0.0);
        for (row, point) in rows.chunks_exact(5).zip(&points) {
            let along: f64 = (0..5)
                .map(|i| (f64::from(row[i]) - mean[i]) * axes[axis][i])
                .sum();
            let got = f64::from(point[axis]);
            (same, own, other) = (same + along * got, own + along * along, other + got * got);
        }
        assert!(same.abs() / (own * other).sqrt() > 0.999, "axis {axis}");
    }
    let whole = 16.0 + 4.0 + 1.0 + 0.25 + 0.25;
    assert!(
        (f64::from(shares[0]) - 16.0 / whole).abs() < 0.03,
        "{shares:?}"
    );
    assert!(
        (f64::from(shares[1]) - 4.0 / whole).abs() < 0.03,
        "{shares:?}"
    );
}

#[test]
fn the_plane_loses_least_and_is_the_same_every_time() {
    for name in all() {
        let model = model(name);
        let table = Table::of(&model).unwrap();
        let [vocab, d] = table.shape();
        let found = map(&table, &[], 10).unwrap();
        assert_eq!(found, map(&table, &[], 10).unwrap());
        assert_eq!((found.tokens.len(), found.around), (vocab, None));
        let direction = |id: u32| {
            let row = table.row(id).unwrap();
            let own = length(&row);
            row.into_iter().map(move |x| x / own)
        };
        let rows: Vec<f32> = (0..vocab as u32).flat_map(direction).collect();
        let mean = |i: usize| {
            rows.iter()
                .skip(i)
                .step_by(d)
                .map(|&x| f64::from(x))
                .sum::<f64>()
                / vocab as f64
        };
        let means: Vec<f64> = (0..d).map(mean).collect();
        let total: f64 = rows
            .iter()
            .enumerate()
            .map(|(i, &x)| (f64::from(x) - means[i % d]).powi(2))
            .sum();
        let along = |axis: usize| {
            found
                .tokens
                .iter()
                .map(|(_, p)| f64::from(p[axis]).powi(2))
                .sum::<f64>()
                / total
        };
        for axis in 0..2 {
            assert!(
                (along(axis) - f64::from(found.shares[axis])).abs() < 1e-4,
                "{name}"
            );
        }
        assert!(found.shares[0] >= found.shares[1]);
        // No direction of the table's own, one entry of the vectors, holds more than the first axis.
        for (i, mean) in means.iter().enumerate() {
            let entry: f64 = rows
                .iter()
                .skip(i)
                .step_by(d)
                .map(|&x| (f64::from(x) - mean).powi(2))
                .sum();
            assert!(
                entry / total <= f64::from(found.shares[0]) + 1e-6,
                "{name}, entry {i}"
            );
        }
        // The axes stand upright on each other.
        let both: f64 = found
            .tokens
            .iter()
            .map(|(_, p)| f64::from(p[0] * p[1]))
            .sum();
        assert!((both / total).abs() < 1e-3, "{name}: {both}");
    }
}

#[test]
fn odd_tables_have_a_plane_too() {
    assert_eq!(plane(&[], 3), (vec![], [0.0, 0.0]));
    // One row, equal rows, one column: nothing spreads along what is not there.
    assert_eq!(plane(&[1.0, 2.0, 3.0], 3).0, [[0.0, 0.0]]);
    assert_eq!(
        plane(&[1.0, 2.0, 1.0, 2.0], 2),
        (vec![[0.0, 0.0]; 2], [0.0, 0.0])
    );
    let (points, shares) = plane(&[1.0, 3.0], 1);
    assert_eq!(
        (points, shares),
        (vec![[-1.0, 0.0], [1.0, 0.0]], [1.0, 0.0])
    );
}

#[test]
fn who_is_not_there_is_named() {
    let model = model("gpt2-tiny");
    let table = Table::of(&model).unwrap();
    let vocab = model.dimensions().vocab;
    let error = map(&table, &[3, 999_999], 10).unwrap_err().to_string();
    assert!(
        error.contains("999999") && error.contains(&vocab.to_string()),
        "{error}"
    );
}

#[test]
fn a_neighbourhood_holds_the_nearest_and_all_that_are_named() {
    let model = model("gpt2-tiny");
    let table = Table::of(&model).unwrap();
    let found = around(&table, &[3, 8, 11], 10).unwrap();
    assert_eq!(found.around, Some(3));
    let ids: Vec<u32> = found.tokens.iter().map(|x| x.0).collect();
    let near = table.nearest(&table.row(3).unwrap(), &[], 10);
    for id in near.iter().map(|x| x.0).chain([3, 8, 11]) {
        assert!(ids.contains(&id), "{id} of {ids:?}");
    }
    assert!(ids.len() <= 12 && ids.is_sorted());
    assert!(around(&table, &[], 10).is_err());
}
