//! The work that is measured: every call into the engine stands here, and each gives the time it took.

use std::hint::black_box;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use glassformer_kernels::matrix::MatRef;
use glassformer_kernels::peak::Peaks;
use glassformer_kernels::random;
use glassformer_model::{
    BlockSite, Gradients, Hook, KvCache, Mode, Model, Pass, Site, View, ViewMut,
};
use glassformer_tensor::ops::{attention, linear};
use glassformer_tensor::{Buffers, Pool};
use glassformer_train::{Optimizer, Options, gradient};

/// What the numbers of a product are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Precision {
    /// 32 bits.
    F32,
}

impl Precision {
    /// All that the engine can compute with, for the table of kernels.
    pub(super) const ALL: &[Self] = &[Self::F32];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
        }
    }

    /// Bytes of one weight.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
        }
    }

    /// 10⁹ operations per second that the processor can do at best in it.
    pub(super) fn peak(self, peaks: &Peaks) -> f64 {
        match self {
            Self::F32 => peaks.f32_gflops,
        }
    }
}

/// The peaks of the processor on `threads` threads.
pub(super) fn peaks(threads: usize) -> Peaks {
    Peaks::measure(threads, &|work| {
        std::thread::scope(|scope| {
            for i in 0..threads {
                scope.spawn(move || work(i));
            }
        });
    })
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let begin = Instant::now();
    black_box(work());
    begin.elapsed()
}

/// Random numbers from 0 up to `vocab`, the same for the same key.
fn random_ids(key: u64, vocab: usize, ids: &mut [u32]) {
    for (i, id) in ids.iter_mut().enumerate() {
        *id = (random::bits(key, i as u64) % vocab as u64) as u32;
    }
}

fn random_values(key: u64, n: usize) -> Vec<f32> {
    (0..n as u64)
        .map(|i| random::uniform(key, i) as f32 - 0.5)
        .collect()
}

/// Optimiser steps on batches of random tokens.
pub(super) struct Training {
    model: Model,
    options: Options,
    optimizer: Optimizer,
    gradients: Gradients,
    buffers: Buffers,
    pool: Pool,
}

impl Training {
    /// Of batch and context, `options` has the last word; the other sizes are the model's.
    pub(super) fn new(model: Model, options: Options, pool: Pool) -> Self {
        let len = model.parameters.arena().len();
        Self {
            optimizer: Optimizer::new(len),
            gradients: Gradients::zeros(model.parameters.layout()),
            buffers: Buffers::new(),
            model,
            options,
            pool,
        }
    }

    /// One step: forward, backward, clipping, AdamW. Drawing the batch is not timed.
    pub(super) fn step(&mut self) -> Duration {
        let (batch, n_ctx) = (self.options.batch_size, self.options.n_ctx);
        let vocab = self.model.dimensions().vocab;
        let key = random::derive(self.options.seed, self.optimizer.step);
        let (mut x, mut y) = (vec![0; batch * n_ctx], vec![0; batch * n_ctx]);
        random_ids(key, vocab, &mut x);
        random_ids(random::derive(key, 1), vocab, &mut y);
        timed(|| {
            self.gradients.clear();
            let mode = Mode::Training { dropout: 0.0, key };
            let run = self.model.run(&self.pool, &self.buffers);
            let pass = Pass::new(run, batch, n_ctx, mode);
            let loss = gradient(&self.model, pass, [&x, &y], 1, &mut self.gradients);
            let rate = self.options.learning_rate;
            let parameters = &mut self.model.parameters;
            let gradients = &self.gradients;
            let norm = self
                .optimizer
                .step(&self.pool, parameters, gradients, &self.options, rate);
            (loss, norm)
        })
    }
}

/// A model that reads random tokens into its cache.
pub(super) struct Reading {
    model: Model,
    cache: KvCache,
    ids: Vec<u32>,
    buffers: Buffers,
    pool: Pool,
}

