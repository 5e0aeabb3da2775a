//! `cargo xtask bench`: how fast we are; with `--peers`, next to PyTorch and llama.cpp on the same machine.
//!
//! Ours and the peer's are measured in turn, round by round, and the ratio is the median over the rounds: whatever
//! else the machine does then meets both. The peer is measured in those of its modes that a quick pass finds to be near the
//! quickest, and the best of them counts.

mod load;
mod ours;
mod peer;
mod record;
mod table;
mod works;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use ours::Program;
use peer::{Mode, Peers};
use record::{Place, peaks_line};
use table::Comparison;
use works::{PeerWork, WORKS, Work};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                                   ours alone
  cargo xtask bench --peers                           next to PyTorch, with a record in bench/record/
  cargo xtask bench --peers --only nano,attention --rounds 3
  cargo xtask bench --peers --only embed --encoder all-MiniLM-L6-v2 --texts sentences.txt
  cargo xtask bench --peers --only start,prefill-512,decode-8,decode-512 --gguf SmolLM2.Q4_0.gguf --gguf SmolLM2.Q8_0.gguf")]
pub(crate) struct Arguments {
    /// Measure the peers in turn with ours, and write a record. Makes the environment bench/.venv once.
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
    /// For `start`, `prefill-512`, `decode-8` and `decode-512`: a model's file; may be given several times.
    #[arg(long, value_name = "FILE")]
    gguf: Vec<PathBuf>,
    /// For `embed`: a model's folder as sentence-transformers lays it out.
    #[arg(long, value_name = "DIR", requires = "texts")]
    encoder: Option<PathBuf>,
    /// For `embed`: a file, each line of which is a text.
    #[arg(long, value_name = "FILE", requires = "encoder")]
    texts: Option<PathBuf>,
}

impl Arguments {
    /// The works to do: those that were chosen, with the paths that they need; one for each GGUF file of those that need one.
    fn works(&self) -> Result<Vec<Work>> {
        let chosen =
            |work: &&Work| self.only.is_empty() || self.only.iter().any(|name| name == work.name);
        let paths = given([("encoder", &self.encoder), ("texts", &self.texts)])?;
        let mut works = Vec::new();
        for work in WORKS.iter().filter(chosen) {
            let before = works.len();
            if work.needs.contains(&"gguf") {
                for file in &self.gguf {
                    let file = given([("gguf", &Some(file.clone()))])?;
                    works.extend(work.with(&file));
                }
            } else {
                works.extend(work.with(&paths));
            }
            if works.len() == before {
                println!(
                    "{}: left out; it needs --{}",
                    work.name,
                    work.needs.join(" and --")
                );
            }
        }
        Ok(works)
    }
}

