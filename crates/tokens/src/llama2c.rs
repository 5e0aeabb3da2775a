//! llama2.c's `tokenizer.bin`: SentencePiece's entries and their scores.
//!
//! ```text
//! i32 longest entry in bytes, then for each id: f32 score, i32 length, so many bytes
//! ```
//!
//! A space stands where SentencePiece writes `▁`; ids 1 and 2 begin and end a text, 3 to 258 are bytes. The source is
//! `tokenizer.py` and `run.c` there.

use crate::error::TokenizeError;
use crate::gguf::{BYTE, CONTROL, GgufVocabulary, NORMAL, UNKNOWN};

/// Ids of `<unk>`, `<s>` and `</s>`.
const UNKNOWN_ID: u32 = 0;
const BOS: u32 = 1;
const EOS: u32 = 2;

/// The first id of a byte, and the first behind them.
const BYTES: std::ops::Range<usize> = 3..3 + 256;

impl GgufVocabulary {
    /// The vocabulary of `size` entries in a `tokenizer.bin`, as a GGUF file would have it.
    ///
    /// # Errors
    /// [`TokenizeError::Llama2c`]: it is damaged, or has another number of entries.
    pub fn from_llama2c(bytes: &[u8], size: usize) -> Result<Self, TokenizeError> {
        let entries = entries(bytes, size).map_err(TokenizeError::Llama2c)?;
        let (tokens, scores) = entries.into_iter().unzip();
        let kind = |id: usize| match id {
            0 => UNKNOWN,
            1 | 2 => CONTROL,
            _ if BYTES.contains(&id) => BYTE,
            _ => NORMAL,
        };
        Ok(Self {
            model: "llama".to_owned(),
            tokens,
            scores,
            token_types: (0..size).map(kind).collect(),
            bos: Some(BOS),
            eos: Some(EOS),
            unknown: Some(UNKNOWN_ID),
            add_bos: Some(true),
            add_eos: Some(false),
            add_space_prefix: Some(true),
            ..Self::default()
        })
    }
}

fn entries(bytes: &[u8], size: usize) -> Result<Vec<(String, f32)>, String> {
    let mut rest = bytes;
    let mut entries = Vec::new();
    take::<4>(&mut rest, "its first number")?;
    while !rest.is_empty() {
        let id = entries.len();
        let what = format!("entry {id}");
        let score = f32::from_le_bytes(take(&mut rest, &what)?);
        let length = i32::from_le_bytes(take(&mut rest, &what)?);
        let text = usize::try_from(length)
            .ok()
            .and_then(|length| rest.split_at_checked(length));
        let Some((text, behind)) = text else {
            return Err(format!(
                "{what} is said to have {length} bytes, and {} follow",
                rest.len()
            ));
        };
        rest = behind;
        let text = std::str::from_utf8(text).map_err(|_| format!("{what} is not UTF-8"))?;
        entries.push((spell(id, text), score));
    }
    if entries.len() == size {
        return Ok(entries);
    }
    Err(format!(
        "it has {} entries, but the model has {size}: they are of different models",
        entries.len()
    ))
}

fn take<const N: usize>(rest: &mut &[u8], what: &str) -> Result<[u8; N], String> {
    let (first, behind) = rest
        .split_first_chunk()
        .ok_or_else(|| format!("it ends within {what}"))?;
    *rest = behind;
    Ok(*first)
}

/// As SentencePiece spells an entry. The ends of texts stand between line breaks in such files.
fn spell(id: usize, text: &str) -> String {
    match id {
        0..3 => text.trim_matches('\n').to_owned(),
        _ if BYTES.contains(&id) => text.to_owned(),
        _ => text.replace(' ', "▁"),
    }
}
