//! `film`: a chapter of the explainer as a film or a picture.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use glassformer_film::{
    Ask, FilmError, Kind, Painter, Reply, Script, Settings, Size, Wanted, save,
};
use glassformer_server::{Local, page_file};
use indicatif::{ProgressBar, ProgressStyle};

use super::explain::served;
use crate::source::ModelFlag;
use crate::terminal::note;

/// The page's code, as `web/vite.film.config.ts` builds it.
const SCRIPT: &str = "film.js";

/// Draw a chapter of the explainer as a film or a picture, on your own text.
///
/// Every frame is drawn by the page's own code from what the model has computed for the text; nothing is recorded off a
/// screen. The ending of --out says what is made: .mp4 a film; .apng a film that browsers show as a picture; .png or .svg
/// the last frame, which is the finished picture of the last step; a name with %04d in it, as in frame-%04d.png, a picture
/// of every frame.
#[derive(Args)]
#[command(after_help = "\
Examples:
  glassformer film --chapter 3 --lang zh --out attention.mp4
  glassformer film --text \"The cat sat on the\" --chapter attention --from scale --to softmax --out softmax.mp4
  glassformer film --chapter unembed --to softmax --depth formula --theme dark --out softmax.png
  glassformer film --chapter 0 --size 720x1280 --speed 1.5 --out upright.mp4

Chapters: 0 overview, 1 tokenize, 2 embed, 3 attention, 4 mlp, 5 layers, 6 unembed, 7 generate, 8 train; of a translator 9 translate, of an
encoder that fills gaps 9 gaps. A step that is not there is answered with those that are.")]
pub(crate) struct Film {
    #[command(flatten)]
    model: ModelFlag,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The text; without it the one that the page begins with.
    #[arg(long)]
    text: Option<String>,
    /// Send the text as a message, in the model's chat template.
    #[arg(long)]
    chat: bool,
    /// The chapter: its number or its name; without it the model's first.
    #[arg(long)]
    chapter: Option<String>,
    /// The first step: its number from 1 on, or its name.
    #[arg(long, value_name = "STEP")]
    from: Option<String>,
    /// The last step.
    #[arg(long, value_name = "STEP")]
    to: Option<String>,
    /// The language of the words.
    #[arg(long, value_enum, default_value_t)]
    lang: Lang,
    /// How much is told: the story, its numbers, or the formula too.
    #[arg(long, value_enum, default_value_t)]
    depth: Depth,
    /// Light or dark.
    #[arg(long, value_enum, default_value_t)]
    theme: Theme,
    /// Pixels of a frame; an upright one is laid out for phones.
    #[arg(long, value_name = "WxH", default_value = "1280x720", value_parser = size)]
    size: Size,
    /// Frames a second.
    #[arg(long, default_value_t = 30.0, value_parser = rate)]
    fps: f64,
    /// 2 is twice as fast as the words can be read.
    #[arg(long, default_value_t = 1.0, value_parser = rate)]
    speed: f64,
    /// The layer that is looked at; without it the head that looks at several tokens most, or aligns two texts best.
    #[arg(long)]
    layer: Option<u32>,
    /// The head that is looked at.
    #[arg(long)]
    head: Option<u32>,
    /// The token that is looked at, from 0 on; without it the last, or, of a translation or a text with a gap, one in its middle.
    #[arg(long)]
    token: Option<u32>,
    /// Temperature of the draw.
    #[arg(long, default_value_t = 0.8)]
    temperature: f32,
    /// Seed of the draw.
    #[arg(long, default_value_t = 42)]
    seed: u32,
    /// The stage alone, without the words beside it.
    #[arg(long)]
    bare: bool,
    /// Threads; 0 for all cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Lang {
    #[default]
    En,
    Zh,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Depth {
    Story,
    #[default]
    Numbers,
    Formula,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Theme {
    #[default]
    Light,
    Dark,
}

/// What the page calls a choice.
fn name(choice: &impl ValueEnum) -> String {
    let value = choice.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// `1280x720`; each between 64 and 8192.
fn size(text: &str) -> Result<Size, String> {
    let read = text.split_once(['x', '×']).and_then(|(width, height)| {
        Some(Size {
            width: width.trim().parse().ok()?,
            height: height.trim().parse().ok()?,
        })
    });
    read.filter(|size| {
        [size.width, size.height]
            .iter()
            .all(|n| (64..=8192).contains(n))
    })
    .ok_or_else(|| "a size is two numbers between 64 and 8192, as in 1280x720".to_owned())
}

/// A number between 0.1 and 120.
fn rate(text: &str) -> Result<f64, String> {
    let read = text
        .parse()
        .ok()
        .filter(|rate| (0.1..=120.0).contains(rate));
    read.ok_or_else(|| "it lies between 0.1 and 120".to_owned())
}

impl Film {
    pub(crate) fn run(self) -> Result<()> {
        // What is wrong with the name is told before the model is loaded.
        let kind = Kind::of(&self.out)?;
        let script = page_file(SCRIPT).ok_or(FilmError::NoPage)?;
        let script = std::str::from_utf8(&script).context("the page's code is not text")?;
        let painter = Painter::new()?;
        let wanted = self.wanted();
        let local = Local::new(served(&self.model, Vec::new(), self.text, self.threads)?)?;
        let ask: Ask = Box::new(move |path, body| {
            let answer = local.ask(path, body)?;
            Ok(Reply {
                status: answer.status,
                instance: answer.instance,
                body: answer.body,
            })
        });
        let script = Script::open(script, ask, &wanted)?;
        let plan = script.plan();
        if let Some(kept) = &plan.kept {
            note(&format!(
                "of the text's {} tokens {} are shown: more the model does not read",
                kept.tokens_total, kept.tokens_kept
            ));
        }
        if !painter.can_write(plan.title.chars().next().unwrap_or('a')) {
            bail!(FilmError::NoChinese);
        }
        let bar = ProgressBar::new(plan.frames as u64);
        bar.set_style(ProgressStyle::with_template(
            "{bar:30} frame {pos}/{len}, {eta} left",
        )?);
        let frames = save(&script, &painter, &wanted, &self.out, |done, of| {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        });
        bar.finish_and_clear();
        let frames = frames?;
        let (path, Size { width, height }) = (self.out.display(), wanted.size);
        if kind.is_still() {
            println!("{path}: {}, {width}×{height}", plan.title);
        } else {
            let seconds = frames as f64 / wanted.fps;
            println!(
                "{path}: {}, {frames} frames, {seconds:.1} seconds, {width}×{height}",
                plan.title
            );
        }
        Ok(())
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            text: self.text.clone(),
            chat: self.chat,
            chapter: self.chapter.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            lang: name(&self.lang),
            theme: name(&self.theme),
            depth: name(&self.depth),
            size: self.size,
            fps: self.fps,
            speed: self.speed,
            layer: self.layer,
            head: self.head,
            token: self.token,
            settings: Settings {
                temperature: self.temperature,
                top_k: 40,
                top_p: 0.95,
                seed: self.seed,
            },
            bare: self.bare,
        }
    }
}
