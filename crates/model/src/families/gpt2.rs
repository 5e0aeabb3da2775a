//! GPT-2 (Radford et al. 2019): learned positions, pre-norm LayerNorm with bias, causal multi-head attention,
//! GELU MLP, tied unembedding. Checkpoints as Hugging Face lays them out; its `Conv1D` stores W as [in, out].

use std::sync::Arc;

use crate::block::attention::Sees;
use glassformer_tensor::Pool;
use glassformer_weights::TensorSource;
use serde::{Deserialize, Serialize};

use crate::block::attention::{Attention, Heads};
use crate::block::mlp::{Activation, Mlp, PlainMlp};
use crate::block::{self, Block, Dropout, Half, Linear, PreNormBlock, Storage, forward_all};
use crate::embed::LearnedPositions;
use crate::families::parts::{STD, block_weight, check_sizes, layer_norm};
use crate::unembed::Unembed;
use crate::{
    Checkpoint, Dimensions, Init, Keep, Layout, Model, ModelError, Network, Parameters, Pass,
    Place, Site, Value, WeightName, WeightView,
};

/// `config.json`, in Hugging Face's field names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// "gpt2".
    #[serde(default = "model_type")]
    pub model_type: String,
    /// V.
    pub vocab_size: usize,
    /// Longest sequence.
    pub n_positions: usize,
    /// D.
    pub n_embd: usize,
    /// L.
    pub n_layer: usize,
    /// H.
    pub n_head: usize,
    /// F; 4·D when absent.
    #[serde(default)]
    pub n_inner: Option<usize>,
    /// `gelu_new` (the tanh form), `relu`, …
    #[serde(default = "gelu_new")]
    pub activation_function: String,
    /// ε of the norms.
    #[serde(default = "epsilon")]
    pub layer_norm_epsilon: f32,
    /// Whether W_U is W_Eᵀ.
    #[serde(default = "yes")]
    pub tie_word_embeddings: bool,
    /// What loads it in transformers.
    #[serde(default = "architectures")]
    pub architectures: Vec<String>,
}

fn model_type() -> String {
    "gpt2".to_owned()
}

fn gelu_new() -> String {
    "gelu_new".to_owned()
}

fn epsilon() -> f32 {
    1e-5
}

fn yes() -> bool {
    true
}

fn architectures() -> Vec<String> {
    vec!["GPT2LMHeadModel".to_owned()]
}

impl Config {
    /// What cannot be computed, in words that follow "config.json". Checked before anything is allocated.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("n_positions", self.n_positions),
            ("n_embd", self.n_embd),
            ("n_head", self.n_head),
            ("n_inner", self.d_ff()),
        ];
        check_sizes(&sizes, ("n_layer", self.n_layer))?;
        if !self.n_embd.is_multiple_of(self.n_head) {
            return Err(format!(
                "has n_embd = {} which n_head = {} does not divide",
                self.n_embd, self.n_head
            ));
        }
        if !self.tie_word_embeddings {
            return Err(
                "has tie_word_embeddings = false; only tied GPT-2 models can be loaded".to_owned(),
            );
        }
        if !(self.layer_norm_epsilon > 0.0 && self.layer_norm_epsilon < 1.0) {
            return Err(format!(
                "has layer_norm_epsilon = {}; it must lie between 0 and 1",
                self.layer_norm_epsilon
            ));
        }
        self.activation().map(|_| ())
    }

    fn d_ff(&self) -> usize {
        self.n_inner.unwrap_or(4 * self.n_embd)
    }

    fn activation(&self) -> Result<Activation, String> {
        match self.activation_function.as_str() {
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "gelu" => Ok(Activation::Gelu),
            "silu" | "swish" => Ok(Activation::Silu),
            "relu" => Ok(Activation::Relu),
            other => Err(format!(
                "has activation_function {other:?}; gelu_new, gelu, silu and relu can be computed"
            )),
        }
    }

    /// A config from the sizes, GELU or ReLU.
    pub fn new(dimensions: &Dimensions, activation: Activation) -> Self {
        let Dimensions {
            n_layers,
            n_heads,
            d_model,
            d_ff,
            n_ctx,
            vocab,
            ..
        } = *dimensions;
        Self {
            model_type: model_type(),
            vocab_size: vocab,
            n_positions: n_ctx,
            n_embd: d_model,
            n_layer: n_layers,
            n_head: n_heads,
            n_inner: (d_ff != 4 * d_model).then_some(d_ff),
            activation_function: match activation {
                Activation::GeluTanh => gelu_new(),
                Activation::Gelu => "gelu".to_owned(),
                Activation::Silu => "silu".to_owned(),
                Activation::Relu => "relu".to_owned(),
            },
            layer_norm_epsilon: epsilon(),
            tie_word_embeddings: true,
            architectures: architectures(),
        }
    }
}

/// The composition.
struct Gpt2 {
    config: Config,
    dimensions: Dimensions,
    embed: LearnedPositions,
    blocks: Vec<PreNormBlock>,
    unembed: Unembed,
}

/// A fresh model; `config` must have passed [`Config::check`].
pub fn new(config: &Config, seed: u64, pool: &Pool) -> Model {
    let (network, layout) = Gpt2::build(config);
    Model::new(Box::new(network), Parameters::new(layout, seed, pool))
}

/// A model from a checkpoint; `config` must have passed [`Config::check`].
pub fn load(
    config: &Config,
    source: Arc<dyn TensorSource>,
    keep: Keep,
) -> Result<Model, ModelError> {
    let (network, layout) = Gpt2::build(config);
    // Some checkpoints of the bare model lack the prefix.
    let prefixed = source.info("transformer.wte.weight").is_some();
    let find = move |name: &str| {
        if prefixed {
            Place::named(name)
        } else {
            Place::named(name.trim_start_matches("transformer."))
        }
    };
    let checkpoint = Checkpoint {
        source,
        find: Box::new(find),
        keep,
    };
    let parameters = Parameters::load(layout, &checkpoint)?;
    Ok(Model::new(Box::new(network), parameters))
}

