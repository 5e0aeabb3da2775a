//! A training run survives whatever ends it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use glassformer_train::checkpoint::Checkpoints;

use crate::support::{command, corpus, glassformer, tiny_run};

const STEPS: &str = "300";
const KILLS: u32 = 20;

/// Everything that the newest checkpoint holds, except how long it took.
fn final_state(run: &Path) -> Vec<Vec<u8>> {
    let (step, newest) = Checkpoints::of(run).list().pop().unwrap();
    assert_eq!(step.to_string(), STEPS);
    ["model.safetensors", "optimizer.safetensors"]
        .map(|name| fs::read(newest.join(name)).unwrap())
        .into()
}

fn resume(run: &Path) -> Command {
    command([
        "train",
        "--resume",
        "--threads",
        "1",
        "--out",
        run.to_str().unwrap(),
    ])
}

/// Milliseconds to wait before the next kill: anything, every time anew.
fn some_moment(longest: u64) -> Duration {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    Duration::from_micros(u64::from(now.subsec_nanos()) * 2_654_435_761 % (longest * 1_000))
}

#[test]
fn killed_at_twenty_moments_and_still_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let [calm, stormy] = ["calm", "stormy"].map(|name| folder.path().join(name));
    glassformer(tiny_run(&corpus, &calm, &["--steps", STEPS])).ok();

    let mut child = command(tiny_run(&corpus, &stormy, &["--steps", STEPS]))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The run exists once run.json stands; a kill before that leaves nothing to resume, as it should.
    while !stormy.join("run.json").exists() {
        sleep(Duration::from_millis(1));
    }
    for _ in 0..KILLS {
        sleep(some_moment(60));
        child.kill().unwrap();
        child.wait().unwrap();
        child = resume(&stormy).stderr(Stdio::null()).spawn().unwrap();
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(final_state(&calm), final_state(&stormy));
    let steps = |run: &Path| -> Vec<String> {
        let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let step = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].to_string()
        };
        log.lines().map(step).collect()
    };
    assert_eq!(
        steps(&calm),
        steps(&stormy),
        "no line of metrics is lost or doubled"
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let run = folder.path().join("run");
    let child = command(tiny_run(
        &corpus,
        &run,
        &["--steps", "1000000", "--eval-every", "1000000"],
    ))
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    while !fs::read_to_string(run.join("metrics.jsonl")).is_ok_and(|log| log.lines().count() > 2) {
        sleep(Duration::from_millis(5));
    }
    Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && err.contains("--resume --out"),
        "{err}"
    );
    let (step, _) = Checkpoints::of(&run).list().pop().unwrap();
    assert!(step > 0, "the interrupted step was saved");
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_last_checkpoint_good() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let run = folder.path().join("run");
    glassformer(tiny_run(&corpus, &run, &["--steps", "20"])).ok();
    // A limit on the size of files makes writing fail as a full disk does: after some of the bytes.
    let program = env!("CARGO_BIN_EXE_glassformer");
    let script = format!(
        "trap '' XFSZ; ulimit -f 16; exec {program} train --resume --steps 60 --threads 1 --out {}",
        run.display()
    );
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(
        err.contains("cannot save") && err.contains("--resume"),
        "{err}"
    );
    let (step, newest) = Checkpoints::of(&run).list().pop().unwrap();
    assert_eq!(step, 20, "the checkpoint before is the newest");
    let leftovers: Vec<_> = fs::read_dir(newest.parent().unwrap())
        .unwrap()
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .ends_with(".tmp")
        })
        .collect();
    assert!(leftovers.is_empty());
    assert!(
        resume(&run)
            .arg("--steps=60")
            .output()
            .unwrap()
            .status
            .success(),
        "and with room it goes on"
    );
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let run = folder.path().join("run");
    glassformer(tiny_run(&corpus, &run, &["--steps", "30"])).ok();
    let (_, newest) = Checkpoints::of(&run).list().pop().unwrap();
    fs::write(newest.join("model.safetensors"), b"torn").unwrap();
    let ran = resume(&run).output().unwrap();
    let err = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success() && err.contains("passed over"), "{err}");
}

#[test]
fn fine_tuning_begins_with_the_given_weights() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    glassformer(tiny_run(
        &corpus,
        &first,
        &["--steps", "200", "--learning-rate", "0.01"],
    ))
    .ok();
    let init = first.to_str().unwrap();
    glassformer(tiny_run(
        &corpus,
        &second,
        &["--steps", "10", "--log-every", "1", "--init", init],
    ))
    .ok();
    let loss = |run: &Path, line: usize| -> f64 {
        let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let value: serde_json::Value =
            serde_json::from_str(log.lines().nth(line).unwrap()).unwrap();
        value["train_loss"].as_f64().unwrap()
    };
    assert!(
        loss(&second, 0) < loss(&first, 0) - 0.5,
        "it begins where the other ended"
    );
    let line = glassformer(tiny_run(&corpus, &first, &["--steps", "10"])).fails();
    assert!(line.contains("already holds a run"), "{line}");
}

/// `--recompute` gives the same weights, is stored with the run, and can be turned off again.
#[test]
fn a_recomputing_run_is_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let [keeping, recomputing] = ["keeping", "recomputing"].map(|name| folder.path().join(name));
    let stored = || {
        let bytes = fs::read(recomputing.join("run.json")).unwrap();
        let request: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        request["options"]["recompute"].as_bool()
    };
    let short = ["--steps", "20", "--layers", "3"];
    glassformer(tiny_run(&corpus, &keeping, &short)).ok();
    let flags = [&short[..], &["--recompute"]].concat();
    let told = glassformer(tiny_run(&corpus, &recomputing, &flags));
    assert!(told.err.contains("recomputed"), "{}", told.err);
    told.ok();
    assert_eq!(stored(), Some(true));
    for (run, flag) in [(&keeping, None), (&recomputing, Some("--recompute=false"))] {
        let longer = resume(run).args(["--steps", STEPS]).args(flag).output();
        assert!(longer.unwrap().status.success());
    }
    assert_eq!(stored(), Some(false));
    assert_eq!(final_state(&keeping), final_state(&recomputing));
}

#[test]
fn flags_of_a_resume_hold_for_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path());
    let [straight, twice] = ["straight", "twice"].map(|name| folder.path().join(name));
    for run in [&straight, &twice] {
        glassformer(tiny_run(&corpus, run, &["--steps", "20"])).ok();
    }
    let longer = |run: &Path| {
        resume(run)
            .args(["--steps", STEPS, "--context", "4096"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    assert!(
        longer(&straight).wait().unwrap().success(),
        "a context beyond the model's is cut to it"
    );
    let mut child = longer(&twice);
    while Checkpoints::of(&twice)
        .list()
        .last()
        .is_none_or(|(step, _)| *step < 40)
    {
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(resume(&twice).output().unwrap().status.success());
    assert_eq!(final_state(&straight), final_state(&twice));
}
