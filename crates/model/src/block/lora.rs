//! A linear layer with low-rank additions (LoRA; Hu et al. 2021, eq. 3).
//!
//! y = x·W + b + Σ_p (α/r)·dropout(x)·A_p·B_p: x [N,I], A [I,r], B [r,O′], y [N,O]. Each part p adds to columns of its own: where
//! q, k and v are one product, each may have a part. W and b stay as they are, also in quantised blocks.
//!
//! Saved: x, and u_p = (α/r)·dropout(x)·A_p [N,r] of each part; dropout(x) is made again from its mask, which all parts share.
//! With dy_p the columns of a part and du_p = (α/r)·dy_p·B_pᵀ: dB_p += u_pᵀ·dy_p; dA_p += dropout(x)ᵀ·du_p;
//! dx = dy·Wᵀ + dropout(Σ_p du_p·A_pᵀ).

use std::sync::Arc;

use glassformer_kernels::dropout::Mask;
use glassformer_kernels::product::finish::Onto;
use glassformer_kernels::product::{Precision, Rows, pack};
use glassformer_kernels::rows;
use glassformer_tensor::ops::elementwise;
use glassformer_tensor::{Pool, Tensor};

use crate::block::Linear;
use crate::{Backward, Gradients, Layer, Pass, Run};

/// Rows that a thread takes at a time.
const ROWS: usize = 8;

/// What is added to some outputs of a linear layer: (α/r)·x·A·B.
#[derive(Clone, Copy, Debug)]
pub struct LowRank {
    /// A: I → r, stored [r,I].
    pub a: Linear,
    /// B: r → O′, stored [O′,r].
    pub b: Linear,
    /// The first column of y that it adds to.
    pub first: usize,
    /// α/r.
    pub scale: f32,
}

impl LowRank {
    /// r.
    pub fn rank(&self) -> usize {
        self.a.d_out
    }
}

/// A linear layer and the parts that are added to it.
#[derive(Clone, Debug)]
pub struct Adapted {
    /// W and b.
    pub linear: Linear,
    /// What is added, each to columns of its own.
    pub parts: Arc<[LowRank]>,
    /// Dropout of what the parts read.
    pub dropout: Option<Mask>,
}

impl Adapted {
    /// `linear` with what the model's adapter adds to it in this pass; `None` where it adds nothing.
    pub(crate) fn of(pass: &mut Pass<'_>, linear: Linear) -> Option<Self> {
        let adapter = pass.run().parameters.adapter()?;
        let parts = adapter.parts(&linear)?;
        Some(Self {
            linear,
            parts: Arc::clone(parts),
            dropout: pass.mask_of(adapter.config.dropout),
        })
    }

    /// y (+ `onto`), and the u of all parts one behind the other.
    fn apply(&self, run: Run<'_>, x: &Tensor, onto: Option<&Tensor>) -> (Tensor, Tensor) {
        let n = x.rows();
        let mut y = self.linear.apply(run, x, onto);
        let ranks = self.parts.iter().map(LowRank::rank).sum::<usize>();
        let mut all_u = run.tensor(&[1, n * ranks]);
        let dropped = self.dropped(run, x);
        let x = dropped.as_ref().unwrap_or(x).as_rows();
        let mut rest = all_u.data_mut();
        for part in &*self.parts {
            let (u, next) = rest.split_at_mut(n * part.rank());
            rest = next;
            part.a.apply_rows(run, x, u, Onto::Nothing);
            scale(u, part.scale);
            let u = Rows::f32(u, part.rank());
            if part.b.d_out == y.width() {
                part.b.apply_rows(run, u, y.data_mut(), Onto::Itself);
                continue;
            }
            let mut more = run.tensor(&[n, part.b.d_out]);
            part.b.apply_rows(run, u, more.data_mut(), Onto::Nothing);
            add_columns(run.pool, &mut y, &more, part.first);
        }
        (y, all_u)
    }

    /// dropout(x), unless nothing is dropped.
    fn dropped(&self, run: Run<'_>, x: &Tensor) -> Option<Tensor> {
        let mask = self.dropout?;
        let exact = in_f32(run, x);
        let mut y = run.tensor(x.shape());
        elementwise::dropout(run.pool, y.data_mut(), exact.data(), mask);
        Some(y)
    }

