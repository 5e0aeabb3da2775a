//! What the targets do with what comes in.

pub mod config;
pub mod tokens;

use glassformer_kernels::Pool;
use glassformer_weights::{TensorSource, WeightsError, first_not_finite};

/// Reads all tensors in every way, if there is a file; looks at the message, if there is none.
pub fn read_everything<S: TensorSource>(opened: Result<S, WeightsError>) {
    let file = match opened {
        Ok(file) => file,
        Err(error) => {
            let line = error.to_string();
            assert!(!line.contains('\n'), "{line}");
            return;
        }
    };
    for name in file.names() {
        // Types without values are an error that is expected.
        let _ = file.load_f32(&name);
    }
    let looked = first_not_finite(&file, &Pool::single());
    assert!(looked.is_ok(), "every tensor listed can be looked at");
}
