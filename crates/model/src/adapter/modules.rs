//! The linear layers of a model by the names that they have in transformers, and an adapter's tensors by PEFT's.
//!
//! A fused layer is several modules side by side: q_proj, k_proj and v_proj are one product here.

use std::collections::BTreeMap;

use glassformer_weights::TensorSource;

use super::AdapterError;
use crate::Model;
use crate::block::{Linear, Storage};

/// What PEFT puts before a module's name.
const PREFIX: &str = "base_model.model.";

/// What PEFT puts behind it for A and B.
const KINDS: [&str; 2] = [".lora_A.weight", ".lora_B.weight"];

/// A linear layer in transformers, some outputs of one here.
#[derive(Clone, Debug)]
pub(super) struct Module {
    /// Such as `model.layers.0.self_attn.q_proj`.
    pub(super) name: String,
    /// What it is a part of.
    pub(super) linear: Linear,
    /// Its first output there.
    pub(super) first: usize,
    /// Its outputs.
    pub(super) width: usize,
}

/// All linear layers but the unembedding, whose gradient never exists as a whole.
pub(super) fn modules(model: &Model) -> Vec<Module> {
    let unembed = model.network.unembed().map(|unembed| unembed.linear.weight);
    let linears = model.network.linears();
    let inner = linears
        .iter()
        .filter(|linear| Some(linear.weight) != unembed);
    inner.flat_map(|linear| of_linear(model, linear)).collect()
}

fn of_linear(model: &Model, linear: &Linear) -> Vec<Module> {
    let mut first = 0;
    let specs = model.parameters.layout().parts(linear.weight).iter();
    let module = |spec: &crate::ParamSpec| {
        let width = match linear.storage {
            Storage::OutIn => spec.shape[0],
            Storage::InOut => spec.shape[1],
        };
        first += width;
        Module {
            name: spec.name.trim_end_matches(".weight").to_owned(),
            linear: *linear,
            first: first - width,
            width,
        }
    };
    specs.map(module).collect()
}

/// The last part of a module's name.
pub(super) fn last(module: &str) -> &str {
    module.rsplit('.').next().unwrap_or(module)
}

/// Whether `module` is named by `name`, which may leave parents out.
pub(super) fn is_named(module: &str, name: &str) -> bool {
    let rest = module.strip_suffix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Whether a name tells of which block it is.
fn has_number(name: &str) -> bool {
    name.split('.').any(|part| part.parse::<usize>().is_ok())
}

/// The name of A or B of a module.
pub(super) fn tensor(module: &str, kind: &str) -> String {
    format!("{PREFIX}{module}.lora_{kind}.weight")
}

/// The module of a tensor, and what follows its name there.
pub(super) fn of_tensor(name: &str) -> Option<(&str, &str)> {
    let bare = name.strip_prefix(PREFIX).unwrap_or(name);
    let kind = KINDS.into_iter().find(|kind| bare.ends_with(kind))?;
    Some((&bare[..bare.len() - kind.len()], kind))
}

/// The modules that a file has tensors for, each with what stands before `.lora_A.weight` there: a model that was
/// wrapped without its head, or with one, has other parents before the same layers.
pub(super) fn in_file(
    modules: &[Module],
    source: &dyn TensorSource,
) -> Result<BTreeMap<String, String>, AdapterError> {
    let mut found = BTreeMap::new();
    let has = |name: &str| source.info(name).is_some();
    for tensor in source.names() {
        let error = |reason: String| AdapterError::Tensor {
            path: source.origin().to_owned(),
            tensor: tensor.clone(),
            reason,
        };
        let (name, kind) = of_tensor(&tensor).ok_or_else(|| {
            error(
                "is no A or B of a linear layer (LoRA), which is all that can be loaded".to_owned(),
            )
        })?;
        // Without its first parents it is still the name of one layer.
        let fits =
            |m: &&Module| is_named(name, &m.name) || is_named(&m.name, name) && has_number(name);
        let module = modules.iter().find(fits).ok_or_else(|| {
            let some = modules.first().map_or("none", |m| &m.name);
            error(format!(
                "belongs to the layer {name}, which the model has not, or which cannot have an adapter; its layers are named like {some}"
            ))
        })?;
        let before = &tensor[..tensor.len() - kind.len()];
        if let Some(kind) = KINDS.iter().find(|kind| !has(&format!("{before}{kind}"))) {
            return Err(error(format!("stands alone: {before}{kind} is missing")));
        }
        found.insert(module.name.clone(), before.to_owned());
    }
    if found.is_empty() {
        return Err(AdapterError::Empty {
            path: source.origin().to_owned(),
        });
    }
    Ok(found)
}
