//! How well a model predicts a text: perplexity over windows that overlap.
//!
//! perplexity = exp(mean −ln p(token | the tokens before it in its window)). Windows of `context` tokens begin `stride`
//! tokens apart; of each, only the tokens that no window before it has told are counted, so that each token but the
//! first is counted once and, but in the first window, with at least `context − stride` tokens before it.

use glassformer_model::{Mode, Model, Pass, loss};
use glassformer_tensor::{Buffers, Pool};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perplexity {
    /// Σ −ln p, in nats.
    pub nats: f64,
    /// Tokens counted.
    pub tokens: usize,
    /// Windows read.
    pub windows: usize,
}

impl Perplexity {
    /// exp of the mean.
    pub fn value(&self) -> f64 {
        (self.nats / self.tokens.max(1) as f64).exp()
    }
}

/// Which tokens a window has, and from which of them on it counts.
fn windows(len: usize, context: usize, stride: usize) -> impl Iterator<Item = [usize; 3]> {
    let mut begin = 0;
    let mut told = 1;
    std::iter::from_fn(move || {
        if told >= len {
            return None;
        }
        let end = (begin + context).min(len);
        let window = [begin, end, told];
        told = end;
        begin += stride;
        Some(window)
    })
}

/// Windows that [`perplexity`] will read.
pub fn count(len: usize, context: usize, stride: usize) -> usize {
    windows(len, context, stride).count()
}

/// Reads `ids` in windows; `progress` is told after each.
///
/// # Panics
/// Unless 1 ≤ `stride` < `context` ≤ the model's longest sequence, and unless the model [has logits](Model::head).
pub fn perplexity(
    model: &Model,
    pool: &Pool,
    ids: &[u32],
    [context, stride]: [usize; 2],
    mut progress: impl FnMut(&Perplexity),
) -> Perplexity {
    assert!(
        (1..context).contains(&stride) && context <= model.dimensions().n_ctx,
        "windows of {context}, {stride} apart"
    );
    let buffers = Buffers::new();
    let run = model.run(pool, &buffers);
    let unembed = model.head();
    let mut found = Perplexity {
        nats: 0.0,
        tokens: 0,
        windows: 0,
    };
    for [begin, end, told] in windows(ids.len(), context, stride) {
        // The last token predicts nothing that is here.
        let read = &ids[begin..end - 1];
        let mut pass = Pass::new(run, 1, read.len(), Mode::Inference);
        let last = model.network.residual(&mut pass, read);
        let normed = unembed.normed(&mut pass, &last);
        let width = normed.tensor().width();
        let first = told - 1 - begin;
        let mut rows = run.tensor(&[read.len() - first, width]);
        rows.data_mut()
            .copy_from_slice(&normed.tensor().data()[first * width..]);
        found.nats += loss::sum(run, &unembed.linear, &rows, &ids[told..end]);
        found.tokens += end - told;
        found.windows += 1;
        progress(&found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::windows;

    #[test]
    fn each_token_but_the_first_is_counted_once() {
        for (len, context, stride) in [(1, 4, 2), (2, 4, 2), (9, 4, 3), (100, 16, 5), (16, 16, 8)] {
            let mut counted = 1;
            for [begin, end, told] in windows(len, context, stride) {
                assert!(begin < told && told == counted && end <= begin + context);
                assert!(begin == 0 || told - begin >= context - stride);
                counted = end;
            }
            assert_eq!(counted, len.max(1), "{len} in {context}, {stride}");
        }
    }
}
