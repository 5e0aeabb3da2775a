//! How the value at each site is made from values at earlier sites and from parameters.

use glassformer_kernels::activation::Activation;
use glassformer_model::{BlockSite, BlockWeight, Network, Site, WeightName};

/// The operation behind a site, with its operands.
pub(crate) enum Recipe {
    /// What the model is given: a token's id, or which text it belongs to.
    Given(Site, &'static str),
    /// A row of a table, and what says which.
    Row(&'static str, WeightName, Picks),
    /// The same element of several sites, added.
    Sum(&'static str, Vec<Site>),
    /// The norm of the last axis of a site, with gain and, unless it divides by the root mean square alone, bias.
    Norm(Site, WeightName, Option<WeightName>),
    /// A row of a site times a column of a matrix, plus a bias where the model has one; each as the formula writes it.
    Linear(Site, &'static str, WeightName, (&'static str, WeightName)),
    /// Pairs of a head's numbers, turned by the angles of their position in this block.
    Rotation(Site, usize),
    /// q·k/√d_head in this block.
    Score(usize),
    /// softmax over the last axis of a site.
    Softmax(&'static str, Site),
    /// The values of this block weighted by its pattern.
    WeightedSum(usize),
    /// A non-linearity on a site.
    Activation(Site, Activation),
    /// A non-linearity on the first site times the second.
    Gate(Site, Site, Activation),
}

/// What says which row of a table is read.
#[derive(Clone, Copy)]
pub(crate) enum Picks {
    /// The value at this site.
    Value(Site),
    /// The position.
    Position,
}

/// The recipe of `site`, one of the network's own.
pub(crate) fn recipe(network: &dyn Network, site: Site) -> Recipe {
    match site {
        Site::Block { layer, site } => Plan { network, layer }.recipe(site),
        _ => outside(network, site),
    }
}

/// Where the residual stream stands behind block `layer`.
pub(crate) fn behind(network: &dyn Network, layer: usize) -> Site {
    let last = if network.is_post_norm() {
        BlockSite::Ln2
    } else {
        BlockSite::ResidPost
    };
    Site::block(layer, last)
}

/// Before the first block and behind the last.
fn outside(network: &dyn Network, site: Site) -> Recipe {
    let last = behind(network, network.dimensions().n_layers - 1);
    let transform = network.unembed().and_then(|head| head.transform);
    match site {
        Site::TokenTypes => Recipe::Given(site, "which of two texts the token belongs to"),
        Site::Embed => Recipe::Row("W_E[id,i]", WeightName::Embed, Picks::Value(Site::Tokens)),
        Site::PosEmbed => Recipe::Row("W_pos[t,i]", WeightName::PosEmbed, Picks::Position),
        Site::TypeEmbed => Recipe::Row(
            "W_type[type,i]",
            WeightName::TypeEmbed,
            Picks::Value(Site::TokenTypes),
        ),
        Site::EmbedSum => embedded(network),
        Site::UnembedPre => {
            let bias = ("b[j]", WeightName::TransformBias);
            Recipe::Linear(last, "W[i,j]", WeightName::Transform, bias)
        }
        Site::UnembedPost => {
            let own = transform.map_or(network.activation(), |transform| transform.activation);
            Recipe::Activation(Site::UnembedPre, own)
        }
        Site::LnFinal => {
            let input = transform.map_or(last, |_| Site::UnembedPost);
            let bias = network.weight(WeightName::LnFinalBias);
            let bias = bias.map(|_| WeightName::LnFinalBias);
            Recipe::Norm(input, WeightName::LnFinalGain, bias)
        }
        Site::Logits => {
            let bias = ("b_U[v]", WeightName::UnembedBias);
            Recipe::Linear(Site::LnFinal, "W_U[i,v]", WeightName::Unembed, bias)
        }
        Site::Probs => {
            let formula = "exp(logits[t,v] − max) / Σ exp(logits[t,·] − max)";
            Recipe::Softmax(formula, Site::Logits)
        }
        Site::Tokens | Site::Block { .. } | Site::Stack { .. } => {
            Recipe::Given(site, "the tokenizer's id")
        }
    }
}

/// The sum of the tables' rows.
fn embedded(network: &dyn Network) -> Recipe {
    let has = |weight| network.weight(weight).is_some();
    let (formula, parts): (_, &[Site]) =
        match [WeightName::PosEmbed, WeightName::TypeEmbed].map(has) {
            [true, true] => (
                "embed[t,i] + pos_embed[t,i] + type_embed[t,i]",
                &[Site::Embed, Site::PosEmbed, Site::TypeEmbed],
            ),
            [true, false] => (
                "embed[t,i] + pos_embed[t,i]",
                &[Site::Embed, Site::PosEmbed],
            ),
            // A model that turns queries and keys instead adds no positions.
            _ => ("embed[t,i]", &[Site::Embed]),
        };
    Recipe::Sum(formula, parts.to_vec())
}

/// One block.
struct Plan<'a> {
    network: &'a dyn Network,
    layer: usize,
}

impl Plan<'_> {
    fn recipe(&self, site: BlockSite) -> Recipe {
        self.attention_half(site)
            .or_else(|| self.mlp_half(site))
            .expect("every site of a block belongs to one of its halves")
    }

    fn at(&self, site: BlockSite) -> Site {
        Site::block(self.layer, site)
    }

    fn linear(
        &self,
        input: BlockSite,
        column: &'static str,
        matrix: BlockWeight,
        bias: (&'static str, BlockWeight),
    ) -> Recipe {
        let name = |weight| WeightName::block(self.layer, weight);
        let bias = (bias.0, name(bias.1));
        Recipe::Linear(self.at(input), column, name(matrix), bias)
    }

    fn norm(&self, input: BlockSite, gain: BlockWeight, bias: Option<BlockWeight>) -> Recipe {
        let name = |weight| WeightName::block(self.layer, weight);
        let bias = bias.map(name);
        let bias = bias.filter(|&name| self.network.weight(name).is_some());
        Recipe::Norm(self.at(input), name(gain), bias)
    }

    /// From the residual stream to what attention adds to it.
    fn attention_half(&self, site: BlockSite) -> Option<Recipe> {
        use BlockWeight as W;
        let is_post_norm = self.network.is_post_norm();
        Some(match site {
            BlockSite::ResidPre => self.entry(),
            BlockSite::Ln1 if is_post_norm => {
                self.norm(BlockSite::ResidMid, W::Ln1Gain, Some(W::Ln1Bias))
            }
            BlockSite::Ln1 => self.norm(BlockSite::ResidPre, W::Ln1Gain, Some(W::Ln1Bias)),
            BlockSite::QPre => self.query(),
            BlockSite::KPre => self.key(),
            BlockSite::QNorm => self.norm(BlockSite::QPre, W::QueryGain, None),
            BlockSite::KNorm => self.norm(BlockSite::KPre, W::KeyGain, None),
            BlockSite::Q => self.met(
                [BlockSite::QPre, BlockSite::QNorm],
                W::QueryGain,
                Self::query,
            ),
            BlockSite::K => self.met([BlockSite::KPre, BlockSite::KNorm], W::KeyGain, Self::key),
            BlockSite::V => {
                self.linear(self.read(), "W_V[i,j]", W::Value, ("b_V[j]", W::ValueBias))
            }
            BlockSite::Scores => Recipe::Score(self.layer),
            BlockSite::Pattern => {
                let formula = "exp(scores[t,s] − max) / Σ exp(scores[t,·] − max)";
                Recipe::Softmax(formula, self.at(BlockSite::Scores))
            }
            BlockSite::Z => Recipe::WeightedSum(self.layer),
            BlockSite::AttnOut => {
                self.linear(BlockSite::Z, "W_O[i,j]", W::Out, ("b_O[j]", W::OutBias))
            }
            BlockSite::ResidMid => {
                let parts = [BlockSite::ResidPre, BlockSite::AttnOut].map(|site| self.at(site));
                Recipe::Sum("resid_pre[t,i] + attn_out[t,i]", parts.to_vec())
            }
            _ => return None,
        })
    }

    /// From there to what the MLP adds to it.
    fn mlp_half(&self, site: BlockSite) -> Option<Recipe> {
        use BlockWeight as W;
        let is_post_norm = self.network.is_post_norm();
        let gate = WeightName::block(self.layer, W::Gate);
        let is_gated = self.network.weight(gate).is_some();
        let input = if is_post_norm {
            BlockSite::Ln1
        } else {
            BlockSite::Ln2
        };
        let up = || self.linear(input, "W_up[i,j]", W::Up, ("b_up[j]", W::UpBias));
        Some(match site {
            BlockSite::Ln2 if is_post_norm => {
                self.norm(BlockSite::ResidPost, W::Ln2Gain, Some(W::Ln2Bias))
            }
            BlockSite::Ln2 => self.norm(BlockSite::ResidMid, W::Ln2Gain, Some(W::Ln2Bias)),
            BlockSite::MlpPre if is_gated => {
                self.linear(input, "W_gate[i,j]", W::Gate, ("b_gate[j]", W::GateBias))
            }
            BlockSite::MlpPre | BlockSite::MlpUp => up(),
            BlockSite::MlpPost => {
                let f = self.network.activation();
                let pre = self.at(BlockSite::MlpPre);
                if is_gated {
                    Recipe::Gate(pre, self.at(BlockSite::MlpUp), f)
                } else {
                    Recipe::Activation(pre, f)
                }
            }
            BlockSite::MlpOut => {
                let bias = ("b_down[j]", W::DownBias);
                self.linear(BlockSite::MlpPost, "W_down[i,j]", W::Down, bias)
            }
            BlockSite::ResidPost if is_post_norm => {
                let parts = [BlockSite::Ln1, BlockSite::MlpOut].map(|site| self.at(site));
                Recipe::Sum("ln1[t,i] + mlp_out[t,i]", parts.to_vec())
            }
            BlockSite::ResidPost => {
                let parts = [BlockSite::ResidMid, BlockSite::MlpOut].map(|site| self.at(site));
                Recipe::Sum("resid_mid[t,i] + mlp_out[t,i]", parts.to_vec())
            }
            _ => return None,
        })
    }

    /// The residual stream as the block receives it.
    fn entry(&self) -> Recipe {
        if self.layer > 0 {
            let before = behind(self.network, self.layer - 1);
            return Recipe::Sum("the stream as the block before left it", vec![before]);
        }
        let bias = self.network.weight(WeightName::LnEmbedBias);
        match self.network.weight(WeightName::LnEmbedGain) {
            Some(_) => Recipe::Norm(
                Site::EmbedSum,
                WeightName::LnEmbedGain,
                bias.map(|_| WeightName::LnEmbedBias),
            ),
            None => embedded(self.network),
        }
    }

    /// What attention reads.
    fn read(&self) -> BlockSite {
        if self.network.is_post_norm() {
            BlockSite::ResidPre
        } else {
            BlockSite::Ln1
        }
    }

    fn query(&self) -> Recipe {
        use BlockWeight as W;
        self.linear(self.read(), "W_Q[i,j]", W::Query, ("b_Q[j]", W::QueryBias))
    }

    fn key(&self) -> Recipe {
        use BlockWeight as W;
        self.linear(self.read(), "W_K[i,j]", W::Key, ("b_K[j]", W::KeyBias))
    }

    /// Queries or keys as they enter the dot product: as the product gives them, or normed, or turned, or both.
    fn met(
        &self,
        [pre, normed]: [BlockSite; 2],
        gain: BlockWeight,
        product: impl Fn(&Self) -> Recipe,
    ) -> Recipe {
        let attention = self.network.attention(self.layer);
        match (&attention.head_norm, &attention.rope) {
            (None, None) => product(self),
            (Some(_), None) => self.norm(pre, gain, None),
            (None, Some(_)) => Recipe::Rotation(self.at(pre), self.layer),
            (Some(_), Some(_)) => Recipe::Rotation(self.at(normed), self.layer),
        }
    }
}
