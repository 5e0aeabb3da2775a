//! Attention of all heads of a batch (Vaswani et al. 2017, eq. 1): z = softmax(q·kᵀ·scale + mask)·v.
//!
//! Pseudo-code of one head, for queries t and keys s:
//!
//! ```text
//! score[t,s]   = scale · Σₑ q[t,e]·k[s,e]      for the keys that t may look at ([`Sees`]), else −∞
//!                (+ bias[s − t], if there is a [`Bias`])
//! pattern[t,:] = softmax(score[t,:])
//! z[t,e]       = Σₛ pattern[t,s]·v[s,e]
//! ```
//!
//! | file | holds |
//! |---|---|
//! | [`forward`] | whole sequences: online softmax over blocks of keys |
//! | [`backward`] | the gradient, from log Σ exp of each row |
//! | [`decode`] | few queries against a long cache, split over the cache |
//! | [`Kept`] | keys and values as a cache keeps them |
//! | [`open`] | scores and pattern in full, for recorders and edits |
//!
//! Queries and keys may be those of different texts: an encoder's keys for a decoder's queries.
//!
//! Query head h reads key head h·K/H (grouped-query attention, Ainslie et al. 2023; K = H is the classic case).

pub mod backward;
pub mod decode;
pub mod forward;
mod kept;
pub mod open;

use std::ops::Range;

pub use self::kept::{Kept, Number};
use crate::dropout::Mask;
use crate::product::Rows;

/// Sizes of one call.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// B, T and S.
    pub sequences: Sequences<'a>,
    /// Which keys a query looks at.
    pub sees: Sees,
    /// H.
    pub heads: usize,
    /// K, a divisor of H.
    pub kv_heads: usize,
    /// E.
    pub d_head: usize,
    /// By what the products of queries and keys are multiplied; mostly [`usual_scale`].
    pub scale: f32,
}

/// 1/√E.
pub fn usual_scale(d_head: usize) -> f32 {
    1.0 / (d_head as f32).sqrt()
}

/// How the rows of queries and of keys are shared out among the sequences of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Sequences<'a> {
    /// All of one length.
    Equal {
        /// B.
        batch: usize,
        /// T, new positions.
        queries: usize,
        /// S, all positions.
        keys: usize,
    },
    /// One behind the other without padding: row at which each begins, and at last the number of rows [B+1].
    Ragged {
        /// Of the queries.
        queries: &'a [usize],
        /// Of the keys.
        keys: &'a [usize],
    },
}

/// What is added to scores by how far a key stands from its query, the same for all sequences (Raffel et al. 2020, §2.1).
///
/// The last query of a sequence stands at its last key: query t at key S − T + t; S ≥ T.
#[derive(Clone, Copy, Debug)]
pub struct Bias<'a> {
    /// [H,W]: of head h, number `zero + d` is for keys that stand `d` behind the query.
    pub table: &'a [f32],
    /// W.
    pub width: usize,
    /// Where a query's own key is.
    pub zero: usize,
}

impl<'a> Bias<'a> {
    /// Of head `h`.
    fn head(self, h: usize) -> (&'a [f32], usize) {
        (&self.table[h * self.width..][..self.width], self.zero)
    }
}

/// The rows of one sequence.
#[derive(Clone, Debug)]
struct Sequence {
    queries: Range<usize>,
    keys: Range<usize>,
    /// Σ T·S over the sequences before it.
    pairs: usize,
}

