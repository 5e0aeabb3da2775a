//! A plan's layers, and the list of their parameters, which are called as in BART's checkpoints before a family translates.

use super::{Decoder, Encoder, NormKind, Pair, Places, Plan, Tables};
use crate::block::attention::{Attention, CrossAttention, Heads, RelativeBias, Scoring, Sees};
use crate::block::mlp::{GatedMlp, Mlp, PlainMlp};
use crate::block::{Block, CrossBlock, Linear, Norm, RmsNorm, Storage};
use crate::embed::{Positions, Sinusoids, StackEmbed, TokenEmbed};
use crate::families::parts;
use crate::unembed::Unembed;
use crate::{Dimensions, Init, Layout, ParamId, Stack};

impl<B: Block> Pair<B> {
    /// The composition and its parameters.
    pub(super) fn build(plan: Plan) -> (Self, Layout) {
        let mut builder = Builder {
            plan: &plan,
            layout: Layout::default(),
        };
        let tables = builder.tables();
        let encoder = Encoder {
            embed: builder.embed(Stack::Encoder, tables[0]),
            blocks: builder.encoder(),
            ln_final: builder.final_norm(Stack::Encoder),
        };
        let decoder = Decoder {
            embed: builder.embed(Stack::Decoder, tables[1]),
            blocks: builder.decoder(),
        };
        let ln_final = builder.final_norm(Stack::Decoder);
        let unembed = Unembed {
            transform: None,
            ln_final,
            scale: plan.output_scale,
            linear: builder.output(tables[1]),
        };
        let layout = builder.layout;
        let network = Self {
            plan,
            encoder,
            decoder,
            unembed,
        };
        (network, layout)
    }
}

/// Adds parameters.
struct Builder<'a> {
    plan: &'a Plan,
    layout: Layout,
}

/// One stack, or one block of it.
#[derive(Clone, Copy)]
struct At {
    stack: Stack,
    dimensions: Dimensions,
    layer: usize,
}

impl At {
    fn name(self, part: &str) -> String {
        format!("model.{}.layers.{}.{part}", self.stack, self.layer)
    }

    fn heads(self) -> Heads {
        Heads {
            heads: self.dimensions.n_heads,
            kv_heads: self.dimensions.n_heads,
            d_head: self.dimensions.d_head,
        }
    }
}

