//! `tokenizer_config.json`: what Hugging Face folders say about a tokenizer beside its `tokenizer.json`.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{TokenizeError, one_line};
use crate::tokenizer::Tokenizer;

/// The parts of a `tokenizer_config.json` that matter here. What the file does not say stays empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenizerConfig {
    /// The name of the token that begins texts.
    pub bos: Option<String>,
    /// The name of the token that ends texts, or turns.
    pub eos: Option<String>,
    /// The name of the token for what the vocabulary does not know.
    pub unknown: Option<String>,
    /// The name of the token that fills short texts up.
    pub padding: Option<String>,
    /// Is `bos` set before texts, whatever `tokenizer.json` says?
    pub add_bos: Option<bool>,
    /// Is `eos` set after texts, whatever `tokenizer.json` says?
    pub add_eos: Option<bool>,
    /// Chat templates by name; a single one is called `default`.
    pub chat_templates: Vec<(String, String)>,
}

impl TokenizerConfig {
    /// Reads a `tokenizer_config.json`. Fields of another type than expected are an error, unknown ones are not.
    ///
    /// # Errors
    /// [`TokenizeError::Config`].
    pub fn from_json(json: &[u8]) -> Result<Self, TokenizeError> {
        let file: Value = serde_json::from_slice(json)
            .map_err(|error| TokenizeError::Config(one_line(&error.to_string())))?;
        let Value::Object(file) = file else {
            return Err(TokenizeError::Config("it holds no object".into()));
        };
        Ok(Self {
            bos: token(&file, "bos_token")?,
            eos: token(&file, "eos_token")?,
            unknown: token(&file, "unk_token")?,
            padding: token(&file, "pad_token")?,
            add_bos: flag(&file, "add_bos_token")?,
            add_eos: flag(&file, "add_eos_token")?,
            chat_templates: templates(&file)?,
        })
    }

    /// The template for conversations without tools: the one called `default`, or the only one.
    pub fn chat_template(&self) -> Option<&str> {
        let default = self
            .chat_templates
            .iter()
            .find(|(name, _)| name == "default");
        let only = || {
            Some(&self.chat_templates)
                .filter(|list| list.len() == 1)?
                .first()
        };
        default.or_else(only).map(|(_, template)| template.as_str())
    }

    /// The text of a `tokenizer_config.json` for transformers.
    pub fn to_json(&self) -> String {
        let mut file = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                file.insert(name.into(), value);
            }
        };
        set("tokenizer_class", Some("PreTrainedTokenizerFast".into()));
        set("clean_up_tokenization_spaces", Some(false.into()));
        set("bos_token", self.bos.as_deref().map(Value::from));
        set("eos_token", self.eos.as_deref().map(Value::from));
        set("unk_token", self.unknown.as_deref().map(Value::from));
        set("pad_token", self.padding.as_deref().map(Value::from));
        set("add_bos_token", self.add_bos.map(Value::from));
        set("add_eos_token", self.add_eos.map(Value::from));
        let templates = match self.chat_templates.as_slice() {
            [] => None,
            [(name, only)] if name == "default" => Some(Value::from(only.as_str())),
            several => Some(several.iter().map(named).collect()),
        };
        set("chat_template", templates);
        format!("{:#}", Value::Object(file))
    }
}

fn named((name, template): &(String, String)) -> Value {
    serde_json::json!({ "name": name, "template": template })
}

fn wrong(name: &str, found: &Value, expected: &str) -> TokenizeError {
    let found: String = found.to_string().chars().take(60).collect();
    TokenizeError::Config(format!("{name:?} is {found}, not {expected}"))
}

/// A token is given by name, or as an object with its name as `content`.
fn token(file: &Map<String, Value>, name: &str) -> Result<Option<String>, TokenizeError> {
    match file.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(content)) => Ok(Some(content.clone())),
        Some(other) => match other.get("content").and_then(Value::as_str) {
            Some(content) => Ok(Some(content.to_owned())),
            None => Err(wrong(name, other, "a token")),
        },
    }
}

fn flag(file: &Map<String, Value>, name: &str) -> Result<Option<bool>, TokenizeError> {
    match file.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(wrong(name, other, "true or false")),
    }
}

/// One template, or a list of `{name, template}`.
fn templates(file: &Map<String, Value>) -> Result<Vec<(String, String)>, TokenizeError> {
    let list = match file.get("chat_template") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(only)) => return Ok(vec![("default".into(), only.clone())]),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(wrong("chat_template", other, "a template")),
    };
    let entry = |entry: &Value| {
        let text = |name: &str| Some(entry.get(name)?.as_str()?.to_owned());
        text("name")
            .zip(text("template"))
            .ok_or_else(|| wrong("chat_template", entry, "a name with a template"))
    };
    list.iter().map(entry).collect()
}

impl Tokenizer {
    /// The same tokenizer with what `config` adds: which token begins texts and which ends them, and whether they are set
    /// around texts.
    #[must_use]
    pub fn with_config(&self, config: &TokenizerConfig) -> Self {
        let id = |name: &Option<String>| self.id_of(name.as_ref()?);
        let mut tokenizer = self.clone();
        let roles = Arc::make_mut(&mut tokenizer.roles);
        roles.bos = id(&config.bos).or(roles.bos);
        roles.declare_ends(id(&config.eos).as_slice());
        let surround = Arc::make_mut(&mut tokenizer.surround);
        if let (Some(bos), Some(wanted)) = (id(&config.bos), config.add_bos) {
            surround.set_first(bos, wanted);
        }
        if let (Some(eos), Some(wanted)) = (id(&config.eos), config.add_eos) {
            surround.set_last(eos, wanted);
        }
        tokenizer
    }
}
