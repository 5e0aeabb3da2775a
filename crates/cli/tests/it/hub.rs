//! `hf:org/name`: models fetched from a hub, here one that runs in the test.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::AtomicUsize;

use glassformer_tensor::Pool;
use glassformer_weights::{DataType, NewTensor, TensorFile, safetensors};
use serde_json::json;

use crate::hub_server::{Asked, COMMIT, Manner, Server, sha256};
use crate::support::{Ran, command, glassformer};

/// A model's files by name: the built-in one, written out once.
static FOLDER: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model");
    glassformer(["convert", "--dtype", "f16", "--out", out.to_str().unwrap()]).ok();
    let read = |name: &str| (name.to_owned(), fs::read(out.join(name)).unwrap());
    let mut files: BTreeMap<_, _> = ["config.json", "model.safetensors", "tokenizer.json"]
        .map(read)
        .into();
    // What nobody needs.
    for name in ["README.md", "pytorch_model.bin", "onnx/model.onnx"] {
        files.insert(name.to_owned(), b"not needed".to_vec());
    }
    files
});

fn serving(files: &BTreeMap<String, Vec<u8>>) -> Manner {
    Manner {
        files: files.clone(),
        ..Manner::default()
    }
}

/// A home for what is fetched, and the program that fetches it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// `info -m MODEL` with the hub at `endpoint`.
    fn info(&self, endpoint: &str, model: &str, more: &[(&str, &str)]) -> Ran {
        let mut command = command(["info", "-m", model]);
        for name in [
            "HF_TOKEN",
            "HF_TOKEN_PATH",
            "HF_HUB_CACHE",
            "HF_HUB_OFFLINE",
        ] {
            command.env_remove(name);
        }
        command
            .env("HF_ENDPOINT", endpoint)
            .env("HF_HOME", self.0.path())
            .env("NO_PROXY", "127.0.0.1,localhost")
            .envs(more.iter().copied());
        command.output().unwrap().into()
    }

    fn repository(&self) -> PathBuf {
        self.0.path().join("hub/models--org--name")
    }

    fn snapshot(&self) -> PathBuf {
        self.repository().join("snapshots").join(COMMIT)
    }
}

/// Names of the files that were transferred, in order, and from which byte on.
fn transfers(asked: &[Asked]) -> Vec<(&str, u64)> {
    asked
        .iter()
        // The request that is redirected transfers nothing itself.
        .filter(|one| one.elsewhere || !one.path.ends_with(".safetensors"))
        .filter_map(|one| Some((one.path.rsplit('/').next()?, one.from?)))
        .collect()
}

#[test]
fn a_model_is_fetched_once_and_then_found_without_a_network() {
    let (home, server) = (Home::new(), Server::start(serving(&FOLDER)));
    let out = home.info(&server.endpoint(), "hf:org/name", &[]).ok();
    assert!(out.contains("hf:org/name") && out.contains("gpt2"), "{out}");
    let asked = server.asked();
    assert_eq!(
        transfers(&asked),
        [
            ("config.json", 0),
            ("tokenizer.json", 0),
            ("model.safetensors", 0)
        ],
        "only what is needed, the weights last"
    );
    assert_eq!(
        fs::read(home.snapshot().join("model.safetensors")).unwrap(),
        FOLDER["model.safetensors"]
    );
    let refs = fs::read_to_string(home.repository().join("refs/main")).unwrap();
    assert_eq!(refs, COMMIT);
    let endpoint = server.endpoint();
    drop(server);
    assert_eq!(home.info(&endpoint, "hf:org/name", &[]).ok(), out);
    let by_commit = format!("hf:org/name@{COMMIT}");
    home.info(&endpoint, &by_commit, &[("HF_HUB_OFFLINE", "1")])
        .ok();
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_was() {
    let size = FOLDER["model.safetensors"].len() as u64;
    let halves = |asked: &[Asked]| -> Vec<u64> {
        let all = transfers(asked).into_iter();
        all.filter(|(name, _)| *name == "model.safetensors")
            .map(|(_, from)| from)
            .collect()
    };
    // Within one run …
    let (home, mut manner) = (Home::new(), serving(&FOLDER));
    manner.breaks = AtomicUsize::new(1);
    let server = Server::start(manner);
    home.info(&server.endpoint(), "hf:org/name", &[]).ok();
    assert_eq!(halves(&server.asked()), [0, size / 2]);

    // … and from one run to the next.
    let (home, mut manner) = (Home::new(), serving(&FOLDER));
    manner.breaks = AtomicUsize::new(usize::MAX);
    let server = Server::start(manner);
    let line = home.info(&server.endpoint(), "hf:org/name", &[]).fails();
    assert!(line.contains("model.safetensors broke off"), "{line}");
    let before = halves(&server.asked());
    assert!(
        before.windows(2).all(|pair| pair[0] < pair[1]),
        "{before:?}"
    );
    assert!(
        !home.repository().join("refs/main").exists(),
        "not whole yet"
    );
    let server = Server::start(serving(&FOLDER));
    home.info(&server.endpoint(), "hf:org/name", &[]).ok();
    let after = halves(&server.asked());
    assert_eq!(after.len(), 1);
    assert!(after[0] > *before.last().unwrap(), "{before:?}, {after:?}");
    assert_eq!(
        fs::read(home.snapshot().join("model.safetensors")).unwrap(),
        FOLDER["model.safetensors"]
    );
}

#[test]
fn a_token_opens_what_is_closed_and_goes_to_the_hub_alone() {
    let mut manner = serving(&FOLDER);
    manner.token = Some("hf_secret");
    let (home, server) = (Home::new(), Server::start(manner));
    let line = home.info(&server.endpoint(), "hf:org/name", &[]).fails();
    assert!(line.contains("401") && line.contains("HF_TOKEN"), "{line}");
    let wrong = [("HF_TOKEN", "hf_wrong")];
    let line = home.info(&server.endpoint(), "hf:org/name", &wrong).fails();
    assert!(
        line.contains("not accepted") && !line.contains("hf_wrong"),
        "{line}"
    );
    home.info(
        &server.endpoint(),
        "hf:org/name",
        &[("HF_TOKEN", "hf_secret")],
    )
    .ok();
    let weights = server.asked().into_iter();
    let weights: Vec<_> = weights
        .filter(|one| one.elsewhere && one.from.is_some())
        .collect();
    assert_eq!(weights.len(), 1);
    assert_eq!(weights[0].token, None, "another host gets no token");
    // The file that `hf auth login` writes.
    let home = Home::new();
    fs::write(home.0.path().join("token"), "hf_secret\n").unwrap();
    home.info(&server.endpoint(), "hf:org/name@v2", &[]).ok();
    let asked = server.asked();
    assert!(asked.iter().any(|one| one.path.ends_with("/revision/v2")));
}

#[test]
fn shards_are_fetched_by_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let files = sharded(folder.path());
    let (home, server) = (Home::new(), Server::start(serving(&files)));
    let out = home.info(&server.endpoint(), "hf:org/name", &[]).ok();
    assert!(out.contains("gpt2"), "{out}");
    let asked = server.asked();
    let names: Vec<_> = transfers(&asked)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let weights = ["one.safetensors", "two.safetensors"];
    assert_eq!(names[names.len() - 2..], weights);
}

