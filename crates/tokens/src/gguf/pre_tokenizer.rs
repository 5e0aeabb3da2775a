//! How byte-level tokenizers cut text into words, by the name that GGUF files give it.
//!
//! The patterns are those of the models' own `tokenizer.json`; which name means which pattern is llama.cpp's word
//! (`llama_vocab::impl::load`), for its converter writes the names.

use serde_json::{Value, json};

/// GPT-2: words with the space before them, numbers, other signs, white space.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// OpenAI's cl100k pattern as Llama 3 has it: any one sign before a word, at most three digits together.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same with each digit alone.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same with combining marks kept in words.
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Mistral's Tekken: a new word also begins where a capital letter follows a small one.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// OpenAI's o200k, as Llama 4 has it: Tekken's words with their contractions, at most three digits together.
const O200K: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// llama.cpp's answer where a file does not say: signs, GPT-2's words, numbers, three digits, one after the other.
const UNSAID: [&str; 4] = [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"];

/// How words are found.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// GPT-2's pattern, which the library has built in.
    Gpt2,
    /// Each digit alone, then GPT-2's pattern.
    DigitsGpt2,
    /// Patterns, each on the pieces that the one before left.
    Patterns(&'static [&'static str]),
}

/// One way to cut, under all its names.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the format's"
)]
pub(super) struct PreTokenizer {
    names: &'static [&'static str],
    cut: Cut,
    /// A word that is an entry stays whole, whatever the merges say (Llama 3's `ignore_merges`).
    pub(super) takes_whole_words: bool,
    /// `bos` is set before texts where the file does not say.
    pub(super) adds_bos: bool,
    /// Texts are composed first (NFC).
    composes: bool,
    /// RoBERTa's ways: two separators between texts, a mask that takes the space before it.
    pub(super) is_roberta: bool,
}

const PLAIN: PreTokenizer = PreTokenizer {
    names: &[],
    cut: Cut::Gpt2,
    takes_whole_words: false,
    adds_bos: false,
    composes: false,
    is_roberta: false,
};

const KNOWN: [PreTokenizer; 12] = [
    PreTokenizer {
        names: &[
            "gpt-2", "phi-2", "mpt", "olmo", "jais", "exaone4", "gigachat", "trillion",
        ],
        ..PLAIN
    },
    PreTokenizer {
        names: &["roberta-bpe", "jina-v1-en", "jina-v2-code"],
        is_roberta: true,
        ..PLAIN
    },
    PreTokenizer {
        names: &[
            "smollm",
            "starcoder",
            "refact",
            "command-r",
            "codeshell",
            "exaone",
            "minerva-7b",
        ],
        cut: Cut::DigitsGpt2,
        ..PLAIN
    },
    PreTokenizer {
        names: &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "lfm2",
        ],
        cut: Cut::Patterns(&[LLAMA3]),
        takes_whole_words: true,
        adds_bos: true,
        ..PLAIN
    },
    PreTokenizer {
        names: &["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"],
        cut: Cut::Patterns(&[LLAMA3]),
        ..PLAIN
    },
    PreTokenizer {
        names: &["qwen2"],
        cut: Cut::Patterns(&[QWEN2]),
        composes: true,
        ..PLAIN
    },
    PreTokenizer {
        names: &["deepseek-r1-qwen", "stablelm2", "megrez"],
        cut: Cut::Patterns(&[QWEN2]),
        ..PLAIN
    },
    PreTokenizer {
        names: &["qwen35"],
        cut: Cut::Patterns(&[QWEN35]),
        composes: true,
        ..PLAIN
    },
    PreTokenizer {
        names: &["tekken"],
        cut: Cut::Patterns(&[TEKKEN]),
        takes_whole_words: true,
        adds_bos: true,
        ..PLAIN
    },
    PreTokenizer {
        names: &["gpt-4o", "llama4"],
        cut: Cut::Patterns(&[O200K]),
        ..PLAIN
    },
    PreTokenizer {
        names: &["default"],
        cut: Cut::Patterns(&UNSAID),
        ..PLAIN
    },
    PreTokenizer {
        names: &["falcon"],
        cut: Cut::Patterns(&[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]"]),
        ..PLAIN
    },
];

impl PreTokenizer {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.names.contains(&name))
    }

    /// The name of the one that cuts as these parts of a `tokenizer.json` say, if there is one.
    pub(super) fn of(
        pre_tokenizer: &Value,
        normalizer: &Value,
        takes_whole_words: bool,
        is_roberta: bool,
    ) -> Option<&'static str> {
        let (cuts, composes) = (steps(pre_tokenizer), steps(normalizer));
        let is_it = |known: &&Self| {
            known.takes_whole_words == takes_whole_words
                && known.is_roberta == is_roberta
                && steps(&known.normalizer()) == composes
                && steps(&known.to_json()) == cuts
        };
        Some(KNOWN.iter().find(is_it)?.names[0])
    }

    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().flat_map(|known| known.names).copied()
    }

    pub(super) fn normalizer(&self) -> Value {
        if self.composes {
            json!({ "type": "NFC" })
        } else {
            Value::Null
        }
    }

    /// As `pre_tokenizer` of a `tokenizer.json`.
    pub(super) fn to_json(&self) -> Value {
        let byte_level = |use_regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex });
        let steps = match self.cut {
            Cut::Gpt2 => return byte_level(true),
            Cut::DigitsGpt2 => {
                let digits = json!({ "type": "Digits", "individual_digits": true });
                vec![digits, byte_level(true)]
            }
            Cut::Patterns(patterns) => {
                let split = |pattern: &&str| json!({ "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false });
                let splits = patterns.iter().map(split);
                splits.chain([byte_level(false)]).collect()
            }
        };
        json!({ "type": "Sequence", "pretokenizers": steps })
    }
}

/// What a part of a `tokenizer.json` does, step by step: sequences taken apart, and nothing of what changes no token.
fn steps(part: &Value) -> Vec<String> {
    let inner = ["pretokenizers", "normalizers"]
        .iter()
        .find_map(|name| part.get(*name)?.as_array());
    if let Some(inner) = inner {
        return inner.iter().flat_map(steps).collect();
    }
    match part["type"].as_str() {
        None => Vec::new(),
        // Written since version 0.12 alone; before it the pattern was always used.
        Some("ByteLevel") => {
            let spaced = part["add_prefix_space"] == true;
            let pattern = part["use_regex"] != false;
            vec![format!("bytes, {spaced}, {pattern}")]
        }
        Some(_) => vec![part.to_string()],
    }
}
