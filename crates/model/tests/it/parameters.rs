//! The arena: how it begins, and its groups.

use glassformer_kernels::random;
use glassformer_model::{Init, Layout, Parameters};
use glassformer_tensor::Pool;

/// A matrix of several pieces of work, vectors, a small matrix.
fn layout() -> Layout {
    let mut layout = Layout::default();
    layout.add("large", &[307, 521], Init::Normal(0.5));
    layout.add("gain", &[7], Init::Ones);
    layout.add("bias", &[5], Init::Zeros);
    layout.add("small", &[3, 11], Init::Normal(0.02));
    layout.add("last", &[2, 2], Init::Ones);
    layout
}

#[test]
fn fresh_parameters_are_functions_of_seed_and_place() {
    for threads in [1, 2, 3] {
        let fresh = Parameters::new(layout(), 9, &Pool::new(threads));
        for (i, spec) in fresh.layout().specs().iter().enumerate() {
            let key = random::derive(9, i as u64);
            for (n, &x) in fresh.get(spec.id).iter().enumerate() {
                let expected = match spec.init {
                    Init::Zeros => 0.0,
                    Init::Ones => 1.0,
                    Init::Normal(std) => (random::normal(key, n as u64) * f64::from(std)) as f32,
                };
                assert_eq!(x.to_bits(), expected.to_bits(), "{}[{n}]", spec.name);
            }
        }
    }
}

#[test]
fn matrices_decay_and_vectors_do_not() {
    let parameters = Parameters::new(layout(), 0, &Pool::single());
    let groups: Vec<_> = parameters.decay_groups().collect();
    let large = 307 * 521;
    let expected = [
        (0..large, true),
        (large..large + 12, false),
        (large + 12..large + 12 + 33 + 4, true),
    ];
    assert_eq!(groups, expected);
    let none = Parameters::new(Layout::default(), 0, &Pool::single());
    assert_eq!(none.decay_groups().count(), 0);
}
