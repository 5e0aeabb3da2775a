//! The models that can be asked about: those that the server was started on, and those that were trained here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;

use crate::error::ApiError;
use crate::state::Explained;

/// Models kept that were trained here.
const MAX_TRAINED: usize = 3;

/// Names, in requests, the newest model that was trained here.
const NEWEST: &str = "trained";

pub(crate) struct Models {
    first: Arc<Explained>,
    beside: Vec<Arc<Explained>>,
    trained: Mutex<VecDeque<Arc<Explained>>>,
}

impl Models {
    pub(crate) fn new(first: Explained, beside: Vec<Explained>) -> Self {
        Self {
            first: Arc::new(first),
            beside: beside.into_iter().map(Arc::new).collect(),
            trained: Mutex::default(),
        }
    }

    /// The one that the server was started on.
    pub(crate) fn first(&self) -> Arc<Explained> {
        Arc::clone(&self.first)
    }

    /// All, the first first, then those beside it, then the newest that was trained here.
    pub(crate) fn all(&self) -> Vec<Arc<Explained>> {
        let trained = self.trained.lock().unwrap_or_else(PoisonError::into_inner);
        let given = std::iter::once(&self.first).chain(&self.beside);
        given.chain(trained.iter().rev()).map(Arc::clone).collect()
    }

    /// By name; the first without one.
    pub(crate) fn get(&self, name: Option<&str>) -> Result<Arc<Explained>, ApiError> {
        let Some(name) = name.filter(|&name| name != self.first.name) else {
            return Ok(self.first());
        };
        let trained = self.trained.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = trained.back().filter(|_| name == NEWEST);
        let mut all = newest.into_iter().chain(&self.beside).chain(&*trained);
        all.find(|model| name == NEWEST || model.name == name)
            .map(Arc::clone)
            .ok_or_else(|| {
                let message = format!(
                    "this server has no model {name:?}; models that were trained here are gone when it ends: train it again"
                );
                ApiError::new(StatusCode::NOT_FOUND, message)
            })
    }

    /// Keeps a model that was trained here; the oldest goes when there are too many. Its traces keep it for themselves.
    pub(crate) fn add(&self, model: Explained) {
        let mut trained = self.trained.lock().unwrap_or_else(PoisonError::into_inner);
        trained.retain(|kept| kept.name != model.name);
        trained.push_back(Arc::new(model));
        if trained.len() > MAX_TRAINED {
            trained.pop_front();
        }
    }
}
