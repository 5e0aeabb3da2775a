//! What is measured: one line per work, ours and the peer's command for the same thing, and how far ahead we want to be.

use std::borrow::Cow;
use std::path::Path;

/// A thing to measure.
#[derive(Clone)]
pub(super) struct Work {
    /// For `--only` and the table.
    pub(super) name: &'static str,
    /// Arguments of `glassformer bench`; without a peer every line it prints is told, with one the fastest. What stands in
    /// `{}` is what was given for [`needs`](Self::needs).
    pub(super) ours: Cow<'static, str>,
    /// Flags of this command without which the work is left out.
    pub(super) needs: &'static [&'static str],
    /// The model's file, if there is one.
    pub(super) of: Option<String>,
    /// Who does the same.
    pub(super) peer: Option<PeerWork>,
}

/// The same work in another program, as a script measures it.
#[derive(Clone)]
pub(super) struct PeerWork {
    pub(super) who: Who,
    /// The script in `bench/` and its arguments, without those of a mode and of rounds; `{}` as above.
    pub(super) script: Cow<'static, str>,
    pub(super) modes: &'static [&'static str],
    /// Runs in a round, of ours as well as of the peer's.
    pub(super) runs: usize,
    /// Peer's time ÷ ours: what a release must reach.
    pub(super) at_least: f64,
    /// … and what we want.
    pub(super) aim: f64,
}

/// The peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// PyTorch, also under sentence-transformers, and ONNX Runtime.
    PyTorch,
    LlamaCpp,
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PyTorch => "PyTorch",
            Self::LlamaCpp => "llama.cpp",
        })
    }
}

impl Work {
    /// The work with what was `given`, as (flag, value), in its place; `None` if something that it needs was not.
    pub(super) fn with(&self, given: &[(&str, String)]) -> Option<Self> {
        let has = |need: &&str| given.iter().any(|(flag, _)| flag == need);
        let fill = |words: &mut Cow<'static, str>| {
            for (flag, value) in given {
                *words = words.replace(&format!("{{{flag}}}"), value).into();
            }
        };
        let mut work = self.clone();
        fill(&mut work.ours);
        if let Some(peer) = &mut work.peer {
            fill(&mut peer.script);
        }
        let file = given.iter().find(|(flag, _)| *flag == "gguf");
        let stem = file.and_then(|(_, path)| Path::new(path).file_stem());
        work.of = stem.map(|stem| stem.to_string_lossy().into_owned());
        self.needs.iter().all(has).then_some(work)
    }

    /// For tables: its name, and of which model it is.
    pub(super) fn title(&self) -> String {
        match &self.of {
            Some(of) => format!("{} {of}", self.name),
            None => self.name.to_owned(),
        }
    }
}

const TRAINING: &[&str] = &["f32", "f32-compiled", "bf16", "bf16-compiled"];

pub(super) const WORKS: &[Work] = &[
    Work {
        name: "nano",
        ours: Cow::Borrowed("train --preset nano"),
        needs: &[],
        of: None,
        peer: Some(PeerWork {
            who: Who::PyTorch,
            script: Cow::Borrowed("torch_train.py --preset nano"),
            modes: TRAINING,
            runs: 20,
            at_least: 2.0,
            aim: 3.0,
        }),
    },
    Work {
        name: "baby",
        ours: Cow::Borrowed("train --preset baby"),
        needs: &[],
        of: None,
        peer: Some(PeerWork {
            who: Who::PyTorch,
            script: Cow::Borrowed("torch_train.py --preset baby"),
            modes: TRAINING,
            runs: 4,
            at_least: 1.4,
            aim: 2.0,
        }),
    },
    Work {
        name: "gpt2",
        ours: Cow::Borrowed("train --preset gpt2"),
        needs: &[],
        of: None,
        peer: Some(PeerWork {
            who: Who::PyTorch,
            script: Cow::Borrowed("torch_train.py --preset gpt2"),
            modes: TRAINING,
            runs: 2,
            at_least: 1.5,
            aim: 2.0,
        }),
    },
    Work {
        name: "attention",
        ours: Cow::Borrowed("kernels --only attention"),
        needs: &[],
        of: None,
        peer: Some(PeerWork {
            who: Who::PyTorch,
            script: Cow::Borrowed("torch_attention.py"),
            modes: &["f32", "bf16"],
            runs: 20,
            at_least: 1.5,
            aim: 2.5,
        }),
    },
    Work {
        name: "embed",
        ours: Cow::Borrowed("embed -m {encoder} --texts {texts}"),
        needs: &["encoder", "texts"],
        of: None,
        peer: Some(PeerWork {
            who: Who::PyTorch,
            script: Cow::Borrowed("sentence_embed.py --model {encoder} --texts {texts}"),
            modes: &["torch-f32", "torch-bf16", "onnx", "onnx-fused"],
            runs: 3,
            at_least: 1.5,
            aim: 3.0,
        }),
    },
    llama(
        "start",
        "start -m {gguf}",
        "llama_cpp_run.py start {gguf}",
        [1.0, 2.0],
    ),
    llama(
        "prefill-512",
        "prefill --tokens 512 --precision bf16 -m {gguf}",
        "llama_cpp_run.py prefill {gguf} --tokens 512",
        [1.5, 3.0],
    ),
    llama(
        "decode-8",
        "decode --depth 8 --precision bf16 -m {gguf}",
        "llama_cpp_run.py decode {gguf} --tokens 8",
        [1.3, 2.0],
    ),
    llama(
        "decode-512",
        "decode --depth 512 --precision bf16 -m {gguf}",
        "llama_cpp_run.py decode {gguf} --tokens 512",
        [1.3, 2.0],
    ),
    Work {
        name: "kernels",
        ours: Cow::Borrowed("kernels --only product"),
        needs: &[],
        of: None,
        peer: None,
    },
    Work {
        name: "decode",
        ours: Cow::Borrowed("decode --preset gpt2"),
        needs: &[],
        of: None,
        peer: None,
    },
    Work {
        name: "record",
        ours: Cow::Borrowed("prefill --preset gpt2 --record"),
        needs: &[],
        of: None,
        peer: None,
    },
];

/// A work on the model of a GGUF file.
const fn llama(
    name: &'static str,
    ours: &'static str,
    script: &'static str,
    [at_least, aim]: [f64; 2],
) -> Work {
    Work {
        name,
        ours: Cow::Borrowed(ours),
        needs: &["gguf"],
        of: None,
        peer: Some(PeerWork {
            who: Who::LlamaCpp,
            script: Cow::Borrowed(script),
            modes: &["plain", "flash"],
            runs: 5,
            at_least,
            aim,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::WORKS;

    #[test]
    fn a_work_is_left_out_unless_all_is_given_that_it_needs() {
        let embed = WORKS.iter().find(|work| work.name == "embed").unwrap();
        let given = [("encoder", "/m".to_owned()), ("texts", "/t".to_owned())];
        assert!(embed.with(&given[..1]).is_none());
        let work = embed.with(&given).unwrap();
        assert_eq!(work.ours, "embed -m /m --texts /t");
        assert!(work.peer.unwrap().script.ends_with("--model /m --texts /t"));
        assert!(WORKS[0].with(&[]).is_some());
    }
}
