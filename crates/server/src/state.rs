//! What all requests share: the model, the threads, the traces, and how many run at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::StatusCode;
use glassformer_model::Model;
use glassformer_tensor::Pool;
use glassformer_tokens::{ChatTemplate, Tokenizer};
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::store::Store;

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
}

/// What the server works with.
pub struct Served {
    /// The model.
    pub explained: Explained,
    /// Threads for the arithmetic.
    pub pool: Pool,
    /// The text that the page begins with, if not its own.
    pub initial_text: Option<String>,
}

/// Requests that may wait for their turn; more are refused.
const MAX_WAITING: usize = 8;

#[derive(Clone)]
pub(crate) struct State(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) served: Served,
    pub(crate) store: Store,
    turn: Semaphore,
    waiting: AtomicUsize,
}

impl State {
    pub(crate) fn new(served: Served) -> Self {
        // One at a time: a run already uses every thread of the pool.
        Self(Arc::new(Shared {
            served,
            store: Store::default(),
            turn: Semaphore::new(1),
            waiting: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }

    /// Runs arithmetic away from the threads that answer requests, one piece at a time.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let _place = Place::take(&self.0)?;
        let failed = || {
            ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the model failed on this request; this is a bug",
            )
        };
        let _permit = self.0.turn.acquire().await.map_err(|_| failed())?;
        let shared = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&shared))
            .await
            .map_err(|_| failed())?
    }
}

/// A place among those that wait or run; given back when dropped, also when the client has gone.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(shared: &'a Shared) -> Result<Self, ApiError> {
        let place = Self(&shared.waiting);
        if shared.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
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

impl Shared {
    pub(crate) fn model(&self) -> &Model {
        &self.served.explained.model
    }

    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        &self.served.explained.tokenizer
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.served.pool
    }
}
