//! What the config of a family of encoder–decoders comes to.

use crate::block::mlp::Activation;
use crate::{Dimensions, Marks, Stack};

/// The parts of a network of two stacks.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what a family has or has not"
)]
pub(in crate::families) struct Plan {
    /// `model_type`.
    pub(in crate::families) family: &'static str,
    /// D.
    pub(in crate::families) d_model: usize,
    /// E, the same in both stacks unless it follows from D and H.
    pub(in crate::families) d_head: Option<usize>,
    /// V, of the source.
    pub(in crate::families) source_vocab: usize,
    /// V, of the target.
    pub(in crate::families) vocab: usize,
    /// Longest source, and longest target.
    pub(in crate::families) n_ctx: usize,
    /// Encoder and decoder.
    pub(in crate::families) stacks: [StackPlan; 2],
    pub(in crate::families) activation: Activation,
    /// Whether what goes through an MLP is multiplied by a gate.
    pub(in crate::families) gated: bool,
    pub(in crate::families) norm: NormKind,
    /// Whether linear layers of blocks have biases.
    pub(in crate::families) biases: bool,
    /// Whether products of queries and keys are divided by √E.
    pub(in crate::families) scaled_scores: bool,
    /// The bias of scores by distance.
    pub(in crate::families) relative: Option<Relative>,
    pub(in crate::families) places: Places,
    pub(in crate::families) tables: Tables,
    /// By what rows of W_E are multiplied.
    pub(in crate::families) embed_scale: Option<f32>,
    /// Whether a norm stands behind the embedding.
    pub(in crate::families) embed_norm: bool,
    /// Whether a norm stands behind each stack.
    pub(in crate::families) final_norm: bool,
    /// By what vectors are multiplied before the unembedding.
    pub(in crate::families) output_scale: Option<f32>,
    /// Whether logits have a bias.
    pub(in crate::families) output_bias: bool,
    pub(in crate::families) marks: Marks,
    /// From a parameter's name in BART's checkpoints to its name in the family's.
    pub(in crate::families) name: fn(&str) -> String,
    /// `config.json`.
    pub(in crate::families) config: String,
}

/// The sizes that a stack has for itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::families) struct StackPlan {
    /// L.
    pub(in crate::families) n_layers: usize,
    /// H.
    pub(in crate::families) n_heads: usize,
    /// F.
    pub(in crate::families) d_ff: usize,
}

/// Which norm, and its ε.
#[derive(Clone, Copy, Debug)]
pub(in crate::families) enum NormKind {
    /// Of mean and variance.
    Layer(f32),
    /// Of the root mean square.
    Rms(f32),
}

impl NormKind {
    pub(super) fn eps(self) -> f32 {
        match self {
            Self::Layer(eps) | Self::Rms(eps) => eps,
        }
    }
}

/// T5's bias of scores.
#[derive(Clone, Copy, Debug)]
pub(in crate::families) struct Relative {
    pub(in crate::families) buckets: usize,
    pub(in crate::families) farthest: usize,
}

/// Where a stack's positions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::families) enum Places {
    /// Not from its embedding.
    None,
    /// Rows of a table, from this one on.
    Learned(usize),
    /// Waves.
    Sinusoidal,
}

/// Which tables of tokens there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::families) enum Tables {
    /// One for the source, the target and the unembedding.
    One,
    /// One for the source and the target, and one of the unembedding's own.
    OutputApart,
    /// One for the source, and one for the target and the unembedding.
    SourceApart,
}

impl Plan {
    /// The sizes of a stack.
    pub(super) fn dimensions(&self, stack: Stack) -> Dimensions {
        let StackPlan {
            n_layers,
            n_heads,
            d_ff,
        } = self.stacks[stack as usize];
        Dimensions {
            n_layers,
            n_heads,
            n_kv_heads: n_heads,
            d_model: self.d_model,
            d_head: self.d_head.unwrap_or(self.d_model / n_heads.max(1)),
            d_ff,
            n_ctx: self.n_ctx,
            vocab: match stack {
                Stack::Encoder => self.source_vocab,
                Stack::Decoder => self.vocab,
            },
        }
    }

    /// Facts for people.
    pub(super) fn facts(&self, is_post_norm: bool) -> Vec<(&'static str, String)> {
        let [encoder, decoder] = self.stacks;
        let kind = match self.norm {
            NormKind::Layer(_) => "LayerNorm with bias",
            NormKind::Rms(_) => "RMSNorm",
        };
        let place = if is_post_norm { "behind" } else { "before" };
        let positions = match (self.places, self.relative) {
            (Places::Learned(_), _) => "learned",
            (Places::Sinusoidal, _) => "waves",
            (Places::None, Some(_)) => "a bias of scores by distance",
            (Places::None, None) => "none",
        };
        let tables = match self.tables {
            Tables::One => "tied to the embedding, which source and target share",
            Tables::OutputApart => "a matrix of its own; source and target share an embedding",
            Tables::SourceApart => "tied to the target's embedding; the source has its own",
        };
        let gated = if self.gated { "gated, " } else { "" };
        vec![
            (
                "reads",
                "a source, and writes a target: an encoder–decoder".to_owned(),
            ),
            ("encoder", format!("{} blocks", encoder.n_layers)),
            (
                "decoder",
                format!("{} blocks with cross-attention", decoder.n_layers),
            ),
            ("activation", format!("{gated}{}", self.activation.name())),
            ("norm", format!("{kind}, {place} each part")),
            ("positions", positions.to_owned()),
            ("unembedding", tables.to_owned()),
            ("norm_eps", self.norm.eps().to_string()),
        ]
    }
}
