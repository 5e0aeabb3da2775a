//! GPT-2 (Radford et al. 2019): learned positions, pre-norm LayerNorm with bias, causal multi-head attention,
//! GELU MLP, tied unembedding. Checkpoints as Hugging Face lays them out; its `Conv1D` stores W as [in, out].

use glassformer_tensor::Pool;
use serde::{Deserialize, Serialize};

use crate::block::attention::{Attention, Heads, Scoring, Sees};
use crate::block::mlp::{Activation, Mlp, PlainMlp};
use crate::block::{self, Block, Dropout, Half, Linear, PreNormBlock, Storage, forward_all};
use crate::embed::LearnedPositions;
use crate::export::GgufForm;
use crate::families::Refusal;
use crate::families::gpt2_files as files;
use crate::families::parts::{STD, block_weight, check_sizes, layer_norm};
use crate::unembed::Unembed;
use crate::{
    Checkpoint, Dimensions, Init, Layout, Model, Network, Parameters, Pass, Place, Site, Value,
    WeightName, WeightView,
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

impl Default for Config {
    /// What files leave out; sizes are 0.
    fn default() -> Self {
        Self {
            model_type: model_type(),
            vocab_size: 0,
            n_positions: 0,
            n_embd: 0,
            n_layer: 0,
            n_head: 0,
            n_inner: None,
            activation_function: gelu_new(),
            layer_norm_epsilon: epsilon(),
            tie_word_embeddings: yes(),
            architectures: architectures(),
        }
    }
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
        if !(self.layer_norm_epsilon > 0.0 && self.layer_norm_epsilon < 1.0) {
            return Err(format!(
                "has layer_norm_epsilon = {}; it must lie between 0 and 1",
                self.layer_norm_epsilon
            ));
        }
        self.activation().map(|_| ())
    }

    pub(super) fn d_ff(&self) -> usize {
        self.n_inner.unwrap_or(4 * self.n_embd)
    }

    pub(super) fn activation(&self) -> Result<Activation, String> {
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
            ..Self::default()
        }
    }
}

/// The composition.
struct Gpt2 {
    config: Config,
    /// Of the matrices in blocks.
    storage: Storage,
    dimensions: Dimensions,
    embed: LearnedPositions,
    blocks: Vec<PreNormBlock>,
    unembed: Unembed,
}

/// A fresh model; `config` must have passed [`Config::check`].
pub fn new(config: &Config, seed: u64, pool: &Pool) -> Model {
    let (network, layout) = Gpt2::build(config, Storage::InOut);
    Model::new(Box::new(network), Parameters::new(layout, seed, pool))
}

/// The parameters of a checkpoint, bound to the network that keeps matrices as `storage`.
pub(super) fn bind(
    config: &Config,
    storage: Storage,
    checkpoint: &Checkpoint,
) -> Result<Model, Refusal> {
    let (network, layout) = Gpt2::build(config, storage);
    let parameters = Parameters::load(layout, checkpoint)?;
    Ok(Model::new(Box::new(network), parameters))
}

impl Gpt2 {
    fn build(config: &Config, storage: Storage) -> (Self, Layout) {
        let mut layout = Layout::default();
        let (d, v, c) = (config.n_embd, config.vocab_size, config.n_positions);
        let tokens = layout.add(files::EMBED, &[v, d], Init::Normal(STD));
        let positions = layout.add(files::POSITIONS, &[c, d], Init::Normal(STD));
        let blocks = (0..config.n_layer)
            .map(|layer| block(&mut layout, config, storage, layer))
            .collect();
        let eps = config.layer_norm_epsilon;
        let ln_final = layer_norm(&mut layout, "transformer.ln_f", d, eps);
        let weight = if config.tie_word_embeddings {
            tokens
        } else {
            layout.add(files::UNEMBED, &[v, d], Init::Normal(STD))
        };
        let linear = Linear {
            weight,
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
            unembed: Unembed::of(ln_final, linear),
            config: config.clone(),
            storage,
        };
        (network, layout)
    }
}

fn block(layout: &mut Layout, config: &Config, storage: Storage, layer: usize) -> PreNormBlock {
    let name = |part: &str| format!("transformer.h.{layer}.{part}");
    let (d, f) = (config.n_embd, config.d_ff());
    // What is added to the residual stream begins smaller, so that its variance does not grow with depth (§2.3).
    let residual_std = STD / (2.0 * config.n_layer as f32).sqrt();
    let eps = config.layer_norm_epsilon;
    let ln1 = layer_norm(layout, &name("ln_1"), d, eps);
    let linear = |layout: &mut Layout, part: &str, [d_in, d_out]: [usize; 2], std: f32| {
        linear(layout, &name(part), [d_in, d_out], storage, std)
    };
    let qkv = linear(layout, "attn.c_attn", [d, 3 * d], STD);
    let out = linear(layout, "attn.c_proj", [d, d], residual_std);
    let ln2 = layer_norm(layout, &name("ln_2"), d, eps);
    let up = linear(layout, "mlp.c_fc", [d, f], STD);
    let down = linear(layout, "mlp.c_proj", [f, d], residual_std);
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
            scoring: Scoring::usual(heads.d_head),
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

fn linear(
    layout: &mut Layout,
    name: &str,
    [d_in, d_out]: [usize; 2],
    storage: Storage,
    std: f32,
) -> Linear {
    let shape = match storage {
        Storage::InOut => [d_in, d_out],
        Storage::OutIn => [d_out, d_in],
    };
    Linear {
        weight: layout.add(format!("{name}.weight"), &shape, Init::Normal(std)),
        bias: Some(layout.add(format!("{name}.bias"), &[d_out], Init::Zeros)),
        d_in,
        d_out,
        storage,
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
        let unembedding = if self.config.tie_word_embeddings {
            "tied to the embedding"
        } else {
            "a matrix of its own"
        };
        vec![
            ("activation", self.activation().name().to_owned()),
            ("norm", "LayerNorm with bias, before each part".to_owned()),
            ("positions", "learned".to_owned()),
            ("unembedding", unembedding.to_owned()),
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
            WeightName::Unembed => table(self.unembed.linear.weight, vocab).t(),
            WeightName::LnFinalGain => WeightView::vector(self.unembed.ln_final?.gain(), d),
            WeightName::LnFinalBias => WeightView::vector(self.unembed.ln_final?.bias()?, d),
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

    fn hugging_face(&self, name: &str) -> Place {
        Place::ordered(name, files::order(name, self.storage, Storage::InOut))
    }

    fn gguf(&self) -> Result<GgufForm, String> {
        files::form(&self.config, self.storage)
    }
}
