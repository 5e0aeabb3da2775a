//! `info`: what a model is, and what this machine runs it with.

use anyhow::Result;
use clap::Args;
use glassformer_kernels::instruction_set;
use glassformer_kernels::quantised::integer_instruction_set;
use glassformer_model::Dimensions;
use glassformer_train::Compute;
use serde_json::{Map, Value, json};

use crate::source::{Loaded, ModelFlag};
use crate::terminal::{thousands, write};

/// Show a model's architecture, size and tokenizer, and the instruction set in use.
#[derive(Args)]
pub(crate) struct Info {
    #[command(flatten)]
    model: ModelFlag,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

impl Info {
    pub(crate) fn run(&self) -> Result<()> {
        let loaded = self.model.open()?;
        let mut facts = of_model(&loaded);
        let network = &loaded.model.network;
        facts.extend(
            network
                .facts()
                .into_iter()
                .map(|(name, value)| (name, json!(value))),
        );
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        facts.extend([
            ("instruction_set", json!(instruction_set())),
            ("integer_instruction_set", json!(integer_instruction_set())),
            ("fastest_precision", json!(Compute::fastest().name())),
            ("threads", json!(threads)),
        ]);
        if self.json {
            let map: Map<String, Value> = facts
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            return Ok(write(&format!("{}\n", Value::Object(map)))?);
        }
        let text: String = facts
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{name:>16}  {}\n", plain(value)))
            .collect();
        Ok(write(&text)?)
    }
}

/// Its sizes, and what its files say.
fn of_model(loaded: &Loaded) -> Vec<(&'static str, Value)> {
    let Dimensions {
        n_layers,
        n_heads,
        n_kv_heads,
        d_model,
        d_head,
        d_ff,
        n_ctx,
        vocab,
    } = loaded.model.dimensions();
    let parameters = loaded.model.parameters.layout().len();
    let adapter = loaded.model.parameters.adapter().map(|adapter| {
        let kinds = Vec::from_iter(adapter.kinds()).join(", ");
        let (rank, count) = (adapter.config.rank, adapter.parameters().layout().len());
        format!(
            "rank {rank} on {kinds}: {} parameters more",
            thousands(count as u64)
        )
    });
    let about = &loaded.about;
    let stored = about.stored.as_ref();
    vec![
        ("model", json!(loaded.name)),
        ("family", json!(loaded.model.network.family())),
        ("n_layers", json!(n_layers)),
        ("n_heads", json!(n_heads)),
        ("n_kv_heads", json!(n_kv_heads)),
        ("d_model", json!(d_model)),
        ("d_head", json!(d_head)),
        ("d_ff", json!(d_ff)),
        ("n_ctx", json!(n_ctx)),
        ("vocab", json!(vocab)),
        ("parameters", json!(parameters)),
        ("adapter", json!(adapter)),
        ("memory_bytes", json!(parameters * 4)),
        ("stored", json!(stored.map(|(kind, _)| kind))),
        ("stored_bytes", json!(stored.map(|(_, bytes)| bytes))),
        ("license", json!(about.license)),
        (
            "chat_template",
            json!(!about.tokenizer.chat_templates.is_empty()),
        ),
        ("tokenizer", json!(loaded.tokenizer.kind().to_string())),
    ]
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number
            .as_u64()
            .map_or_else(|| number.to_string(), thousands),
        other => other.to_string(),
    }
}
