//! Stage 2: ids to vectors.

mod rows;
mod sinusoids;
mod stack;
mod typed;

pub use rows::EmbedRows;
pub use sinusoids::Sinusoids;
pub use stack::{Positions, StackEmbed};
pub use typed::TypedEmbed;

use glassformer_tensor::Ids;

use crate::block::Scaled;
use crate::{ParamId, Pass, Site, Value};

/// Token embedding plus learned positions: x[t] = W_E[id[t]] + W_pos[first + t] (Radford et al. 2019).
#[derive(Clone, Copy, Debug)]
pub struct LearnedPositions {
    /// W_E [V,D].
    pub tokens: ParamId,
    /// W_pos [first + n_ctx,D].
    pub positions: ParamId,
    /// The row of the first position: those before it stand for something else.
    pub first: usize,
    /// D.
    pub d_model: usize,
}

impl LearnedPositions {
    /// `ids [B·T]` to the first residual stream `[B·T, D]`.
    pub fn forward(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Value {
        let embed = TokenEmbed {
            tokens: self.tokens,
            d_model: self.d_model,
            scale: None,
        };
        let embed = embed.forward(pass, ids);
        let places = learned_positions(pass, self.positions, self.first, self.d_model);
        pass.add(&embed, &places)
    }
}

/// The rows of a table `[first + n_ctx,D]` that belong to the positions of a pass: `[B·T, D]`.
fn learned_positions(pass: &mut Pass<'_>, table: ParamId, first: usize, d_model: usize) -> Value {
    let mut rows = pass.places();
    if first > 0 {
        let moved = rows.iter().map(|place| place + first as u32);
        rows = Ids::new(pass.run().buffers, moved);
    }
    let positions = EmbedRows::new(table, d_model, rows);
    let mut pos_embed = pass.apply(positions, []);
    pass.tap(Site::PosEmbed, &mut pos_embed, &[d_model]);
    pos_embed
}

/// Token embedding alone: x[t] = c·W_E[id[t]]; positions enter later.
#[derive(Clone, Copy, Debug)]
pub struct TokenEmbed {
    /// W_E [V,D].
    pub tokens: ParamId,
    /// D.
    pub d_model: usize,
    /// c, where it is not 1.
    pub scale: Option<f32>,
}

impl TokenEmbed {
    /// `ids [B·T]` to their rows `[B·T, D]`.
    pub fn forward(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Value {
        assert_eq!(ids.len(), pass.rows(), "ids for each position");
        if pass.watched(Site::Tokens) {
            let ids: Vec<f32> = ids.iter().map(|&id| id as f32).collect();
            pass.tap_data(Site::Tokens, &ids);
        }
        let tokens = Ids::new(pass.run().buffers, ids.iter().copied());
        let mut embed = pass.apply(EmbedRows::new(self.tokens, self.d_model, tokens), []);
        if let Some(scale) = self.scale {
            embed = pass.apply(Scaled(scale), [&embed]);
        }
        pass.tap(Site::Embed, &mut embed, &[self.d_model]);
        embed
    }
}
