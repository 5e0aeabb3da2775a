//! One forward pass: layer calls, residual sums, taps; in training also the tape.

mod stage;
mod taps;

use std::mem;

use glassformer_kernels::dropout::Mask;
use glassformer_kernels::random;
use glassformer_tensor::{Ids, Tensor, ops};

use crate::hook::Hook;
pub(crate) use crate::pass::stage::Stage;
use crate::tape::{Add, Call, Calls, Segment, SegmentPlace, Tape, Value};
use crate::{Gradients, KvCache, Layer, Lengths, PairCache, Run};

/// What a pass is for.
pub enum Mode<'a> {
    /// Values only; each is freed when no longer needed.
    Inference,
    /// Values only, with the keys and values of earlier positions at hand.
    Cached(&'a mut KvCache),
    /// As `Cached`, in the decoder of an encoder–decoder: for some hypotheses, with the keys and values of their sources.
    CachedPair(&'a mut PairCache),
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
    /// Of what the pass was made over: of an encoder–decoder, the targets.
    lengths: Lengths,
    stage: Stage,
    /// What an encoder–decoder reads first.
    source: Option<(Ids, Lengths)>,
    mode: Mode<'a>,
    notes: Notes,
    hook: Option<&'a mut dyn Hook>,
    values: usize,
    masks: u64,
    /// Probability of dropping a part of a pattern, where it is another than of the rest.
    pattern_dropout: Option<f32>,
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
        let cache = match &mode {
            Mode::Cached(cache) => Some((cache.sequences(), cache.room())),
            Mode::CachedPair(cache) => Some((cache.hypotheses(), cache.room())),
            _ => None,
        };
        if let Some((sequences, room)) = cache {
            let longest = lengths.rows() / sequences.max(1);
            let fits = lengths
                .ranges()
                .all(|range| range.len() == longest && longest <= room);
            assert!(
                fits && lengths.count() == sequences,
                "one sequence that fits the cache, or as many of one length as it has"
            );
        }
        let run = Run {
            keeps: matches!(mode, Mode::Training { .. }),
            ..run
        };
        Self {
            run,
            stage: Stage::new(None, lengths.clone()),
            lengths,
            source: None,
            mode,
            notes: Notes::Pass,
            hook: None,
            values: 0,
            masks: 0,
            pattern_dropout: None,
            token_types: None,
        }
    }

    /// The same pass with what an encoder–decoder reads first: the ids of the sources `[ΣS]`, one source for each sequence
    /// of the pass.
    #[must_use]
    pub fn with_source(mut self, ids: &[u32], lengths: Lengths) -> Self {
        assert_eq!(ids.len(), lengths.rows(), "ids for each position");
        assert_eq!(lengths.count(), self.lengths.count(), "a source for each");
        let ids = Ids::new(self.run.buffers, ids.iter().copied());
        let are_equal = [&self.lengths, &lengths].map(|x| matches!(x, Lengths::Equal { .. }));
        if are_equal == [true, true] {
            self.source = Some((ids, lengths));
        } else {
            self.source = Some((ids, lengths.ragged()));
            self.lengths = self.lengths.ragged();
        }
        self
    }

    /// The same pass with another probability of dropping in patterns of attention than elsewhere.
    #[must_use]
    pub fn with_pattern_dropout(mut self, probability: f32) -> Self {
        self.pattern_dropout = Some(probability);
        self
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

    /// The type of each row's token.
    pub fn token_types(&mut self) -> Ids {
        let (buffers, rows) = (self.run.buffers, self.rows());
        let first = || Ids::new(buffers, std::iter::repeat_n(0, rows));
        self.token_types.get_or_insert_with(first).clone()
    }

    /// The cache, in a cached pass.
    pub(crate) fn cache(&mut self) -> Option<&mut KvCache> {
        match &mut self.mode {
            Mode::Cached(cache) => Some(cache),
            Mode::CachedPair(cache) => Some(cache.own()),
            _ => None,
        }
    }

    /// The sources' cache, in a cached pass of a decoder that has sources.
    pub(crate) fn pair_cache(&mut self) -> Option<&mut PairCache> {
        match &mut self.mode {
            Mode::CachedPair(cache) => Some(cache),
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

    /// A stretch of the network with one output, which a tape that recomputes keeps by its inputs alone.
    /// `forward` must compute the same from the same inputs each time; a segment within it is a part of it.
    pub fn segment<F, const N: usize>(&mut self, inputs: [Value; N], forward: F) -> Value
    where
        F: Fn(&mut Pass<'_>, [Value; N]) -> Value + Send + 'static,
    {
        let recomputes = self.tape().is_some_and(|tape| tape.recomputes);
        if !recomputes || self.notes != Notes::Pass {
            return forward(self, inputs);
        }
        let place = SegmentPlace {
            masks: self.masks,
            stage: self.stage.clone(),
        };
        self.notes = Notes::Nothing;
        let y = forward(self, inputs.clone());
        self.notes = Notes::Pass;
        if let Some(calls) = self.calls() {
            calls.push(Segment {
                forward,
                inputs,
                output: y.id,
                place,
            });
        }
        y
    }

    /// A dropout mask of its own for each call, `None` outside training and for probability 0.
    pub(crate) fn mask(&mut self) -> Option<Mask> {
        self.mask_of(self.dropout())
    }

    /// As [`Pass::mask`], for a pattern.
    pub(crate) fn pattern_mask(&mut self) -> Option<Mask> {
        self.mask_of(self.pattern_dropout.unwrap_or(self.dropout()))
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
        let rows = self.rows();
        if let Some(cache) = self.cache() {
            cache.advance(rows / cache.sequences().max(1));
        }
    }

    /// Replays a training pass backwards from `last`, whose gradient is `d_last`.
    pub fn backward(mut self, last: &Value, d_last: Tensor, gradients: &mut Gradients) {
        let place = (last.id, self.values);
        // Taken out while segments note their calls, and put back for the next pass.
        let mut calls = mem::take(&mut self.tape().expect("a training pass").calls);
        let [] = calls.backward(&mut self, place, d_last, gradients);
        self.tape().expect("a training pass").calls = calls;
    }

    /// Runs a segment again from its inputs, with the same masks, and replays it backwards from its output, whose
    /// gradient is `d_output`: the gradients of the inputs.
    pub(crate) fn backward_again<const N: usize>(
        &mut self,
        place: SegmentPlace,
        inputs: [Tensor; N],
        forward: impl FnOnce(&mut Self, [Value; N]) -> Value,
        d_output: Tensor,
        gradients: &mut Gradients,
    ) -> [Option<Tensor>; N] {
        self.notes = Notes::Segment;
        self.masks = place.masks;
        self.stage = place.stage;
        // The segment's values are numbered on their own, its inputs first.
        self.values = 0;
        let inputs = inputs.map(|input| self.constant(input));
        let output = forward(self, inputs).id;
        let place = (output, self.values);
        let mut calls = mem::take(&mut self.tape().expect("a training pass").segment);
        let d_inputs = calls.backward(self, place, d_output, gradients);
        self.tape().expect("a training pass").segment = calls;
        d_inputs
    }
}
