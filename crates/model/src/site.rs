//! The name of every intermediate value: the one vocabulary of code, golden files, traces, page and docs.

use std::fmt;
use std::str::FromStr;

use crate::Dimensions;

/// A place in the forward pass. Shapes: T positions, D d_model, H heads, K key/value heads, E d_head,
/// F d_ff, V vocab. A network shows those that it has ([`crate::Network::sites`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// The token ids `[T]`.
    Tokens,
    /// Which of two texts each token belongs to, 0 or 1, in models that are told `[T]`.
    TokenTypes,
    /// Each token's row of W_E `[T,D]`.
    Embed,
    /// Each position's row of W_pos, in models that have such a table `[T,D]`.
    PosEmbed,
    /// Each token type's row of W_type `[T,D]`.
    TypeEmbed,
    /// What is embedded, added up, where a norm follows `[T,D]`.
    EmbedSum,
    /// A value inside block `layer`.
    Block {
        /// Which block, from 0.
        layer: usize,
        /// Which value.
        site: BlockSite,
    },
    /// What a head that fills gaps makes of the last residual, before its activation function `[T,D]`.
    UnembedPre,
    /// … after it `[T,D]`.
    UnembedPost,
    /// The last vectors after the final norm `[T,D]`.
    LnFinal,
    /// Unnormalised log-probabilities of the next token `[T,V]`.
    Logits,
    /// softmax of the logits `[T,V]`.
    Probs,
}

/// A value inside a block, in the order in which it is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlockSite {
    /// The residual stream as the block receives it `[T,D]`.
    ResidPre,
    /// … after the first norm `[T,D]`.
    Ln1,
    /// Queries as the product gives them, where something happens to them before they meet keys `[T,H,E]`.
    QPre,
    /// Keys likewise `[T,K,E]`.
    KPre,
    /// Queries after the norm of each head, where a rotation follows `[T,H,E]`.
    QNorm,
    /// Keys likewise `[T,K,E]`.
    KNorm,
    /// Queries as they enter the dot product `[T,H,E]`.
    Q,
    /// Keys as they enter the dot product `[T,K,E]`.
    K,
    /// Values `[T,K,E]`.
    V,
    /// q·k/√E, masked with −∞ `[H,T,S]`.
    Scores,
    /// softmax of the scores over the keys `[H,T,S]`.
    Pattern,
    /// Values weighted by the pattern and summed, per head `[T,H,E]`.
    Z,
    /// What attention adds to the residual stream `[T,D]`.
    AttnOut,
    /// The residual stream between attention and MLP `[T,D]`.
    ResidMid,
    /// … after the second norm `[T,D]`.
    Ln2,
    /// Each neuron before its activation function; of a gated MLP, each gate `[T,F]`.
    MlpPre,
    /// What the gates of a gated MLP let through `[T,F]`.
    MlpUp,
    /// Each neuron after its activation function and gate: what is multiplied with W_down `[T,F]`.
    MlpPost,
    /// What the MLP adds to the residual stream `[T,D]`.
    MlpOut,
    /// The residual stream as the block leaves it `[T,D]`.
    ResidPost,
}

impl BlockSite {
    /// All of them, in order.
    pub const ALL: [Self; 20] = [
        Self::ResidPre,
        Self::Ln1,
        Self::QPre,
        Self::KPre,
        Self::QNorm,
        Self::KNorm,
        Self::Q,
        Self::K,
        Self::V,
        Self::Scores,
        Self::Pattern,
        Self::Z,
        Self::AttnOut,
        Self::ResidMid,
        Self::Ln2,
        Self::MlpPre,
        Self::MlpUp,
        Self::MlpPost,
        Self::MlpOut,
        Self::ResidPost,
    ];

    /// Its name after `blocks.{l}.`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResidPre => "resid_pre",
            Self::Ln1 => "ln1",
            Self::QPre => "q_pre",
            Self::KPre => "k_pre",
            Self::QNorm => "q_norm",
            Self::KNorm => "k_norm",
            Self::Q => "q",
            Self::K => "k",
            Self::V => "v",
            Self::Scores => "scores",
            Self::Pattern => "pattern",
            Self::Z => "z",
            Self::AttnOut => "attn_out",
            Self::ResidMid => "resid_mid",
            Self::Ln2 => "ln2",
            Self::MlpPre => "mlp_pre",
            Self::MlpUp => "mlp_up",
            Self::MlpPost => "mlp_post",
            Self::MlpOut => "mlp_out",
            Self::ResidPost => "resid_post",
        }
    }
}

