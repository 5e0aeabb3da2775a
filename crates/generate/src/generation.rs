//! The loop: read the text so far, get the next token, add it, and again.

use glassformer_model::{KvCache, Mode, Model, Pass};
use glassformer_tensor::{Buffers, Pool, Tensor};

use crate::sampling::{Candidate, Distribution, Sampling};

/// How the loop reads the text so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Keys and values of earlier positions are kept; each step computes one new row.
    Cached,
    /// Every step computes every position again: the simple version, kept as the test of the other.
    FromScratch,
}

/// One new token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Its id.
    pub id: u32,
    /// Its probability after truncation.
    pub prob: f32,
    /// Its position in the text (the window's, once the text is longer than the context).
    pub position: usize,
    /// Positions whose keys and values were kept for this step.
    pub cached: usize,
    /// Positions computed in this step.
    pub computed: usize,
}

/// A text that grows. Each token but the first few, and those at which the cache doubles, is made without allocating.
pub struct Generation<'a> {
    model: &'a Model,
    pool: &'a Pool,
    buffers: Buffers,
    sampling: Sampling,
    tokens: Vec<u32>,
    cache: Option<KvCache>,
    distribution: Distribution,
    steps: u64,
}

impl<'a> Generation<'a> {
    /// Begins with `prompt`, of which the last `n_ctx` ids are read. Panics on an empty prompt.
    pub fn new(
        model: &'a Model,
        pool: &'a Pool,
        prompt: &[u32],
        sampling: Sampling,
        work: Work,
    ) -> Self {
        assert!(
            !prompt.is_empty(),
            "a generation begins with at least one token"
        );
        let dimensions = model.dimensions();
        let kept = prompt.len().saturating_sub(dimensions.n_ctx);
        let mut tokens = Vec::with_capacity(dimensions.n_ctx + 1);
        tokens.extend_from_slice(&prompt[kept..]);
        let cache = (work == Work::Cached).then(|| model.cache());
        Self {
            model,
            pool,
            buffers: Buffers::new(),
            sampling,
            tokens,
            cache,
            distribution: Distribution::default(),
            steps: 0,
        }
    }

    /// The ids that the next step reads.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// What the newest token was drawn from; empty before the first step.
    pub fn distribution(&self) -> &Distribution {
        &self.distribution
    }

    /// Makes the text `ids`, of which the last `n_ctx` are read; what it has in common with the text before, from its first
    /// token on, is not read again. Panics when there is none.
    pub fn set(&mut self, ids: &[u32]) {
        assert!(!ids.is_empty(), "a text has at least one token");
        let ids = &ids[ids.len().saturating_sub(self.model.dimensions().n_ctx)..];
        let same = self.tokens.iter().zip(ids).take_while(|(a, b)| a == b);
        // The last token's logits are needed in any case.
        let same = same.count().min(ids.len() - 1);
        if let Some(cache) = &mut self.cache {
            cache.truncate(same);
        }
        self.tokens.clear();
        self.tokens.extend_from_slice(ids);
    }

    /// Chooses the next token and adds it to the text.
    pub fn step(&mut self) -> Step {
        self.slide();
        let (logits, cached, computed) = self.last_logits();
        self.sampling
            .fill(&mut self.distribution, logits.data(), &self.tokens);
        let Candidate { id, final_prob, .. } = self.sampling.choose(&self.distribution, self.steps);
        self.steps += 1;
        let position = self.tokens.len();
        self.tokens.push(id);
        Step {
            id,
            prob: final_prob,
            position,
            cached,
            computed,
        }
    }

    /// When the text no longer fits, its later half goes on as if the earlier had never been.
    fn slide(&mut self) {
        let n_ctx = self.model.dimensions().n_ctx;
        if self.tokens.len() > n_ctx {
            let keep = (n_ctx / 2).max(1);
            self.tokens.drain(..self.tokens.len() - keep);
            if let Some(cache) = &mut self.cache {
                cache.truncate(0);
            }
        }
    }

    /// Logits `[1,V]` after the last token; how many positions were kept and how many computed.
    fn last_logits(&mut self) -> (Tensor, usize, usize) {
        let run = self.model.run(self.pool, &self.buffers);
        let cached = self.cache.as_ref().map_or(0, KvCache::len);
        let new = &self.tokens[cached..];
        let mode = self.cache.as_mut().map_or(Mode::Inference, Mode::Cached);
        let mut pass = Pass::new(run, 1, new.len(), mode);
        let logits = self.model.last_logits(&mut pass, new);
        pass.finish();
        (logits, cached, new.len())
    }
}
