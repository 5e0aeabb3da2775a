//! The peers, asked for one round at a time, so that rounds of ours can stand between them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::works::{PeerWork, Who};
use crate::process::{command, run, shown, succeeds, target_folder};
use crate::python::Environment;

const BENCH: Environment = Environment { folder: "bench" };

/// How the peers' scripts are run.
pub(super) struct Peers {
    root: PathBuf,
    python: PathBuf,
    /// The library that makes MKL take its fast path, where it can be had.
    mkl_fast: Option<PathBuf>,
    /// Where its warnings and errors go.
    log: PathBuf,
    threads: usize,
}

/// A mode of a script, with or without the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) name: &'static str,
    pub(super) mkl_fast: bool,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = if self.mkl_fast {
            ", MKL's fast path"
        } else {
            ""
        };
        write!(f, "{}{path}", self.name)
    }
}

impl Peers {
    /// Finds PyTorch: the interpreter given, or the environment `bench/.venv`, which is made if need be.
    pub(super) fn find(root: &Path, python: Option<&Path>, threads: usize) -> Result<Self> {
        let python = match python {
            Some(python) => python.to_owned(),
            None => BENCH.install(root).context(
                "no PyTorch to measure against; name a Python that has it by --python, \
                 or leave --peers out to measure ours alone",
            )?,
        };
        let mut import = command(root, &python.to_string_lossy(), "-c");
        ensure!(
            succeeds(import.arg("import torch")),
            "{} cannot import torch; it needs what bench/requirements.txt lists",
            python.display()
        );
        let folder = target_folder(root)?.join("bench");
        fs::create_dir_all(&folder)?;
        Ok(Self {
            root: root.to_owned(),
            python,
            mkl_fast: mkl_fast(root, &folder),
            log: folder.join("peer.log"),
            threads,
        })
    }

    /// Every way to do a work.
    pub(super) fn modes(&self, work: &PeerWork) -> Vec<Mode> {
        let paths = if self.mkl_fast.is_some() && work.who == Who::PyTorch {
            &[false, true][..]
        } else {
            &[false]
        };
        work.modes
            .iter()
            .flat_map(|&name| paths.iter().map(move |&mkl_fast| Mode { name, mkl_fast }))
            .collect()
    }

    /// The command of a mode as one would type it in `bench/`.
    pub(super) fn shown(&self, work: &PeerWork, mode: &Mode) -> String {
        let preload = if mode.mkl_fast {
            "LD_PRELOAD=./mkl_fast.so "
        } else {
            ""
        };
        let words = self.arguments(work, mode);
        format!("{preload}python {words}")
    }

    fn arguments(&self, work: &PeerWork, mode: &Mode) -> String {
        let (script, runs, threads) = (&work.script, work.runs, self.threads);
        format!(
            "{script} --mode {} --threads {threads} --runs {runs}",
            mode.name
        )
    }

    /// Starts a script and waits until it is warm.
    pub(super) fn start(&self, work: &PeerWork, mode: &Mode) -> Result<Asked> {
        let words = self.arguments(work, mode) + " --ask";
        let folder = self.root.join("bench");
        let mut command = command(&folder, &self.python.to_string_lossy(), &words);
        command
            .env("OMP_NUM_THREADS", self.threads.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        if let (true, Some(library)) = (mode.mkl_fast, &self.mkl_fast) {
            command.env("LD_PRELOAD", library);
        }
        Asked::start(&mut command, &self.log)
    }
}

/// Compiles `bench/mkl_fast.c`; where that fails (no C compiler, not Linux on x86-64) PyTorch is measured without it.
fn mkl_fast(root: &Path, folder: &Path) -> Option<PathBuf> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return None;
    }
    let library = folder.join("mkl_fast.so");
    let mut compile = command(root, "cc", "-O2 -shared -fPIC bench/mkl_fast.c -o");
    if let Err(error) = run(compile.arg(&library)) {
        println!("note: PyTorch is measured without MKL's fast path: {error:#}");
        return None;
    }
    Some(library)
}

/// A script that is warm and waits to be asked.
pub(super) struct Asked {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
    line: String,
    /// The peer's.
    pub(super) version: String,
}

impl Asked {
    fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let line = shown(command);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()
            .with_context(|| format!("cannot run `{line}`"))?;
        let input = child.stdin.take().context("standard input is piped")?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        let mut asked = Self {
            child,
            input,
            lines: BufReader::new(stdout).lines(),
            log: log.to_owned(),
            line,
            version: String::new(),
        };
        let ready = asked.answer()?;
        ready["version"]
            .as_str()
            .unwrap_or("unknown")
            .clone_into(&mut asked.version);
        Ok(asked)
    }

    /// Milliseconds of one run: the median of a round.
    pub(super) fn round(&mut self) -> Result<f64> {
        // When the script has ended, its answer says so better than a broken pipe.
        let _ = writeln!(self.input).and_then(|()| self.input.flush());
        let answer = self.answer()?;
        answer["ms"].as_f64().context("a round without a time")
    }

    /// The next JSON object; other lines are remarks of libraries.
    fn answer(&mut self) -> Result<Value> {
        for line in self.lines.by_ref() {
            if let Ok(value @ Value::Object(_)) = serde_json::from_str(&line?) {
                return Ok(value);
            }
        }
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let last = log.lines().rev().find(|line| !line.trim().is_empty());
        bail!(
            "`{}` ended: {}",
            self.line,
            last.unwrap_or("it said nothing")
        )
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // It holds nothing that would need a farewell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
