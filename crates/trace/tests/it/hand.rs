//! Numbers set by hand: parameters, single values, masks, another text's stream, each against another way to the same run.

use std::sync::Arc;

use glassformer_model::{BlockSite, BlockWeight, Model, Site, WeightName};
use glassformer_tensor::Pool;
use glassformer_trace::cell::explain;
use glassformer_trace::weight::Weight;
use glassformer_trace::{
    Change, Edit, Edits, Part, Recording, Selection, WeightEdit, lens, record_edited,
};

use crate::support::{T, all, distance, model, plain_logits, recorded, text, values};

fn run(model: &Model, ids: &[u32], edits: Edits) -> Recording {
    edits.check(model, ids.len()).unwrap();
    let everything = Selection::everything();
    record_edited(model, &Pool::single(), ids, &everything, &Arc::new(edits))
}

fn cell(site: Site, index: &[usize], change: Change) -> Edit {
    Edit {
        site,
        part: Part::cell(index).unwrap(),
        change,
    }
}

/// An element of each parameter that the network has; of tables, of a row that is read.
fn elements(model: &Model, ids: &[u32]) -> Vec<WeightEdit> {
    let blocks = BlockWeight::ALL
        .iter()
        .map(|&weight| WeightName::block(1, weight));
    let outside = [
        WeightName::Embed,
        WeightName::PosEmbed,
        WeightName::TypeEmbed,
        WeightName::LnEmbedGain,
        WeightName::LnEmbedBias,
        WeightName::LnFinalGain,
        WeightName::LnFinalBias,
        WeightName::Transform,
        WeightName::TransformBias,
        WeightName::Unembed,
        WeightName::UnembedBias,
    ];
    let element = |name| {
        let [rows, columns] = Weight::of(model, name).ok()?.shape();
        let row = match name {
            WeightName::Embed => ids[4] as usize,
            WeightName::PosEmbed => 4,
            WeightName::TypeEmbed => 0,
            _ => rows * 2 / 3,
        };
        Some(WeightEdit {
            name,
            at: [row, columns / 2],
            to: 0.77,
        })
    };
    outside
        .into_iter()
        .chain(blocks)
        .filter_map(element)
        .collect()
}

#[test]
fn a_parameter_set_for_one_run_is_a_model_with_that_parameter() {
    for name in all() {
        let whole = model(name);
        if whole.network.unembed().is_none() {
            continue;
        }
        let ids = text(&whole, 71);
        let before = plain_logits(&whole, &ids);
        for edit in elements(&whole, &ids) {
            let mut changed = model(name);
            let view = whole.network.weight(edit.name).unwrap();
            let place = view.param.offset() + view.place(edit.at[0], edit.at[1]);
            changed.parameters.arena_mut()[place] = edit.to;
            let edits = Edits {
                weights: vec![edit],
                ..Edits::default()
            };
            let edited = run(&whole, &ids, edits.clone());
            let what = format!("{name}: {}", edit.name);
            let logits = plain_logits(&changed, &ids);
            assert!(
                distance(values(&edited, Site::Logits), &logits) <= 2e-5,
                "{what}"
            );
            assert_eq!(
                plain_logits(&whole, &ids),
                before,
                "{what}: the model stays"
            );
            let weight = Weight::of(&whole, edit.name).unwrap();
            let weight = weight.with(&whole, &edits);
            let other = Weight::of(&changed, edit.name).unwrap();
            assert_eq!(weight.values(), other.values(), "{what}");
            assert_eq!(
                weight.column(edit.at[1]),
                other.column(edit.at[1]),
                "{what}"
            );
            let read = |model: &Model, run: &Recording| {
                lens::read(
                    model,
                    &Pool::single(),
                    run,
                    &glassformer_trace::Cut::rows([4, T - 1]),
                    3,
                )
            };
            let lenses = [
                read(&whole, &edited),
                read(&changed, &recorded(&changed, &ids, &[])),
            ];
            for [(id, prob), (other, there)] in pairs(lenses.map(Result::unwrap)) {
                assert!(
                    id == other && (prob - there).abs() <= 1e-4,
                    "{what}: the lens"
                );
            }
        }
    }
}

