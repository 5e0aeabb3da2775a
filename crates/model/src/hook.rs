//! How a run is watched and changed from outside: recording, parity tests, ablation and patching are all this.

use glassformer_tensor::Tensor;

use crate::Site;

/// A value at a site, where it lies in memory: `rows` rows of `width` numbers, `row_stride` apart.
///
/// The rows run over all axes of `shape` but those that make up `width`: `q` of shape [T,H,E] is T rows of H·E.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The logical shape, as the site's documentation gives it (with a leading B when the batch is not 1).
    pub shape: Vec<usize>,
    pub(crate) data: &'a [f32],
    pub(crate) width: usize,
    pub(crate) row_stride: usize,
    /// The tensor of which this is the whole, if it is.
    pub(crate) tensor: Option<&'a Tensor>,
}

impl View<'_> {
    /// The whole value as a tensor of the pass, to be kept without a copy; `None` where it is only a part of one.
    pub fn share(&self) -> Option<Tensor> {
        self.tensor.cloned()
    }

    /// The rows, first to last.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.data
            .chunks(self.row_stride)
            .map(|row| &row[..self.width])
    }

    /// A dense copy, row-major.
    pub fn to_vec(&self) -> Vec<f32> {
        self.rows().flatten().copied().collect()
    }
}

/// As [`View`], to be changed in place.
#[derive(Debug)]
pub struct ViewMut<'a> {
    /// The logical shape.
    pub shape: Vec<usize>,
    pub(crate) data: &'a mut [f32],
    pub(crate) width: usize,
    pub(crate) row_stride: usize,
}

impl ViewMut<'_> {
    /// The same view for a shorter time, so that several edits can follow each other.
    pub fn reborrow(&mut self) -> ViewMut<'_> {
        ViewMut {
            shape: self.shape.clone(),
            data: self.data,
            width: self.width,
            row_stride: self.row_stride,
        }
    }

    /// The rows, first to last.
    pub fn rows(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let width = self.width;
        self.data
            .chunks_mut(self.row_stride)
            .map(move |row| &mut row[..width])
    }
}

/// Watches or changes the values of a run. A run without a hook pays one comparison per site.
pub trait Hook {
    /// Whether [`Hook::record`] wants this site. Scores and pattern are computed in full only when wanted or edited.
    fn wants(&self, site: Site) -> bool;

    /// Whether [`Hook::edit`] changes this site.
    fn edits(&self, site: Site) -> bool;

    /// Takes note of a value.
    fn record(&mut self, site: Site, value: View<'_>);

    /// Changes a value before the pass goes on with it; only in inference passes.
    fn edit(&mut self, site: Site, value: ViewMut<'_>);

    /// Whether [`Hook::gradient`] wants this site; only training passes have gradients.
    fn wants_gradient(&self, _site: Site) -> bool {
        false
    }

    /// Takes note, in the backward pass, of the gradient of the loss with respect to a value that was shown: complete,
    /// with the parts of all that was made from the value.
    fn gradient(&mut self, _site: Site, _gradient: View<'_>) {}
}
