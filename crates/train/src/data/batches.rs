//! Windows of a shard: at random places for training, side by side for evaluation.

use glassformer_kernels::random;

use super::error::DataError;
use super::shards::{READ_ONLY, Shard};

/// Sets the places of windows apart from other random numbers of the same seed: "data" in ASCII.
const PURPOSE: u64 = 0x6461_7461;

/// Training batches as nanoGPT samples them: each row a window of `context` tokens from a uniformly
/// random place, its targets the same window one token later.
///
/// Batch number `index` depends on the seed and the index alone, so a run is resumed by its number.
#[derive(Clone, Debug)]
pub struct Batches {
    shard: Shard,
    context: usize,
    batch_size: usize,
    key: u64,
}

impl Batches {
    /// Batches of `batch_size` × `context` tokens.
    ///
    /// # Errors
    /// [`DataError::TooShort`] if the shard does not hold a context and the token after it.
    pub fn new(
        shard: Shard,
        context: usize,
        batch_size: usize,
        seed: u64,
    ) -> Result<Self, DataError> {
        long_enough(&shard, context)?;
        Ok(Self {
            shard,
            context,
            batch_size,
            key: random::derive(seed, PURPOSE),
        })
    }

    /// Tokens in one batch: `batch_size` × `context`.
    pub fn tokens(&self) -> usize {
        self.batch_size * self.context
    }

    /// Tokens of a row.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Tokens of the whole text.
    pub fn corpus(&self) -> usize {
        self.shard.len()
    }

    /// Whether some targets may not be asked for.
    pub fn is_marked(&self) -> bool {
        self.shard.is_marked()
    }

    /// Fills batch number `index`: inputs `x` and targets `y`, both \[B, T\] of ids.
    pub fn batch(&self, index: u64, x: &mut [u32], y: &mut [u32]) {
        assert_eq!(
            (x.len(), y.len()),
            (self.tokens(), self.tokens()),
            "x and y are [B, T]"
        );
        let starts = (self.shard.len() - self.context) as u128;
        let rows = x
            .chunks_exact_mut(self.context)
            .zip(y.chunks_exact_mut(self.context));
        let first = index.wrapping_mul(self.batch_size as u64);
        for (row, (x, y)) in (0..).zip(rows) {
            // The upper half of the product is uniform in 0..starts.
            let bits = u128::from(random::bits(self.key, first.wrapping_add(row)));
            window(&self.shard, ((bits * starts) >> 64) as usize, x, y);
        }
    }
}

/// Evaluation batches: windows that do not overlap, spread evenly over the shard, always the same.
#[derive(Clone, Debug)]
pub struct Windows {
    shard: Shard,
    context: usize,
    batch_size: usize,
    rows: usize,
}

impl Windows {
    /// Batches of up to `batch_size` × `context` tokens, at most `max_batches` of them; with `None`, all
    /// the shard but a rest shorter than a context.
    ///
    /// # Errors
    /// [`DataError::TooShort`] if the shard does not hold a context and the token after it.
    pub fn new(
        shard: Shard,
        context: usize,
        batch_size: usize,
        max_batches: Option<usize>,
    ) -> Result<Self, DataError> {
        long_enough(&shard, context)?;
        let all = (shard.len() - 1) / context;
        let rows = max_batches.map_or(all, |most| all.min(most.saturating_mul(batch_size)));
        Ok(Self {
            shard,
            context,
            batch_size,
            rows,
        })
    }

    /// Number of batches.
    pub fn len(&self) -> usize {
        self.rows.div_ceil(self.batch_size)
    }

    /// Tokens in a full batch: `batch_size` × `context`.
    pub fn tokens(&self) -> usize {
        self.batch_size * self.context
    }

    /// No batches? (Only where none were asked for.)
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Fills batch number `index` and gives its rows B′: inputs `x[..B′·T]` and targets `y[..B′·T]`.
    /// All batches but the last have `batch_size` rows. Panics beyond the last.
    pub fn batch(&self, index: usize, x: &mut [u32], y: &mut [u32]) -> usize {
        assert!(index < self.len(), "batch {index} of {}", self.len());
        let first = index * self.batch_size;
        let rows = self.batch_size.min(self.rows - first);
        let all = (self.shard.len() - 1) / self.context;
        let windows = x
            .chunks_exact_mut(self.context)
            .zip(y.chunks_exact_mut(self.context));
        for (n, (x, y)) in windows.take(rows).enumerate() {
            let place = (first + n) as u128 * all as u128 / self.rows as u128;
            window(&self.shard, place as usize * self.context, x, y);
        }
        rows
    }
}

/// Inputs from `start` on, targets one later; of these some may not be asked for ([`super::is_asked`]).
fn window(shard: &Shard, start: usize, x: &mut [u32], y: &mut [u32]) {
    shard.copy_to(start, x);
    for id in x.iter_mut() {
        *id &= !READ_ONLY;
    }
    shard.copy_to(start + 1, y);
}

fn long_enough(shard: &Shard, context: usize) -> Result<(), DataError> {
    assert!(context > 0, "a context of no tokens");
    if shard.len() > context {
        return Ok(());
    }
    Err(DataError::TooShort {
        part: shard.name().to_owned(),
        needs: context + 1,
        has: shard.len(),
    })
}
