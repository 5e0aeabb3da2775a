//! The tape: which layers were called on which values, replayed backwards for the gradients.
//!
//! Only layer calls, residual additions and segments are on it, not element operations; the derivatives are in the
//! layers. A segment is a stretch of the network that is on the tape by its inputs alone: in the backward pass it is run
//! again, this time with its own calls noted, and these are replayed (Chen et al. 2016, "Training Deep Nets with
//! Sublinear Memory Cost"). The same kernels on the same numbers give the same bits, and dropout masks are functions of
//! a counter ([`Pass::mask`]), so that gradients are those of a tape that keeps everything.

use std::any::Any;
use std::ops::Range;

use glassformer_kernels::Pool;
use glassformer_tensor::{Tensor, ops};

use crate::pass::Stage;
use crate::{Backward, Gradients, Layer, Pass, Site};

/// A value of a pass: the output of a layer call. Cloning shares the tensor.
#[derive(Clone, Debug)]
pub struct Value {
    pub(crate) id: usize,
    pub(crate) tensor: Tensor,
}

impl Value {
    /// Its numbers.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }
}

/// What training passes keep for their backward passes. It belongs to the caller, as a cache does, and the memory that
/// it takes serves one pass after the other: a pass like the one before allocates nothing.
#[derive(Default)]
pub struct Tape {
    /// The calls of the pass.
    pub(crate) calls: Calls,
    /// The calls of the segment that is being run again.
    pub(crate) segment: Calls,
    pub(crate) recomputes: bool,
}

impl Tape {
    /// A tape that keeps the activations of all layers or, if it `recomputes`, of each block only what goes in: then
    /// blocks are run again in the backward pass, for less memory and the time of about one more forward pass.
    pub fn new(recomputes: bool) -> Self {
        Self {
            recomputes,
            ..Self::default()
        }
    }
}

/// Something on the tape.
pub(crate) trait Recorded: Send + 'static {
    /// Takes the gradient of its output out of `d_values` and adds those of its inputs to them; a value that reached
    /// nothing has no gradient, and neither has what made it. What was kept is freed.
    fn backward(
        self,
        pass: &mut Pass<'_>,
        d_values: &mut [Option<Tensor>],
        gradients: &mut Gradients,
    );
}

/// A box for one kind of [`Recorded`], full or empty.
trait Slot: Any + Send {
    fn backward(
        &mut self,
        pass: &mut Pass<'_>,
        d_values: &mut [Option<Tensor>],
        gradients: &mut Gradients,
    );

    fn clear(&mut self);
}

impl<R: Recorded> Slot for Option<R> {
    fn backward(
        &mut self,
        pass: &mut Pass<'_>,
        d_values: &mut [Option<Tensor>],
        gradients: &mut Gradients,
    ) {
        if let Some(recorded) = self.take() {
            recorded.backward(pass, d_values, gradients);
        }
    }

    fn clear(&mut self) {
        *self = None;
    }
}

/// Calls in order, in boxes that outlive them.
#[derive(Default)]
pub(crate) struct Calls {
    /// Of these the first `len` are full.
    slots: Vec<Box<dyn Slot>>,
    len: usize,
    /// The gradient of each value, while the calls are replayed.
    d_values: Vec<Option<Tensor>>,
}

impl Calls {
    /// Notes a call: in the box that a pass before has used at this place if its kind is the same, else in a new one.
    pub(crate) fn push<R: Recorded>(&mut self, recorded: R) {
        let recorded = Some(recorded);
        match self.slots.get_mut(self.len) {
            Some(slot) => match (slot.as_mut() as &mut dyn Any).downcast_mut::<Option<R>>() {
                Some(place) => *place = recorded,
                None => *slot = Box::new(recorded),
            },
            None => self.slots.push(Box::new(recorded)),
        }
        self.len += 1;
    }

    /// Forgets all calls.
    pub(crate) fn clear(&mut self) {
        self.slots[..self.len]
            .iter_mut()
            .for_each(|slot| slot.clear());
        self.len = 0;
    }

    /// Replays the calls from the value `last`, one of `values`, whose gradient is `d_last`. Each is freed once it is
    /// used. What is left in the end: the gradients of the first N values, which no call has made.
    pub(crate) fn backward<const N: usize>(
        &mut self,
        pass: &mut Pass<'_>,
        (last, values): (usize, usize),
        d_last: Tensor,
        gradients: &mut Gradients,
    ) -> [Option<Tensor>; N] {
        self.d_values.resize_with(values, || None);
        self.d_values[last] = Some(d_last);
        for slot in self.slots[..self.len].iter_mut().rev() {
            slot.backward(pass, &mut self.d_values, gradients);
        }
        self.len = 0;
        let d_first = std::array::from_fn(|i| self.d_values[i].take());
        self.d_values.clear();
        d_first
    }
}

