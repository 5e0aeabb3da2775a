//! The mean of a run's checkpoints.

use glassformer_model::families;
use glassformer_train::average::{Which, average};
use glassformer_train::checkpoint::Checkpoints;
use glassformer_train::{Options, TrainError, metrics};
use glassformer_weights::TensorFile;

use crate::runs::{Place, options};

#[test]
fn each_parameter_is_the_mean_over_the_checkpoints() {
    let place = Place::new();
    let options = Options {
        keep: 9,
        eval_every: 5,
        ..options()
    };
    place.undisturbed("run", options);
    let folder = place.path("run");
    let arena = |step: u64| {
        let path = Checkpoints::of(&folder).path(step);
        let config = std::fs::read_to_string(path.join("config.json")).unwrap();
        let weights = TensorFile::open(&path.join("model.safetensors")).unwrap();
        let model = families::load(&config, &weights, "test").unwrap();
        model.parameters.arena().to_vec()
    };
    let assert_mean = |which, steps: &[u64]| {
        let mean = average(&folder, which).unwrap();
        assert_eq!(mean.steps, steps);
        let arenas: Vec<_> = steps.iter().map(|&step| arena(step)).collect();
        for (n, &x) in mean.parameters.iter().enumerate() {
            let values = arenas.iter().map(|arena| f64::from(arena[n]));
            let expected = values.sum::<f64>() / steps.len() as f64;
            assert_eq!(x.to_bits(), (expected as f32).to_bits());
        }
    };
    assert_mean(Which::Last(1), &[40]);
    assert_mean(Which::Last(3), &[30, 35, 40]);
    let lines = metrics::read(&folder);
    let mut losses: Vec<_> = lines
        .iter()
        .filter_map(|line| Some((line.val_loss?, line.step)))
        .collect();
    losses.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut best: Vec<_> = losses[..4].iter().map(|(_, step)| *step).collect();
    best.sort_unstable();
    assert_mean(Which::Best(4), &best);
    assert_mean(Which::Last(8), &[5, 10, 15, 20, 25, 30, 35, 40]);
    // What the run began with does not count.
    assert!(Checkpoints::of(&folder).path(0).exists());
    for which in [Which::Last(9), Which::Best(9)] {
        let error = average(&folder, which).unwrap_err();
        assert!(
            matches!(
                error,
                TrainError::TooFewCheckpoints {
                    has: 8,
                    wanted: 9,
                    ..
                }
            ),
            "{error}"
        );
    }
    assert!(average(&place.path("none"), Which::Last(1)).is_err());
}
