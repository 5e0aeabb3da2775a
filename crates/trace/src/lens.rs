//! The logit lens (nostalgebraist 2020): each layer's residual through the final norm and the unembedding, as if it
//! were the last. One sees the guess take form.

use glassformer_kernels::softmax::softmax;
use glassformer_model::{BlockSite, Mode, Model, Network, Pass, Site};
use glassformer_tensor::{Buffers, Pool, Tensor};

use crate::cell::behind;
use crate::{Recording, TraceError};

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

/// For each of [`sites`] and each position the `k` most likely tokens: (id, probability).
pub fn read(
    model: &Model,
    pool: &Pool,
    recording: &Recording,
    k: usize,
) -> Result<Vec<LayerGuesses>, TraceError> {
    if model.network.unembed().is_none() {
        let reason = "this model ends at vectors: it has no words to read them as";
        return Err(TraceError::Missing(reason.to_owned()));
    }
    let buffers = Buffers::new();
    let mut out = Vec::new();
    for site in sites(&*model.network) {
        let residual = recording.get(site)?;
        let x = Tensor::from_slice(&buffers, &residual.shape, &residual.data);
        let mut pass = Pass::new(
            model.run(pool, &buffers),
            1,
            residual.shape[0],
            Mode::Inference,
        );
        let logits = model.unembed(&mut pass, x);
        out.push(
            logits
                .data()
                .chunks_exact(logits.width())
                .map(|row| top(row, k))
                .collect(),
        );
    }
    Ok(out)
}

/// The `k` largest of softmax(logits).
fn top(logits: &[f32], k: usize) -> Vec<(u32, f32)> {
    let mut probs = logits.to_vec();
    softmax(&mut probs, 1.0);
    let mut ranked: Vec<(u32, f32)> = (0..).zip(probs).collect();
    let k = k.min(ranked.len());
    if k < ranked.len() {
        ranked.select_nth_unstable_by(k, |a, b| b.1.total_cmp(&a.1));
        ranked.truncate(k);
    }
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked
}
