//! `chat`: a conversation with a model that was trained for it.

use std::io::{BufRead, IsTerminal, stdin};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Args;
use glassformer_generate::{Generation, Sampling, TextStream, Work};
use glassformer_tensor::Pool;
use glassformer_tokens::{ChatTemplate, Message};
use serde_json::json;

use crate::source::{Loaded, ModelFlag};
use crate::terminal::{note, style, write};
use crate::verbs::running::{RunningFlags, SamplingFlags};

/// Talk with a model. Each line is a message; the answer streams as it comes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  glassformer chat -m SmolLM2-135M-Instruct.Q4_1.gguf
  glassformer chat -m my-model --system \"Answer in one sentence.\"
  echo \"What is a Transformer?\" | glassformer chat -m my-model
  glassformer chat -m my-model --message \"Hello\" --message \"And in French?\" --json

In a conversation: /reset forgets what was said, /undo takes the last exchange back, /exit or Ctrl-D ends it. A line that ends
with a backslash goes on in the next one.")]
pub(crate) struct Chat {
    #[command(flatten)]
    model: ModelFlag,
    /// What the model is told before the conversation begins.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Say this instead of reading standard input; may be given several times, one turn each.
    #[arg(long, value_name = "TEXT")]
    message: Vec<String>,
    /// A file with a chat template (Jinja), instead of the model's own.
    #[arg(long, value_name = "FILE")]
    template: Option<std::path::PathBuf>,
    /// Most tokens of an answer.
    #[arg(long, default_value_t = 512)]
    max_tokens: usize,
    #[command(flatten)]
    sampling: SamplingFlags,
    #[command(flatten)]
    running: RunningFlags,
    /// One JSON object for each answer, instead of streaming.
    #[arg(long)]
    json: bool,
}

impl Chat {
    pub(crate) fn run(&self) -> Result<()> {
        let mut loaded = self.model.open()?.continuing()?;
        let template = self.template(&loaded)?;
        let sampling = self.sampling.with(&loaded.about.sampling)?;
        let pool = self.running.prepare(&mut loaded);
        let mut conversation = Conversation::new(&loaded, &pool, &template, sampling, self);
        if !self.message.is_empty() {
            for message in &self.message {
                conversation.turn(message)?;
            }
            return Ok(());
        }
        let is_person = stdin().is_terminal();
        if is_person {
            note(&format!(
                "talking with {}; /exit or Ctrl-D ends it",
                loaded.name
            ));
        }
        let mut lines = stdin().lock().lines();
        loop {
            if is_person {
                write(&style("1;36", "> "))?;
            }
            let Some(line) = message(&mut lines)? else {
                return Ok(());
            };
            match line.trim() {
                "" => {}
                "/exit" | "/quit" => return Ok(()),
                "/reset" => conversation.reset(),
                "/undo" => conversation.undo(),
                other if other.starts_with('/') && !other.contains(' ') => {
                    note("there are /reset, /undo and /exit");
                }
                _ => conversation.turn(&line)?,
            }
        }
    }

    /// The text of the template given, or of the model's own.
    fn source(&self, loaded: &Loaded) -> Result<String> {
        if let Some(path) = &self.template {
            return std::fs::read_to_string(path)
                .with_context(|| format!("cannot read {}", path.display()));
        }
        let named = &loaded.about.tokenizer.chat_templates;
        let default = named.iter().find(|(name, _)| name == "default");
        let Some((_, source)) = default.or_else(|| named.first()) else {
            bail!(
                "{} has no chat template, so it was not trained for conversations: use generate, or give one with --template",
                loaded.name
            );
        };
        Ok(source.clone())
    }

    /// The template, ready to be rendered.
    fn template(&self, loaded: &Loaded) -> Result<ChatTemplate> {
        let config = &loaded.about.tokenizer;
        let source = self.source(loaded)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.map_or(0, |now| now.as_secs() as i64);
        Ok(ChatTemplate::new(&source, config)
            .with_context(|| loaded.name.clone())?
            .at(seconds))
    }
}