impl Site {
    /// Those that stand outside of blocks: before the first …
    const BEFORE: [Self; 6] = [
        Self::Tokens,
        Self::TokenTypes,
        Self::Embed,
        Self::PosEmbed,
        Self::TypeEmbed,
        Self::EmbedSum,
    ];

    /// … and after the last.
    const AFTER: [Self; 5] = [
        Self::UnembedPre,
        Self::UnembedPost,
        Self::LnFinal,
        Self::Logits,
        Self::Probs,
    ];

    /// A value inside block `layer`.
    pub fn block(layer: usize, site: BlockSite) -> Self {
        Self::Block { layer, site }
    }

    /// The shape of its value for one sequence of `positions` tokens, all of them new.
    pub fn shape(self, dimensions: &Dimensions, positions: usize) -> Vec<usize> {
        let Dimensions {
            n_heads,
            n_kv_heads,
            d_model,
            d_head,
            d_ff,
            vocab,
            ..
        } = *dimensions;
        let t = positions;
        match self {
            Self::Tokens | Self::TokenTypes => vec![t],
            Self::Logits | Self::Probs => vec![t, vocab],
            Self::Block { site, .. } => match site {
                BlockSite::QPre | BlockSite::QNorm | BlockSite::Q | BlockSite::Z => {
                    vec![t, n_heads, d_head]
                }
                BlockSite::KPre | BlockSite::KNorm | BlockSite::K | BlockSite::V => {
                    vec![t, n_kv_heads, d_head]
                }
                BlockSite::Scores | BlockSite::Pattern => vec![n_heads, t, t],
                BlockSite::MlpPre | BlockSite::MlpUp | BlockSite::MlpPost => vec![t, d_ff],
                _ => vec![t, d_model],
            },
            _ => vec![t, d_model],
        }
    }

    /// The whole vocabulary for a network of `n_layers` blocks. What one network has of it: [`crate::Network::sites`].
    pub fn all(n_layers: usize) -> Vec<Self> {
        let blocks =
            (0..n_layers).flat_map(|layer| BlockSite::ALL.map(|site| Self::block(layer, site)));
        Self::BEFORE
            .into_iter()
            .chain(blocks)
            .chain(Self::AFTER)
            .collect()
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokens => f.write_str("tokens"),
            Self::TokenTypes => f.write_str("token_types"),
            Self::Embed => f.write_str("embed"),
            Self::PosEmbed => f.write_str("pos_embed"),
            Self::TypeEmbed => f.write_str("type_embed"),
            Self::EmbedSum => f.write_str("embed_sum"),
            Self::Block { layer, site } => write!(f, "blocks.{layer}.{}", site.name()),
            Self::UnembedPre => f.write_str("unembed_pre"),
            Self::UnembedPost => f.write_str("unembed_post"),
            Self::LnFinal => f.write_str("ln_final"),
            Self::Logits => f.write_str("logits"),
            Self::Probs => f.write_str("probs"),
        }
    }
}

impl FromStr for Site {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "{text:?} is not a site; sites look like embed, blocks.0.pattern, ln_final, logits"
            )
        };
        let mut plain = Self::BEFORE.into_iter().chain(Self::AFTER);
        if let Some(site) = plain.find(|site| site.to_string() == text) {
            return Ok(site);
        }
        let (layer, name) = text
            .strip_prefix("blocks.")
            .and_then(|rest| rest.split_once('.'))
            .ok_or_else(unknown)?;
        let layer = layer.parse().map_err(|_| unknown())?;
        let site = BlockSite::ALL
            .into_iter()
            .find(|site| site.name() == name)
            .ok_or_else(unknown)?;
        Ok(Self::block(layer, site))
    }
}

#[cfg(test)]
mod tests {
    use super::Site;

    #[test]
    fn names_round_trip() {
        for site in Site::all(3) {
            assert_eq!(site.to_string().parse(), Ok(site));
        }
        for wrong in [
            "",
            "blocks",
            "blocks.0",
            "blocks.x.q",
            "blocks.-1.q",
            "blocks.0.nope",
            "embed ",
        ] {
            assert!(wrong.parse::<Site>().is_err(), "{wrong:?}");
        }
    }
}
