//! Only pages from this machine may ask.
//!
//! A foreign page can make a browser send requests to 127.0.0.1, directly or by a name that it re-points there (DNS
//! rebinding). The first shows a foreign `Origin`, the second a foreign `Host`; both are refused.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;

/// Refuses requests whose `Host` or `Origin` is not this machine.
pub(crate) async fn same_machine(request: Request, next: Next) -> Response {
    let headers = request.headers();
    // HTTP/2 carries the host in the URI.
    let host = text(headers, &header::HOST).or_else(|| {
        request
            .uri()
            .authority()
            .map(|host| host.as_str().to_owned())
    });
    let is_local = host.as_deref().is_some_and(is_local_host);
    let is_ours = match (text(headers, &header::ORIGIN), &host) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin == format!("http://{host}"),
        (Some(_), None) => false,
    };
    if is_local && is_ours {
        return next.run(request).await;
    }
    let what = if is_local {
        "another origin"
    } else {
        "another host name"
    };
    ApiError::new(
        StatusCode::FORBIDDEN,
        format!("refused: the request comes by {what}; open the address that the program printed"),
    )
    .into_response()
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers
        .get(name)
        .map(|value| value.to_str().unwrap_or("?").to_owned())
}

/// `127.0.0.1`, `localhost` or `[::1]`, with or without a port.
fn is_local_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    ["127.0.0.1", "localhost", "[::1]"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::is_local_host;

    #[test]
    fn only_names_of_this_machine() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8123",
            "localhost:80",
            "[::1]:9",
            "[::1]",
        ] {
            assert!(is_local_host(host), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil:80",
            "10.0.0.1:80",
            "",
            "127.0.0.1:x",
        ] {
            assert!(!is_local_host(host), "{host}");
        }
    }
}
