//! The encoder–decoder that Marian, BART and T5 share: a stack of blocks that reads the source, and one with
//! cross-attention that writes the target (Vaswani et al. 2017, §3.1). What a family adds or leaves out stands in its
//! [`Plan`].

mod build;
mod plan;

pub(super) use plan::{NormKind, Places, Plan, Relative, StackPlan, Tables};

use crate::block::attention::Attention;
use crate::block::mlp::Activation;
use crate::block::{
    self, Block, CrossBlock, Dropout, Half, Linear, Norm, forward_across, forward_all,
};
use crate::embed::StackEmbed;
use crate::export::GgufForm;
use crate::families::Refusal;
use crate::unembed::Unembed;
use crate::{
    Checkpoint, Dimensions, EncoderDecoder, KvCache, Marks, Model, Network, Parameters, Pass, Site,
    Stack, Value, WeightName, WeightView,
};

/// The composition, of blocks with norms before their parts or behind them.
pub(super) struct Pair<B> {
    plan: Plan,
    encoder: Encoder<B>,
    decoder: Decoder<B>,
    unembed: Unembed,
}

/// What reads the source.
struct Encoder<B> {
    embed: StackEmbed,
    blocks: Vec<B>,
    ln_final: Option<Norm>,
}

/// What writes the target; its last norm is the unembedding's.
struct Decoder<B> {
    embed: StackEmbed,
    blocks: Vec<CrossBlock<B>>,
}

/// The parameters of a checkpoint, bound to the network of a plan.
pub(super) fn bind<B: Block>(plan: Plan, checkpoint: &Checkpoint) -> Result<Model, Refusal> {
    let (network, layout) = Pair::<B>::build(plan);
    let parameters = Parameters::load(layout, checkpoint)?;
    Ok(Model::new(Box::new(network), parameters))
}

/// A fresh model.
pub(super) fn fresh<B: Block>(plan: Plan, seed: u64, pool: &glassformer_tensor::Pool) -> Model {
    let (network, layout) = Pair::<B>::build(plan);
    Model::new(Box::new(network), Parameters::new(layout, seed, pool))
}

impl<B: Block> EncoderDecoder for Pair<B> {
    fn encoder(&self) -> Dimensions {
        self.plan.dimensions(Stack::Encoder)
    }

    fn marks(&self) -> Marks {
        self.plan.marks
    }

    fn encode(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Value {
        pass.enter(Stack::Encoder);
        let mut x = self.encoder.embed.forward(pass, ids);
        x = Dropout::forward(pass, x);
        x = forward_all(&self.encoder.blocks, pass, x);
        if let Some(norm) = self.encoder.ln_final {
            x = pass.apply(norm, [&x]);
            pass.tap(Site::LnFinal, &mut x, &[self.plan.d_model]);
        }
        x
    }

    fn decode(&self, pass: &mut Pass<'_>, ids: &[u32], memory: Option<&Value>) -> Value {
        pass.enter(Stack::Decoder);
        let mut x = self.decoder.embed.forward(pass, ids);
        x = Dropout::forward(pass, x);
        forward_across(&self.decoder.blocks, pass, x, memory)
    }

    fn remember(&self, pass: &mut Pass<'_>, memory: &Value, cache: &mut KvCache) {
        for (layer, block) in self.decoder.blocks.iter().enumerate() {
            block.cross.remember(pass, memory, cache, layer);
        }
    }
}

impl<B: Block> Network for Pair<B> {
    fn family(&self) -> &'static str {
        self.plan.family
    }

    /// Of the stack that writes the target.
    fn dimensions(&self) -> Dimensions {
        self.plan.dimensions(Stack::Decoder)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        self.plan.facts(B::IS_POST_NORM)
    }

    fn activation(&self) -> Activation {
        self.plan.activation
    }

    fn norm_eps(&self) -> f32 {
        self.plan.norm.eps()
    }

    fn sites(&self) -> Vec<Site> {
        let within = |stack| move |site: Site| site.within(stack);
        let encoder = self.encoder.embed.sites();
        let encoder = encoder.chain(block::sites(&self.encoder.blocks));
        let encoder = encoder.chain(self.encoder.ln_final.map(|_| Site::LnFinal));
        let blocks = self.decoder.blocks.iter().enumerate();
        let blocks = blocks.flat_map(|(layer, block)| {
            let sites = block.sites().into_iter();
            sites.map(move |site| Site::block(layer, site))
        });
        let decoder = self.decoder.embed.sites().chain(blocks);
        let decoder = decoder.chain(self.unembed.sites());
        let encoder = encoder.map(within(Stack::Encoder));
        encoder.chain(decoder.map(within(Stack::Decoder))).collect()
    }

    /// Of a block of the stack that writes the target, to its own positions.
    fn attention(&self, layer: usize) -> &Attention {
        self.decoder.blocks[layer].block.attention()
    }

    fn residual(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Value {
        let source = pass.source();
        let memory = source.map(|(source, _)| self.encode(pass, &source));
        self.decode(pass, ids, memory.as_ref())
    }

    /// Of a block of the stack that writes the target, without its cross-attention.
    fn half_block(&self, pass: &mut Pass<'_>, x: Value, layer: usize, half: Half) -> Value {
        self.decoder.blocks[layer].block.half(pass, x, layer, half)
    }

    fn unembed(&self) -> Option<&Unembed> {
        Some(&self.unembed)
    }

    fn pair(&self) -> Option<&dyn EncoderDecoder> {
        Some(self)
    }

    fn is_post_norm(&self) -> bool {
        B::IS_POST_NORM
    }

    fn linears(&self) -> Vec<Linear> {
        let encoder = self.encoder.blocks.iter().flat_map(Block::linears);
        let decoder = self.decoder.blocks.iter().flat_map(CrossBlock::linears);
        let blocks = encoder.chain(decoder);
        blocks.chain(self.unembed.linears()).collect()
    }

    fn weight(&self, name: WeightName) -> Option<WeightView> {
        let (d, vocab) = (self.plan.d_model, self.plan.vocab);
        let table = |param| WeightView::part(param, 0, vocab, d, d);
        match name {
            WeightName::Embed => Some(table(self.decoder.embed.tokens.tokens)),
            WeightName::Unembed => Some(table(self.unembed.linear.weight).t()),
            WeightName::UnembedBias => Some(WeightView::vector(self.unembed.linear.bias?, vocab)),
            WeightName::LnFinalGain => Some(WeightView::vector(self.unembed.ln_final?.gain(), d)),
            WeightName::LnFinalBias => Some(WeightView::vector(self.unembed.ln_final?.bias()?, d)),
            // Those of blocks, of which there are two of each number, have no names of their own yet.
            _ => None,
        }
    }

    fn config_json(&self) -> String {
        self.plan.config.clone()
    }

    fn gguf(&self) -> Result<GgufForm, String> {
        Err(format!(
            "is an encoder–decoder ({}), which cannot be written as GGUF; write a folder",
            self.plan.family
        ))
    }
}
