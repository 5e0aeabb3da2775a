//! The logit lens (nostalgebraist 2020): each layer's residual through the final norm and the unembedding, as if it
//! were the last. One sees the guess take form.

use std::sync::Arc;

use glassformer_kernels::softmax::softmax;
use glassformer_model::{BlockSite, Mode, Model, Network, Pass, Site};
use glassformer_tensor::{Buffers, Pool, Tensor};

use crate::cell::behind;
use crate::edit::Editor;
use crate::recording::Recorder;
use crate::{Cut, Recording, Selection, TraceError};

/// The residual streams that are read, in order: before the first block and behind each.
pub fn sites(network: &dyn Network) -> Vec<Site> {
    let first = Site::block(0, BlockSite::ResidPre);
    let n_layers = network.dimensions().n_layers;
    std::iter::once(first)
        .chain((0..n_layers).map(|layer| behind(network, layer)))
        .collect()
}

/// For each position the most likely tokens, (id, probability), the likeliest first.
pub type LayerGuesses = Vec<Vec<(u32, f32)>>;

/// Rows that are unembedded together: the logits of more would take much memory.
const ROWS: usize = 256;

/// For each of [`sites`] and each position of `rows` the `k` most likely tokens: (id, probability).
pub fn read(
    model: &Model,
    pool: &Pool,
    recording: &Recording,
    rows: &Cut,
    k: usize,
) -> Result<Vec<LayerGuesses>, TraceError> {
    if model.network.unembed().is_none() {
        let reason = "this model ends at vectors: it has no words to read them as";
        return Err(TraceError::Missing(reason.to_owned()));
    }
    let sites = sites(&*model.network).into_iter();
    let parts = sites.map(|site| recording.cut(site, rows));
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    // All layers in few products: W_U is read once for many rows.
    let (count, d_model) = (parts[0].shape[0], model.dimensions().d_model);
    let stacked: Vec<f32> = parts
        .iter()
        .flat_map(|part| part.data.iter().copied())
        .collect();
    let buffers = Buffers::new();
    let nothing = Selection::parse("")?;
    let last = behind(&*model.network, model.dimensions().n_layers - 1);
    let mut guesses = Vec::with_capacity(parts.len() * count);
    for rows in stacked.chunks(ROWS * d_model) {
        let height = rows.len() / d_model;
        let x = Tensor::from_slice(&buffers, &[height, d_model], rows);
        let run = model.run(pool, &buffers);
        // The last stage reads this stream as if it were the last one.
        let mut editor = Editor::of_weights(model, recording.edits());
        editor.give(last, d_model, rows);
        let mut recorder = Recorder::new(&nothing, editor, Arc::default());
        let mut pass = Pass::new(run, 1, height, Mode::Inference).with_hook(&mut recorder);
        let logits = model.unembed(&mut pass, x);
        let rows = logits.data().chunks_exact(logits.width());
        guesses.extend(rows.map(|row| top(row, k)));
    }
    let layers = guesses.chunks(count.max(1)).map(<[_]>::to_vec);
    Ok(layers.collect())
}

/// The `k` largest of softmax(logits) with their ids, the earlier first of equal ones.
pub fn top(logits: &[f32], k: usize) -> Vec<(u32, f32)> {
    let mut probs = logits.to_vec();
    softmax(&mut probs, 1.0);
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(k + 1);
    for (id, prob) in (0..).zip(probs) {
        // Few of many get past this.
        if best.len() == k && best.last().is_none_or(|(_, least)| prob <= *least) {
            continue;
        }
        let place = best.partition_point(|(_, other)| *other >= prob);
        best.insert(place, (id, prob));
        best.truncate(k);
    }
    best
}
