//! GPT-2 in files of three kinds: Hugging Face's, whose matrices are [in, out], nanoGPT's and llama.cpp's, whose are [out, in].

use std::sync::Arc;

use glassformer_weights::gguf::{Metadata, Value};
use glassformer_weights::{GgufFile, TensorSource, WeightsError};

use super::Refusal;
use super::gpt2::{Config, bind};
use crate::block::Storage;
use crate::block::mlp::Activation;
use crate::export::GgufForm;
use crate::{Checkpoint, Keep, Model, Order, Place};

/// llama.cpp's name of the architecture.
pub(super) const ARCHITECTURE: &str = "gpt2";

/// W_E.
pub(super) const EMBED: &str = "transformer.wte.weight";
/// W_pos.
pub(super) const POSITIONS: &str = "transformer.wpe.weight";
/// W_U where it is not W_Eᵀ.
pub(super) const UNEMBED: &str = "lm_head.weight";

/// Projections, whose matrices stand one way or the other.
const PROJECTIONS: [&str; 4] = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];

/// The order in a file that keeps matrices as `theirs`, of a network that keeps them as `ours`.
pub(super) fn order(name: &str, ours: Storage, theirs: Storage) -> Order {
    let is_projection = name
        .strip_suffix(".weight")
        .is_some_and(|rest| PROJECTIONS.iter().any(|part| rest.ends_with(part)));
    if is_projection && ours != theirs {
        Order::Transposed
    } else {
        Order::Same
    }
}

/// How a network keeps matrices that a file has [out, in]: so too where they stay there; as Hugging Face's where they are
/// in memory, so that what is trained is saved in that order.
fn storage(keep: Keep) -> Storage {
    match keep {
        Keep::InFile => Storage::OutIn,
        Keep::InMemory => Storage::InOut,
    }
}

/// A model from a checkpoint in Hugging Face's names; `config` must have passed [`Config::check`].
pub(super) fn open(
    config: &Config,
    source: Arc<dyn TensorSource>,
    keep: Keep,
) -> Result<Model, Refusal> {
    // Some checkpoints of the bare model lack the prefix.
    let prefixed = source.info(EMBED).is_some();
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
    bind(config, Storage::InOut, &checkpoint)
}

/// What stands before all names in a checkpoint of nanoGPT: a model that was compiled keeps its own names behind it. None
/// if the tensors are not nanoGPT's, whose projections are [out, in].
fn nanogpt_prefix(source: &dyn TensorSource) -> Option<&'static str> {
    ["", "_orig_mod."].into_iter().find(|prefix| {
        let info = source.info(&format!("{prefix}transformer.h.0.attn.c_attn.weight"));
        info.is_some_and(|info| matches!(info.shape[..], [out, inner] if out == 3 * inner))
    })
}

/// Whether the tensors are those of a checkpoint of nanoGPT.
pub(super) fn is_nanogpt(source: &dyn TensorSource) -> bool {
    nanogpt_prefix(source).is_some()
}

/// A nanoGPT checkpoint, whose tensors say all of its sizes but the number of heads.
pub(super) fn open_nanogpt(
    source: Arc<dyn TensorSource>,
    heads: usize,
    keep: Keep,
) -> Result<Model, Refusal> {
    let prefix = nanogpt_prefix(&*source).unwrap_or_default();
    let config = nanogpt_config(&*source, prefix, heads)?;
    config.check().map_err(Refusal::Config)?;
    let ours = storage(keep);
    let file = Arc::clone(&source);
    let find = move |name: &str| {
        let theirs = format!("{prefix}{name}");
        // Made with bias=False it has none, neither in layers nor in norms.
        if name.strip_suffix(".bias").is_some() && file.info(&theirs).is_none() {
            return Place::ordered(theirs, Order::Absent);
        }
        Place::ordered(theirs, order(name, ours, Storage::OutIn))
    };
    let checkpoint = Checkpoint {
        source,
        find: Box::new(find),
        keep,
    };
    bind(&config, ours, &checkpoint)
}

fn nanogpt_config(
    source: &dyn TensorSource,
    prefix: &str,
    n_head: usize,
) -> Result<Config, Refusal> {
    let matrix = |name: &str| -> Result<[usize; 2], Refusal> {
        let name = format!("{prefix}{name}");
        let shape = source.require(&name)?.shape;
        <[usize; 2]>::try_from(shape).map_err(|shape| {
            Refusal::Config(format!(
                "cannot be made: {name} has shape {shape:?}, not two axes"
            ))
        })
    };
    let [vocab_size, n_embd] = matrix(EMBED)?;
    let [n_positions, _] = matrix(POSITIONS)?;
    let [n_inner, _] = matrix("transformer.h.0.mlp.c_fc.weight")?;
    let block = |layer: usize| format!("{prefix}transformer.h.{layer}.ln_1.weight");
    let n_layer = (0..).take_while(|layer| source.info(&block(*layer)).is_some());
    let n_layer = n_layer.count();
    let [wte, head] = [EMBED, UNEMBED].map(|name| format!("{prefix}{name}"));
    Ok(Config {
        vocab_size,
        n_positions,
        n_embd,
        n_layer,
        n_head,
        n_inner: (n_inner != 4 * n_embd).then_some(n_inner),
        activation_function: "gelu".to_owned(),
        tie_word_embeddings: is_tied(source, &wte, &head)?,
        ..Config::default()
    })
}

