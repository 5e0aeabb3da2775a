//! The work that is measured: every call into the engine stands here, and each gives the time it took.

use std::hint::black_box;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use glassformer_generate::embed::Encoded;
use glassformer_kernels::attention::backward::{self, Output, OutputRows, Saved};
use glassformer_kernels::attention::{Input, Sees, Sequences, Shape, forward, usual_scale};
use glassformer_kernels::peak::Peaks;
use glassformer_kernels::product::finish::{self, Onto};
use glassformer_kernels::product::{self, Rows};
use glassformer_kernels::random;
use glassformer_model::{
    BlockSite, Gradients, Hook, KvCache, Mode, Model, Pass, Site, Tape, View, ViewMut,
};
use glassformer_tensor::ops::product::PackedRight;
use glassformer_tensor::{Buffers, Pool, Tensor};
use glassformer_train::{Compute, Optimizer, Options, gradient, setup};

use crate::verbs::vectors::TextEmbedder;

/// What the operands of products are rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Precision {
    /// 32 bits.
    F32,
    /// 16 bits with the range of 32; sums are in 32 bits.
    Bf16,
}

impl Precision {
    /// All that the engine can compute with, for the table of kernels.
    pub(super) const ALL: &[Self] = &[Self::F32, Self::Bf16];

    /// The faster one on this processor.
    pub(super) fn fastest() -> Self {
        match product::Precision::fastest() {
            product::Precision::F32 => Self::F32,
            product::Precision::Bf16 => Self::Bf16,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    /// Bytes of one weight.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }

    /// 10⁹ operations per second that the processor can do at best in it; for bf16 on a processor that has no
    /// instruction for it, what it can do in f32.
    pub(super) fn peak(self, peaks: &Peaks) -> f64 {
        match self {
            Self::F32 => peaks.f32_gflops,
            Self::Bf16 => peaks.bf16_gflops.unwrap_or(peaks.f32_gflops),
        }
    }

    pub(super) fn of_engine(self) -> product::Precision {
        match self {
            Self::F32 => product::Precision::F32,
            Self::Bf16 => product::Precision::Bf16,
        }
    }

    /// As training's options have it.
    pub(super) fn of_training(self) -> Compute {
        match self {
            Self::F32 => Compute::F32,
            Self::Bf16 => Compute::Bf16,
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
    tape: Tape,
    buffers: Buffers,
    pool: Pool,
}

impl Training {
    /// Of batch and context, `options` has the last word; the other sizes are the model's.
    pub(super) fn new(mut model: Model, options: Options, pool: Pool) -> Self {
        setup::prepare(&mut model, &options, &pool);
        let len = model.parameters.arena().len();
        Self {
            optimizer: Optimizer::new(len),
            gradients: Gradients::zeros(model.parameters.layout()),
            tape: Tape::new(options.recompute),
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
            let mode = Mode::Training {
                tape: &mut self.tape,
                dropout: 0.0,
                key,
            };
            let run = self.model.run(&self.pool, &self.buffers);
            let pass = Pass::new(run, batch, n_ctx, mode);
            let loss = gradient(&self.model, pass, [&x, &y], 1, &mut self.gradients);
            let rate = self.options.learning_rate;
            let (model, gradients) = (&mut self.model, &mut self.gradients);
            let norm = self
                .optimizer
                .step(&self.pool, model, gradients, &self.options, rate);
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
    pub(super) fn new(mut model: Model, pool: Pool, precision: Precision) -> Self {
        model.pack(&pool, precision.of_engine());
        let dimensions = model.dimensions();
        let mut ids = vec![0; dimensions.n_ctx];
        random_ids(1, dimensions.vocab, &mut ids);
        Self {
            cache: model.cache(),
            buffers: Buffers::new(),
            model,
            ids,
            pool,
        }
    }

    /// Bytes of the weights of a model whose matrices stay in their file, as they are laid out.
    pub(super) fn stored_bytes(&self) -> Option<f64> {
        let packed = self.model.packed.as_ref()?;
        (!self.model.parameters.are_in_memory()).then(|| packed.bytes() as f64)
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

/// Texts to vectors, as `embed` does it. What could be wrong with them was seen before.
pub(super) fn embed(model: &TextEmbedder, texts: &[String]) -> Duration {
    let TextEmbedder {
        tokenizer,
        embedder,
        pool,
        most,
        ..
    } = model;
    timed(|| {
        let encoded = Encoded::of(pool, tokenizer, texts, *most).expect("encoded before");
        embedder
            .embed(pool, &encoded.ids, |_| {})
            .expect("embedded before")
    })
}

/// Keeps each value, as a recording does.
#[derive(Default)]
struct Residuals {
    values: Vec<Tensor>,
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
        self.values.extend(value.share());
    }

    fn edit(&mut self, _: Site, _: ViewMut<'_>) {}
}

/// A product [M,K]·[K,N] into f32, to be run again and again: A as it lies, B laid out before, as weights are.
pub(super) fn product(
    pool: &Pool,
    precision: Precision,
    [m, k, n]: [usize; 3],
) -> impl FnMut() -> Duration {
    let (precision, buffers) = (precision.of_engine(), Buffers::new());
    let a = operand(pool, &buffers, precision, 1, [m, k]);
    let b = random_values(2, k * n);
    let b = PackedRight::of(pool, &buffers, precision, Rows::f32(&b, n));
    let mut c = Tensor::zeros(&buffers, &[m, n]);
    move || {
        let (a, b) = (a.as_rows().into(), b.view());
        timed(|| finish::store(pool, c.data_mut(), a, b, None, Onto::Nothing))
    }
}

/// Random rows rounded to a precision.
fn operand(
    pool: &Pool,
    buffers: &Buffers,
    precision: product::Precision,
    key: u64,
    [rows, cols]: [usize; 2],
) -> Tensor {
    let mut tensor = Tensor::in_precision(buffers, precision, &[rows, cols]);
    let values = random_values(key, rows * cols);
    product::pack::rows(
        pool,
        tensor.words_mut(),
        precision,
        Rows::f32(&values, cols),
    );
    tensor
}

/// Causal attention of one sequence over a fused row q·k·v, forward and backward; all values in the precision.
pub(super) fn causal_attention(
    pool: &Pool,
    precision: Precision,
    [heads, positions, d_head]: [usize; 3],
) -> impl FnMut() -> Duration {
    let (precision, buffers) = (precision.of_engine(), Buffers::new());
    let width = heads * d_head;
    let shape = Shape {
        sequences: Sequences::Equal {
            batch: 1,
            queries: positions,
            keys: positions,
        },
        sees: Sees::Past,
        heads,
        kv_heads: heads,
        d_head,
        scale: usual_scale(d_head),
    };
    let qkv = operand(pool, &buffers, precision, 1, [positions, 3 * width]);
    let dz = operand(pool, &buffers, precision, 2, [positions, width]);
    let mut z = operand(pool, &buffers, precision, 3, [positions, width]);
    let mut d_qkv = operand(pool, &buffers, precision, 4, [positions, 3 * width]);
    let mut log_sum = vec![0.0; positions * heads];
    move || {
        let part = |i: usize| qkv.as_rows().columns(i * width, (i + 1) * width);
        let input = Input {
            q: part(0),
            k: part(1),
            v: part(2),
            dropout: None,
            bias: None,
        };
        timed(|| {
            let out = (z.words_mut(), precision);
            forward::forward(pool, shape, input, precision, out, &mut log_sum);
            let saved = Saved {
                z: z.as_rows(),
                log_sum: &log_sum,
            };
            let out = Output {
                rows: OutputRows::Fused(d_qkv.words_mut()),
                kept: precision,
                bias: &mut [],
            };
            backward::backward(pool, shape, input, saved, dz.as_rows(), precision, out);
        })
    }
}
