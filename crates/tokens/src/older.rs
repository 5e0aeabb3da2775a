//! Tokenizers from before `tokenizer.json`: GPT-2's two files, and the characters of nanoGPT.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::TokenizeError;
use crate::file::{id_of, malformed};
use crate::tokenizer::Tokenizer;
use crate::train::END_OF_TEXT;

impl Tokenizer {
    /// GPT-2's tokenizer from its vocabulary (`vocab.json`, OpenAI's `encoder.json`) and its merges (`merges.txt`,
    /// `vocab.bpe`).
    ///
    /// # Errors
    /// As of [`from_json`](Self::from_json).
    pub fn from_gpt2_files(vocabulary: &[u8], merges: &str) -> Result<Self, TokenizeError> {
        let vocab: Value = serde_json::from_slice(vocabulary)
            .map_err(|error| malformed("vocab.json", error.to_string()))?;
        let end = vocab.get(END_OF_TEXT).and_then(id_of);
        let added: Vec<Value> = end
            .map(|id| {
                json!({
                    "id": id, "content": END_OF_TEXT, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true,
                })
            })
            .into_iter()
            .collect();
        let is_merge = |line: &&str| !line.is_empty() && !line.starts_with("#version");
        let merges: Vec<&str> = merges.lines().filter(is_merge).collect();
        let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
        let file = json!({
            "version": "1.0",
            "added_tokens": added,
            "pre_tokenizer": bytes,
            "decoder": bytes,
            "model": { "type": "BPE", "vocab": vocab, "merges": merges },
        });
        Self::from_json(file.to_string().as_bytes())
    }

    /// The characters of nanoGPT's `meta.pkl`, saved as JSON: an object with `stoi`, from character to id.
    ///
    /// # Errors
    /// [`TokenizeError::Malformed`]: it has no such object, or numbers characters in another order than by their codes.
    pub fn from_nanogpt_meta(meta: &[u8]) -> Result<Self, TokenizeError> {
        let bad = |why: String| malformed("meta.json", why);
        let meta: Value = serde_json::from_slice(meta).map_err(|error| bad(error.to_string()))?;
        let stoi = meta.get("stoi").and_then(Value::as_object);
        let stoi = stoi.ok_or_else(|| bad("it has no object `stoi`".to_owned()))?;
        let mut characters = BTreeMap::new();
        for (character, id) in stoi {
            if character.chars().count() != 1 {
                return Err(bad(format!("{character:?} is not one character")));
            }
            characters.insert(character.as_str(), id_of(id));
        }
        // As the recipe numbers them, and as `characters` does.
        if let Some((at, (character, _))) =
            (characters.iter().enumerate()).find(|(at, (_, id))| **id != Some(*at as u32))
        {
            return Err(bad(format!(
                "{character:?} is number {at} by its code, but has another id"
            )));
        }
        Self::characters(characters.into_keys().map(str::to_owned))
    }
}
