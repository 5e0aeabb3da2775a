//! `info`: what a model is, and what this machine runs it with.

use anyhow::Result;
use clap::Args;
use glassformer_kernels::instruction_set;
use glassformer_kernels::product::Precision;
use glassformer_kernels::quantised::integer_instruction_set;
use glassformer_model::{Dimensions, Keep};
use glassformer_train::Compute;
use glassformer_weights::DataType;
use serde_json::{Map, Value, json};

use crate::source::{Found, Loaded, ModelFlag, Stored};
use crate::terminal::{thousands, write};
use crate::verbs::running::precision;

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
        let loaded = self.model.read_for_ids(Keep::InFile)?;
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
    let mut facts = vec![
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
    ];
    facts.extend(memory(loaded, parameters));
    facts.extend(of_files(loaded));
    facts
}

/// What running it takes, in bytes, and by which products it runs.
fn memory(loaded: &Loaded, parameters: usize) -> Vec<(&'static str, Value)> {
    let sizes = loaded.model.dimensions();
    let stored = loaded.about.stored.as_ref();
    let most = stored.map_or(DataType::F32, Stored::most);
    let precision = precision(most);
    let (name, number) = match precision {
        Precision::F32 => ("f32", 4),
        Precision::Bf16 => ("bf16", 2),
    };
    let (weights, path) = match (most, stored) {
        (DataType::Block(kind), Some(stored)) => {
            let integers = integer_instruction_set();
            let path = format!("blocks of {kind:?} as they are, {integers}; others {name}");
            (stored.bytes() as usize, path)
        }
        _ => (
            parameters * number,
            format!("{name}, {}", instruction_set()),
        ),
    };
    let row = 2 * sizes.n_layers * sizes.n_kv_heads * sizes.d_head;
    let mut facts = vec![
        ("speed_path", json!(path)),
        ("memory_bytes", json!(weights)),
    ];
    if !loaded.model.network.is_encoder() {
        // Keys and values are halves where products are.
        facts.push(("cache_bytes", json!(row * sizes.n_ctx * number)));
    }
    facts
}

/// How it is stored, and what its makers say of it.
fn of_files(loaded: &Loaded) -> Vec<(&'static str, Value)> {
    let about = &loaded.about;
    let stored = about.stored.as_ref();
    let types = stored.map(|stored| {
        let types: Vec<String> = stored.types().map(|kind| kind.to_string()).collect();
        types.join(", ")
    });
    vec![
        ("format", json!(about.found.as_ref().map(Found::format))),
        ("stored", json!(types)),
        ("stored_bytes", json!(stored.map(Stored::bytes))),
        ("license", json!(about.license)),
        (
            "chat_template",
            json!(!about.tokenizer.chat_templates.is_empty()),
        ),
        (
            "tokenizer",
            if about.ids_alone {
                json!("none that can be read: ids alone")
            } else {
                json!(loaded.tokenizer.kind().to_string())
            },
        ),
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
