//! The loop of an edited run: each step is a whole pass with the edits in it, as a cache of another step knows nothing of them.

use std::sync::Arc;

use glassformer_generate::{Distribution, Sampling, Step};
use glassformer_model::Site;
use glassformer_trace::{Edits, Selection, record_edited};

use crate::state::Shared;

/// A text that grows while its run is edited.
pub(crate) struct EditedLoop<'a> {
    shared: &'a Shared,
    edits: Arc<Edits>,
    ids: Vec<u32>,
    sampling: Sampling,
    logits: Selection,
    distribution: Distribution,
    steps: u64,
}

impl<'a> EditedLoop<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        edits: Arc<Edits>,
        ids: &[u32],
        sampling: Sampling,
    ) -> Self {
        Self {
            shared,
            edits,
            ids: ids.to_vec(),
            sampling,
            logits: Selection::parse("logits").expect("a valid glob"),
            distribution: Distribution::default(),
            steps: 0,
        }
    }

    /// The next token; none when the context is full: the places of the edits would move with the text.
    pub(crate) fn step(&mut self) -> Option<Step> {
        let (model, pool) = (self.shared.model(), self.shared.pool());
        let dimensions = model.dimensions();
        if self.ids.len() >= dimensions.n_ctx {
            return None;
        }
        let run = record_edited(model, pool, &self.ids, &self.logits, &self.edits);
        let logits = &run.get(Site::Logits).ok()?.data;
        let last = &logits[logits.len() - dimensions.vocab..];
        self.distribution = self.sampling.distribution(last, &self.ids);
        let number = self.sampling.draw_number(self.steps).unwrap_or(0.0);
        let chosen = self.distribution.draw(number);
        let computed = self.ids.len();
        let step = Step {
            id: chosen.id,
            prob: chosen.final_prob,
            position: computed,
            cached: 0,
            computed,
        };
        self.steps += 1;
        self.ids.push(step.id);
        Some(step)
    }

    /// What the newest token was drawn from.
    pub(crate) fn distribution(&self) -> &Distribution {
        &self.distribution
    }
}
