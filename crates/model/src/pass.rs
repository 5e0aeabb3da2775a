//! One forward pass: layer calls, residual sums, taps; in training also the tape.

mod taps;

use std::mem;

use glassformer_kernels::dropout::Mask;
use glassformer_kernels::random;
use glassformer_tensor::{Ids, Tensor, ops};

use crate::hook::Hook;
use crate::tape::{Add, Call, Calls, Segment, Tape, Value};
use crate::{Gradients, KvCache, Layer, Lengths, Run};

/// What a pass is for.
pub enum Mode<'a> {
    /// Values only; each is freed when no longer needed.
    Inference,
    /// Values only, with the keys and values of earlier positions at hand.
    Cached(&'a mut KvCache),
    /// Values kept for the backward pass; dropout with this probability, its masks drawn from the key.
    Training {
        /// What is kept.
        tape: &'a mut Tape,
        /// Probability of dropping, 0 for none.
        dropout: f32,
        /// A different one for each pass.
        key: u64,
    },
}

/// Which calls a training pass notes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notes {
    /// All, for the backward pass.
    Pass,
    /// None: a segment whose input is kept instead.
    Nothing,
    /// Those of a segment that is run again, within the backward pass.
    Segment,
}

/// A forward pass over a batch of sequences.
pub struct Pass<'a> {
    run: Run<'a>,
    lengths: Lengths,
    mode: Mode<'a>,
    notes: Notes,
    hook: Option<&'a mut dyn Hook>,
    values: usize,
    masks: u64,
    /// The position of each row, once somebody asked.
    places: Option<Ids>,
    /// The type of each row's token, if not all are 0.
    token_types: Option<Ids>,
}

impl<'a> Pass<'a> {
    /// A pass over `batch` sequences of `positions` tokens each.
    pub fn new(run: Run<'a>, batch: usize, positions: usize, mode: Mode<'a>) -> Self {
        Self::over(run, Lengths::Equal { batch, positions }, mode)
    }

    /// A pass over sequences of any lengths. To a hook it shows their rows one behind the other; patterns, which have no
    /// common shape, cannot be shown of several.
    pub fn over(run: Run<'a>, lengths: Lengths, mut mode: Mode<'a>) -> Self {
        if let Mode::Training { tape, .. } = &mut mode {
            // What a pass without a backward pass has left.
            tape.calls.clear();
            tape.segment.clear();
        }
        if let Mode::Cached(cache) = &mode {
            assert!(
                lengths.count() == 1 && lengths.rows() <= cache.room(),
                "one sequence that fits the cache"
            );
        }
        let run = Run {
            keeps: matches!(mode, Mode::Training { .. }),
            ..run
        };
        Self {
            run,
            lengths,
            mode,
            notes: Notes::Pass,
            hook: None,
            values: 0,
            masks: 0,
            places: None,
            token_types: None,
        }
    }

    /// The same pass over tokens of these types: of two texts in one sequence, the first has 0, the second 1.
    #[must_use]
    pub fn with_token_types(mut self, types: &[u32]) -> Self {
        assert_eq!(types.len(), self.rows(), "a type for each row");
        self.token_types = Some(Ids::new(self.run.buffers, types.iter().copied()));
        self
    }

    /// The same pass with a hook.
    #[must_use]
    pub fn with_hook(mut self, hook: &'a mut dyn Hook) -> Self {
        self.hook = Some(hook);
        self
    }

