//! The name of every intermediate value: the one vocabulary of code, golden files, traces, page and docs.

mod block;
mod stack;

use std::fmt;
use std::str::FromStr;

pub use block::BlockSite;
pub use stack::{Stack, StackSite};

use crate::Dimensions;

/// A place in the forward pass. Shapes: T positions, D d_model, H heads, K key/value heads, E d_head,
/// F d_ff, V vocab. A network shows those that it has ([`crate::Network::sites`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// The token ids `[T]`.
    Tokens,
    /// Which of two texts each token belongs to, 0 or 1, in models that are told `[T]`.
    TokenTypes,
    /// Each token's row of W_E, times √D in models that scale it `[T,D]`.
    Embed,
    /// Each position's row of W_pos, in models that have such a table or compute one `[T,D]`.
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
    /// A value inside one of the stacks of an encoder–decoder.
    Stack {
        /// Which one.
        stack: Stack,
        /// Which value.
        site: StackSite,
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
        self.shape_across(dimensions, [positions; 2])
    }

    /// As [`Site::shape`], in a stack of these `dimensions` that reads `positions` tokens of its own, and in cross-attention
    /// `sources` of a source.
    pub fn shape_across(
        self,
        dimensions: &Dimensions,
        [positions, sources]: [usize; 2],
    ) -> Vec<usize> {
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
        match self.alone().1 {
            Self::Tokens | Self::TokenTypes => vec![t],
            Self::Logits | Self::Probs => vec![t, vocab],
            Self::Block { site, .. } => match site {
                BlockSite::QPre
                | BlockSite::QNorm
                | BlockSite::Q
                | BlockSite::Z
                | BlockSite::CrossQ
                | BlockSite::CrossZ => vec![t, n_heads, d_head],
                BlockSite::KPre | BlockSite::KNorm | BlockSite::K | BlockSite::V => {
                    vec![t, n_kv_heads, d_head]
                }
                BlockSite::CrossK | BlockSite::CrossV => vec![sources, n_kv_heads, d_head],
                BlockSite::Scores | BlockSite::Pattern => vec![n_heads, t, t],
                BlockSite::CrossScores | BlockSite::CrossPattern => vec![n_heads, t, sources],
                BlockSite::MlpPre | BlockSite::MlpUp | BlockSite::MlpPost => vec![t, d_ff],
                _ => vec![t, d_model],
            },
            _ => vec![t, d_model],
        }
    }

    /// The whole vocabulary for a network of one stack of `n_layers` blocks. What one network has of it:
    /// [`crate::Network::sites`].
    pub fn all(n_layers: usize) -> Vec<Self> {
        let sites = || BlockSite::ALL.iter().filter(|site| !site.is_cross());
        let blocks =
            (0..n_layers).flat_map(|layer| sites().map(move |&site| Self::block(layer, site)));
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
            Self::Stack { stack, site } => write!(f, "{stack}.{}", site.alone()),
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
        if let Some((stack, rest)) = text.split_once('.')
            && let Some(stack) = Stack::ALL.into_iter().find(|own| own.name() == stack)
        {
            let site = rest.parse::<Self>().map_err(|_| unknown())?;
            let within = site.within(stack);
            return if within == site {
                Err(unknown())
            } else {
                Ok(within)
            };
        }
        let (layer, name) = text
            .strip_prefix("blocks.")
            .and_then(|rest| rest.split_once('.'))
            .ok_or_else(unknown)?;
        let layer = layer.parse().map_err(|_| unknown())?;
        let mut sites = BlockSite::ALL.iter();
        let site = sites.find(|site| site.name() == name);
        Ok(Self::block(layer, *site.ok_or_else(unknown)?))
    }
}

#[cfg(test)]
mod tests {
    use super::{BlockSite, Site, Stack};

    #[test]
    fn names_round_trip() {
        let cross = BlockSite::ALL.iter().map(|&site| Site::block(1, site));
        for site in Site::all(3).into_iter().chain(cross) {
            assert_eq!(site.to_string().parse(), Ok(site));
            for stack in Stack::ALL {
                let within = site.within(stack);
                assert_eq!(within.to_string().parse(), Ok(within));
                assert!(within == site || within.alone() == (Some(stack), site));
            }
        }
        let name = Site::block(2, BlockSite::CrossPattern).within(Stack::Decoder);
        assert_eq!(name.to_string(), "decoder.blocks.2.cross_pattern");
        for wrong in [
            "",
            "blocks",
            "blocks.0",
            "blocks.x.q",
            "blocks.-1.q",
            "blocks.0.nope",
            "embed ",
            "encoder",
            "encoder.",
            "decoder.logits",
            "encoder.decoder.embed",
            "blocks.0.encoder.q",
        ] {
            assert!(wrong.parse::<Site>().is_err(), "{wrong:?}");
        }
    }
}
