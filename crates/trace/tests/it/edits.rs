//! Ablation, scaling and patching, each against another way to the same logits.

use glassformer_model::{BlockSite, BlockWeight, Model, Site, WeightName};
use glassformer_trace::{Change, Edit, Part, TraceError};
use proptest::prelude::*;

use crate::support::{
    GOLDEN, T, all, block, distance, model, plain_logits, recorded, text, values,
};

fn edit(text: &str, change: Change) -> Edit {
    Edit::parse(text, change).unwrap()
}

/// Logits of an edited run.
fn logits(model: &Model, ids: &[u32], edits: &[Edit]) -> Vec<f32> {
    for edit in edits {
        edit.check(&*model.network, ids.len()).unwrap();
    }
    values(&recorded(model, ids, edits), Site::Logits).to_vec()
}

/// Multiplies rows of a weight.
fn scale_rows(
    model: &mut Model,
    weight: BlockWeight,
    layer: usize,
    rows: std::ops::Range<usize>,
    factor: f32,
) {
    let view = model
        .network
        .weight(WeightName::block(layer, weight))
        .unwrap();
    let first = view.param.offset() + view.offset;
    for (r, c) in rows.flat_map(|r| (0..view.cols).map(move |c| (r, c))) {
        model.parameters.arena_mut()[first + r * view.row_stride + c * view.col_stride] *= factor;
    }
}

#[test]
fn ablating_a_head_is_zeroing_its_rows_of_the_output_matrix() {
    for name in all() {
        let whole = model(name);
        let ids = text(&whole, 31);
        let before = logits(&whole, &ids, &[]);
        let dimensions = whole.dimensions();
        for (layer, head) in
            (0..dimensions.n_layers).flat_map(|l| (0..dimensions.n_heads).map(move |h| (l, h)))
        {
            let ablated = logits(
                &whole,
                &ids,
                &[edit(
                    &format!("blocks.{layer}.head.{head}"),
                    Change::Scale(0.0),
                )],
            );
            let mut cut = model(name);
            let rows = head * dimensions.d_head..(head + 1) * dimensions.d_head;
            scale_rows(&mut cut, BlockWeight::Out, layer, rows, 0.0);
            assert!(
                distance(&ablated, &plain_logits(&cut, &ids)) <= 1e-5,
                "{name}: head {head} of block {layer}"
            );
            assert!(
                distance(&ablated, &before) > 1e-3,
                "{name}: head {head} of block {layer} did something"
            );
        }
    }
}

#[test]
fn scaling_a_part_is_scaling_what_makes_it() {
    for name in GOLDEN {
        let whole = model(name);
        let (ids, f) = (text(&whole, 32), 0.375);
        for (site, weight, bias) in [
            ("blocks.1.attn", BlockWeight::Out, BlockWeight::OutBias),
            ("blocks.1.mlp", BlockWeight::Down, BlockWeight::DownBias),
            ("blocks.0.v", BlockWeight::Value, BlockWeight::ValueBias),
            ("blocks.0.ln2", BlockWeight::Ln2Gain, BlockWeight::Ln2Bias),
        ] {
            let edited = logits(&whole, &ids, &[edit(site, Change::Scale(f))]);
            let mut scaled = model(name);
            let layer = usize::from(site.starts_with("blocks.1"));
            for part in [weight, bias] {
                let rows = scaled
                    .network
                    .weight(WeightName::block(layer, part))
                    .unwrap()
                    .rows;
                scale_rows(&mut scaled, part, layer, 0..rows, f);
            }
            assert!(
                distance(&edited, &plain_logits(&scaled, &ids)) <= 1e-5,
                "{name}: {site}"
            );
        }
        // Twice half is a quarter, and edits of one site follow each other.
        let twice = [
            edit("blocks.0.mlp", Change::Scale(0.5)),
            edit("blocks.0.mlp", Change::Scale(0.5)),
        ];
        let once = [edit("blocks.0.mlp", Change::Scale(0.25))];
        assert_eq!(logits(&whole, &ids, &twice), logits(&whole, &ids, &once));
    }
}

