//! Blocks that are run again in the backward pass: the same gradients, bit for bit, also where somebody looks.

use glassformer_kernels::product::Precision;
use glassformer_model::block::mlp::Activation;
use glassformer_model::{Gradients, Hook, Model, Site, Tape, View, ViewMut};
use glassformer_tensor::Pool;

use crate::support::{model_of_heads, random_ids, taped_loss_and_gradient};

const BATCH: usize = 3;
const POSITIONS: usize = 13;

/// Counts how often each value is shown.
#[derive(Default)]
struct Count {
    shown: std::collections::BTreeMap<Site, usize>,
}

impl Hook for Count {
    fn wants(&self, _site: Site) -> bool {
        true
    }

    fn edits(&self, _site: Site) -> bool {
        false
    }

    fn record(&mut self, site: Site, _value: View<'_>) {
        *self.shown.entry(site).or_default() += 1;
    }

    fn edit(&mut self, _site: Site, _value: ViewMut<'_>) {
        unreachable!("nothing is edited")
    }
}

fn gradients(
    model: &Model,
    pool: &Pool,
    tape: &mut Tape,
    dropout: f32,
    hook: Option<&mut dyn Hook>,
) -> (u64, Gradients) {
    let n = BATCH * POSITIONS;
    let (x, y) = (random_ids(1, n, 31), random_ids(2, n, 31));
    let (loss, gradients) =
        taped_loss_and_gradient(model, pool, tape, BATCH, [&x, &y], dropout, hook);
    (loss.to_bits(), gradients)
}

/// Also with one row, for which an inference pass would take another way.
#[test]
fn gradients_are_the_same_bits() {
    for d_head in [5, 6] {
        for precision in [Precision::F32, Precision::Bf16] {
            for dropout in [0.0, 0.3] {
                let mut model = model_of_heads(d_head, Activation::GeluTanh, 31);
                model.precision = precision;
                for threads in [1, 2, 3] {
                    let pool = Pool::new(threads);
                    let of = |tape: &mut Tape| gradients(&model, &pool, tape, dropout, None);
                    let (kept, mut tape) = (of(&mut Tape::default()), Tape::new(true));
                    // Twice: the second pass finds the boxes of the first.
                    for again in [of(&mut tape), of(&mut tape)] {
                        assert_eq!(kept.0, again.0);
                        assert!(
                            kept.1.arena() == again.1.arena(),
                            "heads of {d_head}, {precision:?}, dropout {dropout}, {threads} threads"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn one_row_takes_the_same_way() {
    let (model, pool) = (model_of_heads(6, Activation::Relu, 32), Pool::single());
    let of = |tape: &mut Tape| {
        taped_loss_and_gradient(&model, &pool, tape, 1, [&[3], &[4]], 0.2, None).1
    };
    assert!(of(&mut Tape::default()).arena() == of(&mut Tape::new(true)).arena());
}

/// A hook sees each value once, and the layers go the same way in both runs of a block.
#[test]
fn a_recomputing_pass_can_be_watched() {
    let model = model_of_heads(6, Activation::GeluTanh, 33);
    let pool = Pool::new(2);
    let of = |tape: &mut Tape| {
        let mut count = Count::default();
        let (loss, gradients) = gradients(&model, &pool, tape, 0.3, Some(&mut count));
        (loss, gradients, count.shown)
    };
    let (kept, again) = (of(&mut Tape::default()), of(&mut Tape::new(true)));
    assert_eq!(kept.0, again.0);
    assert!(kept.1.arena() == again.1.arena(), "gradients");
    assert!(again.2.len() > 20 && again.2.values().all(|&count| count == 1));
    assert_eq!(kept.2, again.2);
}

/// A tape may be left with a pass that went no way back, or with another model's calls.
#[test]
fn a_tape_serves_any_pass() {
    let pool = Pool::single();
    let (one, two) = (
        model_of_heads(5, Activation::GeluTanh, 34),
        model_of_heads(6, Activation::Relu, 35),
    );
    for recomputes in [false, true] {
        let mut tape = Tape::new(recomputes);
        for (model, dropout) in [(&one, 0.0), (&two, 0.2), (&one, 0.2), (&two, 0.0)] {
            let x = random_ids(5, 2 * 7, 31);
            let buffers = glassformer_tensor::Buffers::new();
            let mode = glassformer_model::Mode::Training {
                tape: &mut tape,
                dropout,
                key: 1,
            };
            let mut pass = glassformer_model::Pass::new(model.run(&pool, &buffers), 2, 7, mode);
            model.logits(&mut pass, &x);
            let used = gradients(model, &pool, &mut tape, dropout, None);
            let fresh = gradients(model, &pool, &mut Tape::default(), dropout, None);
            assert!(used.0 == fresh.0 && used.1.arena() == fresh.1.arena());
        }
    }
}
