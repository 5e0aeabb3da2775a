//! The adapter added to the weights, once: W ← W + (α/r)·A·B.

use glassformer_kernels::matmul::matmul;
use glassformer_kernels::matrix::{MatMut, MatRef};
use glassformer_tensor::Pool;

use super::AdapterError;
use crate::block::{Linear, LowRank, Storage};
use crate::{Model, Parameters};

/// Rows of W that a thread takes at a time.
const ROWS: usize = 16;

impl Model {
    /// Adds the adapter to the weights and drops it: the same function, with nothing beside it. Without an adapter nothing
    /// changes. Errors: the model is not in memory.
    pub fn merge(&mut self, pool: &Pool) -> Result<(), AdapterError> {
        if !self.parameters.are_in_memory() {
            return Err(AdapterError::NotInMemory);
        }
        let Some(adapter) = self.parameters.set_adapter(None) else {
            return Ok(());
        };
        self.packed = None;
        for linear in self.network.linears() {
            for part in adapter
                .parts(&linear)
                .into_iter()
                .flat_map(|parts| parts.iter())
            {
                add(
                    pool,
                    &mut self.parameters,
                    &adapter.parameters,
                    linear,
                    part,
                );
            }
        }
        Ok(())
    }
}

/// W[:, first..] += (α/r)·A·B.
fn add(pool: &Pool, base: &mut Parameters, adapter: &Parameters, linear: Linear, part: &LowRank) {
    let (rank, width) = (part.rank(), part.b.d_out);
    let a = MatRef::new(adapter.get(part.a.weight), rank, linear.d_in);
    let scaled: Vec<f32> = adapter
        .get(part.b.weight)
        .iter()
        .map(|b| b * part.scale)
        .collect();
    let b = MatRef::new(&scaled, width, rank);
    let w = base.get_mut(linear.weight);
    match linear.storage {
        // Rows are outputs: (A·B)ᵀ = Bᵀ·Aᵀ as the two are stored.
        Storage::OutIn => {
            let rows = &mut w[part.first * linear.d_in..][..width * linear.d_in];
            pool.chunks(rows, ROWS * linear.d_in, |i, rows| {
                let count = rows.len() / linear.d_in;
                let b = b.rows(i * ROWS, i * ROWS + count);
                matmul(MatMut::new(rows, count, linear.d_in), b, a, true);
            });
        }
        Storage::InOut => pool.chunks(w, ROWS * linear.d_out, |i, rows| {
            let count = rows.len() / linear.d_out;
            let a = a.t().rows(i * ROWS, i * ROWS + count);
            let out = MatMut::strided(&mut rows[part.first..], count, width, linear.d_out);
            matmul(out, a, b.t(), true);
        }),
    }
}
