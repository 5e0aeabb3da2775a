//! BERT (Devlin et al. 2019), RoBERTa (Liu et al. 2019) and what is built as they are, such as MiniLM: learned positions
//! and token types behind a norm, post-norm blocks in which every position sees all, GELU MLP, and a head that fills
//! gaps if the file has one. A pooler and a head for sentence pairs are left out.

use std::sync::Arc;

use glassformer_tensor::Pool;
use glassformer_weights::{GgufFile, TensorSource};

use super::Refusal;
use super::bert_config::EncoderConfig;
use super::bert_names::{self as names, HeadNames};
use super::parts::{STD, block_weight, layer_norm, linear};
use crate::block::attention::{Attention, Heads, Scoring, Sees};
use crate::block::mlp::{Activation, Mlp, PlainMlp};
use crate::block::{self, Block, Dropout, Half, Linear, PostNormBlock, Storage, forward_all};
use crate::embed::{LearnedPositions, TypedEmbed};
use crate::export::GgufForm;
use crate::unembed::{Transform, Unembed};
use crate::{
    Checkpoint, Dimensions, Init, Keep, Layout, Model, Network, ParamId, Parameters, Pass, Place,
    Site, Value, WeightName, WeightView,
};

/// The families that this file composes.
pub(super) const NAMES: [&str; 4] = ["bert", "roberta", "xlm-roberta", "camembert"];

/// What a file adds to its config.
#[derive(Clone, Copy, Debug)]
struct Parts {
    /// Prefix of all names but the head's.
    prefix: &'static str,
    /// Whether it has a head that fills gaps.
    head: bool,
}

/// The composition.
struct Bert {
    config: EncoderConfig,
    dimensions: Dimensions,
    embed: TypedEmbed,
    blocks: Vec<PostNormBlock>,
    unembed: Option<Unembed>,
}

/// A fresh model, with a head that fills gaps or without.
pub(super) fn new(
    config: &EncoderConfig,
    head: bool,
    seed: u64,
    pool: &Pool,
) -> Result<Model, String> {
    config.check()?;
    let prefix = if head {
        names::of_family(config.is_roberta()).0
    } else {
        ""
    };
    let (network, layout) = Bert::build(config, Parts { prefix, head });
    let parameters = Parameters::new(layout, seed, pool);
    Ok(Model::new(Box::new(network), parameters))
}

/// A model from a Hugging Face checkpoint, whose names may have a prefix.
pub(super) fn open(
    config: &EncoderConfig,
    source: Arc<dyn TensorSource>,
    keep: Keep,
) -> Result<Model, Refusal> {
    let (prefix, head) = names::of_family(config.is_roberta());
    let has = |name: &str| source.info(name).is_some();
    let parts = Parts {
        prefix: if has(names::EMBED) { "" } else { prefix },
        head: has(&format!("{}.weight", head.dense)),
    };
    let file = Arc::clone(&source);
    let checkpoint = Checkpoint {
        source,
        find: Box::new(move |name| Place::named(names::hugging_face(&*file, name))),
        keep,
    };
    bind(config, parts, &checkpoint)
}

/// The model in a GGUF file, which never has a head.
pub(super) fn open_gguf(file: &GgufFile, keep: Keep) -> Result<Model, Refusal> {
    let rows = |name: &str| {
        file.info(&names::gguf(name))
            .and_then(|info| info.shape.first().copied())
            .unwrap_or(0)
    };
    let config = EncoderConfig::from_gguf(file.metadata(), rows(names::EMBED), rows(names::TYPES))?;
    let parts = Parts {
        prefix: "",
        head: false,
    };
    let checkpoint = Checkpoint {
        source: Arc::new(file.clone()),
        find: Box::new(|name| Place::named(names::gguf(name))),
        keep,
    };
    bind(&config, parts, &checkpoint)
}

fn bind(config: &EncoderConfig, parts: Parts, checkpoint: &Checkpoint) -> Result<Model, Refusal> {
    config.check().map_err(Refusal::Config)?;
    let (network, layout) = Bert::build(config, parts);
    let parameters = Parameters::load(layout, checkpoint)?;
    Ok(Model::new(Box::new(network), parameters))
}