/// Paths by the names of their flags; whole, as scripts run in another folder.
fn given<const N: usize>(
    paths: [(&'static str, &Option<PathBuf>); N],
) -> Result<Vec<(&'static str, String)>> {
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
    peers: Vec<String>,
}

pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<()> {
    let threads = match arguments.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let python = std::env::var_os("GLASSFORMER_BENCH_PYTHON").map(PathBuf::from);
    let python = arguments.python.clone().or(python);
    let works = arguments.works()?;
    // First, as it may fail: nobody should wait for a build in order to read that.
    let peers = if arguments.peers {
        Some(Peers::find(root, python.as_deref(), threads)?)
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
    for work in &works {
        match (&work.peer, &peers) {
            (Some(peer), Some(peers)) => {
                compare(&program, peers, work, peer, arguments.rounds, &mut results)?;
            }
            _ => alone(&program, work, &mut results)?,
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

/// Finds the peer's quickest modes, then measures them and ours in turn: the one with the least median counts.
fn compare(
    program: &Program,
    peers: &Peers,
    work: &Work,
    peer: &PeerWork,
    rounds: u32,
    results: &mut Results,
) -> Result<()> {
    let ours = format!("{} --runs {}", work.ours, peer.runs);
    let mut raced = Vec::new();
    for mode in quickest_modes(peers, work, peer, results) {
        let asked = peers.start(peer, &mode)?;
        results.met(&format!("{} {}", peer.who, asked.version));
        raced.push((mode, asked, Vec::new()));
    }
    if raced.is_empty() {
        results.remarks.push(format!(
            "{}: {} ran in none of its modes; ours is measured alone.",
            work.title(),
            peer.who
        ));
        return alone(program, work, results);
    }
    let mut mine = Vec::new();
    for round in 1..=rounds {
        mine.push(program.fastest(&ours)?);
        let a = mine[mine.len() - 1].ms;
        print!("{} {round}/{rounds}: ours {a:.2} ms", work.title());
        for (mode, asked, times) in &mut raced {
            let b = asked.round()?;
            print!(", {} {b:.2} ms ({mode})", peer.who);
            times.push(b);
        }
        println!();
    }
    results.command(&ours, program);
    for (mode, ..) in &raced {
        results.commands.push(peers.shown(peer, mode));
    }
    let all = raced.into_iter().map(|(mode, _, times)| (mode, times));
    let best = all.min_by(|(_, a), (_, b)| median(a.clone()).total_cmp(&median(b.clone())));
    let (mode, theirs) = best.expect("some modes");
    let ratios = theirs.iter().zip(&mine).map(|(b, a)| b / a.ms).collect();
    mine.sort_by(|a, b| a.ms.total_cmp(&b.ms));
    let middle = mine.swap_remove(mine.len() / 2);
    results.comparisons.push(Comparison {
        work: work.title(),
        ours: middle.ms,
        precision: middle.precision,
        of_peak: middle.of_peak,
        theirs: median(theirs),
        mode: mode.to_string(),
        ratio: median(ratios),
        at_least: peer.at_least,
        aim: peer.aim,
    });
    Ok(())
}

/// Modes that are slower than the quickest by more than this share are not raced.
const NEAR: f64 = 0.125;

/// One round of every mode of the peer; the quickest, and those that another round might find quicker. A mode that cannot run
/// (no C++ compiler, say) is noted.
fn quickest_modes(peers: &Peers, work: &Work, peer: &PeerWork, results: &mut Results) -> Vec<Mode> {
    let mut ran: Vec<(f64, Mode)> = Vec::new();
    for mode in peers.modes(peer) {
        let time = peers.start(peer, &mode).and_then(|mut asked| asked.round());
        match &time {
            Ok(ms) => println!("{}, {} {mode}: {ms:.2} ms", work.title(), peer.who),
            Err(error) => println!("{}, {} {mode}: {error:#}", work.title(), peer.who),
        }
        let told = time
            .as_ref()
            .copied()
            .map_err(|_| "could not run".to_owned());
        results.modes.push((work.title(), mode.to_string(), told));
        ran.extend(time.ok().map(|ms| (ms, mode)));
    }
    let least = ran.iter().map(|(ms, _)| *ms).fold(f64::INFINITY, f64::min);
    ran.retain(|(ms, _)| *ms <= least * (1.0 + NEAR));
    ran.into_iter().map(|(_, mode)| mode).collect()
}

impl Results {
    /// A peer and its version.
    fn met(&mut self, peer: &str) {
        if !self.peers.iter().any(|known| known == peer) {
            self.peers.push(peer.to_owned());
        }
    }

    fn command(&mut self, words: &str, program: &Program) {
        self.commands.push(program.shown(words));
    }

    /// The whole record.
    fn record(&self, place: &Place, peaks: &Value, rounds: u32) -> String {
        let peer = match self.peers.as_slice() {
            [] => "no peer".to_owned(),
            peers => peers.join(", "),
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
                "## Next to its peers\n\nRatio: the peer's time ÷ ours; above 1 we are faster.\n\n";
            text += &table::comparisons(&self.comparisons);
        }
        if !self.ours.is_empty() {
            text += "\n## Ours alone\n\n";
            text += &table::measurements(&self.ours);
        }
        if !self.modes.is_empty() {
            text += "\n## The peers' modes, one quick round of each\n\n";
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
