//! P and dS of a block of queries and keys, in the layouts of the products that need them.

use std::ops::Range;

use super::{HeadGradient, KEYS, QUERIES};
use crate::arch::multiversion;
use crate::attention::forward::within;
use crate::attention::{Head, Sees};
use crate::dropout::Mask;
use crate::exp::exp;
use crate::memory::Block;
use crate::pool::Parts;
use crate::product::{LEFT, Left, Precision, RIGHT, Right, Rows, Tile, Tiles};

/// Which block of scores.
pub(super) struct Place {
    pub(super) queries: Range<usize>,
    pub(super) keys: Range<usize>,
}

impl Place {
    /// Keys of the block that its queries `rows` see some of, both counted from the block's first.
    pub(super) fn keys_seen(&self, head: &Head<'_>, rows: Range<usize>) -> Range<usize> {
        let first = self.queries.start;
        let [start, end] = [rows.start, rows.end - 1].map(|row| head.seen(first + row));
        within(start.start..end.end, self.keys.start, self.keys.len())
    }

    /// Queries of the block that see some of its keys `rows`, both counted from the block's first.
    pub(super) fn queries_that_see(&self, head: &Head<'_>, rows: Range<usize>) -> Range<usize> {
        let first = self.keys.start;
        let queries = head.seen_by(first + rows.start..first + rows.end);
        within(queries, self.queries.start, self.queries.len())
    }
}

/// dS and P of one block, in the layouts of the products that follow.
pub(super) struct ScoreBlock {
    /// dS as A [queries, keys], rows of KEYS numbers.
    ds: Block,
    /// dSᵀ and (P∘mask)ᵀ as A [keys, queries].
    ds_t: Block,
    p_t: Block,
}

impl Default for ScoreBlock {
    fn default() -> Self {
        let [ds, ds_t, p_t] = [(); 3].map(|()| Block::zeros(QUERIES * KEYS));
        Self { ds, ds_t, p_t }
    }
}

