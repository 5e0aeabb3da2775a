//! How much longer a tokenizer may make a text before it cuts it.
//!
//! A normalizer may replace each `a` by a thousand, and one after another they multiply: a file of a few hundred bytes
//! could ask for all memory. Those in use replace a space by `▁`, or nearly nothing.

use serde_json::Value;

/// A text grows at most by this factor.
const MOST: f64 = 4096.0;

/// Is there a step in `part`, a normalizer or a decoder, that would make texts far too long?
pub(crate) fn is_excessive(part: &Value) -> bool {
    factor(part) > MOST
}

fn factor(part: &Value) -> f64 {
    if part.get("type").and_then(Value::as_str) == Some("Replace") {
        return replacement(part);
    }
    let steps = ["normalizers", "decoders"].iter();
    let steps = steps
        .filter_map(|list| part.get(*list)?.as_array())
        .flatten();
    steps.map(factor).product()
}

/// Bytes that come for each that goes. A pattern may match nothing at all, and so between all letters.
fn replacement(part: &Value) -> f64 {
    let length = |text: Option<&Value>| text.and_then(Value::as_str).map_or(0, str::len) as f64;
    let content = length(part.get("content"));
    let plain = part
        .get("pattern")
        .and_then(|pattern| pattern.get("String"));
    match length(plain) {
        0.0 if content > 0.0 => content + 1.0,
        0.0 => 1.0,
        pattern => (content / pattern).max(1.0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn replacements_one_after_another_multiply() {
        let replace = |pattern: &str, content: &str| json!({ "type": "Replace", "pattern": { "String": pattern }, "content": content });
        let sequence = |steps: &[Value]| json!({ "type": "Sequence", "normalizers": steps });
        assert!(!is_excessive(&Value::Null));
        assert!(!is_excessive(&sequence(&vec![replace(" ", "▁"); 7])));
        assert!(!is_excessive(&sequence(&vec![replace("``", "\""); 99])));
        assert!(!is_excessive(&replace("a", &"a".repeat(4000))));
        assert!(is_excessive(&replace("a", &"a".repeat(5000))));
        let inner = sequence(&[replace("a", &"a".repeat(99))]);
        assert!(is_excessive(&sequence(&[inner.clone(), inner])));
        let empty = json!({ "type": "Replace", "pattern": { "Regex": "" }, "content": "b" });
        assert!(is_excessive(&sequence(&vec![empty; 13])));
    }
}
