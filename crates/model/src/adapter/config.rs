//! What an adapter is like, and PEFT's `adapter_config.json`, which says so.
//!
//! Of what PEFT can do, plain LoRA is read and written, rank-stabilised scales (Kalajdzievski 2023) and ranks and α by layer
//! with it. What would give other numbers is refused by its name.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::AdapterError;
use super::modules::{Module, is_named, last};

/// Largest rank: what is above it is damage.
const MOST: usize = 1 << 16;

/// Which linear layers are adapted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// All but the unembedding.
    AllLinear,
    /// Those whose names in transformers end with one of these, such as `q_proj`.
    Named(Vec<String>),
}

impl Targets {
    /// `all-linear`, or names with commas between them.
    pub fn parse(text: &str) -> Self {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names == ["all-linear"] {
            return Self::AllLinear;
        }
        Self::Named(names)
    }

    /// The last parts of the names of these modules.
    pub(super) fn of(modules: &[&Module]) -> Self {
        let kinds: BTreeSet<&str> = modules.iter().map(|module| last(&module.name)).collect();
        Self::Named(kinds.into_iter().map(str::to_owned).collect())
    }

    /// Those of `all` that are meant. Errors: a name that is none's.
    pub(super) fn choose<'a>(&self, all: &'a [Module]) -> Result<Vec<&'a Module>, AdapterError> {
        let Self::Named(names) = self else {
            return Ok(all.iter().collect());
        };
        let is_any = |name: &&String| !all.iter().any(|module| is_named(&module.name, name));
        if let Some(name) = names.iter().find(is_any) {
            let kinds: BTreeSet<&str> = all.iter().map(|module| last(&module.name)).collect();
            return Err(AdapterError::Target {
                name: name.clone(),
                all: kinds.into_iter().collect::<Vec<_>>().join(", "),
            });
        }
        let is_meant = |module: &&Module| names.iter().any(|name| is_named(&module.name, name));
        Ok(all.iter().filter(is_meant).collect())
    }
}

/// What an adapter is like.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraConfig {
    /// r.
    pub rank: usize,
    /// α: what is added is scaled by α/r.
    pub alpha: f32,
    /// Dropout of what A reads, in training.
    pub dropout: f32,
    /// The layers that are adapted.
    pub targets: Targets,
    /// Another r for the layers whose names end so.
    pub rank_pattern: BTreeMap<String, usize>,
    /// Another α for the layers whose names end so.
    pub alpha_pattern: BTreeMap<String, f32>,
    /// Whether the scale is α/√r.
    pub rank_stabilised: bool,
    /// Whether the base stores its weights as [in,out].
    pub transposed: bool,
    /// Where the model is that this is an adapter of.
    pub base: Option<String>,
}

impl LoraConfig {
    /// Of one rank and α everywhere.
    pub fn new(rank: usize, alpha: f32, dropout: f32, targets: Targets) -> Self {
        Self {
            rank,
            alpha,
            dropout,
            targets,
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
            rank_stabilised: false,
            transposed: false,
            base: None,
        }
    }

