//! Nearest rows of the embedding by cosine.

use glassformer_kernels::matmul::matmul;
use glassformer_kernels::matrix::{MatMut, MatRef};
use glassformer_model::{Model, WeightName};

use crate::TraceError;
use crate::weight::Weight;

/// The `k` tokens whose rows of W_E point most nearly where that of `id` does: (id, cosine), nearest first.
pub fn nearest(model: &Model, id: u32, k: usize) -> Result<Vec<(u32, f32)>, TraceError> {
    let table = Weight::of(model, WeightName::Embed)?;
    let [vocab, d_model] = table.shape();
    if id as usize >= vocab {
        return Err(TraceError::Missing(format!(
            "there is no token {id}: the vocabulary has {vocab}"
        )));
    }
    let rows = table.values();
    let own = &rows[id as usize * d_model..][..d_model];
    let mut dots = vec![0.0; vocab];
    matmul(
        MatMut::new(&mut dots, vocab, 1),
        MatRef::new(&rows, vocab, d_model),
        MatRef::new(own, d_model, 1),
        false,
    );
    let norm = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    let own_norm = norm(own);
    let mut all: Vec<(u32, f32)> = rows
        .chunks_exact(d_model)
        .zip(&dots)
        .enumerate()
        .filter(|&(other, _)| other != id as usize)
        .map(|(other, (row, dot))| (other as u32, dot / (norm(row) * own_norm)))
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(k);
    Ok(all)
}