impl Gpt2 {
    fn build(config: &Config) -> (Self, Layout) {
        let mut layout = Layout::default();
        let (d, v, c) = (config.n_embd, config.vocab_size, config.n_positions);
        let tokens = layout.add("transformer.wte.weight", &[v, d], Init::Normal(STD));
        let positions = layout.add("transformer.wpe.weight", &[c, d], Init::Normal(STD));
        let blocks = (0..config.n_layer)
            .map(|layer| block(&mut layout, config, layer))
            .collect();
        let eps = config.layer_norm_epsilon;
        let ln_final = layer_norm(&mut layout, "transformer.ln_f", d, eps);
        let linear = Linear {
            weight: tokens,
            bias: None,
            d_in: d,
            d_out: v,
            storage: Storage::OutIn,
        };
        let network = Self {
            dimensions: Dimensions {
                n_layers: config.n_layer,
                n_heads: config.n_head,
                n_kv_heads: config.n_head,
                d_model: d,
                d_head: d / config.n_head,
                d_ff: config.d_ff(),
                n_ctx: c,
                vocab: v,
            },
            embed: LearnedPositions {
                tokens,
                positions,
                first: 0,
                d_model: d,
            },
            blocks,
            unembed: Unembed {
                transform: None,
                ln_final,
                linear,
            },
            config: config.clone(),
        };
        (network, layout)
    }
}

fn block(layout: &mut Layout, config: &Config, layer: usize) -> PreNormBlock {
    let name = |part: &str| format!("transformer.h.{layer}.{part}");
    let (d, f) = (config.n_embd, config.d_ff());
    // What is added to the residual stream begins smaller, so that its variance does not grow with depth (§2.3).
    let residual_std = STD / (2.0 * config.n_layer as f32).sqrt();
    let eps = config.layer_norm_epsilon;
    let ln1 = layer_norm(layout, &name("ln_1"), d, eps);
    let qkv = linear(layout, &name("attn.c_attn"), d, 3 * d, STD);
    let out = linear(layout, &name("attn.c_proj"), d, d, residual_std);
    let ln2 = layer_norm(layout, &name("ln_2"), d, eps);
    let up = linear(layout, &name("mlp.c_fc"), d, f, STD);
    let down = linear(layout, &name("mlp.c_proj"), f, d, residual_std);
    let heads = Heads {
        heads: config.n_head,
        kv_heads: config.n_head,
        d_head: d / config.n_head,
    };
    let activation = config.activation().expect("checked by Config::check");
    PreNormBlock {
        ln1,
        attention: Attention {
            qkv,
            head_norm: None,
            rope: None,
            heads,
            sees: Sees::Past,
            out,
        },
        ln2,
        mlp: Mlp::Plain(PlainMlp {
            up,
            activation,
            down,
        }),
    }
}

fn linear(layout: &mut Layout, name: &str, d_in: usize, d_out: usize, std: f32) -> Linear {
    Linear {
        weight: layout.add(format!("{name}.weight"), &[d_in, d_out], Init::Normal(std)),
        bias: Some(layout.add(format!("{name}.bias"), &[d_out], Init::Zeros)),
        d_in,
        d_out,
        storage: Storage::InOut,
    }
}

impl Network for Gpt2 {
    fn family(&self) -> &'static str {
        "gpt2"
    }

    fn dimensions(&self) -> Dimensions {
        self.dimensions
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        vec![
            ("activation", self.activation().name().to_owned()),
            ("norm", "LayerNorm with bias, before each part".to_owned()),
            ("positions", "learned".to_owned()),
            ("unembedding", "tied to the embedding".to_owned()),
            ("norm_eps", self.config.layer_norm_epsilon.to_string()),
        ]
    }

    fn activation(&self) -> Activation {
        self.blocks[0].mlp.activation()
    }

    fn norm_eps(&self) -> f32 {
        self.config.layer_norm_epsilon
    }

    fn sites(&self) -> Vec<Site> {
        let ends = [Site::Tokens, Site::Embed, Site::PosEmbed].into_iter();
        let blocks = block::sites(&self.blocks);
        ends.chain(blocks).chain(self.unembed.sites()).collect()
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
        Some(&self.unembed)
    }

    fn linears(&self) -> Vec<Linear> {
        let blocks = self.blocks.iter().flat_map(Block::linears);
        blocks.chain(self.unembed.linears()).collect()
    }

    fn weight(&self, name: WeightName) -> Option<WeightView> {
        let Dimensions {
            d_model: d,
            n_ctx,
            vocab,
            ..
        } = self.dimensions;
        let table = |param, rows| WeightView::part(param, 0, rows, d, d);
        Some(match name {
            WeightName::Embed => table(self.embed.tokens, vocab),
            WeightName::PosEmbed => table(self.embed.positions, n_ctx),
            WeightName::Unembed => table(self.embed.tokens, vocab).t(),
            WeightName::LnFinalGain => WeightView::vector(self.unembed.ln_final.gain(), d),
            WeightName::LnFinalBias => WeightView::vector(self.unembed.ln_final.bias()?, d),
            WeightName::Block { layer, weight } => {
                let block = self.blocks.get(layer)?;
                let norms = [&block.ln1, &block.ln2];
                return block_weight(&block.attention, &block.mlp, norms, weight);
            }
            _ => return None,
        })
    }

    fn config_json(&self) -> String {
        serde_json::to_string_pretty(&self.config).expect("a config is plain data")
    }
}
