//! The tokenizer: what is known about each id, made once when it is read.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use tokenizers::AddedVocabulary;

use crate::added::{self, Added};
use crate::bytes::ByteTable;
use crate::error::{TokenizeError, guard};
use crate::file::File;
use crate::library;
use crate::merges::{Merge, MergeStep, Merges};
use crate::roles::Roles;
use crate::spec::{Kind, Spec};
use crate::surround::Surround;
use crate::table;

/// Turns text into ids and back. Cheap to clone, and shared between threads.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: Arc<Inner>,
    pub(crate) roles: Arc<Roles>,
    pub(crate) surround: Arc<Surround>,
}

#[derive(Debug)]
struct Inner {
    library: tokenizers::Tokenizer,
    /// The added tokens, special ones recognised: the library's own copy leaves those alone.
    recognising: AddedVocabulary,
    kind: Kind,
    cuts_at_words: bool,
    adds_space: bool,
    takes_text_as_is: bool,
    unknown: Option<u32>,
    size: usize,
    added: Vec<Added>,
    /// Content and id of each special token, by id.
    specials: Vec<(String, u32)>,
    /// For [`Kind::Characters`] alone.
    characters: HashMap<char, u32>,
    /// Made when first asked for where each entry must be decoded.
    bytes: OnceLock<ByteTable>,
    /// For [`Kind::ByteLevelBpe`] alone.
    merge_list: Vec<Merge>,
    merges: OnceLock<Merges>,
    fingerprint: OnceLock<String>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json` as Hugging Face's library writes it, without its truncation and
    /// padding, which would cut or lengthen texts.
    ///
    /// # Errors
    /// [`TokenizeError::Json`] or [`TokenizeError::Malformed`]. Never panics, whatever the bytes.
    pub fn from_json(json: &[u8]) -> Result<Self, TokenizeError> {
        Self::from_file(File::from_json(json)?)
    }

    /// As [`from_json`](Self::from_json), of a file that has been taken apart or put together already.
    pub(crate) fn from_file(mut file: File) -> Result<Self, TokenizeError> {
        let added = added::read(&file.parts)?;
        added::place(&mut file.vocabulary, &added)?;
        let spec = Spec::read(&file, &added)?;
        let mut bytes = OnceLock::new();
        if spec.kind != Kind::Other {
            bytes = table::of_plain_entries(&file.vocabulary, spec.kind, &added, spec.size).into();
        }
        let mut characters = HashMap::new();
        if spec.kind == Kind::Characters {
            characters = table::characters(&file.vocabulary, &added);
        }
        let library = guard(|| library::build(file)).map_err(|why| TokenizeError::Malformed {
            part: "refused by the library",
            why,
        })?;
        let mut recognising = library.get_added_vocabulary().clone();
        recognising.set_encode_special_tokens(false);
        let surround = Surround::of(&library, spec.size)?;
        Ok(Self {
            roles: Arc::new(Roles::by_name(&added, surround.first())),
            surround: Arc::new(surround),
            inner: Arc::new(Inner {
                recognising,
                kind: spec.kind,
                cuts_at_words: spec.cuts_at_words,
                adds_space: spec.adds_space,
                takes_text_as_is: spec.takes_text_as_is,
                unknown: spec.unknown,
                size: spec.size,
                specials: specials(&added),
                added,
                characters,
                bytes,
                merge_list: spec.merges,
                merges: OnceLock::new(),
                fingerprint: OnceLock::new(),
                library,
            }),
        })
    }

    /// The tokenizer as the text of a `tokenizer.json`, always the same for the same tokenizer.
    pub fn to_json(&self) -> String {
        self.library()
            .to_string(false)
            .expect("its parts were written once already when it was read")
    }

    /// Sixteen hexadecimal digits by which data prepared with a tokenizer recognises it again
    /// (FNV-1a of [`to_json`](Self::to_json)).
    pub fn fingerprint(&self) -> &str {
        let hash = || format!("{:016x}", fnv1a(self.to_json().as_bytes()));
        self.inner.fingerprint.get_or_init(hash)
    }

    /// How it cuts text.
    pub fn kind(&self) -> Kind {
        self.inner.kind
    }

    /// Number of ids: one more than the highest, special tokens included.
    pub fn vocab_size(&self) -> usize {
        self.inner.size
    }

    /// The id of a vocabulary entry or added token, written as in `tokenizer.json` (`Ġthe`).
    pub fn id_of(&self, entry: &str) -> Option<u32> {
        self.library().token_to_id(entry)
    }

    /// Is `id` a special token, one that stands for no text?
    pub fn is_special(&self, id: u32) -> bool {
        self.specials()
            .binary_search_by_key(&id, |(_, id)| *id)
            .is_ok()
    }

    /// Special tokens and their ids, by id.
    pub fn specials(&self) -> &[(String, u32)] {
        &self.inner.specials
    }

    /// The bytes `id` stands for, possibly part of a character; for a special token its name.
    /// Empty for an id outside the vocabulary.
    pub fn token_bytes(&self, id: u32) -> &[u8] {
        self.bytes().get(id)
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
            Kind::ByteLevelBpe if !self.is_special(id) => self.merges().steps_of(id, self.bytes()),
            _ => Vec::new(),
        }
    }

    fn bytes(&self) -> &ByteTable {
        let inner = &self.inner;
        let decode = || table::of_decoded_entries(&inner.library, &inner.added, inner.size);
        inner.bytes.get_or_init(decode)
    }

    pub(crate) fn merges(&self) -> &Merges {
        let sort = || Merges::new(self.inner.merge_list.clone(), |entry| self.id_of(entry));
        self.inner.merges.get_or_init(sort)
    }

    pub(crate) fn library(&self) -> &tokenizers::Tokenizer {
        &self.inner.library
    }

    pub(crate) fn recognising(&self) -> &AddedVocabulary {
        &self.inner.recognising
    }

    pub(crate) fn character_id(&self, character: char) -> Option<u32> {
        self.inner.characters.get(&character).copied()
    }

    pub(crate) fn added(&self) -> &[Added] {
        &self.inner.added
    }

    pub(crate) fn unknown_id(&self) -> Option<u32> {
        self.inner.unknown
    }

    pub(crate) fn cuts_at_words(&self) -> bool {
        self.inner.cuts_at_words
    }

    pub(crate) fn adds_space(&self) -> bool {
        self.inner.adds_space
    }

    pub(crate) fn takes_text_as_is(&self) -> bool {
        self.inner.takes_text_as_is
    }
}

fn specials(added: &[Added]) -> Vec<(String, u32)> {
    let special = added.iter().filter(|token| token.special);
    let mut specials: Vec<_> = special
        .map(|token| (token.content.clone(), token.id))
        .collect();
    specials.sort_by_key(|(_, id)| *id);
    specials.dedup_by_key(|(_, id)| *id);
    specials
}

/// Fowler–Noll–Vo hash 1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
