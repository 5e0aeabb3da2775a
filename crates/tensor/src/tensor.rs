//! A dense row-major array of `f32`.

use std::fmt;

use crate::buffer::{Buffer, Buffers};

/// Dense, row-major, `f32`; at most four axes are used.
pub struct Tensor {
    shape: Vec<usize>,
    buffer: Buffer,
}

impl Tensor {
    /// A tensor whose contents do not matter yet: every element will be written.
    pub fn uninitialised(buffers: &Buffers, shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            buffer: buffers.take(shape.iter().product()),
        }
    }

    /// A tensor of zeros.
    pub fn zeros(buffers: &Buffers, shape: &[usize]) -> Self {
        let mut tensor = Self::uninitialised(buffers, shape);
        tensor.data_mut().fill(0.0);
        tensor
    }

    /// A tensor of these values. Panics unless their number is the product of `shape`.
    pub fn from_vec(buffers: &Buffers, shape: &[usize], data: Vec<f32>) -> Self {
        assert_eq!(
            data.len(),
            shape.iter().product::<usize>(),
            "values for shape {shape:?}"
        );
        Self {
            shape: shape.to_vec(),
            buffer: buffers.adopt(data),
        }
    }

    /// A copy in a buffer of `buffers`.
    #[must_use]
    pub fn copy(&self, buffers: &Buffers) -> Self {
        let mut copy = Self::uninitialised(buffers, &self.shape);
        copy.data_mut().copy_from_slice(self.data());
        copy
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Length of the last axis.
    pub fn width(&self) -> usize {
        *self.shape.last().expect("a tensor has an axis")
    }

    /// Number of rows: the product of all axes but the last.
    pub fn rows(&self) -> usize {
        self.shape[..self.shape.len() - 1].iter().product()
    }

    /// The same values under another shape. Panics when the number of elements differs.
    #[must_use]
    pub fn reshaped(mut self, shape: &[usize]) -> Self {
        assert_eq!(
            self.data().len(),
            shape.iter().product::<usize>(),
            "{:?} as {shape:?}",
            self.shape
        );
        self.shape = shape.to_vec();
        self
    }

    /// All values, row-major.
    pub fn data(&self) -> &[f32] {
        &self.buffer.data
    }

    /// All values, row-major.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.buffer.data
    }

    /// Row `r` of the last axis.
    pub fn row(&self, r: usize) -> &[f32] {
        let width = self.width();
        &self.data()[r * width..][..width]
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor{:?}", self.shape)
    }
}
