//! A map of the vocabulary: the directions of the rows of W_E, seen from the side from which they lie furthest apart (principal
//! components, Pearson 1901). Each row is brought to length 1 first, as the cosine does: else tokens that training hardly saw,
//! whose rows are longer or shorter than all others, would take an axis for themselves.
//!
//! Where the table is too large to be looked at as a whole, a neighbourhood: the rows nearest to one token.

use glassformer_kernels::matmul::matmul;
use glassformer_kernels::matrix::{MatMut, MatRef};
use glassformer_kernels::random::normal;

use crate::TraceError;
use crate::neighbours::{Table, length};

/// A table with more numbers or more rows is shown in part.
const WHOLE: [usize; 2] = [1 << 23, 8192];
/// Directions that are worked with: the more there are besides the two wanted, the sooner those stand still.
const DIRECTIONS: usize = 8;
/// Rounds at most, and the change of the two variances (relative) at which no more are needed.
const ROUNDS: usize = 300;
const STILL: f64 = 1e-7;

/// Tokens in a plane.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Each with its two coordinates, in order of id.
    pub tokens: Vec<(u32, [f32; 2])>,
    /// The part of all variance that lies along each axis.
    pub shares: [f32; 2],
    /// The token in whose neighbourhood the others lie; none: all of the vocabulary is there.
    pub around: Option<u32>,
}

/// The map of a vocabulary; of a large one what is [`around`] the first of `ids`. All `ids` are on it.
pub fn map(table: &Table<'_>, ids: &[u32], most: usize) -> Result<Map, TraceError> {
    let [vocab, d_model] = table.shape();
    if vocab * d_model > WHOLE[0] || vocab > WHOLE[1] {
        return around(table, ids, most);
    }
    // Who is not there is named at once.
    ids.iter().try_for_each(|&id| table.row(id).map(drop))?;
    laid(table, (0..vocab as u32).collect(), None)
}

/// The map of the `most` rows nearest to the first of `ids`, and of all `ids`.
pub fn around(table: &Table<'_>, ids: &[u32], most: usize) -> Result<Map, TraceError> {
    ids.iter().try_for_each(|&id| table.row(id).map(drop))?;
    let Some(&centre) = ids.first() else {
        let [vocab, _] = table.shape();
        return Err(TraceError::Missing(format!(
            "the vocabulary of {vocab} is too large for one map: ids must name a token to look around"
        )));
    };
    let near = table.nearest(&table.row(centre)?, &[], most);
    let mut shown: Vec<u32> = near.into_iter().map(|(id, _)| id).collect();
    shown.extend(ids);
    shown.sort_unstable();
    shown.dedup();
    laid(table, shown, Some(centre))
}

fn laid(table: &Table<'_>, shown: Vec<u32>, around: Option<u32>) -> Result<Map, TraceError> {
    let [_, d_model] = table.shape();
    let mut rows = Vec::with_capacity(shown.len() * d_model);
    for &id in &shown {
        let row = table.row(id)?;
        let own = length(&row);
        rows.extend(row.iter().map(|x| x / own));
    }
    let (points, shares) = plane(&rows, d_model);
    Ok(Map {
        tokens: shown.into_iter().zip(points).collect(),
        shares,
        around,
    })
}

/// `rows [N,D]` in the plane of their first two principal components, and the share of the variance along each.
///
/// Each axis is turned so that the largest of its entries is positive: the same rows give the same picture.
///
/// # Panics
/// When `rows` are not whole rows of `width`.
pub fn plane(rows: &[f32], width: usize) -> (Vec<[f32; 2]>, [f32; 2]) {
    let count = rows.len() / width.max(1);
    assert_eq!(count * width, rows.len(), "rows of {width}");
    let centred = centred(rows, width);
    let total: f64 = centred.iter().map(|&x| f64::from(x).powi(2)).sum();
    let wanted = DIRECTIONS.min(width);
    // Key 0 begins with a 0.
    let mut axes: Vec<Vec<f64>> = (1..=wanted as u64)
        .map(|axis| (0..width as u64).map(|i| normal(axis, i)).collect())
        .collect();
    orthonormal(&mut axes);
    let mut variances = vec![0.0; wanted];
    for round in 0..ROUNDS {
        let seen = times(&centred, width, &axes);
        let before = std::mem::replace(&mut variances, turn(&mut axes, &seen));
        let change = |i: usize| (variances[i] - before[i]).abs() / variances[i].max(1e-30);
        if (0..wanted.min(2)).all(|i| change(i) < STILL) || round + 1 == ROUNDS {
            break;
        }
        // xᵀ·(x·axes): what lies along the longest directions grows most.
        axes = back(&centred, width, &seen);
        orthonormal(&mut axes);
    }
    for axis in &mut axes {
        let largest = axis
            .iter()
            .copied()
            .fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        if largest < 0.0 {
            for x in axis.iter_mut() {
                *x = -*x;
            }
        }
    }
    let seen = times(&centred, width, &axes);
    let at = |n: usize, axis: usize| {
        if axis < wanted {
            seen[n * wanted + axis] as f32
        } else {
            0.0
        }
    };
    let points = (0..count).map(|n| [at(n, 0), at(n, 1)]).collect();
    let share = |axis: usize| {
        variances
            .get(axis)
            .map_or(0.0, |v| (v / total.max(1e-30)) as f32)
    };
    (points, [share(0), share(1)])
}