/// The model in a GGUF file.
pub(super) fn open_gguf(file: &GgufFile, keep: Keep) -> Result<Model, Refusal> {
    let config = gguf_config(file.metadata(), file)?;
    config.check().map_err(Refusal::Config)?;
    let ours = storage(keep);
    let checkpoint = Checkpoint {
        source: Arc::new(file.clone()),
        find: Box::new(move |name| Place::ordered(gguf(name), order(name, ours, Storage::OutIn))),
        keep,
    };
    bind(&config, ours, &checkpoint)
}

fn gguf_config(metadata: &Metadata, file: &GgufFile) -> Result<Config, Refusal> {
    let size = |name: &str| -> Result<usize, WeightsError> {
        let value = metadata.u64(&format!("{ARCHITECTURE}.{name}"))?;
        Ok(value as usize)
    };
    let (wte, head) = (gguf(EMBED), gguf(UNEMBED));
    let vocab_size = file.info(&wte).map_or(0, |info| info.shape[0]);
    let (n_embd, n_inner) = (size("embedding_length")?, size("feed_forward_length")?);
    Ok(Config {
        vocab_size,
        n_positions: size("context_length")?,
        n_embd,
        n_layer: size("block_count")?,
        n_head: size("attention.head_count")?,
        n_inner: (n_inner.checked_div(4) != Some(n_embd)).then_some(n_inner),
        layer_norm_epsilon: metadata
            .f32(&format!("{ARCHITECTURE}.attention.layer_norm_epsilon"))?,
        tie_word_embeddings: is_tied(file, &wte, &head)?,
        ..Config::default()
    })
}

/// Whether W_U is W_Eᵀ: it is not there, or there again.
fn is_tied(source: &dyn TensorSource, embed: &str, unembed: &str) -> Result<bool, WeightsError> {
    let (Some(one), Some(other)) = (source.info(embed), source.info(unembed)) else {
        return Ok(true);
    };
    Ok(one == other && source.bytes(embed)? == source.bytes(unembed)?)
}

/// llama.cpp's name.
fn gguf(name: &str) -> String {
    let in_block = name
        .strip_prefix("transformer.h.")
        .and_then(|rest| rest.split_once('.'))
        .and_then(|(layer, part)| Some((layer, part.rsplit_once('.')?)));
    let Some((layer, (part, kind))) = in_block else {
        return match name {
            EMBED => "token_embd.weight".to_owned(),
            POSITIONS => "position_embd.weight".to_owned(),
            UNEMBED => "output.weight".to_owned(),
            _ => name.replace("transformer.ln_f", "output_norm"),
        };
    };
    let part = match part {
        "ln_1" => "attn_norm",
        "attn.c_attn" => "attn_qkv",
        "attn.c_proj" => "attn_output",
        "ln_2" => "ffn_norm",
        "mlp.c_fc" => "ffn_up",
        "mlp.c_proj" => "ffn_down",
        other => other,
    };
    format!("blk.{layer}.{part}.{kind}")
}

/// How llama.cpp holds a network with this config, whose matrices are `ours`. Errors: it cannot, in words that follow
/// "the model".
pub(super) fn form(config: &Config, ours: Storage) -> Result<GgufForm, String> {
    let remarks = match config.activation()? {
        Activation::GeluTanh => Vec::new(),
        Activation::Gelu => vec![
            "such files cannot say that GELU is the exact one: it is computed by tanh there, which differs by less than 0.0005"
                .to_owned(),
        ],
        Activation::Silu | Activation::Relu => {
            return Err(format!(
                "has activation_function {:?}; llama.cpp knows gpt2 with gelu_new alone",
                config.activation_function
            ));
        }
    };
    let size = |n: usize| Value::U32(n as u32);
    let metadata = [
        ("block_count", size(config.n_layer)),
        ("context_length", size(config.n_positions)),
        ("embedding_length", size(config.n_embd)),
        ("feed_forward_length", size(config.d_ff())),
        ("attention.head_count", size(config.n_head)),
        (
            "attention.layer_norm_epsilon",
            Value::F32(config.layer_norm_epsilon),
        ),
    ];
    let keyed = metadata.map(|(name, value)| (format!("{ARCHITECTURE}.{name}"), value));
    let find = move |name: &str| {
        Some(Place::ordered(
            gguf(name),
            order(name, ours, Storage::OutIn),
        ))
    };
    Ok(GgufForm {
        architecture: ARCHITECTURE,
        metadata: keyed.into(),
        find: Box::new(find),
        vectors: Vec::new(),
        remarks,
    })
}
