//! From sources to targets: an encoder–decoder writes several translations of several sentences side by side.
//!
//! The encoder reads each source once. Then the decoder reads the last id of every hypothesis at each step, and each sentence
//! says what it goes on with: of a search for the likeliest, the best few ([`Beams`]; the likeliest alone is one beam), or
//! ids that are drawn ([`Samples`]). A sentence that is done leaves the batch.

mod beams;
mod penalty;
mod samples;
mod scores;
mod search;

use std::sync::{Mutex, PoisonError};

use glassformer_model::{Lengths, Mode, Model, PairCache, Pass, Run};
use glassformer_tensor::{Buffers, Pool};

use beams::Beams;
pub use penalty::LengthPenalty;
use samples::Samples;
use scores::Scores;
pub use search::{BATCH, Ids, Longest, Search, SearchError, Stopping, Way};

/// A target, whole or as far as was allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Without the id that it begins with and the one that ended it.
    pub ids: Vec<u32>,
    /// Its log-probability divided by what [`LengthPenalty`] says.
    pub score: f64,
    /// ln P(ids and end | source), natural logarithm; ids that were forced count as certain.
    pub log_prob: f64,
    /// Whether it came to its end before the longest length.
    pub is_ended: bool,
}

/// What one step says to one sentence.
struct Step<'a> {
    scores: Scores<'a>,
    ids: &'a Ids,
    /// The row of the sentence's first hypothesis.
    first: usize,
    /// Ids that its hypotheses have so far.
    written: usize,
    /// Ids that they may have.
    most: usize,
}

impl Step<'_> {
    /// The id that must come now, if one must.
    fn forced(&self) -> Option<u32> {
        let is_last = self.written + 1 == self.most;
        let first = self.ids.forced_first.filter(|_| self.written == 0);
        first.or(self.ids.forced_last.filter(|_| is_last))
    }
}

/// A sentence that is being translated.
enum Sentence {
    Beams(Beams),
    Samples(Samples),
}

impl Sentence {
    fn new(search: &Search) -> Self {
        match search.way {
            Way::Beams { width, stopping } => {
                Self::Beams(Beams::new(width, stopping, search.penalty))
            }
            Way::Sampling(sampling) => {
                Self::Samples(Samples::new(search.n_best, sampling, search.penalty))
            }
        }
    }

    /// Takes a step; gives what goes on: of each hypothesis which one it was, counted from the sentence's first, and the id
    /// that it reads next. Nothing, when the sentence is done.
    fn step(&mut self, step: &Step<'_>) -> Vec<(usize, u32)> {
        match self {
            Self::Beams(beams) => beams.step(step),
            Self::Samples(samples) => samples.step(step),
        }
    }

    /// The finished hypotheses, the best first.
    fn finished(self) -> Vec<Hypothesis> {
        match self {
            Self::Beams(beams) => beams.finished,
            Self::Samples(samples) => samples.finished(),
        }
    }
}

/// A sentence, its rows in the next pass, and the ids that it may have.
struct InBatch {
    sentence: Sentence,
    rows: usize,
    most: usize,
}

/// Sentences that are translated side by side.
struct Batch {
    sentences: Vec<InBatch>,
    /// What each row of the next pass reads.
    reads: Vec<u32>,
    /// Ids that every running hypothesis has.
    written: usize,
}

impl Batch {
    fn new(model: &Model, sources: &[&[u32]], search: &Search) -> Self {
        let room = model.dimensions().n_ctx;
        let sentence = |source: &&[u32]| InBatch {
            sentence: Sentence::new(search),
            rows: 1,
            most: search.longest.of(source.len()).clamp(1, room),
        };
        Self {
            sentences: sources.iter().map(sentence).collect(),
            reads: vec![search.ids.start; sources.len()],
            written: 0,
        }
    }

