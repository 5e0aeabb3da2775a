//! The decoder that Llama and its kin share: token embedding, RMSNorm before each part, rotary positions, grouped
//! queries, gated MLP. What a family adds or leaves out stands in its [`Plan`].

use crate::block::attention::{Attention, HeadNorm, Heads, Rope, Scoring, Sees};
use crate::block::mlp::{Activation, GatedMlp, Mlp};
use crate::block::{
    self, Block, Dropout, Half, Linear, Norm, PreNormBlock, RmsNorm, Storage, forward_all,
};
use crate::embed::TokenEmbed;
use crate::export::GgufForm;
use crate::families::parts::{STD, block_weight, linear};
use crate::families::{decoder_gguf, names};
use crate::unembed::Unembed;
use crate::{Dimensions, Init, Layout, Network, Pass, Site, Value, WeightName, WeightView};

/// What a family's config comes to.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what a family has or has not"
)]
pub(super) struct Plan {
    /// `model_type`.
    pub(super) family: &'static str,
    pub(super) dimensions: Dimensions,
    pub(super) norm_eps: f32,
    pub(super) rope: Rope,
    /// Facts about the rotation, for people.
    pub(super) rope_facts: String,
    /// Of each block.
    pub(super) sees: Vec<Sees>,
    pub(super) activation: Activation,
    /// Biases of q, k and v.
    pub(super) qkv_bias: bool,
    /// Bias after the heads.
    pub(super) out_bias: bool,
    /// Biases of the MLP.
    pub(super) mlp_bias: bool,
    /// Whether queries and keys of each head are normed.
    pub(super) head_norm: bool,
    /// Whether W_U is W_Eᵀ.
    pub(super) tied: bool,
    /// `config.json`.
    pub(super) config: String,
}

/// The composition.
pub(super) struct Decoder {
    plan: Plan,
    embed: TokenEmbed,
    blocks: Vec<PreNormBlock>,
    unembed: Unembed,
}

impl Decoder {
    pub(super) fn build(plan: Plan) -> (Self, Layout) {
        let mut layout = Layout::default();
        let Dimensions {
            d_model,
            vocab,
            n_layers,
            ..
        } = plan.dimensions;
        let shape = [vocab, d_model];
        let tokens = layout.add(names::EMBED, &shape, Init::Normal(STD));
        let blocks = (0..n_layers)
            .map(|layer| block(&mut layout, &plan, layer))
            .collect();
        let ln_final = norm(&mut layout, names::FINAL_NORM, &plan);
        let weight = if plan.tied {
            tokens
        } else {
            layout.add(names::UNEMBED, &shape, Init::Normal(STD))
        };
        let linear = Linear {
            weight,
            bias: None,
            d_in: d_model,
            d_out: vocab,
            storage: Storage::OutIn,
        };
        let network = Self {
            plan,
            embed: TokenEmbed {
                tokens,
                d_model,
                scale: None,
            },
            blocks,
            unembed: Unembed::of(ln_final, linear),
        };
        (network, layout)
    }
}