    /// Refuses numbers that cannot be.
    pub(super) fn check(&self) -> Result<(), AdapterError> {
        let error = |reason: String| Err(AdapterError::Config(reason));
        let mut ranks = self.rank_pattern.values().chain([&self.rank]);
        if let Some(rank) = ranks.find(|&&rank| rank == 0 || rank > MOST) {
            return error(format!(
                "the rank of an adapter is {rank}; it must lie between 1 and 2^16"
            ));
        }
        let mut alphas = self.alpha_pattern.values().chain([&self.alpha]);
        if let Some(alpha) = alphas.find(|alpha| !alpha.is_finite()) {
            return error(format!(
                "alpha of an adapter is {alpha}; it must be a number"
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return error(format!(
                "the dropout of an adapter is {}; it must lie between 0 and 1, without 1",
                self.dropout
            ));
        }
        Ok(())
    }

    /// Rank and scale for a module. Errors: a pattern that is more than a name.
    pub(super) fn of(&self, module: &str) -> Result<(usize, f32), AdapterError> {
        let rank = *for_module(&self.rank_pattern, module)?.unwrap_or(&self.rank);
        let alpha = *for_module(&self.alpha_pattern, module)?.unwrap_or(&self.alpha);
        let r = rank as f32;
        Ok((
            rank,
            alpha / if self.rank_stabilised { r.sqrt() } else { r },
        ))
    }

    /// From the text of an `adapter_config.json`. Errors: it cannot be read, or asks for more than plain LoRA.
    pub fn from_json(text: &str) -> Result<Self, AdapterError> {
        let all: Map<String, Value> = serde_json::from_str(text)
            .map_err(|e| AdapterError::File(format!("cannot be read: {e}")))?;
        refuse(&all)?;
        let file: File = serde_json::from_value(Value::Object(all))
            .map_err(|e| AdapterError::File(format!("is not that of a LoRA adapter: {e}")))?;
        let targets = match file.target_modules {
            Some(TargetModules::Several(names)) => Targets::Named(names),
            // A pattern; the tensors of the file say which layers are meant.
            Some(TargetModules::One(_)) | None => Targets::AllLinear,
        };
        Ok(Self {
            rank_pattern: file.rank_pattern.unwrap_or_default(),
            alpha_pattern: file.alpha_pattern.unwrap_or_default(),
            rank_stabilised: file.use_rslora.unwrap_or(false),
            transposed: file.fan_in_fan_out.unwrap_or(false),
            base: file.base_model_name_or_path,
            ..Self::new(
                file.r,
                file.lora_alpha,
                file.lora_dropout.unwrap_or(0.0),
                targets,
            )
        })
    }

    /// The text of an `adapter_config.json`.
    pub fn to_json(&self) -> String {
        let targets = match &self.targets {
            Targets::AllLinear => json!("all-linear"),
            Targets::Named(names) => json!(names),
        };
        let value = json!({
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": self.base,
            "r": self.rank, "lora_alpha": decimal(self.alpha), "lora_dropout": decimal(self.dropout), "target_modules": targets,
            "rank_pattern": self.rank_pattern, "alpha_pattern": self.alpha_pattern, "use_rslora": self.rank_stabilised,
            "fan_in_fan_out": self.transposed, "bias": "none", "use_dora": false, "modules_to_save": null,
            "init_lora_weights": true, "inference_mode": true,
        });
        serde_json::to_string_pretty(&value).expect("plain data")
    }
}

/// A number as it is written, 0.05 and not 0.0500000007.
fn decimal(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

/// The entry of a pattern for a module.
fn for_module<'a, T>(
    pattern: &'a BTreeMap<String, T>,
    module: &str,
) -> Result<Option<&'a T>, AdapterError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if let Some(name) = pattern.keys().find(|name| !name.chars().all(is_plain)) {
        return Err(AdapterError::File(format!(
            "has the pattern {name:?} for ranks or alphas; only names of layers can be read there"
        )));
    }
    let entry = pattern.iter().find(|(name, _)| is_named(module, name));
    Ok(entry.map(|(_, value)| value))
}

/// The fields of the file that matter here.
#[derive(Deserialize)]
struct File {
    r: usize,
    lora_alpha: f32,
    lora_dropout: Option<f32>,
    target_modules: Option<TargetModules>,
    rank_pattern: Option<BTreeMap<String, usize>>,
    alpha_pattern: Option<BTreeMap<String, f32>>,
    use_rslora: Option<bool>,
    fan_in_fan_out: Option<bool>,
    base_model_name_or_path: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TargetModules {
    One(#[expect(dead_code, reason = "told apart by its type")] String),
    Several(Vec<String>),
}

/// Refuses what gives other numbers than plain LoRA.
fn refuse(file: &Map<String, Value>) -> Result<(), AdapterError> {
    let error = |reason: String| Err(AdapterError::File(reason));
    match file.get("peft_type").and_then(Value::as_str) {
        Some("LORA") => {}
        Some(other) => {
            return error(format!(
                "has peft_type {other:?}; only LORA adapters can be loaded"
            ));
        }
        None => return error("has no peft_type; PEFT's has one".to_owned()),
    }
    // Each with the values at which it changes nothing.
    let features: [(&str, &[Value]); 15] = [
        ("bias", &[json!("none")]),
        ("use_dora", &[]),
        ("lora_bias", &[]),
        ("modules_to_save", &[]),
        ("trainable_token_indices", &[]),
        ("target_parameters", &[]),
        ("layer_replication", &[]),
        ("alora_invocation_tokens", &[]),
        ("use_qalora", &[]),
        ("use_bdlora", &[]),
        ("arrow_config", &[]),
        ("kasa_config", &[]),
        ("velora_config", &[]),
        ("monteclora_config", &[]),
        // Others begin by changing the base.
        (
            "init_lora_weights",
            &[
                json!(true),
                json!("gaussian"),
                json!("orthogonal"),
                json!("eva"),
            ],
        ),
    ];
    for (name, harmless) in features {
        let Some(value) = file.get(name) else {
            continue;
        };
        let is_nothing = match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            other => harmless.contains(other),
        };
        if !is_nothing {
            return error(format!(
                "has {name} = {value}, which this version cannot compute; it loads plain LoRA, such as PEFT makes by default"
            ));
        }
    }
    Ok(())
}
