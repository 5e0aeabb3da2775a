//! Positions as waves (Vaswani et al. 2017, §3.5).
//!
//! P[t,i] = sin(t/10000^(2i/D)) for the first half of the columns, P[t,D/2 + i] = cos of the same angle for the second. The
//! paper has sines and cosines side by side: the same columns in another order, of which W_E, being learned, knows nothing.
//! Checkpoints of Marian have this one.

use std::fmt;
use std::sync::{Arc, OnceLock};

use glassformer_tensor::Tensor;

use crate::{Pass, Site, Value};

/// Positions whose rows are computed together when the first of them is met.
const CHUNK: usize = 64;

/// The rows of all positions; cloning shares them.
#[derive(Clone)]
pub struct Sinusoids(Arc<Table>);

struct Table {
    d_model: usize,
    /// [CHUNK,D] for each chunk of the context.
    chunks: Vec<OnceLock<Box<[f32]>>>,
}

impl Sinusoids {
    /// D numbers for each of `n_ctx` positions.
    pub fn new(d_model: usize, n_ctx: usize) -> Self {
        let chunks = (0..n_ctx.div_ceil(CHUNK)).map(|_| OnceLock::new());
        Self(Arc::new(Table {
            d_model,
            chunks: chunks.collect(),
        }))
    }

    /// The row of a position `[D]`.
    pub fn row(&self, position: usize) -> &[f32] {
        let Table { d_model, chunks } = &*self.0;
        let rows = chunks[position / CHUNK].get_or_init(|| {
            let first = position / CHUNK * CHUNK;
            let rows = (first..first + CHUNK).flat_map(|t| waves(t, *d_model));
            rows.collect()
        });
        &rows[position % CHUNK * d_model..][..*d_model]
    }

    /// The rows of the positions of a pass `[ΣT,D]`.
    pub(crate) fn forward(&self, pass: &mut Pass<'_>) -> Value {
        let (run, places, d_model) = (pass.run(), pass.places(), self.0.d_model);
        let mut rows: Tensor = run.tensor(&[places.len(), d_model]);
        for (row, &place) in rows.data_mut().chunks_exact_mut(d_model).zip(places.iter()) {
            row.copy_from_slice(self.row(place as usize));
        }
        let mut rows = pass.constant(rows);
        pass.tap(Site::PosEmbed, &mut rows, &[d_model]);
        rows
    }
}

impl fmt::Debug for Sinusoids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sinusoids({} wide)", self.0.d_model)
    }
}

/// The row of position `t`.
fn waves(t: usize, d_model: usize) -> impl Iterator<Item = f32> {
    let angle = move |i: usize| t as f64 / 10_000_f64.powf((2 * i) as f64 / d_model as f64);
    // Of an odd number of columns one more is a sine.
    let sines = (0..d_model.div_ceil(2)).map(move |i| angle(i).sin() as f32);
    sines.chain((0..d_model / 2).map(move |i| angle(i).cos() as f32))
}