fn pairs(lenses: [Vec<lens::LayerGuesses>; 2]) -> Vec<[(u32, f32); 2]> {
    let [a, b] = lenses.map(|lens| lens.into_iter().flatten().flatten().collect::<Vec<_>>());
    a.into_iter().zip(b).map(|(a, b)| [a, b]).collect()
}

#[test]
fn cells_of_a_run_with_set_parameters_are_explained_with_them() {
    for name in all() {
        let model = model(name);
        let ids = text(&model, 72);
        let edits = Edits {
            weights: elements(&model, &ids),
            ..Edits::default()
        };
        let edited = run(&model, &ids, edits);
        for site in model.network.sites() {
            let shape = site.shape(&model.dimensions(), T);
            let index: Vec<usize> = shape.iter().map(|n| n / 2).collect();
            let cell = explain(&model, &edited, site, &index).unwrap();
            let (value, again) = (f64::from(cell.value), cell.recomputed);
            let near = (value - again).abs() <= 2e-4 * value.abs().max(1.0);
            assert!(near || value == again, "{name}: {site} {value} {again}");
        }
    }
}

#[test]
fn a_mask_opened_or_closed_by_hand_is_in_the_softmax_and_the_sum() {
    for name in ["gpt2-tiny", "llama-tiny", "qwen3-window"] {
        let model = model(name);
        let ids = text(&model, 73);
        let plain = recorded(&model, &ids, &[]);
        let [scores, pattern, q, k, v, z] = [
            BlockSite::Scores,
            BlockSite::Pattern,
            BlockSite::Q,
            BlockSite::K,
            BlockSite::V,
            BlockSite::Z,
        ]
        .map(|site| Site::block(1, site));
        let (head, query, closed, open) = (1, 5, 4, 9);
        let mask = cell(
            scores,
            &[head, query, closed],
            Change::Replace(vec![f32::NEG_INFINITY]),
        );
        let unmask = cell(scores, &[head, query, open], Change::Unmask);
        let edited = run(&model, &ids, vec![mask, unmask].into());
        let d = model.dimensions();
        let kv = head * d.n_kv_heads / d.n_heads;
        let at = |run: &Recording, site, index: &[usize]| f64::from(run.at(site, index).unwrap());
        let score = |key: usize| -> f64 {
            if key == closed
                || (key != open && at(&plain, scores, &[head, query, key]) == f64::NEG_INFINITY)
            {
                return f64::NEG_INFINITY;
            }
            let term = |e| at(&plain, q, &[query, head, e]) * at(&plain, k, &[key, kv, e]);
            (0..d.d_head).map(term).sum::<f64>() / (d.d_head as f64).sqrt()
        };
        let exps: Vec<f64> = (0..T).map(|key| score(key).exp()).collect();
        let sum: f64 = exps.iter().sum();
        for (key, exp) in exps.iter().enumerate() {
            let found = at(&edited, pattern, &[head, query, key]);
            assert!((found - exp / sum).abs() <= 1e-5, "{name}: key {key}");
        }
        for e in 0..d.d_head {
            let sum: f64 = (0..T)
                .map(|s| exps[s] / sum * at(&plain, v, &[s, kv, e]))
                .sum();
            let made = explain(&model, &edited, z, &[query, head, e]).unwrap();
            assert!(
                (at(&edited, z, &[query, head, e]) - sum).abs() <= 1e-5,
                "{name}"
            );
            assert!((made.recomputed - sum).abs() <= 1e-5, "{name}");
        }
        // No other head, no other query.
        for (h, t) in [(0, query), (head, query + 1)] {
            let row = |run: &Recording| -> Vec<f64> {
                (0..T).map(|s| at(run, pattern, &[h, t, s])).collect()
            };
            assert_eq!(row(&edited), row(&plain));
        }
        let told = explain(&model, &edited, scores, &[head, query, closed]).unwrap();
        assert!(told.edited && told.op == "masked" && told.formula.contains("by hand"));
        let told = explain(&model, &edited, scores, &[head, query, open]).unwrap();
        assert!(told.edited && (told.recomputed - score(open)).abs() <= 1e-5);
    }
}

