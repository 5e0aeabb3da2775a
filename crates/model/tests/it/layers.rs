//! Every layer, on odd sizes.

use glassformer_kernels::attention::Sees;
use glassformer_kernels::dropout::Mask;
use glassformer_kernels::product::Precision;
use glassformer_model::block::attention::{
    AcrossHeads, HeadNorm, Heads, Mix, RelativeBias, Rope, Rotate, Scoring, SelfAttention, Stretch,
};
use glassformer_model::block::mlp::{Activation, Gate};
use glassformer_model::block::{Dropout, LayerNorm, Linear, Norm, RmsNorm, Scaled, Storage};
use glassformer_model::embed::EmbedRows;
use glassformer_model::unembed::PickRows;
use glassformer_model::{
    Gradients, Init, Layer, Layout, Lengths, Mode, Parameters, Pass, Run, Tape,
};
use glassformer_tensor::{Buffers, Ids, Pool, Tensor};

use crate::layer_check::{Subject, random_parameters};
use crate::support::{normals, random_ids};

/// Attention of `[heads, kv_heads, d_head]` without a bias.
fn mix([heads, kv_heads, d_head]: [usize; 3], sees: Sees, dropout: Option<Mask>) -> Mix {
    let heads = Heads {
        heads,
        kv_heads,
        d_head,
    };
    Mix {
        heads,
        sees,
        scoring: Scoring::usual(d_head),
        dropout,
    }
}

#[test]
fn attention_across_texts() {
    for (targets, sources) in [([1, 1], [7, 1]), ([5, 3], [2, 61]), ([53, 2], [53, 3])] {
        for dropout in [None, Some(Mask::new(5, 0.3))] {
            let sizes = [4, 2, 3];
            let [q, kv] = [12, 2 * 6];
            let (of, sum) = (Lengths::of, |lengths: [usize; 2]| lengths[0] + lengths[1]);
            let subject = Subject {
                layer: AcrossHeads {
                    mix: mix(sizes, Sees::All, dropout),
                    targets: of(targets),
                    sources: of(sources),
                },
                parameters: random_parameters(Layout::default(), 0),
                inputs: [input(6, &[sum(targets), q]), input(7, &[sum(sources), kv])],
            };
            subject.check(&format!("attention of {targets:?} to {sources:?}"));
        }
    }
    // Of one length each, told as one pair.
    let subject = Subject {
        layer: AcrossHeads {
            mix: mix([3, 3, 5], Sees::All, None),
            targets: Lengths::Equal {
                batch: 2,
                positions: 7,
            },
            sources: Lengths::Equal {
                batch: 2,
                positions: 11,
            },
        },
        parameters: random_parameters(Layout::default(), 0),
        inputs: [input(6, &[14, 15]), input(7, &[22, 30])],
    };
    subject.check("attention of 2 × 7 to 2 × 11");
}

#[test]
fn attention_with_a_bias_by_distance() {
    for (sees, both_ways) in [(Sees::All, true), (Sees::Past, false)] {
        for lengths in [vec![1], vec![5, 2, 7], vec![3, 53, 1, 11]] {
            let mut layout = Layout::default();
            let (heads, buckets) = (3, 8);
            let bias = RelativeBias {
                table: layout.add("B", &[buckets, heads], Init::Zeros),
                buckets,
                farthest: 20,
                both_ways,
            };
            let scoring = Scoring {
                scale: 1.0,
                bias: Some(bias),
            };
            let mix = Mix {
                scoring,
                ..mix([heads, heads, 3], sees, None)
            };
            let lengths = Lengths::of(lengths);
            let rows = lengths.rows();
            let subject = Subject {
                layer: SelfAttention { mix, lengths },
                parameters: random_parameters(layout, 1),
                inputs: [input(6, &[rows, 27])],
            };
            subject.check(&format!("attention with a bias, {sees:?}, {rows} rows"));
        }
    }
}

#[test]
fn scaled() {
    let subject = Subject {
        layer: Scaled(-1.75),
        parameters: random_parameters(Layout::default(), 0),
        inputs: [input(6, &[5, 7])],
    };
    subject.check("a multiple");
}

fn input(seed: u64, shape: &[usize]) -> (Vec<usize>, Vec<f32>) {
    (shape.to_vec(), normals(seed, shape.iter().product()))
}

