//! A run of which little is kept answers as one of which all is.

use std::sync::Arc;

use glassformer_model::{Model, Site, WeightName};
use glassformer_tensor::Pool;
use glassformer_trace::cell::explain;
use glassformer_trace::heads::CORNER;
use glassformer_trace::{
    Change, Cut, Edit, Edits, Part, Replay, Selection, WeightEdit, record_edited,
};

use crate::recording::is_plane;
use crate::support::{all, model, recorded, text};

fn edits() -> Vec<Edit> {
    ["blocks.1.resid_pre[3]", "blocks.0.head.1", "blocks.1.mlp"]
        .map(|text| Edit::parse(text, Change::Scale(0.5)).unwrap())
        .to_vec()
}

/// Parameters on both sides of where a block is opened, numbers, and a mask.
fn by_hand(model: &Model, id: u32) -> Edits {
    let cell = |site: &str, index: &[usize], change| Edit {
        site: site.parse().unwrap(),
        part: Part::cell(index).unwrap(),
        change,
    };
    let names = [
        "blocks.0.ln1.w",
        "blocks.1.attn.W_K",
        "blocks.1.ln2.w",
        "blocks.1.mlp.W_down",
    ];
    let mut weights: Vec<WeightEdit> = names
        .iter()
        .map(|name| name.parse().unwrap())
        .filter(|&name| model.network.weight(name).is_some())
        .map(|name| WeightEdit {
            name,
            at: [0, 5],
            to: 0.9,
        })
        .collect();
    weights.push(WeightEdit {
        name: WeightName::Embed,
        at: [id as usize, 2],
        to: 0.5,
    });
    Edits {
        values: vec![
            cell("blocks.1.resid_pre", &[9, 3], Change::Replace(vec![2.0])),
            cell("blocks.1.scores", &[1, 2, 9], Change::Unmask),
            cell("blocks.0.mlp_post", &[2, 7], Change::Replace(vec![-1.0])),
        ],
        weights,
    }
}

#[test]
fn every_site_bit_for_bit() {
    let pool = Pool::single();
    for name in all() {
        let model = model(name);
        let ids = text(&model, 61);
        for edits in [Edits::default(), edits().into(), by_hand(&model, ids[9])] {
            let everything = Selection::everything();
            let given = Arc::new(edits.clone());
            let whole = record_edited(&model, &pool, &ids, &everything, &given);
            let replay = Replay::within(0, &model, &pool, ids.clone(), edits);
            assert!(
                replay.bytes() < whole.bytes() * 3 / 4,
                "{name}: less is kept"
            );
            for (site, value) in whole.iter() {
                let one = Selection::parse(&site.to_string()).unwrap();
                let rows = Cut::rows([9, 2]);
                let [(found, part)] = &replay.cut(&model, &pool, &one, &rows).unwrap()[..] else {
                    panic!("one site")
                };
                assert_eq!(
                    (*found, part),
                    (site, &whole.cut(site, &rows).unwrap()),
                    "{name}"
                );
                let index: Vec<usize> = value.shape.iter().map(|n| n / 2).collect();
                let around = replay.around(&model, &pool, site);
                assert_eq!(
                    explain(&model, &around, site, &index).unwrap(),
                    explain(&model, &whole, site, &index).unwrap(),
                    "{name}: {site}"
                );
            }
        }
    }
}

#[test]
fn a_short_run_is_kept_whole() {
    let model = model("qwen3-tiny");
    let ids = text(&model, 62);
    let whole = recorded(&model, &ids, &[]);
    let replay = Replay::run(&model, &Pool::single(), ids, Edits::default());
    assert_eq!(replay.kept(), &whole);
}

/// The pattern's corner at the end of the text comes without its block, and is the same.
#[test]
fn heads_in_little_are_the_patterns() {
    let model = model("llama-tiny");
    let pool = Pool::single();
    let ids: Vec<u32> = text(&model, 63)
        .into_iter()
        .chain([7, 8, 9, 7, 8, 9])
        .collect();
    let length = ids.len();
    assert!(length > CORNER, "the corner is a part");
    let whole = recorded(&model, &ids, &[]);
    let replay = Replay::within(0, &model, &pool, ids.clone(), Edits::default());
    let end: Vec<usize> = (length - 5..length).collect();
    for rows in [end.clone(), vec![0, length - 1]] {
        let cut = Cut {
            rows: Some(rows),
            cols: Some(end.clone()),
        };
        let patterns = Selection::parse("*.pattern").unwrap();
        for (site, part) in replay.cut(&model, &pool, &patterns, &cut).unwrap() {
            assert_eq!(part, whole.cut(site, &cut).unwrap(), "{site}");
        }
    }
    let heads = replay.heads();
    assert_eq!(
        (heads.square, heads.side, heads.views.len()),
        (1, length, 2)
    );
    for (site, value) in whole.iter().filter(|(site, _)| is_plane(*site)) {
        let Site::Block {
            layer,
            site: glassformer_model::BlockSite::Pattern,
        } = site
        else {
            continue;
        };
        for (h, view) in heads.views[layer].iter().enumerate() {
            let at = |q: usize, k: usize| value.at(&[h, q, k]).unwrap();
            let squares = (0..length).flat_map(|q| (0..length).map(move |k| (q, k)));
            assert!(squares.zip(&view.pooled).all(|((q, k), &x)| at(q, k) == x));
            let mean = |from: usize, share: &dyn Fn(usize) -> f32| {
                (from..length).map(share).sum::<f32>() / (length - from) as f32
            };
            let near = |a: f32, b: f32| (a - b).abs() < 1e-5;
            assert!(near(view.habits.previous, mean(1, &|q| at(q, q - 1))));
            assert!(near(view.habits.first, mean(2, &|q| at(q, 0))));
            assert!(near(view.habits.own, mean(1, &|q| at(q, q))));
            let repeats: Vec<(usize, f32, f32)> = (0..length)
                .filter_map(|q| {
                    let earlier: Vec<usize> = (0..q).filter(|&k| ids[k] == ids[q]).collect();
                    let sum = |after: usize| earlier.iter().map(|k| at(q, k + after)).sum();
                    (!earlier.is_empty()).then(|| (q, sum(0), sum(1)))
                })
                .collect();
            assert!(repeats.len() >= 3);
            let mean = |of: &dyn Fn(&(usize, f32, f32)) -> f32| {
                repeats.iter().map(of).sum::<f32>() / repeats.len() as f32
            };
            assert!(near(view.habits.same, mean(&|r| r.1)));
            assert!(near(view.habits.induction, mean(&|r| r.2)));
        }
    }
    // Of a long text each square is the largest of several weights.
    let long = glassformer_trace::heads::Heads::new(1000, 270);
    assert_eq!((long.square, long.side), (63, 16));
}