/// Once all positions of a stream are another run's, so is everything behind them.
#[test]
fn patching_a_whole_residual_stream_is_the_other_run() {
    for name in GOLDEN {
        let model = model(name);
        let (ids, other) = (text(&model, 33), text(&model, 34));
        let theirs = recorded(&model, &other, &[]);
        for site in [
            "blocks.0.resid_pre",
            "blocks.0.resid_mid",
            "blocks.1.resid_pre",
            "blocks.1.resid_post",
            "ln_final",
        ] {
            let place: Site = site.parse().unwrap();
            let patch = edit(site, Change::Replace(values(&theirs, place).to_vec()));
            let run = recorded(&model, &ids, std::slice::from_ref(&patch));
            assert_eq!(values(&run, place), values(&theirs, place));
            assert_eq!(
                values(&run, Site::Logits),
                values(&theirs, Site::Logits),
                "{name}: {site}"
            );
            // One position at a time.
            let width = model.dimensions().d_model;
            let rows = values(&theirs, place).chunks(width).enumerate();
            let edits: Vec<Edit> = rows
                .map(|(t, row)| edit(&format!("{site}[{t}]"), Change::Replace(row.to_vec())))
                .collect();
            assert_eq!(logits(&model, &ids, &edits), values(&theirs, Site::Logits));
            // And a position alone does not reach those before it.
            let t = 7;
            let after = logits(&model, &ids, &edits[t..=t]);
            let (mine, vocab) = (logits(&model, &ids, &[]), model.dimensions().vocab);
            assert_eq!(after[..t * vocab], mine[..t * vocab]);
            assert_ne!(after[t * vocab..], mine[t * vocab..]);
        }
    }
}

/// Replacing by what is there already, and scaling by 1, change nothing: for each site, whole, by head, by position.
#[test]
fn what_changes_nothing_changes_nothing() {
    for name in all() {
        let model = model(name);
        let ids = text(&model, 35);
        let before = recorded(&model, &ids, &[]);
        for (site, value) in before
            .iter()
            .filter(|(site, _)| !matches!(site, Site::Tokens | Site::TokenTypes | Site::Probs))
        {
            let part = |keep: &dyn Fn(usize) -> bool| -> Vec<f32> {
                let kept = value.data.iter().enumerate().filter(|&(i, _)| keep(i));
                kept.map(|(_, &x)| x).collect()
            };
            let inner: usize = value.shape[1..].iter().product();
            let mut edits = vec![(Part::All, value.data.to_vec())];
            match (site, &value.shape[..]) {
                (
                    Site::Block {
                        site: BlockSite::Scores | BlockSite::Pattern,
                        ..
                    },
                    _,
                ) => {
                    let last = value.shape[0] - 1;
                    edits.push((Part::Head(last), part(&|i| i / inner == last)));
                    edits.push((Part::Position(4), part(&|i| i / T % T == 4)));
                }
                (_, &[_, heads, d_head]) => {
                    let last = heads - 1;
                    edits.push((Part::Head(last), part(&|i| i % inner / d_head == last)));
                    edits.push((Part::Position(4), part(&|i| i / inner == 4)));
                }
                _ => edits.push((Part::Position(4), part(&|i| i / inner == 4))),
            }
            for (part, own) in edits {
                for change in [
                    Change::Replace(own.clone()),
                    Change::Scale(1.0),
                    Change::Replace(Vec::new()),
                ] {
                    let after = recorded(&model, &ids, &[Edit { site, part, change }]);
                    assert_eq!(after, before, "{name}: {site}, {part:?}");
                }
            }
        }
    }
}

#[test]
fn ablated_scores_stay_masked() {
    for name in GOLDEN {
        let model = model(name);
        for factor in [0.0, -1.0, -3.0] {
            let run = recorded(
                &model,
                &text(&model, 36),
                &[edit("blocks.1.scores", Change::Scale(factor))],
            );
            let pattern = values(&run, block(1, BlockSite::Pattern)).chunks(T);
            for (i, (row, scores)) in pattern
                .zip(values(&run, block(1, BlockSite::Scores)).chunks(T))
                .enumerate()
            {
                let t = i % T;
                for s in 0..T {
                    assert_eq!(
                        (scores[s] == f32::NEG_INFINITY, row[s] == 0.0),
                        (s > t, s > t)
                    );
                    let even = 1.0 / (t + 1) as f32;
                    assert!(
                        factor != 0.0 || s > t || (row[s] - even).abs() < 1e-6,
                        "attends evenly"
                    );
                }
            }
            assert!(values(&run, Site::Logits).iter().all(|x| x.is_finite()));
        }
    }
}

/// A pattern that only looks at its own position gives that position's value.
#[test]
fn a_patched_pattern_is_used() {
    let model = model("gpt2-tiny");
    let diagonal: Vec<f32> = (0..T * T)
        .map(|i| f32::from(u8::from(i / T == i % T)))
        .collect();
    let run = recorded(
        &model,
        &text(&model, 37),
        &[edit("blocks.2.pattern.head.1", Change::Replace(diagonal))],
    );
    let [v, z] = [BlockSite::V, BlockSite::Z].map(|site| run.get(block(2, site)).unwrap());
    for (t, e) in (0..T).flat_map(|t| (0..11).map(move |e| (t, e))) {
        assert_eq!(v.at(&[t, 1, e]), z.at(&[t, 1, e]));
    }
    assert_ne!(
        v.at(&[5, 0, 0]),
        z.at(&[5, 0, 0]),
        "the other heads look back"
    );
}

