//! Fused layers, on odd sizes and on more rows than one block of work.

use glassformer_kernels::product::Precision;
use glassformer_model::block::mlp::{Activation, Neurons, NormMlp, PlainMlp};
use glassformer_model::block::{
    LayerNorm, Linear, LinearOnto, Norm, NormLinear, RoundedLinear, Storage,
};
use glassformer_model::{Init, Layout, ParamId, Parameters};

use crate::layer_check::{Subject, random_parameters};
use crate::support::normals;

fn input(seed: u64, shape: &[usize]) -> (Vec<usize>, Vec<f32>) {
    (shape.to_vec(), normals(seed, shape.iter().product()))
}

fn norm(layout: &mut Layout, d: usize) -> Norm {
    Norm::Layer(LayerNorm {
        gain: layout.add("gain", &[d], Init::Ones),
        bias: layout.add("bias", &[d], Init::Zeros),
        eps: 1e-2,
    })
}

fn linear(
    layout: &mut Layout,
    name: &str,
    [d_in, d_out]: [usize; 2],
    storage: Storage,
    with_bias: bool,
) -> Linear {
    let shape = match storage {
        Storage::InOut => [d_in, d_out],
        Storage::OutIn => [d_out, d_in],
    };
    Linear {
        weight: layout.add(format!("W_{name}"), &shape, Init::Zeros),
        bias: with_bias.then(|| layout.add(format!("b_{name}"), &[d_out], Init::Zeros)),
        d_in,
        d_out,
        storage,
    }
}

/// x ← f(x) for every number of a parameter.
fn change(parameters: &mut Parameters, id: ParamId, f: impl Fn(usize, f32) -> f32) {
    let len = parameters.get(id).len();
    let values = &mut parameters.arena_mut()[id.offset()..][..len];
    values
        .iter_mut()
        .enumerate()
        .for_each(|(i, x)| *x = f(i, *x));
}

#[test]
fn norm_linear() {
    for (n, d_in, d_out) in [(1, 7, 3), (5, 11, 59), (67, 13, 5), (131, 7, 53)] {
        for storage in [Storage::InOut, Storage::OutIn] {
            for with_bias in [false, true] {
                let mut layout = Layout::default();
                let norm = norm(&mut layout, d_in);
                let linear = linear(&mut layout, "", [d_in, d_out], storage, with_bias);
                let mut parameters = random_parameters(layout, 1);
                let scale = 1.0 / (d_in as f32).sqrt();
                change(&mut parameters, linear.weight, |_, x| x * scale);
                let subject = Subject {
                    layer: NormLinear {
                        norm,
                        second: RoundedLinear {
                            linear,
                            kept: Precision::F32,
                        },
                    },
                    parameters,
                    inputs: [input(2, &[n, d_in])],
                };
                subject.check(&format!(
                    "norm + linear {n}×{d_in}→{d_out}, {storage:?}, bias {with_bias}"
                ));
            }
        }
    }
}

#[test]
fn linear_onto() {
    for (n, d_in, d_out) in [(1, 3, 5), (7, 5, 59), (67, 11, 3), (131, 7, 53)] {
        for storage in [Storage::InOut, Storage::OutIn] {
            for with_bias in [false, true] {
                let mut layout = Layout::default();
                let linear = linear(&mut layout, "", [d_in, d_out], storage, with_bias);
                let subject = Subject {
                    layer: LinearOnto(linear),
                    parameters: random_parameters(layout, 1),
                    inputs: [input(2, &[n, d_in]), input(3, &[n, d_out])],
                };
                subject.check(&format!(
                    "linear onto {n}×{d_in}→{d_out}, {storage:?}, bias {with_bias}"
                ));
            }
        }
    }
}

