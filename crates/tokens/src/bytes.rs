//! The real bytes behind each id.
//!
//! Byte-level BPE writes each byte as one printable character (space is `Ġ`, the first byte of 床 is `å`), so that
//! vocabularies can be text files. Radford et al. 2019, `bytes_to_unicode` in GPT-2's `encoder.py`.

use std::sync::LazyLock;

/// The printable character that stands for each byte.
static ALPHABET: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut stand_in = 256;
    std::array::from_fn(|byte| match byte {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte as u8),
        _ => {
            stand_in += 1;
            char::from_u32(stand_in - 1).expect("256 to 323 are characters")
        }
    })
});

/// The byte for which each of the characters below 324 stands.
static BYTE_OF: LazyLock<[Option<u8>; 324]> = LazyLock::new(|| {
    let mut byte_of = [None; 324];
    for (byte, &character) in ALPHABET.iter().enumerate() {
        byte_of[character as usize] = Some(byte as u8);
    }
    byte_of
});

/// The byte for which `character` stands in a byte-level vocabulary.
pub(crate) fn byte_of(character: char) -> Option<u8> {
    *BYTE_OF.get(character as usize)?
}

/// The character that stands for `byte` in a byte-level vocabulary.
pub(crate) fn character_of(byte: u8) -> char {
    ALPHABET[usize::from(byte)]
}

/// The bytes of a byte-level vocabulary entry; `None` if it holds a character outside the alphabet.
pub(crate) fn bytes_of(entry: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(entry.len());
    for character in entry.chars() {
        bytes.push(byte_of(character)?);
    }
    Some(bytes)
}

/// Bytes of every id, in one block: token `id` is `block[ends[id - 1]..ends[id]]`.
#[derive(Debug, Default)]
pub(crate) struct ByteTable {
    block: Vec<u8>,
    ends: Vec<u32>,
}

impl ByteTable {
    /// `tokens[id]`: the bytes of each id, empty where the vocabulary has a hole.
    pub(crate) fn new(tokens: &[Vec<u8>]) -> Self {
        let mut table = Self::default();
        for token in tokens {
            table.block.extend_from_slice(token);
            table.ends.push(table.block.len() as u32);
        }
        table
    }

    /// The bytes of `id`, empty for an id outside the vocabulary.
    pub(crate) fn get(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let Some(&end) = self.ends.get(id) else {
            return &[];
        };
        let start = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.block[start as usize..end as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_gpt2s() {
        assert_eq!(character_of(b' '), 'Ġ');
        assert_eq!(character_of(b'\n'), 'Ċ');
        assert_eq!(character_of(b'a'), 'a');
        assert_eq!(character_of(0xAD), 'Ń');
        assert!((0..=255).all(|byte| byte_of(character_of(byte)) == Some(byte)));
        assert_eq!(bytes_of("åºĬ").unwrap(), "床".as_bytes());
        assert_eq!(bytes_of("床"), None);
    }
}
