//! The mean of a run's checkpoints: each parameter the mean of what it was at several moments.
//!
//! Near the end of a run the parameters wander about a valley's floor; their mean lies lower than most of them. Vaswani et
//! al. 2017, §6.1, average the last 5 or 20 checkpoints; Izmailov et al. 2018 say why it helps.

use std::path::Path;

use crate::TrainError;
use crate::checkpoint::{self, Checkpoints};

/// Which checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest so many.
    Last(usize),
    /// The so many with the lowest validation loss.
    Best(usize),
}

/// The mean of some checkpoints.
#[derive(Clone, Debug)]
pub struct Average {
    /// Of all parameters, in the order of the model's arena.
    pub parameters: Vec<f32>,
    /// The steps of the checkpoints, rising.
    pub steps: Vec<u64>,
}

/// The mean over checkpoints of the run in `folder`; that of step 0, which has learned nothing, is never among them.
///
/// # Errors
/// [`TrainError::TooFewCheckpoints`]; [`TrainError::Average`] for adapters and for checkpoints of different models; and as
/// reading a checkpoint.
pub fn average(folder: &Path, which: Which) -> Result<Average, TrainError> {
    let mut found = Checkpoints::of(folder).list();
    found.retain(|(step, _)| *step > 0);
    let wanted = match which {
        Which::Last(wanted) | Which::Best(wanted) => wanted.max(1),
    };
    if let Which::Best(_) = which {
        let mut losses = Vec::new();
        for (step, path) in found {
            if let Some(loss) = checkpoint::progress(&path)?.val_loss {
                losses.push((loss, step, path));
            }
        }
        losses.sort_by(|a, b| b.0.total_cmp(&a.0));
        found = losses
            .into_iter()
            .map(|(_, step, path)| (step, path))
            .collect();
    }
    if found.len() < wanted {
        return Err(TrainError::TooFewCheckpoints {
            path: folder.to_owned(),
            has: found.len(),
            wanted,
        });
    }
    let mut chosen = found.split_off(found.len() - wanted);
    chosen.sort();
    let mut sums: Vec<f64> = Vec::new();
    for (_, path) in &chosen {
        let refuse = |why: &str| TrainError::Average {
            path: path.clone(),
            why: why.to_owned(),
        };
        if crate::adapter::is_adapter(path) {
            // A·B of means is not the mean of A·B.
            return Err(refuse("is an adapter, of which a mean means nothing"));
        }
        let model = checkpoint::read_model(path)?;
        let arena = model.parameters.arena();
        if sums.is_empty() {
            sums.resize(arena.len(), 0.0);
        }
        if sums.len() != arena.len() {
            return Err(refuse("has other sizes than the checkpoints before"));
        }
        sums.iter_mut()
            .zip(arena)
            .for_each(|(sum, &x)| *sum += f64::from(x));
    }
    let count = chosen.len() as f64;
    Ok(Average {
        parameters: sums.into_iter().map(|sum| (sum / count) as f32).collect(),
        steps: chosen.into_iter().map(|(step, _)| step).collect(),
    })
}
