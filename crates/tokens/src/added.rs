//! Added tokens: entries that stand beside the model's own vocabulary, special ones (`<|endoftext|>`) among them.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};
use tokenizers::models::bpe::Vocab;

use crate::error::TokenizeError;
use crate::file::{Vocabulary, id_of, malformed};

/// An added token, as a `tokenizer.json` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) content: String,
    pub(crate) id: u32,
    pub(crate) special: bool,
}

/// Reads `added_tokens`. Tokens without content match nothing, and the library leaves them out as well.
pub(crate) fn read(file: &Map<String, Value>) -> Result<Vec<Added>, TokenizeError> {
    let list = match file.get("added_tokens") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(list) => list
            .as_array()
            .ok_or_else(|| malformed("added_tokens", "it is no list"))?,
    };
    let mut added = Vec::with_capacity(list.len());
    for token in list {
        let content = token.get("content").and_then(Value::as_str);
        let id = token.get("id").and_then(id_of);
        let (Some(content), Some(id)) = (content, id) else {
            let why = format!("{token} has no content or no id");
            return Err(malformed("added_tokens", why));
        };
        if !content.is_empty() {
            added.push(Added {
                content: content.to_owned(),
                id,
                special: token.get("special") == Some(&Value::Bool(true)),
            });
        }
    }
    Ok(added)
}

/// Makes sure that each added token gets the id under which it is listed.
///
/// The library numbers tokens that the model's vocabulary does not hold by itself, from the vocabulary's size on. Where a
/// file says otherwise (its vocabulary has holes, or its list is not in order), the tokens are put into the vocabulary
/// under their ids. Otherwise ids would silently mean something else than the model learned.
pub(crate) fn place(vocabulary: &mut Vocabulary, added: &[Added]) -> Result<(), TokenizeError> {
    match vocabulary {
        Vocabulary::Named(vocab) => place_by_name(vocab, added),
        Vocabulary::Listed(vocab) => check_in_list(vocab, added),
    }
}

fn place_by_name(vocab: &mut Vocab, added: &[Added]) -> Result<(), TokenizeError> {
    let mut outside: Vec<&Added> = Vec::new();
    for token in added {
        match vocab.get(&token.content) {
            Some(&id) => agree(token, id)?,
            None => outside.push(token),
        }
    }
    let highest = vocab.values().max();
    let has_no_hole = highest.is_none_or(|&id| id as usize + 1 == vocab.len());
    let mut following = outside.iter().zip(vocab.len()..);
    if has_no_hole && following.all(|(token, next)| token.id as usize == next) {
        return Ok(());
    }
    let mut taken: HashSet<u32> = vocab.values().copied().collect();
    for token in outside {
        if !taken.insert(token.id) {
            let Added { content, id, .. } = token;
            let why = format!("{content:?} is listed as id {id}, which another entry has");
            return Err(malformed("added_tokens", why));
        }
        vocab.insert(token.content.clone(), token.id);
    }
    Ok(())
}

/// A Unigram vocabulary is a list of `[entry, score]`, whose order gives the ids: nothing can be put in between.
fn check_in_list(vocab: &[Value], added: &[Added]) -> Result<(), TokenizeError> {
    let own = vocab.iter().zip(0u32..);
    let mut ids: HashMap<&str, u32> = own
        .filter_map(|(entry, id)| Some((entry.get(0)?.as_str()?, id)))
        .collect();
    let mut next = vocab.len() as u32;
    for token in added {
        let given = *ids.entry(&token.content).or_insert(next);
        next = next.max(given + 1);
        agree(token, given)?;
    }
    Ok(())
}

fn agree(token: &Added, given: u32) -> Result<(), TokenizeError> {
    if token.id == given {
        return Ok(());
    }
    let Added { content, id, .. } = token;
    let why =
        format!("{content:?} is listed as id {id}, but its place in the vocabulary is {given}");
    Err(malformed("added_tokens", why))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::file::File;

    fn placed(vocab: &Value, tokens: &[(&str, u32)]) -> Result<Value, String> {
        let list: Vec<Value> = tokens
            .iter()
            .map(|(content, id)| json!({ "content": content, "id": id }))
            .collect();
        let json = json!({ "model": { "vocab": vocab }, "added_tokens": list }).to_string();
        let mut file = File::from_json(json.as_bytes()).unwrap();
        let added = read(&file.parts).unwrap();
        place(&mut file.vocabulary, &added).map_err(|error| error.to_string())?;
        let entries = file.vocabulary.named();
        Ok(entries
            .map(|(entry, id)| (entry.to_owned(), Value::from(id)))
            .collect())
    }

    #[test]
    fn tokens_that_follow_the_vocabulary_stay_outside() {
        let vocab = json!({ "a": 0, "b": 1 });
        let after = placed(&vocab, &[("a", 0), ("<x>", 2), ("<y>", 3)]).unwrap();
        assert_eq!(after, vocab);
    }

    #[test]
    fn tokens_after_a_hole_or_out_of_order_get_their_ids() {
        let after = placed(&json!({ "a": 0, "b": 2 }), &[("<x>", 1), ("<y>", 9)]).unwrap();
        assert_eq!(after, json!({ "a": 0, "b": 2, "<x>": 1, "<y>": 9 }));
        let after = placed(&json!({ "a": 0 }), &[("<y>", 2), ("<x>", 1)]).unwrap();
        assert_eq!(after, json!({ "a": 0, "<y>": 2, "<x>": 1 }));
    }

    #[test]
    fn two_meanings_of_one_id_are_refused() {
        let why = placed(&json!({ "a": 0 }), &[("a", 5)]).unwrap_err();
        assert!(why.contains("id 5") && why.contains('0'), "{why}");
        let why = placed(&json!({ "a": 0, "b": 1 }), &[("<x>", 1)]).unwrap_err();
        assert!(why.contains("another entry"), "{why}");
        let why = placed(&json!({ "a": 0, "b": 2 }), &[("<x>", 2)]).unwrap_err();
        assert!(why.contains("another entry"), "{why}");
        let why = placed(&json!([["a", 0.0]]), &[("<x>", 3)]).unwrap_err();
        assert!(why.contains("id 3"), "{why}");
        placed(&json!([["a", 0.0]]), &[("a", 0), ("<x>", 1)]).unwrap();
    }
}
