//! The tape: which layers were called on which values, replayed backwards for the gradients.
//!
//! Only layer calls and residual additions are on it, not element operations; the derivatives are in the layers.

use std::sync::Arc;

use glassformer_tensor::{Tensor, ops};

use crate::{Backward, Gradients, Layer, Run};

/// A value of a pass: the output of a layer call. Cloning shares the tensor.
#[derive(Clone, Debug)]
pub struct Value {
    pub(crate) id: usize,
    pub(crate) tensor: Arc<Tensor>,
}

impl Value {
    /// Its numbers.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }
}

/// A layer call that can be replayed backwards.
trait Recorded: Send {
    /// See [`Layer::ADDS`].
    fn adds(&self) -> bool;

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, ()>,
        gradients: &mut Gradients,
    ) -> Vec<Tensor>;
}

struct Call<L: Layer> {
    layer: L,
    saved: L::Saved,
}

impl<L: Layer> Recorded for Call<L> {
    fn adds(&self) -> bool {
        L::ADDS
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, ()>,
        gradients: &mut Gradients,
    ) -> Vec<Tensor> {
        let call = Backward {
            saved: &self.saved,
            inputs: call.inputs,
            output: call.output,
            d_output: call.d_output,
            sum: call.sum,
        };
        self.layer.backward(run, call, gradients)
    }
}

enum Entry {
    Layer {
        call: Box<dyn Recorded>,
        inputs: Vec<Value>,
        output: usize,
        /// The output itself, for a layer that needs it.
        kept: Option<Value>,
    },
    /// output = a + b. Its gradient is the output's for both, so it needs no tensors.
    Add { a: usize, b: usize, output: usize },
}

/// The calls of one forward pass, in order.
#[derive(Default)]
pub(crate) struct Tape {
    entries: Vec<Entry>,
}

impl Tape {
    pub(crate) fn push<L: Layer>(
        &mut self,
        layer: L,
        saved: L::Saved,
        inputs: Vec<Value>,
        output: &Value,
    ) {
        self.entries.push(Entry::Layer {
            call: Box::new(Call { layer, saved }),
            inputs,
            output: output.id,
            kept: L::NEEDS_OUTPUT.then(|| output.clone()),
        });
    }

    pub(crate) fn push_add(&mut self, a: usize, b: usize, output: usize) {
        self.entries.push(Entry::Add { a, b, output });
    }

    /// Replays the tape from the value `last`, whose gradient is `d_last`. Each entry is freed once it is used.
    pub(crate) fn backward(
        self,
        run: Run<'_>,
        values: usize,
        last: &Value,
        d_last: Tensor,
        gradients: &mut Gradients,
    ) {
        let mut d_values: Vec<Option<Tensor>> = (0..values).map(|_| None).collect();
        d_values[last.id] = Some(d_last);
        for entry in self.entries.into_iter().rev() {
            match entry {
                Entry::Layer {
                    call,
                    inputs,
                    output,
                    kept,
                } => {
                    // A value that reached nothing has no gradient, and neither has what made it.
                    let Some(d_output) = d_values[output].take() else {
                        continue;
                    };
                    let tensors: Vec<&Tensor> = inputs.iter().map(Value::tensor).collect();
                    let sum = inputs.first().filter(|_| call.adds());
                    let sum = sum.and_then(|input| d_values[input.id].take());
                    let given = Backward {
                        saved: &(),
                        inputs: &tensors,
                        output: kept.as_ref().map(Value::tensor),
                        d_output,
                        sum,
                    };
                    let d_inputs = call.backward(run, given, gradients);
                    for (input, d_input) in inputs.iter().zip(d_inputs) {
                        accumulate(run, &mut d_values[input.id], d_input);
                    }
                }
                Entry::Add { a, b, output } => {
                    let Some(d_output) = d_values[output].take() else {
                        continue;
                    };
                    let copy = d_output.copy(run.buffers);
                    accumulate(run, &mut d_values[a], copy);
                    accumulate(run, &mut d_values[b], d_output);
                }
            }
        }
    }
}

fn accumulate(run: Run<'_>, slot: &mut Option<Tensor>, more: Tensor) {
    match slot {
        Some(sum) => ops::elementwise::add(run.pool, sum.data_mut(), more.data()),
        None => *slot = Some(more),
    }
}
