//! What several families build alike, and where the parameters of a block lie.

use crate::block::attention::Attention;
use crate::block::mlp::{Activation, Mlp, PlainMlp};
use crate::block::{LayerNorm, Linear, Norm, Storage};
use crate::{BlockWeight, Init, Layout, ParamId, WeightView};

/// Largest size of anything in a config: what is above it is damage.
pub(super) const MOST: usize = 1 << 24;

/// Most layers: their parameters are listed before the file is asked for them.
const MOST_LAYERS: usize = 1 << 12;

/// Refuses sizes that cannot be, `layers` among them, in words that follow "config.json".
pub(super) fn check_sizes(sizes: &[(&str, usize)], layers: (&str, usize)) -> Result<(), String> {
    let (name, count) = layers;
    if count == 0 || count > MOST_LAYERS {
        return Err(format!(
            "has {name} = {count}; it must lie between 1 and 2^12"
        ));
    }
    match sizes.iter().find(|(_, size)| *size == 0 || *size > MOST) {
        None => Ok(()),
        Some((name, size)) => Err(format!(
            "has {name} = {size}; it must lie between 1 and 2^24"
        )),
    }
}

/// The function that a config's `field` names, or words that follow "config.json".
pub(super) fn activation(field: &str, name: &str) -> Result<Activation, String> {
    match name {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "silu" | "swish" => Ok(Activation::Silu),
        "relu" => Ok(Activation::Relu),
        other => Err(format!(
            "has {field} {other:?}; gelu, gelu_new, silu and relu can be computed"
        )),
    }
}

/// How far from 0 weights begin, as in GPT-2 and BERT.
pub(super) const STD: f32 = 0.02;

/// One linear layer from parts `(name, d_out)` side by side, their parameters one behind the other, stored [O,I].
pub(super) fn linear(
    layout: &mut Layout,
    parts: &[(String, usize)],
    d_in: usize,
    with_bias: bool,
    std: f32,
) -> Linear {
    let mut add = |kind: &str, shape: &dyn Fn(usize) -> Vec<usize>, init| {
        let ids = parts
            .iter()
            .map(|(name, d_out)| layout.add(format!("{name}.{kind}"), &shape(*d_out), init));
        ids.reduce(ParamId::join).expect("at least one part")
    };
    let weight = add("weight", &|d_out| vec![d_out, d_in], Init::Normal(std));
    let bias = with_bias.then(|| add("bias", &|d_out| vec![d_out], Init::Zeros));
    Linear {
        weight,
        bias,
        d_in,
        d_out: parts.iter().map(|(_, d_out)| d_out).sum(),
        storage: Storage::OutIn,
    }
}

/// A LayerNorm of vectors of `width` numbers.
pub(super) fn layer_norm(layout: &mut Layout, name: &str, width: usize, eps: f32) -> Norm {
    Norm::Layer(LayerNorm {
        gain: layout.add(format!("{name}.weight"), &[width], Init::Ones),
        bias: layout.add(format!("{name}.bias"), &[width], Init::Zeros),
        eps,
    })
}

/// Where a parameter of a block lies, if it has it.
pub(super) fn block_weight(
    attention: &Attention,
    mlp: &Mlp,
    [ln1, ln2]: [&Norm; 2],
    weight: BlockWeight,
) -> Option<WeightView> {
    let Attention {
        qkv,
        out,
        heads,
        head_norm,
        ..
    } = attention;
    let (q, kv, d) = (heads.width(), heads.kv_width(), out.d_out);
    let vector = |param, len| Some(WeightView::vector(param, len));
    match weight {
        BlockWeight::Ln1Gain => vector(ln1.gain(), d),
        BlockWeight::Ln1Bias => vector(ln1.bias()?, d),
        BlockWeight::Ln2Gain => vector(ln2.gain(), d),
        BlockWeight::Ln2Bias => vector(ln2.bias()?, d),
        BlockWeight::Query => columns(qkv, 0, q),
        BlockWeight::Key => columns(qkv, q, kv),
        BlockWeight::Value => columns(qkv, q + kv, kv),
        BlockWeight::QueryBias => bias(qkv, 0, q),
        BlockWeight::KeyBias => bias(qkv, q, kv),
        BlockWeight::ValueBias => bias(qkv, q + kv, kv),
        BlockWeight::QueryGain => vector(head_norm.as_ref()?.q_gain, heads.d_head),
        BlockWeight::KeyGain => vector(head_norm.as_ref()?.k_gain, heads.d_head),
        BlockWeight::Out => columns(out, 0, d),
        BlockWeight::OutBias => bias(out, 0, d),
        BlockWeight::Gate
        | BlockWeight::GateBias
        | BlockWeight::Up
        | BlockWeight::UpBias
        | BlockWeight::Down
        | BlockWeight::DownBias => mlp_weight(mlp, weight),
    }
}

fn mlp_weight(mlp: &Mlp, weight: BlockWeight) -> Option<WeightView> {
    let [first, down] = mlp.linears();
    let (f, d) = (down.d_in, down.d_out);
    // A gated one has W_gate and W_up side by side.
    let (gate, up) = match mlp {
        Mlp::Plain(PlainMlp { .. }) => (None, 0),
        Mlp::Gated(_) => (Some(0), f),
    };
    match weight {
        BlockWeight::Gate => columns(&first, gate?, f),
        BlockWeight::GateBias => bias(&first, gate?, f),
        BlockWeight::Up => columns(&first, up, f),
        BlockWeight::UpBias => bias(&first, up, f),
        BlockWeight::Down => columns(&down, 0, d),
        BlockWeight::DownBias => bias(&down, 0, d),
        _ => None,
    }
}

/// W [I,O] of some outputs of a layer.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands among others that may be missing"
)]
fn columns(linear: &Linear, first: usize, width: usize) -> Option<WeightView> {
    let Linear {
        weight,
        d_in,
        d_out,
        storage,
        ..
    } = *linear;
    Some(match storage {
        Storage::InOut => WeightView::part(weight, first, d_in, width, d_out),
        // Output columns are rows there.
        Storage::OutIn => WeightView::part(weight, first * d_in, width, d_in, d_in).t(),
    })
}

fn bias(linear: &Linear, first: usize, width: usize) -> Option<WeightView> {
    Some(WeightView::part(
        linear.bias?,
        first,
        1,
        width,
        linear.d_out,
    ))
}