impl Reading {
    pub(super) fn new(model: Model, pool: Pool) -> Self {
        let dimensions = model.dimensions();
        let mut ids = vec![0; dimensions.n_ctx];
        random_ids(1, dimensions.vocab, &mut ids);
        Self {
            cache: KvCache::new(&dimensions),
            buffers: Buffers::new(),
            model,
            ids,
            pool,
        }
    }

    /// Reads the tokens `first..end` at once; the logits after the last one are computed.
    fn read(&mut self, first: usize, end: usize, hook: Option<&mut dyn Hook>) {
        self.cache.truncate(first);
        let ids = &self.ids[first..end];
        let run = self.model.run(&self.pool, &self.buffers);
        let mut pass = Pass::new(run, 1, ids.len(), Mode::Cached(&mut self.cache));
        if let Some(hook) = hook {
            pass = pass.with_hook(hook);
        }
        black_box(self.model.last_logits(&mut pass, ids));
        pass.finish();
    }

    /// Reads `tokens` tokens at once.
    pub(super) fn prefill(&mut self, tokens: usize) -> Duration {
        timed(|| self.read(0, tokens, None))
    }

    /// The same, keeping the residual stream before and after each block.
    pub(super) fn prefill_recorded(&mut self, tokens: usize) -> Duration {
        let mut residuals = Residuals::default();
        timed(|| self.read(0, tokens, Some(&mut residuals)))
    }

    /// With `depth` tokens in the cache, reads `tokens` more one by one. The first part is not timed.
    pub(super) fn decode(&mut self, depth: usize, tokens: usize) -> Duration {
        if depth > 0 {
            self.read(0, depth, None);
        }
        timed(|| {
            for at in depth..depth + tokens {
                self.read(at, at + 1, None);
            }
        })
    }
}

/// Keeps a copy of each value, as a recording does.
#[derive(Default)]
struct Residuals {
    values: Vec<Vec<f32>>,
}

impl Hook for Residuals {
    fn wants(&self, site: Site) -> bool {
        use BlockSite::{ResidPost, ResidPre};
        matches!(
            site,
            Site::Block {
                site: ResidPre | ResidPost,
                ..
            }
        )
    }

    fn edits(&self, _: Site) -> bool {
        false
    }

    fn record(&mut self, _: Site, value: View<'_>) {
        self.values.push(value.to_vec());
    }

    fn edit(&mut self, _: Site, _: ViewMut<'_>) {}
}

/// A product [M,K]·[K,N], to be run again and again.
pub(super) fn product(
    pool: &Pool,
    precision: Precision,
    [m, k, n]: [usize; 3],
) -> impl FnMut() -> Duration {
    let (a, b) = (random_values(1, m * k), random_values(2, k * n));
    let mut c = vec![0.0; m * n];
    move || {
        let (a, b) = (MatRef::new(&a, m, k), MatRef::new(&b, k, n));
        match precision {
            Precision::F32 => timed(|| linear::product(pool, &mut c, a, b, false)),
        }
    }
}

/// Causal attention of one sequence over a fused row q·k·v, forward and backward.
pub(super) fn causal_attention(
    pool: &Pool,
    precision: Precision,
    [heads, positions, d_head]: [usize; 3],
) -> impl FnMut() -> Duration {
    let width = heads * d_head;
    let shape = attention::Shape {
        batch: 1,
        queries: positions,
        keys: positions,
        heads,
        kv_heads: heads,
        d_head,
    };
    let qkv = random_values(1, positions * 3 * width);
    let dz = random_values(2, positions * width);
    let (mut z, mut log_sum) = (vec![0.0; positions * width], vec![0.0; positions * heads]);
    let mut d_qkv = vec![0.0; qkv.len()];
    move || {
        let rows = |part: usize| attention::Rows {
            data: &qkv[part * width..],
            row_stride: 3 * width,
            batch_stride: qkv.len(),
        };
        let input = attention::Input {
            q: rows(0),
            k: rows(1),
            v: rows(2),
            dropout: None,
        };
        match precision {
            Precision::F32 => timed(|| {
                attention::forward(pool, shape, input, &mut z, &mut log_sum);
                attention::backward(pool, shape, input, &dz, &log_sum, &mut d_qkv);
            }),
        }
    }
}
