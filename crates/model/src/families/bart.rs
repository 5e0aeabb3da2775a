//! BART (Lewis et al. 2020): learned positions behind a norm, post-norm blocks. And mBART (Liu et al. 2020), the same with
//! pre-norm blocks and a norm behind each stack.

use std::sync::Arc;

use glassformer_tensor::Pool;
use glassformer_weights::TensorSource;

use super::pair::{self, Places, Plan};
use super::{PairConfig, Refusal};
use crate::block::{PostNormBlock, PreNormBlock};
use crate::{Checkpoint, Keep, Model, Place};

/// The families that this file composes.
pub(super) const NAMES: [&str; 2] = ["bart", PRE_NORM];

/// The one with norms before the parts of blocks.
const PRE_NORM: &str = "mbart";

/// The row of W_pos that belongs to the first position: those before it belong to none.
const FIRST: usize = 2;

fn is_pre_norm(config: &PairConfig) -> bool {
    config.model_type == PRE_NORM
}

fn plan(config: &PairConfig) -> Plan {
    let is_pre_norm = is_pre_norm(config);
    let family = NAMES[usize::from(is_pre_norm)];
    config.plan(family, Places::Learned(FIRST), [true, is_pre_norm])
}

/// A model from a Hugging Face checkpoint.
pub(super) fn open(
    config: &PairConfig,
    source: Arc<dyn TensorSource>,
    keep: Keep,
) -> Result<Model, Refusal> {
    config.check().map_err(Refusal::Config)?;
    let plan = Plan {
        output_bias: has_output_bias(&*source),
        ..plan(config)
    };
    let checkpoint = checkpoint(source, keep);
    if is_pre_norm(config) {
        pair::bind::<PreNormBlock>(plan, &checkpoint)
    } else {
        pair::bind::<PostNormBlock>(plan, &checkpoint)
    }
}

/// A fresh model.
pub(super) fn new(config: &PairConfig, seed: u64, pool: &Pool) -> Model {
    if is_pre_norm(config) {
        pair::fresh::<PreNormBlock>(plan(config), seed, pool)
    } else {
        pair::fresh::<PostNormBlock>(plan(config), seed, pool)
    }
}

/// Whether logits have a bias.
pub(super) fn has_output_bias(source: &dyn TensorSource) -> bool {
    source.info("final_logits_bias").is_some()
}

/// A checkpoint of BART or its kin: models without a head lack the prefix `model.`, and a table that is shared may stand in
/// the file under the name of one of its users.
pub(super) fn checkpoint(source: Arc<dyn TensorSource>, keep: Keep) -> Checkpoint {
    let file = Arc::clone(&source);
    let find = move |name: &str| {
        let users =
            ["encoder", "decoder"].map(|stack| format!("model.{stack}.embed_tokens.weight"));
        let users = users.iter().filter(|_| name == "model.shared.weight");
        let names = [name].into_iter().chain(users.map(String::as_str));
        let mut names = names.flat_map(|name| [name, name.strip_prefix("model.").unwrap_or(name)]);
        let found = names.find(|name| file.info(name).is_some());
        Place::named(found.unwrap_or(name))
    };
    Checkpoint {
        source,
        find: Box::new(find),
        keep,
    }
}
