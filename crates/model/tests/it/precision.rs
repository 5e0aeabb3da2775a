//! Products in bf16: what rounding their operands costs, next to the same run in f32.
//!
//! bf16 has 8 bits of mantissa: an operand is off by up to 2⁻⁹ of itself, 1.3e-6 of its square on average. The bars
//! leave room for the layers through which it goes.

use glassformer_kernels::product::Precision;
use glassformer_model::block::mlp::Activation;
use glassformer_model::export::Mix;
use glassformer_model::{Keep, Mode, Model, Pass, families};
use glassformer_tensor::{Buffers, Pool};
use glassformer_weights::DataType;

use crate::cache::in_chunks;
use crate::export::{HELD, as_gguf, whole_blocks};
use crate::support::{
    GOLDEN, Recorder, golden_model, golden_tensors, ids, logits, loss_and_gradient, model_of_heads,
    random_ids, squared_error, watched_loss_and_gradient,
};

/// Bar for logits: Σ (bf16 − f32)² / Σ f32².
const LOGITS: f64 = 1e-4;

/// Bar for the gradient of all parameters.
const GRADIENTS: f64 = 1e-3;

/// The same for our own models with ReLU, some of whose neurons lie at its kink: one that rounding pushes across
/// changes its whole gradient. To round the weights alone, in an f32 run, moves the gradients by up to 4e-3 too.
const AT_THE_KINK: f64 = 1e-2;

/// A model with inputs and targets of `batch` sequences.
struct Case {
    name: String,
    model: Model,
    batch: usize,
    x: Vec<u32>,
    y: Vec<u32>,
    /// Bar for the gradients.
    bar: f64,
}

/// The golden models (heads of 11 and 13), and models of our own with odd and even heads.
fn all_cases() -> Vec<Case> {
    let golden = GOLDEN.map(|name| {
        let file = golden_tensors(name, "train.safetensors");
        let (shape, x) = ids(&file, "x");
        let size = shape[1] * shape[2];
        let y = ids(&file, "y").1;
        Case {
            name: name.to_owned(),
            model: golden_model(name),
            batch: shape[1],
            x: x[..size].to_vec(),
            y: y[..size].to_vec(),
            bar: GRADIENTS,
        }
    });
    let own = [5, 6, 16].into_iter().flat_map(|d_head| {
        [Activation::GeluTanh, Activation::Relu].map(|activation| Case {
            name: format!("heads of {d_head}, {}", activation.name()),
            model: model_of_heads(d_head, activation, 31),
            batch: 3,
            x: random_ids(1, 3 * 29, 31),
            y: random_ids(2, 3 * 29, 31),
            bar: if activation == Activation::Relu {
                AT_THE_KINK
            } else {
                GRADIENTS
            },
        })
    });
    golden.into_iter().chain(own).collect()
}

#[test]
fn logits_and_gradients_in_bf16() {
    for Case {
        name,
        mut model,
        batch,
        x,
        y,
        bar,
    } in all_cases()
    {
        let pool = Pool::new(2);
        let exact = logits(&model, &pool, batch, &x);
        let (exact_loss, exact_gradients) = loss_and_gradient(&model, &pool, batch, [&x, &y], 0.0);
        model.precision = Precision::Bf16;
        let near = squared_error(&logits(&model, &pool, batch, &x), &exact);
        assert!(near > 0.0, "{name}: nothing was rounded");
        assert!(near <= LOGITS, "{name}: logits, error {near:e}");
        let (loss, gradients) = loss_and_gradient(&model, &pool, batch, [&x, &y], 0.0);
        assert!(
            (loss - exact_loss).abs() <= 1e-2,
            "{name}: loss {loss}, in f32 {exact_loss}"
        );
        let of_gradients = squared_error(gradients.arena(), exact_gradients.arena());
        assert!(
            of_gradients <= bar,
            "{name}: gradients, error {of_gradients:e}"
        );

        // Watched, layer by layer, the same holds.
        let mut recorder = Recorder::default();
        let (_, open) =
            watched_loss_and_gradient(&model, &pool, batch, [&x, &y], 0.0, Some(&mut recorder));
        let of_open = squared_error(open.arena(), exact_gradients.arena());
        assert!(
            of_open <= bar,
            "{name}: gradients of the open form, error {of_open:e}"
        );
        println!(
            "{name}: NMSE of logits {near:.1e}, gradients {of_gradients:.1e}, open {of_open:.1e}"
        );
    }
}

