//! Operands that follow a matrix while it changes, against the same matrix laid out afterwards.

use std::ops::Range;

use glassformer_kernels::Pool;
use glassformer_kernels::memory::Block;
use glassformer_kernels::product::both_ways::BothWays;
use glassformer_kernels::product::{Precision, Right, Rows, pack};
use proptest::prelude::*;

use crate::support::{cases, normals};

/// Whether what is written stays near, or is told to be too much for that.
const AMONG: [usize; 2] = [0, usize::MAX];

/// Words that a layout has to overwrite.
fn full(len: usize) -> Block {
    let mut block = Block::zeros(len);
    block.words_mut().fill(0x7fc0_7fc0);
    block
}

fn check(precision: Precision, [rows, cols]: [usize; 2], threads: usize, among: usize, seed: u64) {
    let pool = Pool::new(threads);
    let mut matrix = normals(seed, 1, rows * cols);
    let mut beside = normals(seed, 2, rows * cols);
    let by = normals(seed, 3, rows * cols);
    let expected: Vec<f32> = matrix.iter().zip(&by).map(|(x, by)| x * 0.5 + by).collect();

    let lens = [[rows, cols], [cols, rows]].map(|[k, n]| Right::len(precision, k, n));
    let [mut down, mut along] = lens.map(full);
    let both = BothWays {
        down: down.words_mut(),
        along: along.words_mut(),
        precision,
        size: [rows, cols],
        among,
    };
    let arrays = [matrix.as_mut_slice(), beside.as_mut_slice()];
    both.follow(
        &pool,
        arrays,
        |range: Range<usize>, [x, beside]: [&mut [f32]; 2]| {
            for ((x, beside), by) in x.iter_mut().zip(beside).zip(&by[range]) {
                *x = *x * 0.5 + by;
                *beside += 1.0;
            }
        },
    );

    // Each number once.
    assert_eq!(matrix, expected);
    let plus_one = normals(seed, 2, rows * cols).into_iter().map(|x| x + 1.0);
    assert!(beside.into_iter().eq(plus_one));

    let rows = Rows::f32(&matrix, cols);
    let [mut down_after, mut along_after] = lens.map(full);
    pack::right(&pool, down_after.words_mut(), precision, rows);
    pack::right_transposed(&pool, along_after.words_mut(), precision, rows);
    assert_eq!(down.words(), down_after.words(), "down the rows");
    assert_eq!(along.words(), along_after.words(), "along the rows");
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn operands_are_those_of_the_changed_matrix(
        precision in prop_oneof![Just(Precision::F32), Just(Precision::Bf16)],
        rows in prop_oneof![1usize..20, 40usize..110],
        cols in prop_oneof![1usize..20, 40usize..140],
        threads in 1usize..4,
        among in prop::sample::select(&AMONG),
        seed: u64,
    ) {
        check(precision, [rows, cols], threads, among, seed);
    }
}

#[test]
#[should_panic(expected = "an array of 2 × 3")]
fn arrays_are_as_long_as_the_matrix() {
    let both = BothWays {
        down: &mut [0; 1000],
        along: &mut [0; 1000],
        precision: Precision::F32,
        size: [2, 3],
        among: 0,
    };
    both.follow(&Pool::single(), [&mut [0.0; 5]], |_, _| {});
}
