//! Names of the parameters in the field's terms, the same for every family, for the page and for provenance.

use std::fmt;
use std::str::FromStr;

use crate::ParamId;

/// A parameter by what it does. Matrices are [in, out].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WeightName {
    /// `W_E [V,D]`.
    Embed,
    /// `W_pos [n_ctx,D]`.
    PosEmbed,
    /// `W_type [·,D]`.
    TypeEmbed,
    /// `ln_embed.w [D]`.
    LnEmbedGain,
    /// `ln_embed.b [D]`.
    LnEmbedBias,
    /// A parameter of block `layer`.
    Block {
        /// Which block, from 0.
        layer: usize,
        /// Which parameter.
        weight: BlockWeight,
    },
    /// `unembed.W [D,D]`, in a head that fills gaps.
    Transform,
    /// `unembed.b [D]`.
    TransformBias,
    /// `ln_final.w [D]`.
    LnFinalGain,
    /// `ln_final.b [D]`.
    LnFinalBias,
    /// `W_U [D,V]`.
    Unembed,
    /// `b_U [V]`.
    UnembedBias,
}

macro_rules! block_weights {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// A parameter inside a block.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum BlockWeight {
            $(#[doc = $doc] $variant,)*
        }

        impl BlockWeight {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name after `blocks.{l}.`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

block_weights! {
    Ln1Gain = "ln1.w", "`[D]`";
    Ln1Bias = "ln1.b", "`[D]`";
    Query = "attn.W_Q", "`[D,H·E]`, head h in columns h·E..(h+1)·E";
    QueryBias = "attn.b_Q", "`[H·E]`";
    Key = "attn.W_K", "`[D,K·E]`";
    KeyBias = "attn.b_K", "`[K·E]`";
    Value = "attn.W_V", "`[D,K·E]`";
    ValueBias = "attn.b_V", "`[K·E]`";
    Out = "attn.W_O", "`[H·E,D]`, head h in rows h·E..(h+1)·E";
    OutBias = "attn.b_O", "`[D]`";
    Ln2Gain = "ln2.w", "`[D]`";
    Ln2Bias = "ln2.b", "`[D]`";
    QueryGain = "attn.q_norm.w", "`[E]`, the same for all heads";
    KeyGain = "attn.k_norm.w", "`[E]`, the same for all heads";
    Gate = "mlp.W_gate", "`[D,F]`";
    GateBias = "mlp.b_gate", "`[F]`";
    Up = "mlp.W_up", "`[D,F]`";
    UpBias = "mlp.b_up", "`[F]`";
    Down = "mlp.W_down", "`[F,D]`";
    DownBias = "mlp.b_down", "`[D]`";
}

impl WeightName {
    /// Those outside of blocks.
    const PLAIN: [(Self, &str); 11] = [
        (Self::Embed, "W_E"),
        (Self::PosEmbed, "W_pos"),
        (Self::TypeEmbed, "W_type"),
        (Self::LnEmbedGain, "ln_embed.w"),
        (Self::LnEmbedBias, "ln_embed.b"),
        (Self::Transform, "unembed.W"),
        (Self::TransformBias, "unembed.b"),
        (Self::LnFinalGain, "ln_final.w"),
        (Self::LnFinalBias, "ln_final.b"),
        (Self::Unembed, "W_U"),
        (Self::UnembedBias, "b_U"),
    ];

    /// All names that a network of `n_layers` blocks may have, in the order of the way through it.
    pub fn all(n_layers: usize) -> impl Iterator<Item = Self> {
        let (before, after) = Self::PLAIN.split_at(5);
        let names = |part: &'static [(Self, &str)]| part.iter().map(|(name, _)| *name);
        let of_block = |layer| {
            let weights = BlockWeight::ALL.iter();
            weights.map(move |&weight| Self::block(layer, weight))
        };
        let blocks = (0..n_layers).flat_map(of_block);
        names(before).chain(blocks).chain(names(after))
    }

    /// A parameter of block `layer`.
    pub fn block(layer: usize, weight: BlockWeight) -> Self {
        Self::Block { layer, weight }
    }
}

impl fmt::Display for WeightName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Block { layer, weight } = self {
            return write!(f, "blocks.{layer}.{}", weight.name());
        }
        let own = Self::PLAIN.iter().find(|(name, _)| name == self);
        f.write_str(own.expect("every name outside of blocks is listed").1)
    }
}

impl FromStr for WeightName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((name, _)) = Self::PLAIN.iter().find(|(_, own)| *own == text) {
            return Ok(*name);
        }
        let in_block = text
            .strip_prefix("blocks.")
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(layer, name)| {
                let weight = BlockWeight::ALL
                    .iter()
                    .copied()
                    .find(|weight| weight.name() == name)?;
                Some(Self::block(layer.parse().ok()?, weight))
            });
        in_block.ok_or_else(|| {
            format!(
                "{text:?} is not a weight; weights look like W_E, blocks.0.attn.W_Q, ln_final.w"
            )
        })
    }
}

/// Where a named parameter lies: element (r, c) is at `offset + r·row_stride + c·col_stride` of `param`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightView {
    /// The parameter it is, or is a part of.
    pub param: ParamId,
    /// First element within the parameter.
    pub offset: usize,
    /// Rows: the input side, or 1 for a vector.
    pub rows: usize,
    /// Columns: the output side.
    pub cols: usize,
    /// From row to row.
    pub row_stride: usize,
    /// From column to column.
    pub col_stride: usize,
}

impl WeightView {
    /// A whole vector parameter.
    pub fn vector(param: ParamId, len: usize) -> Self {
        Self::part(param, 0, 1, len, len)
    }

    /// Columns of a row-major matrix of `width` columns, beginning at column `first`.
    pub fn part(param: ParamId, first: usize, rows: usize, cols: usize, width: usize) -> Self {
        Self {
            param,
            offset: first,
            rows,
            cols,
            row_stride: width,
            col_stride: 1,
        }
    }

    /// Rows and columns exchanged.
    #[must_use]
    pub fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Where element (r, c) lies in the parameter's values.
    pub fn place(&self, r: usize, c: usize) -> usize {
        self.offset + r * self.row_stride + c * self.col_stride
    }
}
