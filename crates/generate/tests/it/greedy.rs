//! The likeliest continuation is the one that transformers finds.

use glassformer_generate::{Sampling, Work};
use serde_json::Value;

use crate::support::{generate, golden, golden_model};

#[test]
fn as_transformers_continues() {
    for name in ["gpt2-tiny", "gpt2-relu-odd"] {
        let file: Value =
            serde_json::from_slice(&std::fs::read(golden(name, "greedy.json")).unwrap()).unwrap();
        let ids = |key: &str| -> Vec<u32> {
            file[key]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_u64().unwrap() as u32)
                .collect()
        };
        let (prompt, expected) = (ids("prompt"), ids("generated"));
        assert_eq!(expected.len(), 12);
        let model = golden_model(name);
        for work in [Work::Cached, Work::FromScratch] {
            assert_eq!(
                generate(&model, &prompt, Sampling::greedy(), work, 12),
                expected,
                "{name}, {work:?}"
            );
        }
    }
}
