//! `POST /api/trace`: a text through the model, everything recorded.

use axum::Json;
use axum::extract::State as Shared;
use axum::extract::rejection::JsonRejection;
use glassformer_model::Site;
use glassformer_tokens::{Message, Tokenizer};
use glassformer_trace::{Replay, shapes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::edits::{self, EditRequest};
use crate::error::ApiError;
use crate::state::State;

#[derive(Deserialize)]
pub(crate) struct TraceRequest {
    #[serde(flatten)]
    asked: Asked,
    /// Parts that are switched off: a shorter way to write such edits.
    #[serde(default)]
    ablate: Vec<String>,
    #[serde(default)]
    edits: Vec<EditRequest>,
    /// What an encoder–decoder is to have written; what it would write, without it.
    target: Option<String>,
    /// Positions at which an encoder that fills gaps reads its mask in place of the token.
    #[serde(default)]
    mask: Vec<usize>,
    /// One that was trained here; the server's own without it.
    model: Option<String>,
}

/// What a visitor typed: a text to be gone on with, or a message to be answered.
#[derive(Deserialize)]
pub(crate) struct Asked {
    pub(crate) text: String,
    /// In the model's chat template.
    #[serde(default)]
    pub(crate) chat: bool,
}

#[derive(Serialize)]
struct Merge {
    at: usize,
    left: Vec<u8>,
    right: Vec<u8>,
    rank: usize,
    merged: u32,
}

impl Asked {
    /// The text as the model reads it.
    fn wrapped(&self, shared: &crate::state::Shared) -> Result<String, ApiError> {
        if !self.chat {
            return Ok(self.text.clone());
        }
        let reason = "this model has no chat template: it was not trained for conversations";
        let template = shared.explained.chat.as_ref();
        let template = template.ok_or_else(|| ApiError::bad(reason))?;
        template
            .render(&[Message::new("user", &self.text)], true)
            .map_err(|error| ApiError::bad(error.to_string()))
    }
}

/// The longest text that is read: patterns grow with its square.
const MOST_TOKENS: usize = 1024;

/// A text as the model reads it.
pub(crate) struct Prompt {
    /// At most a context of them.
    pub(crate) ids: Vec<u32>,
    /// Byte offsets of each in `text`.
    offsets: Vec<std::ops::Range<usize>>,
    /// The text that was kept.
    text: String,
    total: usize,
}

impl Prompt {
    /// Tokenizes; keeps the last tokens, a context of them and at most [`MOST_TOKENS`] (the page says so).
    pub(crate) fn read(shared: &crate::state::Shared, asked: &Asked) -> Result<Self, ApiError> {
        if asked.text.is_empty() {
            return Err(ApiError::bad("the text is empty; type a word or two"));
        }
        let (tokenizer, n_ctx) = (shared.tokenizer(), shared.model().dimensions().n_ctx);
        let text = asked.wrapped(shared)?;
        let encoding = if asked.chat {
            tokenizer.encode_with_specials(&text)
        } else {
            tokenizer.encode_prompt(&text)
        };
        let encoding = encoding.map_err(|error| ApiError::bad(error.to_string()))?;
        if encoding.ids.is_empty() {
            return Err(ApiError::bad(
                "this model knows none of these characters; try others",
            ));
        }
        let total = encoding.ids.len();
        // What is set before a text stays when its beginning is left out.
        let before = encoding.offsets.iter().take_while(|range| range.is_empty());
        let (lead, most) = (before.count(), n_ctx.min(MOST_TOKENS));
        let (lead, first) = if total > most {
            (lead.min(most - 1), total - most + lead.min(most - 1))
        } else {
            (0, 0)
        };
        let start = encoding.offsets[first].start;
        // A cut inside a character would show half of it: its bytes still come, the text begins after it.
        let visible = (start..=text.len())
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(text.len());
        let offsets = encoding.offsets[..lead]
            .iter()
            .chain(&encoding.offsets[first..])
            .map(|range| range.start.saturating_sub(visible)..range.end.saturating_sub(visible))
            .collect();
        Ok(Self {
            ids: [&encoding.ids[..lead], &encoding.ids[first..]].concat(),
            offsets,
            text: text[visible..].to_owned(),
            total,
        })
    }

    /// A text as it is, whatever its length.
    pub(super) fn whole(shared: &crate::state::Shared, text: &str) -> Result<Self, ApiError> {
        if text.trim().is_empty() {
            return Err(ApiError::bad("the text is empty; type a word or two"));
        }
        let encoding = shared.tokenizer().encode_prompt(text);
        let encoding = encoding.map_err(|error| ApiError::bad(error.to_string()))?;
        Ok(Self {
            total: encoding.ids.len(),
            ids: encoding.ids,
            offsets: encoding.offsets,
            text: text.to_owned(),
        })
    }

    /// With these ids, of which the last were set behind the text.
    pub(super) fn closed(&mut self, ids: Vec<u32>) {
        let end = self.text.len();
        self.offsets.resize(ids.len(), end..end);
        self.total = ids.len();
        self.ids = ids;
    }

    /// Puts the mask of an encoder that fills gaps in place of tokens of the text.
    fn mask(&mut self, tokenizer: &Tokenizer, places: &[usize]) -> Result<(), ApiError> {
        if places.is_empty() {
            return Ok(());
        }
        let reason = "this model has no mask: it was not trained to fill gaps";
        let mask = mask_of(tokenizer).ok_or_else(|| ApiError::bad(reason))?;
        for &place in places {
            if self
                .offsets
                .get(place)
                .is_none_or(std::ops::Range::is_empty)
            {
                return Err(ApiError::bad(format!(
                    "there is no token of the text at position {place}"
                )));
            }
            self.ids[place] = mask;
        }
        Ok(())
    }

    pub(super) fn tokens(&self, tokenizer: &Tokenizer) -> Vec<Value> {
        let token = |(&id, range): (&u32, &std::ops::Range<usize>)| {
            let merges: Vec<Merge> = tokenizer
                .merges_of(id)
                .into_iter()
                .map(|step| Merge {
                    at: step.at,
                    left: step.left,
                    right: step.right,
                    rank: step.rank as usize,
                    merged: step.merged,
                })
                .collect();
            json!({
                "id": id,
                "text": tokenizer.token_text(id),
                // What stands in no place of the text was set around it.
                "bytes": if range.is_empty() { &[] } else { tokenizer.token_bytes(id) },
                "special": tokenizer.is_special(id),
                "start": range.start,
                "end": range.end,
                "merges": merges,
            })
        };
        self.ids.iter().zip(&self.offsets).map(token).collect()
    }

    fn kept(&self) -> Option<Value> {
        (self.total > self.ids.len()).then(|| {
            json!({"tokens_total": self.total, "tokens_kept": self.ids.len(), "from": "end", "text": self.text})
        })
    }
}

/// The id that stands for a gap, as BERT (`[MASK]`) and RoBERTa (`<mask>`) write it.
pub(super) fn mask_of(tokenizer: &Tokenizer) -> Option<u32> {
    let specials = tokenizer.specials().iter();
    let mut masks = specials.filter(|(name, _)| name == "[MASK]" || name == "<mask>");
    masks.next().map(|(_, id)| *id)
}

/// Sites with their shapes, as the page reads them.
pub(super) fn sites(shapes: Vec<(Site, Vec<usize>)>) -> Vec<Value> {
    let shapes = shapes.into_iter();
    shapes
        .map(|(site, shape)| json!({"name": site.to_string(), "shape": shape}))
        .collect()
}

/// A body that could not be read, as one line.
pub(crate) fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, ApiError> {
    body.map(|Json(value)| value)
        .map_err(|rejection| ApiError::new(rejection.status(), rejection.body_text()))
}

pub(crate) async fn trace(
    Shared(state): Shared<State>,
    request: Result<Json<TraceRequest>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let request = body(request)?;
    state
        .on(request.model.as_deref())?
        .compute(move |shared| run(shared, &request))
        .await
        .map(Json)
}

fn run(shared: &crate::state::Shared, request: &TraceRequest) -> Result<Value, ApiError> {
    let (model, tokenizer) = (shared.model(), shared.tokenizer());
    if model.network.pair().is_some() {
        if !(request.ablate.is_empty() && request.edits.is_empty() && request.mask.is_empty()) {
            return Err(ApiError::bad(
                "a run of an encoder–decoder cannot be changed yet; leave edits and masks out",
            ));
        }
        return super::pair::run(shared, &request.asked, request.target.as_deref());
    }
    if request.target.is_some() {
        return Err(ApiError::bad(
            "this model has one text alone: a target is for encoder–decoders",
        ));
    }
    let mut prompt = Prompt::read(shared, &request.asked)?;
    prompt.mask(tokenizer, &request.mask)?;
    let off = |part: &String| EditRequest::Off { part: part.clone() };
    let asked: Vec<_> = request.ablate.iter().map(off).collect();
    let asked = asked.iter().chain(&request.edits);
    let edits = edits::read(shared, asked, request.asked.chat, prompt.ids.len())?;
    let (tokens, kept) = (prompt.tokens(tokenizer), prompt.kept());
    let (positions, text) = (prompt.ids.len(), prompt.text);
    let replay = Replay::run(model, shared.pool(), prompt.ids, edits);
    let sites = sites(shapes(model, [positions; 2]));
    check_numbers(&replay)?;
    let id = shared.keep(replay);
    Ok(json!({"id": id, "text": text, "tokens": tokens, "kept": kept, "sites": sites}))
}

/// Numbers set by hand can carry a run beyond what f32 holds.
fn check_numbers(replay: &Replay) -> Result<(), ApiError> {
    let logits = replay.kept().get(Site::Logits);
    if replay.edits().is_empty() || logits.is_ok_and(|l| l.data.iter().all(|x| x.is_finite())) {
        return Ok(());
    }
    Err(ApiError::bad(
        "with these edits the numbers grow beyond all bounds and no token can be chosen; undo the last one",
    ))
}
