//! The fused layers compute what the open ones do: a run that nobody watches equals one with every site watched.

use glassformer_kernels::product::Precision;
use glassformer_model::block::mlp::Activation;
use glassformer_model::{KvCache, Mode, Model, Pass, Site};
use glassformer_tensor::{Buffers, Pool};

use crate::support::{
    Recorder, logits, loss_and_gradient, model_of_heads, random_ids, squared_error,
    watched_loss_and_gradient,
};

/// Bar for ‖fused − open‖ / ‖open‖ in f32.
const RELATIVE: f64 = 2e-6;

const BATCH: usize = 3;

/// Two widths of head: even, which bf16 keeps in whole words, and odd.
const HEADS: [usize; 2] = [5, 6];

/// `model` with its weights laid out beforehand, or as it was.
fn packed(mut model: Model, pool: &Pool, packs: bool) -> Model {
    if packs {
        model.pack(pool, Precision::F32);
    }
    model
}

/// Every variant of the model: width of heads, activation, weights laid out beforehand.
fn variants(mut f: impl FnMut(&Model, &Pool, &str)) {
    for d_head in HEADS {
        for activation in [Activation::GeluTanh, Activation::Relu] {
            for packs in [false, true] {
                let pool = Pool::new(2);
                let model = packed(model_of_heads(d_head, activation, 21), &pool, packs);
                f(
                    &model,
                    &pool,
                    &format!("heads of {d_head}, {}, packed {packs}", activation.name()),
                );
            }
        }
    }
}

#[track_caller]
fn assert_same(what: &str, fused: &[f32], open: &[f32]) -> f64 {
    let off = squared_error(fused, open).sqrt();
    assert!(off <= RELATIVE, "{what} differ by {off:e}");
    off
}

/// Logits of a pass in which every site is watched.
fn watched(model: &Model, pool: &Pool, mode: Mode<'_>, batch: usize, ids: &[u32]) -> Vec<f32> {
    let (buffers, mut recorder) = (Buffers::new(), Recorder::default());
    let run = model.run(pool, &buffers);
    let mut pass = Pass::new(run, batch, ids.len() / batch, mode).with_hook(&mut recorder);
    let logits = model.logits(&mut pass, ids).tensor().data().to_vec();
    pass.finish();
    for site in model.network.sites() {
        assert!(
            site == Site::Probs || recorder.sites.contains_key(&site),
            "{site} was not shown"
        );
    }
    logits
}

#[test]
fn logits_and_gradients() {
    let mut worst = [0.0f64; 2];
    variants(|model, pool, what| {
        for positions in [1, 7, 29] {
            let n = BATCH * positions;
            let (x, y) = (random_ids(1, n, 31), random_ids(2, n, 31));
            let open = watched(model, pool, Mode::Inference, BATCH, &x);
            let off = assert_same(
                &format!("{what}: logits"),
                &logits(model, pool, BATCH, &x),
                &open,
            );
            worst[0] = worst[0].max(off);

            let (loss, fused) = loss_and_gradient(model, pool, BATCH, [&x, &y], 0.0);
            let mut recorder = Recorder::default();
            let hook = Some(&mut recorder as _);
            let (open_loss, open) =
                watched_loss_and_gradient(model, pool, BATCH, [&x, &y], 0.0, hook);
            assert!(!recorder.sites.is_empty());
            assert!(
                (loss - open_loss).abs() <= RELATIVE * open_loss,
                "{what}: losses {loss}, {open_loss}"
            );
            let off = assert_same(&format!("{what}: gradients"), fused.arena(), open.arena());
            worst[1] = worst[1].max(off);
        }
    });
    println!(
        "fused and open logits differ by {:.1e}, gradients by {:.1e} of their length",
        worst[0], worst[1]
    );
}

/// The same masks are drawn in both forms.
#[test]
fn gradients_with_dropout() {
    for d_head in HEADS {
        let (model, pool) = (
            model_of_heads(d_head, Activation::GeluTanh, 22),
            Pool::new(2),
        );
        let n = BATCH * 13;
        let (x, y) = (random_ids(1, n, 31), random_ids(2, n, 31));
        let (_, fused) = loss_and_gradient(&model, &pool, BATCH, [&x, &y], 0.2);
        let mut recorder = Recorder::default();
        let (_, open) =
            watched_loss_and_gradient(&model, &pool, BATCH, [&x, &y], 0.2, Some(&mut recorder));
        assert_same("gradients with dropout", fused.arena(), open.arena());
    }
}

#[test]
fn cached_logits() {
    const CHUNKS: [usize; 5] = [1, 3, 4, 5, 17];
    let total = 29;
    let mut worst = 0.0f64;
    variants(|model, pool, what| {
        let ids = random_ids(3, total, 31);
        let whole = watched(model, pool, Mode::Inference, 1, &ids);
        for first in CHUNKS {
            // Chunks of one length, and all lengths in turn (their sum is 30), cut to what is left.
            for mixed in [false, true] {
                let lengths = CHUNKS.iter().cycle().skip_while(|&&length| length != first);
                let mut lengths = lengths.map(|&length| if mixed { length } else { first });
                let (mut fused, mut open) = (
                    KvCache::new(&model.dimensions()),
                    KvCache::new(&model.dimensions()),
                );
                let mut at = 0;
                while at < total {
                    let n = lengths.next().expect("endless").min(total - at);
                    let now = &ids[at..at + n];
                    let buffers = Buffers::new();
                    let mut pass =
                        Pass::new(model.run(pool, &buffers), 1, n, Mode::Cached(&mut fused));
                    let unwatched = model.logits(&mut pass, now).tensor().data().to_vec();
                    pass.finish();
                    let open = watched(model, pool, Mode::Cached(&mut open), 1, now);
                    let what = format!("{what}: logits of {n} tokens after {at}");
                    worst = worst.max(assert_same(&what, &unwatched, &open));
                    worst = worst.max(assert_same(
                        &what,
                        &unwatched,
                        &whole[at * 31..(at + n) * 31],
                    ));
                    at += n;
                }
            }
        }
    });
    println!("cached logits, fused, differ by {worst:.1e} of their length");
}