/// A layer call.
pub(crate) struct Call<L: Layer<N>, const N: usize> {
    pub(crate) layer: L,
    pub(crate) saved: L::Saved,
    pub(crate) inputs: [Value; N],
    pub(crate) output: usize,
    /// The output itself, for a layer that needs it.
    pub(crate) kept: Option<Value>,
}

impl<L: Layer<N>, const N: usize> Recorded for Call<L, N> {
    fn backward(
        self,
        pass: &mut Pass<'_>,
        d_values: &mut [Option<Tensor>],
        gradients: &mut Gradients,
    ) {
        let Some(d_output) = d_values[self.output].take() else {
            return;
        };
        let first = self.inputs.first().filter(|_| L::ADDS);
        let given = Backward {
            saved: &self.saved,
            inputs: self.inputs.each_ref().map(Value::tensor),
            output: self.kept.as_ref().map(Value::tensor),
            d_output,
            sum: first.and_then(|input| d_values[input.id].take()),
        };
        let d_inputs = self.layer.backward(pass.run(), given, gradients);
        for (input, d_input) in self.inputs.iter().zip(d_inputs) {
            accumulate(pass.run().pool, &mut d_values[input.id], d_input);
        }
    }
}

/// output = a + b. Its gradient is the output's for both, so it needs no tensors.
pub(crate) struct Add {
    pub(crate) a: usize,
    pub(crate) b: usize,
    pub(crate) output: usize,
}

impl Recorded for Add {
    fn backward(
        self,
        pass: &mut Pass<'_>,
        d_values: &mut [Option<Tensor>],
        _gradients: &mut Gradients,
    ) {
        let Some(d_output) = d_values[self.output].take() else {
            return;
        };
        let run = pass.run();
        let copy = d_output.copy(run.buffers);
        accumulate(run.pool, &mut d_values[self.a], copy);
        accumulate(run.pool, &mut d_values[self.b], d_output);
    }
}

/// Columns of a value that a hook was shown, of which it wants the gradient. Whatever was made from the value stands behind
/// this on the tape, so that the gradient is whole when the replay comes here.
pub(crate) struct Shown {
    pub(crate) site: Site,
    pub(crate) value: usize,
    pub(crate) columns: Range<usize>,
    pub(crate) shape: Vec<usize>,
}

impl Recorded for Shown {
    fn backward(
        self,
        pass: &mut Pass<'_>,
        d_values: &mut [Option<Tensor>],
        _gradients: &mut Gradients,
    ) {
        if let Some(gradient) = &d_values[self.value] {
            pass.show_gradient(self, gradient);
        }
    }
}

/// A stretch of the network of which only the inputs are kept.
pub(crate) struct Segment<F, const N: usize> {
    pub(crate) forward: F,
    pub(crate) inputs: [Value; N],
    pub(crate) output: usize,
    /// Where the pass was then.
    pub(crate) place: SegmentPlace,
}

/// What a stretch of the network depends on besides its inputs.
#[derive(Clone)]
pub(crate) struct SegmentPlace {
    /// Masks that the pass had drawn before it.
    pub(crate) masks: u64,
    /// The stack and its rows.
    pub(crate) stage: Stage,
}

impl<F, const N: usize> Recorded for Segment<F, N>
where
    F: Fn(&mut Pass<'_>, [Value; N]) -> Value + Send + 'static,
{
    fn backward(
        self,
        pass: &mut Pass<'_>,
        d_values: &mut [Option<Tensor>],
        gradients: &mut Gradients,
    ) {
        let Some(d_output) = d_values[self.output].take() else {
            return;
        };
        let ids = self.inputs.each_ref().map(|input| input.id);
        let inputs = self.inputs.map(|input| input.tensor);
        let d_inputs = pass.backward_again(self.place, inputs, self.forward, d_output, gradients);
        for (id, d_input) in ids.into_iter().zip(d_inputs) {
            if let Some(d_input) = d_input {
                accumulate(pass.run().pool, &mut d_values[id], d_input);
            }
        }
    }
}

fn accumulate(pool: &Pool, slot: &mut Option<Tensor>, more: Tensor) {
    match slot {
        Some(sum) => ops::elementwise::add(pool, sum.data_mut(), more.data()),
        None => *slot = Some(more),
    }
}
