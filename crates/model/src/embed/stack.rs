//! The embedding of a stack of an encoder–decoder.

use super::{Sinusoids, TokenEmbed, learned_positions};
use crate::block::Norm;
use crate::{ParamId, Pass, Site, Value};

/// x[t] = norm(c·W_E[id[t]] + P[t]): the paper has c = √D and waves for P (Vaswani et al. 2017, §3.4 and §3.5).
#[derive(Clone, Debug)]
pub struct StackEmbed {
    /// W_E and c.
    pub tokens: TokenEmbed,
    /// P.
    pub positions: Positions,
    /// Behind the sum, where there is one.
    pub norm: Option<Norm>,
}

/// Where positions come from.
#[derive(Clone, Debug)]
pub enum Positions {
    /// Not from the embedding: they enter later.
    None,
    /// Rows of a table.
    Learned {
        /// W_pos [first + n_ctx,D].
        table: ParamId,
        /// The row of the first position.
        first: usize,
    },
    /// Waves.
    Sinusoidal(Sinusoids),
}

impl StackEmbed {
    /// `ids [ΣT]` to the first residual stream `[ΣT,D]`.
    pub fn forward(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Value {
        let d_model = self.tokens.d_model;
        let mut x = self.tokens.forward(pass, ids);
        let places = match &self.positions {
            Positions::None => None,
            &Positions::Learned { table, first } => {
                Some(learned_positions(pass, table, first, d_model))
            }
            Positions::Sinusoidal(waves) => Some(waves.forward(pass)),
        };
        if let Some(places) = places {
            x = pass.add(&x, &places);
        }
        match self.norm {
            None => x,
            Some(norm) => {
                pass.tap(Site::EmbedSum, &mut x, &[d_model]);
                pass.apply(norm, [&x])
            }
        }
    }

    /// The sites that it shows.
    pub(crate) fn sites(&self) -> impl Iterator<Item = Site> {
        let has_places = !matches!(self.positions, Positions::None);
        let places = has_places.then_some(Site::PosEmbed);
        let sum = self.norm.map(|_| Site::EmbedSum);
        [Site::Tokens, Site::Embed]
            .into_iter()
            .chain(places)
            .chain(sum)
    }
}
