//! The values inside one of the two stacks of an encoder–decoder.

use std::fmt;

use super::{BlockSite, Site};

/// One of the two stacks of an encoder–decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stack {
    /// Reads the source.
    Encoder,
    /// Writes the target.
    Decoder,
}

impl Stack {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::Encoder, Self::Decoder];

    /// What stands before the dot in names of sites.
    pub fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
        }
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value that each of two stacks has; it is what the [`Site`] of the same name is in a network of one stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StackSite {
    /// [`Site::Tokens`] of the source or of the target.
    Tokens,
    /// [`Site::Embed`].
    Embed,
    /// [`Site::PosEmbed`].
    PosEmbed,
    /// [`Site::EmbedSum`].
    EmbedSum,
    /// [`Site::Block`].
    Block {
        /// Which block of the stack, from 0.
        layer: usize,
        /// Which value.
        site: BlockSite,
    },
    /// [`Site::LnFinal`].
    LnFinal,
}

impl StackSite {
    /// Its name in a network of one stack.
    pub fn alone(self) -> Site {
        match self {
            Self::Tokens => Site::Tokens,
            Self::Embed => Site::Embed,
            Self::PosEmbed => Site::PosEmbed,
            Self::EmbedSum => Site::EmbedSum,
            Self::Block { layer, site } => Site::Block { layer, site },
            Self::LnFinal => Site::LnFinal,
        }
    }
}

impl Site {
    /// The name of this value in a stack of an encoder–decoder; logits and probabilities keep theirs.
    #[must_use]
    pub fn within(self, stack: Stack) -> Self {
        let site = match self {
            Self::Tokens => StackSite::Tokens,
            Self::Embed => StackSite::Embed,
            Self::PosEmbed => StackSite::PosEmbed,
            Self::EmbedSum => StackSite::EmbedSum,
            Self::Block { layer, site } => StackSite::Block { layer, site },
            Self::LnFinal => StackSite::LnFinal,
            other => return other,
        };
        Self::Stack { stack, site }
    }

    /// The stack that it belongs to, of an encoder–decoder, and its name in a network of one stack.
    pub fn alone(self) -> (Option<Stack>, Self) {
        match self {
            Self::Stack { stack, site } => (Some(stack), site.alone()),
            site => (None, site),
        }
    }
}
