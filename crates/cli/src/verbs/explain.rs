//! `explain`: serves the animated explainer.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use clap::Args;
use glassformer_server::{Explained, Served, Translating};
use glassformer_tensor::Pool;
use glassformer_tokens::{ChatTemplate, TokenizerConfig};

use crate::builtin;
use crate::source::ModelFlag;
use crate::terminal::note;

/// Open the animated explainer: every step of the model on your own text.
///
/// The page is served on this machine only; nothing leaves it.
#[derive(Args, Default)]
pub(crate) struct Explain {
    #[command(flatten)]
    model: ModelFlag,
    /// Another MODEL, to be laid beside it in the lab, on the same text or another, or, of translators, to be changed to: the other
    /// direction, say. May be given several times. Chapter 9 is played on the built-in translator, unless one is given here.
    #[arg(long, value_name = "MODEL")]
    beside: Vec<String>,
    /// The text to begin with.
    #[arg(long)]
    text: Option<String>,
    /// Port on 127.0.0.1; 0 for any free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Do not open a browser.
    #[arg(long)]
    no_open: bool,
    /// Threads; 0 for all cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl Explain {
    pub(crate) fn run(self) -> Result<()> {
        let served = served(&self.model, self.beside, self.text, self.threads)?;
        let runtime =
            tokio::runtime::Runtime::new().context("cannot start the server's threads")?;
        runtime.block_on(async {
            let (listener, address) = glassformer_server::bind(self.port).await?;
            let url = format!("http://{address}");
            println!("Glassformer is at {url}");
            eprintln!("Ctrl-C ends it.");
            if !self.no_open && open::that_detached(&url).is_err() {
                eprintln!("No browser could be opened; open the address above yourself.");
            }
            // Where Ctrl-C cannot be caught, the system's own way of ending the program remains.
            let stop = async {
                if tokio::signal::ctrl_c().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            glassformer_server::serve(listener, served, stop)
                .await
                .context("the server stopped")
        })
    }
}

/// A model with all that the explainer shows of it, and others beside it: those that are named, and a translator.
pub(super) fn served(
    model: &ModelFlag,
    beside: Vec<String>,
    text: Option<String>,
    threads: usize,
) -> Result<Served> {
    let mut served = Served {
        explained: explained(model, text)?,
        beside: Vec::new(),
        pool: Pool::new(threads),
    };
    for other in beside {
        add(&mut served, other)?;
    }
    if models(&served).all(|model| model.translating.is_none()) {
        add(&mut served, builtin::TRANSLATOR.to_owned())?;
    }
    Ok(served)
}

fn models(served: &Served) -> impl Iterator<Item = &Explained> {
    std::iter::once(&served.explained).chain(&served.beside)
}

/// Another MODEL beside the first; two files of one name are told apart by their order.
fn add(served: &mut Served, model: String) -> Result<()> {
    let mut other = explained(&ModelFlag { model, lora: None }, None)?;
    let plain = other.name.clone();
    for number in 2.. {
        if models(served).all(|model| model.name != other.name) {
            break;
        }
        other.name = format!("{plain} ({number})");
    }
    served.beside.push(other);
    Ok(())
}

fn explained(model: &ModelFlag, text: Option<String>) -> Result<Explained> {
    let loaded = model.load()?;
    if loaded.model.network.unembed().is_none() {
        bail!(
            "{} is an encoder without a head: it ends at vectors (`embed` gives them), and the page has no words to read them as; give a model that continues texts, fills gaps or translates",
            loaded.name
        );
    }
    let translating = match loaded.model.network.pair() {
        Some(_) => Some(Translating {
            search: loaded.usual_search()?,
            target: loaded.about.target.clone(),
        }),
        None => None,
    };
    Ok(Explained {
        name: short(&loaded.name),
        model: loaded.model,
        tokenizer: loaded.tokenizer,
        translating,
        chat: template(&loaded.about.tokenizer),
        stored: loaded.about.stored.map(|stored| stored.most().to_string()),
        initial_text: text,
    })
}

/// The model's chat template; one that cannot be read is told of and left out.
fn template(config: &TokenizerConfig) -> Option<ChatTemplate> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs() as i64);
    let read = ChatTemplate::new(config.chat_template()?, config);
    match read {
        Ok(template) => Some(template.at(seconds)),
        Err(error) => {
            note(&format!("the page offers no messages: {error}"));
            None
        }
    }
}

/// A file's or folder's own name: where it lies is nobody's business on a page.
fn short(name: &str) -> String {
    let path = std::path::Path::new(name);
    let own = path.file_name().map(|name| name.to_string_lossy());
    own.map_or_else(|| name.to_owned(), std::borrow::Cow::into_owned)
}
