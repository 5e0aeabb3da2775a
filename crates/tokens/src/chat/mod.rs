//! Chat templates: the text of a conversation as a model was trained to read it.
//!
//! A model that talks comes with a template in the language Jinja that sets its marks around each message:
//!
//! ```text
//! {% for message in messages %}<|im_start|>{{ message.role }}
//! {{ message.content }}<|im_end|>
//! {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
//! {% endif %}
//! ```
//!
//! Rendered as transformers does (`apply_chat_template`): a block takes the line end after it and the blanks before it,
//! missing variables are empty, and `raise_exception`, `strftime_now`, `tojson` and Python's string methods are at hand.
//! The template comes with the model and may be anybody's: work and memory are bounded, and it can reach nothing.
//!
//! The text then goes to [`encode_with_specials`](crate::Tokenizer::encode_with_specials): the marks are special tokens.

mod error;
mod functions;
mod rewrite;
mod tag;
mod weight;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Value};
use serde::{Deserialize, Serialize};

use crate::config::TokenizerConfig;
use crate::error::one_line;
pub use error::ChatError;

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who says it: `system`, `user` or `assistant` in most templates.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message of `role` that says `content`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
        }
    }
}

/// Longer sources are no chat templates; those in use have up to some twenty thousand bytes.
const LONGEST: usize = 1 << 20;

/// What one rendering may do, in the library's measure: an instruction, or 64 bytes that are made.
const FUEL: u64 = 500_000;
/// What it may do in addition for each message.
const FUEL_PER_MESSAGE: u64 = 5_000;

/// How deep macros may call each other; a stack is smaller in some threads than in others.
const DEEPEST: usize = 200;

/// A chat template, ready to be rendered.
#[derive(Clone, Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    variables: BTreeMap<String, Value>,
}

impl ChatTemplate {
    /// Reads a template's `source`. `config` gives the names of the special tokens that it may write (`bos_token`, …).
    ///
    /// # Errors
    /// [`ChatError::Syntax`] for what is no template, [`ChatError::TooLong`].
    pub fn new(source: &str, config: &TokenizerConfig) -> Result<Self, ChatError> {
        if source.len() > LONGEST {
            return Err(ChatError::TooLong {
                length: source.len(),
                most: LONGEST,
            });
        }
        let mut environment = Environment::new();
        let syntax = syntax()?;
        environment.set_syntax(syntax.clone());
        environment.set_recursion_limit(DEEPEST);
        functions::add_to(&mut environment);
        weight::add_to(&mut environment);
        guard(|| {
            let source = rewrite::rewrite(source, syntax)?;
            let added = environment.add_template_owned(NAME, source);
            added.map_err(|error| ChatError::syntax(&error))
        })?;
        let names = [
            ("bos_token", &config.bos),
            ("eos_token", &config.eos),
            ("unk_token", &config.unknown),
            ("pad_token", &config.padding),
        ];
        let given = names
            .into_iter()
            .filter_map(|(name, token)| Some((name.to_owned(), Value::from(token.as_deref()?))));
        Ok(Self {
            environment,
            variables: given.collect(),
        })
    }

    /// Sets a variable that the template knows to a value in JSON: Qwen 3's `enable_thinking` to `false`.
    ///
    /// # Errors
    /// [`ChatError::Variable`] for what is no JSON.
    pub fn with_variable(mut self, name: &str, json: &str) -> Result<Self, ChatError> {
        let value = serde_json::from_str(json).map_err(|error| ChatError::Variable {
            name: name.to_owned(),
            why: one_line(&error.to_string()),
        })?;
        self.variables.insert(name.to_owned(), value);
        Ok(self)
    }

    /// Sets the time that `strftime_now` tells: seconds since 1970 as the clock on the wall shows them (the caller knows
    /// the zone). Without it there is no such function, and templates that ask first use a date of their own.
    #[must_use]
    pub fn at(mut self, seconds: i64) -> Self {
        functions::add_clock(&mut self.environment, seconds);
        self
    }

    /// The text of `messages`. With `add_generation_prompt` it ends where the model begins to answer.
    ///
    /// # Errors
    /// [`ChatError::Refused`] if the template refuses the conversation in its own words (most want user and assistant to
    /// take turns), [`ChatError::Render`] if something in it cannot be done, [`ChatError::TooMuch`] if it does not end.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, ChatError> {
        let mut variables = self.variables.clone();
        variables.insert("messages".into(), Value::from(Serde(messages)));
        variables.insert("add_generation_prompt".into(), add_generation_prompt.into());
        for absent in ["tools", "documents"] {
            variables.entry(absent.into()).or_insert(().into());
        }
        let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(
            FUEL + FUEL_PER_MESSAGE * messages.len() as u64 + bytes as u64,
        ));
        guard(|| {
            let template = environment.get_template(NAME);
            let text = template.and_then(|template| template.render(variables));
            text.map_err(|error| ChatError::render(&error))
        })
    }
}

/// The name of the one template in its environment. Not one that would make the library escape HTML.
const NAME: &str = "chat_template";

/// White space as transformers has it.
fn syntax() -> Result<SyntaxConfig, ChatError> {
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
        .map_err(|error| ChatError::syntax(&error))
}

/// A panic in the library becomes an error: a strange template must never end the program.
fn guard<T>(call: impl FnOnce() -> Result<T, ChatError>) -> Result<T, ChatError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(ChatError::Render {
            line: 0,
            why: "the template library gave up on it".into(),
        })
    })
}
