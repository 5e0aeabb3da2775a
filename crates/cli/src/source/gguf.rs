//! Models in one GGUF file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use glassformer_model::{Keep, families};
use glassformer_tokens::{GgufVocabulary, Tokenizer, TokenizerConfig};
use glassformer_weights::gguf::Metadata;
use glassformer_weights::{GgufFile, TensorSource, WeightsError};

use super::{About, Loaded, Suggested};

pub(super) fn load(path: &Path, keep: Keep) -> Result<Loaded> {
    let file = GgufFile::open(path)?;
    let metadata = file.metadata();
    let model = families::open_gguf(&file, keep)?;
    let vocabulary = vocabulary(metadata)?;
    let tokenizer = Tokenizer::from_gguf(&vocabulary)
        .with_context(|| format!("{}: the tokenizer", path.display()))?;
    let name = |id: Option<u32>| id.and_then(|id| vocabulary.tokens.get(id as usize).cloned());
    let template = metadata.optional("tokenizer.chat_template", Metadata::string)?;
    let about = About {
        tokenizer: TokenizerConfig {
            bos: name(vocabulary.bos),
            eos: name(vocabulary.eos),
            unknown: name(vocabulary.unknown),
            padding: name(vocabulary.padding),
            add_bos: vocabulary.add_bos,
            add_eos: vocabulary.add_eos,
            chat_templates: template
                .map(|template| ("default".to_owned(), template.to_owned()))
                .into_iter()
                .collect(),
        },
        sampling: Suggested::default(),
        license: metadata
            .optional("general.license", Metadata::string)?
            .map(str::to_owned),
        stored: stored(&file),
        ..About::default()
    };
    Ok(Loaded {
        name: path.display().to_string(),
        model,
        tokenizer,
        about,
    })
}

/// The type that most of a file's numbers have, and the bytes of all.
pub(super) fn stored(source: &dyn TensorSource) -> Option<(String, u64)> {
    let mut bytes_of: BTreeMap<String, u64> = BTreeMap::new();
    for name in source.names() {
        let info = source.info(&name)?;
        let bytes = source.bytes(&name).map_or(0, <[u8]>::len) as u64;
        *bytes_of.entry(info.data_type.to_string()).or_default() += bytes;
    }
    let total = bytes_of.values().sum();
    let (most, _) = bytes_of.into_iter().max_by_key(|(_, bytes)| *bytes)?;
    Some((most, total))
}

/// The tokenizer's part of the metadata.
fn vocabulary(metadata: &Metadata) -> Result<GgufVocabulary, WeightsError> {
    let key = |name: &str| format!("tokenizer.ggml.{name}");
    let id = |name: &str| -> Result<Option<u32>, WeightsError> {
        let id = metadata.optional(&key(name), Metadata::i64)?;
        // −1 stands for none in some files.
        Ok(id.and_then(|id| u32::try_from(id).ok()))
    };
    let flag = |name: &str| metadata.optional(&key(name), Metadata::bool);
    let text = |name: &str| metadata.optional(&key(name), Metadata::string);
    let strings = |name: &str| metadata.optional(&key(name), Metadata::strings);
    Ok(GgufVocabulary {
        model: metadata.string(&key("model"))?.to_owned(),
        pre: text("pre")?.map(str::to_owned),
        tokens: metadata.strings(&key("tokens"))?.to_vec(),
        scores: metadata
            .optional(&key("scores"), Metadata::f32s)?
            .map(std::borrow::Cow::into_owned)
            .unwrap_or_default(),
        token_types: metadata
            .optional(&key("token_type"), Metadata::i32s)?
            .map(std::borrow::Cow::into_owned)
            .unwrap_or_default(),
        merges: strings("merges")?
            .map(<[String]>::to_vec)
            .unwrap_or_default(),
        bos: id("bos_token_id")?,
        eos: id("eos_token_id")?,
        eot: id("eot_token_id")?,
        eom: id("eom_token_id")?,
        unknown: id("unknown_token_id")?,
        separator: id("seperator_token_id")?,
        padding: id("padding_token_id")?,
        cls: id("cls_token_id")?,
        mask: id("mask_token_id")?,
        add_bos: flag("add_bos_token")?,
        add_eos: flag("add_eos_token")?,
        add_separator: flag("add_sep_token")?,
        add_space_prefix: flag("add_space_prefix")?,
        lowercase: flag("normalizer.lowercase")?,
        strip_accents: flag("normalizer.strip_accents")?,
    })
}
