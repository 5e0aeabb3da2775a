//! `bench`: what it says, not how fast it is.

use serde_json::Value;

use crate::support::glassformer;

/// The measurements that a run prints with --json.
fn measurements(arguments: &[&str]) -> Vec<Value> {
    let out = glassformer(arguments.iter().chain(&["--json"])).ok();
    let lines = out.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("one object a line")
}

/// Asserts that the fields are there, finite and not negative.
#[track_caller]
fn has_numbers(measurement: &Value, fields: &[&str]) {
    for field in fields {
        let number = measurement[*field].as_f64();
        assert!(
            number.is_some_and(|number| number.is_finite() && number >= 0.0),
            "{field} of {measurement}"
        );
    }
}

const FIELDS: &[&str] = &[
    "ms",
    "min_ms",
    "max_ms",
    "runs",
    "threads",
    "tokens_per_s",
    "gflops",
    "percent_of_peak",
];

#[test]
fn a_training_step_as_json() {
    let all = measurements(&["bench", "train", "--preset", "nano", "--runs", "1"]);
    let [step] = all.as_slice() else {
        panic!("one measurement: {all:?}")
    };
    has_numbers(step, FIELDS);
    assert_eq!(step["name"], "train nano");
    assert!(
        step["precision"] == "f32" || step["precision"] == "bf16",
        "{step}"
    );
    assert_eq!(step["runs"], 1);
    assert!(step["ms"].as_f64() > Some(0.0), "{step}");

    let flags = ["--preset", "nano", "--runs", "1", "--recompute"];
    let all = measurements(&[&["bench", "train"], &flags[..]].concat());
    assert_eq!(all.len(), 1);
    has_numbers(&all[0], FIELDS);
    assert_eq!(all[0]["name"], "train nano, recomputed");
}

#[test]
fn the_built_in_model_reads_and_decodes() {
    let run = ["--runs", "1", "--threads", "1"];
    let all = measurements(
        &[
            &["bench", "prefill", "--tokens", "16", "--record"],
            &run[..],
        ]
        .concat(),
    );
    assert_eq!(all.len(), 2, "plain and recorded");
    for measurement in &all {
        has_numbers(measurement, FIELDS);
    }
    assert!(all[0]["overhead_percent"].is_null());
    assert!(
        all[1]["overhead_percent"]
            .as_f64()
            .is_some_and(f64::is_finite)
    );

    let all = measurements(&[&["bench", "decode", "--depth", "250"], &run[..]].concat());
    assert_eq!(all.len(), 1);
    has_numbers(&all[0], FIELDS);
    has_numbers(&all[0], &["gbs", "percent_of_bandwidth"]);
    assert_eq!(all[0]["threads"], 1);
}

#[test]
fn the_table_names_the_work_and_the_peaks() {
    let out = glassformer([
        "bench", "train", "-m", "builtin", "--batch", "1", "--runs", "1",
    ])
    .ok();
    for word in ["Peaks", "GFLOP/s", "median ms", "train builtin"] {
        assert!(out.contains(word), "{word:?} is not in:\n{out}");
    }
    let out = glassformer(["bench", "kernels", "--only", "attention", "--runs", "1"]).ok();
    assert!(out.contains("attention 12×1024×64"), "{out}");
    assert!(!out.contains("product"), "{out}");
    let out = glassformer(["bench", "peaks", "--threads", "1"]).ok();
    assert!(
        out.starts_with("1 thread;") && out.contains("GB/s"),
        "{out}"
    );
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for usage in [
        &["bench"][..],
        &["bench", "train", "--preset", "huge"],
        &["bench", "train", "--preset", "nano", "-m", "builtin"],
        &["bench", "decode", "--runs", "0"],
    ] {
        assert_eq!(glassformer(usage).code, Some(2), "{usage:?}");
    }
    let line = glassformer(["bench", "prefill", "--tokens", "5000"]).fails();
    assert!(line.contains("5000") && line.contains("256"), "{line}");
    let line = glassformer(["bench", "decode", "--depth", "256"]).fails();
    assert!(line.contains("--depth 256"), "{line}");
    let line = glassformer(["bench", "kernels", "--only", "softmax"]).fails();
    assert!(
        line.contains("softmax") && line.contains("product"),
        "{line}"
    );
    glassformer(["bench", "train", "-m", "/no/such/model"]).fails();
}