#[test]
fn linear() {
    for (n, d_in, d_out) in [
        (1, 3, 5),
        (7, 5, 3),
        (1, 7, 601),
        (83, 13, 11),
        (131, 17, 1),
    ] {
        for storage in [Storage::InOut, Storage::OutIn] {
            for with_bias in [false, true] {
                let mut layout = Layout::default();
                let shape = if storage == Storage::InOut {
                    [d_in, d_out]
                } else {
                    [d_out, d_in]
                };
                let weight = layout.add("W", &shape, Init::Zeros);
                let bias = with_bias.then(|| layout.add("b", &[d_out], Init::Zeros));
                let layer = Linear {
                    weight,
                    bias,
                    d_in,
                    d_out,
                    storage,
                };
                let parameters = random_parameters(layout, 1);
                let subject = Subject {
                    layer,
                    parameters,
                    inputs: [input(2, &[n, d_in])],
                };
                subject.check(&format!(
                    "linear {n}×{d_in}→{d_out}, {storage:?}, bias {with_bias}"
                ));
            }
        }
    }
}

#[test]
fn layer_norm() {
    for (n, d) in [(1, 5), (3, 17), (149, 7)] {
        let mut layout = Layout::default();
        let gain = layout.add("w", &[d], Init::Ones);
        let between = layout.add("something else", &[3], Init::Ones);
        let bias = layout.add("b", &[d], Init::Zeros);
        assert_eq!(between.offset(), d);
        let layer = Norm::Layer(LayerNorm {
            gain,
            bias,
            eps: 1e-2,
        });
        let subject = Subject {
            layer,
            parameters: random_parameters(layout, 1),
            inputs: [input(2, &[n, d])],
        };
        subject.check(&format!("layer norm {n}×{d}"));
    }
}

#[test]
fn activation() {
    for (n, d) in [(3, 7), (131, 257)] {
        for layer in Activation::ALL {
            let mut x = input(4, &[n, d]);
            for x in &mut x.1 {
                // Differences must not reach over ReLU's kink.
                *x += 0.1f32.copysign(*x);
            }
            let parameters = random_parameters(Layout::default(), 0);
            Subject {
                layer,
                parameters,
                inputs: [x],
            }
            .check(&format!("{} {n}×{d}", layer.name()));
        }
    }
}

#[test]
fn rms_norm() {
    for (n, d) in [(1, 5), (3, 17), (149, 7)] {
        let mut layout = Layout::default();
        let gain = layout.add("w", &[d], Init::Ones);
        let layer = Norm::Rms(RmsNorm { gain, eps: 1e-2 });
        let subject = Subject {
            layer,
            parameters: random_parameters(layout, 1),
            inputs: [input(2, &[n, d])],
        };
        subject.check(&format!("RMS norm {n}×{d}"));
    }
}

#[test]
fn gate() {
    for activation in [Activation::Silu, Activation::Gelu] {
        for (n, width) in [(1, 1), (3, 17), (41, 5)] {
            let layer = Gate {
                activation,
                kept: Precision::F32,
            };
            let subject = Subject {
                layer,
                parameters: random_parameters(Layout::default(), 0),
                inputs: [input(2, &[n, 2 * width])],
            };
            subject.check(&format!("{} gate {n}×{width}", activation.name()));
        }
    }
}

#[test]
fn what_places_queries_and_keys() {
    for (heads, kv_heads, d_head) in [(1, 1, 2), (3, 3, 10), (4, 2, 6)] {
        let heads = Heads {
            heads,
            kv_heads,
            d_head,
        };
        for n in [1, 5, 67] {
            let qkv = input(6, &[n, heads.width() + 2 * heads.kv_width()]);
            let positions = (0..n as u32).map(|t| (t * 7) % 300);
            let layer = Rotate {
                rope: Rope::new(d_head, 100.0, &Stretch::None, 300),
                heads,
                positions: Ids::new(&Buffers::new(), positions),
                kept: Precision::F32,
            };
            let subject = Subject {
                layer,
                parameters: random_parameters(Layout::default(), 0),
                inputs: [qkv.clone()],
            };
            subject.check(&format!("RoPE of {n} rows, {heads:?}"));
            let mut layout = Layout::default();
            let [q_gain, k_gain] = ["q", "k"].map(|name| layout.add(name, &[d_head], Init::Ones));
            let layer = HeadNorm {
                q_gain,
                k_gain,
                eps: 1e-2,
                heads,
            };
            let subject = Subject {
                layer,
                parameters: random_parameters(layout, 3),
                inputs: [qkv],
            };
            subject.check(&format!("norm of {n} rows, {heads:?}"));
        }
    }
}

