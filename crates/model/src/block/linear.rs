//! The linear layer.
//!
//! y = x·W + b: x [N,I], W [I,O], b [O], y [N,O]. Saved: nothing but x.
//! Derivatives: dx = dy·Wᵀ; dW += xᵀ·dy; db += Σ_rows dy.

use glassformer_kernels::matrix::MatRef;
use glassformer_kernels::product::finish::{self, Onto};
use glassformer_kernels::product::stored::MOST_ROWS;
use glassformer_kernels::product::{Left, Precision, Right, Rows};
use glassformer_tensor::ops::linear::{FEW, bias_gradient, few_rows};
use glassformer_tensor::ops::product::{PackedLeft, PackedRight, Rounded};
use glassformer_tensor::{Buffers, Pool, Tensor};

use super::in_parts::in_parts;
use crate::block::Adapted;
use crate::packed::{self, Part, Weight};
use crate::{Backward, Gradients, Layer, ParamId, Parameters, Pass, Run, Value};

/// How a checkpoint stores W.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// [I,O], row-major.
    InOut,
    /// [O,I], row-major: PyTorch's `Linear`, and an embedding table used to unembed.
    OutIn,
}

/// Which way a pass takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// x·W.
    Forward,
    /// dy·Wᵀ.
    Backward,
}

/// W or Wᵀ as B of a product.
pub(crate) enum Operand<'a> {
    /// As it was packed before.
    Kept(&'a PackedRight),
    /// Packed for one call.
    Made(PackedRight),
}

impl Operand<'_> {
    /// The operand.
    pub(crate) fn view(&self) -> Right<'_> {
        match self {
            Self::Kept(operand) => operand.view(),
            Self::Made(operand) => operand.view(),
        }
    }
}

/// A linear layer's parameters and sizes.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// W.
    pub weight: ParamId,
    /// b.
    pub bias: Option<ParamId>,
    /// I.
    pub d_in: usize,
    /// O.
    pub d_out: usize,
    /// The order of W in memory.
    pub storage: Storage,
}

