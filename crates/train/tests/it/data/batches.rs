use std::collections::BTreeSet;

use glassformer_train::data::{Batches, DataError, Shard, Windows};
use proptest::prelude::*;

fn counting(tokens: u32) -> Shard {
    Shard::from_ids((0..tokens).collect(), "training")
}

/// The first token of each row; checks that rows are windows and targets one later.
fn starts(x: &[u32], y: &[u32], context: usize) -> Vec<u32> {
    assert!(x.iter().zip(y).all(|(x, y)| x + 1 == *y));
    assert!(
        x.chunks(context)
            .all(|row| row.windows(2).all(|pair| pair[0] + 1 == pair[1]))
    );
    x.chunks(context).map(|row| row[0]).collect()
}

#[test]
fn a_batch_is_found_by_its_number() {
    let batches = Batches::new(counting(1_009), 7, 5, 42).unwrap();
    let batch = |batches: &Batches, index| {
        let (mut x, mut y) = ([0; 35], [0; 35]);
        batches.batch(index, &mut x, &mut y);
        starts(&x, &y, 7)
    };
    let forwards: Vec<_> = (0..50).map(|index| batch(&batches, index)).collect();
    let again = Batches::new(counting(1_009), 7, 5, 42).unwrap();
    let backwards: Vec<_> = (0..50).rev().map(|index| batch(&again, index)).collect();
    assert!(forwards.iter().eq(backwards.iter().rev()));
    assert_ne!(forwards[0], forwards[1]);
    let other = Batches::new(counting(1_009), 7, 5, 43).unwrap();
    assert_ne!(batch(&other, 0), forwards[0]);
    batch(&batches, u64::MAX);
}

#[test]
fn every_place_is_as_likely() {
    let batches = Batches::new(counting(13), 3, 100, 1).unwrap();
    let mut seen = [0; 10];
    for index in 0..100 {
        let (mut x, mut y) = (vec![0; 300], vec![0; 300]);
        batches.batch(index, &mut x, &mut y);
        for start in starts(&x, &y, 3) {
            seen[start as usize] += 1;
        }
    }
    assert!(
        seen.iter().all(|count| (850..1_150).contains(count)),
        "{seen:?}"
    );
}

#[test]
fn too_short_says_what_is_missing() {
    let error = Batches::new(counting(8), 8, 1, 0).unwrap_err();
    assert!(matches!(
        error,
        DataError::TooShort {
            needs: 9,
            has: 8,
            ..
        }
    ));
    assert!(
        error
            .to_string()
            .starts_with("the training data is too short"),
        "{error}"
    );
    assert!(Windows::new(counting(0), 1, 1, None).is_err());
    let batches = Batches::new(counting(9), 8, 1, 0).unwrap();
    let (mut x, mut y) = ([0; 8], [0; 8]);
    batches.batch(3, &mut x, &mut y);
    assert_eq!(starts(&x, &y, 8), [0]);
}

proptest! {
    #[test]
    fn evaluation_covers_the_shard(
        tokens in 2u32..300,
        context in 1usize..9,
        batch_size in 1usize..7,
        most in prop::option::of(0usize..9),
    ) {
        prop_assume!(tokens as usize > context);
        let windows = Windows::new(counting(tokens), context, batch_size, most).unwrap();
        let (mut x, mut y) = (vec![0; batch_size * context], vec![0; batch_size * context]);
        let mut seen = Vec::new();
        for index in 0..windows.len() {
            let rows = windows.batch(index, &mut x, &mut y);
            prop_assert!(rows == batch_size || (rows > 0 && index + 1 == windows.len()));
            seen.extend(starts(&x[..rows * context], &y[..rows * context], context));
        }
        let all = (tokens as usize - 1) / context;
        prop_assert_eq!(seen.len(), most.map_or(all, |most| all.min(most * batch_size)));
        prop_assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
        prop_assert!(seen.is_sorted() && seen.iter().all(|start| (*start as usize).is_multiple_of(context)));
        prop_assert_eq!(windows.is_empty(), seen.is_empty());
    }
}
