//! Models on a hub that speaks as huggingface.co does: `hf:org/name`, `hf:org/name@revision`, `hf:org/name:file.gguf`.
//!
//! Files go where all of Hugging Face's programs keep them and are shared with those: `blobs/` by content, and
//! `snapshots/COMMIT/` with a link for each file. A model that is whole there is opened without asking the hub. Else the
//! hub says which commit the revision is and which files it has; those that are needed are fetched, the weights last,
//! and only then `refs/REVISION` is written.

mod address;
mod error;
mod plan;
mod transfer;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hf_hub::api::sync::{Api, ApiBuilder, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use address::Address;
use plan::Plan;

use crate::terminal::note;

/// The hub of models.
const ENDPOINT: &str = "https://huggingface.co";

/// Where models come from, and where they are kept.
struct Hub {
    endpoint: String,
    cache: Cache,
    token: Option<String>,
    /// Nothing is asked of the network.
    is_offline: bool,
}

/// The folder or the GGUF file of a model, given as `hf:…`, after fetching what is missing of it.
pub(super) fn fetch(source: &str) -> Result<PathBuf> {
    let address: Address = source.parse()?;
    Hub::from_environment()
        .and_then(|hub| hub.fetch(&address))
        .with_context(|| address.to_string())
}

impl Hub {
    /// As the environment says: `HF_ENDPOINT`, `HF_HOME` (or `HF_HUB_CACHE`), `HF_TOKEN` (or `HF_TOKEN_PATH`, or the file
    /// `token` in `HF_HOME`), `HF_HUB_OFFLINE`.
    fn from_environment() -> Result<Self> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let cache = match (variable("HF_HUB_CACHE"), variable("HF_HOME")) {
            (Some(folder), _) => Cache::new(folder.into()),
            (None, Some(home)) => Cache::new(Path::new(&home).join("hub")),
            // The library's own default would panic without a home.
            (None, None) => match std::env::home_dir() {
                Some(home) => Cache::new(home.join(".cache/huggingface/hub")),
                None => bail!("there is no home folder to keep models in: set HF_HOME"),
            },
        };
        let of_file = || match (variable("HF_TOKEN_PATH"), variable("HF_HOME")) {
            (Some(path), _) => std::fs::read_to_string(path).ok(),
            (None, Some(home)) => std::fs::read_to_string(Path::new(&home).join("token")).ok(),
            (None, None) => cache.token(),
        };
        let token = variable("HF_TOKEN").or_else(of_file);
        let is_offline = variable("HF_HUB_OFFLINE")
            .is_some_and(|value| ["1", "true", "yes", "on"].contains(&&*value.to_lowercase()));
        Ok(Self {
            endpoint: variable("HF_ENDPOINT").map_or(ENDPOINT.to_owned(), |endpoint| {
                endpoint.trim_end_matches('/').to_owned()
            }),
            // Absolute, so that links in it lead somewhere from everywhere.
            cache: Cache::new(std::path::absolute(cache.path())?),
            token: token
                .map(|token| token.trim().to_owned())
                .filter(|token| !token.is_empty()),
            is_offline,
        })
    }

    fn fetch(&self, address: &Address) -> Result<PathBuf> {
        if let Some(path) = self.cached(address) {
            return Ok(path);
        }
        let only = || {
            let folder = self.snapshot(address)?;
            address.file.is_none().then(|| super::only_gguf(&folder))?
        };
        if self.is_offline {
            return only().with_context(|| {
                format!(
                    "it is not in {}, and HF_HUB_OFFLINE forbids to fetch it",
                    self.cache.path().display()
                )
            });
        }
        let api = self.api()?;
        match api.repo(repo_of(address, &address.revision)).info() {
            Ok(info) => self.download(&api, address, &info.sha, info.siblings),
            Err(error) => {
                let is_unreachable = error::is_unreachable(&error);
                let error = error::of_repository(self, address, error);
                match only().filter(|_| is_unreachable) {
                    Some(path) => {
                        note(&format!("{error:#}; the file in the cache is taken"));
                        Ok(path)
                    }
                    None => Err(error),
                }
            }
        }
    }

    fn download(
        &self,
        api: &Api,
        address: &Address,
        commit: &str,
        files: Vec<hf_hub::api::Siblings>,
    ) -> Result<PathBuf> {
        if !address::is_name(commit) {
            bail!("{} gives {commit:?} as its commit", self.endpoint);
        }
        let names: BTreeSet<String> = files
            .into_iter()
            .map(|file| file.rfilename)
            .filter(|name| address::is_path(name))
            .collect();
        // By commit: nobody mixes files of two revisions when one appears meanwhile.
        let repo = repo_of(address, commit);
        let (remote, local) = (api.repo(repo.clone()), self.cache.repo(repo));
        let folder = local.pointer_path(commit);
        let plan = Plan::of(&names, address)?;
        let mut told = false;
        let mut get = |name: &str| -> Result<PathBuf> {
            let path = folder.join(name);
            if !path.exists() {
                if !told {
                    note(&format!(
                        "fetching {address} into {}",
                        self.cache.path().display()
                    ));
                    told = true;
                }
                fetch_file(&remote, &local, &path, name)
                    .map_err(|error| error::of_file(self, address, name, error))?;
            }
            Ok(path)
        };
        let path = match &plan {
            Plan::Gguf(name) => get(name)?,
            Plan::Folder { small, .. } => {
                for name in small {
                    get(name)?;
                }
                for name in plan.further(&folder, &names)? {
                    get(&name)?;
                }
                folder.clone()
            }
        };
        self.cache
            .repo(repo_of(address, &address.revision))
            .create_ref(commit)?;
        Ok(path)
    }

    /// The model, if it is whole in the cache.
    fn cached(&self, address: &Address) -> Option<PathBuf> {
        let folder = self.snapshot(address)?;
        match &address.file {
            Some(file) => Some(folder.join(file)).filter(|path| path.exists()),
            None => plan::is_whole(&folder).then_some(folder),
        }
    }

    /// The folder of the revision in the cache.
    fn snapshot(&self, address: &Address) -> Option<PathBuf> {
        let local = self.cache.repo(repo_of(address, &address.revision));
        let refs = self
            .cache
            .path()
            .join(repo_of(address, "").folder_name())
            .join("refs")
            .join(&address.revision);
        let commit = match std::fs::read_to_string(refs) {
            Ok(commit) => commit.trim().to_owned(),
            // A commit names itself.
            Err(_) => address.revision.clone(),
        };
        let folder = local.pointer_path(&commit);
        (address::is_name(&commit) && folder.is_dir()).then_some(folder)
    }

    fn api(&self) -> Result<Api> {
        ApiBuilder::from_cache(self.cache.clone())
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .with_user_agent("glassformer", env!("CARGO_PKG_VERSION"))
            .build()
            .context("cannot begin to speak to the hub")
    }
}

/// A repository at a revision.
fn repo_of(address: &Address, revision: &str) -> Repo {
    Repo::with_revision(
        address.repository.clone(),
        RepoType::Model,
        revision.to_owned(),
    )
}

/// Fetches one file, as often as it takes, and checks it.
fn fetch_file(
    remote: &ApiRepo,
    local: &CacheRepo,
    path: &Path,
    name: &str,
) -> Result<(), transfer::Failure> {
    transfer::fetch(remote, name).and_then(|size| transfer::check(local, path, size))
}
