//! Chat templates: golden renderings, errors, and what a hostile template gets.

mod errors;
mod golden;
mod hostile;

use glassformer_tokens::{ChatError, ChatTemplate, Message, TokenizerConfig};

/// The names of special tokens that the golden files use.
pub(crate) fn config() -> TokenizerConfig {
    TokenizerConfig {
        bos: Some("<s>".into()),
        eos: Some("</s>".into()),
        ..TokenizerConfig::default()
    }
}

/// Renders `source` with one message of a user.
pub(crate) fn render(source: &str) -> Result<String, ChatError> {
    ChatTemplate::new(source, &config())?.render(&[Message::new("user", "Hello!")], true)
}
