//! Nearest rows of a table by cosine: of the embedding, or of vectors that somebody else has made.

use std::cmp::Ordering;

use glassformer_kernels::matmul::matmul;
use glassformer_kernels::matrix::{MatMut, MatRef};
use glassformer_model::{Model, WeightName};

use crate::weight::Weight;
use crate::{Edits, TraceError};

/// Rows that are looked at together: they fit the caches.
const ROWS: usize = 1024;

/// The `k` tokens whose rows of W_E point most nearly where that of `id` does: (id, cosine), nearest first.
pub fn nearest(model: &Model, id: u32, k: usize) -> Result<Vec<(u32, f32)>, TraceError> {
    let table = Table::of(model)?;
    let own = table.row(id)?;
    Ok(table.nearest(&own, &[id], k))
}

/// W_E [V,D], a row for each token.
pub struct Table<'a>(Weight<'a>);

impl<'a> Table<'a> {
    /// That of a model.
    pub fn of(model: &'a Model) -> Result<Self, TraceError> {
        Weight::of(model, WeightName::Embed).map(Self)
    }

    /// As it is in a run with these edits.
    #[must_use]
    pub fn with(self, model: &Model, edits: &Edits) -> Self {
        Self(self.0.with(model, edits))
    }

    /// V and D.
    pub fn shape(&self) -> [usize; 2] {
        self.0.shape()
    }

    /// The row of a token [D]. Error: there is no such token.
    pub fn row(&self, id: u32) -> Result<Vec<f32>, TraceError> {
        let ([vocab, d_model], row) = (self.0.shape(), id as usize);
        if row >= vocab {
            return Err(TraceError::Missing(format!(
                "there is no token {id}: the vocabulary has {vocab}"
            )));
        }
        Ok(self.0.part(row..row + 1, 0..d_model).data.to_vec())
    }

    /// The `k` tokens, those of `but` left out, whose rows point most nearly where `vector` [D] does, as [`nearest`].
    pub fn nearest(&self, vector: &[f32], but: &[u32], k: usize) -> Vec<(u32, f32)> {
        let [vocab, d_model] = self.0.shape();
        let mut all = Vec::with_capacity(vocab);
        for first in (0..vocab).step_by(ROWS) {
            let rows = self.0.part(first..first + ROWS, 0..d_model).data;
            let cosines = (first as u32..).zip(cosines(&rows, vector));
            all.extend(cosines.filter(|(id, _)| !but.contains(id)));
        }
        largest(all, k)
    }
}

/// The cosine of `vector` [D] with each of `rows` [N,D]; 0 where one of the two has no direction.
///
/// # Panics
/// When `rows` are not whole rows of that width.
pub fn cosines(rows: &[f32], vector: &[f32]) -> Vec<f32> {
    let width = vector.len();
    let count = rows.len() / width.max(1);
    assert_eq!(count * width, rows.len(), "rows of {width}");
    let mut dots = vec![0.0; count];
    matmul(
        MatMut::new(&mut dots, count, 1),
        MatRef::new(rows, count, width),
        MatRef::new(vector, width, 1),
        false,
    );
    let own = length(vector);
    for (dot, row) in dots.iter_mut().zip(rows.chunks_exact(width)) {
        *dot /= length(row) * own;
    }
    dots
}

/// ‖x‖, but never 0.
pub fn length(x: &[f32]) -> f32 {
    x.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12)
}

/// The `k` largest of (index, cosine), largest first; of equals the one with the smaller index first.
pub fn largest(mut all: Vec<(u32, f32)>, k: usize) -> Vec<(u32, f32)> {
    let order =
        |a: &(u32, f32), b: &(u32, f32)| -> Ordering { b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)) };
    if k < all.len() {
        all.select_nth_unstable_by(k, order);
        all.truncate(k);
    }
    all.sort_by(order);
    all
}
