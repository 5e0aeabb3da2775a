//! The tokenizer: what is known about each id, made once when it is read.

use std::collections::HashMap;
use std::sync::Arc;

use crate::bytes::{ByteTable, bytes_of};
use crate::error::{TokenizeError, guard};
use crate::merges::{MergeStep, Merges};
use crate::spec::{Kind, Spec};

/// Names under which families list the token that ends a text, the likeliest first.
const END_NAMES: [&str; 5] = [
    crate::train::END_OF_TEXT,
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<|end|>",
];

/// Turns text into ids and back. Cheap to clone, and shared between threads.
#[derive(Clone, Debug)]
pub struct Tokenizer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    library: tokenizers::Tokenizer,
    kind: Kind,
    cuts_at_words: bool,
    adds_space: bool,
    unknown: Option<u32>,
    end_of_text: Option<u32>,
    /// Content and id of each special token, by id.
    specials: Vec<(String, u32)>,
    /// For [`Kind::Characters`] alone.
    characters: HashMap<char, u32>,
    bytes: ByteTable,
    /// For [`Kind::ByteLevelBpe`] alone.
    merges: Merges,
    fingerprint: String,
}

impl Tokenizer {
    /// Reads a `tokenizer.json` as Hugging Face's library writes it, without its truncation and
    /// padding, which would cut or lengthen texts.
    ///
    /// # Errors
    /// [`TokenizeError::Json`] or [`TokenizeError::Malformed`]. Never panics, whatever the bytes.
    pub fn from_json(json: &[u8]) -> Result<Self, TokenizeError> {
        let spec = Spec::read(json)?;
        let refused = |why| TokenizeError::Malformed {
            part: "refused by the library",
            why,
        };
        let mut library = guard(|| tokenizers::Tokenizer::from_bytes(json)).map_err(refused)?;
        library.with_padding(None);
        guard(|| library.with_truncation(None).map(|_| ())).map_err(refused)?;
        // The library shall not look for special tokens: `encode_with_specials` alone does.
        library.set_encode_special_tokens(true);
        check_added(&spec, &library)?;
        let canonical = guard(|| library.to_string(false)).map_err(refused)?;

        let entries = entries(&library);
        let mut merges = Merges::default();
        let mut characters = HashMap::new();
        match spec.kind {
            Kind::ByteLevelBpe => {
                merges = Merges::new(spec.merges, |entry| library.token_to_id(entry));
            }
            Kind::Characters => characters = single_characters(&entries),
            Kind::Other => {}
        }
        Ok(Self(Arc::new(Inner {
            kind: spec.kind,
            cuts_at_words: spec.cuts_at_words,
            adds_space: spec.adds_space,
            unknown: spec.unknown,
            end_of_text: END_NAMES.iter().find_map(|name| library.token_to_id(name)),
            specials: specials(&library),
            characters,
            bytes: byte_table(&entries, spec.kind, &library),
            merges,
            fingerprint: format!("{:016x}", fnv1a(canonical.as_bytes())),
            library,
        })))
    }

    /// The tokenizer as the text of a `tokenizer.json`, always the same for the same tokenizer.
    pub fn to_json(&self) -> String {
        self.0
            .library
            .to_string(false)
            .expect("from_json wrote it once already")
    }

    /// Sixteen hexadecimal digits by which data prepared with a tokenizer recognises it again
    /// (FNV-1a of [`to_json`](Self::to_json)).
    pub fn fingerprint(&self) -> &str {
        &self.0.fingerprint
    }

    /// How it cuts text.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Number of ids: one more than the highest, special tokens included.
    pub fn vocab_size(&self) -> usize {
        self.0.bytes.len()
    }

    /// The token set between texts, where there is one: a character vocabulary has none.
    pub fn end_of_text(&self) -> Option<u32> {
        self.0.end_of_text
    }

    /// The id of a vocabulary entry or added token, written as in `tokenizer.json` (`Ġthe`).
    pub fn id_of(&self, entry: &str) -> Option<u32> {
        self.0.library.token_to_id(entry)
    }

    /// Is `id` a special token, one that stands for no text?
    pub fn is_special(&self, id: u32) -> bool {
        self.0
            .specials
            .binary_search_by_key(&id, |(_, id)| *id)
            .is_ok()
    }

    /// Special tokens and their ids, by id.
    pub fn specials(&self) -> &[(String, u32)] {
        &self.0.specials
    }

