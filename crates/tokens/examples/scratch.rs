use glassformer_tokens::{GgufVocabulary, Tokenizer};
use serde_json::Value;
use std::time::Instant;
fn main() {
    let mut args = std::env::args().skip(1);
    let kind = args.next().unwrap();
    let path = args.next().unwrap();
    let mode = args.next().unwrap_or_default();
    let texts = args.next();
    let bytes = std::fs::read(&path).unwrap();
    let _ = 0;
    let tokenizer = if kind == "gguf" {
        let v: Value = serde_json::from_slice(&bytes).unwrap();
        let strs = |k: &str| {
            v[k].as_array()
                .unwrap()
                .iter()
                .map(|s| s.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let id = |k: &str| v[k].as_u64().map(|x| x as u32);
        let vocab = GgufVocabulary {
            model: v["model"].as_str().unwrap().into(),
            pre: v["pre"].as_str().map(Into::into),
            tokens: strs("tokens"),
            scores: v["scores"]
                .as_array()
                .unwrap()
                .iter()
                .map(|x| x.as_f64().unwrap() as f32)
                .collect(),
            token_types: v["token_types"]
                .as_array()
                .unwrap()
                .iter()
                .map(|x| x.as_i64().unwrap() as i32)
                .collect(),
            merges: strs("merges"),
            bos: id("bos"),
            eos: id("eos"),
            unknown: id("unknown"),
            separator: id("separator"),
            cls: id("cls"),
            mask: id("mask"),
            padding: id("padding"),
            add_bos: v["add_bos"].as_bool(),
            add_eos: v["add_eos"].as_bool(),
            add_space_prefix: v["add_space_prefix"].as_bool(),
            ..Default::default()
        };
        for _ in 0..1 {
            let t = Instant::now();
            let _ = Tokenizer::from_gguf(&vocab).unwrap();
            eprintln!("from_gguf {:?}", t.elapsed());
        }
        Tokenizer::from_gguf(&vocab).unwrap()
    } else {
        for _ in 0..1 {
            let t = Instant::now();
            let _ = Tokenizer::from_json(&bytes).unwrap();
            eprintln!("from_json {:?}", t.elapsed());
        }
        Tokenizer::from_json(&bytes).unwrap()
    };
    eprintln!(
        "{:?} size {} bos {:?} end {:?} stops {:?} fp {}",
        tokenizer.kind(),
        tokenizer.vocab_size(),
        tokenizer.bos(),
        tokenizer.end_of_text(),
        tokenizer.stops(),
        tokenizer.fingerprint()
    );
    if let Some(texts) = texts {
        let texts: Vec<String> = serde_json::from_slice(&std::fs::read(texts).unwrap()).unwrap();
        let ids: Vec<Vec<u32>> = texts
            .iter()
            .map(|t| match mode.as_str() {
                "specials" => tokenizer.encode_with_specials(t).unwrap().ids,
                "prompt" => tokenizer.encode_prompt(t).unwrap().ids,
                _ => tokenizer.encode(t).unwrap().ids,
            })
            .collect();
        println!("{}", serde_json::to_string(&ids).unwrap());
    } else if mode == "json" {
        println!("{}", tokenizer.to_json());
    }
}
