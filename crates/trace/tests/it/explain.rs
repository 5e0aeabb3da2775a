//! Where one number comes from: the terms are real, and they add up.

use glassformer_kernels::random;
use glassformer_model::{BlockSite, Model, Site};
use glassformer_tensor::Pool;
use glassformer_trace::cell::{Cell, Source, explain};
use glassformer_trace::weight::Weight;
use glassformer_trace::{Recording, Selection, TraceError, record};

use crate::support::{GOLDEN, T, block, model, recorded, text};

/// Cells to explain: the corners and some others.
fn cells(shape: &[usize], seed: u64) -> Vec<Vec<usize>> {
    let first = vec![0; shape.len()];
    let last: Vec<usize> = shape.iter().map(|n| n - 1).collect();
    let other = |k: u64| {
        let axes = shape.iter().enumerate();
        axes.map(|(axis, &n)| (random::bits(seed, 8 * k + axis as u64) % n as u64) as usize)
            .collect()
    };
    [first, last].into_iter().chain((0..6).map(other)).collect()
}

fn extra(cell: &Cell, name: &str) -> f64 {
    cell.extra
        .iter()
        .find(|(other, _)| *other == name)
        .unwrap_or_else(|| panic!("{cell:?} has no {name}"))
        .1
}

/// A factor of a term is a number that is really there.
fn check_source(model: &Model, recording: &Recording, source: &Source) {
    match source {
        Source::Site { site, index, value } => assert_eq!(recording.at(*site, index), Ok(*value)),
        Source::Weight {
            weight,
            index,
            value,
        } => {
            let found = Weight::of(model, *weight).unwrap();
            let [r, c] = match index[..] {
                [r, c] => [r, c],
                [i] => [0, i],
                _ => panic!("{weight} has no element {index:?}"),
            };
            assert_eq!(found.at(r, c), *value, "{weight}{index:?}");
        }
    }
}

/// The terms give `recomputed` in the way that the operation says.
fn check_terms(cell: &Cell) {
    let total: f64 = cell.terms.iter().map(|term| term.value).sum();
    let expected = match cell.op {
        "lookup" if cell.site == Site::Tokens => cell.recomputed,
        "lookup" | "sum" | "linear" | "weighted_sum" => total,
        "dot" => total * extra(cell, "scale"),
        "norm" => total + extra(cell, "bias"),
        "masked" => f64::NEG_INFINITY,
        "softmax" => {
            assert!(
                (total - extra(cell, "sum")).abs() <= 1e-9 * total,
                "{cell:?}"
            );
            extra(cell, "own") / extra(cell, "sum")
        }
        "activation" => {
            assert_eq!(cell.terms.len(), 1);
            cell.recomputed
        }
        other => panic!("what is {other}?"),
    };
    let same = expected == cell.recomputed
        || (expected - cell.recomputed).abs() < 1e-9 * (1.0 + expected.abs());
    assert!(same, "{cell:?}: terms give {expected}");
    for term in &cell.terms {
        let left = f64::from(term.left.value());
        let product = match (&term.right, cell.op) {
            (Some(right), _) => left * f64::from(right.value()),
            (None, "softmax") => (left - extra(cell, "max")).exp(),
            (None, "norm") => {
                (left - extra(cell, "mean")) / extra(cell, "std") * extra(cell, "gain")
            }
            (None, _) => left,
        };
        // The difference to the largest score is taken in f32, as the engine does.
        let tolerance = if cell.op == "softmax" { 1e-6 } else { 1e-9 };
        assert!(
            (product - term.value).abs() <= tolerance * (1.0 + product.abs()),
            "{}: {term:?}",
            cell.site
        );
    }
    let sorted = cell
        .terms
        .windows(2)
        .all(|pair| pair[0].value.abs() >= pair[1].value.abs());
    assert!(sorted, "the largest first");
}

