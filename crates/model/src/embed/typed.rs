//! The embedding of encoders that read one text or two.

use super::{EmbedRows, LearnedPositions};
use crate::block::Norm;
use crate::{ParamId, Pass, Site, Value};

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
        let axes = [self.places.d_model];
        if let Some(table) = self.types {
            let ids = pass.token_types();
            if pass.watched(Site::TokenTypes) {
                let shown: Vec<f32> = ids.iter().map(|&id| id as f32).collect();
                pass.tap_data(Site::TokenTypes, &shown);
            }
            let rows = EmbedRows::new(table, self.places.d_model, ids);
            let mut types = pass.apply(rows, []);
            pass.tap(Site::TypeEmbed, &mut types, &axes);
            x = pass.add(&x, &types);
        }
        pass.tap(Site::EmbedSum, &mut x, &axes);
        pass.apply(self.norm, [&x])
    }

    /// The sites that it shows.
    pub(crate) fn sites(&self) -> Vec<Site> {
        use Site::{Embed, EmbedSum, PosEmbed, TokenTypes, Tokens, TypeEmbed};
        match self.types {
            Some(_) => vec![Tokens, TokenTypes, Embed, PosEmbed, TypeEmbed, EmbedSum],
            None => vec![Tokens, Embed, PosEmbed, EmbedSum],
        }
    }
}
