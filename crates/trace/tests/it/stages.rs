//! Every stage of every block, made again in naive `f64` from the sites before it and from the weights.

use glassformer_model::block::mlp::Activation;
use glassformer_model::{BlockSite, BlockWeight, Dimensions, Model, Site, WeightName};
use glassformer_trace::Recording;
use glassformer_trace::weight::Weight;

use crate::support::{GOLDEN, T, assert_close, block, model, recorded, text, values};

/// Matrices as rows of numbers.
type Rows = Vec<Vec<f64>>;

struct Stages<'a> {
    model: &'a Model,
    recording: &'a Recording,
    layer: usize,
}

impl Stages<'_> {
    /// A site's values, cut into rows of `width`.
    fn rows(&self, site: BlockSite, width: usize) -> Rows {
        let values = values(self.recording, block(self.layer, site));
        values
            .chunks(width)
            .map(|row| row.iter().map(|&x| f64::from(x)).collect())
            .collect()
    }

    /// x·W + b.
    fn linear(&self, x: &Rows, weight: BlockWeight, bias: BlockWeight) -> Rows {
        let [w, b] = [weight, bias]
            .map(|name| Weight::of(self.model, WeightName::block(self.layer, name)).unwrap());
        let [rows, cols] = w.shape();
        assert_eq!((x[0].len(), b.shape()), (rows, [1, cols]));
        let column =
            |x: &[f64], c: usize| (0..rows).map(|r| x[r] * f64::from(w.at(r, c))).sum::<f64>();
        x.iter()
            .map(|x| {
                (0..cols)
                    .map(|c| column(x, c) + f64::from(b.at(0, c)))
                    .collect()
            })
            .collect()
    }

    fn check(&self, site: BlockSite, expected: &Rows) -> f64 {
        let place = block(self.layer, site);
        assert_close(
            &place.to_string(),
            values(self.recording, place),
            &expected.concat(),
        )
    }

    fn norm(&self, x: &Rows, gain: WeightName, bias: WeightName) -> Rows {
        let [w, b] = [gain, bias].map(|name| Weight::of(self.model, name).unwrap());
        let eps = f64::from(self.model.network.norm_eps());
        let row = |x: &Vec<f64>| {
            let n = x.len() as f64;
            let mean = x.iter().sum::<f64>() / n;
            let std = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n + eps).sqrt();
            let at = |(i, x): (usize, &f64)| {
                (x - mean) / std * f64::from(w.at(0, i)) + f64::from(b.at(0, i))
            };
            x.iter().enumerate().map(at).collect()
        };
        x.iter().map(row).collect()
    }

    fn block_norm(&self, x: &Rows, gain: BlockWeight, bias: BlockWeight) -> Rows {
        self.norm(
            x,
            WeightName::block(self.layer, gain),
            WeightName::block(self.layer, bias),
        )
    }

    /// From the residual stream to what attention adds; returns the worst difference.
    fn attention(&self) -> f64 {
        use BlockSite::{AttnOut, K, Ln1, Pattern, Q, ResidMid, ResidPre, Scores, V, Z};
        let Dimensions {
            d_model: d,
            d_head,
            n_heads,
            ..
        } = self.model.dimensions();
        let width = n_heads * d_head;
        let resid_pre = self.rows(ResidPre, d);
        let mut worst = self.check(
            Ln1,
            &self.block_norm(&resid_pre, BlockWeight::Ln1Gain, BlockWeight::Ln1Bias),
        );
        let ln1 = self.rows(Ln1, d);
        for (site, weight, bias) in [
            (Q, BlockWeight::Query, BlockWeight::QueryBias),
            (K, BlockWeight::Key, BlockWeight::KeyBias),
            (V, BlockWeight::Value, BlockWeight::ValueBias),
        ] {
            worst = worst.max(self.check(site, &self.linear(&ln1, weight, bias)));
        }
        let [q, k, v] = [Q, K, V].map(|site| self.rows(site, width));
        let pattern = self.rows(Pattern, T);
        let scores = self.rows(Scores, T);
        let (mut new_scores, mut new_pattern) = (Rows::new(), Rows::new());
        let mut z = vec![vec![0.0; width]; T];
        for (h, t) in (0..n_heads).flat_map(|h| (0..T).map(move |t| (h, t))) {
            let part = h * d_head..(h + 1) * d_head;
            let dot = |s: usize| {
                part.clone().map(|e| q[t][e] * k[s][e]).sum::<f64>() / (d_head as f64).sqrt()
            };
            new_scores.push(
                (0..T)
                    .map(|s| if s <= t { dot(s) } else { f64::NEG_INFINITY })
                    .collect(),
            );
            new_pattern.push(softmax(&scores[h * T + t]));
            for e in part.clone() {
                z[t][e] = (0..T).map(|s| pattern[h * T + t][s] * v[s][e]).sum();
            }
        }
        worst = worst
            .max(self.check(Scores, &new_scores))
            .max(self.check(Pattern, &new_pattern));
        worst = worst.max(self.check(Z, &z));
        let z = self.rows(Z, width);
        worst = worst.max(self.check(
            AttnOut,
            &self.linear(&z, BlockWeight::Out, BlockWeight::OutBias),
        ));
        worst.max(self.check(ResidMid, &add(&resid_pre, &self.rows(AttnOut, d))))
    }

    /// From there to what the MLP adds.
    fn mlp(&self) -> f64 {
        use BlockSite::{Ln2, MlpOut, MlpPost, MlpPre, ResidMid, ResidPost};
        let Dimensions {
            d_model: d, d_ff, ..
        } = self.model.dimensions();
        let resid_mid = self.rows(ResidMid, d);
        let mut worst = self.check(
            Ln2,
            &self.block_norm(&resid_mid, BlockWeight::Ln2Gain, BlockWeight::Ln2Bias),
        );
        let ln2 = self.rows(Ln2, d);
        worst = worst.max(self.check(
            MlpPre,
            &self.linear(&ln2, BlockWeight::Up, BlockWeight::UpBias),
        ));
        let pre = self.rows(MlpPre, d_ff);
        let f: fn(f64) -> f64 = match self.model.network.activation() {
            Activation::Relu => |x| x.max(0.0),
            _ => gelu,
        };
        let post: Rows = pre
            .iter()
            .map(|row| row.iter().map(|&x| f(x)).collect())
            .collect();
        worst = worst.max(self.check(MlpPost, &post));
        let post = self.rows(MlpPost, d_ff);
        worst = worst.max(self.check(
            MlpOut,
            &self.linear(&post, BlockWeight::Down, BlockWeight::DownBias),
        ));
        worst.max(self.check(ResidPost, &add(&resid_mid, &self.rows(MlpOut, d))))
    }
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
}

