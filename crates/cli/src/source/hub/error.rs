//! What went wrong with a hub, in one line, and what to do.

use std::io::{self, ErrorKind};

use anyhow::{Error, anyhow};
use hf_hub::api::sync::ApiError;

use super::Hub;
use super::address::Address;
use super::transfer::Failure;

/// Whether the hub could not be asked at all.
pub(super) fn is_unreachable(error: &ApiError) -> bool {
    use ureq::Error::{
        ConnectProxyFailed, ConnectionFailed, HostNotFound, Io, Rustls, Timeout, Tls,
    };
    matches!(error, ApiError::RequestError(error) if matches!(
        **error,
        HostNotFound | ConnectionFailed | Timeout(_) | Io(_) | Tls(_) | Rustls(_) | ConnectProxyFailed(_)
    ))
}

/// Whether a transfer broke off, so that going on may help.
pub(super) fn is_broken_off(error: &ApiError) -> bool {
    match error {
        ApiError::RequestError(error) => match &**error {
            ureq::Error::Io(error) => is_of_the_network(error),
            ureq::Error::Timeout(_) => true,
            ureq::Error::StatusCode(status) => *status >= 500,
            _ => false,
        },
        ApiError::IoError(error) => is_of_the_network(error),
        _ => false,
    }
}

fn is_of_the_network(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof
    )
        || error.get_ref().is_some_and(
            <dyn std::error::Error + std::marker::Send + std::marker::Sync + 'static>::is::<
                ureq::Error,
            >,
        )
}

/// The repository could not be asked for.
pub(super) fn of_repository(hub: &Hub, address: &Address, error: ApiError) -> Error {
    if let ApiError::RequestError(request) = &error
        && let ureq::Error::StatusCode(404) = **request
    {
        return anyhow!(
            "there is no such model, or no revision {}, on {}",
            address.revision,
            hub.endpoint
        );
    }
    general(hub, address, error)
}

/// A file of it could not be fetched.
pub(super) fn of_file(hub: &Hub, address: &Address, name: &str, failure: Failure) -> Error {
    match failure {
        Failure::Differs(expected, found) => anyhow!(
            "{name} came damaged: expected {expected}, found {found}; it was removed, so try again"
        ),
        Failure::Io(error) => of_disk(hub, &error).context(name.to_owned()),
        Failure::Api(error) if is_broken_off(&error) => anyhow!(
            "the transfer of {name} broke off ({error}); run the command again, and it goes on from there"
        ),
        Failure::Api(ApiError::LockAcquisition(path)) => anyhow!(
            "another program fetches {name} (it holds {}): wait for it",
            path.display()
        ),
        Failure::Api(ApiError::InvalidResume) => anyhow!(
            "what is there of {name} is longer than the file: remove the .part files in {}",
            hub.cache.path().display()
        ),
        Failure::Api(error) => general(hub, address, error).context(name.to_owned()),
    }
}

fn general(hub: &Hub, address: &Address, error: ApiError) -> Error {
    let endpoint = &hub.endpoint;
    if is_unreachable(&error) {
        return anyhow!(
            "cannot reach {endpoint} ({error}): check the network, the proxy and HF_ENDPOINT"
        );
    }
    let page = format!("{endpoint}/{}", address.repository);
    let told = if hub.token.is_some() {
        "the token is not accepted for it"
    } else {
        "set HF_TOKEN to a token that may read it"
    };
    match error {
        ApiError::RequestError(request) => match *request {
            ureq::Error::StatusCode(401) => anyhow!(
                "the hub does not show it (401): the name is wrong, or it is private or gated; then {told} (see {page})"
            ),
            ureq::Error::StatusCode(403) => {
                anyhow!("access is not granted (403): accept its terms at {page}, and {told}")
            }
            ureq::Error::StatusCode(429) => {
                anyhow!("{endpoint} has been asked too often (429): wait a little")
            }
            ureq::Error::StatusCode(status) => anyhow!("{endpoint} answers with status {status}"),
            other => anyhow!("{endpoint} does not answer as a hub does: {other}"),
        },
        ApiError::IoError(error) => of_disk(hub, &error),
        other => anyhow!("{endpoint} does not answer as a hub does: {other}"),
    }
}

fn of_disk(hub: &Hub, error: &io::Error) -> Error {
    let folder = hub.cache.path().display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            anyhow!("the disk with {folder} is full: make room, or set HF_HOME to another place")
        }
        _ => anyhow!("cannot keep files in {folder}: {error}"),
    }
}