#[test]
fn one_number_set_by_hand_is_that_number_and_no_other() {
    for name in all() {
        let model = model(name);
        let ids = text(&model, 74);
        let plain = recorded(&model, &ids, &[]);
        for site in model.network.sites() {
            if matches!(site, Site::Tokens | Site::TokenTypes | Site::Probs) {
                continue;
            }
            let index: Vec<usize> = plain
                .get(site)
                .unwrap()
                .shape
                .iter()
                .map(|n| n / 2)
                .collect();
            let set = cell(site, &index, Change::Replace(vec![1.25]));
            let edited = run(&model, &ids, vec![set].into());
            let mut expected = values(&plain, site).to_vec();
            let shape = &plain.get(site).unwrap().shape;
            let place = index
                .iter()
                .zip(shape)
                .fold(0, |place, (i, n)| place * n + i);
            expected[place] = 1.25;
            assert_eq!(values(&edited, site), expected, "{name}: {site}");
            assert!(edited.edits().touches(site, &index), "{name}: {site}");
            let next: Vec<usize> = index.iter().map(|i| i.saturating_sub(1)).collect();
            assert!(!edited.edits().touches(site, &next), "{name}: {site}");
        }
    }
}

#[test]
fn the_stream_of_another_text_is_pasted_at_any_position() {
    for name in ["gpt2-tiny", "qwen3-tiny"] {
        let model = model(name);
        let (ids, other) = (text(&model, 75), text(&model, 76)[..7].to_vec());
        let theirs = recorded(&model, &other, &[]);
        let site = Site::block(0, BlockSite::ResidPost);
        let paste = Edit::paste(site, 10, theirs.get(site).unwrap(), 3).unwrap();
        let edited = run(&model, &ids, vec![paste].into());
        let d = model.dimensions().d_model;
        let row = |run: &Recording, t: usize| values(run, site)[t * d..(t + 1) * d].to_vec();
        assert_eq!(row(&edited, 10), row(&theirs, 3));
        assert_eq!(row(&edited, 9), row(&recorded(&model, &ids, &[]), 9));
        let scores = Site::block(0, BlockSite::Scores);
        assert!(Edit::paste(scores, 1, theirs.get(scores).unwrap(), 3).is_err());
        assert!(Edit::paste(site, 1, theirs.get(site).unwrap(), 7).is_err());
    }
}

#[test]
fn what_does_not_fit_is_refused_in_one_line() {
    let model = model("gpt2-tiny");
    let q = Site::block(0, BlockSite::Q);
    let scores = Site::block(0, BlockSite::Scores);
    let set = |site, index: &[usize], to: f32| vec![cell(site, index, Change::Replace(vec![to]))];
    let weight = |name, at| Edits {
        weights: vec![WeightEdit { name, at, to: 1.0 }],
        ..Edits::default()
    };
    let closed = f32::NEG_INFINITY;
    let wrong: Vec<Edits> = vec![
        set(q, &[T, 0, 0], 1.0).into(),
        set(q, &[0, 99, 0], 1.0).into(),
        set(q, &[0, 0, 0], f32::NAN).into(),
        set(q, &[0, 0, 0], 1e30).into(),
        set(scores, &[0, 0, 0], closed).into(),
        vec![cell(q, &[0, 0, 0], Change::Unmask)].into(),
        weight(WeightName::Embed, [0, 9999]),
        weight(WeightName::block(0, BlockWeight::Gate), [0, 0]),
    ];
    for edits in wrong {
        let error = edits.check(&model, T);
        let line = error.expect_err(&format!("{edits:?}")).to_string();
        assert!(!line.is_empty() && !line.contains('\n'), "{line}");
    }
    let flat = Edit::at(q, &[0, 0], Change::Scale(0.0), &*model.network);
    assert!(flat.is_err(), "queries have three axes");
    // The same key closed and opened again is open.
    let open = vec![
        set(scores, &[0, 0, 0], closed).remove(0),
        cell(scores, &[0, 0, 0], Change::Unmask),
    ];
    Edits::from(open).check(&model, T).unwrap();
}
