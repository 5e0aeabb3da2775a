//! Conversations as a model reads them, cut where it begins and ends to answer: only answers are learned.
//!
//! ```json
//! {"messages": [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "Here."}]}
//! ```

use glassformer_tokens::{ChatTemplate, Message, TokenizerConfig};
use serde::{Deserialize, Serialize};

/// A model's chat template and the special tokens that it may write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatFormat {
    /// In Jinja.
    pub template: String,
    /// `bos_token`.
    pub bos: Option<String>,
    /// `eos_token`.
    pub eos: Option<String>,
}

impl ChatFormat {
    /// That of a model, if it has one.
    pub fn of(config: &TokenizerConfig) -> Option<Self> {
        let named = &config.chat_templates;
        let default = named.iter().find(|(name, _)| name == "default");
        let (_, template) = default.or(named.first())?;
        Some(Self {
            template: template.clone(),
            bos: config.bos.clone(),
            eos: config.eos.clone(),
        })
    }

    /// Ready to be rendered. Errors: in words, it is no template.
    pub(super) fn template(&self) -> Result<ChatTemplate, String> {
        let config = TokenizerConfig {
            bos: self.bos.clone(),
            eos: self.eos.clone(),
            ..TokenizerConfig::default()
        };
        ChatTemplate::new(&self.template, &config).map_err(|error| error.to_string())
    }
}

/// A stretch of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its text.
    pub text: String,
    /// Whether it is learned, and not only read.
    pub is_answer: bool,
}

/// What a conversation comes to: in turns what stands before an answer, the marks of its beginning with it, and the answer
/// with the mark of its end. What follows the last answer is left out. Errors, in words: there is no answer, or the
/// template does not write one behind what it wrote before.
pub(super) fn stretches(
    template: &ChatTemplate,
    messages: &[Message],
) -> Result<Vec<Stretch>, String> {
    let render = |count, opens| {
        let text = template.render(&messages[..count], opens);
        text.map_err(|error| error.to_string())
    };
    let (mut all, mut so_far) = (Vec::new(), String::new());
    let answers = messages.iter().enumerate();
    for (i, _) in answers.filter(|(_, message)| message.role == "assistant") {
        let (before, after) = (render(i, true)?, render(i + 1, false)?);
        let parts = before
            .strip_prefix(&so_far)
            .zip(after.strip_prefix(&before));
        let (question, answer) = parts.ok_or(
            "the chat template changes what it wrote before an answer, so that answers cannot be told apart; give each answer a conversation of its own",
        )?;
        for (text, is_answer) in [(question, false), (answer, true)] {
            all.push(Stretch {
                text: text.to_owned(),
                is_answer,
            });
        }
        so_far = after;
    }
    if all.is_empty() {
        return Err(
            "no message has the role \"assistant\": there is no answer to learn".to_owned(),
        );
    }
    Ok(all)
}