    /// Parameters, threads, memory.
    pub fn run(&self) -> Run<'a> {
        self.run
    }

    /// How its rows are shared out.
    pub fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    /// New positions of all sequences.
    pub fn rows(&self) -> usize {
        self.lengths.rows()
    }

    /// Position of the first token: the number of positions in the cache.
    pub fn first_position(&self) -> usize {
        match &self.mode {
            Mode::Cached(cache) => cache.len(),
            _ => 0,
        }
    }

    /// The position of each row in its sequence.
    pub fn places(&mut self) -> Ids {
        if let Some(places) = &self.places {
            return places.clone();
        }
        let (first, mut sequence) = (self.first_position(), 0..0);
        let mut ranges = self.lengths.ranges();
        let positions = (0..self.lengths.rows()).map(|row| {
            if row == sequence.end {
                sequence = ranges.next().expect("a sequence for each row");
            }
            (first + row - sequence.start) as u32
        });
        let places = Ids::new(self.run.buffers, positions);
        self.places.insert(places).clone()
    }

    /// The type of each row's token.
    pub fn token_types(&mut self) -> Ids {
        let (buffers, rows) = (self.run.buffers, self.lengths.rows());
        let first = || Ids::new(buffers, std::iter::repeat_n(0, rows));
        self.token_types.get_or_insert_with(first).clone()
    }

    /// The cache, in a cached pass.
    pub(crate) fn cache(&mut self) -> Option<&mut KvCache> {
        match &mut self.mode {
            Mode::Cached(cache) => Some(cache),
            _ => None,
        }
    }

    /// Whether a backward pass will follow.
    pub fn is_training(&self) -> bool {
        matches!(self.mode, Mode::Training { .. })
    }

    /// The tape, in a training pass.
    fn tape(&mut self) -> Option<&mut Tape> {
        match &mut self.mode {
            Mode::Training { tape, .. } => Some(tape),
            _ => None,
        }
    }

    /// Where calls are noted now, if they are.
    fn calls(&mut self) -> Option<&mut Calls> {
        let notes = self.notes;
        let tape = self.tape()?;
        match notes {
            Notes::Pass => Some(&mut tape.calls),
            Notes::Segment => Some(&mut tape.segment),
            Notes::Nothing => None,
        }
    }

    /// Makes a tensor from elsewhere a value of this pass.
    pub fn given(&mut self, tensor: Tensor) -> Value {
        self.constant(tensor)
    }

    /// Makes a tensor a value of this pass that nothing can be differentiated through.
    pub(crate) fn constant(&mut self, tensor: Tensor) -> Value {
        self.values += 1;
        Value {
            id: self.values - 1,
            tensor,
        }
    }

    /// Calls a layer; in training, notes the call.
    pub fn apply<L: Layer<N>, const N: usize>(&mut self, layer: L, inputs: [&Value; N]) -> Value {
        let (tensor, saved) = layer.forward(self.run, inputs.map(Value::tensor));
        let value = self.constant(tensor);
        if let Some(calls) = self.calls() {
            calls.push(Call {
                layer,
                saved,
                inputs: inputs.map(Value::clone),
                output: value.id,
                kept: L::NEEDS_OUTPUT.then(|| value.clone()),
            });
        }
        value
    }

    /// `a + b`: how a block adds to the residual stream.
    pub fn add(&mut self, a: &Value, b: &Value) -> Value {
        let mut sum = self.run.like(a.tensor());
        ops::elementwise::sum(
            self.run.pool,
            sum.data_mut(),
            a.tensor().data(),
            b.tensor().data(),
        );
        let output = self.constant(sum);
        if let Some(calls) = self.calls() {
            calls.push(Add {
                a: a.id,
                b: b.id,
                output: output.id,
            });
        }
        output
    }

    /// A stretch of the network with one input and one output, which a tape that recomputes keeps by its input alone.
    /// `forward` must compute the same from the same input each time; a segment within it is a part of it.
    pub fn segment<F>(&mut self, x: Value, forward: F) -> Value
    where
        F: Fn(&mut Pass<'_>, Value) -> Value + Send + 'static,
    {
        let recomputes = self.tape().is_some_and(|tape| tape.recomputes);
        if !recomputes || self.notes != Notes::Pass {
            return forward(self, x);
        }
        let masks = self.masks;
        self.notes = Notes::Nothing;
        let y = forward(self, x.clone());
        self.notes = Notes::Pass;
        if let Some(calls) = self.calls() {
            calls.push(Segment {
                forward,
                input: x,
                output: y.id,
                masks,
            });
        }
        y
    }

    /// A dropout mask of its own for each call, `None` outside training and for probability 0.
    pub(crate) fn mask(&mut self) -> Option<Mask> {
        self.mask_of(self.dropout())
    }

    /// As [`Pass::mask`], for a probability of its own.
    pub(crate) fn mask_of(&mut self, probability: f32) -> Option<Mask> {
        match self.mode {
            Mode::Training { key, .. } if probability > 0.0 => {
                self.masks += 1;
                Some(Mask::new(random::derive(key, self.masks), probability))
            }
            _ => None,
        }
    }

    /// Probability of dropping: 0 outside training.
    pub(crate) fn dropout(&self) -> f32 {
        match self.mode {
            Mode::Training { dropout, .. } => dropout,
            _ => 0.0,
        }
    }

    /// Ends a cached pass: its positions now count as seen.
    pub fn finish(mut self) {
        let positions = self.rows();
        if let Some(cache) = self.cache() {
            cache.advance(positions);
        }
    }

    /// Replays a training pass backwards from `last`, whose gradient is `d_last`.
    pub fn backward(mut self, last: &Value, d_last: Tensor, gradients: &mut Gradients) {
        let place = (last.id, self.values);
        // Taken out while segments note their calls, and put back for the next pass.
        let mut calls = mem::take(&mut self.tape().expect("a training pass").calls);
        calls.backward(&mut self, place, d_last, gradients);
        self.tape().expect("a training pass").calls = calls;
    }

    /// Runs a segment again from its input, with the same masks, and replays it backwards from its output, whose
    /// gradient is `d_output`: the gradient of the input.
    pub(crate) fn backward_again(
        &mut self,
        masks: u64,
        input: Tensor,
        forward: impl FnOnce(&mut Self, Value) -> Value,
        d_output: Tensor,
        gradients: &mut Gradients,
    ) -> Option<Tensor> {
        self.notes = Notes::Segment;
        self.masks = masks;
        // The segment's values are numbered on their own, its input 0.
        self.values = 0;
        let input = self.constant(input);
        let output = forward(self, input).id;
        let place = (output, self.values);
        let mut calls = mem::take(&mut self.tape().expect("a training pass").segment);
        let d_input = calls.backward(self, place, d_output, gradients);
        self.tape().expect("a training pass").segment = calls;
        d_input
    }
}