impl Linear {
    /// W as a matrix [I,O].
    pub fn matrix<'a>(&self, weight: &'a [f32]) -> MatRef<'a> {
        match self.storage {
            Storage::InOut => MatRef::new(weight, self.d_in, self.d_out),
            Storage::OutIn => MatRef::new(weight, self.d_out, self.d_in).t(),
        }
    }

    /// Calls `f` with W's rows as they lie in memory, or decoded from the file where they stay.
    fn with_rows<T>(
        &self,
        pool: &Pool,
        buffers: &Buffers,
        parameters: &Parameters,
        f: impl FnOnce(Rows<'_>) -> T,
    ) -> T {
        let [rows, cols] = match self.storage {
            Storage::InOut => [self.d_in, self.d_out],
            Storage::OutIn => [self.d_out, self.d_in],
        };
        if parameters.is_stored(self.weight) {
            let matrices = parameters.stored(self.weight);
            let decoded = packed::values(pool, buffers, matrices, [rows, cols]);
            return f(decoded.as_rows());
        }
        f(Rows::f32(parameters.get(self.weight), cols))
    }

    /// W as B [I,O], or Wᵀ as B [O,I], laid out.
    pub(crate) fn laid_out(
        &self,
        pool: &Pool,
        buffers: &Buffers,
        parameters: &Parameters,
        precision: Precision,
        way: Way,
    ) -> PackedRight {
        self.with_rows(pool, buffers, parameters, |rows| {
            if self.runs_down(way) {
                PackedRight::of(pool, buffers, precision, rows)
            } else {
                PackedRight::of_transposed(pool, buffers, precision, rows)
            }
        })
    }

    /// Whether the rows of the operand are W's rows in memory, and not its columns.
    pub(crate) fn runs_down(&self, way: Way) -> bool {
        (self.storage == Storage::InOut) == (way == Way::Forward)
    }

    /// W as B [I,O]: as packed beforehand, or packed for this call.
    ///
    /// # Panics
    /// Unless the layer [has one operand](Self::has_operand).
    pub(crate) fn operand<'a>(&self, run: Run<'a>) -> Operand<'a> {
        match self.packed(run) {
            Some([part]) => {
                let operand = part.weight.operand(run.pool);
                Operand::Kept(operand.expect("weights in floats"))
            }
            Some(_) => panic!("the weights of this layer are several operands"),
            None => self.made(run, Way::Forward),
        }
    }

    /// Wᵀ as B [O,I], for dx: kept while the model is trained, or packed for this call.
    pub(crate) fn backward_operand<'a>(&self, run: Run<'a>) -> Operand<'a> {
        let packed = run
            .packed
            .filter(|packed| packed.precision() == run.precision);
        match packed.and_then(|packed| packed.backward(self.weight)) {
            Some(operand) => Operand::Kept(operand),
            None => self.made(run, Way::Backward),
        }
    }

    fn made(&self, run: Run<'_>, way: Way) -> Operand<'static> {
        let (pool, buffers, precision) = (run.pool, run.buffers, run.precision);
        Operand::Made(self.laid_out(pool, buffers, run.parameters, precision, way))
    }

    /// W as it was packed beforehand, in the precision of this run where it is in floats.
    fn packed<'a>(&self, run: Run<'a>) -> Option<&'a [Part]> {
        let packed = run.packed?;
        let parts = packed.parts(self.weight)?;
        (run.parameters.is_stored(self.weight) || packed.precision() == run.precision)
            .then_some(parts)
    }

    /// Whether W is one operand of a product with `rows` rows, or is to be laid out as one.
    pub(crate) fn has_operand(&self, run: Run<'_>, rows: usize) -> bool {
        match self.packed(run) {
            Some([part]) => match &part.weight {
                Weight::Product(_) => true,
                Weight::Quantised(_) => false,
                // Whether laid out by now or not: what comes out must not depend on what came before.
                Weight::Stored(_) => rows > MOST_ROWS,
            },
            Some(_) => false,
            None => true,
        }
    }

    /// What rows that go into `rows` rows of this layer are best rounded to.
    pub(crate) fn reads(&self, run: Run<'_>, rows: usize) -> Precision {
        if self.has_operand(run, rows) && !self.runs_in_place(run, rows) {
            run.precision
        } else {
            Precision::F32
        }
    }

    /// Whether `rows` rows are too few to lay W out for them.
    pub(crate) fn runs_in_place(&self, run: Run<'_>, rows: usize) -> bool {
        let is_few = rows <= FEW && !run.keeps && self.packed(run).is_none();
        is_few && !run.parameters.is_stored(self.weight)
    }

    /// b.
    pub(crate) fn bias<'a>(&self, run: Run<'a>) -> Option<&'a [f32]> {
        self.bias.map(|id| run.parameters.get(id))
    }

    /// y = x·W + b as a call of the pass, with what an adapter adds.
    pub(crate) fn call(self, pass: &mut Pass<'_>, x: &Value) -> Value {
        match Adapted::of(pass, self) {
            Some(adapted) => pass.apply(adapted, [x]),
            None => pass.apply(self, [x]),
        }
    }

    /// Whether an adapter adds to it.
    pub(crate) fn is_adapted(&self, run: Run<'_>) -> bool {
        let adapter = run.parameters.adapter();
        adapter.is_some_and(|adapter| adapter.parts(self).is_some())
    }

    /// y = x·W + b + `onto` in `f32`.
    pub(crate) fn apply(&self, run: Run<'_>, x: &Tensor, onto: Option<&Tensor>) -> Tensor {
        let mut y = run.tensor(&[x.rows(), self.d_out]);
        // What comes rounded is an operand already.
        if x.precision() == Precision::F32 && self.runs_in_place(run, x.rows()) {
            let w = self.matrix(run.parameters.get(self.weight));
            few_rows(run.pool, y.data_mut(), x.data(), w, self.bias(run));
            if let Some(onto) = onto {
                glassformer_kernels::rows::add(y.data_mut(), onto.data());
            }
            return y;
        }
        let onto = onto.map_or(Onto::Nothing, |onto| Onto::Rows(onto.data()));
        self.apply_rows(run, x.as_rows(), y.data_mut(), onto);
        y
    }

    /// As [`Linear::apply`], of rows in any precision into `y [N,O]`.
    pub(crate) fn apply_rows(&self, run: Run<'_>, x: Rows<'_>, y: &mut [f32], onto: Onto<'_>) {
        if let Some(parts) = self
            .packed(run)
            .filter(|_| !self.has_operand(run, x.row_count()))
        {
            return in_parts(run, parts, x, y, self.bias(run), onto);
        }
        let x = Rounded::new(run.pool, run.buffers, run.precision, x);
        let (a, w) = (x.view().into(), self.operand(run));
        finish::store(run.pool, y, a, w.view(), self.bias(run), onto);
    }

    /// Adds the gradients of W and b, where they are trained, given x and dy as rows.
    pub(crate) fn add_gradients(
        &self,
        run: Run<'_>,
        x: Rows<'_>,
        dy: Rows<'_>,
        gradients: &mut Gradients,
    ) {
        if gradients.has(self.weight) {
            let (left, right) = match self.storage {
                Storage::InOut => (x, dy),
                Storage::OutIn => (dy, x),
            };
            let left = PackedLeft::columns(run.pool, run.buffers, run.precision, left);
            let right = PackedRight::of(run.pool, run.buffers, run.precision, right);
            self.add_weight_gradient(run, left.view(), right.view(), gradients);
        }
        self.add_bias_gradient(run, dy, gradients);
    }

    /// Adds the gradient of W, given its two operands: xᵀ·dy, or dyᵀ·x where W is stored [O,I].
    pub(crate) fn add_weight_gradient(
        &self,
        run: Run<'_>,
        left: Left<'_>,
        right: Right<'_>,
        gradients: &mut Gradients,
    ) {
        if let Some((dw, onto)) = gradients.next_term(run.pool, self.weight) {
            finish::store(run.pool, dw, left, right, None, onto);
        }
    }

    /// Adds the gradient of b.
    pub(crate) fn add_bias_gradient(&self, run: Run<'_>, dy: Rows<'_>, gradients: &mut Gradients) {
        if let Some(db) = self.bias.and_then(|bias| gradients.get_mut(run.pool, bias)) {
            bias_gradient(run.pool, run.buffers, db, dy);
        }
    }

    /// dx += dy·Wᵀ.
    pub(crate) fn add_input_gradient(&self, run: Run<'_>, dy: Rows<'_>, dx: &mut Tensor) {
        let dy = Rounded::new(run.pool, run.buffers, run.precision, dy);
        let (a, w) = (dy.view().into(), self.backward_operand(run));
        finish::store(run.pool, dx.data_mut(), a, w.view(), None, Onto::Itself);
    }

    /// dx = dy·Wᵀ, in `precision`.
    pub(crate) fn input_gradient(
        &self,
        run: Run<'_>,
        dy: Rows<'_>,
        precision: Precision,
    ) -> Tensor {
        let dy = Rounded::new(run.pool, run.buffers, run.precision, dy);
        let w = self.backward_operand(run);
        let mut dx = run.in_precision(precision, &[dy.view().row_count(), self.d_in]);
        match precision {
            Precision::F32 => {
                let onto = Onto::Nothing;
                finish::store(
                    run.pool,
                    dx.data_mut(),
                    dy.view().into(),
                    w.view(),
                    None,
                    onto,
                );
            }
            Precision::Bf16 => finish::round(
                run.pool,
                dx.words_mut(),
                precision,
                dy.view().into(),
                w.view(),
                None,
            ),
        }
        dx
    }
}

