//! Stage 4: the last vectors to logits.

use glassformer_kernels::softmax::softmax;

use crate::block::{Linear, Norm};
use crate::{Pass, Site, Value, WeightView};

/// logits = norm(x)·W_U. Tied models use W_Eᵀ as W_U (Press & Wolf 2017).
#[derive(Clone, Copy, Debug)]
pub struct Unembed {
    /// The final norm.
    pub ln_final: Norm,
    /// W_U: D → V, no bias.
    pub linear: Linear,
}

impl Unembed {
    /// Whether W_U is the embedding table `embed`.
    pub fn is_tied_to(&self, embed: Option<WeightView>) -> bool {
        embed.is_some_and(|view| view.param == self.linear.weight)
    }

    /// The residual stream `[B·T,D]` through the final norm: what the logits and the loss are made from.
    pub fn normed(&self, pass: &mut Pass<'_>, x: &Value) -> Value {
        let mut normed = pass.apply(self.ln_final, [x]);
        pass.tap(Site::LnFinal, &mut normed, &[self.linear.d_in]);
        normed
    }

    /// Logits `[B·T,V]` of normed vectors; shows probabilities to a hook that wants them.
    pub fn logits(&self, pass: &mut Pass<'_>, normed: &Value) -> Value {
        let vocab = self.linear.d_out;
        let mut logits = pass.apply(self.linear, [normed]);
        pass.tap(Site::Logits, &mut logits, &[vocab]);
        if pass.watched(Site::Probs) {
            let run = pass.run();
            let mut probs = logits.tensor().copy(run.buffers);
            run.pool.rows(probs.data_mut(), vocab, 8, |_, rows| {
                for row in rows.chunks_exact_mut(vocab) {
                    softmax(row, 1.0);
                }
            });
            let mut probs = pass.constant(probs);
            pass.tap(Site::Probs, &mut probs, &[vocab]);
        }
        logits
    }
}
