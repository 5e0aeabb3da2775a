//! The embedding of encoders that read one text or two.

use super::{EmbedRows, LearnedPositions};
use crate::block::Norm;
use crate::{ParamId, Pass, Value};

/// x[t] = norm(W_E[id[t]] + W_pos[t] + W_type[type[t]]) (Devlin et al. 2019, §3 and fig. 2).
#[derive(Clone, Copy, Debug)]
pub struct TypedEmbed {
    /// W_E and W_pos.
    pub places: LearnedPositions,
    /// W_type [·,D]: one row for the first text, one for the second.
    pub types: Option<ParamId>,
    /// Behind the sum.
    pub norm: Norm,
}

impl TypedEmbed {
    /// `ids [B·T]` to the first residual stream `[B·T, D]`.
    pub fn forward(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Value {
        let mut x = self.places.forward(pass, ids);
        if let Some(table) = self.types {
            let rows = EmbedRows::new(table, self.places.d_model, pass.token_types());
            let types = pass.apply(rows, []);
            x = pass.add(&x, &types);
        }
        pass.apply(self.norm, [&x])
    }
}
