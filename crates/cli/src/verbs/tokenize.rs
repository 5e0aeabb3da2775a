//! `tokenize`: shows how a text is cut into tokens.

use std::io::IsTerminal;

use anyhow::Result;
use clap::Args;
use glassformer_tokens::MergeStep;
use serde_json::json;

use crate::source::ModelFlag;
use crate::terminal::write;

/// Show how a text becomes tokens: ids, bytes, and the merges that made each.
#[derive(Args)]
pub(crate) struct Tokenize {
    /// The text.
    text: String,
    #[command(flatten)]
    model: ModelFlag,
    /// Also show the merges, in the order in which they were made.
    #[arg(long)]
    merges: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

impl Tokenize {
    pub(crate) fn run(&self) -> Result<()> {
        let tokenizer = self.model.open()?.tokenizer;
        let encoding = tokenizer.encode(&self.text)?;
        if self.json {
            let tokens: Vec<_> = encoding
                .ids
                .iter()
                .zip(&encoding.offsets)
                .map(|(&id, range)| {
                    json!({
                        "id": id, "text": tokenizer.token_text(id), "bytes": tokenizer.token_bytes(id),
                        "start": range.start, "end": range.end,
                    })
                })
                .collect();
            let unknown: String = encoding.unknown.iter().collect();
            write(&format!(
                "{}\n",
                json!({"tokens": tokens, "unknown": unknown})
            ))?;
            return Ok(());
        }
        let mut out = String::new();
        for &id in &encoding.ids {
            out += &format!("{id:>7}  {}\n", shown(tokenizer.token_bytes(id)));
            if self.merges {
                for MergeStep {
                    left, right, rank, ..
                } in tokenizer.merges_of(id)
                {
                    out += &format!(
                        "           {} + {}   (merge {rank})\n",
                        shown(&left),
                        shown(&right)
                    );
                }
            }
        }
        let characters = self.text.chars().count();
        out += &format!(
            "{} tokens for {characters} characters, {} bytes\n",
            encoding.ids.len(),
            self.text.len()
        );
        if !encoding.unknown.is_empty() {
            out += &format!(
                "left out (unknown): {}\n",
                encoding.unknown.iter().collect::<String>()
            );
        }
        Ok(write(&out)?)
    }
}

/// Bytes as text where they are whole characters, else in hexadecimal: never a half character.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if std::io::stdout().is_terminal() => {
            format!("\x1b[7m{}\x1b[0m", text.escape_debug())
        }
        Ok(text) => format!("{text:?}"),
        Err(_) => bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(" "),
    }
}
