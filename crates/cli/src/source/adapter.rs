//! Adapters: added to the model that they name, or to one that is given.

use std::path::Path;

use anyhow::{Context, Result, bail};
use glassformer_model::Keep;
use glassformer_tensor::Pool;
use glassformer_train::adapter;

use super::Loaded;
use crate::builtin;

/// The adapter in `folder` on the model that its config names.
pub(super) fn load(folder: &Path, keep: Keep) -> Result<Loaded> {
    let base = base(folder)?;
    let loaded = super::load(&base, keep).with_context(|| {
        format!(
            "cannot load {base}, of which {} is an adapter; if it is elsewhere now, give it with -m and the adapter with --lora",
            folder.display()
        )
    })?;
    add(loaded, folder, keep)
}

/// The model that the adapter in `folder` names: a path, from where we are or from there.
fn base(folder: &Path) -> Result<String> {
    let config = adapter::read_config(folder)?;
    let Some(base) = config.base.filter(|base| !base.is_empty()) else {
        bail!(
            "{} is an adapter and does not say of which model; give that with -m and the adapter with --lora",
            folder.display()
        );
    };
    let beside = folder.join(&base);
    let is_beside = !builtin::has(&base) && !Path::new(&base).exists() && beside.exists();
    Ok(if is_beside {
        beside.display().to_string()
    } else {
        base
    })
}

/// Adds the adapter in `folder`: beside weights that stay in their file, or into those in memory, which are f32.
pub(super) fn add(mut loaded: Loaded, folder: &Path, keep: Keep) -> Result<Loaded> {
    if !adapter::is_adapter(folder) {
        bail!(
            "{} holds no adapter: there is no adapter_config.json, as PEFT writes it",
            folder.display()
        );
    }
    if loaded.model.parameters.adapter().is_some() {
        bail!(
            "{} is an adapter on a model already; merge it first (convert), then add another",
            loaded.name
        );
    }
    let read = adapter::read(folder, &loaded.model)
        .with_context(|| format!("cannot add an adapter to {}", loaded.name))?;
    loaded.model.adapt(read);
    if keep == Keep::InMemory {
        loaded.model.merge(&Pool::new(0))?;
    }
    loaded.name = format!("{} + {}", loaded.name, folder.display());
    Ok(loaded)
}
