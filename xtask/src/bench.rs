//! `cargo xtask bench`: how fast we are; with `--peers`, next to PyTorch (and llama.cpp) on the same machine.
//!
//! Ours and the peer's are measured in turn, round by round, and the ratio is the median over the rounds: whatever
//! else the machine does then meets both. The peer is measured in the best of its modes, found by a quick pass first.

mod llama;
mod load;
mod ours;
mod record;
mod table;
mod torch;
mod works;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use ours::Program;
use record::{Place, peaks_line};
use table::Comparison;
use torch::{Mode, Torch};
use works::{TorchWork, WORKS, Work};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                                   ours alone
  cargo xtask bench --peers                           next to PyTorch, with a record in bench/record/
  cargo xtask bench --peers --only nano,attention --rounds 3
  cargo xtask bench --peers --only embed --encoder all-MiniLM-L6-v2 --texts sentences.txt
  cargo xtask bench --peers --python ~/torch/bin/python --gguf gpt2.gguf")]
pub(crate) struct Arguments {
    /// Measure PyTorch in turn with ours, and write a record. Makes the environment bench/.venv once.
    #[arg(long)]
    peers: bool,
    /// Measure only these, separated by commas.
    #[arg(long, value_name = "WORK", value_delimiter = ',', value_parser = names())]
    only: Vec<String>,
    /// Rounds of each side; the medians count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Threads of both sides; 0 for all cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// A Python that has PyTorch, instead of bench/.venv; or set GLASSFORMER_BENCH_PYTHON.
    #[arg(long, value_name = "PATH", requires = "peers")]
    python: Option<PathBuf>,
    /// With `decode`: also measure llama.cpp on this file, if Python has llama_cpp.
    #[arg(long, value_name = "FILE", requires = "peers")]
    gguf: Option<PathBuf>,
    /// For `embed`: a model's folder as sentence-transformers lays it out.
    #[arg(long, value_name = "DIR", requires = "texts")]
    encoder: Option<PathBuf>,
    /// For `embed`: a file, each line of which is a text.
    #[arg(long, value_name = "FILE", requires = "encoder")]
    texts: Option<PathBuf>,
}

impl Arguments {
    /// Paths given for works that need them, by the names of their flags; whole, as scripts run in another folder.
    fn given(&self) -> Result<Vec<(&'static str, String)>> {
        let paths = [("encoder", &self.encoder), ("texts", &self.texts)];
        let mut given = Vec::new();
        for (flag, path) in paths {
            let Some(path) = path else { continue };
            let path = path
                .canonicalize()
                .with_context(|| format!("--{flag} {}", path.display()))?;
            let text = path.display().to_string();
            ensure!(
                !text.contains(char::is_whitespace),
                "--{flag} {text}: a path with white space cannot be handed on"
            );
            given.push((flag, text));
        }
        Ok(given)
    }
}

fn names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(WORKS.iter().map(|work| work.name))
}

/// What came out, and how to do it again.
#[derive(Default)]
struct Results {
    comparisons: Vec<Comparison>,
    ours: Vec<Value>,
    modes: Vec<(String, String, Result<f64, String>)>,
    remarks: Vec<String>,
    commands: Vec<String>,
    torch_version: String,
}

pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let threads = match arguments.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let python = std::env::var_os("GLASSFORMER_BENCH_PYTHON").map(PathBuf::from);
    let python = arguments.python.clone().or(python);
    let given = arguments.given()?;
    // First, as it may fail: nobody should wait for a build in order to read that.
    let torch = if arguments.peers {
        Some(Torch::find(root, python.as_deref(), threads)?)
    } else {
        None
    };
    let program = Program::build(root, threads)?;
    let before = load::others();
    if let Some(text) = load::warning(before, None) {
        println!("{text}");
    }
    let peaks = program.measure("peaks")?.pop().unwrap_or_default();
    println!("{}", peaks_line(&peaks));
    let mut results = Results::default();
    let chosen = |work: &&Work| {
        arguments.only.is_empty() || arguments.only.iter().any(|name| name == work.name)
    };
    for work in WORKS.iter().filter(chosen) {
        let Some(work) = &work.with(&given) else {
            println!(
                "{}: left out; it needs --{}",
                work.name,
                work.needs.join(" and --")
            );
            continue;
        };
        match (&work.peer, &torch) {
            (Some(peer), Some(torch)) => {
                compare(&program, torch, work, peer, arguments.rounds, &mut results)?;
            }
            _ => alone(&program, work, &mut results)?,
        }
        if let (Some(gguf), Some(torch), "decode") = (&arguments.gguf, &torch, work.name) {
            results
                .remarks
                .push(llama::decode(root, torch.python(), gguf, threads));
        }
    }
    results
        .remarks
        .extend(load::warning(before, load::others()));
    let tables = results.tables();
    println!("\n{tables}");
    if arguments.peers {
        let place = Place::here(root, threads);
        let text = results.record(&place, &peaks, arguments.rounds);
        println!("wrote {}", place.write(root, &text)?.display());
    }
    Ok(())
}