/// The next message: a line, or several that a backslash joins.
fn message(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Result<Option<String>> {
    let mut text = String::new();
    for line in lines.by_ref() {
        let line = line.context("standard input is not UTF-8 text")?;
        let Some(part) = line.strip_suffix('\\') else {
            text.push_str(&line);
            return Ok(Some(text));
        };
        text.push_str(part);
        text.push('\n');
    }
    Ok((!text.is_empty()).then_some(text))
}

/// What was said, and the model that has read it.
struct Conversation<'a> {
    loaded: &'a Loaded,
    template: &'a ChatTemplate,
    flags: &'a Chat,
    messages: Vec<Message>,
    generation: Option<Generation<'a>>,
    pool: &'a Pool,
    sampling: Sampling,
}

impl<'a> Conversation<'a> {
    fn new(
        loaded: &'a Loaded,
        pool: &'a Pool,
        template: &'a ChatTemplate,
        sampling: Sampling,
        flags: &'a Chat,
    ) -> Self {
        let system = flags.system.iter();
        Self {
            loaded,
            template,
            flags,
            messages: system.map(|text| Message::new("system", text)).collect(),
            generation: None,
            pool,
            sampling,
        }
    }

    fn reset(&mut self) {
        self.messages.retain(|message| message.role == "system");
    }

    /// Takes the last question and its answer back.
    fn undo(&mut self) {
        let last = self.messages.iter().rposition(|m| m.role == "user");
        self.messages.truncate(last.unwrap_or(self.messages.len()));
    }

    /// Says `text` and lets the model answer.
    fn turn(&mut self, text: &str) -> Result<()> {
        self.messages.push(Message::new("user", text));
        let ids = match self.prompt() {
            Ok(ids) => ids,
            Err(error) => {
                self.messages.pop();
                return Err(error);
            }
        };
        let answer = self.answer(&ids)?;
        if self.flags.json {
            let value = json!({
                "model": self.loaded.name, "message": text, "answer": answer.trim(), "prompt_tokens": ids.len(),
            });
            write(&format!("{value}\n"))?;
        }
        self.messages.push(Message::new("assistant", answer.trim()));
        Ok(())
    }

    /// The conversation as the model wants to read it; its oldest exchanges are left out when it grows too long.
    fn prompt(&mut self) -> Result<Vec<u32>> {
        let n_ctx = self.loaded.model.dimensions().n_ctx;
        let room = n_ctx.saturating_sub(self.flags.max_tokens.min(n_ctx / 2));
        loop {
            let text = self
                .template
                .render(&self.messages, true)
                .with_context(|| self.loaded.name.clone())?;
            let ids = self.loaded.tokenizer.encode_with_specials(&text)?.ids;
            if ids.is_empty() {
                bail!(
                    "the chat template of {} gives an empty text",
                    self.loaded.name
                );
            }
            let first = self.messages.iter().position(|m| m.role != "system");
            let exchanges = self.messages.iter().filter(|m| m.role == "user").count();
            match first {
                Some(first) if ids.len() > room && exchanges > 1 => {
                    // A question and its answer.
                    self.messages
                        .drain(first..(first + 2).min(self.messages.len()));
                    note(
                        "the conversation is longer than the model's context: its beginning was left out",
                    );
                }
                _ => return Ok(ids),
            }
        }
    }

    fn answer(&mut self, ids: &[u32]) -> Result<String> {
        let (loaded, pool, sampling) = (self.loaded, self.pool, self.sampling);
        let generation = self.generation.get_or_insert_with(|| {
            Generation::new(&loaded.model, pool, ids, sampling, Work::Cached)
        });
        generation.set(ids);
        let mut stream = TextStream::new(&loaded.tokenizer, &[]);
        let mut answer = String::new();
        let mut emit = |text: String| -> Result<()> {
            if !self.flags.json {
                write(&text)?;
            }
            answer.push_str(&text);
            Ok(())
        };
        for _ in 0..self.flags.max_tokens {
            let id = generation.step().id;
            if loaded.tokenizer.stops().contains(&id) {
                break;
            }
            emit(stream.push(id))?;
        }
        emit(stream.finish())?;
        if !self.flags.json {
            write("\n")?;
        }
        Ok(answer)
    }
}
