//! How the value at each site is made from values at earlier sites and from parameters.

use glassformer_model::{BlockSite, BlockWeight, Site, WeightName};

/// The operation behind a site, with its operands.
pub(super) enum Recipe {
    /// The tokenizer's id.
    Token,
    /// A row of a table: the token's, or the position's.
    Row(WeightName),
    /// The same element of several sites, added.
    Sum(&'static str, Vec<Site>),
    /// Layer normalisation of a site, with gain and bias.
    Norm(Site, WeightName, WeightName),
    /// A row of a site times a column of a matrix, plus a bias.
    Linear(&'static str, Site, WeightName, Option<WeightName>),
    /// q·k/√d_head in this block.
    Score(usize),
    /// softmax over the last axis of a site.
    Softmax(&'static str, Site),
    /// The values of this block weighted by its pattern.
    WeightedSum(usize),
    /// The MLP's non-linearity on a site.
    Activation(Site),
}

/// The recipe of `site` in a decoder of `n_layers` pre-norm blocks.
pub(super) fn recipe(site: Site, n_layers: usize) -> Recipe {
    match site {
        Site::Tokens => Recipe::Token,
        Site::Embed => Recipe::Row(WeightName::Embed),
        Site::PosEmbed => Recipe::Row(WeightName::PosEmbed),
        Site::Block { layer, site } => attention_half(layer, site)
            .or_else(|| mlp_half(layer, site))
            .expect("every site of a block belongs to one of its halves"),
        Site::LnFinal => Recipe::Norm(
            Site::block(n_layers - 1, BlockSite::ResidPost),
            WeightName::LnFinalGain,
            WeightName::LnFinalBias,
        ),
        Site::Logits => {
            let formula = "Σᵢ ln_final[t,i] · W_U[i,v]";
            Recipe::Linear(formula, Site::LnFinal, WeightName::Unembed, None)
        }
        Site::Probs => {
            let formula = "exp(logits[t,v] − max) / Σ exp(logits[t,·] − max)";
            Recipe::Softmax(formula, Site::Logits)
        }
    }
}

/// From the residual stream to what attention adds to it.
fn attention_half(layer: usize, site: BlockSite) -> Option<Recipe> {
    use BlockWeight as W;
    let at = |site| Site::block(layer, site);
    let linear = |formula, input, matrix, bias| {
        let [matrix, bias] = [matrix, bias].map(|weight| WeightName::block(layer, weight));
        Recipe::Linear(formula, at(input), matrix, Some(bias))
    };
    let project = |formula, matrix, bias| linear(formula, BlockSite::Ln1, matrix, bias);
    Some(match site {
        BlockSite::ResidPre if layer == 0 => {
            let formula = "embed[t,i] + pos_embed[t,i]";
            Recipe::Sum(formula, vec![Site::Embed, Site::PosEmbed])
        }
        BlockSite::ResidPre => {
            let before = Site::block(layer - 1, BlockSite::ResidPost);
            Recipe::Sum("the stream as the block before left it", vec![before])
        }
        BlockSite::Ln1 => norm(layer, BlockSite::ResidPre, W::Ln1Gain, W::Ln1Bias),
        BlockSite::Q => project("Σᵢ ln1[t,i] · W_Q[i,j] + b_Q[j]", W::Query, W::QueryBias),
        BlockSite::K => project("Σᵢ ln1[t,i] · W_K[i,j] + b_K[j]", W::Key, W::KeyBias),
        BlockSite::V => project("Σᵢ ln1[t,i] · W_V[i,j] + b_V[j]", W::Value, W::ValueBias),
        BlockSite::Scores => Recipe::Score(layer),
        BlockSite::Pattern => {
            let formula = "exp(scores[t,s] − max) / Σ exp(scores[t,·] − max)";
            Recipe::Softmax(formula, at(BlockSite::Scores))
        }
        BlockSite::Z => Recipe::WeightedSum(layer),
        BlockSite::AttnOut => {
            let formula = "Σⱼ z[t,j] · W_O[j,i] + b_O[i]";
            linear(formula, BlockSite::Z, W::Out, W::OutBias)
        }
        BlockSite::ResidMid => {
            let parts = vec![at(BlockSite::ResidPre), at(BlockSite::AttnOut)];
            Recipe::Sum("resid_pre[t,i] + attn_out[t,i]", parts)
        }
        _ => return None,
    })
}

/// From there to what the MLP adds to it.
fn mlp_half(layer: usize, site: BlockSite) -> Option<Recipe> {
    use BlockWeight as W;
    let at = |site| Site::block(layer, site);
    let linear = |formula, input, matrix, bias| {
        let [matrix, bias] = [matrix, bias].map(|weight| WeightName::block(layer, weight));
        Recipe::Linear(formula, at(input), matrix, Some(bias))
    };
    Some(match site {
        BlockSite::Ln2 => norm(layer, BlockSite::ResidMid, W::Ln2Gain, W::Ln2Bias),
        BlockSite::MlpPre => {
            let formula = "Σᵢ ln2[t,i] · W_up[i,n] + b_up[n]";
            linear(formula, BlockSite::Ln2, W::Up, W::UpBias)
        }
        BlockSite::MlpPost => Recipe::Activation(at(BlockSite::MlpPre)),
        BlockSite::MlpOut => {
            let formula = "Σₙ mlp_post[t,n] · W_down[n,i] + b_down[i]";
            linear(formula, BlockSite::MlpPost, W::Down, W::DownBias)
        }
        BlockSite::ResidPost => {
            let parts = vec![at(BlockSite::ResidMid), at(BlockSite::MlpOut)];
            Recipe::Sum("resid_mid[t,i] + mlp_out[t,i]", parts)
        }
        _ => return None,
    })
}

fn norm(layer: usize, input: BlockSite, gain: BlockWeight, bias: BlockWeight) -> Recipe {
    let [gain, bias] = [gain, bias].map(|weight| WeightName::block(layer, weight));
    Recipe::Norm(Site::block(layer, input), gain, bias)
}
