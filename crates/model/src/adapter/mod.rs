//! Adapters: low-rank matrices beside the weights of a model, trained in their place (LoRA; Hu et al. 2021).
//!
//! An adapter adds (α/r)·x·A·B to linear layers that its config names; the layer is `block::Adapted`. Names are those that
//! PEFT gives its tensors, so that an adapter's arena is its file.

mod config;
mod error;
mod merge;
mod modules;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use glassformer_tensor::Pool;
use glassformer_weights::TensorSource;

pub use config::{LoraConfig, Targets};
pub use error::AdapterError;
use modules::{Module, modules};

use crate::block::{Linear, LowRank, Storage};
use crate::{Init, Layout, Model, ParamId, Parameters};

/// What is added to a model's linear layers.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// How.
    pub config: LoraConfig,
    /// All A and B, under PEFT's names.
    pub(crate) parameters: Parameters,
    /// By the weight of the linear layer.
    parts: HashMap<ParamId, Arc<[LowRank]>>,
}

impl Adapter {
    /// A fresh adapter for `model`: A random, B 0, so that it changes nothing yet. Errors: a target that the model has not.
    pub fn new(
        model: &Model,
        mut config: LoraConfig,
        seed: u64,
        pool: &Pool,
    ) -> Result<Self, AdapterError> {
        config.check()?;
        let all = modules(model);
        let chosen = config.targets.choose(&all)?;
        if config.targets == Targets::AllLinear {
            config.targets = Targets::of(&chosen);
        }
        config.transposed = chosen.iter().any(|m| m.linear.storage == Storage::InOut);
        let mut layout = Layout::behind(model.parameters.layout());
        let parts = add_all(&mut layout, &chosen, &config)?;
        Ok(Self {
            config,
            parameters: Parameters::new(layout, seed, pool),
            parts,
        })
    }

    /// The adapter in a file of PEFT's. Errors: a tensor that belongs to none of the model's linear layers, one that is
    /// missing or has another shape than config and model ask for.
    pub fn load(
        model: &Model,
        mut config: LoraConfig,
        source: &dyn TensorSource,
    ) -> Result<Self, AdapterError> {
        config.check()?;
        let all = modules(model);
        let found = modules::in_file(&all, source)?;
        let chosen: Vec<&Module> = all.iter().filter(|m| found.contains_key(&m.name)).collect();
        if config.targets == Targets::AllLinear {
            config.targets = Targets::of(&chosen);
        }
        let mut layout = Layout::behind(model.parameters.layout());
        let parts = add_all(&mut layout, &chosen, &config)?;
        let mut parameters = Parameters::zeros(layout);
        for spec in parameters.layout().specs().to_vec() {
            let (module, kind) = modules::of_tensor(&spec.name).expect("names of our own");
            let name = format!("{}{kind}", found[module]);
            let slot = parameters.get_mut(spec.id);
            source.read_f32(&name, &spec.shape, slot)?;
        }
        Ok(Self {
            config,
            parameters,
            parts,
        })
    }

    /// All its numbers, under PEFT's names.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What it adds to a linear layer.
    pub(crate) fn parts(&self, linear: &Linear) -> Option<&Arc<[LowRank]>> {
        self.parts.get(&linear.weight)
    }

    /// All A and B.
    pub(crate) fn linears(&self) -> impl Iterator<Item = Linear> {
        let parts = self.parts.values().flat_map(|parts| parts.iter());
        parts.flat_map(|part| [part.a, part.b])
    }

    /// The kinds of layers that it adds to, such as `q_proj`.
    pub fn kinds(&self) -> BTreeSet<String> {
        let specs = self.parameters.layout().specs().iter();
        let modules = specs.filter_map(|spec| modules::of_tensor(&spec.name));
        modules
            .map(|(module, _)| modules::last(module).to_owned())
            .collect()
    }
}

/// Adds A and B of each module to `layout`.
fn add_all(
    layout: &mut Layout,
    chosen: &[&Module],
    config: &LoraConfig,
) -> Result<HashMap<ParamId, Arc<[LowRank]>>, AdapterError> {
    let mut parts: HashMap<ParamId, Vec<LowRank>> = HashMap::new();
    for module in chosen {
        let (rank, scale) = config.of(&module.name)?;
        let d_in = module.linear.d_in;
        // As large as PEFT's, which draws A evenly from ±1/√I.
        let init = Init::Normal(1.0 / (3.0 * d_in as f32).sqrt());
        let mut linear = |kind: &str, d_in, d_out, init| Linear {
            weight: layout.add(modules::tensor(&module.name, kind), &[d_out, d_in], init),
            bias: None,
            d_in,
            d_out,
            storage: Storage::OutIn,
        };
        parts
            .entry(module.linear.weight)
            .or_default()
            .push(LowRank {
                a: linear("A", d_in, rank, init),
                b: linear("B", rank, module.width, Init::Zeros),
                first: module.first,
                scale,
            });
    }
    let shared = parts.into_iter().map(|(id, parts)| (id, Arc::from(parts)));
    Ok(shared.collect())
}

impl Model {
    /// Puts an adapter beside the parameters, which then stay as they are when the model is trained; the one that was
    /// there is dropped. Whatever was packed must be packed again.
    pub fn adapt(&mut self, adapter: Adapter) {
        self.packed = None;
        self.parameters.set_adapter(Some(adapter));
    }
}