/// In a model with a gate: without what passes it, or with the gates shut, the MLP adds nothing (it has no bias).
#[test]
fn a_shut_gate_lets_nothing_through() {
    let model = model("llama-tiny");
    let ids = text(&model, 39);
    let without = logits(&model, &ids, &[edit("blocks.1.mlp", Change::Scale(0.0))]);
    for site in ["blocks.1.mlp_up", "blocks.1.mlp_pre", "blocks.1.mlp_post"] {
        assert_eq!(
            logits(&model, &ids, &[edit(site, Change::Scale(0.0))]),
            without,
            "{site}"
        );
    }
    assert_ne!(logits(&model, &ids, &[]), without);
}

/// Keys and values have fewer heads than queries, and each is used by several of these.
#[test]
fn heads_of_keys_are_counted_as_such() {
    let model = model("llama-tiny");
    let check = |text: &str| edit(text, Change::Scale(0.0)).check(&*model.network, T);
    for site in ["k", "k_pre", "v"] {
        assert_eq!(check(&format!("blocks.0.{site}.head.1")), Ok(()));
        assert!(check(&format!("blocks.0.{site}.head.2")).is_err(), "{site}");
    }
    for site in ["q", "q_pre", "z", "scores"] {
        assert_eq!(check(&format!("blocks.0.{site}.head.3")), Ok(()), "{site}");
        assert!(check(&format!("blocks.0.{site}.head.4")).is_err(), "{site}");
    }
    let ids = text(&model, 40);
    let run = recorded(
        &model,
        &ids,
        &[edit("blocks.0.v.head.1", Change::Scale(0.0))],
    );
    let z = run.get(block(0, BlockSite::Z)).unwrap();
    for (t, e) in (0..T).flat_map(|t| (0..10).map(move |e| (t, e))) {
        for head in 0..4 {
            let is_silent = head >= 2;
            assert_eq!(z.at(&[t, head, e]) == Some(0.0), is_silent, "head {head}");
        }
    }
}

#[test]
fn wrong_edits_are_told() {
    for text in [
        "",
        "blocks.0",
        "blocks..q",
        "tokens",
        "probs",
        "ln_final.head.0",
        "blocks.0.z.head.",
        "embed[-1]",
        "]",
        "[0]",
        "blocks.0.head.1[2]",
        "q",
    ] {
        let error = Edit::parse(text, Change::Scale(0.0)).unwrap_err();
        assert!(
            matches!(&error, TraceError::Edit { edit, .. } if edit == text),
            "{error}"
        );
    }
    let model = model("gpt2-tiny");
    let network = &*model.network;
    let check = |text: &str| {
        edit(text, Change::Scale(0.0))
            .check(network, T)
            .map_err(|error| error.to_string())
    };
    for right in [
        "blocks.2.head.2",
        "blocks.2.mlp",
        "embed[12]",
        "blocks.0.pattern[12]",
        "logits",
    ] {
        assert_eq!(check(right), Ok(()));
    }
    let headless = Edit {
        site: Site::LnFinal,
        part: Part::Head(0),
        change: Change::Scale(0.0),
    };
    assert!(headless.check(network, T).is_err(), "made without `parse`");
    for wrong in [
        "blocks.3.head.0",
        "blocks.0.head.3",
        "blocks.99999999999.mlp",
        "embed[13]",
        "blocks.0.scores[13]",
        "blocks.0.mlp_up",
        "embed_sum",
    ] {
        let message = check(wrong).unwrap_err();
        assert!(!message.contains('\n'), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// What `check` lets through runs; everything else is an error, not a panic.
    #[test]
    fn no_edit_panics(
        site in 0usize..4 * 71,
        part in prop_oneof![
            Just(Part::All),
            (0usize..5).prop_map(Part::Head),
            (0usize..16).prop_map(Part::Position),
        ],
        change in prop_oneof![
            prop_oneof![-2.0f32..2.0, Just(1e30), Just(f32::INFINITY), Just(f32::NAN)].prop_map(Change::Scale),
            prop::collection::vec(-1.0f32..1.0, 0..900).prop_map(Change::Replace),
        ],
    ) {
        let model = model(["gpt2-relu-odd", "qwen3-tiny", "mistral-tiny", "bert-tiny"][site % 4]);
        let sites = Site::all(3);
        let edit = Edit { site: sites[site % sites.len()], part, change };
        if edit.check(&*model.network, T).is_ok() {
            let run = recorded(&model, &text(&model, 38), &[edit]);
            prop_assert_eq!(run.iter().count(), model.network.sites().len());
        }
    }
}
