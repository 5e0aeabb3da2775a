//! Products with quantised weights: rows rounded to 8-bit codes once, then multiplied with one matrix after another.

use glassformer_kernels::matrix::MatMut;
use glassformer_kernels::product::Rows;
use glassformer_kernels::quantised::BLOCK;
use glassformer_kernels::quantised::activations::{Block, quantise};
use glassformer_kernels::quantised::matmul::matmul;
use glassformer_kernels::quantised::packed::{PANEL, Packed};

use crate::{Buffers, Pool, Tensor};

/// Rows that a thread rounds at a time.
const ROWS: usize = 4;

/// Outputs that a thread takes at a time, at the most.
const COLUMNS: usize = 16 * PANEL;

/// Rows [N,K] as codes.
#[derive(Debug)]
pub struct Codes {
    blocks: Tensor,
    rows: usize,
}

/// Rows that the product takes together.
const TILE: usize = 6;

/// Words of one block.
const WORDS: usize = size_of::<Block>() / size_of::<u32>();

impl Codes {
    /// The codes of `x [N,K]`, K a multiple of 32.
    pub fn new(pool: &Pool, buffers: &Buffers, x: Rows<'_>) -> Self {
        let (rows, k) = (x.row_count(), x.col_count());
        assert!(k.is_multiple_of(BLOCK), "{k} is no multiple of {BLOCK}");
        let mut blocks = Tensor::uninitialised(buffers, &[rows, k / BLOCK * WORDS]);
        let mut floats = Tensor::uninitialised(buffers, &[rows, k]);
        let arrays = (
            (Block::slice_mut(blocks.words_mut()), ROWS * (k / BLOCK)),
            (floats.data_mut(), ROWS * k),
        );
        pool.split(arrays, |i, (blocks, floats)| {
            for (r, row) in floats.chunks_exact_mut(k).enumerate() {
                x.read(i * ROWS + r, row);
            }
            quantise(blocks, floats);
        });
        Self { blocks, rows }
    }

    /// `y [N,width]`, columns from `first` on, = X·Wᵀ.
    pub fn times(&self, pool: &Pool, y: &mut [f32], width: usize, first: usize, w: &Packed) {
        let (outputs, rows) = (w.outputs(), self.rows);
        let (x, per_row) = (Block::slice(self.blocks.words()), w.inputs() / BLOCK);
        assert_eq!(y.len(), rows * width, "N rows");
        if rows == 1 {
            // As many pieces as keep all threads busy, in whole panels.
            let each = outputs
                .div_ceil(8 * pool.threads())
                .next_multiple_of(PANEL)
                .min(COLUMNS);
            pool.chunks(&mut y[first..first + outputs], each, |i, y| {
                let columns = i * each..i * each + y.len();
                matmul(MatMut::new(y, 1, columns.len()), x, w, columns);
            });
        } else {
            let each = rows.div_ceil(pool.threads()).next_multiple_of(TILE);
            pool.chunks(y, each * width, |i, y| {
                let rows = y.len() / width;
                let out = MatMut::strided(&mut y[first..], rows, outputs, width);
                matmul(
                    out,
                    &x[i * each * per_row..][..rows * per_row],
                    w,
                    0..outputs,
                );
            });
        }
    }
}