impl Bert {
    fn build(config: &EncoderConfig, Parts { prefix, head }: Parts) -> (Self, Layout) {
        let mut layout = Layout::default();
        let (d, eps) = (config.hidden_size, config.layer_norm_eps);
        let name = |part: &str| format!("{prefix}{part}");
        let mut table = |part: &str, rows| layout.add(name(part), &[rows, d], Init::Normal(STD));
        let tokens = table(names::EMBED, config.vocab_size);
        let positions = table(names::POSITIONS, config.max_position_embeddings);
        let types =
            (config.type_vocab_size > 0).then(|| table(names::TYPES, config.type_vocab_size));
        let embed = TypedEmbed {
            places: LearnedPositions {
                tokens,
                positions,
                first: config.first_position(),
                d_model: d,
            },
            types,
            norm: layer_norm(&mut layout, &name("embeddings.LayerNorm"), d, eps),
        };
        let blocks = (0..config.num_hidden_layers)
            .map(|layer| {
                block(
                    &mut layout,
                    config,
                    &name(&format!("encoder.layer.{layer}")),
                )
            })
            .collect();
        let (_, names) = names::of_family(config.is_roberta());
        let unembed = head.then(|| unembed(&mut layout, config, names, tokens));
        let network = Self {
            config: config.clone(),
            dimensions: config.dimensions(),
            embed,
            blocks,
            unembed,
        };
        (network, layout)
    }
}

fn block(layout: &mut Layout, config: &EncoderConfig, prefix: &str) -> PostNormBlock {
    let (d, f, eps) = (
        config.hidden_size,
        config.intermediate_size,
        config.layer_norm_eps,
    );
    let name = |part: &str| format!("{prefix}.{part}");
    let parts = ["query", "key", "value"].map(|part| (name(&format!("attention.self.{part}")), d));
    let attention = Attention {
        qkv: linear(layout, &parts, d, true, STD),
        head_norm: None,
        rope: None,
        heads: Heads {
            heads: config.num_attention_heads,
            kv_heads: config.num_attention_heads,
            d_head: d / config.num_attention_heads,
        },
        sees: Sees::All,
        scoring: Scoring::usual(d / config.num_attention_heads),
        out: linear(layout, &[(name("attention.output.dense"), d)], d, true, STD),
    };
    let ln1 = layer_norm(layout, &name("attention.output.LayerNorm"), d, eps);
    let mlp = Mlp::Plain(PlainMlp {
        up: linear(layout, &[(name("intermediate.dense"), f)], d, true, STD),
        activation: config.activation().expect("checked"),
        down: linear(layout, &[(name("output.dense"), d)], f, true, STD),
    });
    PostNormBlock {
        attention,
        ln1,
        mlp,
        ln2: layer_norm(layout, &name("output.LayerNorm"), d, eps),
    }
}

/// The head that fills gaps; W_U is W_Eᵀ unless the config says otherwise.
fn unembed(
    layout: &mut Layout,
    config: &EncoderConfig,
    names: HeadNames,
    tokens: ParamId,
) -> Unembed {
    let (d, v) = (config.hidden_size, config.vocab_size);
    let transform = Transform {
        linear: linear(layout, &[(names.dense.to_owned(), d)], d, true, STD),
        // RoBERTa's head has GELU whatever its blocks have.
        activation: if config.is_roberta() {
            Activation::Gelu
        } else {
            config.activation().expect("checked")
        },
    };
    let ln_final = layer_norm(layout, names.norm, d, config.layer_norm_eps);
    let weight = if config.tie_word_embeddings {
        tokens
    } else {
        layout.add(names.decoder, &[v, d], Init::Normal(STD))
    };
    Unembed {
        transform: Some(transform),
        ln_final: Some(ln_final),
        scale: None,
        linear: Linear {
            weight,
            bias: Some(layout.add(names.bias, &[v], Init::Zeros)),
            d_in: d,
            d_out: v,
            storage: Storage::OutIn,
        },
    }
}

