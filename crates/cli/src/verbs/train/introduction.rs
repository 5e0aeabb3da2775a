//! What is about to be trained, said before the first step.

use std::path::Path;

use glassformer_train::memory::{Needs, gigabytes};
use glassformer_train::setup::Ready;
use glassformer_train::{Material, Trainer};

use crate::terminal::{style, thousands};

/// Sizes, data and memory, each on a line.
pub(super) fn introduce(ready: &Ready, out: &Path) {
    let trainer = &ready.trainer;
    let d = trainer.model.dimensions();
    let pair = trainer.model.network.pair();
    let encoder = pair.map_or(String::new(), |pair| {
        format!("{} + ", pair.encoder().n_layers)
    });
    let tokens = trainer.material.batch_tokens() * trainer.options.accumulate;
    eprintln!(
        "{}: {encoder}{} layers, {} heads, {} wide, context {}, vocabulary {}; {}; {}{} tokens per step, in {}",
        style("1", &out.display().to_string()),
        d.n_layers,
        d.n_heads,
        d.d_model,
        trainer.options.n_ctx,
        thousands(d.vocab as u64),
        trained(trainer),
        if pair.is_some() { "at most " } else { "" },
        thousands(tokens as u64),
        trainer.options.precision.name(),
    );
    if let Material::Pairs {
        train, validation, ..
    } = &trainer.material
    {
        eprintln!(
            "{} pairs, {} tokens, in {} batches an epoch; {} pairs for validation.",
            thousands(train.shard().len() as u64),
            thousands(trainer.material.corpus() as u64),
            thousands(train.len() as u64),
            thousands(validation.shard().len() as u64),
        );
    }
    let parameters = &trainer.model.parameters;
    let (needs, frozen) = if parameters.adapter().is_some() {
        let needs = Needs::of_adapter(&trainer.options, &trainer.model);
        let frozen = format!("{} for the model's weights; ", gigabytes(needs.frozen));
        (needs, frozen)
    } else if pair.is_some() {
        let needs = Needs::of_pairs(&trainer.options, parameters.layout().len(), d.vocab);
        (needs, String::new())
    } else {
        (Needs::of(&trainer.options, &d), String::new())
    };
    eprintln!(
        "Memory: {frozen}{} for parameters, gradients and moments; {} for activations{} and operands.",
        gigabytes(needs.arenas),
        gigabytes(needs.work),
        if trainer.options.recompute {
            " (recomputed)"
        } else {
            ""
        },
    );
    if trainer.progress.step > 0 {
        eprintln!("Going on at step {}.", thousands(trainer.progress.step));
    }
}

/// What of the model is trained.
fn trained(trainer: &Trainer) -> String {
    let parameters = &trainer.model.parameters;
    let trained = thousands(parameters.trained().layout().len() as u64);
    match (parameters.adapter(), &trainer.options.lora) {
        (Some(adapter), Some(lora)) => format!(
            "an adapter of rank {} on {}: {trained} of {} parameters",
            lora.rank,
            Vec::from_iter(adapter.kinds()).join(", "),
            thousands(parameters.layout().len() as u64),
        ),
        _ => format!("{trained} parameters"),
    }
}
