//! A Llama in llama2.c's own format: its config from the seven integers, its tensors under llama2.c's names.

use std::sync::Arc;

use glassformer_weights::{Llama2cFile, TensorSource};

use super::decoder_config::DecoderConfig;
use super::names::Naming;
use super::{Refusal, decoder};
use crate::{Keep, Model};

/// ε of the norms, which llama2.c has in its code.
const NORM_EPS: f32 = 1e-5;

/// Ids that begin and end a text, likewise.
const ENDS: [u32; 2] = [1, 2];

pub(super) fn open(file: &Llama2cFile, keep: Keep) -> Result<Model, Refusal> {
    let header = file.header();
    let [bos, eos] = ENDS.map(|id| Some(id.into()));
    let config = DecoderConfig {
        architectures: vec!["LlamaForCausalLM".to_owned()],
        model_type: "llama".to_owned(),
        vocab_size: header.vocab_size,
        hidden_size: header.dim,
        intermediate_size: header.hidden_dim,
        num_hidden_layers: header.n_layers,
        num_attention_heads: header.n_heads,
        num_key_value_heads: Some(header.n_kv_heads),
        max_position_embeddings: header.seq_len,
        rms_norm_eps: NORM_EPS,
        rope_theta: Some(10_000.0),
        tie_word_embeddings: header.shared_classifier,
        bos_token_id: bos,
        eos_token_id: eos,
        ..DecoderConfig::default()
    };
    let naming = Naming::Llama2c {
        paired: config.d_head(),
    };
    let source: Arc<dyn TensorSource> = Arc::new(file.clone());
    decoder(&config, source, keep, naming)
}
