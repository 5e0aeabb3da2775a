//! How products of queries and keys become scores: the scale, and what is added by distance.
//!
//! T5's bias (Raffel et al. 2020, §2.1): score[h,t,s] += B[bucket(s − t), h], B [buckets,H], the same table in all blocks of
//! a stack. Small distances have a bucket each; larger ones share them, in steps that grow with the logarithm up to the
//! `farthest`. Where keys behind the query are seen too, they have half of the buckets for themselves. Derivative:
//! dB[bucket(d), h] += Σ of the scores' gradients at distance d.

use glassformer_kernels::attention::{Bias, usual_scale};
use glassformer_tensor::{Ids, Tensor};

use crate::{Gradients, ParamId, Run};

/// The scale and the bias.
#[derive(Clone, Copy, Debug)]
pub struct Scoring {
    /// By what products are multiplied.
    pub scale: f32,
    /// What is added then.
    pub bias: Option<RelativeBias>,
}

impl Scoring {
    /// q·k/√E alone.
    pub fn usual(d_head: usize) -> Self {
        Self {
            scale: usual_scale(d_head),
            bias: None,
        }
    }
}

/// T5's bias by distance.
#[derive(Clone, Copy, Debug)]
pub struct RelativeBias {
    /// B [buckets,H].
    pub table: ParamId,
    /// Its rows.
    pub buckets: usize,
    /// From this distance on all share the last bucket.
    pub farthest: usize,
    /// Whether queries see the keys behind them.
    pub both_ways: bool,
}

impl RelativeBias {
    /// The bucket of a key that stands `distance` behind its query, or before it where that is negative.
    pub fn bucket(&self, distance: isize) -> usize {
        let (buckets, first) = match (self.both_ways, distance > 0) {
            (true, true) => (self.buckets / 2, self.buckets / 2),
            (true, false) => (self.buckets / 2, 0),
            (false, _) => (self.buckets, 0),
        };
        let near = if self.both_ways || distance < 0 {
            distance.unsigned_abs()
        } else {
            0
        };
        let exact = buckets / 2;
        if near < exact {
            return first + near;
        }
        let steps = (near as f32 / exact as f32).ln() / (self.farthest as f32 / exact as f32).ln();
        let far = exact + (steps * (buckets - exact) as f32) as usize;
        first + far.min(buckets - 1)
    }

    /// The bucket of each distance between −(S−1) and S−1, for up to `keys` keys.
    fn places(&self, run: Run<'_>, keys: usize) -> Ids {
        let most = keys as isize - 1;
        let buckets = (0..2 * keys - 1).map(|i| self.bucket(i as isize - most) as u32);
        Ids::new(run.buffers, buckets)
    }

    /// The numbers by distance for up to `keys` keys: [H,2S−1], distance 0 at S−1.
    pub(crate) fn numbers(&self, run: Run<'_>, heads: usize, keys: usize) -> Tensor {
        let places = self.places(run, keys);
        let mut rows = run.tensor(&[places.len(), heads]);
        run.parameters
            .gather(run.pool, rows.data_mut(), self.table, &places);
        let mut numbers = run.tensor(&[heads, places.len()]);
        for (h, numbers) in numbers
            .data_mut()
            .chunks_exact_mut(places.len())
            .enumerate()
        {
            let column = rows.data().iter().skip(h).step_by(heads);
            numbers
                .iter_mut()
                .zip(column)
                .for_each(|(to, from)| *to = *from);
        }
        numbers
    }

    /// Adds the table's gradient, given that of the numbers for each sequence [B,H,2S−1].
    pub(crate) fn add_gradient(
        &self,
        run: Run<'_>,
        d_numbers: &[f32],
        [heads, keys]: [usize; 2],
        gradients: &mut Gradients,
    ) {
        let Some(d_table) = gradients.get_mut(run.pool, self.table) else {
            return;
        };
        let places = self.places(run, keys);
        for (i, row) in d_numbers.chunks_exact(places.len()).enumerate() {
            for (&bucket, d) in places.iter().zip(row) {
                d_table[bucket as usize * heads + i % heads] += d;
            }
        }
    }
}

/// Numbers [H,2S−1] as kernels take them.
pub(crate) fn as_bias(numbers: &Tensor) -> Bias<'_> {
    let width = numbers.width();
    Bias {
        table: numbers.data(),
        width,
        zero: width / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::RelativeBias;
    use crate::{Init, Layout};

    /// What transformers' `T5Attention._relative_position_bucket` gives with 32 buckets and a distance of 128.
    #[test]
    fn buckets_are_those_of_transformers() {
        let table = Layout::default().add("B", &[32, 1], Init::Zeros);
        let of = |both_ways, distances: &[isize]| -> Vec<usize> {
            let bias = RelativeBias {
                table,
                buckets: 32,
                farthest: 128,
                both_ways,
            };
            distances.iter().map(|&d| bias.bucket(d)).collect()
        };
        let distances = [
            -200, -100, -40, -17, -8, -7, -1, 0, 1, 7, 8, 12, 23, 64, 200,
        ];
        let both = [15, 15, 12, 10, 8, 7, 1, 0, 17, 23, 24, 25, 27, 30, 31];
        assert_eq!(of(true, &distances), both);
        let past = [31, 30, 23, 16, 8, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(of(false, &distances), past);
    }
}
