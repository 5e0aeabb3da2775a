//! Opens the real page, served by the real program, in a real browser.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use super::page::{install, npm};
use super::{Arguments, Outcome};
use crate::process::{command, output, run, shown, succeeds, target_folder};

const NAMES: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
/// How long the server may take to say where it listens.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) fn test(root: &Path, _: &Arguments) -> Result<Outcome> {
    let Some(chromium) = find_chromium(root).or_else(|| install_chromium(root)) else {
        let todo = "no Chromium: install chromium and a font with Chinese (Debian: fonts-noto-cjk), or set CHROMIUM";
        return Ok(Outcome::Skipped(todo.into()));
    };
    let web = root.join("web");
    install(&web)?;
    run(&mut command(
        root,
        "cargo",
        "build --release -p glassformer-cli",
    ))?;
    let server = Server::start(root)?;
    run(npm(&web, "run e2e")
        .env("GLASSFORMER_URL", &server.url)
        .env("CHROMIUM", chromium))?;
    Ok(Outcome::Passed)
}

/// The first of `$CHROMIUM` and the usual names that runs, as a whole path (browser drivers want one).
fn find_chromium(root: &Path) -> Option<PathBuf> {
    let names = env::var("CHROMIUM")
        .into_iter()
        .chain(NAMES.map(str::to_owned));
    let paths = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&paths).collect();
    // Joining an absolute path leaves that path.
    let mut places = names.flat_map(|name| folders.iter().map(move |folder| folder.join(&name)));
    places.find(|place| succeeds(&mut command(root, &place.to_string_lossy(), "--version")))
}

/// On Debian and its relatives root can install it; elsewhere the person at the machine has to.
fn install_chromium(root: &Path) -> Option<PathBuf> {
    let is_debian = Path::new("/etc/debian_version").exists();
    let is_root = output(&mut command(root, "id", "-u")).is_ok_and(|id| id.trim() == "0");
    if !(is_debian && is_root) {
        return None;
    }
    for arguments in [
        "update",
        "install -y --no-install-recommends chromium fonts-noto-cjk",
    ] {
        let done =
            run(command(root, "apt-get", arguments).env("DEBIAN_FRONTEND", "noninteractive"));
        if let Err(error) = done {
            eprintln!("{error:#}");
            return None;
        }
    }
    find_chromium(root)
}

/// The explainer's server; it ends when this value does, and when the run is interrupted.
struct Server {
    url: String,
    child: Arc<Mutex<Child>>,
}

impl Server {
    fn start(root: &Path) -> Result<Self> {
        let program = target_folder(root)?
            .join("release")
            .join(format!("glassformer{}", env::consts::EXE_SUFFIX));
        let mut explain = command(
            root,
            &program.to_string_lossy(),
            "explain --no-open --port 0",
        );
        let line = shown(&explain);
        println!("$ {line} &");
        let mut child = explain
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context(line)?;
        let stdout = child
            .stdout
            .take()
            .context("the server has no standard output")?;
        let mut server = Self {
            url: String::new(),
            child: Arc::new(Mutex::new(child)),
        };
        let child = Arc::clone(&server.child);
        ctrlc::set_handler(move || {
            kill(&child);
            std::process::exit(130);
        })?;
        server.url = announced_url(stdout)?;
        println!("the server listens at {}", server.url);
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        kill(&self.child);
    }
}

fn kill(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    // Errors here mean that it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits for the line with the address. The server's output goes on to ours, so that its pipe never fills.
fn announced_url(stdout: ChildStdout) -> Result<String> {
    let (found, url) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            println!("server: {line}");
            if let Some(url) = local_url(&line) {
                // Nobody listens any more after the first.
                let _ = found.send(url.to_owned());
            }
        }
    });
    url.recv_timeout(PATIENCE).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => {
            anyhow!("the server did not say where it listens within {PATIENCE:?}")
        }
        mpsc::RecvTimeoutError::Disconnected => {
            anyhow!("the server ended without saying where it listens")
        }
    })
}

/// `http://127.0.0.1:PORT` in a line.
fn local_url(line: &str) -> Option<&str> {
    const START: &str = "http://127.0.0.1:";
    let line = &line[line.find(START)?..];
    let digits = line[START.len()..]
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    (digits > 0).then(|| &line[..START.len() + digits])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_found_in_its_line() {
        assert_eq!(
            local_url("Open http://127.0.0.1:4321/ now"),
            Some("http://127.0.0.1:4321")
        );
        assert_eq!(local_url("http://127.0.0.1:"), None);
        assert_eq!(local_url("https://example.org"), None);
    }
}
