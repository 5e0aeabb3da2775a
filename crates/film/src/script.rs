//! The page's code in QuickJS, with one run loaded.

use rquickjs::function::Func;
use rquickjs::{
    ArrayBuffer, CatchResultExt, CaughtError, Context, Ctx, Exception, Function, Object, Promise,
    Runtime,
};
use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

use crate::error::FilmError;

/// Room for the page's code on the stack of a thread; its formulas are set by a recursive parser.
const STACK: usize = 1 << 20;

/// In pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// From left to right.
    pub width: u32,
    /// From top to bottom.
    pub height: u32,
}

/// How the next token is drawn, as the page's dials say it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Settings {
    /// What logits are divided by.
    pub temperature: f32,
    /// How many candidates are kept.
    pub top_k: u32,
    /// Which share of the probability is kept.
    pub top_p: f32,
    /// Of the draw.
    pub seed: u32,
}

/// What is to be shown; what is `None` is chosen as the page chooses it.
#[derive(Clone, Debug, Serialize)]
pub struct Wanted {
    /// The text that the model reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// As a message, in the model's chat template.
    pub chat: bool,
    /// Its number or its name; the model's first without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chapter: Option<String>,
    /// The first step: its number from 1 on, or its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `en` or `zh`.
    pub lang: String,
    /// `light` or `dark`.
    pub theme: String,
    /// `story`, `numbers` or `formula`.
    pub depth: String,
    /// Of a frame.
    pub size: Size,
    /// Frames in a second.
    pub fps: f64,
    /// 2 is twice as fast as the words can be read.
    pub speed: f64,
    /// The layer that is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<u32>,
    /// The head that is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<u32>,
    /// The token that is looked at, from 0 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<u32>,
    /// Of the draw.
    pub settings: Settings,
    /// The stage alone, without the words beside it.
    pub bare: bool,
}

/// What will be shown.
#[derive(Clone, Debug, Deserialize)]
pub struct Plan {
    /// The chapter's name.
    pub chapter: String,
    /// Its title in the film's language.
    pub title: String,
    /// How many.
    pub frames: usize,
    /// Where the text was longer than the context: what of it is shown.
    pub kept: Option<Kept>,
}

/// A text that was cut.
#[derive(Clone, Debug, Deserialize)]
pub struct Kept {
    /// Before the cut.
    pub tokens_total: usize,
    /// After it.
    pub tokens_kept: usize,
}

/// An answer of the API.
pub struct Reply {
    /// As HTTP counts them.
    pub status: u16,
    /// The name of this start of the API.
    pub instance: String,
    /// JSON, or a safetensors file.
    pub body: Vec<u8>,
}

/// Asks the API: a path, and the body of a POST.
pub type Ask = Box<dyn Fn(&str, Option<&str>) -> Result<Reply, String>>;

/// The page's code with a run loaded: gives frames.
pub struct Script {
    context: Context,
    plan: Plan,
}

impl Script {
    /// Runs the script, which asks for what the wanted chapter shows.
    pub fn open(source: &str, ask: Ask, wanted: &Wanted) -> Result<Self, FilmError> {
        let runtime = Runtime::new()?;
        runtime.set_max_stack_size(STACK);
        let context = Context::full(&runtime)?;
        let wanted =
            serde_json::to_string(wanted).map_err(|error| FilmError::Refused(error.to_string()))?;
        let plan: String = context.with(|ctx| {
            offer(&ctx, ask)?;
            ctx.eval::<(), _>(source).catch(&ctx).map_err(told)?;
            let open: Function = film(&ctx)?.get("open")?;
            let promise: Promise = open.call((wanted,)).catch(&ctx).map_err(told)?;
            promise.finish().catch(&ctx).map_err(told)
        })?;
        let plan = serde_json::from_str(&plan)
            .map_err(|error| FilmError::Refused(format!("the page's plan: {error}")))?;
        Ok(Self { context, plan })
    }

    /// What it shows.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A frame as an SVG document.
    pub fn svg(&self, frame: usize) -> Result<String, FilmError> {
        self.context.with(|ctx| {
            let svg: Function = film(&ctx)?.get("svg")?;
            svg.call((frame,)).catch(&ctx).map_err(told)
        })
    }
}

fn film<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>, FilmError> {
    Ok(ctx.globals().get("film")?)
}

/// An error of the page's code in its own words.
fn told(error: CaughtError) -> FilmError {
    match error {
        CaughtError::Exception(exception) => {
            FilmError::Refused(exception.message().unwrap_or_else(|| exception.to_string()))
        }
        CaughtError::Value(value) => FilmError::Refused(format!("{value:?}")),
        CaughtError::Error(error) => FilmError::Script(error),
    }
}

/// The world of `web/src/film/host.ts`.
fn offer(ctx: &Ctx, ask: Ask) -> Result<(), FilmError> {
    let host = Object::new(ctx.clone())?;
    let answer = for_any(move |ctx, path, body| reply(&ctx, &ask, &path, body.as_deref()));
    host.set("ask", Function::new(ctx.clone(), answer)?)?;
    let graphemes =
        |text: String| -> Vec<String> { text.graphemes(true).map(str::to_owned).collect() };
    host.set("graphemes", Func::from(graphemes))?;
    ctx.globals().set("host", host)?;
    Ok(())
}

/// Tells the compiler that a closure answers in the context it is asked in.
fn for_any<F>(answer: F) -> F
where
    F: for<'js> Fn(Ctx<'js>, String, Option<String>) -> rquickjs::Result<Object<'js>>,
{
    answer
}

fn reply<'js>(
    ctx: &Ctx<'js>,
    ask: &Ask,
    path: &str,
    body: Option<&str>,
) -> rquickjs::Result<Object<'js>> {
    let reply = ask(path, body).map_err(|message| Exception::throw_message(ctx, &message))?;
    let object = Object::new(ctx.clone())?;
    object.set("status", reply.status)?;
    object.set("instance", reply.instance)?;
    object.set("bytes", ArrayBuffer::new(ctx.clone(), reply.body)?)?;
    Ok(object)
}
