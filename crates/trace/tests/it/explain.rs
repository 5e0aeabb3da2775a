//! Where one number comes from: the terms are real, and they add up.

use glassformer_kernels::random;
use glassformer_model::{BlockSite, Keep, Model, Site};
use glassformer_tensor::Pool;
use glassformer_trace::cell::{Cell, Source, explain};
use glassformer_trace::weight::Weight;
use glassformer_trace::{Recording, Selection, TraceError, record};

use crate::support::{BLOCKS, T, all, block, model, model_in_blocks, recorded, text};

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

/// Whether a norm divides by the root mean square.
fn is_rms(cell: &Cell) -> bool {
    cell.extra.iter().any(|(name, _)| *name == "rms")
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
        Source::Angle {
            function,
            index,
            value,
        } => {
            let rope = model.network.attention(0).rope.as_ref().unwrap();
            let (cos, sin) = rope.angle(index[0], index[1]);
            let expected = match *function {
                "cos" => cos,
                "sin" => sin,
                "-sin" => -sin,
                other => panic!("what is {other}?"),
            };
            assert_eq!(*value, expected);
        }
    }
}

/// The terms give `recomputed` in the way that the operation says.
fn check_terms(cell: &Cell) {
    let total: f64 = cell.terms.iter().map(|term| term.value).sum();
    let expected = match cell.op {
        "lookup" if cell.terms.is_empty() => cell.recomputed,
        "lookup" | "sum" | "linear" | "weighted_sum" | "rotation" | "gate" => total,
        "dot" => total * extra(cell, "scale"),
        "norm" if is_rms(cell) => total,
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
            (Some(right), "gate") => extra(cell, "activated") * f64::from(right.value()),
            (Some(right), _) => left * f64::from(right.value()),
            (None, "norm") if is_rms(cell) => left / extra(cell, "rms") * extra(cell, "gain"),
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

/// Cells of every recorded site, with their sources checked: how far the terms are from the recorded value at most, in
/// parts of the terms' size.
fn check_cells(name: &str, model: &Model, seed: u64, allowed: f64) -> f64 {
    let recording = recorded(model, &text(model, seed), &[]);
    let (mut worst, mut count) = (0.0f64, 0);
    for (n, (site, value)) in recording.iter().enumerate() {
        for index in cells(&value.shape, n as u64) {
            let cell = explain(model, &recording, site, &index).unwrap();
            assert_eq!(
                (cell.site, &cell.index, Some(cell.value)),
                (site, &index, value.at(&index))
            );
            let value = f64::from(cell.value);
            if value != cell.recomputed {
                let size: f64 = cell.terms.iter().map(|term| term.value.powi(2)).sum();
                let off = (value - cell.recomputed).abs() / (size.sqrt() + value.abs() + 1e-3);
                assert!(
                    off <= allowed,
                    "{name}: {site}{index:?} is {value}, not {}",
                    cell.recomputed
                );
                worst = worst.max(off);
            }
            for term in &cell.terms {
                check_source(model, &recording, &term.left);
                term.right
                    .iter()
                    .for_each(|right| check_source(model, &recording, right));
            }
            check_terms(&cell);
            count += 1;
        }
    }
    println!("{name}: {count} cells, recomputed within {worst:.1e}");
    worst
}

#[test]
fn cells_of_every_site() {
    for name in all() {
        check_cells(name, &model(name), 21, 1e-5);
    }
}

/// Read into f32, a model in blocks is explained as exactly as any. Multiplied as blocks, with activations rounded to 8 bits,
/// it computes other numbers than the terms give, and they say by how much.
#[test]
fn cells_of_models_in_blocks() {
    for name in BLOCKS {
        let exact = model_in_blocks(name, Keep::InMemory);
        check_cells(name, &exact, 24, 1e-5);
        let rounded = model_in_blocks(name, Keep::InFile);
        let off = check_cells(&format!("{name}, in 8 bits"), &rounded, 24, 3e-2);
        assert!(off > 1e-4, "{name}: rounding can be seen");
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

/// What RMSNorm, rotation, grouped heads and gates come to.
#[test]
fn terms_of_a_decoder_that_turns() {
    let model = model("qwen3-tiny");
    let recording = recorded(&model, &text(&model, 25), &[]);
    let cell = |site: BlockSite, index: &[usize]| {
        explain(&model, &recording, block(1, site), index).unwrap()
    };
    let terms = |site: BlockSite, index: &[usize]| {
        let cell = cell(site, index);
        (cell.op, cell.terms.len())
    };
    let (d, e, f, t) = (26, 14, 45, 6);
    assert_eq!(terms(BlockSite::Ln1, &[t, 3]), ("norm", 1));
    assert_eq!(terms(BlockSite::QPre, &[t, 3, 3]), ("linear", d));
    assert_eq!(terms(BlockSite::QNorm, &[t, 3, 3]), ("norm", 1));
    assert_eq!(terms(BlockSite::Q, &[t, 3, 3]), ("rotation", 2));
    assert_eq!(terms(BlockSite::K, &[t, 1, 13]), ("rotation", 2));
    assert_eq!(terms(BlockSite::V, &[t, 1, 3]), ("linear", d));
    assert_eq!(terms(BlockSite::Scores, &[3, t, t]), ("dot", e));
    assert_eq!(terms(BlockSite::AttnOut, &[t, 3]), ("linear", 4 * e));
    assert_eq!(terms(BlockSite::MlpPre, &[t, 30]), ("linear", d));
    assert_eq!(terms(BlockSite::MlpUp, &[t, 30]), ("linear", d));
    assert_eq!(terms(BlockSite::MlpPost, &[t, 30]), ("gate", 1));
    assert_eq!(terms(BlockSite::MlpOut, &[t, 30 % d]), ("linear", f));
    // The third query head shares the second head of keys.
    let Source::Site { site, index, .. } = cell(BlockSite::Scores, &[2, t, 1]).terms[0]
        .right
        .clone()
        .unwrap()
    else {
        panic!("a key")
    };
    assert_eq!((site, &index[..2]), (block(1, BlockSite::K), &[1, 1][..]));
    assert_eq!(
        cell(BlockSite::V, &[t, 1, 3]).formula,
        "Σᵢ ln1[t,i] · W_V[i,j]"
    );
    let first = explain(&model, &recording, block(0, BlockSite::ResidPre), &[t, 3]).unwrap();
    assert_eq!(first.terms.len(), 1, "no positions are added");
}

#[test]
fn windows_and_encoders_see_what_they_see() {
    let model_of = |name: &str| {
        let model = model(name);
        let recording = recorded(&model, &text(&model, 26), &[]);
        (model, recording)
    };
    let told = |(model, recording): &(Model, Recording), site: BlockSite, index: &[usize]| {
        let cell = explain(model, recording, block(1, site), index).unwrap();
        (cell.op, cell.terms.len(), cell.formula)
    };
    let windowed = model_of("mistral-tiny");
    let (op, count, formula) = told(&windowed, BlockSite::Scores, &[0, 9, 4]);
    assert_eq!((op, count), ("masked", 0));
    assert!(formula.contains("window"), "{formula}");
    assert_eq!(told(&windowed, BlockSite::Scores, &[0, 9, 5]).0, "dot");
    assert_eq!(told(&windowed, BlockSite::Z, &[9, 0, 3]).1, 5);
    let encoder = model_of("bert-tiny");
    assert_eq!(told(&encoder, BlockSite::Scores, &[0, 2, 9]).0, "dot");
    assert_eq!(told(&encoder, BlockSite::Z, &[2, 0, 3]).1, T);
    assert_eq!(told(&encoder, BlockSite::ResidPre, &[2, 3]).0, "sum");
    let (model, recording) = &encoder;
    let first = explain(model, recording, block(0, BlockSite::ResidPre), &[2, 3]).unwrap();
    assert_eq!(first.op, "norm", "behind what is embedded");
    let sum = explain(model, recording, Site::EmbedSum, &[2, 3]).unwrap();
    assert_eq!(sum.terms.len(), 3);
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
    for site in model.network.sites() {
        let only = Selection::parse(&site.to_string()).unwrap();
        let recording = record(&model, &Pool::single(), &ids, &only, &[]);
        let index = vec![0; recording.get(site).unwrap().shape.len()];
        let told = explain(&model, &recording, site, &index);
        let alone = matches!(site, Site::Tokens | Site::PosEmbed);
        assert_eq!(told.is_ok(), alone, "{site}: {told:?}");
    }
    assert_eq!(T, ids.len());
}
