//! From a tokenizer to what a GGUF file says of it: the way back of this folder's other files.
//!
//! | `tokenizer.json` | `tokenizer.ggml.model` | what must be found |
//! |---|---|---|
//! | byte-level BPE | `gpt2` | the name of its pre-tokenizer |
//! | BPE that falls back to bytes | `llama` | scores: the sooner a merge makes an entry, the higher |
//! | WordPiece | `bert` | – |

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::pre_tokenizer::PreTokenizer;
use super::vocabulary::{BYTE, CONTROL, GgufVocabulary, NORMAL, UNKNOWN, UNUSED, USER_DEFINED};
use super::wordpiece;
use crate::config::TokenizerConfig;
use crate::error::TokenizeError;
use crate::file::{File, Vocabulary};
use crate::spec::Kind;
use crate::surround::What;
use crate::tokenizer::Tokenizer;

impl Tokenizer {
    /// What a GGUF file says of this tokenizer, with the names of tokens that `config` gives. Ids up to `size`, the rows of
    /// the model's embedding, that stand for nothing are named `[PAD…]`, as llama.cpp's converter does.
    ///
    /// # Errors
    /// [`TokenizeError::NoGguf`]: llama.cpp has nothing that cuts texts in the same way.
    pub fn to_gguf(
        &self,
        config: &TokenizerConfig,
        size: usize,
    ) -> Result<GgufVocabulary, TokenizeError> {
        let file = File::from_json(self.to_json().as_bytes())?;
        let mut vocabulary = GgufVocabulary::default();
        self.list_tokens(&file, size, &mut vocabulary)?;
        self.name_tokens(config, &mut vocabulary);
        let kind = file.model.get("type").and_then(Value::as_str);
        let bytes_last = file.model.get("byte_fallback") == Some(&Value::Bool(true));
        match (kind, &file.merges) {
            _ if self.kind() == Kind::Characters => Err(none("it takes each character as a token")),
            (Some("WordPiece"), _) => word_piece(&file, &mut vocabulary),
            (None | Some("BPE"), Some(_)) if self.kind() == Kind::ByteLevelBpe => {
                byte_level(&file, &mut vocabulary)
            }
            (None | Some("BPE"), Some(_)) if bytes_last => {
                sentencepiece(&file, &mut vocabulary);
                Ok(())
            }
            (kind, _) => Err(none(&format!(
                "it is {}",
                kind.unwrap_or("of no known kind")
            ))),
        }?;
        Ok(vocabulary)
    }

    /// Entries and their types.
    fn list_tokens(
        &self,
        file: &File,
        size: usize,
        vocabulary: &mut GgufVocabulary,
    ) -> Result<(), TokenizeError> {
        if matches!(file.vocabulary, Vocabulary::Listed(_)) {
            return Err(none("it is a list with likelihoods (Unigram)"));
        }
        let size = size.max(self.vocab_size());
        let mut types = vec![UNUSED; size];
        let mut tokens: Vec<String> = (0..size).map(|id| format!("[PAD{id}]")).collect();
        for (entry, id) in file.vocabulary.named() {
            types[id as usize] = if is_byte(entry) { BYTE } else { NORMAL };
            entry.clone_into(&mut tokens[id as usize]);
        }
        for token in self.added() {
            let kind = if token.special { CONTROL } else { USER_DEFINED };
            types[token.id as usize] = kind;
            tokens[token.id as usize].clone_from(&token.content);
        }
        if let Some(id) = self.unknown_id() {
            types[id as usize] = UNKNOWN;
        }
        vocabulary.tokens = tokens;
        vocabulary.token_types = types;
        Ok(())
    }

    /// Ids with a role, and which of them stand around texts.
    fn name_tokens(&self, config: &TokenizerConfig, vocabulary: &mut GgufVocabulary) {
        let named = |name: &Option<String>| self.id_of(name.as_ref()?);
        let around = |part: Option<&crate::surround::Part>| match part?.what {
            What::Token(id) => Some(id),
            What::Text(_) => None,
        };
        let (first, last) = (
            around(self.surround.single.first()),
            around(self.surround.single.last()),
        );
        vocabulary.bos = named(&config.bos).or(first).or(self.roles.bos);
        vocabulary.eos = named(&config.eos).or(last).or(self.roles.end_of_text);
        vocabulary.unknown = self.unknown_id().or_else(|| named(&config.unknown));
        vocabulary.padding = named(&config.padding);
        vocabulary.mask = ["[MASK]", "<mask>"]
            .iter()
            .find_map(|mask| self.id_of(mask));
        vocabulary.add_bos = Some(first.is_some() && first == vocabulary.bos);
        vocabulary.add_eos = Some(last.is_some() && last == vocabulary.eos);
    }
}