#[test]
fn rounded_linear() {
    for (n, d_in, d_out) in [(1, 7, 3), (67, 13, 5)] {
        for storage in [Storage::InOut, Storage::OutIn] {
            let mut layout = Layout::default();
            let linear = linear(&mut layout, "", [d_in, d_out], storage, true);
            let subject = Subject {
                layer: RoundedLinear {
                    linear,
                    kept: Precision::F32,
                },
                parameters: random_parameters(layout, 1),
                inputs: [input(2, &[n, d_in])],
            };
            subject.check(&format!("kept linear {n}×{d_in}→{d_out}, {storage:?}"));
        }
    }
}

#[test]
fn neurons() {
    for (n, d, f) in [(1, 7, 5), (3, 11, 53), (67, 13, 97), (131, 5, 59)] {
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Silu] {
            for storage in [Storage::InOut, Storage::OutIn] {
                let mut layout = Layout::default();
                let up = linear(&mut layout, "up", [d, f], storage, f != 53);
                let mut parameters = random_parameters(layout, 1);
                let scale = 1.0 / (d as f32).sqrt();
                change(&mut parameters, up.weight, |_, x| x * scale);
                let subject = Subject {
                    layer: Neurons { up, activation },
                    parameters,
                    inputs: [input(2, &[n, d])],
                };
                let name = activation.name();
                subject.check(&format!("neurons {n}×{d}→{f}, {name}, {storage:?}"));
            }
        }
    }
}

#[test]
fn norm_mlp() {
    for (n, d, f) in [
        (1, 7, 5),
        (3, 11, 53),
        (67, 13, 97),
        (131, 5, 59),
        (257, 7, 11),
    ] {
        for activation in [Activation::GeluTanh, Activation::Relu] {
            for onto_input in [false, true] {
                for with_biases in [false, true] {
                    // Without a bias nothing keeps the neurons away from ReLU's kink.
                    if with_biases || activation == Activation::GeluTanh {
                        norm_mlp_of([n, d, f], activation, onto_input, with_biases);
                    }
                }
            }
        }
    }
}

fn norm_mlp_of([n, d, f]: [usize; 3], activation: Activation, onto_input: bool, with_biases: bool) {
    let mut layout = Layout::default();
    let norm = norm(&mut layout, d);
    let mlp = PlainMlp {
        up: linear(&mut layout, "up", [d, f], Storage::InOut, with_biases),
        activation,
        down: linear(&mut layout, "down", [f, d], Storage::InOut, with_biases),
    };
    let mut parameters = random_parameters(layout, 1);
    let relu = activation == Activation::Relu;
    let [up, down] = [d, f].map(|width| 1.0 / (width as f32).sqrt());
    // ReLU: differences must not reach over its kink, so that each neuron is on or off for all rows.
    change(&mut parameters, mlp.up.weight, |_, x| {
        x * up * if relu { 0.1 } else { 1.0 }
    });
    change(&mut parameters, mlp.down.weight, |_, x| 0.3 * x * down);
    if let (true, Some(bias)) = (relu, mlp.up.bias) {
        change(
            &mut parameters,
            bias,
            |i, x| if i % 2 == 0 { 2.0 } else { -2.0 } + 0.1 * x,
        );
    }
    let subject = Subject {
        layer: NormMlp::new(norm, mlp, onto_input).expect("weights stored [I,O]"),
        parameters,
        inputs: [input(2, &[n, d])],
    };
    let name = activation.name();
    subject.check(&format!(
        "norm + MLP {n}×{d}→{f}, {name}, onto {onto_input}, biases {with_biases}"
    ));
}

/// The fused form reads the weights as GPT-2 stores them, and no others.
#[test]
fn norm_mlp_is_for_weights_stored_in_out() {
    let mut layout = Layout::default();
    let norm = norm(&mut layout, 3);
    let mut mlp = PlainMlp {
        up: linear(&mut layout, "up", [3, 5], Storage::InOut, true),
        activation: Activation::Relu,
        down: linear(&mut layout, "down", [5, 3], Storage::InOut, true),
    };
    assert!(NormMlp::new(norm, mlp, true).is_some());
    mlp.down.storage = Storage::OutIn;
    assert!(NormMlp::new(norm, mlp, true).is_none());
}