    /// All sentences take a step, each on some thread; of each hypothesis that goes on, the one that it was.
    fn step(&mut self, pool: &Pool, scores: Scores<'_>, ids: &Ids) -> Vec<usize> {
        let (mut tasks, mut first) = (Vec::new(), 0);
        for one in self.sentences.iter_mut().filter(|one| one.rows > 0) {
            let step = Step {
                scores,
                ids,
                first,
                written: self.written,
                most: one.most,
            };
            first += one.rows;
            // Nobody waits for it: each is taken once.
            tasks.push(Mutex::new((one, step, Vec::new())));
        }
        pool.each(tasks.len(), |i| {
            let mut task = tasks[i].lock().unwrap_or_else(PoisonError::into_inner);
            let (one, step, next) = &mut *task;
            *next = one.sentence.step(step);
        });
        let mut parents = Vec::new();
        self.reads.clear();
        for task in tasks {
            let (one, step, next) = task.into_inner().unwrap_or_else(PoisonError::into_inner);
            parents.extend(next.iter().map(|(parent, _)| step.first + parent));
            self.reads.extend(next.iter().map(|(_, id)| id));
            one.rows = next.len();
        }
        self.written += 1;
        parents
    }
}

/// For each of `sources` (ids, with what the model wants around them) its best translations, at most `search.n_best`, the
/// best first. A sentence is translated as it would be alone; sentences of like length go side by side, as they take about as
/// many steps.
///
/// # Errors
/// [`SearchError`]: the model is no encoder–decoder, or something cannot be searched for or read.
pub fn translate(
    model: &Model,
    pool: &Pool,
    sources: &[&[u32]],
    search: &Search,
) -> Result<Vec<Vec<Hypothesis>>, SearchError> {
    search.check(model)?;
    search::check_sources(model, sources)?;
    let buffers = Buffers::rounding_up();
    let mut by_length: Vec<usize> = (0..sources.len()).collect();
    // The longest first: memory that served for them serves for the others.
    by_length.sort_by_key(|&i| std::cmp::Reverse(sources[i].len()));
    let mut found = vec![Vec::new(); sources.len()];
    for places in by_length.chunks(search.batch.max(1)) {
        let sources: Vec<&[u32]> = places.iter().map(|&i| sources[i]).collect();
        for (&i, best) in places.iter().zip(side_by_side(
            model,
            model.run(pool, &buffers),
            &sources,
            search,
        )) {
            found[i] = best;
        }
    }
    Ok(found)
}

/// The best translations of sentences that step together.
fn side_by_side(
    model: &Model,
    run: Run<'_>,
    sources: &[&[u32]],
    search: &Search,
) -> Vec<Vec<Hypothesis>> {
    let lengths = Lengths::of(sources.iter().map(|source| source.len()));
    let mut cache = model.encode(run, &sources.concat(), lengths);
    let mut batch = Batch::new(model, sources, search);
    while !batch.reads.is_empty() {
        let lengths = Lengths::Equal {
            batch: batch.reads.len(),
            positions: 1,
        };
        let mut pass = Pass::over(run, lengths, Mode::CachedPair(&mut cache));
        let logits = model.logits(&mut pass, &batch.reads);
        let scores = Scores::new(logits.tensor().data(), model.dimensions().vocab);
        let parents = batch.step(run.pool, scores, &search.ids);
        pass.finish();
        go_on(&mut cache, &parents);
    }
    let best = |one: InBatch| {
        let mut best = one.sentence.finished();
        best.truncate(search.n_best);
        best
    };
    batch.sentences.into_iter().map(best).collect()
}

/// The cache for the hypotheses that go on, where they are not all as they were.
fn go_on(cache: &mut PairCache, parents: &[usize]) {
    let is_same = parents.iter().copied().eq(0..cache.hypotheses());
    if !parents.is_empty() && !is_same {
        cache.select(parents);
    }
}

/// For each of `sources` the ids that an encoder–decoder writes when it always takes the likeliest, at most `most`.
///
/// # Panics
/// When the model is no encoder–decoder, or one that does not say with which id it begins, or a source cannot be read.
pub fn greedy(model: &Model, pool: &Pool, sources: &[&[u32]], most: usize) -> Vec<Vec<u32>> {
    let search = Search::greedy(Ids::of(model).expect("a first id"), Longest::Ids(most));
    let found = translate(model, pool, sources, &search).expect("sources for the model");
    let best = |mut found: Vec<Hypothesis>| found.swap_remove(0).ids;
    found.into_iter().map(best).collect()
}
