//! Models in one GGUF file.

use std::path::Path;

use anyhow::{Context, Result};
use glassformer_model::{Keep, families};
use glassformer_tokens::{Tokenizer, TokenizerConfig};
use glassformer_weights::GgufFile;
use glassformer_weights::gguf::Metadata;

use super::{About, Loaded, Stored, Suggested};

pub(super) fn load(path: &Path, keep: Keep) -> Result<Loaded> {
    let file = GgufFile::open(path)?;
    let metadata = file.metadata();
    let model = families::open_gguf(&file, keep)?;
    let vocabulary = super::vocabulary::read(metadata)?;
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
        stored: Stored::of(&file),
        gguf: Some(file.clone()),
        vocabulary: Some(vocabulary),
        ..About::default()
    };
    Ok(Loaded {
        name: path.display().to_string(),
        model,
        tokenizer,
        about,
    })
}
