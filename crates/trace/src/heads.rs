//! What all heads do, in little: each pattern pooled to a thumbnail, and how well it fits the habits that heads are known for.
//!
//! The habits are those of Clark et al. 2019 (*What does BERT look at?*) and Elhage et al. 2021 (induction): shares of
//! attention, averaged over the queries that could follow the habit.

/// Squares along each side of a thumbnail, at most: fewer where there are many heads to show.
const SIDES: [(usize, usize); 2] = [(64, 32), (usize::MAX, 16)];

/// Queries and keys of the last corner of each pattern, for pictures of the end of a text.
pub const CORNER: usize = 16;

/// The mean share of attention that goes …
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Habits {
    /// … to the token before,
    pub previous: f32,
    /// … to the first token,
    pub first: f32,
    /// … to itself,
    pub own: f32,
    /// … to earlier tokens that are the same,
    pub same: f32,
    /// … to tokens that came after an earlier one that is the same.
    pub induction: f32,
}

/// One head's pattern in little.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadView {
    /// The largest weight in each square `[side, side]`.
    pub pooled: Vec<f32>,
    /// What it does.
    pub habits: Habits,
    /// How much there is to see from the last token: large where it looks at several others.
    pub interest: f32,
    /// The last [`CORNER`] queries against as many keys, fewer in a shorter text.
    pub corner: Vec<f32>,
}

/// All heads of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heads {
    /// Weights along each side of a square.
    pub square: usize,
    /// Squares along each side of a thumbnail.
    pub side: usize,
    /// By layer and head.
    pub views: Vec<Vec<HeadView>>,
}

impl Heads {
    /// For texts of `positions` tokens through a model of so many heads in all.
    pub fn new(positions: usize, heads: usize) -> Self {
        let fits = SIDES.iter().find(|(most, _)| heads <= *most);
        let square = positions
            .div_ceil(fits.map_or(16, |(_, side)| *side))
            .max(1);
        Self {
            square,
            side: positions.div_ceil(square),
            views: Vec::new(),
        }
    }

    /// Notes the next layer's patterns, `[H,T,T]` in rows.
    pub(crate) fn note<'a>(&mut self, ids: &[u32], rows: impl Iterator<Item = &'a [f32]>) {
        let rows: Vec<&[f32]> = rows.collect();
        let heads = rows.chunks_exact(ids.len());
        self.views
            .push(heads.map(|pattern| self.view(ids, pattern)).collect());
    }

    fn view(&self, ids: &[u32], pattern: &[&[f32]]) -> HeadView {
        let t = ids.len();
        let mut pooled = vec![0.0f32; self.side * self.side];
        for (q, row) in pattern.iter().enumerate() {
            let line = &mut pooled[q / self.square * self.side..][..self.side];
            for (most, part) in line.iter_mut().zip(row.chunks(self.square)) {
                *most = part.iter().copied().fold(*most, f32::max);
            }
        }
        let end = t - t.min(CORNER)..t;
        let corner = pattern[end.clone()]
            .iter()
            .flat_map(|row| &row[end.clone()]);
        HeadView {
            pooled,
            habits: habits(ids, pattern),
            interest: interest(pattern[t - 1]),
            corner: corner.copied().collect(),
        }
    }
}

/// Shares averaged over the queries that could follow the habit.
fn habits(ids: &[u32], pattern: &[&[f32]]) -> Habits {
    let mean = |share: &dyn Fn(usize, &[f32]) -> Option<f32>| {
        let shares = pattern.iter().enumerate();
        let (sum, count) = shares
            .filter_map(|(q, row)| share(q, row))
            .fold((0.0, 0), |(sum, count), x| (sum + x, count + 1));
        sum / count.max(1) as f32
    };
    // The same token's earlier places, by their distance to what is attended: itself, or the one after it.
    let echoes = |q: usize, row: &[f32], after: usize| {
        let places = (0..q).filter(|&k| ids[k] == ids[q]);
        let (sum, any) = places.fold((0.0, false), |(sum, _), k| (sum + row[k + after], true));
        any.then_some(sum)
    };
    Habits {
        previous: mean(&|q, row| (q >= 1).then(|| row[q - 1])),
        first: mean(&|q, row| (q >= 2).then(|| row[0])),
        own: mean(&|q, row| (q >= 1).then(|| row[q])),
        same: mean(&|q, row| echoes(q, row, 0)),
        induction: mean(&|q, row| echoes(q, row, 1)),
    }
}

/// Attention away from the first token and from itself, best where the largest share is about a half.
fn interest(row: &[f32]) -> f32 {
    let own = if row.len() > 1 {
        row[row.len() - 1]
    } else {
        0.0
    };
    let largest = row.iter().copied().fold(0.0, f32::max);
    (1.0 - row[0] - own) * (1.0 - (largest - 0.45).abs())
}
