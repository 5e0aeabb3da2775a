//! Marian's translators, such as OPUS-MT (Junczys-Dowmunt et al. 2018), and the Transformer of the paper (Vaswani et al.
//! 2017), which Marian's layout holds: waves for positions, post-norm blocks, rows of W_E multiplied by √D.

use std::sync::Arc;

use glassformer_tensor::Pool;
use glassformer_weights::TensorSource;

use super::bart::{checkpoint, has_output_bias};
use super::pair::{self, Places, Plan};
use super::{PairConfig, Refusal};
use crate::block::PostNormBlock;
use crate::{Keep, Model};

/// The family.
pub(super) const NAME: &str = "marian";

fn plan(config: &PairConfig) -> Plan {
    config.plan(NAME, Places::Sinusoidal, [false, false])
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
    pair::bind::<PostNormBlock>(plan, &checkpoint(source, keep))
}

/// A fresh model.
pub(super) fn new(config: &PairConfig, seed: u64, pool: &Pool) -> Model {
    pair::fresh::<PostNormBlock>(plan(config), seed, pool)
}
