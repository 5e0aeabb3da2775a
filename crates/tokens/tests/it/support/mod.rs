pub(crate) mod gguf;

use std::path::PathBuf;
use std::sync::LazyLock;

use glassformer_tokens::Tokenizer;

/// English, Chinese, emoji, code and odd white space: enough to merge more than bytes.
pub(crate) const SAMPLE: &str = "\
The quick brown fox jumps over the lazy dog. The dog sleeps; the fox doesn't.\n\
床前明月光，疑是地上霜。举头望明月，低头思故乡。\n\
床前明月光，疑是地上霜。举头望明月，低头思故乡。\n\n\
for (int i = 0; i < 10; i++) {\n\tprintf(\"%d\\n\", i);\n}\r\n   \
naïve café 🎈🎈 👩‍👩‍👧‍👧 e\u{301} don't we'll 1234 56 \u{a0}\u{2003} the the the\n";

/// A small byte-level vocabulary learned from the sample.
pub(crate) static SMALL: LazyLock<Tokenizer> = LazyLock::new(|| {
    let documents = [SAMPLE.to_owned(), SAMPLE.to_owned()];
    Tokenizer::train_bpe(documents.into_iter(), 400).unwrap()
});

/// A file of `tests/golden`.
pub(crate) fn golden(path: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::fs::read(folder.join(path)).unwrap()
}

/// `path` in the data folder beside the workspace; `None`, with a word about it, where there is none.
pub(crate) fn shared(path: &str) -> Option<Vec<u8>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let bytes = std::fs::read(root.join(path)).ok();
    if bytes.is_none() {
        eprintln!("skipped: no ../shared/data/{path}");
    }
    bytes
}

/// GPT-2's tokenizer, put together from the files OpenAI published.
pub(crate) static GPT2: LazyLock<Option<Tokenizer>> = LazyLock::new(|| {
    let encoder = shared("tokenizers/encoder.json")?;
    let merges = String::from_utf8(shared("tokenizers/vocab.bpe")?).unwrap();
    let vocab: serde_json::Value = serde_json::from_slice(&encoder).unwrap();
    let merges: Vec<&str> = merges.lines().skip(1).collect();
    let byte_level =
        serde_json::json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true });
    let file = serde_json::json!({
        "version": "1.0",
        "added_tokens": [{
            "id": 50256, "content": "<|endoftext|>", "special": true, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false,
        }],
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": { "type": "BPE", "vocab": vocab, "merges": merges },
    });
    Some(Tokenizer::from_json(file.to_string().as_bytes()).unwrap())
});
