//! The `tokenizers` library's own object, made from a file that [`Spec`](crate::spec::Spec) has passed.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{AddedToken, ModelWrapper};

use crate::spec::{halves, id_of, is_version};

/// Makes the library's tokenizer, without truncation and padding, which would cut or lengthen texts. Plain `encode` does
/// not look for special tokens: [`encode_with_specials`](crate::Tokenizer::encode_with_specials) alone does.
pub(crate) fn build(mut file: Map<String, Value>) -> tokenizers::Result<tokenizers::Tokenizer> {
    let model = file.remove("model").unwrap_or_default();
    let added = match file.remove("added_tokens") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => serde_json::from_value::<Vec<AddedToken>>(list)?,
    };
    let no_model = json!({ "type": "BPE", "vocab": {}, "merges": [] });
    file.insert("model".into(), no_model);
    let mut library: tokenizers::Tokenizer = serde_json::from_value(Value::Object(file))?;
    // What could not be written out again is refused now, when somebody can still be told.
    library.to_string(false)?;
    library.with_padding(None);
    library.with_truncation(None)?;
    library.with_model(read_model(model)?);
    library.add_tokens(added)?;
    library.set_encode_special_tokens(true);
    Ok(library)
}

fn read_model(model: Value) -> tokenizers::Result<ModelWrapper> {
    match model {
        Value::Object(model) if is_byte_pair(&model) => Ok(byte_pair(model)?.into()),
        other => Ok(serde_json::from_value(other)?),
    }
}

fn is_byte_pair(model: &Map<String, Value>) -> bool {
    let named = matches!(
        model.get("type").map(Value::as_str),
        None | Some(Some("BPE"))
    );
    let has_vocab = model.get("vocab").is_some_and(Value::is_object);
    named && has_vocab && model.get("merges").is_some_and(Value::is_array)
}

/// A BPE model's settings but for its vocabulary and merges.
#[derive(Deserialize)]
struct Settings {
    dropout: Option<f32>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
}

/// The library would read this by itself, but copies a large vocabulary several times on the way.
fn byte_pair(mut model: Map<String, Value>) -> tokenizers::Result<BPE> {
    let (vocab, merges) = (model.remove("vocab"), model.remove("merges"));
    let mut entries = Vocab::default();
    if let Some(Value::Object(vocab)) = vocab {
        entries.reserve(vocab.len());
        entries.extend(
            vocab
                .into_iter()
                .filter_map(|(entry, id)| Some((entry, id_of(&id)?))),
        );
    }
    let mut pairs = Vec::new();
    if let Some(Value::Array(merges)) = merges {
        let lines = merges.iter().filter(|merge| !is_version(merge));
        pairs
            .extend(lines.filter_map(|merge| {
                halves(merge).map(|(left, right)| (left.into(), right.into()))
            }));
    }
    let settings: Settings = serde_json::from_value(Value::Object(model))?;
    let mut builder = BPE::builder()
        .vocab_and_merges(entries, pairs)
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
