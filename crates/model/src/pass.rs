//! One forward pass: layer calls, residual sums, taps; in training also the tape.

use std::mem;

use glassformer_kernels::dropout::Mask;
use glassformer_kernels::random;
use glassformer_tensor::{Ids, Tensor, ops};

use crate::hook::{Hook, View, ViewMut};
use crate::tape::{Add, Call, Calls, Segment, Tape, Value};
use crate::{BlockSite, Gradients, KvCache, Layer, Run, Site};

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

/// A forward pass over a batch of equally long sequences.
pub struct Pass<'a> {
    run: Run<'a>,
    batch: usize,
    positions: usize,
    mode: Mode<'a>,
    notes: Notes,
    hook: Option<&'a mut dyn Hook>,
    values: usize,
    masks: u64,
    /// The position of each row, once somebody asked.
    places: Option<Ids>,
}

impl<'a> Pass<'a> {
    /// A pass over `batch` sequences of `positions` tokens each.
    pub fn new(run: Run<'a>, batch: usize, positions: usize, mut mode: Mode<'a>) -> Self {
        if let Mode::Training { tape, .. } = &mut mode {
            // What a pass without a backward pass has left.
            tape.calls.clear();
            tape.segment.clear();
        }
        if let Mode::Cached(cache) = &mode {
            assert!(
                batch == 1 && positions <= cache.room(),
                "one sequence that fits the cache"
            );
        }
        let run = Run {
            keeps: matches!(mode, Mode::Training { .. }),
            ..run
        };
        Self {
            run,
            batch,
            positions,
            mode,
            notes: Notes::Pass,
            hook: None,
            values: 0,
            masks: 0,
            places: None,
        }
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

    /// B.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// T.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Position of the first token: the number of positions in the cache.
    pub fn first_position(&self) -> usize {
        match &self.mode {
            Mode::Cached(cache) => cache.len(),
            _ => 0,
        }
    }

    /// The position of each row.
    pub fn places(&mut self) -> Ids {
        if let Some(places) = &self.places {
            return places.clone();
        }
        let (first, each) = (self.first_position(), self.positions);
        let positions = (0..self.batch * each).map(|i| (first + i % each) as u32);
        let places = Ids::new(self.run.buffers, positions);
        self.places.insert(places).clone()
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
        match self.mode {
            Mode::Training { dropout, key, .. } if dropout > 0.0 => {
                self.masks += 1;
                Some(Mask::new(random::derive(key, self.masks), dropout))
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

    /// Whether a hook records or changes this site.
    pub fn watched(&self, site: Site) -> bool {
        self.hook
            .as_ref()
            .is_some_and(|hook| hook.wants(site) || hook.edits(site))
    }

    /// Whether a hook records or changes any of these sites of block `layer`.
    pub(crate) fn watched_in_block(&self, layer: usize, sites: &[BlockSite]) -> bool {
        self.hook.is_some()
            && sites
                .iter()
                .any(|&site| self.watched(Site::block(layer, site)))
    }

    /// Shows a whole value to the hook. `axes` are the logical axes of one sequence's value after T, e.g. [H,E].
    pub fn tap(&mut self, site: Site, value: &mut Value, axes: &[usize]) {
        let width = value.tensor().width();
        self.tap_columns(site, value, 0..width, axes);
    }

    /// Shows columns of a value to the hook: of a fused row q·k·v, say, the part that is q.
    pub fn tap_columns(
        &mut self,
        site: Site,
        value: &mut Value,
        columns: std::ops::Range<usize>,
        axes: &[usize],
    ) {
        if !self.watched(site) {
            return;
        }
        let mut shape = self.outer_shape();
        shape.extend_from_slice(axes);
        self.show(site, value, columns, shape);
    }

    /// Shows scores or a pattern `[B·H·T, S]` to the hook.
    pub(crate) fn tap_pattern(&mut self, site: Site, value: &mut Value, heads: usize) {
        if !self.watched(site) {
            return;
        }
        let keys = value.tensor().width();
        let mut shape = self.outer_shape();
        let queries = shape.pop().unwrap_or(1);
        shape.extend([heads, queries, keys]);
        self.show(site, value, 0..keys, shape);
    }

    /// Shows something that is no value of the pass (the token ids) to the hook.
    pub fn tap_data(&mut self, site: Site, data: &[f32]) {
        let shape = self.outer_shape();
        if let Some(hook) = self.hook.as_mut().filter(|hook| hook.wants(site)) {
            hook.record(
                site,
                View {
                    shape,
                    data,
                    width: 1,
                    row_stride: 1,
                    tensor: None,
                },
            );
        }
    }

    /// [T], or [B,T] when there is more than one sequence.
    fn outer_shape(&self) -> Vec<usize> {
        if self.batch == 1 {
            vec![self.positions]
        } else {
            vec![self.batch, self.positions]
        }
    }

    fn show(
        &mut self,
        site: Site,
        value: &mut Value,
        columns: std::ops::Range<usize>,
        shape: Vec<usize>,
    ) {
        let is_training = self.is_training();
        // A segment that is run again was shown the first time.
        let seen = self.notes == Notes::Segment;
        let Some(hook) = self.hook.as_mut().filter(|_| !seen) else {
            return;
        };
        let (row_stride, width, first) = (value.tensor().width(), columns.len(), columns.start);
        if hook.edits(site) {
            assert!(!is_training, "values are edited in inference passes only");
            let data = &mut value.tensor.make_mut(self.run.buffers)[first..];
            hook.edit(
                site,
                ViewMut {
                    shape: shape.clone(),
                    data,
                    width,
                    row_stride,
                },
            );
        }
        if hook.wants(site) {
            let data = &value.tensor().data()[first..];
            let tensor = (width == row_stride).then_some(&value.tensor);
            hook.record(
                site,
                View {
                    shape,
                    data,
                    width,
                    row_stride,
                    tensor,
                },
            );
        }
    }

    /// Ends a cached pass: its positions now count as seen.
    pub fn finish(mut self) {
        let positions = self.positions;
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
