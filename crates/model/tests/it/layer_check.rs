//! The one test that every layer must pass: its backward pass is the derivative of its forward pass, for any number
//! of threads.

use glassformer_kernels::random;
use glassformer_model::{Backward, Gradients, Layer, Layout, Parameters, Run};
use glassformer_tensor::{Buffers, Pool, Tensor};

use crate::support::{distance, normals};

/// Step of the differences: a power of two, so that adding it loses nothing.
const H: f32 = 1.0 / 64.0;

/// Allowed |numeric − analytic|, relative to 1 + |numeric|: f32 noise over `H`, and `H`⁴.
const TOLERANCE: f64 = 5e-4;

/// Coordinates that are tried of each array.
const TRIED: u64 = 25;

/// A layer with parameters and inputs to try it on.
pub(crate) struct Subject<L, const N: usize> {
    pub(crate) layer: L,
    pub(crate) parameters: Parameters,
    /// Shape and values of each input.
    pub(crate) inputs: [(Vec<usize>, Vec<f32>); N],
}

/// Random parameters for a layout.
pub(crate) fn random_parameters(layout: Layout, seed: u64) -> Parameters {
    let mut parameters = Parameters::new(layout, seed, &Pool::single());
    let values = normals(seed, parameters.arena().len());
    parameters.arena_mut().copy_from_slice(&values);
    parameters
}

impl<L: Layer<N>, const N: usize> Subject<L, N> {
    fn tensors(&self, buffers: &Buffers) -> [Tensor; N] {
        self.inputs
            .each_ref()
            .map(|(shape, data)| Tensor::from_slice(buffers, shape, data))
    }

    fn forward(&self, pool: &Pool) -> Vec<f32> {
        let buffers = Buffers::new();
        let run = Run {
            keeps: true,
            ..Run::new(&self.parameters, pool, &buffers)
        };
        let inputs = self.tensors(&buffers);
        self.layer.forward(run, inputs.each_ref()).0.data().to_vec()
    }

    /// Output, gradients of the inputs, gradients of the parameters, for d_output `c`; the first input's gradient is
    /// added to `sum`.
    fn backward(
        &self,
        pool: &Pool,
        c: &[f32],
        sum: Option<&[f32]>,
    ) -> (Vec<f32>, Vec<Vec<f32>>, Vec<f32>) {
        let buffers = Buffers::new();
        let run = Run {
            keeps: true,
            ..Run::new(&self.parameters, pool, &buffers)
        };
        let tensors = self.tensors(&buffers);
        let inputs = tensors.each_ref();
        let (y, saved) = self.layer.forward(run, inputs);
        let through = |gradients: &mut Gradients| {
            let call = Backward {
                saved: &saved,
                inputs,
                output: Some(&y),
                d_output: Tensor::from_slice(&buffers, y.shape(), c),
                sum: sum.map(|sum| Tensor::from_slice(&buffers, &self.inputs[0].0, sum)),
            };
            let d_inputs = self.layer.backward(run, call, gradients);
            d_inputs.iter().map(|d| d.data().to_vec()).collect()
        };
        // Gradients of parameters are added to what is there, and what was forgotten is not there.
        let mut gradients = Gradients::zeros(self.parameters.layout());
        gradients.arena_mut().fill(1.0);
        let d_inputs = through(&mut gradients);
        let added: Vec<f32> = gradients.arena().iter().map(|g| g - 1.0).collect();
        gradients.forget();
        through(&mut gradients);
        gradients.settle(pool);
        let size = added.iter().fold(1.0f32, |a, b| a.max(b.abs()));
        let off = distance(&added, gradients.arena());
        assert!(
            off <= 1e-5 * f64::from(size),
            "forgotten ones begin at 0: {off}"
        );
        (y.data().to_vec(), d_inputs, added)
    }

    /// d Σ c·y along the number that `place` finds, from four points: (8·D(h) − D(2h))/6 without the h² term.
    fn slope(&mut self, c: &[f32], place: impl Fn(&mut Self) -> &mut f32) -> f64 {
        let pool = Pool::single();
        let was = *place(self);
        let mut at = |x: f32| {
            *place(self) = x;
            self.forward(&pool)
        };
        let mut central = |h: f32| {
            let (up, down) = (at(was + h), at(was - h));
            let both = up.iter().zip(&down).zip(c);
            both.map(|((up, down), c)| (f64::from(*up) - f64::from(*down)) * f64::from(*c))
                .sum::<f64>()
                / (2.0 * f64::from(h))
        };
        let slope = (4.0 * central(H) - central(2.0 * H)) / 3.0;
        *place(self) = was;
        slope
    }