#[test]
fn self_attention() {
    let seen = [
        Sees::Past,
        Sees::All,
        Sees::Window(3),
        Sees::Past,
        Sees::Window(50),
    ];
    let sizes = [(1, 1), (1, 7), (3, 5), (1, 71), (2, 67)];
    for ((batch, positions), sees) in sizes.into_iter().zip(seen) {
        for (heads, kv_heads, d_head) in [(1, 1, 3), (3, 3, 5), (4, 2, 3), (3, 1, 2)] {
            for dropout in [None, Some(Mask::new(5, 0.3))] {
                let layer = SelfAttention {
                    mix: mix([heads, kv_heads, d_head], sees, dropout),
                    lengths: Lengths::Equal { batch, positions },
                };
                let qkv = input(6, &[batch * positions, (heads + 2 * kv_heads) * d_head]);
                let parameters = random_parameters(Layout::default(), 0);
                let subject = Subject {
                    layer,
                    parameters,
                    inputs: [qkv],
                };
                subject.check(&format!(
                    "heads {batch}×{positions}, {heads}/{kv_heads}·{d_head}, {}",
                    dropout.is_some()
                ));
            }
        }
    }
}

#[test]
fn self_attention_over_sequences_of_any_lengths() {
    for sees in [Sees::All, Sees::Past, Sees::Window(3)] {
        for lengths in [vec![1, 1], vec![5, 2, 7], vec![3, 53, 1, 11]] {
            for dropout in [None, Some(Mask::new(5, 0.3))] {
                let (heads, kv_heads, d_head) = (4, 2, 3);
                let layer = SelfAttention {
                    mix: mix([heads, kv_heads, d_head], sees, dropout),
                    lengths: Lengths::of(lengths.iter().copied()),
                };
                let rows = layer.lengths.rows();
                let subject = Subject {
                    layer,
                    parameters: random_parameters(Layout::default(), 0),
                    inputs: [input(6, &[rows, (heads + 2 * kv_heads) * d_head])],
                };
                let drops = dropout.is_some();
                subject.check(&format!("heads, {lengths:?}, {sees:?}, dropout {drops}"));
            }
        }
    }
}

#[test]
fn pick_rows() {
    // Some rows are picked several times, some never.
    for (rows, width, picked) in [(5, 3, 11), (61, 7, 13), (1, 2, 3)] {
        let chosen = Ids::new(&Buffers::new(), random_ids(7, picked, rows).into_iter());
        let subject = Subject {
            layer: PickRows(chosen),
            parameters: random_parameters(Layout::default(), 1),
            inputs: [input(2, &[rows, width])],
        };
        subject.check(&format!("{picked} of {rows} rows of {width}"));
    }
}

#[test]
fn embed_rows() {
    // Few rows, many ids: some rows are picked several times, some never.
    for (vocab, width, n) in [(5, 3, 11), (61, 7, 13), (1, 2, 3)] {
        let mut layout = Layout::default();
        let table = layout.add("W", &[vocab, width], Init::Zeros);
        let ids = Ids::new(&Buffers::new(), random_ids(7, n, vocab).into_iter());
        let layer = EmbedRows::new(table, width, ids);
        let subject = Subject {
            layer,
            parameters: random_parameters(layout, 1),
            inputs: [],
        };
        subject.check(&format!("{n} rows of {vocab}×{width}"));
    }
}

/// y and d table for y = dropout(table), dy = `c`: the layer can only be called through a pass.
fn dropped(
    parameters: &Parameters,
    pool: &Pool,
    mode: Mode<'_>,
    c: Option<&[f32]>,
) -> (Vec<f32>, Vec<f32>) {
    let buffers = Buffers::new();
    let spec = &parameters.layout().specs()[0];
    let [rows, width] = [spec.shape[0], spec.shape[1]];
    let mut pass = Pass::new(
        Run {
            keeps: true,
            ..Run::new(parameters, pool, &buffers)
        },
        1,
        rows,
        mode,
    );
    let all = EmbedRows::new(spec.id, width, Ids::new(&buffers, 0..rows as u32));
    let x = pass.apply(all, []);
    let y = Dropout::forward(&mut pass, x);
    let mut gradients = Gradients::zeros(parameters.layout());
    let values = y.tensor().data().to_vec();
    if let Some(c) = c {
        let d_output = Tensor::from_slice(&buffers, y.tensor().shape(), c);
        pass.backward(&y, d_output, &mut gradients);
    }
    (values, gradients.arena().to_vec())
}