impl Builder<'_> {
    fn name(&self, name: &str) -> String {
        (self.plan.name)(name)
    }

    fn add(&mut self, name: &str, shape: &[usize], init: Init) -> ParamId {
        let name = self.name(name);
        self.layout.add(name, shape, init)
    }

    /// A linear layer of parts side by side; it begins as Glorot & Bengio 2010 have it, each part by itself.
    fn linear(&mut self, parts: &[(String, usize)], d_in: usize) -> Linear {
        let named = parts.iter().map(|(name, width)| (self.name(name), *width));
        let named: Vec<_> = named.collect();
        let std = (2.0 / (d_in + parts[0].1) as f32).sqrt();
        parts::linear(&mut self.layout, &named, d_in, self.plan.biases, std)
    }

    fn norm(&mut self, name: &str) -> Norm {
        let (d, name) = (self.plan.d_model, self.name(name));
        match self.plan.norm {
            NormKind::Layer(eps) => parts::layer_norm(&mut self.layout, &name, d, eps),
            NormKind::Rms(eps) => Norm::Rms(RmsNorm {
                gain: self.layout.add(format!("{name}.weight"), &[d], Init::Ones),
                eps,
            }),
        }
    }

    fn at(&self, stack: Stack, layer: usize) -> At {
        At {
            stack,
            dimensions: self.plan.dimensions(stack),
            layer,
        }
    }

    /// The tables of tokens of the encoder and of the decoder.
    fn tables(&mut self) -> [ParamId; 2] {
        let (plan, d) = (self.plan, self.plan.d_model);
        // Rows of length 1, as they are multiplied by √D where sources and logits share a table.
        let init = Init::Normal(1.0 / (d as f32).sqrt());
        let mut add = |name: &str, rows| self.add(name, &[rows, d], init);
        let (source, target) = (plan.source_vocab, plan.vocab);
        match plan.tables {
            Tables::One | Tables::OutputApart => [add("model.shared.weight", target); 2],
            Tables::SourceApart => [
                add("model.encoder.embed_tokens.weight", source),
                add("model.decoder.embed_tokens.weight", target),
            ],
        }
    }

    fn embed(&mut self, stack: Stack, tokens: ParamId) -> StackEmbed {
        let (d_model, n_ctx) = (self.plan.d_model, self.plan.n_ctx);
        let positions = match self.plan.places {
            Places::None => Positions::None,
            Places::Sinusoidal => Positions::Sinusoidal(Sinusoids::new(d_model, n_ctx)),
            Places::Learned(first) => {
                let name = format!("model.{stack}.embed_positions.weight");
                let init = Init::Normal(parts::STD);
                let table = self.add(&name, &[first + n_ctx, d_model], init);
                Positions::Learned { table, first }
            }
        };
        let norm = format!("model.{stack}.layernorm_embedding");
        StackEmbed {
            tokens: TokenEmbed {
                tokens,
                d_model,
                scale: self.plan.embed_scale,
            },
            positions,
            norm: self.plan.embed_norm.then(|| self.norm(&norm)),
        }
    }

    fn encoder<B: Block>(&mut self) -> Vec<B> {
        let bias = self.relative(Stack::Encoder);
        let layers = self.plan.stacks[Stack::Encoder as usize].n_layers;
        let blocks = (0..layers).map(|layer| self.block(self.at(Stack::Encoder, layer), bias));
        blocks.collect()
    }

    fn decoder<B: Block>(&mut self) -> Vec<CrossBlock<B>> {
        let bias = self.relative(Stack::Decoder);
        let layers = self.plan.stacks[Stack::Decoder as usize].n_layers;
        let blocks = (0..layers).map(|layer| {
            let at = self.at(Stack::Decoder, layer);
            CrossBlock {
                block: self.block(at, bias),
                ln_cross: self.norm(&at.name("encoder_attn_layer_norm")),
                cross: self.cross(at),
            }
        });
        blocks.collect()
    }

    /// A stack's bias of scores, whose table the checkpoint has in the first block.
    fn relative(&mut self, stack: Stack) -> Option<RelativeBias> {
        let relative = self.plan.relative?;
        let at = self.at(stack, 0);
        let name = at.name("self_attn.relative_attention_bias.weight");
        let shape = [relative.buckets, at.dimensions.n_heads];
        Some(RelativeBias {
            table: self.add(&name, &shape, Init::Normal(parts::STD)),
            buckets: relative.buckets,
            farthest: relative.farthest,
            both_ways: stack == Stack::Encoder,
        })
    }

    fn scale(&self, at: At) -> f32 {
        if self.plan.scaled_scores {
            Scoring::usual(at.dimensions.d_head).scale
        } else {
            1.0
        }
    }

    fn block<B: Block>(&mut self, at: At, bias: Option<RelativeBias>) -> B {
        let (d, width) = (self.plan.d_model, at.heads().width());
        let parts = ["q", "k", "v"].map(|part| (at.name(&format!("self_attn.{part}_proj")), width));
        let attention = Attention {
            qkv: self.linear(&parts, d),
            head_norm: None,
            rope: None,
            heads: at.heads(),
            sees: match at.stack {
                Stack::Encoder => Sees::All,
                Stack::Decoder => Sees::Past,
            },
            scoring: Scoring {
                scale: self.scale(at),
                bias,
            },
            out: self.linear(&[(at.name("self_attn.out_proj"), d)], width),
        };
        let norms = ["self_attn_layer_norm", "final_layer_norm"];
        let norms = norms.map(|name| self.norm(&at.name(name)));
        B::of(attention, norms, self.mlp(at))
    }

    fn mlp(&mut self, at: At) -> Mlp {
        let (d, f, activation) = (self.plan.d_model, at.dimensions.d_ff, self.plan.activation);
        if self.plan.gated {
            let parts = ["fc1_gate", "fc1_up"].map(|part| (at.name(part), f));
            return Mlp::Gated(GatedMlp {
                gate_up: self.linear(&parts, d),
                activation,
                down: self.linear(&[(at.name("fc2"), d)], f),
            });
        }
        Mlp::Plain(PlainMlp {
            up: self.linear(&[(at.name("fc1"), f)], d),
            activation,
            down: self.linear(&[(at.name("fc2"), d)], f),
        })
    }

    fn cross(&mut self, at: At) -> CrossAttention {
        let (d, width) = (self.plan.d_model, at.heads().width());
        let name = |part: &str| (at.name(&format!("encoder_attn.{part}_proj")), width);
        CrossAttention {
            q: self.linear(&[name("q")], d),
            kv: self.linear(&[name("k"), name("v")], d),
            heads: at.heads(),
            scale: self.scale(at),
            out: self.linear(&[(at.name("encoder_attn.out_proj"), d)], width),
        }
    }

    fn final_norm(&mut self, stack: Stack) -> Option<Norm> {
        let name = format!("model.{stack}.layer_norm");
        self.plan.final_norm.then(|| self.norm(&name))
    }

    /// The unembedding, from the decoder's table unless it has its own.
    fn output(&mut self, tokens: ParamId) -> Linear {
        let (d, v) = (self.plan.d_model, self.plan.vocab);
        let weight = match self.plan.tables {
            Tables::One | Tables::SourceApart => tokens,
            Tables::OutputApart => {
                let init = Init::Normal(1.0 / (d as f32).sqrt());
                self.add("lm_head.weight", &[v, d], init)
            }
        };
        let has_bias = self.plan.output_bias;
        let bias = has_bias.then(|| self.add("final_logits_bias", &[1, v], Init::Zeros));
        Linear {
            weight,
            bias,
            d_in: d,
            d_out: v,
            storage: Storage::OutIn,
        }
    }
}