fn block(layout: &mut Layout, plan: &Plan, layer: usize) -> PreNormBlock {
    let name = |part: &str| format!("model.layers.{layer}.{part}");
    let Dimensions {
        n_layers,
        n_heads,
        n_kv_heads,
        d_model: d,
        d_head: e,
        d_ff: f,
        ..
    } = plan.dimensions;
    let residual_std = STD / (2.0 * n_layers as f32).sqrt();
    let heads = Heads {
        heads: n_heads,
        kv_heads: n_kv_heads,
        d_head: e,
    };
    let ln1 = norm(layout, &name("input_layernorm"), plan);
    let (q, kv) = (n_heads * e, n_kv_heads * e);
    let parts = [("q", q), ("k", kv), ("v", kv)]
        .map(|(part, width)| (name(&format!("self_attn.{part}_proj")), width));
    let qkv = linear(layout, &parts, d, plan.qkv_bias, STD);
    let head_norm = plan.head_norm.then(|| {
        let mut gain = |part| layout.add(name(part), &[e], Init::Ones);
        HeadNorm {
            q_gain: gain("self_attn.q_norm.weight"),
            k_gain: gain("self_attn.k_norm.weight"),
            eps: plan.norm_eps,
            heads,
        }
    });
    let out = [(name("self_attn.o_proj"), d)];
    let out = linear(layout, &out, q, plan.out_bias, residual_std);
    let ln2 = norm(layout, &name("post_attention_layernorm"), plan);
    let gate_up = ["gate", "up"].map(|part| (name(&format!("mlp.{part}_proj")), f));
    let gate_up = linear(layout, &gate_up, d, plan.mlp_bias, STD);
    let down = [(name("mlp.down_proj"), d)];
    let down = linear(layout, &down, f, plan.mlp_bias, residual_std);
    PreNormBlock {
        ln1,
        attention: Attention {
            qkv,
            head_norm,
            rope: Some(plan.rope.clone()),
            heads,
            sees: plan.sees[layer],
            scoring: Scoring::usual(e),
            out,
        },
        ln2,
        mlp: Mlp::Gated(GatedMlp {
            gate_up,
            activation: plan.activation,
            down,
        }),
    }
}

fn norm(layout: &mut Layout, name: &str, plan: &Plan) -> Norm {
    let shape = [plan.dimensions.d_model];
    Norm::Rms(RmsNorm {
        gain: layout.add(format!("{name}.weight"), &shape, Init::Ones),
        eps: plan.norm_eps,
    })
}

impl Network for Decoder {
    fn family(&self) -> &'static str {
        self.plan.family
    }

    fn dimensions(&self) -> Dimensions {
        self.plan.dimensions
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let plan = &self.plan;
        let unembedding = if plan.tied {
            "tied to the embedding"
        } else {
            "a matrix of its own"
        };
        let mut windows = plan.sees.iter().filter_map(|sees| match sees {
            Sees::Window(width) => Some(width),
            Sees::All | Sees::Past => None,
        });
        let window = windows.next().map(|width| {
            let (count, all) = (1 + windows.count(), plan.sees.len());
            let which = if count == all {
                String::new()
            } else {
                format!(", in {count} of {all} blocks")
            };
            ("window", format!("{width} positions{which}"))
        });
        let head_norm = "queries and keys of each head".to_owned();
        let facts = [
            ("activation", format!("gated, {}", plan.activation.name())),
            ("norm", "RMSNorm, before each part".to_owned()),
            ("positions", plan.rope_facts.clone()),
            ("unembedding", unembedding.to_owned()),
            ("norm_eps", plan.norm_eps.to_string()),
        ];
        let more = [plan.head_norm.then_some(("head_norm", head_norm)), window];
        facts
            .into_iter()
            .chain(more.into_iter().flatten())
            .collect()
    }

    fn activation(&self) -> Activation {
        self.plan.activation
    }

    fn norm_eps(&self) -> f32 {
        self.plan.norm_eps
    }

    fn sites(&self) -> Vec<Site> {
        let ends = [Site::Tokens, Site::Embed].into_iter();
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
            d_model: d, vocab, ..
        } = self.plan.dimensions;
        let table = |param| WeightView::part(param, 0, vocab, d, d);
        match name {
            WeightName::Embed => Some(table(self.embed.tokens)),

            WeightName::Unembed => Some(table(self.unembed.linear.weight).t()),
            WeightName::LnFinalGain => Some(WeightView::vector(self.unembed.ln_final?.gain(), d)),
            WeightName::Block { layer, weight } => {
                let block = self.blocks.get(layer)?;
                let norms = [&block.ln1, &block.ln2];
                block_weight(&block.attention, &block.mlp, norms, weight)
            }
            _ => None,
        }
    }

    fn config_json(&self) -> String {
        self.plan.config.clone()
    }

    fn gguf(&self) -> Result<GgufForm, String> {
        let config = serde_json::from_str(&self.plan.config).expect("it was written here");
        let windowed = |sees: &Sees| matches!(sees, Sees::Window(_));
        decoder_gguf::form(&config, self.plan.sees.iter().any(windowed))
    }
}
