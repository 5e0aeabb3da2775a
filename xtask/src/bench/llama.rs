//! llama.cpp, where Python has it: how fast it decodes the model of a GGUF file. It stands beside our table, not in it,
//! as the model is another one.

use std::path::Path;

use serde_json::Value;

use crate::process::{command, output};

/// One line about it, also when it could not be measured.
pub(super) fn decode(root: &Path, python: &Path, gguf: &Path, threads: usize) -> String {
    let mut script = command(root, &python.to_string_lossy(), "bench/llama_decode.py");
    script
        .arg(gguf)
        .args(["--threads", &threads.to_string()])
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let name = gguf.file_name().unwrap_or_default().to_string_lossy();
    let told: Option<Value> = output(&mut script).ok().and_then(|text| {
        let last = text.lines().last()?;
        serde_json::from_str(last).ok()
    });
    let line = told.and_then(|told| {
        let ms = told["ms"].as_f64()?;
        let version = told["version"].as_str()?;
        Some(format!(
            "llama.cpp (llama-cpp-python {version}) decodes {name} in {ms:.2} ms per token, {:.0} tokens/s.",
            1e3 / ms
        ))
    });
    line.unwrap_or_else(|| {
        format!("llama.cpp was not measured on {name}: this Python has no llama_cpp, or cannot load the file.")
    })
}
