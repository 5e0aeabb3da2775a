//! The values inside a block.

macro_rules! block_sites {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// A value inside a block, in the order in which it is computed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum BlockSite {
            $(#[doc = $doc] $variant,)*
        }

        impl BlockSite {
            /// All of them, in order.
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

block_sites! {
    ResidPre = "resid_pre", "The residual stream as the block receives it `[T,D]`.";
    Ln1 = "ln1", "… after the first norm `[T,D]`.";
    QPre = "q_pre", "Queries as the product gives them, where something happens to them before they meet keys `[T,H,E]`.";
    KPre = "k_pre", "Keys likewise `[T,K,E]`.";
    QNorm = "q_norm", "Queries after the norm of each head, where a rotation follows `[T,H,E]`.";
    KNorm = "k_norm", "Keys likewise `[T,K,E]`.";
    Q = "q", "Queries as they enter the dot product `[T,H,E]`.";
    K = "k", "Keys as they enter the dot product `[T,K,E]`.";
    V = "v", "Values `[T,K,E]`.";
    Scores = "scores", "q·k/√E, with a bias by distance where a model has one, masked with −∞ `[H,T,S]`.";
    Pattern = "pattern", "softmax of the scores over the keys `[H,T,S]`.";
    Z = "z", "Values weighted by the pattern and summed, per head `[T,H,E]`.";
    AttnOut = "attn_out", "What attention adds to the residual stream `[T,D]`.";
    ResidMid = "resid_mid", "The residual stream behind attention `[T,D]`.";
    LnCross = "ln_cross", "The norm of cross-attention `[T,D]`: before it, of `resid_mid`, or behind it, of `resid_cross`.";
    CrossQ = "cross_q", "Queries of the target to the source `[T,H,E]`.";
    CrossK = "cross_k", "Keys of the source, S positions that the encoder has read `[S,K,E]`.";
    CrossV = "cross_v", "Values of the source `[S,K,E]`.";
    CrossScores = "cross_scores", "cross_q·cross_k/√E: a row for each position of the target, a column for each of the source `[H,T,S]`.";
    CrossPattern = "cross_pattern", "softmax of them over the source `[H,T,S]`.";
    CrossZ = "cross_z", "Values of the source weighted by the pattern and summed, per head `[T,H,E]`.";
    CrossOut = "cross_out", "What cross-attention adds to the residual stream `[T,D]`.";
    ResidCross = "resid_cross", "The residual stream behind cross-attention `[T,D]`.";
    Ln2 = "ln2", "… after the second norm `[T,D]`.";
    MlpPre = "mlp_pre", "Each neuron before its activation function; of a gated MLP, each gate `[T,F]`.";
    MlpUp = "mlp_up", "What the gates of a gated MLP let through `[T,F]`.";
    MlpPost = "mlp_post", "Each neuron after its activation function and gate: what is multiplied with W_down `[T,F]`.";
    MlpOut = "mlp_out", "What the MLP adds to the residual stream `[T,D]`.";
    ResidPost = "resid_post", "The residual stream as the block leaves it `[T,D]`.";
}

impl BlockSite {
    /// Whether it is a value of cross-attention.
    pub fn is_cross(self) -> bool {
        (Self::LnCross..=Self::ResidCross).contains(&self)
    }

    /// Whether its rows are those of the source.
    pub fn is_of_source(self) -> bool {
        matches!(self, Self::CrossK | Self::CrossV)
    }

    /// Whether it has a row for each query and a column for each key.
    pub fn is_plane(self) -> bool {
        matches!(
            self,
            Self::Scores | Self::Pattern | Self::CrossScores | Self::CrossPattern
        )
    }
}