impl Network for Bert {
    fn family(&self) -> &'static str {
        let is_own = |name: &&&str| **name == self.config.model_type;
        NAMES.iter().find(is_own).copied().unwrap_or(NAMES[0])
    }

    fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let head = match (&self.unembed, self.config.tie_word_embeddings) {
            (None, _) => "none: the model ends at vectors",
            (Some(_), true) => "fills gaps, tied to the embedding",
            (Some(_), false) => "fills gaps, a matrix of its own",
        };
        vec![
            ("reads", "a whole text at once: an encoder".to_owned()),
            ("activation", self.activation().name().to_owned()),
            ("norm", "LayerNorm with bias, behind each part".to_owned()),
            ("positions", "learned".to_owned()),
            ("unembedding", head.to_owned()),
            ("norm_eps", self.config.layer_norm_eps.to_string()),
        ]
    }

    fn activation(&self) -> Activation {
        self.blocks[0].mlp.activation()
    }

    fn norm_eps(&self) -> f32 {
        self.config.layer_norm_eps
    }

    fn sites(&self) -> Vec<Site> {
        let blocks = block::sites(&self.blocks);
        let head = self.unembed.iter().flat_map(Unembed::sites);
        let embed = self.embed.sites().into_iter();
        embed.chain(blocks).chain(head).collect()
    }

    fn attention(&self, layer: usize) -> &Attention {
        &self.blocks[layer].attention
    }

    fn residual(&self, pass: &mut Pass<'_>, ids: &[u32]) -> Value {
        let mut x = self.embed.forward(pass, ids);
        x = Dropout::forward(pass, x);
        forward_all(&self.blocks, pass, x)
    }

    fn half_block(&self, pass: &mut Pass<'_>, x: Value, layer: usize, half: Half) -> Value {
        self.blocks[layer].half(pass, x, layer, half)
    }

    fn unembed(&self) -> Option<&Unembed> {
        self.unembed.as_ref()
    }

    fn is_encoder(&self) -> bool {
        true
    }

    fn is_post_norm(&self) -> bool {
        true
    }

    fn linears(&self) -> Vec<Linear> {
        let blocks = self.blocks.iter().flat_map(Block::linears);
        let head = self.unembed.iter().flat_map(Unembed::linears);
        blocks.chain(head).collect()
    }

    fn weight(&self, name: WeightName) -> Option<WeightView> {
        let Dimensions {
            d_model: d, vocab, ..
        } = self.dimensions;
        let LearnedPositions {
            tokens,
            positions,
            first,
            ..
        } = self.embed.places;
        let table = |param, first, rows| WeightView::part(param, first * d, rows, d, d);
        match name {
            WeightName::Embed => Some(table(tokens, 0, vocab)),
            WeightName::PosEmbed => Some(table(positions, first, self.dimensions.n_ctx)),
            WeightName::TypeEmbed => Some(table(self.embed.types?, 0, self.config.type_vocab_size)),
            WeightName::LnEmbedGain => Some(WeightView::vector(self.embed.norm.gain(), d)),
            WeightName::LnEmbedBias => Some(WeightView::vector(self.embed.norm.bias()?, d)),
            WeightName::Transform => {
                let linear = self.unembed?.transform?.linear;
                Some(WeightView::part(linear.weight, 0, d, d, d).t())
            }
            WeightName::TransformBias => {
                let bias = self.unembed?.transform?.linear.bias?;
                Some(WeightView::vector(bias, d))
            }
            WeightName::Unembed => Some(table(self.unembed?.linear.weight, 0, vocab).t()),
            WeightName::UnembedBias => Some(WeightView::vector(self.unembed?.linear.bias?, vocab)),
            WeightName::LnFinalGain => Some(WeightView::vector(self.unembed?.ln_final?.gain(), d)),
            WeightName::LnFinalBias => Some(WeightView::vector(self.unembed?.ln_final?.bias()?, d)),
            WeightName::Block { layer, weight } => {
                let block = self.blocks.get(layer)?;
                let norms = [&block.ln1, &block.ln2];
                block_weight(&block.attention, &block.mlp, norms, weight)
            }
        }
    }

    fn config_json(&self) -> String {
        serde_json::to_string_pretty(&self.config).expect("a config is plain data")
    }

    fn gguf(&self) -> Result<GgufForm, String> {
        let mut form = names::form(&self.config, self.unembed.is_some())?;
        form.metadata = self.config.to_gguf();
        Ok(form)
    }
}
