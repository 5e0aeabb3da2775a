//! Sums and largest elements of rows, in a fixed number of interleaved lanes: an order that loops over vectors can keep,
//! and the same on every machine.

/// Partial results kept side by side: two AVX-512 registers of `f32`, so that one addition need not wait for the last.
pub(crate) const LANES: usize = 32;

/// Σᵢ f(x₀[i], x₁[i], …) over slices of one length.
#[inline(always)]
pub(crate) fn sum_of<const N: usize>(x: [&[f32]; N], f: impl Fn([f32; N]) -> f32) -> f32 {
    total(reduce(x, [0.0; LANES], |lane, x| lane + f(x)))
}

/// maxᵢ f(x[i]), −∞ for an empty slice; NaN is passed over.
#[inline(always)]
pub(crate) fn max_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    largest(reduce([x], [f32::NEG_INFINITY; LANES], |lane, [x]| {
        larger(lane, f(x))
    }))
}

/// The larger of two numbers, the first if one is NaN.
#[inline(always)]
pub(crate) fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

/// Each lane j takes in the elements at j, j + LANES, …
#[inline(always)]
fn reduce<const N: usize>(
    x: [&[f32]; N],
    mut lanes: [f32; LANES],
    join: impl Fn(f32, [f32; N]) -> f32,
) -> [f32; LANES] {
    let n = x.first().map_or(0, |x| x.len());
    let parts = x.map(|x| x[..n].as_chunks::<LANES>());
    for i in 0..n / LANES {
        for (j, lane) in lanes.iter_mut().enumerate() {
            *lane = join(*lane, std::array::from_fn(|n| parts[n].0[i][j]));
        }
    }
    for (j, lane) in lanes.iter_mut().enumerate().take(n % LANES) {
        *lane = join(*lane, parts.map(|(_, rest)| rest[j]));
    }
    lanes
}

/// Σ of the lanes, pairwise from the outside: log₂ steps instead of one after the other.
#[inline(always)]
pub(crate) fn total<const L: usize>(lanes: [f32; L]) -> f32 {
    fold(lanes, |a, b| a + b)
}

/// The largest of the lanes.
#[inline(always)]
pub(crate) fn largest<const L: usize>(lanes: [f32; L]) -> f32 {
    fold(lanes, larger)
}

/// Folds the upper half of the lanes onto the lower one until one is left; L is 3·2ⁿ or 2ⁿ.
#[inline(always)]
fn fold<const L: usize>(mut lanes: [f32; L], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut n = L;
    while n.is_multiple_of(2) {
        n /= 2;
        for j in 0..n {
            lanes[j] = join(lanes[j], lanes[j + n]);
        }
    }
    lanes[1..n].iter().fold(lanes[0], |a, &b| join(a, b))
}

#[cfg(test)]
mod tests {
    use super::{max_of, sum_of, total};

    #[test]
    fn every_element_counts_once() {
        for n in 0..200_usize {
            let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
            assert_eq!(sum_of([&x], |[x]| x), (n * n.saturating_sub(1) / 2) as f32);
            assert_eq!(sum_of([&x, &x], |[a, b]| a - b), 0.0);
            let largest = x.last().copied().unwrap_or(f32::NEG_INFINITY);
            assert_eq!(max_of(&x, |x| x), largest);
            assert_eq!(
                max_of(&x, |x| -x),
                if n == 0 { f32::NEG_INFINITY } else { 0.0 }
            );
        }
    }

    #[test]
    fn lanes_in_thirds() {
        assert_eq!(total::<48>(std::array::from_fn(|i| i as f32)), 1128.0);
    }
}
