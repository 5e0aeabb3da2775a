//! What is measured: one line per work, ours and the peer's command for the same thing, and how far ahead we want to be.

/// A thing to measure.
pub(super) struct Work {
    /// For `--only` and the table.
    pub(super) name: &'static str,
    /// Arguments of `glassformer bench`; without a peer every line it prints is told, with one the fastest.
    pub(super) ours: &'static str,
    /// Who does the same.
    pub(super) peer: Option<TorchWork>,
}

/// The same work in PyTorch.
pub(super) struct TorchWork {
    /// The script in `bench/` and its arguments, without those of a mode and of rounds.
    pub(super) script: &'static str,
    pub(super) modes: &'static [&'static str],
    /// Runs in a round, of ours as well as of the peer's.
    pub(super) runs: usize,
    /// Peer's time ÷ ours: what a release must reach.
    pub(super) at_least: f64,
    /// … and what we want.
    pub(super) aim: f64,
}

const TRAINING: &[&str] = &["f32", "f32-compiled", "bf16", "bf16-compiled"];

pub(super) const WORKS: &[Work] = &[
    Work {
        name: "nano",
        ours: "train --preset nano",
        peer: Some(TorchWork {
            script: "torch_train.py --preset nano",
            modes: TRAINING,
            runs: 20,
            at_least: 2.0,
            aim: 3.0,
        }),
    },
    Work {
        name: "baby",
        ours: "train --preset baby",
        peer: Some(TorchWork {
            script: "torch_train.py --preset baby",
            modes: TRAINING,
            runs: 4,
            at_least: 1.4,
            aim: 2.0,
        }),
    },
    Work {
        name: "gpt2",
        ours: "train --preset gpt2",
        peer: Some(TorchWork {
            script: "torch_train.py --preset gpt2",
            modes: TRAINING,
            runs: 2,
            at_least: 1.5,
            aim: 2.0,
        }),
    },
    Work {
        name: "attention",
        ours: "kernels --only attention",
        peer: Some(TorchWork {
            script: "torch_attention.py",
            modes: &["f32", "bf16"],
            runs: 20,
            at_least: 1.5,
            aim: 2.5,
        }),
    },
    Work {
        name: "kernels",
        ours: "kernels --only product",
        peer: None,
    },
    Work {
        name: "decode",
        ours: "decode --preset gpt2",
        peer: None,
    },
    Work {
        name: "record",
        ours: "prefill --preset gpt2 --record",
        peer: None,
    },
];