/// Each column less its mean.
fn centred(rows: &[f32], width: usize) -> Vec<f32> {
    let mut mean = vec![0.0f64; width];
    for row in rows.chunks_exact(width) {
        for (mean, &x) in mean.iter_mut().zip(row) {
            *mean += f64::from(x);
        }
    }
    let count = (rows.len() / width.max(1)).max(1) as f64;
    let less = |row: &[f32]| -> Vec<f32> {
        let pairs = row.iter().zip(&mean);
        pairs
            .map(|(&x, m)| (f64::from(x) - m / count) as f32)
            .collect()
    };
    rows.chunks_exact(width).flat_map(less).collect()
}

/// x·axes: `[N,K]` from `x [N,D]`.
fn times(x: &[f32], width: usize, axes: &[Vec<f64>]) -> Vec<f64> {
    let (count, k) = (x.len() / width, axes.len());
    let flat: Vec<f32> = axes.iter().flatten().map(|&a| a as f32).collect();
    let mut out = vec![0.0f32; count * k];
    matmul(
        MatMut::new(&mut out, count, k),
        MatRef::new(x, count, width),
        MatRef::new(&flat, k, width).t(),
        false,
    );
    out.into_iter().map(f64::from).collect()
}

/// (xᵀ·y)ᵀ: K directions `[D]` from `x [N,D]` and `y [N,K]`.
fn back(x: &[f32], width: usize, y: &[f64]) -> Vec<Vec<f64>> {
    let count = x.len() / width;
    let k = y.len() / count.max(1);
    let y: Vec<f32> = y.iter().map(|&y| y as f32).collect();
    let mut out = vec![0.0f32; k * width];
    matmul(
        MatMut::new(&mut out, k, width),
        MatRef::new(&y, count, k).t(),
        MatRef::new(x, count, width),
        false,
    );
    let axes = out.chunks_exact(width);
    axes.map(|axis| axis.iter().map(|&a| f64::from(a)).collect())
        .collect()
}

/// Gram and Schmidt's way, each direction twice, so that rounding leaves nothing. What has no direction left becomes 0.
fn orthonormal(axes: &mut [Vec<f64>]) {
    for i in 0..axes.len() {
        let (done, rest) = axes.split_at_mut(i);
        let axis = &mut rest[0];
        let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let before = length(axis);
        for _ in 0..2 {
            for other in &*done {
                let along: f64 = axis.iter().zip(other).map(|(a, b)| a * b).sum();
                axis.iter_mut()
                    .zip(other)
                    .for_each(|(a, b)| *a -= along * b);
            }
        }
        let left = length(axis);
        let scale = if left > 1e-9 * before {
            1.0 / left
        } else {
            0.0
        };
        for x in axis.iter_mut() {
            *x *= scale;
        }
    }
}

/// Turns the directions within their own space to its principal ones, the longest first (Rayleigh and Ritz), and gives the
/// sums of squares along them. `seen [N,K]` is how the rows lie along the directions as they are.
fn turn(axes: &mut Vec<Vec<f64>>, seen: &[f64]) -> Vec<f64> {
    let k = axes.len();
    let mut small = vec![vec![0.0; k]; k];
    for row in seen.chunks_exact(k) {
        for i in 0..k {
            for j in 0..k {
                small[i][j] += row[i] * row[j];
            }
        }
    }
    let vectors = eigenvectors(&mut small);
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|&a, &b| small[b][b].total_cmp(&small[a][a]));
    let mix = |&e: &usize| -> Vec<f64> {
        let entry = |d: usize| (0..k).map(|i| axes[i][d] * vectors[i][e]).sum();
        (0..axes[0].len()).map(entry).collect()
    };
    *axes = order.iter().map(mix).collect();
    order.iter().map(|&e| small[e][e]).collect()
}

/// Makes a small symmetric matrix diagonal (Jacobi 1846); gives the eigenvectors as columns.
fn eigenvectors(m: &mut [Vec<f64>]) -> Vec<Vec<f64>> {
    let k = m.len();
    let mut v: Vec<Vec<f64>> = (0..k)
        .map(|i| (0..k).map(|j| f64::from(u8::from(i == j))).collect())
        .collect();
    for _ in 0..60 {
        let off: f64 = (0..k)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| m[i][j].powi(2))
            .sum();
        let on: f64 = (0..k).map(|i| m[i][i].powi(2)).sum();
        if off <= 1e-28 * on {
            break;
        }
        for p in 0..k {
            for q in p + 1..k {
                if m[p][q] == 0.0 {
                    continue;
                }
                let theta = 0.5 * (2.0 * m[p][q]).atan2(m[q][q] - m[p][p]);
                let (s, c) = theta.sin_cos();
                for row in m.iter_mut().chain(&mut v) {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (above, below) = m.split_at_mut(q);
                for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
            }
        }
    }
    v
}
