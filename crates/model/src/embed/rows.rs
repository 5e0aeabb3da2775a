//! Picking rows of a table.
//!
//! y[n] = W[id[n]]: W [V,D], ids [N], y [N,D]. Saved: nothing but the ids, which are part of the call.
//! Derivative: dW[id[n]] += dy[n]; ids have none. (Bengio et al. 2003, §2: the shared word features.)

use glassformer_kernels::rows;
use glassformer_tensor::{Ids, Tensor};

use crate::{Backward, Gradients, Layer, ParamId, Run};

/// A table and the rows to pick.
#[derive(Clone, Debug)]
pub struct EmbedRows {
    table: ParamId,
    width: usize,
    ids: Ids,
}

impl EmbedRows {
    /// Rows `ids` of `table [·,width]`. Every id must be a row of the table.
    pub fn new(table: ParamId, width: usize, ids: Ids) -> Self {
        Self { table, width, ids }
    }
}

impl Layer<0> for EmbedRows {
    type Saved = ();

    fn forward(&self, run: Run<'_>, []: [&Tensor; 0]) -> (Tensor, ()) {
        let mut y = run.tensor(&[self.ids.len(), self.width]);
        run.parameters
            .gather(run.pool, y.data_mut(), self.table, &self.ids);
        (y, ())
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, (), 0>,
        gradients: &mut Gradients,
    ) -> [Tensor; 0] {
        if let Some(table) = gradients.get_mut(run.pool, self.table) {
            rows::scatter_add(run.pool, table, call.d_output.data(), &self.ids);
        }
        []
    }
}
