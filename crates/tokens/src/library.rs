//! The `tokenizers` library's own object, made from a file that [`Spec`](crate::spec::Spec) has passed.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{AddedToken, ModelWrapper};

use crate::file::{File, Vocabulary};

/// Makes the library's tokenizer, without truncation and padding, which would cut or lengthen texts. Plain `encode` does
/// not look for special tokens: [`encode_with_specials`](crate::Tokenizer::encode_with_specials) alone does.
pub(crate) fn build(file: File) -> tokenizers::Result<tokenizers::Tokenizer> {
    let mut parts = file.parts;
    let added = match parts.remove("added_tokens") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => serde_json::from_value::<Vec<AddedToken>>(list)?,
    };
    let no_model = json!({ "type": "BPE", "vocab": {}, "merges": [] });
    parts.insert("model".into(), no_model);
    let mut library: tokenizers::Tokenizer = serde_json::from_value(Value::Object(parts))?;
    // What could not be written out again is refused now, when somebody can still be told.
    library.to_string(false)?;
    library.with_padding(None);
    library.with_truncation(None)?;
    library.with_model(model(file.model, file.vocabulary, file.merges)?);
    library.add_tokens(added)?;
    library.set_encode_special_tokens(true);
    Ok(library)
}

/// The library would read any model by itself, but copies a large vocabulary several times on the way.
fn model(
    mut settings: Map<String, Value>,
    vocabulary: Vocabulary,
    merges: Option<Merges>,
) -> tokenizers::Result<ModelWrapper> {
    let kind = settings
        .get("type")
        .map(|kind| kind.as_str().unwrap_or_default().to_owned());
    match (vocabulary, merges, kind.as_deref()) {
        (Vocabulary::Named(vocab), Some(merges), None | Some("BPE")) => {
            Ok(byte_pair(settings, vocab, merges)?.into())
        }
        (Vocabulary::Named(vocab), _, Some("WordPiece")) => Ok(word_piece(settings, vocab)?.into()),
        (vocabulary, merges, _) => {
            let vocab = match vocabulary {
                Vocabulary::Named(vocab) => vocab
                    .into_iter()
                    .map(|(entry, id)| (entry, Value::from(id)))
                    .collect(),
                Vocabulary::Listed(list) => Value::from(list),
            };
            settings.insert("vocab".into(), vocab);
            if let Some(merges) = merges {
                settings.insert("merges".into(), serde_json::to_value(merges)?);
            }
            Ok(serde_json::from_value(Value::Object(settings))?)
        }
    }
}

/// A BPE model's settings.
#[derive(Deserialize)]
struct BpeSettings {
    dropout: Option<f32>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
}

fn byte_pair(
    settings: Map<String, Value>,
    vocab: Vocab,
    merges: Merges,
) -> tokenizers::Result<BPE> {
    let settings: BpeSettings = serde_json::from_value(Value::Object(settings))?;
    let mut builder = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .fuse_unk(settings.fuse_unk.unwrap_or_default())
        .byte_fallback(settings.byte_fallback.unwrap_or_default())
        .ignore_merges(settings.ignore_merges.unwrap_or_default());
    if let Some(dropout) = settings.dropout {
        builder = builder.dropout(dropout);
    }
    if let Some(unknown) = settings.unk_token {
        builder = builder.unk_token(unknown);
    }
    if let Some(prefix) = settings.continuing_subword_prefix {
        builder = builder.continuing_subword_prefix(prefix);
    }
    if let Some(suffix) = settings.end_of_word_suffix {
        builder = builder.end_of_word_suffix(suffix);
    }
    builder.build()
}

/// A WordPiece model's settings.
#[derive(Deserialize)]
struct WordPieceSettings {
    unk_token: String,
    continuing_subword_prefix: String,
    max_input_chars_per_word: usize,
}

fn word_piece(settings: Map<String, Value>, vocab: Vocab) -> tokenizers::Result<WordPiece> {
    let settings: WordPieceSettings = serde_json::from_value(Value::Object(settings))?;
    WordPiece::builder()
        .vocab(vocab)
        .unk_token(settings.unk_token)
        .continuing_subword_prefix(settings.continuing_subword_prefix)
        .max_input_chars_per_word(settings.max_input_chars_per_word)
        .build()
}
