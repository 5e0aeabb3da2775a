//! The newest traces.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use glassformer_trace::Replay;

use crate::error::ApiError;

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
    traces: VecDeque<(u64, Arc<Replay>)>,
}

impl Store {
    /// Keeps a trace and gives its id; the oldest go when there are too many.
    pub(crate) fn keep(&self, trace: Replay) -> String {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.next += 1;
        let id = inner.next;
        inner.traces.push_back((id, Arc::new(trace)));
        let bytes = |traces: &VecDeque<(u64, Arc<Replay>)>| -> usize {
            traces.iter().map(|(_, trace)| trace.bytes()).sum()
        };
        while inner.traces.len() > MAX_TRACES
            || (inner.traces.len() > 1 && bytes(&inner.traces) > MAX_BYTES)
        {
            inner.traces.pop_front();
        }
        id.to_string()
    }

    /// A trace that is still kept.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Replay>, ApiError> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let number: Option<u64> = id.parse().ok();
        inner
            .traces
            .iter()
            .find(|(kept, _)| Some(*kept) == number)
            .map(|(_, trace)| Arc::clone(trace))
            .ok_or_else(|| {
                ApiError::new(
                    StatusCode::NOT_FOUND,
                    format!("trace {id} is no longer kept; trace the text again"),
                )
            })
    }
}
