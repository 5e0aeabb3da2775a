//! Taps: where a pass shows its values to a hook, which may record or change them.

use std::ops::Range;

use glassformer_tensor::Tensor;

use super::{Notes, Pass};
use crate::hook::{View, ViewMut};
use crate::tape::{Shown, Value};
use crate::{BlockSite, Lengths, Site};

impl Pass<'_> {
    /// Whether a hook records or changes this site, or will want its gradient.
    pub fn watched(&self, site: Site) -> bool {
        let site = self.placed(site);
        let is_training = self.is_training();
        self.hook.as_ref().is_some_and(|hook| {
            hook.wants(site) || hook.edits(site) || is_training && hook.wants_gradient(site)
        })
    }

    /// Whether a hook watches any of these sites of block `layer`.
    pub(crate) fn watched_in_block(
        &self,
        layer: usize,
        mut sites: impl Iterator<Item = BlockSite>,
    ) -> bool {
        self.hook.is_some() && sites.any(|site| self.watched(Site::block(layer, site)))
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
        columns: Range<usize>,
        axes: &[usize],
    ) {
        if !self.watched(site) {
            return;
        }
        let mut shape = outer_shape(self.lengths());
        shape.extend_from_slice(axes);
        self.show(site, value, columns, shape);
    }

    /// As [`Pass::tap_columns`], of a value whose rows are those of sequences of other `lengths`.
    pub(crate) fn tap_columns_of(
        &mut self,
        lengths: &Lengths,
        site: Site,
        value: &mut Value,
        columns: Range<usize>,
        axes: &[usize],
    ) {
        if self.watched(site) {
            let shape = [&outer_shape(lengths), axes].concat();
            self.show(site, value, columns, shape);
        }
    }

    /// Shows scores or a pattern `[B·H·T, S]` to the hook.
    pub(crate) fn tap_pattern(&mut self, site: Site, value: &mut Value, heads: usize) {
        if !self.watched(site) {
            return;
        }
        let keys = value.tensor().width();
        let mut shape = outer_shape(self.lengths());
        let queries = shape.pop().unwrap_or(1);
        shape.extend([heads, queries, keys]);
        self.show(site, value, 0..keys, shape);
    }

    /// Shows something that is no value of the pass (the token ids) to the hook.
    pub fn tap_data(&mut self, site: Site, data: &[f32]) {
        let (shape, site) = (outer_shape(self.lengths()), self.placed(site));
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

    fn show(&mut self, site: Site, value: &mut Value, columns: Range<usize>, shape: Vec<usize>) {
        let (site, is_training) = (self.placed(site), self.is_training());
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
        let wants_gradient = is_training && hook.wants_gradient(site);
        if hook.wants(site) {
            let shape = shape.clone();
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
        if let Some(calls) = self.calls().filter(|_| wants_gradient) {
            calls.push(Shown {
                site,
                value: value.id,
                columns,
                shape,
            });
        }
    }

    /// Shows the gradient with respect to a value that was shown.
    pub(crate) fn show_gradient(&mut self, shown: Shown, gradient: &Tensor) {
        let Shown {
            site,
            columns,
            shape,
            ..
        } = shown;
        let (row_stride, width) = (gradient.width(), columns.len());
        if let Some(hook) = self.hook.as_mut() {
            hook.gradient(
                site,
                View {
                    shape,
                    data: &gradient.data()[columns.start..],
                    width,
                    row_stride,
                    tensor: None,
                },
            );
        }
    }
}

/// [T], or [B,T] when there is more than one sequence; [ΣT] of ragged ones.
fn outer_shape(lengths: &Lengths) -> Vec<usize> {
    match *lengths {
        Lengths::Equal { batch, positions } if batch > 1 => vec![batch, positions],
        _ => vec![lengths.rows()],
    }
}