#[test]
fn cells_of_every_site() {
    for name in GOLDEN {
        let model = model(name);
        let recording = recorded(&model, &text(&model, 21), &[]);
        let (mut worst, mut count) = (0.0f64, 0);
        for (n, (site, value)) in recording.iter().enumerate() {
            for index in cells(&value.shape, n as u64) {
                let cell = explain(&model, &recording, site, &index).unwrap();
                assert_eq!(
                    (cell.site, &cell.index, Some(cell.value)),
                    (site, &index, value.at(&index))
                );
                let value = f64::from(cell.value);
                if value != cell.recomputed {
                    let off = (value - cell.recomputed).abs();
                    assert!(
                        off <= 1e-4 * value.abs() + 1e-6,
                        "{site}{index:?} is {value}, not {}",
                        cell.recomputed
                    );
                    worst = worst.max(off / (1.0 + value.abs()));
                }
                for term in &cell.terms {
                    check_source(&model, &recording, &term.left);
                    term.right
                        .iter()
                        .for_each(|right| check_source(&model, &recording, right));
                }
                check_terms(&cell);
                count += 1;
            }
        }
        println!("{name}: {count} cells, recomputed within {worst:.1e}");
    }
}

/// How many terms each operation has.
#[test]
fn all_terms_are_there() {
    let model = model("gpt2-tiny");
    let recording = recorded(&model, &text(&model, 22), &[]);
    let terms = |site: BlockSite, index: &[usize]| {
        let cell = explain(&model, &recording, block(1, site), index).unwrap();
        (cell.op, cell.terms.len())
    };
    let (d, e, f, t) = (33, 11, 132, 5);
    assert_eq!(terms(BlockSite::ResidPre, &[t, 3]), ("sum", 1));
    assert_eq!(terms(BlockSite::Ln1, &[t, 3]), ("norm", 1));
    assert_eq!(terms(BlockSite::Q, &[t, 2, 3]), ("linear", d + 1));
    assert_eq!(terms(BlockSite::Scores, &[2, t, t]), ("dot", e));
    assert_eq!(terms(BlockSite::Scores, &[2, t, t + 1]), ("masked", 0));
    assert_eq!(terms(BlockSite::Pattern, &[2, t, 3]), ("softmax", t + 1));
    assert_eq!(
        terms(BlockSite::Pattern, &[2, t, t + 1]),
        ("softmax", t + 1)
    );
    assert_eq!(terms(BlockSite::Z, &[t, 2, 3]), ("weighted_sum", t + 1));
    assert_eq!(terms(BlockSite::AttnOut, &[t, 3]), ("linear", d + 1));
    assert_eq!(terms(BlockSite::ResidMid, &[t, 3]), ("sum", 2));
    assert_eq!(terms(BlockSite::MlpPre, &[t, 100]), ("linear", d + 1));
    assert_eq!(terms(BlockSite::MlpPost, &[t, 100]), ("activation", 1));
    assert_eq!(terms(BlockSite::MlpOut, &[t, 3]), ("linear", f + 1));
    let logits = explain(&model, &recording, Site::Logits, &[t, 3]).unwrap();
    assert_eq!(logits.terms.len(), d, "no bias");
}

#[test]
fn what_cannot_be_explained_is_told() {
    let model = model("gpt2-relu-odd");
    let ids = text(&model, 23);
    let all = recorded(&model, &ids, &[]);
    for (site, value) in all.iter() {
        for axis in 0..value.shape.len() {
            let mut index = vec![0; value.shape.len()];
            index[axis] = value.shape[axis];
            let error = explain(&model, &all, site, &index).unwrap_err();
            assert!(matches!(error, TraceError::OutOfRange { .. }), "{error}");
        }
        let wrong = [
            vec![],
            vec![0; value.shape.len() + 1],
            vec![0; value.shape.len() - 1],
        ];
        for index in wrong
            .iter()
            .filter(|index| index.len() != value.shape.len())
        {
            assert!(
                explain(&model, &all, site, index).is_err(),
                "{site}{index:?}"
            );
        }
    }
    assert!(
        explain(&model, &all, block(2, BlockSite::Q), &[0, 0, 0]).is_err(),
        "there is no third block"
    );
    // A recording of one site alone can be read but not explained, except where the parameters suffice.
    for site in Site::all(2) {
        let only = Selection::parse(&site.to_string()).unwrap();
        let recording = record(&model, &Pool::single(), &ids, &only, &[]);
        let index = vec![0; recording.get(site).unwrap().shape.len()];
        let told = explain(&model, &recording, site, &index);
        let alone = matches!(site, Site::Tokens | Site::PosEmbed);
        assert_eq!(told.is_ok(), alone, "{site}: {told:?}");
    }
    assert_eq!(T, ids.len());
}
