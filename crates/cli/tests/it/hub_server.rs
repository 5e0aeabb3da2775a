//! A hub on this machine: as much of huggingface.co as fetching a model needs.
//!
//! `/api/models/REPO/revision/REV` lists files; `/REPO/resolve/REV/FILE` gives small ones, and redirects to another host
//! (`localhost`, where the hub is `127.0.0.1`) for weights, as the real one does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::json;
use sha2::{Digest, Sha256};

/// The commit of every revision.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the hub has, and how it behaves.
#[derive(Default)]
pub(crate) struct Manner {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The only token that opens it.
    pub(crate) token: Option<&'static str>,
    /// What it answers to everything.
    pub(crate) status: Option<u16>,
    /// So many transfers of weights stop in the middle.
    pub(crate) breaks: AtomicUsize,
    /// Weights come with a wrong byte.
    pub(crate) is_faulty: bool,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// Whether at the host that has the weights.
    pub(crate) elsewhere: bool,
    /// The first byte wanted, unless only one byte is, by which a client asks for the size.
    pub(crate) from: Option<u64>,
    pub(crate) token: Option<String>,
}

pub(crate) struct Server {
    port: u16,
    shared: Arc<Shared>,
    listens: Option<JoinHandle<()>>,
}

struct Shared {
    manner: Manner,
    port: u16,
    asked: Mutex<Vec<Asked>>,
    ends: AtomicBool,
}

impl Server {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            manner,
            port,
            asked: Mutex::default(),
            ends: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        let listens = thread::spawn(move || {
            for stream in listener.incoming() {
                if own.ends.load(Ordering::Relaxed) {
                    return;
                }
                // A client that went away is not the server's affair.
                let _ = own.answer(stream.unwrap());
            }
        });
        Self {
            port,
            shared,
            listens: Some(listens),
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.listens.take().unwrap().join();
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let (asked, range) = read(&stream)?;
        self.asked.lock().unwrap().push(asked.clone());
        let Manner { files, .. } = &self.manner;
        let path = asked.path.trim_start_matches('/');
        if let Some(name) = path.strip_prefix("cdn/") {
            return self.send(&mut stream, name, &files[name], range);
        }
        if let Some(status) = self.manner.status {
            return head(&mut stream, status, &[]);
        }
        if let Some(token) = self.manner.token
            && asked.token.as_deref() != Some(&format!("Bearer {token}"))
        {
            return head(&mut stream, 401, &[]);
        }
        if path.starts_with("api/models/org/name/revision/") {
            let names = files.keys().map(|name| json!({ "rfilename": name }));
            let info = json!({"sha": COMMIT, "siblings": names.collect::<Vec<_>>()}).to_string();
            head(
                &mut stream,
                200,
                &[("Content-Length", &info.len().to_string())],
            )?;
            return stream.write_all(info.as_bytes());
        }
        let name = path
            .strip_prefix("org/name/resolve/")
            .and_then(|rest| rest.split_once('/'));
        match name.and_then(|(_, name)| Some((name, files.get(name)?))) {
            Some((name, bytes)) if is_large(name) => head(
                &mut stream,
                302,
                &[
                    (
                        "Location",
                        &format!("http://localhost:{}/cdn/{name}", self.port),
                    ),
                    ("X-Linked-Etag", &format!("\"{}\"", sha256(bytes))),
                    ("X-Repo-Commit", COMMIT),
                ],
            ),
            Some((name, bytes)) => self.send(&mut stream, name, bytes, range),
            None => head(&mut stream, 404, &[]),
        }
    }

    /// A part of a file, up to `range.1`; or half of it.
    fn send(
        &self,
        stream: &mut TcpStream,
        name: &str,
        bytes: &[u8],
        (from, to): (usize, Option<usize>),
    ) -> std::io::Result<()> {
        let end = to.map_or(bytes.len(), |to| to + 1);
        let mut part = bytes[from..end].to_vec();
        let etag = format!("\"{}\"", &sha256(bytes)[..40]);
        head(
            stream,
            206,
            &[
                ("Content-Length", &part.len().to_string()),
                (
                    "Content-Range",
                    &format!("bytes {from}-{}/{}", end - 1, bytes.len()),
                ),
                ("ETag", &etag),
                ("X-Repo-Commit", COMMIT),
            ],
        )?;
        if to.is_none() && is_large(name) {
            if self.manner.is_faulty {
                part[0] ^= 1;
            }
            let breaks = &self.manner.breaks;
            if breaks.load(Ordering::Relaxed) > 0 {
                breaks.fetch_sub(1, Ordering::Relaxed);
                part.truncate(part.len() / 2);
            }
        }
        stream.write_all(&part)
    }
}

fn is_large(name: &str) -> bool {
    [".safetensors", ".gguf"]
        .iter()
        .any(|end| name.ends_with(end))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request, and the range of bytes that it wants.
fn read(stream: &TcpStream) -> std::io::Result<(Asked, (usize, Option<usize>))> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut asked = Asked {
        path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
        elsewhere: false,
        from: None,
        token: None,
    };
    let mut range = (0, None);
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "host" => asked.elsewhere = value.starts_with("localhost"),
            "authorization" => asked.token = Some(value.to_owned()),
            "range" => {
                let (from, to) = value.trim_start_matches("bytes=").split_once('-').unwrap();
                range = (from.parse().unwrap(), to.parse().ok());
                asked.from = range.1.is_none().then_some(range.0 as u64);
            }
            _ => {}
        }
    }
    Ok((asked, range))
}

fn head(stream: &mut TcpStream, status: u16, headers: &[(&str, &str)]) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} -\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !headers.iter().any(|(name, _)| *name == "Content-Length") {
        head += "Content-Length: 0\r\n";
    }
    stream.write_all((head + "\r\n").as_bytes())
}
