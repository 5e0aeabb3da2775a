//! The logit lens and the neighbours of a token.

use glassformer_model::{BlockSite, Site, WeightName};
use glassformer_tensor::Pool;
use glassformer_trace::weight::Weight;
use glassformer_trace::{Change, Cut, Edit, Selection, TraceError, lens, neighbours, record};

use crate::support::{T, all, model, recorded, text, values};

#[test]
fn the_lens_ends_at_the_models_own_words() {
    for name in all() {
        let model = model(name);
        let recording = recorded(&model, &text(&model, 41), &[]);
        let (n_layers, vocab) = (model.dimensions().n_layers, model.dimensions().vocab);
        let sites = lens::sites(&*model.network);
        assert_eq!(sites.len(), n_layers + 1);
        assert_eq!(sites[0], Site::block(0, BlockSite::ResidPre));
        let read = lens::read(&model, &Pool::single(), &recording, &Cut::default(), 5).unwrap();
        assert_eq!((read.len(), read[0].len()), (n_layers + 1, T));
        for (t, words) in read[n_layers].iter().enumerate() {
            let probs = &values(&recording, Site::Probs)[t * vocab..][..vocab];
            let mut ids: Vec<u32> = (0..vocab as u32).collect();
            ids.sort_by(|&a, &b| probs[b as usize].total_cmp(&probs[a as usize]));
            assert_eq!(
                words.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
                ids[..5]
            );
            assert!(
                words
                    .iter()
                    .all(|&(id, prob)| (prob - probs[id as usize]).abs() < 1e-6)
            );
        }
        if model.network.is_post_norm() {
            // Its blocks norm the stream, whatever they add.
            continue;
        }
        // Before the first block: the run whose blocks add nothing.
        let mut edits = Vec::new();
        for layer in 0..n_layers {
            for part in ["attn", "mlp"] {
                edits.push(
                    Edit::parse(&format!("blocks.{layer}.{part}"), Change::Scale(0.0)).unwrap(),
                );
            }
        }
        let bare = recorded(&model, &text(&model, 41), &edits);
        for (t, words) in read[0].iter().enumerate() {
            let probs = &values(&bare, Site::Probs)[t * vocab..][..vocab];
            assert!(
                words
                    .iter()
                    .all(|&(id, prob)| (prob - probs[id as usize]).abs() < 1e-6)
            );
        }
    }
}

#[test]
fn the_lens_gives_as_many_words_as_there_are() {
    let model = model("gpt2-relu-odd");
    let recording = recorded(&model, &text(&model, 42), &[]);
    let words =
        |k: usize| lens::read(&model, &Pool::single(), &recording, &Cut::default(), k).unwrap();
    assert_eq!(words(0)[0][0].len(), 0);
    assert_eq!(words(53), words(1_000));
    let some = Cut::rows([9, 2]);
    let some = lens::read(&model, &Pool::single(), &recording, &some, 3).unwrap();
    let all = words(3);
    for (some, all) in some.iter().zip(&all) {
        assert_eq!(some, &[all[9].clone(), all[2].clone()]);
    }
    let all: f32 = words(53)[1][3].iter().map(|(_, prob)| prob).sum();
    assert!((all - 1.0).abs() < 1e-5);
    let only = record(
        &model,
        &Pool::single(),
        &text(&model, 42),
        &Selection::parse("logits").unwrap(),
        &[],
    );
    assert!(matches!(
        lens::read(&model, &Pool::single(), &only, &Cut::default(), 3),
        Err(TraceError::NotRecorded(_))
    ));
}

#[test]
fn neighbours_of_a_sum_leave_out_what_is_named() {
    let model = model("gpt2-tiny");
    let table = neighbours::Table::of(&model).unwrap();
    let [a, b] = [3, 8].map(|id| table.row(id).unwrap());
    let sum: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    let all = table.nearest(&sum, &[], usize::MAX);
    let vocab = model.dimensions().vocab;
    assert_eq!(all.len(), vocab);
    assert!(all.is_sorted_by(|a, b| a.1 >= b.1));
    for &(id, cosine) in &all {
        let row = table.row(id).unwrap();
        let dot: f64 = row.iter().zip(&sum).map(|(a, b)| f64::from(a * b)).sum();
        let length = |x: &[f32]| x.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
        let expected = dot / (length(&row) * length(&sum));
        assert!((f64::from(cosine) - expected).abs() < 1e-5);
    }
    let mut but = all.clone();
    but.retain(|(id, _)| ![3, 8].contains(id));
    assert_eq!(table.nearest(&sum, &[3, 8], 10), but[..10]);
    assert!(table.row(vocab as u32).is_err());
    // No direction, no cosine.
    assert_eq!(neighbours::cosines(&[1.0, 2.0], &[0.0, 0.0]), [0.0]);
    assert!(neighbours::cosines(&[], &[0.0, 0.0]).is_empty());
}

#[test]
fn neighbours_are_the_nearest_by_cosine() {
    for name in all() {
        let model = model(name);
        let table = &Weight::of(&model, WeightName::Embed).unwrap();
        let [vocab, d] = table.shape();
        let row = |id: usize| (0..d).map(move |i| f64::from(table.at(id, i)));
        let cosine = |a: usize, b: usize| {
            let dot: f64 = row(a).zip(row(b)).map(|(a, b)| a * b).sum();
            let norm = |id: usize| row(id).map(|x| x * x).sum::<f64>().sqrt();
            dot / (norm(a) * norm(b))
        };
        for id in [0, 7, vocab - 1] {
            let mut expected: Vec<(usize, f64)> = (0..vocab)
                .filter(|&other| other != id)
                .map(|other| (other, cosine(id, other)))
                .collect();
            expected.sort_by(|a, b| b.1.total_cmp(&a.1));
            let found = neighbours::nearest(&model, id as u32, 10).unwrap();
            assert_eq!(found.len(), 10);
            for ((id, cosine), (expected_id, expected)) in found.into_iter().zip(expected) {
                assert_eq!(id as usize, expected_id);
                assert!(
                    (f64::from(cosine) - expected).abs() < 1e-5,
                    "{cosine}, {expected}"
                );
            }
        }
        assert_eq!(
            neighbours::nearest(&model, 0, 10_000).unwrap().len(),
            vocab - 1
        );
        assert_eq!(neighbours::nearest(&model, 0, 0), Ok(Vec::new()));
        for id in [vocab as u32, u32::MAX] {
            assert!(matches!(
                neighbours::nearest(&model, id, 3),
                Err(TraceError::Missing(_))
            ));
        }
    }
}
