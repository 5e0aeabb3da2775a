//! Models as Hugging Face lays them out: `config.json`, `model.safetensors`, `tokenizer.json` and what may lie beside them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use glassformer_model::{Keep, Model, families};
use glassformer_tokens::{Tokenizer, TokenizerConfig};
use glassformer_weights::WeightsFile;
use serde::Deserialize;
use serde_json::{Map, json};

use super::{About, Loaded, PairSettings, Stored, Suggested, nanogpt};

pub(super) fn load(folder: &Path, keep: Keep) -> Result<Loaded> {
    let needed = |name: &str| {
        optional(folder, name)?
            .with_context(|| format!("{} is missing", folder.join(name).display()))
    };
    let config =
        String::from_utf8(needed("config.json")?).context("config.json is not UTF-8 text")?;
    let weights = WeightsFile::open(folder)?.into_source();
    let origin = folder.display().to_string();
    let stored = Stored::of(&*weights);
    let model = families::open(&config, weights, keep, &origin)?;
    let (tokenizer, ids_alone) = tokenizer(folder, &model)?;
    let mut about = About {
        stored,
        license: license(folder)?,
        config: Some(config.clone()),
        ids_alone,
        pair: PairSettings::read(config.as_bytes()),
        target: target_tokenizer(folder)?,
        ..About::default()
    };
    if let Some(json) = optional(folder, "tokenizer_config.json")? {
        about.tokenizer = TokenizerConfig::from_json(&json)?;
    }
    if let Some(template) = optional(folder, "chat_template.jinja")? {
        let template =
            String::from_utf8(template).context("chat_template.jinja is not UTF-8 text")?;
        about.tokenizer.chat_templates = vec![("default".to_owned(), template)];
    }
    let mut stops = ends(&config);
    if let Some(json) = optional(folder, "generation_config.json")? {
        let generation: GenerationConfig =
            serde_json::from_slice(&json).context("generation_config.json cannot be read")?;
        about.sampling = generation.sampling();
        about.pair = PairSettings::read(&json).or(about.pair);
        stops.extend(
            generation
                .eos_token_id
                .map(Ends::into_vec)
                .unwrap_or_default(),
        );
    }
    Ok(Loaded {
        name: origin,
        model,
        tokenizer: tokenizer.with_config(&about.tokenizer).with_stops(&stops),
        about,
    })
}

/// What texts are cut by, and whether that is none that can read text.
fn tokenizer(folder: &Path, model: &Model) -> Result<(Tokenizer, bool)> {
    let missing = || format!("{} is missing", folder.join("tokenizer.json").display());
    let tokenizer = match optional(folder, "tokenizer.json")? {
        Some(json) => Tokenizer::from_json(&json)?,
        None if model.network.pair().is_some() => {
            return Ok((without_text(model.dimensions().vocab)?, true));
        }
        None if model.network.family() == "gpt2" => {
            nanogpt::gpt2_files(folder)?.with_context(missing)?
        }
        None => bail!(
            "{}: transformers' AutoTokenizer writes it (save_pretrained)",
            missing()
        ),
    };
    Ok((tokenizer, false))
}

/// What a translator writes, where it has a vocabulary of its own.
fn target_tokenizer(folder: &Path) -> Result<Option<Tokenizer>> {
    let json = optional(folder, "target_tokenizer.json")?;
    let read = json.map(|json| Tokenizer::from_json(&json).context("target_tokenizer.json"));
    read.transpose()
}

/// A tokenizer that writes ids as numbers and reads no text, for encoder–decoders, whose folders often have none that can be
/// read.
fn without_text(vocab: usize) -> Result<Tokenizer> {
    let ids = (0..vocab).map(|id| (format!("<{id}>"), json!(id)));
    let ids: Map<_, _> = ids.collect();
    let model = json!({"type": "WordLevel", "unk_token": "<0>", "vocab": ids});
    let json = json!({"version": "1.0", "model": model}).to_string();
    Ok(Tokenizer::from_json(json.as_bytes())?)
}

/// What `README.md`, the model's card, gives as its licence.
fn license(folder: &Path) -> Result<Option<String>> {
    let Some(card) = optional(folder, "README.md")? else {
        return Ok(None);
    };
    let card = String::from_utf8_lossy(&card);
    let mut lines = card.lines();
    if lines.next() != Some("---") {
        return Ok(None);
    }
    let mut head = lines.take_while(|line| *line != "---");
    let license = head.find_map(|line| line.strip_prefix("license:"));
    Ok(license.map(|name| name.trim().trim_matches(['"', '\'']).to_owned()))
}

/// A file of the folder, if it is there.
pub(super) fn optional(folder: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let path = folder.join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// `generation_config.json`.
#[derive(Deserialize)]
struct GenerationConfig {
    eos_token_id: Option<Ends>,
    temperature: Option<f32>,
    top_k: Option<usize>,
    top_p: Option<f32>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
}

/// One id, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Ends {
    One(u32),
    Several(Vec<u32>),
}

impl Ends {
    fn into_vec(self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![id],
            Self::Several(ids) => ids,
        }
    }
}

/// The ids that end a text, of a `config.json`.
fn ends(config: &str) -> Vec<u32> {
    #[derive(Deserialize)]
    struct Config {
        eos_token_id: Option<Ends>,
    }
    let config: Option<Config> = serde_json::from_str(config).ok();
    config
        .and_then(|config| config.eos_token_id)
        .map(Ends::into_vec)
        .unwrap_or_default()
}

impl GenerationConfig {
    fn sampling(&self) -> Suggested {
        Suggested {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
        }
    }
}