impl ScoreBlock {
    /// Computes the tiles of the block at `place` in which a query sees a key; the B are already cut to its keys.
    pub(super) fn fill(
        &mut self,
        one: &HeadGradient<'_>,
        inner: &[f32],
        place: &Place,
        [q, dz]: [Rows<'_>; 2],
        [kt, vt]: [Right<'_>; 2],
        d_bias: &mut [f32],
    ) {
        let (start, end) = (place.queries.start, place.queries.end);
        let [q, dz] = [q, dz].map(|x| Left::from(x.range(start, end)));
        let [ds, ds_t, p_t] = [&mut self.ds, &mut self.ds_t, &mut self.p_t]
            .map(|block| Parts::new(block.words_mut()));
        let (mut p, mut d) = (Tile::new(), Tile::new());
        let (p_tiles, d_tiles) = (Tiles::new(q, kt), Tiles::new(dz, vt));
        let [rows, cols] = p_tiles.panels();
        for i in 0..rows {
            let row = i * LEFT;
            let first = one.head.seen(start + row).start;
            let last = one.head.seen((start + row + LEFT).min(end) - 1).end;
            for j in 0..cols {
                let (depth, col) = (end - start, j * RIGHT);
                let key = place.keys.start + col;
                if key < last && key + RIGHT > first {
                    p_tiles.make(&mut p, [i, j]);
                    d_tiles.make(&mut d, [i, j]);
                    let scores = one.scores(inner, place, col);
                    combine(&mut p, &mut d, &scores, d_bias);
                    spread(&p, &d, [&ds, &ds_t, &p_t], q.precision(), depth);
                }
            }
        }
    }

    /// dS, dSᵀ and Pᵀ as they were filled for `place`.
    pub(super) fn operands(&self, precision: Precision, place: &Place) -> [Left<'_>; 3] {
        let (queries, keys) = (place.queries.len(), place.keys.len());
        let stride = precision.words(KEYS);
        let ds = Rows::new(self.ds.words(), precision, [queries, keys], stride);
        let [ds_t, p_t] = [&self.ds_t, &self.p_t]
            .map(|block| Left::in_panels(block.words(), precision, keys, queries));
        [ds.into(), ds_t, p_t]
    }
}

multiversion! {
    /// Tiles of P and dS into the layouts, which nobody else touches.
    fn spread(p: &Tile, d: &Tile, out: [&Parts<'_, u32>; 3], precision: Precision, depth: usize) {
        // SAFETY: one thread writes one block, tile after tile.
        unsafe {
            d.to_rows::<BF16>(out[0], precision, precision.words(KEYS));
            d.to_columns::<BF16>(out[1], precision, depth);
            p.to_columns::<BF16>(out[2], precision, depth);
        }
    }
}

/// The numbers of the queries of a block, and where a tile's columns stand among the keys.
struct Scores<'a> {
    scale: f32,
    /// log Σ exp and rowsum(dz∘z) of each query of the block.
    log_sum: &'a [f32],
    inner: &'a [f32],
    /// The tile's columns that the block's first query sees; each later one sees those `step` further on. They may lie
    /// outside of the tile.
    seen: Range<isize>,
    step: isize,
    /// The numbers by distance, and the place among them of the first query's first column, which may lie outside.
    bias: Option<(&'a [f32], isize)>,
    /// The mask, the index of the first query's first column, and the step from query to query.
    dropout: Option<(Mask, u64, u64)>,
}

impl HeadGradient<'_> {
    /// For the tiles of the block at `place` whose columns begin at `col` of it.
    fn scores<'a>(&'a self, inner: &'a [f32], place: &Place, col: usize) -> Scores<'a> {
        let (head, queries) = (&self.head, place.queries.clone());
        let first = place.keys.start + col;
        let (queries_all, keys) = (head.q.rows, head.k.rows);
        // The last column of a window may lie before the first key, where `Sees::keys` cuts it off.
        let end = head.seen(queries.start).end as isize - first as isize;
        let (seen, step) = match head.sees {
            Sees::All => (0..keys as isize - first as isize, 0),
            Sees::Past => (isize::MIN / 2..end, 1),
            Sees::Window(width) => (end - (width.min(keys + queries_all)) as isize..end, 1),
        };
        Scores {
            scale: head.scale,
            log_sum: &self.log_sum[queries.clone()],
            inner: &inner[queries.clone()],
            seen,
            step,
            bias: head.bias.map(|(numbers, zero)| {
                let own = keys - queries_all + queries.start;
                (numbers, zero as isize + first as isize - own as isize)
            }),
            dropout: self.head.dropout.map(|(mask, plane)| {
                let index = plane + (queries.start * keys + first) as u64;
                (mask, index, keys as u64)
            }),
        }
    }
}

/// The first column of a tile that has a number, and that number's place, where column 0's would be at `at`.
#[inline(always)]
fn beginning(at: isize) -> [usize; 2] {
    [(-at).clamp(0, RIGHT as isize) as usize, at.max(0) as usize]
}

multiversion! {
    /// Scores `p` and dP `d` of one tile become P∘mask and dS = scale·P∘(dP∘mask − inner); dS/scale is added to
    /// `d_bias` by distance.
    fn combine(p: &mut Tile, d: &mut Tile, scores: &Scores<'_>, d_bias: &mut [f32]) {
        let Scores { scale, log_sum, inner, ref seen, step, bias, dropout } = *scores;
        for ((row, p), (_, d)) in p.lines_mut().zip(d.lines_mut()) {
            let (log_sum, inner) = (log_sum[row], inner[row]);
            // Where the row's bias begins.
            let [column, place] = bias.map_or([RIGHT, 0], |(_, at)| beginning(at - row as isize));
            if let Some((numbers, _)) = bias {
                let numbers = numbers.get(place..).unwrap_or_default();
                for (x, bias) in p[column..].iter_mut().zip(numbers) {
                    *x += bias / scale;
                }
            }
            for x in p.iter_mut() {
                *x = exp::<FUSED>(*x * scale - log_sum);
            }
            let [start, end] = [seen.start, seen.end]
                .map(|x| (x + row as isize * step).clamp(0, RIGHT as isize) as usize);
            p[..start].fill(0.0);
            p[end..].fill(0.0);
            let mask = dropout.map(|(mask, first, step)| (mask, first + row as u64 * step));
            if let Some((mask, index)) = mask {
                crate::dropout::apply(d, mask, index);
            }
            // Where nothing is seen d may be anything, infinities included.
            for (d, &p) in d.iter_mut().zip(&*p) {
                *d = if p == 0.0 { 0.0 } else { scale * p * (*d - inner) };
            }
            let sums = d_bias.get_mut(place..).unwrap_or_default();
            for (sum, d) in sums.iter_mut().zip(&d[column..]) {
                *sum += d / scale;
            }
            if let Some((mask, index)) = mask {
                crate::dropout::apply(p, mask, index);
            }
        }
        p.clear_outside();
        d.clear_outside();
    }
}