    fn check_threads(&self, what: &str, c: &[f32]) {
        let (y, d_inputs, gradients) = self.backward(&Pool::single(), c, None);
        for threads in [2, 3] {
            let other = self.backward(&Pool::new(threads), c, None);
            let size = gradients.iter().fold(1.0f32, |a, b| a.max(b.abs()));
            assert!(
                distance(&y, &other.0) <= 1e-5,
                "{what}: output with {threads} threads"
            );
            assert!(
                distance(&gradients, &other.2) <= 1e-5 * f64::from(size),
                "{what}: parameters, {threads} threads"
            );
            for (a, b) in d_inputs.iter().zip(&other.1) {
                assert!(
                    distance(a, b) <= 1e-5,
                    "{what}: inputs with {threads} threads"
                );
            }
        }
    }

    /// The first input's gradient goes on top of what is there; nothing else changes.
    fn check_sum(&self, what: &str, c: &[f32], (d_inputs, gradients): (&[Vec<f32>], &[f32])) {
        let sum = normals(98, d_inputs[0].len());
        for threads in [1, 2] {
            let (_, onto, parameters) = self.backward(&Pool::new(threads), c, Some(&sum));
            for ((onto, d), sum) in onto[0].iter().zip(&d_inputs[0]).zip(&sum) {
                let off = (f64::from(*onto) - f64::from(*d) - f64::from(*sum)).abs();
                assert!(
                    off <= 1e-5 * (1.0 + f64::from(d.abs())),
                    "{what}: {onto} is not {d} + {sum}"
                );
            }
            for (a, b) in onto.iter().zip(d_inputs).skip(1) {
                assert!(
                    distance(a, b) <= 1e-5,
                    "{what}: the other inputs with a sum"
                );
            }
            let size = gradients.iter().fold(1.0f32, |a, b| a.max(b.abs()));
            assert!(
                distance(&parameters, gradients) <= 1e-5 * f64::from(size),
                "{what}: parameters with a sum"
            );
        }
    }

    /// Compares `backward` with differences of `forward`, for every input and parameter, and for several threads.
    pub(crate) fn check(mut self, what: &str) {
        let y = self.forward(&Pool::single());
        let c = normals(99, y.len());
        self.check_threads(what, &c);
        let (_, d_inputs, gradients) = self.backward(&Pool::single(), &c, None);
        if L::ADDS {
            self.check_sum(what, &c, (&d_inputs, &gradients));
        }
        let mut worst = 0.0f64;
        let mut compare = |name: &str, i: usize, numeric: f64, analytic: f32| {
            let error = (numeric - f64::from(analytic)).abs() / (1.0 + numeric.abs());
            assert!(
                error <= TOLERANCE,
                "{what}: {name}[{i}] has slope {numeric}, backward says {analytic}"
            );
            worst = worst.max(error);
        };
        for (n, d_input) in d_inputs.iter().enumerate() {
            assert_eq!(d_input.len(), self.inputs[n].1.len());
            for i in places(d_input.len()) {
                let numeric = self.slope(&c, |subject| &mut subject.inputs[n].1[i]);
                compare(&format!("input {n}"), i, numeric, d_input[i]);
            }
        }
        for spec in self.parameters.layout().specs().to_vec() {
            for i in places(spec.shape.iter().product()) {
                let i = spec.id.offset() + i;
                let numeric = self.slope(&c, |subject| &mut subject.parameters.arena_mut()[i]);
                compare(&spec.name, i, numeric, gradients[i]);
            }
        }
        println!("{what}: worst difference {worst:.1e}");
    }
}

/// All places of a short array, some of a long one.
fn places(len: usize) -> Vec<usize> {
    if len as u64 <= 2 * TRIED {
        (0..len).collect()
    } else {
        (0..TRIED)
            .map(|i| (random::bits(3, i) % len as u64) as usize)
            .collect()
    }
}
