//! Recordings as safetensors files.

use std::collections::BTreeMap;
use std::ops::Range;

use glassformer_model::{BlockSite, Site};
use glassformer_trace::{Recording, Selection};
use glassformer_weights::TensorFile;

use crate::support::{T, model, recorded, text};

fn written(recording: &Recording, globs: &str, rows: Option<&Range<usize>>) -> TensorFile {
    let metadata = BTreeMap::from([("model".to_owned(), "tiny".to_owned())]);
    let bytes = recording
        .to_safetensors(&Selection::parse(globs).unwrap(), rows, &metadata)
        .unwrap();
    TensorFile::from_vec(bytes, "a recording").unwrap()
}

#[test]
fn hold_what_was_selected() {
    let model = model("gpt2-tiny");
    let recording = recorded(&model, &text(&model, 51), &[]);
    let file = written(&recording, "*", None);
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
        written(&recording, "blocks.*.z,probs", None).names(),
        ["blocks.0.z", "blocks.1.z", "blocks.2.z", "probs"]
    );
    assert_eq!(written(&recording, "nothing", None).names().len(), 0);
}

#[test]
fn hold_the_positions_asked_for() {
    let model = model("gpt2-tiny");
    let recording = recorded(&model, &text(&model, 52), &[]);
    let (backwards, empty) = (Range { start: 5, end: 3 }, 4..4);
    for rows in [0..T, 2..5, 12..13, 0..1, 11..99, 50..60, empty, backwards] {
        let file = written(&recording, "*", Some(&rows));
        let kept: Vec<usize> = rows.filter(|&t| t < T).collect();
        for (site, value) in recording.iter() {
            // The queries of scores and patterns are their second axis.
            let axis = usize::from(matches!(
                site,
                Site::Block {
                    site: BlockSite::Scores | BlockSite::Pattern,
                    ..
                }
            ));
            let inner: usize = value.shape[axis + 1..].iter().product();
            let (shape, data) = file.load_f32(&site.to_string()).unwrap();
            let mut expected_shape = value.shape.clone();
            expected_shape[axis] = kept.len();
            assert_eq!(shape, expected_shape, "{site}");
            let cells = value
                .data
                .iter()
                .enumerate()
                .filter(|(i, _)| kept.contains(&(i / inner % T)));
            assert_eq!(data, cells.map(|(_, &x)| x).collect::<Vec<_>>(), "{site}");
        }
    }
}
