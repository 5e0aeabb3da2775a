//! Two-dimensional strided views of `f32` slices, checked once when made.

/// A read-only matrix view: element (r, c) is `data[r·row_stride + c·col_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

/// A writable matrix view; rows are `row_stride` apart, columns adjacent.
#[derive(Debug)]
pub struct MatMut<'a> {
    pub(crate) data: &'a mut [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
}

/// Elements from the first to the last one of a view.
fn span(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> usize {
    if rows == 0 || cols == 0 {
        0
    } else {
        (rows - 1) * row_stride + (cols - 1) * col_stride + 1
    }
}

impl<'a> MatRef<'a> {
    /// A dense row-major view. Panics unless `data` holds rows × cols.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols, 1)
    }

    /// A view with any strides. Panics when the last element would lie outside `data`.
    pub fn strided(
        data: &'a [f32],
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Self {
        assert!(
            span(rows, cols, row_stride, col_stride) <= data.len(),
            "a {rows}×{cols} view with strides {row_stride}, {col_stride} needs more than {} elements",
            data.len()
        );
        Self {
            data,
            rows,
            cols,
            row_stride,
            col_stride,
        }
    }

    /// The transpose: the same elements, rows and columns exchanged.
    #[must_use]
    pub fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }

    /// Rows `start..end`.
    #[must_use]
    pub fn rows(self, start: usize, end: usize) -> Self {
        assert!(
            start <= end && end <= self.rows,
            "rows {start}..{end} of {}",
            self.rows
        );
        let data = if start == end {
            &[]
        } else {
            &self.data[start * self.row_stride..]
        };
        Self {
            data,
            rows: end - start,
            ..self
        }
    }

    /// Columns `start..end`.
    #[must_use]
    pub fn cols(self, start: usize, end: usize) -> Self {
        assert!(
            start <= end && end <= self.cols,
            "columns {start}..{end} of {}",
            self.cols
        );
        let data = if start == end || self.rows == 0 {
            &[]
        } else {
            &self.data[start * self.col_stride..]
        };
        Self {
            data,
            cols: end - start,
            ..self
        }
    }

    /// Number of rows.
    pub fn row_count(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn col_count(&self) -> usize {
        self.cols
    }

    /// Element (r, c).
    pub fn at(&self, r: usize, c: usize) -> f32 {
        assert!(
            r < self.rows && c < self.cols,
            "({r}, {c}) of {}×{}",
            self.rows,
            self.cols
        );
        self.data[r * self.row_stride + c * self.col_stride]
    }
}

impl<'a> MatMut<'a> {
    /// A dense row-major view. Panics unless `data` holds rows × cols.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A view whose rows are `row_stride` ≥ cols apart. Panics when it would overlap itself or leave `data`.
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(
            span(rows, cols, row_stride, 1) <= data.len() && (row_stride >= cols || rows <= 1),
            "a {rows}×{cols} view with row stride {row_stride} does not fit {} elements",
            data.len()
        );
        Self {
            data,
            rows,
            cols,
            row_stride,
        }
    }
}