impl Sequences<'_> {
    /// B.
    pub fn count(&self) -> usize {
        match *self {
            Self::Equal { batch, .. } => batch,
            Self::Ragged { queries, .. } => queries.len() - 1,
        }
    }

    /// Rows of all queries, and of all keys.
    pub fn rows(&self) -> [usize; 2] {
        match *self {
            Self::Equal {
                batch,
                queries,
                keys,
            } => [batch * queries, batch * keys],
            Self::Ragged { queries, keys } => [queries, keys].map(|x| x[x.len() - 1]),
        }
    }

    /// S of the sequence that has most of them.
    pub fn most_keys(&self) -> usize {
        match *self {
            Self::Equal { keys, .. } => keys,
            Self::Ragged { keys, .. } => {
                let lengths = keys.windows(2).map(|pair| pair[1] - pair[0]);
                lengths.max().unwrap_or(0)
            }
        }
    }

    /// The sequence that row `t` of the queries belongs to.
    fn of_query(&self, t: usize) -> usize {
        match *self {
            Self::Equal { queries, .. } => t / queries,
            Self::Ragged { queries, .. } => queries.partition_point(|&start| start <= t) - 1,
        }
    }

    fn get(&self, b: usize) -> Sequence {
        match *self {
            Self::Equal { queries, keys, .. } => Sequence {
                queries: b * queries..(b + 1) * queries,
                keys: b * keys..(b + 1) * keys,
                pairs: b * queries * keys,
            },
            Self::Ragged { queries, keys } => {
                let len = |x: &[usize], b: usize| x[b + 1] - x[b];
                Sequence {
                    queries: queries[b]..queries[b + 1],
                    keys: keys[b]..keys[b + 1],
                    pairs: (0..b).map(|b| len(queries, b) * len(keys, b)).sum(),
                }
            }
        }
    }

    /// Σ T·S: elements of the patterns of one head.
    pub fn pairs(&self) -> usize {
        let last = self.get(self.count() - 1);
        last.pairs + last.queries.len() * last.keys.len()
    }
}

/// Which keys a query looks at. Where not all, the last query stands at the last key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// All.
    All,
    /// Those up to its own position; S ≥ T.
    Past,
    /// The last of those up to its own position, at most so many (Beltagy et al. 2020, §3.1; Mistral's window).
    Window(usize),
}

impl Sees {
    /// Keys that query `t` of `queries` looks at, of `keys`.
    pub fn keys(self, t: usize, queries: usize, keys: usize) -> Range<usize> {
        match self {
            Self::All => 0..keys,
            Self::Past => 0..keys - queries + t + 1,
            Self::Window(width) => {
                let end = keys - queries + t + 1;
                end.saturating_sub(width)..end
            }
        }
    }

    /// Queries, of `queries`, that look at some of the keys `seen`, of `keys`.
    fn queries(self, seen: Range<usize>, queries: usize, keys: usize) -> Range<usize> {
        let at = |key: usize| key.saturating_sub(keys - queries).min(queries);
        match self {
            Self::All => 0..queries,
            Self::Past => at(seen.start)..queries,
            Self::Window(width) => at(seen.start)..at((seen.end - 1).saturating_add(width)),
        }
    }
}

impl Shape<'_> {
    /// Query heads per key head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Where log Σ exp of the queries of head `h` of a sequence is in an array [ΣT·H], head after head within each
    /// sequence.
    fn sums(&self, sequence: &Sequence, h: usize) -> Range<usize> {
        let Range { start, end } = sequence.queries;
        let first = start * self.heads + h * (end - start);
        first..first + (end - start)
    }
}

/// The three inputs and the dropout mask of the pattern.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// [ΣT, H·E].
    pub q: Rows<'a>,
    /// [ΣS, K·E].
    pub k: Rows<'a>,
    /// [ΣS, K·E].
    pub v: Rows<'a>,
    /// Over the patterns, [H,T,S] of each sequence one behind the other.
    pub dropout: Option<Mask>,
    /// What is added to scores.
    pub bias: Option<Bias<'a>>,
}

/// Rows and columns of head `h` of a sequence in an array of heads side by side.
fn head<'a>(x: Rows<'a>, rows: &Range<usize>, h: usize, e: usize) -> Rows<'a> {
    x.range(rows.start, rows.end).columns(h * e, (h + 1) * e)
}

/// One head of one sequence.
#[derive(Clone, Copy)]
struct Head<'a> {
    sees: Sees,
    scale: f32,
    q: Rows<'a>,
    k: Rows<'a>,
    v: Rows<'a>,
    /// The mask, and the index in it of the pattern's element [0,0].
    dropout: Option<(Mask, u64)>,
    /// The numbers by distance, and where the distance 0 is.
    bias: Option<(&'a [f32], usize)>,
}

