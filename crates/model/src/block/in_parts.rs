//! The product of a linear layer whose weights are several parts, each in a form of its own.

use glassformer_kernels::product::Rows;
use glassformer_kernels::product::finish::{self, Onto};
use glassformer_tensor::ops::elementwise;
use glassformer_tensor::ops::product::{PackedRight, Rounded};
use glassformer_tensor::ops::quantised::Codes;

use crate::Run;
use crate::packed::{Part, Weight};

/// y [N,O] from weights in parts, or from those that stay in their file.
pub(super) fn in_parts(
    run: Run<'_>,
    parts: &[Part],
    x: Rows<'_>,
    y: &mut [f32],
    bias: Option<&[f32]>,
    onto: Onto<'_>,
) {
    let width = y.len() / x.row_count().max(1);
    let is_quantised = |part: &Part| matches!(part.weight, Weight::Quantised(_));
    let codes = parts.iter().any(is_quantised);
    let codes = codes.then(|| Codes::new(run.pool, run.buffers, x));
    let floats = !parts.iter().all(is_quantised);
    let floats = floats.then(|| Rounded::new(run.pool, run.buffers, run.precision, x));
    for part in parts {
        let place = [width, part.columns.start];
        match (&part.weight, &codes, &floats) {
            (Weight::Quantised(packed), Some(codes), _) => {
                codes.times(run.pool, run.buffers, y, place, packed);
            }
            (Weight::Stored(stored), _, Some(x)) if stored.takes(x.view().row_count()) => {
                stored.times(run.pool, y, place, x.view());
            }
            (weight, _, Some(x)) => {
                let operand = weight.operand(run.pool).expect("weights in floats");
                store_columns(run, y, place, x.view(), operand);
            }
            (_, _, None) => unreachable!("x was rounded for all weights in floats"),
        }
    }
    if let Some(bias) = bias {
        y.chunks_exact_mut(width)
            .for_each(|y| glassformer_kernels::rows::add(y, bias));
    }
    match onto {
        Onto::Nothing | Onto::NothingSoonRead => {}
        Onto::Rows(rows) => elementwise::add(run.pool, y, rows),
        Onto::Itself => unreachable!("gradients are not made from weights in a file"),
    }
}

/// Columns from `first` on of `y`, which has `width` of them: x·W.
fn store_columns(
    run: Run<'_>,
    y: &mut [f32],
    [width, first]: [usize; 2],
    x: Rows<'_>,
    w: &PackedRight,
) {
    let columns = first..first + w.view().cols();
    if columns.len() == width {
        return finish::store(run.pool, y, x.into(), w.view(), None, Onto::Nothing);
    }
    let mut some = run.tensor(&[x.row_count(), columns.len()]);
    let (out, onto) = (some.data_mut(), Onto::Nothing);
    finish::store(run.pool, out, x.into(), w.view(), None, onto);
    let rows = y
        .chunks_exact_mut(width)
        .zip(some.data().chunks_exact(columns.len()));
    rows.for_each(|(y, some)| y[columns.clone()].copy_from_slice(some));
}
