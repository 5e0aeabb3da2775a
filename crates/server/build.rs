//! Builds the page when it is not built, so that `cargo run` alone gives a complete program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

fn main() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    let dist = web.join("dist");
    println!("cargo::rerun-if-env-changed=GLASSFORMER_SKIP_PAGE");
    for watched in [
        "src",
        "index.html",
        "package-lock.json",
        "vite.config.ts",
        "vite.film.config.ts",
        "dist/index.html",
        "build",
    ] {
        println!("cargo::rerun-if-changed={}", web.join(watched).display());
    }
    for source in shown_sources(&web) {
        println!("cargo::rerun-if-changed={}", source.display());
    }
    if is_fresh(&web, &dist) || std::env::var_os("GLASSFORMER_SKIP_PAGE").is_some() {
        return ensure_something(
            &dist,
            "The page was not built: GLASSFORMER_SKIP_PAGE was set.",
        );
    }
    if let Err(reason) = build(&web) {
        println!("cargo::warning=the page was not built: {reason}");
        ensure_something(
            &dist,
            &format!("The page was not built: {reason}. Build again after mending this."),
        );
    }
}

/// Whether the built page is newer than all it is built from.
fn is_fresh(web: &Path, dist: &Path) -> bool {
    let Some(built) = modified(&dist.join("index.html")) else {
        return false;
    };
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut folders: Vec<PathBuf> = ["src", "public", "build"].map(|name| web.join(name)).into();
    let mut files: Vec<PathBuf> = [
        "index.html",
        "package.json",
        "package-lock.json",
        "vite.config.ts",
        "vite.film.config.ts",
    ]
    .map(|name| web.join(name))
    .into();
    files.extend(shown_sources(web));
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    for file in files {
        newest = newest.max(modified(&file).unwrap_or(SystemTime::UNIX_EPOCH));
    }
    built >= newest
}

/// The Rust files whose lines the page shows: it is built anew when one of them changes, so that it shows what runs.
fn shown_sources(web: &Path) -> Vec<PathBuf> {
    let list = fs::read_to_string(web.join("src/story/code.ts")).unwrap_or_default();
    let names = list.split('\'').filter(|part| {
        part.starts_with("crates/") && Path::new(part).extension().is_some_and(|e| e == "rs")
    });
    names.map(|name| web.join("..").join(name)).collect()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn build(web: &Path) -> Result<(), String> {
    if !web.join("package.json").exists() {
        return Err("web/package.json is missing".to_owned());
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let run = |arguments: &[&str]| -> Result<(), String> {
        let output = Command::new(npm)
            .args(arguments)
            .current_dir(web)
            .output()
            .map_err(|error| {
                format!("npm cannot be started ({error}); install Node.js 20 or later")
            })?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or("no message")
            .to_owned();
        Err(format!("npm {} failed: {last}", arguments.join(" ")))
    };
    let installed = modified(&web.join("node_modules/.package-lock.json"));
    if installed.is_none() || installed < modified(&web.join("package-lock.json")) {
        run(&["ci", "--no-audit", "--no-fund"])?;
    }
    run(&["run", "build"])
}

/// The program embeds the folder, so there must be one.
fn ensure_something(dist: &Path, message: &str) {
    if dist.join("index.html").exists() {
        return;
    }
    let page =
        format!("<!doctype html><meta charset=utf-8><title>Glassformer</title><p>{message}</p>");
    if fs::create_dir_all(dist)
        .and_then(|()| fs::write(dist.join("index.html"), page))
        .is_err()
    {
        println!("cargo::warning={} cannot be written", dist.display());
    }
}
