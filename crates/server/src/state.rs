//! What all requests share: the models, the threads, the traces, and how many run at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use glassformer_generate::translate::Search;
use glassformer_model::Model;
use glassformer_tensor::Pool;
use glassformer_tokens::{ChatTemplate, Tokenizer};
use glassformer_trace::Replay;
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::models::Models;
use crate::store::Store;
use crate::training::Training;

/// A model to be explained.
pub struct Explained {
    /// Its name on the page.
    pub name: String,
    /// The model.
    pub model: Model,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// How its file stores the weights, which are computed with in f32, where that is another type.
    pub stored: Option<String>,
    /// How it wants to be talked to, if it was trained for that.
    pub chat: Option<ChatTemplate>,
    /// How an encoder–decoder writes.
    pub translating: Option<Translating>,
    /// The text that the page begins with, if not its own.
    pub initial_text: Option<String>,
}

/// How an encoder–decoder writes.
pub struct Translating {
    /// What is looked for.
    pub search: Search,
    /// What it writes, where that is not what it reads.
    pub target: Option<Tokenizer>,
}

/// What the server works with.
pub struct Served {
    /// The model that it was started on.
    pub explained: Explained,
    /// Others, of other names, to be laid beside it.
    pub beside: Vec<Explained>,
    /// Threads for the arithmetic.
    pub pool: Pool,
}

/// Requests that may wait for their turn; more are refused.
const MAX_WAITING: usize = 8;

/// The server as a request sees it: everything that is shared, and the one model that the request is about.
#[derive(Clone)]
pub(crate) struct State(Shared);

/// What arithmetic for a request works with.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) explained: Arc<Explained>,
    common: Arc<Common>,
}

/// The same for all requests.
pub(crate) struct Common {
    pub(crate) models: Models,
    pub(crate) store: Store,
    pub(crate) training: Training,
    pool: Pool,
    turn: Semaphore,
    waiting: AtomicUsize,
}

impl State {
    pub(crate) fn new(served: Served) -> Self {
        let models = Models::new(served.explained, served.beside);
        Self(Shared {
            explained: models.first(),
            common: Arc::new(Common {
                models,
                store: Store::default(),
                training: Training::default(),
                pool: served.pool,
                // One at a time: a run already uses every thread of the pool.
                turn: Semaphore::new(1),
                waiting: AtomicUsize::new(0),
            }),
        })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    pub(crate) fn common(&self) -> &Arc<Common> {
        &self.0.common
    }

    /// The same server on the model of this name; on the first one without it.
    pub(crate) fn on(&self, model: Option<&str>) -> Result<Self, ApiError> {
        let explained = self.0.common.models.get(model)?;
        Ok(self.of(explained))
    }

    /// The same server on each model, the first first.
    pub(crate) fn all(&self) -> Vec<Self> {
        let all = self.0.common.models.all().into_iter();
        all.map(|explained| self.of(explained)).collect()
    }

    /// A kept trace, and the server on the model that it is of.
    pub(crate) fn trace(&self, id: &str) -> Result<(Self, Arc<Replay>), ApiError> {
        let kept = self.0.common.store.get(id)?;
        Ok((self.of(kept.explained), kept.trace))
    }

    /// As [`State::trace`], of a model of one stack: for questions that have no answer yet of two.
    pub(crate) fn trace_of_one(&self, id: &str) -> Result<(Self, Arc<Replay>), ApiError> {
        let (state, trace) = self.trace(id)?;
        if trace.source().is_some() {
            let message = "this is a run of an encoder–decoder: of it there are tensors and guesses, and nothing else yet";
            return Err(ApiError::bad(message));
        }
        Ok((state, trace))
    }

    fn of(&self, explained: Arc<Explained>) -> Self {
        Self(Shared {
            explained,
            common: Arc::clone(&self.0.common),
        })
    }

    /// Runs arithmetic away from the threads that answer requests, one piece at a time.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let _place = Place::take(&self.0.common)?;
        let failed = || {
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the model failed on this request; this is a bug",
            )
        };
        let _permit = self.0.common.turn.acquire().await.map_err(|_| failed())?;
        let shared = self.0.clone();
        tokio::task::spawn_blocking(move || work(&shared))
            .await
            .map_err(|_| failed())?
    }
}

/// A place among those that wait or run; given back when dropped, also when the client has gone.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(common: &'a Common) -> Result<Self, ApiError> {
        let place = Self(&common.waiting);
        if common.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            let message = "too many requests are running; try again in a moment";
            return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, message));
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Common {
    /// Whether somebody waits for an answer that has to be computed.
    pub(crate) fn is_asked(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

impl Shared {
    pub(crate) fn model(&self) -> &Model {
        &self.explained.model
    }

    /// Whether it is the model that the server was started on.
    pub(crate) fn is_own(&self) -> bool {
        Arc::ptr_eq(&self.explained, &self.common.models.first())
    }

    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        &self.explained.tokenizer
    }

    /// The tokenizer of what it writes.
    pub(crate) fn writes(&self) -> &Tokenizer {
        let translating = self.explained.translating.as_ref();
        let target = translating.and_then(|translating| translating.target.as_ref());
        target.unwrap_or(self.tokenizer())
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.common.pool
    }

    /// Keeps a trace of this model and gives its id.
    pub(crate) fn keep(&self, trace: Replay) -> String {
        self.common.store.keep(trace, &self.explained)
    }
}
