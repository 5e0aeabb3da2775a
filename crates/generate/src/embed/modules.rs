//! What sentence-transformers writes beside a model: the steps that make one vector of a text.

use serde::Deserialize;

use super::EmbedError;

/// What `modules.json` lists behind the model itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modules {
    /// The folder whose `config.json` says how vectors are pooled.
    pub pooling: Option<String>,
    /// Whether they are made 1 long.
    pub normalises: bool,
}

#[derive(Deserialize)]
struct Module {
    #[serde(default)]
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Modules {
    /// Reads `modules.json`. Errors: it cannot be read, or lists a step that cannot be computed.
    pub fn from_json(text: &str) -> Result<Self, EmbedError> {
        let error = |reason: String| EmbedError::Config {
            file: "modules.json",
            reason,
        };
        let list: Vec<Module> =
            serde_json::from_str(text).map_err(|e| error(format!("cannot be read: {e}")))?;
        let mut modules = Self::default();
        for module in list {
            // A path in Python, whose beginning has changed over time.
            match module.kind.rsplit('.').next().unwrap_or_default() {
                "Transformer" => {}
                "Pooling" => modules.pooling = Some(module.path),
                "Normalize" => modules.normalises = true,
                other => {
                    return Err(error(format!(
                        "lists the step {other:?}; Transformer, Pooling and Normalize can be computed"
                    )));
                }
            }
        }
        Ok(modules)
    }
}

/// The longest text that `sentence_bert_config.json` lets the model read, in tokens, if it says so.
pub fn most_tokens(text: &str) -> Result<Option<usize>, EmbedError> {
    #[derive(Deserialize)]
    struct Config {
        max_seq_length: Option<usize>,
    }
    let config: Result<Config, _> = serde_json::from_str(text);
    config
        .map(|config| config.max_seq_length)
        .map_err(|error| EmbedError::Config {
            file: "sentence_bert_config.json",
            reason: format!("cannot be read: {error}"),
        })
}
