//! Translations by the likeliest token, many at a time.

use glassformer_model::{Lengths, Mode, Model, Pass};
use glassformer_tensor::{Buffers, Pool};

/// For each of `sources` (ids, with what the model wants around them, none of them empty) the ids that an encoder–decoder
/// writes when it always takes the likeliest: without the first, which it is given, and without its end, at most `most`.
///
/// # Panics
/// When the model is no encoder–decoder, or one that does not say with which id it begins.
pub fn greedy(model: &Model, pool: &Pool, sources: &[&[u32]], most: usize) -> Vec<Vec<u32>> {
    let mut written = vec![Vec::new(); sources.len()];
    if sources.is_empty() {
        return written;
    }
    let marks = model.network.pair().expect("an encoder–decoder").marks();
    let start = marks.start.expect("a first id");
    let buffers = Buffers::rounding_up();
    let run = model.run(pool, &buffers);
    let lengths = Lengths::of(sources.iter().map(|source| source.len()));
    let mut cache = model.encode(run, &sources.concat(), lengths);
    // Which source each row of a pass writes for, and the id that it reads.
    let mut rows: Vec<(usize, u32)> = (0..sources.len()).map(|source| (source, start)).collect();
    for _ in 0..most.min(model.dimensions().n_ctx) {
        let ids: Vec<u32> = rows.iter().map(|(_, id)| *id).collect();
        let lengths = Lengths::Equal {
            batch: rows.len(),
            positions: 1,
        };
        let mut pass = Pass::over(run, lengths, Mode::CachedPair(&mut cache));
        let logits = model.logits(&mut pass, &ids);
        let vocab = model.dimensions().vocab;
        let mut going = Vec::new();
        for (row, logits) in logits.tensor().data().chunks_exact(vocab).enumerate() {
            let id = likeliest(logits, marks.pad);
            if Some(id) != marks.end {
                written[rows[row].0].push(id);
                going.push((row, id));
            }
        }
        pass.finish();
        if going.is_empty() {
            break;
        }
        if going.len() < rows.len() {
            cache.select(&going.iter().map(|(row, _)| *row).collect::<Vec<_>>());
        }
        rows = going.iter().map(|&(row, id)| (rows[row].0, id)).collect();
    }
    written
}

/// The id with the highest logit, the first of several; padding is never written.
fn likeliest(logits: &[f32], pad: Option<u32>) -> u32 {
    let ids = (0u32..).zip(logits).filter(|(id, _)| Some(*id) != pad);
    let best = ids.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map_or(0, |(id, _)| id)
}
