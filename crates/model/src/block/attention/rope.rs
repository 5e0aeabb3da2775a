//! Rotary position embedding of queries and keys (Su et al. 2021).
//!
//! In qkv [N,(H+2K)·E] each head's q and k is turned by its position's angles; v passes. Saved: nothing: the
//! derivative is the rotation back. The equation is in `glassformer_kernels::rope`.

use std::f32::consts::PI;
use std::fmt;
use std::sync::{Arc, OnceLock};

use glassformer_kernels::product::{Precision, pack};
use glassformer_kernels::rope;
use glassformer_tensor::{Ids, Pool, Tensor};

use crate::block::attention::Heads;
use crate::{Backward, Gradients, Layer, Run};

/// Positions whose angles are computed together when the first of them is met.
const CHUNK: usize = 256;

/// How a model was made to reach further than it was trained.
#[derive(Clone, Debug, PartialEq)]
pub enum Stretch {
    /// Not at all.
    None,
    /// All frequencies divided by this (Chen et al. 2023).
    Linear(f32),
    /// Low frequencies divided, high ones kept.
    ByWavelength {
        /// By what low ones are divided.
        factor: f32,
        /// Wavelengths longer than the context divided by this are low.
        low: f32,
        /// Wavelengths shorter than the context divided by this are high.
        high: f32,
        /// The context it was trained with.
        context: f32,
    },
    /// The frequency of each pair divided by a number of its own [E/2].
    Each(Arc<[f32]>),
}

/// The angles of all positions; cloning shares them.
#[derive(Clone)]
pub struct Rope(Arc<Table>);

struct Table {
    /// Of each pair of a head, in radians per position [E/2].
    frequencies: Vec<f32>,
    /// cos, then sin, of CHUNK positions [CHUNK,2,E/2], for each chunk of the context.
    chunks: Vec<OnceLock<Box<[f32]>>>,
}

impl Rope {
    /// Frequency of pair i: `base`^(−2i/E), stretched; for up to `n_ctx` positions.
    pub fn new(d_head: usize, base: f32, stretch: &Stretch, n_ctx: usize) -> Self {
        let plain = |i: usize| 1.0 / base.powf((2 * i) as f32 / d_head as f32);
        let pairs = (0..d_head / 2).map(|i| stretch.apply(i, plain(i)));
        let frequencies = pairs.collect();
        let chunks = (0..n_ctx.div_ceil(CHUNK)).map(|_| OnceLock::new());
        Self(Arc::new(Table {
            frequencies,
            chunks: chunks.collect(),
        }))
    }

    /// cos and sin of the angles at `position`, each [E/2].
    fn angles(&self, position: usize) -> (&[f32], &[f32]) {
        let Table {
            frequencies,
            chunks,
        } = &*self.0;
        let half = frequencies.len();
        let chunk = chunks[position / CHUNK].get_or_init(|| {
            let first = position / CHUNK * CHUNK;
            let angles = |t: usize| frequencies.iter().map(move |f| (first + t) as f32 * f);
            let rows =
                (0..CHUNK).flat_map(|t| angles(t).map(f32::cos).chain(angles(t).map(f32::sin)));
            rows.collect()
        });
        chunk[position % CHUNK * 2 * half..][..2 * half].split_at(half)
    }

    /// Of each pair of a head, in radians per position `[E/2]`.
    pub fn frequencies(&self) -> &[f32] {
        &self.0.frequencies
    }

    /// cos and sin of the angle by which pair `i` of a head, its numbers i and i + E/2, is turned at `position`.
    pub fn angle(&self, position: usize, i: usize) -> (f32, f32) {
        let (cos, sin) = self.angles(position);
        (cos[i], sin[i])
    }

    /// Turns the q and k of each row in place, or back.
    fn turn(&self, pool: &Pool, qkv: &mut Tensor, heads: Heads, positions: &[u32], back: bool) {
        let (width, turned) = (qkv.width(), heads.width() + heads.kv_width());
        pool.rows(qkv.data_mut(), width, 8, |first, rows| {
            let rows = rows.chunks_exact_mut(width).zip(&positions[first..]);
            for (row, &position) in rows {
                let (cos, sin) = self.angles(position as usize);
                rope::rotate(&mut row[..turned], cos, sin, back);
            }
        });
    }
}

impl fmt::Debug for Rope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rope({} pairs)", self.0.frequencies.len())
    }
}

impl Stretch {
    /// For people, behind the base of the frequencies.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Linear(factor) => format!(", stretched {factor} times"),
            Self::ByWavelength { factor, .. } => {
                format!(", low frequencies stretched {factor} times")
            }
            Self::Each(factors) => {
                let most = factors.iter().copied().fold(1.0, f32::max);
                format!(", each stretched in its own way, up to {most} times")
            }
        }
    }

    /// The stretched frequency of pair i.
    fn apply(&self, i: usize, frequency: f32) -> f32 {
        match *self {
            Self::None => frequency,
            Self::Linear(factor) => frequency / factor,
            Self::Each(ref factors) => frequency / factors[i],
            Self::ByWavelength {
                factor,
                low,
                high,
                context,
            } => {
                let wavelength = 2.0 * PI / frequency;
                if wavelength < context / high {
                    frequency
                } else if wavelength > context / low {
                    frequency / factor
                } else {
                    // Between the two, in proportion.
                    let smooth = (context / wavelength - low) / (high - low);
                    (1.0 - smooth) * frequency / factor + smooth * frequency
                }
            }
        }
    }
}

/// One call: the rows' positions, and what the turned rows are kept in.
#[derive(Clone, Debug)]
pub struct Rotate {
    /// The angles.
    pub rope: Rope,
    /// Which columns are q and k.
    pub heads: Heads,
    /// Of each row.
    pub positions: Ids,
    /// What the output is kept in.
    pub kept: Precision,
}

impl Layer<1> for Rotate {
    type Saved = ();

    fn forward(&self, run: Run<'_>, [qkv]: [&Tensor; 1]) -> (Tensor, ()) {
        let mut turned = qkv.copy(run.buffers);
        self.rope
            .turn(run.pool, &mut turned, self.heads, &self.positions, false);
        if self.kept == Precision::F32 {
            return (turned, ());
        }
        let mut rounded = run.in_precision(self.kept, qkv.shape());
        pack::rows(run.pool, rounded.words_mut(), self.kept, turned.as_rows());
        (rounded, ())
    }

    fn backward(
        &self,
        run: Run<'_>,
        call: Backward<'_, (), 1>,
        _gradients: &mut Gradients,
    ) -> [Tensor; 1] {
        let dy = call.d_output;
        let mut dx = run.tensor(dy.shape());
        let rows = dy.as_rows();
        run.pool.rows(dx.data_mut(), dy.width(), 8, |first, out| {
            for (r, out) in out.chunks_exact_mut(dy.width()).enumerate() {
                rows.read(first + r, out);
            }
        });
        self.rope
            .turn(run.pool, &mut dx, self.heads, &self.positions, true);
        [dx]
    }
}
