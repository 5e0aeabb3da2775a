//! Just enough of GGUF to read a vocabulary's metadata: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

use std::collections::HashMap;

use glassformer_tokens::GgufVocabulary;

#[derive(Clone, Debug)]
pub(crate) enum Field {
    Number(f64),
    Text(String),
    List(Vec<Field>),
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self.0.split_first_chunk().unwrap();
        self.0 = rest;
        *first
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn u64(&mut self) -> usize {
        u64::from_le_bytes(self.bytes()) as usize
    }

    fn text(&mut self) -> String {
        let length = self.u64();
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8(text.to_vec()).unwrap()
    }

    fn field(&mut self, kind: u32) -> Field {
        match kind {
            0 | 7 => Field::Number(f64::from(self.bytes::<1>()[0])),
            4 => Field::Number(f64::from(self.u32())),
            5 => Field::Number(f64::from(i32::from_le_bytes(self.bytes()))),
            6 => Field::Number(f64::from(f32::from_le_bytes(self.bytes()))),
            8 => Field::Text(self.text()),
            9 => {
                let (kind, length) = (self.u32(), self.u64());
                Field::List((0..length).map(|_| self.field(kind)).collect())
            }
            10 => Field::Number(self.u64() as f64),
            other => panic!("the test files hold no fields of kind {other}"),
        }
    }
}

fn metadata(bytes: &[u8]) -> HashMap<String, Field> {
    let mut reader = Reader(bytes);
    assert_eq!(&reader.bytes::<4>(), b"GGUF");
    let (_version, _tensors, fields) = (reader.u32(), reader.u64(), reader.u64());
    (0..fields)
        .map(|_| {
            let name = reader.text();
            let kind = reader.u32();
            (name, reader.field(kind))
        })
        .collect()
}

/// The vocabulary in a `.gguf` file.
pub(crate) fn vocabulary(bytes: &[u8]) -> GgufVocabulary {
    let fields = metadata(bytes);
    let get = |name: &str| fields.get(&format!("tokenizer.ggml.{name}")).cloned();
    let number = |name: &str| match get(name) {
        Some(Field::Number(number)) => Some(number),
        _ => None,
    };
    let text = |name: &str| match get(name) {
        Some(Field::Text(text)) => Some(text),
        _ => None,
    };
    let list = |name: &str| match get(name) {
        Some(Field::List(list)) => list,
        _ => Vec::new(),
    };
    let numbers = |name: &str| {
        list(name).into_iter().map(|item| match item {
            Field::Number(number) => number,
            other => panic!("{other:?}"),
        })
    };
    let texts = |name: &str| {
        let items = list(name).into_iter().map(|item| match item {
            Field::Text(text) => text,
            other => panic!("{other:?}"),
        });
        items.collect::<Vec<_>>()
    };
    let id = |name: &str| number(name).map(|id| id as u32);
    let flag = |name: &str| number(name).map(|flag| flag != 0.0);
    GgufVocabulary {
        model: text("model").unwrap(),
        pre: text("pre"),
        tokens: texts("tokens"),
        scores: numbers("scores").map(|score| score as f32).collect(),
        token_types: numbers("token_type").map(|kind| kind as i32).collect(),
        merges: texts("merges"),
        bos: id("bos_token_id"),
        eos: id("eos_token_id"),
        unknown: id("unknown_token_id"),
        separator: id("seperator_token_id"),
        cls: id("cls_token_id"),
        mask: id("mask_token_id"),
        add_bos: flag("add_bos_token"),
        add_eos: flag("add_eos_token"),
        ..GgufVocabulary::default()
    }
}
