//! Weights that are not numbers: a model that has some answers with nonsense, and its user should hear why.

use std::sync::atomic::{AtomicBool, Ordering};

use glassformer_kernels::Pool;

use crate::{DataType, TensorSource, WeightsError};

/// Bytes that one thread looks at in one go, about.
const PIECE: usize = 1 << 18;

/// Whether the bytes of a tensor hold no NaN and no infinity, as [`DataType::is_finite`], by all threads.
pub fn is_finite(data_type: DataType, bytes: &[u8], pool: &Pool) -> bool {
    let Some((_, piece)) = data_type.piece() else {
        return true;
    };
    let finite = AtomicBool::new(true);
    pool.split((bytes, PIECE.next_multiple_of(piece)), |_, bytes| {
        if finite.load(Ordering::Relaxed) && !data_type.is_finite(bytes) {
            finite.store(false, Ordering::Relaxed);
        }
    });
    finite.into_inner()
}

/// The first tensor, by name, that holds a NaN or an infinity, for the caller to warn of. Reads everything, as fast as it
/// can be read: of blocks only the scales.
pub fn first_not_finite(
    source: &dyn TensorSource,
    pool: &Pool,
) -> Result<Option<String>, WeightsError> {
    for name in source.names() {
        let data_type = source.require(&name)?.data_type;
        if !is_finite(data_type, source.bytes(&name)?, pool) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
