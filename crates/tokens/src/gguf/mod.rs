//! A tokenizer from the metadata of a GGUF file.
//!
//! A GGUF file keeps the vocabulary under `tokenizer.ggml.*` and leaves out most of what else makes a tokenizer: the reader
//! has to know. What is known here is put together as the `tokenizer.json` that the model had before it was converted, so
//! that there is one way to read tokenizers, and one to save them. Keys and their meanings:
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer>.

mod byte_level;
mod export;
mod pre_tokenizer;
mod sentencepiece;
mod vocabulary;
mod wordpiece;

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokenizers::models::bpe::Merges;

use crate::error::TokenizeError;
use crate::file::{File, Vocabulary};
use crate::tokenizer::Tokenizer;
pub use vocabulary::GgufVocabulary;
pub(crate) use vocabulary::{BYTE, CONTROL, NORMAL, UNKNOWN};

/// The models that can be read, as `tokenizer.ggml.model` names them.
const MODELS: &str = "gpt2 (byte-level BPE), llama (SentencePiece), bert (WordPiece)";

impl Tokenizer {
    /// Makes the tokenizer that a GGUF file describes. [`to_json`](Self::to_json) then is the `tokenizer.json` to put beside
    /// the model where it is converted.
    ///
    /// # Errors
    /// [`TokenizeError::Gguf`]: a model or pre-tokenizer that is not known, lists that do not fit together, damage.
    pub fn from_gguf(vocabulary: &GgufVocabulary) -> Result<Self, TokenizeError> {
        vocabulary.check()?;
        let (file, bos) = match vocabulary.model.as_str() {
            "gpt2" => (byte_level::file(vocabulary)?, vocabulary.bos),
            "llama" => (sentencepiece::file(vocabulary)?, vocabulary.bos),
            "bert" => (
                wordpiece::file(vocabulary)?,
                vocabulary.cls.or(vocabulary.bos),
            ),
            "" => return Err(unusable("tokenizer.ggml.model", "it is missing")),
            other => {
                let why = format!("{other:?} is not known; known are {MODELS}");
                return Err(unusable("tokenizer.ggml.model", why));
            }
        };
        let mut tokenizer = Self::from_file(file).map_err(in_gguf)?;
        let roles = Arc::make_mut(&mut tokenizer.roles);
        roles.bos = bos.or(roles.bos);
        let ends = [vocabulary.eos, vocabulary.eot, vocabulary.eom];
        roles.declare_ends(&ends.into_iter().flatten().collect::<Vec<_>>());
        Ok(tokenizer)
    }
}

fn unusable(part: &'static str, why: impl Into<String>) -> TokenizeError {
    let why = why.into();
    TokenizeError::Gguf { part, why }
}

/// What the reader of `tokenizer.json` finds wrong lies in the metadata from which that was put together.
fn in_gguf(error: TokenizeError) -> TokenizeError {
    match error {
        TokenizeError::Malformed { part, why } => {
            let part = match part {
                "model.vocab" => "tokenizer.ggml.tokens",
                "model.merges" => "tokenizer.ggml.merges",
                other => other,
            };
            TokenizeError::Gguf { part, why }
        }
        other => other,
    }
}

/// The parts of a `tokenizer.json` in which models differ.
struct Parts {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    /// The model's settings.
    model: Value,
    merges: Option<Merges>,
    around: Around,
    /// `tokenizer.json` knows tokens that take the white space before them (RoBERTa's `<mask>`).
    strips_left: Option<u32>,
}

/// Ids set before and after each text; `between` stands before a second one, in the place of `before`.
#[derive(Clone, Copy, Debug, Default)]
struct Around {
    before: Option<u32>,
    after: Option<u32>,
    between: Option<u32>,
    /// The segment of the second text and of what stands around it.
    second_segment: u32,
}

impl Parts {
    fn into_file(self, vocabulary: &GgufVocabulary) -> Result<File, TokenizeError> {
        let added: Vec<Value> = vocabulary
            .added()
            .map(|(id, special)| {
                json!({
                    "id": id, "content": vocabulary.entry(id), "single_word": false,
                    "lstrip": self.strips_left == Some(id), "rstrip": false,
                    "normalized": false, "special": special,
                })
            })
            .collect();
        let parts = json!({
            "version": "1.0",
            "added_tokens": added,
            "normalizer": self.normalizer,
            "pre_tokenizer": self.pre_tokenizer,
            "post_processor": self.around.template(vocabulary),
            "decoder": self.decoder,
        });
        Ok(File {
            parts: object(parts),
            model: object(self.model),
            vocabulary: Vocabulary::Named(vocabulary.ids()?),
            merges: self.merges,
        })
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

impl Around {
    /// As `TemplateProcessing`; null where nothing stands around texts.
    fn template(self, vocabulary: &GgufVocabulary) -> Value {
        let token = |id: Option<u32>, segment: u32| {
            id.map(
                |id| json!({ "SpecialToken": { "id": vocabulary.entry(id), "type_id": segment } }),
            )
        };
        let text = |name: &str, segment: u32| {
            Some(json!({ "Sequence": { "id": name, "type_id": segment } }))
        };
        let second = self.second_segment;
        let single = [token(self.before, 0), text("A", 0), token(self.after, 0)];
        let pair = single.clone().into_iter().chain([
            token(self.between, second),
            text("B", second),
            token(self.after, second),
        ]);
        let used: Map<String, Value> = [self.before, self.after, self.between]
            .into_iter()
            .flatten()
            .map(|id| {
                let name = vocabulary.entry(id);
                let token = json!({ "id": name, "ids": [id], "tokens": [name] });
                (name.into_owned(), token)
            })
            .collect();
        if used.is_empty() {
            return Value::Null;
        }
        json!({
            "type": "TemplateProcessing",
            "single": single.into_iter().flatten().collect::<Value>(),
            "pair": pair.flatten().collect::<Value>(),
            "special_tokens": used,
        })
    }
}
