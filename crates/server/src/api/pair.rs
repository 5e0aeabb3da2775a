//! `POST /api/trace` on an encoder–decoder: a source, the translation that the model finds or one that is given, and both stacks
//! recorded as the decoder went over it.

use glassformer_generate::translate::{Hypothesis, Ids, Way, translate};
use glassformer_tokens::Tokenizer;
use glassformer_trace::{Replay, shapes};
use serde_json::{Value, json};

use super::Token;
use super::run::{Asked, Prompt, sites};
use crate::error::ApiError;
use crate::state::{Shared, Translating};

/// The longest source that is read, and the longest target: both stacks are kept whole, and patterns grow with the square.
const MOST_TOKENS: usize = 256;
const MOST_WRITTEN: usize = MOST_TOKENS + 64;

/// What the decoder reads.
struct Target {
    ids: Vec<u32>,
    /// What the model found; nothing, where the target was given.
    found: Option<Hypothesis>,
}

pub(super) fn run(shared: &Shared, asked: &Asked, target: Option<&str>) -> Result<Value, ApiError> {
    let translating = shared.explained.translating.as_ref();
    let translating = translating.ok_or_else(|| {
        ApiError::bad("this model does not say with which id a translation begins")
    })?;
    let source = read(shared, translating, asked)?;
    let target = match target {
        Some(text) => given(shared, &translating.search.ids, text)?,
        None => found(shared, translating, &source.ids)?,
    };
    let writes = shared.writes();
    let told = told(writes, translating, &target);
    let tokens = source.tokens(shared.tokenizer());
    let lengths = [target.ids.len(), source.ids.len()];
    let sites = sites(shapes(shared.model(), lengths));
    let replay = Replay::of_pair(shared.model(), shared.pool(), [source.ids, target.ids]);
    let id = shared.keep(replay);
    Ok(
        json!({"id": id, "text": asked.text, "tokens": tokens, "kept": null, "sites": sites, "target": told}),
    )
}

/// What the encoder reads. A longer source than it can is refused: half a sentence has another translation.
fn read(shared: &Shared, translating: &Translating, asked: &Asked) -> Result<Prompt, ApiError> {
    if asked.chat {
        return Err(ApiError::bad("a translator takes no messages, but a text"));
    }
    let mut source = Prompt::whole(shared, &asked.text)?;
    let tokenizer = shared.tokenizer();
    if source.ids.iter().all(|&id| tokenizer.is_special(id)) {
        return Err(ApiError::bad(
            "this model knows none of these characters; try others",
        ));
    }
    if translating.target.is_none() {
        let mut ids = std::mem::take(&mut source.ids);
        translating.search.ids.close(&mut ids);
        source.closed(ids);
    }
    let pair = shared.model().network.pair();
    let most = pair.map_or(0, |pair| pair.encoder().n_ctx).min(MOST_TOKENS);
    if source.ids.len() > most {
        return Err(ApiError::bad(format!(
            "the text has {} tokens, and {most} are read here; give one sentence, or a shorter one",
            source.ids.len()
        )));
    }
    Ok(source)
}

/// The best translation that the search finds.
fn found(shared: &Shared, translating: &Translating, source: &[u32]) -> Result<Target, ApiError> {
    let (model, search) = (shared.model(), &translating.search);
    let found = translate(model, shared.pool(), &[source], search)
        .map_err(|error| ApiError::bad(error.to_string()))?;
    let best = found.into_iter().flatten().next();
    let best = best.ok_or_else(|| ApiError::bad("the model found no translation"))?;
    Ok(Target {
        ids: behind(&search.ids, &best.ids, most_written(shared)),
        found: Some(best),
    })
}

/// A translation of the visitor's.
fn given(shared: &Shared, ids: &Ids, text: &str) -> Result<Target, ApiError> {
    let read = shared.writes().encode(text);
    let read = read.map_err(|error| ApiError::bad(error.to_string()))?;
    let most = most_written(shared);
    if read.ids.len() >= most {
        return Err(ApiError::bad(format!(
            "the translation has {} tokens, and at most {} are read here; give a shorter one",
            read.ids.len(),
            most - 1
        )));
    }
    Ok(Target {
        ids: behind(ids, &read.ids, most),
        found: None,
    })
}

fn most_written(shared: &Shared) -> usize {
    shared.model().dimensions().n_ctx.min(MOST_WRITTEN)
}

/// What the decoder reads of a target: the id that all begin with, then the target's own.
fn behind(ids: &Ids, own: &[u32], most: usize) -> Vec<u32> {
    let all = std::iter::once(ids.start).chain(own.iter().copied());
    all.take(most).collect()
}

fn told(writes: &Tokenizer, translating: &Translating, target: &Target) -> Value {
    let search = &translating.search;
    let token = |&id: &u32| {
        let Token { id, text, bytes } = Token::new(writes, id);
        json!({"id": id, "text": text, "bytes": bytes, "special": writes.is_special(id)})
    };
    let beams = match search.way {
        Way::Beams { width, .. } => Some(width),
        Way::Sampling(_) => None,
    };
    let found = target.found.as_ref();
    let end = search.ids.ends.first();
    json!({
        "text": writes.decode_text(&target.ids[1..]),
        "tokens": target.ids.iter().map(token).collect::<Vec<_>>(),
        "end": end.map(token),
        "score": found.map(|best| best.score),
        "log_prob": found.map(|best| best.log_prob),
        "ended": found.map(|best| best.is_ended),
        "beams": found.and(beams),
    })
}
