//! Texts: each with each, questions against the lines of a file, sums of texts.

use std::io::IsTerminal;

use anyhow::{Result, bail};
use glassformer_trace::neighbours::{cosines, largest, length};
use glassformer_trace::words::add;
use serde_json::{Value, json};

use super::{Expression, Similar};
use crate::terminal::{shortened, write};
use crate::verbs::vectors::{TextEmbedder, given, lines};

/// Up to so many texts, people see all cosines; …
const SHOWN: usize = 12;

/// … and up to so many, programs do.
const TOLD: usize = 1000;

/// Characters of a text in a table.
const WIDTH: usize = 70;

/// Texts and their vectors [N,D].
struct Texts {
    all: Vec<String>,
    vectors: Vec<f32>,
    width: usize,
}

impl Texts {
    fn embed(model: &TextEmbedder, texts: Vec<String>) -> Result<Self> {
        let vectors = model.all(&texts)?;
        let width = vectors.len() / texts.len();
        Ok(Self {
            all: texts,
            vectors,
            width,
        })
    }

    fn vector(&self, i: usize) -> &[f32] {
        &self.vectors[i * self.width..][..self.width]
    }

    /// The nearest `k` to a vector, but not those for which `is_left_out`: (index, cosine).
    fn nearest(
        &self,
        vector: &[f32],
        k: usize,
        is_left_out: impl Fn(usize) -> bool,
    ) -> Vec<(u32, f32)> {
        let all = (0..).zip(cosines(&self.vectors, vector));
        largest(all.filter(|&(i, _)| !is_left_out(i as usize)).collect(), k)
    }
}

pub(super) fn run(asked: &Similar) -> Result<()> {
    match (&asked.sum, &asked.file, asked.texts.len()) {
        (Some(expression), ..) => sum(asked, expression),
        (None, Some(_), 1..) => questions(asked),
        _ => each_with_each(asked),
    }
}

/// Each text of the command line against the lines of the file.
fn questions(asked: &Similar) -> Result<()> {
    let path = asked.file.as_deref().expect("asked with a file");
    let lines = lines(path)?;
    if lines.is_empty() {
        bail!("{} has no lines to search in", path.display());
    }
    let model = asked.vectors.open(&asked.model, &asked.running)?;
    let found = Texts::embed(&model, lines)?;
    let questions = Texts::embed(&model, asked.texts.clone())?;
    for (i, question) in questions.all.iter().enumerate() {
        let nearest = found.nearest(questions.vector(i), asked.k, |_| false);
        tell(
            asked,
            &json!({ "query": question }),
            question,
            &found,
            &nearest,
        )?;
    }
    Ok(())
}

/// A sum of texts against the others.
fn sum(asked: &Similar, expression: &Expression) -> Result<()> {
    let candidates = given(&asked.texts, asked.file.as_deref())?;
    let model = asked.vectors.open(&asked.model, &asked.running)?;
    let named: Vec<String> = expression
        .terms
        .iter()
        .map(|term| term.text.clone())
        .collect();
    let terms = Texts::embed(&model, named)?;
    let mut sum = Vec::new();
    for (i, term) in expression.terms.iter().enumerate() {
        let vector = terms.vector(i);
        add(&mut sum, vector, term.sign() / length(vector));
    }
    let found = Texts::embed(&model, candidates)?;
    let nearest = found.nearest(&sum, asked.k, |i| terms.all.contains(&found.all[i]));
    let head = json!({"terms": expression.terms.iter().map(|term| json!({
        "sign": term.sign() as i32, "text": term.text,
    })).collect::<Vec<_>>()});
    let shown: Vec<String> = expression
        .terms
        .iter()
        .map(|term| format!("{} {}", if term.is_minus { "−" } else { "+" }, term.text))
        .collect();
    tell(asked, &head, &shown.join(" "), &found, &nearest)
}

/// What was found for one question; `head` begins its JSON object.
fn tell(
    asked: &Similar,
    head: &Value,
    question: &str,
    found: &Texts,
    nearest: &[(u32, f32)],
) -> Result<()> {
    if asked.json {
        let mut line = head.clone();
        line["nearest"] = told(nearest, Some(found));
        return Ok(write(&format!("{line}\n"))?);
    }
    let mut out = format!("{}\n", shortened(question, WIDTH));
    for &(i, cosine) in nearest {
        let text = shortened(&found.all[i as usize], WIDTH);
        out += &format!("{cosine:>8.4}  {:>6}  {text}\n", i + 1);
    }
    Ok(write(&out)?)
}

/// Indices count from 0.
fn told(nearest: &[(u32, f32)], texts: Option<&Texts>) -> Value {
    let one = |&(i, cosine): &(u32, f32)| match texts {
        Some(found) => json!({"index": i, "cosine": cosine, "text": found.all[i as usize]}),
        None => json!({"index": i, "cosine": cosine}),
    };
    nearest.iter().map(one).collect()
}

fn each_with_each(asked: &Similar) -> Result<()> {
    let texts = given(&asked.texts, asked.file.as_deref())?;
    if texts.len() < 2 {
        bail!(
            "one text alone has nothing to be compared with: give a second one, or --file with lines to search in"
        );
    }
    let model = asked.vectors.open(&asked.model, &asked.running)?;
    let texts = Texts::embed(&model, texts)?;
    if asked.json {
        return objects(asked, &texts);
    }
    let mut out = String::new();
    if texts.all.len() <= SHOWN {
        out += &matrix(&texts);
    }
    for (i, text) in texts.all.iter().enumerate() {
        let [(nearest, cosine)] = texts.nearest(texts.vector(i), 1, |j| j == i)[..] else {
            continue;
        };
        out += &format!(
            "{:>3}  {}  → {} ({cosine:.4})\n",
            i + 1,
            shortened(text, WIDTH),
            nearest + 1
        );
    }
    Ok(write(&out)?)
}

/// The cosines of all with all, numbered from 1; shaded on a terminal.
fn matrix(texts: &Texts) -> String {
    let count = texts.all.len();
    let head: String = (1..=count).map(|i| format!("{i:>8}")).collect();
    let mut out = format!("     {head}\n");
    for i in 0..count {
        let row = cosines(&texts.vectors, texts.vector(i)).into_iter();
        let cells: String = row
            .map(|cosine| shaded(cosine, format!("{cosine:>8.4}")))
            .collect();
        out += &format!("{:>3}  {cells}\n", i + 1);
    }
    out + "\n"
}

/// Bold where alike, faint where not, on a terminal.
fn shaded(cosine: f32, cell: String) -> String {
    let style = match cosine {
        _ if !std::io::stdout().is_terminal() => return cell,
        0.6.. => "1",
        0.3.. => return cell,
        _ => "2",
    };
    format!("\x1b[{style}m{cell}\x1b[0m")
}

fn objects(asked: &Similar, texts: &Texts) -> Result<()> {
    for (i, text) in texts.all.iter().enumerate() {
        let nearest = texts.nearest(texts.vector(i), asked.k, |j| j == i);
        let mut line = json!({"index": i, "text": text});
        if texts.all.len() <= TOLD {
            line["cosines"] = json!(cosines(&texts.vectors, texts.vector(i)));
        }
        line["nearest"] = told(&nearest, None);
        write(&format!("{line}\n"))?;
    }
    Ok(())
}