impl Layer<1> for Linear {
    type Saved = ();

    fn forward(&self, run: Run<'_>, [x]: [&Tensor; 1]) -> (Tensor, ()) {
        (self.apply(run, x, None), ())
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, (), 1>,
        gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let ([x], dy) = (call.inputs, &call.d_output);
        self.add_gradients(run, x.as_rows(), dy.as_rows(), gradients);
        [self.input_gradient(run, dy.as_rows(), x.precision())]
    }
}

/// A linear layer that adds to the residual stream: y = x·W + b + r, inputs x and r.
///
/// Saved: nothing but x. Derivatives: those of the linear layer; dr = dy.
#[derive(Clone, Copy, Debug)]
pub struct LinearOnto(pub Linear);

impl LinearOnto {
    /// `linear` applied to x, onto the `residual` stream if it is given.
    pub(crate) fn joining(
        pass: &mut Pass<'_>,
        linear: Linear,
        x: &Value,
        residual: Option<&Value>,
    ) -> Value {
        let Some(residual) = residual else {
            return linear.call(pass, x);
        };
        match Adapted::of(pass, linear) {
            Some(adapted) => pass.apply(adapted, [x, residual]),
            None => pass.apply(Self(linear), [x, residual]),
        }
    }
}

impl Layer<2> for LinearOnto {
    type Saved = ();

    fn forward(&self, run: Run<'_>, [x, residual]: [&Tensor; 2]) -> (Tensor, ()) {
        (self.0.apply(run, x, Some(residual)), ())
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, (), 2>,
        gradients: &mut Gradients,
    ) -> [Tensor; 2] {
        let ([x, _], dy) = (call.inputs, call.d_output);
        // Rounded once for both products that read its rows.
        let rounded = Rounded::new(run.pool, run.buffers, run.precision, dy.as_rows());
        self.0
            .add_gradients(run, x.as_rows(), rounded.view(), gradients);
        let dx = self.0.input_gradient(run, rounded.view(), x.precision());
        drop(rounded);
        [dx, dy]
    }
}
