//! The newest traces.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use glassformer_trace::Replay;

use crate::error::ApiError;
use crate::state::Explained;

/// Traces kept, and the memory that they may take together.
const MAX_TRACES: usize = 16;
const MAX_BYTES: usize = 512 << 20;

#[derive(Default)]
pub(crate) struct Store {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    traces: VecDeque<(u64, Kept)>,
}

/// A trace, and the model that it is of.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) trace: Arc<Replay>,
    pub(crate) explained: Arc<Explained>,
}

impl Store {
    /// Keeps a trace and gives its id; the oldest go when there are too many.
    pub(crate) fn keep(&self, trace: Replay, explained: &Arc<Explained>) -> String {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.next += 1;
        let id = inner.next;
        let kept = Kept {
            trace: Arc::new(trace),
            explained: Arc::clone(explained),
        };
        inner.traces.push_back((id, kept));
        let bytes = |traces: &VecDeque<(u64, Kept)>| -> usize {
            traces.iter().map(|(_, kept)| kept.trace.bytes()).sum()
        };
        while inner.traces.len() > MAX_TRACES
            || (inner.traces.len() > 1 && bytes(&inner.traces) > MAX_BYTES)
        {
            inner.traces.pop_front();
        }
        id.to_string()
    }

    /// A trace that is still kept.
    pub(crate) fn get(&self, id: &str) -> Result<Kept, ApiError> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let number: Option<u64> = id.parse().ok();
        inner
            .traces
            .iter()
            .find(|(kept, _)| Some(*kept) == number)
            .map(|(_, kept)| kept.clone())
            .ok_or_else(|| {
                ApiError::new(
                    StatusCode::NOT_FOUND,
                    format!("trace {id} is no longer kept; trace the text again"),
                )
            })
    }
}