/// The files of [`FOLDER`], its weights in two parts.
fn sharded(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = FOLDER.clone();
    let whole = folder.join("whole.safetensors");
    fs::write(&whole, files.remove("model.safetensors").unwrap()).unwrap();
    let file = TensorFile::open(&whole).unwrap();
    let mut map = BTreeMap::new();
    let names = file.names();
    let (first, second) = names.split_at(names.len() / 2);
    for (shard, names) in [("one.safetensors", first), ("two.safetensors", second)] {
        let path = folder.join(shard);
        let tensors = names
            .iter()
            .map(|name| NewTensor::copy(&file, name, name.as_str(), DataType::F16).unwrap());
        safetensors::write(&path, tensors.collect(), &BTreeMap::new(), &Pool::single()).unwrap();
        files.insert(shard.to_owned(), fs::read(&path).unwrap());
        map.extend(names.iter().map(|name| (name.to_owned(), shard)));
    }
    let index = json!({ "weight_map": map }).to_string();
    files.insert(
        "model.safetensors.index.json".to_owned(),
        index.into_bytes(),
    );
    files
}

#[test]
fn of_several_gguf_files_the_one_that_is_named() {
    let gguf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity/golden/llama-tiny/model.gguf");
    let file = |name: &str| (name.to_owned(), fs::read(&gguf).unwrap());
    let files = ["q4.gguf", "q8.gguf"].map(file).into();
    let (home, server) = (Home::new(), Server::start(serving(&files)));
    let line = home.info(&server.endpoint(), "hf:org/name", &[]).fails();
    assert!(
        line.contains("hf:org/name:q4.gguf; there are q4.gguf, q8.gguf"),
        "{line}"
    );
    // It is opened, but these files have no tokenizer.
    let line = home
        .info(&server.endpoint(), "hf:org/name:q8.gguf", &[])
        .fails();
    assert!(line.contains("tokenizer"), "{line}");
    let path = home.snapshot().join("q8.gguf");
    assert_eq!(fs::read(&path).unwrap(), files["q8.gguf"]);
    assert!(!home.snapshot().join("q4.gguf").exists());
    let content = fs::canonicalize(&path).unwrap();
    assert_eq!(
        content.file_name().unwrap().to_str(),
        Some(&*sha256(&files["q8.gguf"]))
    );
}

#[test]
fn what_a_hub_refuses_is_told_in_one_line() {
    let answering = |status| {
        let server = Server::start(Manner {
            status: Some(status),
            ..serving(&FOLDER)
        });
        Home::new()
            .info(&server.endpoint(), "hf:org/name", &[])
            .fails()
    };
    for (status, words) in [
        (403, "accept its terms"),
        (404, "no such model"),
        (429, "asked too often"),
        (503, "status 503"),
    ] {
        let line = answering(status);
        assert!(
            line.contains("hf:org/name") && line.contains(words),
            "{line}"
        );
    }
    let home = Home::new();
    // A port on which nobody listens any more.
    let endpoint = Server::start(Manner::default()).endpoint();
    let line = home.info(&endpoint, "hf:org/name", &[]).fails();
    assert!(
        line.contains("cannot reach") && line.contains(&endpoint),
        "{line}"
    );
    let line = home
        .info(&endpoint, "hf:org/name", &[("HF_HUB_OFFLINE", "1")])
        .fails();
    assert!(line.contains("HF_HUB_OFFLINE forbids"), "{line}");
    let line = home.info(&endpoint, "hf:org/name/more", &[]).fails();
    assert!(line.contains("written hf:org/name"), "{line}");
}

#[test]
fn what_comes_damaged_is_not_kept() {
    let mut manner = serving(&FOLDER);
    manner.is_faulty = true;
    let (home, server) = (Home::new(), Server::start(manner));
    let line = home.info(&server.endpoint(), "hf:org/name", &[]).fails();
    assert!(line.contains("model.safetensors came damaged"), "{line}");
    assert!(
        line.contains(&sha256(&FOLDER["model.safetensors"])),
        "{line}"
    );
    assert!(!home.snapshot().join("model.safetensors").exists());
    let server = Server::start(serving(&FOLDER));
    home.info(&server.endpoint(), "hf:org/name", &[]).ok();
}