    /// The bytes `id` stands for, possibly part of a character; for a special token its name.
    /// Empty for an id outside the vocabulary.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.0.bytes.get(id)
    }

    /// The text `id` stands for; `None` if that is not a whole number of characters, or no token.
    pub fn token_text(&self, id: u32) -> Option<String> {
        let bytes = self.token_bytes(id);
        let text = std::str::from_utf8(bytes).ok()?;
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The merges, in the order in which BPE applies them, that make `id` from its single bytes.
    /// Empty for single bytes, for special tokens, and for any other [`kind`](Self::kind).
    pub fn merges_of(&self, id: u32) -> Vec<MergeStep> {
        match self.kind() {
            Kind::ByteLevelBpe if !self.is_special(id) => self.0.merges.steps_of(id, &self.0.bytes),
            _ => Vec::new(),
        }
    }

    pub(crate) fn library(&self) -> &tokenizers::Tokenizer {
        &self.0.library
    }

    pub(crate) fn character_id(&self, character: char) -> Option<u32> {
        self.0.characters.get(&character).copied()
    }

    pub(crate) fn unknown_id(&self) -> Option<u32> {
        self.0.unknown
    }

    pub(crate) fn cuts_at_words(&self) -> bool {
        self.0.cuts_at_words
    }

    pub(crate) fn adds_space(&self) -> bool {
        self.0.adds_space
    }

    #[cfg(test)]
    pub(crate) fn merges(&self) -> &crate::merges::Merges {
        &self.0.merges
    }
}

/// An entry of the vocabulary, and whether it was added to the model's own.
struct Entry {
    content: String,
    added: bool,
}

/// The vocabulary by id, with `None` where it has a hole.
fn entries(library: &tokenizers::Tokenizer) -> Vec<Option<Entry>> {
    let mut entries: Vec<Option<Entry>> = Vec::new();
    let mut set = |id: u32, content: String, added: bool| {
        let id = id as usize;
        if entries.len() <= id {
            entries.resize_with(id + 1, || None);
        }
        entries[id] = Some(Entry { content, added });
    };
    for (content, id) in library.get_vocab(false) {
        set(id, content, false);
    }
    for (id, token) in library.get_added_tokens_decoder() {
        set(id, token.content, true);
    }
    entries
}

fn byte_table(entries: &[Option<Entry>], kind: Kind, library: &tokenizers::Tokenizer) -> ByteTable {
    let bytes = |(id, entry): (usize, &Option<Entry>)| {
        let Some(Entry { content, added }) = entry else {
            return Vec::new();
        };
        match kind {
            _ if *added => content.clone().into_bytes(),
            Kind::ByteLevelBpe => bytes_of(content).unwrap_or_else(|| content.clone().into_bytes()),
            Kind::Characters => content.clone().into_bytes(),
            Kind::Other => bytes_in_other(content, id as u32, library),
        }
    };
    ByteTable::new(&entries.iter().enumerate().map(bytes).collect::<Vec<_>>())
}

/// SentencePiece writes a space as `▁` and a lone byte as `<0x41>`, WordPiece a continued word as
/// `##ing`. Unless the decoder reads a token otherwise, its bytes are those of the entry itself.
fn bytes_in_other(content: &str, id: u32, library: &tokenizers::Tokenizer) -> Vec<u8> {
    let lone = content
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'));
    if let Some(byte) = lone.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
        return vec![byte];
    }
    if let Some(word) = content.strip_prefix('▁') {
        return format!(" {}", word.replace('▁', " ")).into_bytes();
    }
    guard(|| library.decode(&[id], false))
        .unwrap_or_else(|_| content.to_owned())
        .into_bytes()
}

fn single_characters(entries: &[Option<Entry>]) -> HashMap<char, u32> {
    let own = entries
        .iter()
        .enumerate()
        .filter_map(|(id, entry)| Some((id, entry.as_ref()?)));
    own.filter(|(_, entry)| !entry.added)
        .filter_map(|(id, entry)| Some((entry.content.chars().next()?, id as u32)))
        .collect()
}

fn specials(library: &tokenizers::Tokenizer) -> Vec<(String, u32)> {
    let added = library.get_added_tokens_decoder().into_iter();
    let mut specials: Vec<_> = added
        .filter(|(_, token)| token.special)
        .map(|(id, token)| (token.content, id))
        .collect();
    specials.sort_by_key(|(_, id)| *id);
    specials
}

/// The library numbers added tokens itself. Where that differs from the file, ids would silently
/// mean something else than the model learned.
fn check_added(spec: &Spec, library: &tokenizers::Tokenizer) -> Result<(), TokenizeError> {
    for (content, id) in &spec.added {
        let given = library.token_to_id(content);
        if given.is_some_and(|given| given != *id) {
            let why =
                format!("{content:?} is listed as id {id}, but {given:?} is the next free one");
            return Err(TokenizeError::Malformed {
                part: "added_tokens",
                why,
            });
        }
    }
    Ok(())
}

/// Fowler–Noll–Vo hash 1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