fn softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|x| (x - max).exp()).sum();
    x.iter().map(|x| (x - max).exp() / sum).collect()
}

fn add(a: &Rows, b: &Rows) -> Rows {
    a.iter()
        .zip(b)
        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect())
        .collect()
}

#[test]
fn every_stage_follows_from_the_ones_before() {
    for name in GOLDEN {
        let model = model(name);
        let recording = recorded(&model, &text(&model, 7), &[]);
        let mut worst = 0.0f64;
        for layer in 0..model.dimensions().n_layers {
            let stages = Stages {
                model: &model,
                recording: &recording,
                layer,
            };
            worst = worst.max(stages.attention()).max(stages.mlp());
        }
        println!("{name}: stages of blocks differ by at most {worst:.1e}");
    }
}

/// Before the first block, between blocks, and behind the last one.
#[test]
fn the_ends_and_the_joints() {
    for name in GOLDEN {
        let model = model(name);
        let ids = text(&model, 8);
        let recording = recorded(&model, &ids, &[]);
        let Dimensions {
            d_model: d,
            n_layers,
            vocab,
            ..
        } = model.dimensions();
        let [embed, positions, w_u] =
            [WeightName::Embed, WeightName::PosEmbed, WeightName::Unembed]
                .map(|name| Weight::of(&model, name).unwrap());
        for (t, &id) in ids.iter().enumerate() {
            for i in 0..d {
                let parts = [embed.at(id as usize, i), positions.at(t, i)];
                assert_eq!(
                    [Site::Embed, Site::PosEmbed].map(|site| recording.at(site, &[t, i]).unwrap()),
                    parts
                );
                assert_eq!(
                    recording.at(block(0, BlockSite::ResidPre), &[t, i]),
                    Ok(parts[0] + parts[1])
                );
                assert_eq!(
                    embed.at(id as usize, i),
                    w_u.at(i, id as usize),
                    "W_U is W_E, transposed"
                );
            }
        }
        for layer in 1..n_layers {
            let [before, after] = [
                block(layer - 1, BlockSite::ResidPost),
                block(layer, BlockSite::ResidPre),
            ];
            assert_eq!(values(&recording, before), values(&recording, after));
        }
        let stages = Stages {
            model: &model,
            recording: &recording,
            layer: n_layers - 1,
        };
        let last = stages.rows(BlockSite::ResidPost, d);
        let normed = stages.norm(&last, WeightName::LnFinalGain, WeightName::LnFinalBias);
        assert_close(
            "ln_final",
            values(&recording, Site::LnFinal),
            &normed.concat(),
        );
        let normed = values(&recording, Site::LnFinal);
        let logit = |t: usize, v: usize| {
            (0..d)
                .map(|i| f64::from(normed[t * d + i]) * f64::from(w_u.at(i, v)))
                .sum()
        };
        let logits: Vec<f64> = (0..T)
            .flat_map(|t| (0..vocab).map(move |v| (t, v)))
            .map(|(t, v)| logit(t, v))
            .collect();
        assert_close("logits", values(&recording, Site::Logits), &logits);
        let logits: Vec<f64> = values(&recording, Site::Logits)
            .iter()
            .map(|&x| f64::from(x))
            .collect();
        let probs: Vec<f64> = logits.chunks(vocab).flat_map(softmax).collect();
        assert_close("probs", values(&recording, Site::Probs), &probs);
    }
}

/// Weights have the shapes that their names are documented with.
#[test]
fn weights_by_name() {
    let model = model("gpt2-relu-odd");
    let (d, f, v) = (26, 37, 53);
    let shape = |name: &str| Weight::of(&model, name.parse().unwrap()).unwrap().shape();
    for (name, expected) in [
        ("W_E", [v, d]),
        ("W_pos", [19, d]),
        ("W_U", [d, v]),
        ("ln_final.w", [1, d]),
        ("blocks.1.attn.W_Q", [d, d]),
        ("blocks.1.attn.b_V", [1, d]),
        ("blocks.0.mlp.W_up", [d, f]),
        ("blocks.0.mlp.b_up", [1, f]),
        ("blocks.0.mlp.W_down", [f, d]),
    ] {
        assert_eq!(shape(name), expected, "{name}");
    }
    assert!(Weight::of(&model, "blocks.2.ln1.w".parse().unwrap()).is_err());
    let whole = Weight::of(&model, WeightName::Unembed).unwrap();
    let part = whole.part(3..5, 50..900);
    assert_eq!(part.shape, [2, 3]);
    assert_eq!(part.at(&[1, 2]), Some(whole.at(4, 52)));
    assert_eq!(whole.part(40..90, 0..3).data.len(), 0);
}
