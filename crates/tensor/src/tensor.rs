//! A dense row-major array.

use std::fmt;

use glassformer_kernels::memory;
use glassformer_kernels::product::{Precision, Rows};

use crate::buffer::{Buffer, Buffers};

/// Most axes that a tensor has.
const AXES: usize = 4;

/// Dense and row-major: numbers in `f32`, or rounded to `bf16` as operands of products are (each row of the last axis
/// in whole words). At most four axes are used.
///
/// Cloning shares the values; they can be written while nobody shares them.
#[derive(Clone)]
pub struct Tensor {
    shape: [usize; AXES],
    axes: usize,
    precision: Precision,
    buffer: Buffer,
}

impl Tensor {
    /// A tensor whose contents do not matter yet: every element will be written.
    pub fn uninitialised(buffers: &Buffers, shape: &[usize]) -> Self {
        Self::in_precision(buffers, Precision::F32, shape)
    }

    /// As [`Tensor::uninitialised`], with numbers rounded to `precision`.
    pub fn in_precision(buffers: &Buffers, precision: Precision, shape: &[usize]) -> Self {
        let (width, outer) = shape.split_last().expect("a tensor has an axis");
        let len = outer.iter().product::<usize>() * precision.words(*width);
        let mut tensor = Self {
            shape: [1; AXES],
            axes: 0,
            precision,
            buffer: buffers.take(len),
        };
        tensor.set_shape(shape);
        tensor
    }

    fn set_shape(&mut self, shape: &[usize]) {
        assert!(shape.len() <= AXES, "{shape:?} has more than {AXES} axes");
        self.shape[..shape.len()].copy_from_slice(shape);
        self.axes = shape.len();
    }

    /// A tensor of zeros.
    pub fn zeros(buffers: &Buffers, shape: &[usize]) -> Self {
        let mut tensor = Self::uninitialised(buffers, shape);
        tensor.data_mut().fill(0.0);
        tensor
    }

    /// A tensor of these values. Panics unless their number is the product of `shape`.
    pub fn from_slice(buffers: &Buffers, shape: &[usize], data: &[f32]) -> Self {
        let mut tensor = Self::uninitialised(buffers, shape);
        assert_eq!(
            data.len(),
            tensor.data().len(),
            "values for shape {shape:?}"
        );
        tensor.data_mut().copy_from_slice(data);
        tensor
    }

    /// A copy in a buffer of `buffers`.
    #[must_use]
    pub fn copy(&self, buffers: &Buffers) -> Self {
        let mut copy = Self::in_precision(buffers, self.precision, self.shape());
        copy.words_mut().copy_from_slice(self.words());
        copy
    }

    /// The length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape[..self.axes]
    }

    /// Length of the last axis.
    pub fn width(&self) -> usize {
        *self.shape().last().expect("a tensor has an axis")
    }

    /// Number of rows: the product of all axes but the last.
    pub fn rows(&self) -> usize {
        self.shape()[..self.axes - 1].iter().product()
    }

    /// What the numbers are rounded to.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The same values under another shape. Panics when the number of elements differs.
    #[must_use]
    pub fn reshaped(mut self, shape: &[usize]) -> Self {
        assert_eq!(
            self.data().len(),
            shape.iter().product::<usize>(),
            "{:?} as {shape:?}",
            self.shape()
        );
        self.set_shape(shape);
        self
    }

    /// All values, row-major. Panics unless they are `f32`.
    pub fn data(&self) -> &[f32] {
        assert_eq!(self.precision, Precision::F32, "{self:?} is read as f32");
        self.buffer.floats()
    }

    /// All values, row-major, to be written. Panics unless they are `f32`, and when they are shared.
    pub fn data_mut(&mut self) -> &mut [f32] {
        assert_eq!(self.precision, Precision::F32, "{self:?} is written as f32");
        self.unshared()
    }

    /// As [`Tensor::data_mut`]; shared values are copied first.
    pub fn make_mut(&mut self, buffers: &Buffers) -> &mut [f32] {
        if self.buffer.is_shared() {
            *self = self.copy(buffers);
        }
        self.data_mut()
    }

    /// All values as the words that hold them.
    pub fn words(&self) -> &[u32] {
        memory::words(self.buffer.floats())
    }

    /// All values as the words that hold them, to be written. Panics when they are shared.
    pub fn words_mut(&mut self) -> &mut [u32] {
        memory::words_mut(self.unshared())
    }

    fn unshared(&mut self) -> &mut [f32] {
        self.buffer
            .floats_mut()
            .expect("a tensor is written before it is shared")
    }

    /// The values as rows of the last axis, for products.
    pub fn as_rows(&self) -> Rows<'_> {
        let size = [self.rows(), self.width()];
        Rows::new(
            self.words(),
            self.precision,
            size,
            self.precision.words(self.width()),
        )
    }

    /// Row `r` of the last axis.
    pub fn row(&self, r: usize) -> &[f32] {
        let width = self.width();
        &self.data()[r * width..][..width]
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor{:?} {:?}", self.shape(), self.precision)
    }
}