/// Weights rounded once when packed, or anew in each pass; all positions at once, or with a cache.
#[test]
fn packed_and_cached_in_bf16() {
    for Case {
        name, mut model, x, ..
    } in all_cases()
    {
        let (pool, buffers) = (Pool::new(2), Buffers::new());
        let ids = &x[..11];
        let exact = logits(&model, &pool, 1, ids);
        model.precision = Precision::Bf16;
        let plain = logits(&model, &pool, 1, ids);
        model.pack(&pool, Precision::Bf16);
        let packed = logits(&model, &pool, 1, ids);
        assert!(squared_error(&packed, &exact) <= LOGITS, "{name}: packed");
        assert!(
            squared_error(&packed, &plain) <= LOGITS,
            "{name}: packed next to unpacked"
        );
        let mut cache = model.cache();
        let mut cached = Vec::new();
        for now in [&ids[..5], &ids[5..6], &ids[6..]] {
            let run = model.run(&pool, &buffers);
            let mut pass = Pass::new(run, 1, now.len(), Mode::Cached(&mut cache));
            cached.extend_from_slice(model.logits(&mut pass, now).tensor().data());
            pass.finish();
        }
        let near = squared_error(&cached, &exact);
        assert!(near <= LOGITS, "{name}: cached, error {near:e}");
    }
}

/// Weights in bf16 stay in their file for a few rows, and are laid out when more rows come or some have come: no bit depends on
/// which of it was.
#[test]
fn few_rows_and_many_with_a_file_of_bf16() {
    let golden = HELD.map(|name| (name, golden_model(name)));
    for (name, model) in golden.into_iter().chain([("wide", whole_blocks())]) {
        let file = as_gguf(&model, Mix::Mostly(DataType::Bf16));
        let exact = families::open_gguf(&file, Keep::InMemory).unwrap();
        let mut kept = families::open_gguf(&file, Keep::InFile).unwrap();
        let pool = Pool::new(2);
        kept.pack(&pool, Precision::Bf16);
        let ids = random_ids(3, 13, kept.dimensions().vocab);
        let expected = logits(&exact, &pool, 1, &ids);
        let in_steps = |most: usize| {
            let got = in_chunks(&kept, &pool, &mut kept.cache(), &ids, &mut || most);
            let near = squared_error(&got, &expected);
            assert!(near <= LOGITS, "{name}, {most} rows: error {near:e}");
            got
        };
        let steps = [1, 3, 8];
        let before = steps.map(in_steps);
        in_steps(13);
        assert!(before == steps.map(in_steps), "{name}: after more rows");
        let mut patient = families::open_gguf(&file, Keep::InFile).unwrap();
        patient.pack(&pool, Precision::Bf16);
        for _ in 0..4 {
            let mut cache = patient.cache();
            let got = in_chunks(&patient, &pool, &mut cache, &ids, &mut || 1);
            assert!(got == before[0], "{name}: row by row");
        }
    }
}

/// The number of threads changes no bit of what is rounded.
#[test]
fn threads_change_no_logit_in_bf16() {
    for Case {
        name,
        mut model,
        batch,
        x,
        ..
    } in all_cases()
    {
        model.precision = Precision::Bf16;
        let alone = logits(&model, &Pool::single(), batch, &x);
        for threads in [2, 3] {
            assert_eq!(
                alone,
                logits(&model, &Pool::new(threads), batch, &x),
                "{name}, {threads} threads"
            );
        }
    }
}
