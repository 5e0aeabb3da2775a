//! Stage 4: the last vectors to logits.

mod rows;

pub use rows::PickRows;

use glassformer_kernels::softmax::softmax;

use crate::block::mlp::Activation;
use crate::block::{Linear, Norm, Scaled};
use crate::{Pass, Site, Value, WeightView};

/// logits = norm(x)·W_U (+ b); T5 multiplies norm(x) by 1/√D where W_U is W_Eᵀ. Tied models use W_Eᵀ as W_U (Press & Wolf 2017).
#[derive(Clone, Copy, Debug)]
pub struct Unembed {
    /// What comes before the norm in models that fill gaps.
    pub transform: Option<Transform>,
    /// The final norm, unless the last block ends with one.
    pub ln_final: Option<Norm>,
    /// By what the normed vectors are multiplied, where they are.
    pub scale: Option<f32>,
    /// W_U: D → V, and b where a model has one.
    pub linear: Linear,
}

/// f(x·W + b): the vectors made ready for guessing masked words (Devlin et al. 2019, in the published code).
#[derive(Clone, Copy, Debug)]
pub struct Transform {
    /// D → D.
    pub linear: Linear,
    /// f.
    pub activation: Activation,
}

impl Unembed {
    /// A norm and W_U alone.
    pub fn of(ln_final: Norm, linear: Linear) -> Self {
        Self {
            transform: None,
            ln_final: Some(ln_final),
            scale: None,
            linear,
        }
    }

    /// Whether W_U is the embedding table `embed`.
    pub fn is_tied_to(&self, embed: Option<WeightView>) -> bool {
        embed.is_some_and(|view| view.param == self.linear.weight)
    }

    /// The sites that it shows, in the order in which they are computed.
    pub(crate) fn sites(&self) -> impl Iterator<Item = Site> {
        let transform = [Site::UnembedPre, Site::UnembedPost];
        let before = self.transform.map(|_| transform).into_iter().flatten();
        let norm = self.ln_final.map(|_| Site::LnFinal);
        before.chain(norm).chain([Site::Logits, Site::Probs])
    }

    /// All its linear layers.
    pub(crate) fn linears(&self) -> impl Iterator<Item = Linear> {
        let transform = self.transform.map(|transform| transform.linear);
        transform.into_iter().chain([self.linear])
    }

    /// The residual stream `[B·T,D]` through the final norm and scale: what the logits and the loss are made from.
    pub fn normed(&self, pass: &mut Pass<'_>, x: &Value) -> Value {
        let transformed = self.transform.map(|Transform { linear, activation }| {
            let mut inner = linear.call(pass, x);
            pass.tap(Site::UnembedPre, &mut inner, &[linear.d_out]);
            let mut outer = pass.apply(activation, [&inner]);
            pass.tap(Site::UnembedPost, &mut outer, &[linear.d_out]);
            outer
        });
        let mut x = transformed.unwrap_or_else(|| x.clone());
        if let Some(norm) = self.ln_final {
            x = pass.apply(norm, [&x]);
            pass.tap(Site::LnFinal, &mut x, &[self.linear.d_in]);
        }
        match self.scale {
            Some(scale) => pass.apply(Scaled(scale), [&x]),
            None => x,
        }
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