impl<'a> Input<'a> {
    fn head(&self, shape: &Shape<'_>, sequence: &Sequence, h: usize) -> Head<'a> {
        let Sequence {
            queries,
            keys,
            pairs,
        } = sequence;
        let (kv, e) = (h / shape.group(), shape.d_head);
        let plane = (pairs * shape.heads + h * queries.len() * keys.len()) as u64;
        Head {
            sees: shape.sees,
            scale: shape.scale,
            q: head(self.q, queries, h, e),
            k: head(self.k, keys, kv, e),
            v: head(self.v, keys, kv, e),
            dropout: self.dropout.map(|mask| (mask, plane)),
            bias: self.bias.map(|bias| bias.head(h)),
        }
    }

    /// Panics unless the arrays have the shape.
    fn check(&self, shape: &Shape<'_>) {
        let &Shape {
            sequences,
            sees,
            heads,
            kv_heads,
            d_head,
            ..
        } = shape;
        let [queries, keys] = sequences.rows();
        assert!(heads.is_multiple_of(kv_heads), "{shape:?}");
        let fits = |b| {
            let Sequence { queries, keys, .. } = sequences.get(b);
            match sees {
                Sees::All => queries.is_empty() || !keys.is_empty(),
                Sees::Past | Sees::Window(_) => queries.len() <= keys.len(),
            }
        };
        assert!((0..sequences.count()).all(fits), "{shape:?}");
        assert_eq!([self.q.rows, self.q.cols], [queries, heads * d_head], "q");
        for kv in [self.k, self.v] {
            assert_eq!([kv.rows, kv.cols], [keys, kv_heads * d_head], "k and v");
        }
        if let Some(bias) = self.bias {
            bias.check(shape);
        }
    }
}

impl Bias<'_> {
    /// Panics unless there is a number for each pair of a query and a key that it looks at.
    fn check(&self, shape: &Shape<'_>) {
        let most = shape.sequences.most_keys();
        let behind = if shape.sees == Sees::All { most } else { 1 };
        let fits = |b| {
            let Sequence { queries, keys, .. } = shape.sequences.get(b);
            queries.len() <= keys.len()
        };
        let fits = (0..shape.sequences.count()).all(fits)
            && self.zero + 1 >= most
            && self.zero + behind <= self.width;
        assert!(
            fits && self.table.len() == shape.heads * self.width,
            "{shape:?}"
        );
    }
}

impl Head<'_> {
    /// Keys that query `t` looks at.
    fn seen(&self, t: usize) -> Range<usize> {
        self.sees.keys(t, self.q.rows, self.k.rows)
    }

    /// Queries that look at some of `keys`, which are not none.
    fn seen_by(&self, keys: Range<usize>) -> Range<usize> {
        self.sees.queries(keys, self.q.rows, self.k.rows)
    }

    /// What is added to the scores of query `t`, from key `first` on, as far as there are numbers.
    fn bias_row(&self, t: usize, first: usize) -> Option<&[f32]> {
        let (numbers, zero) = self.bias?;
        let place = self.k.rows - self.q.rows + t;
        Some(numbers.get(zero + first - place..).unwrap_or_default())
    }

    /// Multiplies `row`, the pattern of query `t` from key `first` on, by the dropout mask.
    fn drop_row(&self, row: &mut [f32], t: usize, first: usize) {
        if let Some((mask, plane)) = self.dropout {
            let index = plane + (t * self.k.rows + first) as u64;
            crate::dropout::apply(row, mask, index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sees;

    #[test]
    fn queries_that_see_keys_are_those_whose_keys_they_are() {
        let all = [1, 2, 3, 7, 40].map(Sees::Window);
        for sees in [Sees::All, Sees::Past].into_iter().chain(all) {
            for (queries, keys) in [(1, 1), (5, 5), (5, 9), (12, 30)] {
                for start in 0..keys {
                    for end in start + 1..=keys {
                        let seen: Vec<_> = (0..queries)
                            .filter(|&t| {
                                let of = sees.keys(t, queries, keys);
                                of.start < end && start < of.end
                            })
                            .collect();
                        let said: Vec<_> = sees.queries(start..end, queries, keys).collect();
                        assert_eq!(
                            said, seen,
                            "{sees:?}, keys {start}..{end} of {keys}, {queries} queries"
                        );
                    }
                }
            }
        }
    }
}