/// Ours, without a peer: every measurement is told.
fn alone(program: &Program, work: &Work, results: &mut Results) -> Result<()> {
    println!("{}: glassformer bench {}", work.name, work.ours);
    results.ours.extend(program.measure(&work.ours)?);
    results.command(&work.ours, program);
    Ok(())
}

/// Finds the peer's best mode, then measures it and ours in turn.
fn compare(
    program: &Program,
    torch: &Torch,
    work: &Work,
    peer: &TorchWork,
    rounds: u32,
    results: &mut Results,
) -> Result<()> {
    let ours = format!("{} --runs {}", work.ours, peer.runs);
    let Some(best) = best_mode(torch, work, peer, results) else {
        results.remarks.push(format!(
            "{}: PyTorch ran in none of its modes; ours is measured alone.",
            work.name
        ));
        return alone(program, work, results);
    };
    let mut asked = torch.start(peer, &best)?;
    results.torch_version.clone_from(&asked.version);
    let (mut mine, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut precision = String::new();
    for round in 1..=rounds {
        let (a, of) = program.fastest(&ours)?;
        let b = asked.round()?;
        println!(
            "{} {round}/{rounds}: ours {a:.2} ms, PyTorch {b:.2} ms ({best})",
            work.name
        );
        mine.push(a);
        theirs.push(b);
        ratios.push(b / a);
        precision = of;
    }
    results.command(&ours, program);
    results.commands.push(torch.shown(peer, &best));
    results.comparisons.push(Comparison {
        work: work.name.to_owned(),
        ours: median(mine),
        precision,
        theirs: median(theirs),
        mode: best.to_string(),
        ratio: median(ratios),
        at_least: peer.at_least,
        aim: peer.aim,
    });
    Ok(())
}

/// One round of every mode of the peer; the fastest. A mode that cannot run (no C++ compiler, say) is noted.
fn best_mode(torch: &Torch, work: &Work, peer: &TorchWork, results: &mut Results) -> Option<Mode> {
    let mut best: Option<(f64, Mode)> = None;
    for mode in torch.modes(peer) {
        let time = torch.start(peer, &mode).and_then(|mut asked| asked.round());
        match &time {
            Ok(ms) => println!("{}, PyTorch {mode}: {ms:.2} ms", work.name),
            Err(error) => println!("{}, PyTorch {mode}: {error:#}", work.name),
        }
        let told = time
            .as_ref()
            .copied()
            .map_err(|_| "could not run".to_owned());
        results
            .modes
            .push((work.name.to_owned(), mode.to_string(), told));
        if let Ok(ms) = time
            && best.as_ref().is_none_or(|(least, _)| ms < *least)
        {
            best = Some((ms, mode));
        }
    }
    best.map(|(_, mode)| mode)
}

impl Results {
    fn command(&mut self, words: &str, program: &Program) {
        self.commands.push(program.shown(words));
    }

    /// The whole record.
    fn record(&self, place: &Place, peaks: &Value, rounds: u32) -> String {
        let peer = match self.torch_version.as_str() {
            "" => "no peer".to_owned(),
            version => format!("PyTorch {version}"),
        };
        let (introduction, tables) = (place.introduction(&peer, peaks), self.tables());
        let commands = self.commands.join("\n");
        format!(
            "{introduction}{tables}\n## Commands\n\n\
             The peer's in `bench/`, in turn with ours, {rounds} rounds:\n\n```sh\n{commands}\n```\n"
        )
    }

    /// Everything that was measured.
    fn tables(&self) -> String {
        let mut text = String::new();
        if !self.comparisons.is_empty() {
            text +=
                "## Next to PyTorch\n\nRatio: the peer's time ÷ ours; above 1 we are faster.\n\n";
            text += &table::comparisons(&self.comparisons);
        }
        if !self.ours.is_empty() {
            text += "\n## Ours alone\n\n";
            text += &table::measurements(&self.ours);
        }
        if !self.modes.is_empty() {
            text += "\n## PyTorch's modes, one quick round of each\n\n";
            text += &table::modes(&self.modes);
        }
        for remark in &self.remarks {
            text += &format!("\n{remark}\n");
        }
        text.trim_start().to_owned()
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    f64::midpoint(values[(n - 1) / 2], values[n / 2])
}
