//! Runs the program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What came of a run.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Asserts success and gives standard output.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// Asserts a failure with exit code 1 whose message is one line; gives the line.
    #[track_caller]
    pub(crate) fn fails(self) -> String {
        assert_eq!(
            self.code,
            Some(1),
            "stdout: {}\nstderr: {}",
            self.out,
            self.err
        );
        let errors: Vec<&str> = self
            .err
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(errors.len(), 1, "{}", self.err);
        assert!(
            self.err.trim_end().ends_with(errors[0]),
            "nothing follows the error: {}",
            self.err
        );
        assert!(!self.err.contains("panicked"), "{}", self.err);
        errors[0].to_owned()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

pub(crate) fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glassformer"));
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn glassformer<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    command(arguments).output().unwrap().into()
}

/// A corpus of a few thousand characters.
pub(crate) fn corpus(folder: &Path) -> PathBuf {
    let path = folder.join("corpus.txt");
    let lines: String = (0..400)
        .map(|i| format!("line {i}: the cat sat on the mat {} times\n", i * 7 % 13))
        .collect();
    std::fs::write(&path, lines).unwrap();
    path
}

/// Arguments of a training run of a few seconds.
pub(crate) fn tiny_run(corpus: &Path, out: &Path, more: &[&str]) -> Vec<String> {
    let fixed = "--layers 1 --heads 2 --d-model 16 --context 16 --batch-size 4 --warmup 5 --dropout 0.1 \
         --eval-every 10 --eval-batches 2 --log-every 5 --sample-tokens 0 --threads 1";
    [
        "train",
        corpus.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]
    .into_iter()
    .chain(fixed.split_whitespace())
    .chain(more.iter().copied())
    .map(str::to_owned)
    .collect()
}