fn none(what: &str) -> TokenizeError {
    TokenizeError::NoGguf(what.to_owned())
}

/// `<0x0A>`.
fn is_byte(entry: &str) -> bool {
    let digits = entry
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

fn byte_level(file: &File, vocabulary: &mut GgufVocabulary) -> Result<(), TokenizeError> {
    let part = |name: &str| file.parts.get(name).unwrap_or(&Value::Null);
    let flag = |name: &str| file.model.get(name) == Some(&Value::Bool(true));
    // RoBERTa's mask takes the space before it, and two separators stand between its texts.
    let is_roberta = list(part("added_tokens"))
        .any(|token| token["content"] == "<mask>" && token["lstrip"] == true);
    let pre = PreTokenizer::of(
        part("pre_tokenizer"),
        part("normalizer"),
        flag("ignore_merges"),
        is_roberta,
    );
    let pre = pre.ok_or_else(|| none("it cuts words in a way that has no name there"))?;
    "gpt2".clone_into(&mut vocabulary.model);
    vocabulary.pre = Some(pre.to_owned());
    // Byte-level entries know no `<0x0A>`; one that is written so is a word.
    for kind in &mut vocabulary.token_types {
        if *kind == BYTE {
            *kind = NORMAL;
        }
    }
    let merges = file.merges.iter().flatten();
    vocabulary.merges = merges
        .map(|(left, right)| format!("{left} {right}"))
        .collect();
    if is_roberta {
        vocabulary.separator = vocabulary.eos;
        vocabulary.add_separator = Some(true);
    }
    Ok(())
}

/// A list of merges has for each entry the ways to make it, the entry with the highest score first: so ranks give scores.
fn sentencepiece(file: &File, vocabulary: &mut GgufVocabulary) {
    let mut ranks: HashMap<String, usize> = HashMap::new();
    let merges = file.merges.iter().flatten();
    let mut entries = 0;
    for (left, right) in merges {
        ranks.entry(format!("{left}{right}")).or_insert_with(|| {
            entries += 1;
            entries - 1
        });
    }
    let score = |entry: &String| ranks.get(entry).copied().unwrap_or(entries);
    let typed = vocabulary.tokens.iter().zip(&vocabulary.token_types);
    vocabulary.scores = typed
        .map(|(entry, kind)| match *kind {
            NORMAL => -(score(entry) as f32),
            _ => 0.0,
        })
        .collect();
    "llama".clone_into(&mut vocabulary.model);
    vocabulary.pre = Some("default".to_owned());
    let mut steps = ["normalizer", "pre_tokenizer"]
        .iter()
        .filter_map(|name| file.parts.get(*name));
    vocabulary.add_space_prefix = Some(steps.any(sets_space));
}

/// Whether a part of a `tokenizer.json`, or a part of it, sets a space before texts.
fn sets_space(part: &Value) -> bool {
    let inner = ["normalizers", "pretokenizers"]
        .iter()
        .flat_map(|name| list(&part[*name]));
    let mut inner = inner;
    match part["type"].as_str() {
        Some("Prepend") => part["prepend"] == "▁",
        Some("Metaspace") => match part.get("prepend_scheme") {
            Some(scheme) => scheme != "never",
            None => part["add_prefix_space"] != false,
        },
        _ => inner.any(sets_space),
    }
}

fn word_piece(file: &File, vocabulary: &mut GgufVocabulary) -> Result<(), TokenizeError> {
    let nothing = Map::new();
    let normalizer = file.parts.get("normalizer").and_then(Value::as_object);
    let normalizer = normalizer.unwrap_or(&nothing);
    let flag = |name: &str| normalizer.get(name).and_then(Value::as_bool);
    if normalizer
        .get("type")
        .is_some_and(|kind| kind != "BertNormalizer")
        || file
            .model
            .get("continuing_subword_prefix")
            .is_some_and(|prefix| prefix != "##")
    {
        return Err(none("it is WordPiece in another way than BERT's"));
    }
    let find = |name: &str| {
        let at = vocabulary.tokens.iter().position(|entry| entry == name);
        at.map(|id| id as u32)
    };
    let (cls, separator) = (find("[CLS]"), find("[SEP]"));
    vocabulary.lowercase = Some(flag("lowercase").unwrap_or(false));
    vocabulary.strip_accents = flag("strip_accents");
    vocabulary.tokens = vocabulary
        .tokens
        .iter()
        .map(|entry| wordpiece::write(entry))
        .collect();
    "bert".clone_into(&mut vocabulary.model);
    vocabulary.cls = cls.or(vocabulary.bos);
    vocabulary.bos = vocabulary.cls;
    vocabulary.separator = separator.or(vocabulary.eos);
    vocabulary.eos = vocabulary.separator;
    Ok(())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