#[test]
fn dropout() {
    for (rows, width) in [(3, 7), (131, 257)] {
        let mut layout = Layout::default();
        layout.add("x", &[rows, width], Init::Zeros);
        let parameters = random_parameters(layout, 1);
        let x = parameters.arena();
        let c = normals(8, x.len());
        let training = |key, pool: &Pool| {
            let mode = Mode::Training {
                tape: &mut Tape::default(),
                dropout: 0.4,
                key,
            };
            dropped(&parameters, pool, mode, Some(&c))
        };
        let (y, dx) = training(3, &Pool::single());
        // y is linear in x, so dx is c times the factor y/x.
        for i in 0..x.len() {
            let factor = if y[i] == 0.0 { 0.0 } else { 1.0 / 0.6 };
            assert!(
                (y[i] - x[i] * factor).abs() < 1e-6 && (dx[i] - c[i] * factor).abs() < 1e-6,
                "element {i}"
            );
        }
        assert_eq!((&y, &dx), (&training(3, &Pool::new(2)).0, &dx));
        assert_ne!(
            y,
            training(4, &Pool::single()).0,
            "another key, another mask"
        );
        let off = Mode::Training {
            tape: &mut Tape::default(),
            dropout: 0.0,
            key: 3,
        };
        assert_eq!(
            dropped(&parameters, &Pool::single(), off, Some(&c)),
            (x.to_vec(), c)
        );
        assert_eq!(
            dropped(&parameters, &Pool::single(), Mode::Inference, None).0,
            x
        );
    }
}

/// Two calls in one pass draw two masks.
#[test]
fn each_call_of_dropout_has_its_own_mask() {
    let mut layout = Layout::default();
    let table = layout.add("x", &[5, 31], Init::Ones);
    let (parameters, pool, buffers) = (
        Parameters::new(layout, 0, &Pool::single()),
        Pool::single(),
        Buffers::new(),
    );
    let run = Run {
        keeps: true,
        ..Run::new(&parameters, &pool, &buffers)
    };
    let mut tape = Tape::default();
    let mode = Mode::Training {
        tape: &mut tape,
        dropout: 0.5,
        key: 1,
    };
    let mut pass = Pass::new(run, 1, 5, mode);
    let x = pass.apply(EmbedRows::new(table, 31, Ids::new(&buffers, 0..5)), []);
    let masks = [x.clone(), x].map(|x| Dropout::forward(&mut pass, x).tensor().data().to_vec());
    assert_ne!(masks[0], masks[1]);
    let _: <Dropout as Layer<1>>::Saved = ();
}

/// The mask runs over the pattern `[B,H,T,S]`: equal heads of equal sequences drop different weights.
#[test]
fn each_head_and_sequence_drops_its_own_weights() {
    let (batch, positions, d_head, heads) = (3, 5, 2, 4);
    let one = normals(9, d_head);
    let rows = batch * positions;
    let fused: Vec<f32> = (0..rows * 3 * heads).flat_map(|_| one.clone()).collect();
    let layer = SelfAttention {
        mix: mix([heads, heads, d_head], Sees::Past, Some(Mask::new(5, 0.5))),
        lengths: Lengths::Equal { batch, positions },
    };
    let parameters = random_parameters(Layout::default(), 0);
    let (pool, buffers) = (Pool::single(), Buffers::new());
    let run = Run {
        keeps: true,
        ..Run::new(&parameters, &pool, &buffers)
    };
    let qkv = Tensor::from_slice(&buffers, &[rows, 3 * heads * d_head], &fused);
    let (z, _) = layer.forward(run, [&qkv]);
    // All scores are equal, so each weight is 1/(t+1), and z is v times the mean of the mask's factors.
    let mut mask = vec![1.0; batch * heads * positions * positions];
    glassformer_kernels::dropout::apply(&mut mask, Mask::new(5, 0.5), 0);
    for (plane, factors) in mask.chunks(positions * positions).enumerate() {
        let (b, h) = (plane / heads, plane % heads);
        for t in 0..positions {
            let kept = factors[t * positions..=t * positions + t]
                .iter()
                .sum::<f32>()
                / (t + 1) as f32;
            let row = &z.row(b * positions + t)[h * d_head..][..d_head];
            for (actual, value) in row.iter().zip(&one) {
                assert!((actual - kept * value).abs() < 1e-6, "b {b}, h {h}, t {t}");
            }
        }
    }
}