    /// dx, in the precision of x.
    fn add_gradients(
        &self,
        run: Run<'_>,
        [x, all_u, dy]: [&Tensor; 3],
        gradients: &mut Gradients,
    ) -> Tensor {
        self.linear
            .add_gradients(run, x.as_rows(), dy.as_rows(), gradients);
        let mut dx = self
            .linear
            .input_gradient(run, dy.as_rows(), Precision::F32);
        let dropped = self.dropped(run, x);
        let read = dropped.as_ref().unwrap_or(x).as_rows();
        // What goes back through the mask comes together apart.
        let mut masked = dropped
            .as_ref()
            .map(|dropped| Tensor::zeros(run.buffers, dropped.shape()));
        let mut rest = all_u.data();
        for part in &*self.parts {
            let (u, next) = rest.split_at(x.rows() * part.rank());
            rest = next;
            let dy = dy.as_rows().columns(part.first, part.first + part.b.d_out);
            let mut du = part.b.input_gradient(run, dy, Precision::F32);
            scale(du.data_mut(), part.scale);
            let u = Rows::f32(u, part.rank());
            part.b.add_gradients(run, u, dy, gradients);
            part.a.add_gradients(run, read, du.as_rows(), gradients);
            let sum = masked.as_mut().unwrap_or(&mut dx);
            part.a.add_input_gradient(run, du.as_rows(), sum);
        }
        if let (Some(mut masked), Some(mask)) = (masked, self.dropout) {
            elementwise::dropout_add(run.pool, dx.data_mut(), masked.data_mut(), mask);
        }
        if x.precision() == Precision::F32 {
            return dx;
        }
        let mut rounded = run.in_precision(x.precision(), x.shape());
        pack::rows(run.pool, rounded.words_mut(), x.precision(), dx.as_rows());
        rounded
    }
}

impl Layer<1> for Adapted {
    /// u of all parts.
    type Saved = Tensor;

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, Tensor) {
        self.apply(run, x, None)
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, Tensor, 1>,
        gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let ([x], dy) = (call.inputs, &call.d_output);
        [self.add_gradients(run, [x, call.saved, dy], gradients)]
    }
}

/// Onto the residual stream: y + r, inputs x and r; dr = dy.
impl Layer<2> for Adapted {
    /// u of all parts.
    type Saved = Tensor;

    fn forward(&self, run: Run<'_>, [x, residual]: [&Tensor; 2]) -> (Tensor, Tensor) {
        self.apply(run, x, Some(residual))
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, Tensor, 2>,
        gradients: &mut Gradients,
    ) -> [Tensor; 2] {
        let ([x, _], dy) = (call.inputs, call.d_output);
        let dx = self.add_gradients(run, [x, call.saved, &dy], gradients);
        [dx, dy]
    }
}

/// x ← factor·x.
fn scale(x: &mut [f32], factor: f32) {
    for x in x {
        *x *= factor;
    }
}

/// x in f32.
fn in_f32(run: Run<'_>, x: &Tensor) -> Tensor {
    if x.precision() == Precision::F32 {
        return x.clone();
    }
    let (mut exact, rows) = (run.tensor(x.shape()), x.as_rows());
    run.pool
        .rows(exact.data_mut(), x.width(), ROWS, |first, out| {
            for (r, out) in out.chunks_exact_mut(x.width()).enumerate() {
                rows.read(first + r, out);
            }
        });
    exact
}

/// y[:, first..] += more.
fn add_columns(pool: &Pool, y: &mut Tensor, more: &Tensor, first: usize) {
    let (width, part) = (y.width(), more.width());
    let arrays = ((y.data_mut(), ROWS * width), (more.data(), ROWS * part));
    pool.split(arrays, |_, (y, more)| {
        let both = y.chunks_exact_mut(width).zip(more.chunks_exact(part));
        both.for_each(|(y, more)| rows::add(&mut y[first..first + part], more));
    });
}
