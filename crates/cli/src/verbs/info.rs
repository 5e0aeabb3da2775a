//! `info`: what a model is, and what this machine runs it with.

use anyhow::Result;
use clap::Args;
use glassformer_kernels::instruction_set;
use glassformer_kernels::quantised::integer_instruction_set;
use glassformer_model::Dimensions;
use glassformer_train::Compute;
use serde_json::{Map, Value, json};

use crate::source::ModelFlag;
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
        let network = &loaded.model.network;
        let Dimensions {
            n_layers,
            n_heads,
            n_kv_heads,
            d_model,
            d_head,
            d_ff,
            n_ctx,
            vocab,
        } = network.dimensions();
        let parameters = loaded.model.parameters.layout().len();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut facts = vec![
            ("model", json!(loaded.name)),
            ("family", json!(network.family())),
            ("n_layers", json!(n_layers)),
            ("n_heads", json!(n_heads)),
            ("n_kv_heads", json!(n_kv_heads)),
            ("d_model", json!(d_model)),
            ("d_head", json!(d_head)),
            ("d_ff", json!(d_ff)),
            ("n_ctx", json!(n_ctx)),
            ("vocab", json!(vocab)),
            ("parameters", json!(parameters)),
            ("memory_bytes", json!(parameters * 4)),
            (
                "stored",
                json!(loaded.about.stored.as_ref().map(|(kind, _)| kind)),
            ),
            (
                "stored_bytes",
                json!(loaded.about.stored.as_ref().map(|(_, bytes)| bytes)),
            ),
            ("license", json!(loaded.about.license)),
            (
                "chat_template",
                json!(!loaded.about.tokenizer.chat_templates.is_empty()),
            ),
            ("tokenizer", json!(loaded.tokenizer.kind().to_string())),
        ];
        facts.extend(
            network
                .facts()
                .into_iter()
                .map(|(name, value)| (name, json!(value))),
        );
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
