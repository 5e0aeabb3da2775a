//! Recordings as safetensors files.

use std::collections::BTreeMap;

use glassformer_trace::{Cut, Recording, Selection, TraceError};
use glassformer_weights::TensorFile;

use crate::support::{T, model, recorded, text};

fn written(recording: &Recording, globs: &str, cut: &Cut) -> TensorFile {
    let metadata = BTreeMap::from([("model".to_owned(), "tiny".to_owned())]);
    let bytes = recording
        .to_safetensors(&Selection::parse(globs).unwrap(), cut, &metadata)
        .unwrap();
    TensorFile::from_vec(bytes, "a recording").unwrap()
}

#[test]
fn hold_what_was_selected() {
    let model = model("gpt2-tiny");
    let recording = recorded(&model, &text(&model, 51), &[]);
    let file = written(&recording, "*", &Cut::default());
    assert_eq!(file.names().len(), model.network.sites().len());
    for (site, value) in recording.iter() {
        let (shape, data) = file.load_f32(&site.to_string()).unwrap();
        assert_eq!(
            (shape, data),
            (value.shape.clone(), value.data.to_vec()),
            "{site}"
        );
    }
    assert_eq!(file.metadata()["model"], "tiny");
    assert_eq!(
        written(&recording, "blocks.*.z,probs", &Cut::default()).names(),
        ["blocks.0.z", "blocks.1.z", "blocks.2.z", "probs"]
    );
    assert_eq!(
        written(&recording, "nothing", &Cut::default())
            .names()
            .len(),
        0
    );
}

#[test]
fn hold_the_positions_asked_for() {
    let model = model("gpt2-tiny");
    let recording = recorded(&model, &text(&model, 52), &[]);
    let keys = vec![11, 0, 3];
    for rows in [vec![0], vec![2, 3, 4], vec![12], vec![7, 1, 7], vec![]] {
        let cut = Cut {
            rows: Some(rows.clone()),
            cols: Some(keys.clone()),
        };
        let file = written(&recording, "*", &cut);
        for (site, value) in recording.iter() {
            let (shape, data) = file.load_f32(&site.to_string()).unwrap();
            if let [heads, _, _] = value.shape[..]
                && crate::recording::is_plane(site)
            {
                assert_eq!(shape, [heads, rows.len(), keys.len()], "{site}");
                let all = (0..heads).flat_map(|h| rows.iter().map(move |&q| (h, q)));
                let all = all.flat_map(|(h, q)| keys.iter().map(move |&k| [h, q, k]));
                let expected: Vec<f32> = all.map(|at| value.at(&at).unwrap()).collect();
                assert_eq!(data, expected, "{site}");
                continue;
            }
            let inner: usize = value.shape[1..].iter().product();
            assert_eq!((shape[0], &shape[1..]), (rows.len(), &value.shape[1..]));
            let rows = rows.iter().map(|t| &value.data[t * inner..][..inner]);
            assert_eq!(data, rows.flatten().copied().collect::<Vec<_>>(), "{site}");
        }
    }
    let whole = Selection::everything();
    for cut in [
        Cut::rows([T]),
        Cut {
            rows: None,
            cols: Some(vec![T]),
        },
    ] {
        let error = recording.to_safetensors(&whole, &cut, &BTreeMap::new());
        assert!(matches!(error, Err(TraceError::OutOfRange { .. })));
    }
}
