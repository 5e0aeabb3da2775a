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

/// From so many rows on threads take rows; below that, unpacking the weights is what takes time.
const FEW: usize = 48;

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
    pub fn times(
        &self,
        pool: &Pool,
        buffers: &Buffers,
        y: &mut [f32],
        [width, first]: [usize; 2],
        w: &Packed,
    ) {
        assert_eq!(y.len(), self.rows * width, "N rows");
        match self.rows {
            1 => self.by_columns(pool, &mut y[first..first + w.outputs()], w),
            2..FEW => {
                // Outputs of a few rows beside each other, piece by piece, and then where they belong.
                let outputs = w.outputs();
                let mut pieces = Tensor::uninitialised(buffers, &[self.rows, outputs]);
                self.by_columns(pool, pieces.data_mut(), w);
                let each = columns_each(pool, outputs);
                for (i, piece) in pieces.data().chunks(each * self.rows).enumerate() {
                    let columns = piece.len() / self.rows;
                    for (r, row) in piece.chunks_exact(columns).enumerate() {
                        y[r * width + first + i * each..][..columns].copy_from_slice(row);
                    }
                }
            }
            _ => self.by_rows(pool, y, [width, first], w),
        }
    }

    /// Threads take outputs: no weight is unpacked twice. `pieces` are [N,each] of one run of outputs after another.
    fn by_columns(&self, pool: &Pool, pieces: &mut [f32], w: &Packed) {
        let (x, rows) = (Block::slice(self.blocks.words()), self.rows);
        let each = columns_each(pool, w.outputs());
        pool.chunks(pieces, each * rows, |i, piece| {
            let outputs = piece.len() / rows;
            let columns = i * each..i * each + outputs;
            matmul(MatMut::new(piece, rows, outputs), x, w, columns);
        });
    }

    /// Threads take rows, which lie in `y` as they are wanted.
    fn by_rows(&self, pool: &Pool, y: &mut [f32], [width, first]: [usize; 2], w: &Packed) {
        let (x, per_row) = (Block::slice(self.blocks.words()), w.inputs() / BLOCK);
        let each = self.rows.div_ceil(pool.threads()).next_multiple_of(TILE);
        pool.chunks(y, each * width, |i, y| {
            let (rows, outputs) = (y.len() / width, w.outputs());
            let out = MatMut::strided(&mut y[first..], rows, outputs, width);
            let x = &x[i * each * per_row..][..rows * per_row];
            matmul(out, x, w, 0..outputs);
        });
    }
}

/// As many outputs as keep all threads busy, in whole panels.
fn columns_each(pool: &Pool, outputs: usize) -> usize {
    let each = outputs.div_ceil(8 * pool.threads());
    each.next_multiple_of(PANEL).min(COLUMNS)
}

#[cfg(test)]
mod tests {
    use glassformer_kernels::matrix::MatMut;
    use glassformer_kernels::product::Rows;
    use glassformer_kernels::quantised::activations::Block;
    use glassformer_kernels::quantised::blocks::Kind;
    use glassformer_kernels::quantised::matmul::matmul;
    use glassformer_kernels::quantised::packed::Packed;
    use glassformer_kernels::random;

    use super::Codes;
    use crate::{Buffers, Pool};

    #[test]
    fn however_threads_share_a_product_it_has_the_same_bits() {
        const OUTPUTS: usize = 300;
        let (k, width, first) = (64, OUTPUTS + 5, 3);
        let block = |i: usize| {
            let code = move |at: u64| random::bits(5, 34 * i as u64 + at) as u8;
            // A scale of 1/16, and 32 codes.
            [0x00, 0x2c].into_iter().chain((2..34).map(code))
        };
        let bytes: Vec<u8> = (0..OUTPUTS * k / 32).flat_map(block).collect();
        let buffers = Buffers::new();
        for (threads, rows) in [(1, 1), (2, 1), (2, 2), (3, 7), (2, 47), (3, 48), (2, 60)] {
            let pool = Pool::new(threads);
            let row = |n: usize| &bytes[n * k / 32 * 34..][..k / 32 * 34];
            let w = Packed::new(&pool, Kind::Q8_0, [OUTPUTS, k], row);
            let x: Vec<f32> = (0..rows * k)
                .map(|i| random::uniform(7, i as u64) as f32 - 0.5)
                .collect();
            let codes = Codes::new(&pool, &buffers, Rows::f32(&x, k));
            let mut y = vec![7.0; rows * width];
            codes.times(&pool, &buffers, &mut y, [width, first], &w);
            let mut expected = vec![7.0; rows * width];
            let out = MatMut::strided(&mut expected[first..], rows, OUTPUTS, width);
            matmul(out, Block::slice(codes.blocks.words()), &w, 0..OUTPUTS);
            assert_eq!(y, expected, "{rows} rows, {threads} threads");
        }
    }
}
