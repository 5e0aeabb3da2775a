use std::collections::BTreeMap;

use glassformer_tokens::{ChatError, ChatTemplate, Message};
use serde::Deserialize;

use super::config;
use crate::support::golden;

/// `tests/golden/chat.json`, written by `parity/chat.py`.
#[derive(Deserialize)]
struct Golden {
    now: i64,
    conversations: BTreeMap<String, Vec<Message>>,
    templates: BTreeMap<String, Vec<Case>>,
}

#[derive(Deserialize)]
struct Case {
    conversation: String,
    add_generation_prompt: bool,
    /// Values in JSON.
    variables: BTreeMap<String, String>,
    clock: bool,
    text: Option<String>,
    refused: Option<String>,
}

fn render(golden: &Golden, source: &str, case: &Case) -> Result<String, ChatError> {
    let mut template = ChatTemplate::new(source, &config())?;
    if case.clock {
        template = template.at(golden.now);
    }
    for (name, value) in &case.variables {
        template = template.with_variable(name, value)?;
    }
    let messages = &golden.conversations[&case.conversation];
    template.render(messages, case.add_generation_prompt)
}

#[test]
fn templates_render_as_transformers_renders_them() {
    let read: Golden = serde_json::from_slice(&golden("chat.json")).unwrap();
    let mut checked = 0;
    for (name, cases) in &read.templates {
        let source = String::from_utf8(golden(&format!("chat/{name}.jinja"))).unwrap();
        for case in cases {
            let what = format!("{name}.jinja, {}", case.conversation);
            match (render(&read, &source, case), &case.text, &case.refused) {
                (Ok(text), Some(expected), None) => assert_eq!(&text, expected, "{what}"),
                (Err(ChatError::Refused(why)), None, Some(expected)) => {
                    assert_eq!(&why, expected, "{what}");
                }
                (found, text, refused) => {
                    panic!("{what}: {found:?}, not {text:?} or refused with {refused:?}")
                }
            }
            checked += 1;
        }
    }
    assert!(checked > 140, "only {checked} renderings");
}
