//! Requests that a foreign page could make a browser send, and requests that are too much.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use crate::support::{app, get, post, send, trace};

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let app = app();
    let with = |host: &str, origin: Option<&str>| {
        let mut request = Request::get("/api/model").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.body(Body::empty()).unwrap()
    };
    for (host, origin, expected) in [
        ("127.0.0.1:8000", None, StatusCode::OK),
        (
            "localhost:8000",
            Some("http://localhost:8000"),
            StatusCode::OK,
        ),
        ("evil.example:8000", None, StatusCode::FORBIDDEN),
        ("127.0.0.1.evil.example", None, StatusCode::FORBIDDEN),
        (
            "127.0.0.1:8000",
            Some("http://evil.example"),
            StatusCode::FORBIDDEN,
        ),
        (
            "127.0.0.1:8000",
            Some("http://127.0.0.1:9000"),
            StatusCode::FORBIDDEN,
        ),
        ("127.0.0.1:8000", Some("null"), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(
            send(&app, with(host, origin)).await.0,
            expected,
            "{host} {origin:?}"
        );
    }
    let nameless = Request::get("/api/model").body(Body::empty()).unwrap();
    assert_eq!(send(&app, nameless).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_page_may_load_its_own_files_only() {
    use tower::ServiceExt;
    let request = Request::get("/")
        .header("host", "localhost")
        .body(Body::empty())
        .unwrap();
    let response = app().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
    for path in [
        "/../Cargo.toml",
        "/%2e%2e/Cargo.toml",
        "/nothing",
        "/api/nothing",
    ] {
        assert_eq!(get(&app(), path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn each_server_names_itself_in_every_answer() {
    let name =
        |response: axum::response::Response| response.headers()["glassformer-instance"].clone();
    let (one, other) = (app(), app());
    let first = name(answer(&one, "/api/model").await);
    assert_eq!(
        first,
        name(answer(&one, "/api/nothing").await),
        "errors too"
    );
    assert_ne!(first, name(answer(&other, "/api/model").await));
}

#[tokio::test]
async fn text_is_compressed_and_tensors_are_not() {
    let app = app();
    let (_, id) = trace(&app, "Once upon a time").await;
    let tensors = format!("/api/trace/{id}/tensors?sites=*");
    for (path, compressed) in [("/api/vocab", true), (&*tensors, false)] {
        let response = answer(&app, path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let encoding = response.headers().get("content-encoding");
        assert_eq!(encoding.is_some(), compressed, "{path}: {encoding:?}");
    }
}

/// The answer to a browser's request, with its headers.
async fn answer(app: &axum::Router, path: &str) -> axum::response::Response {
    use tower::ServiceExt;
    let request = Request::get(path)
        .header("host", "localhost")
        .header("accept-encoding", "gzip, deflate, br, zstd")
        .body(Body::empty())
        .unwrap();
    app.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let text = "a".repeat(5 << 20);
    let (status, value) = post(&app(), "/api/trace", format!("{{\"text\":\"{text}\"}}")).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(value["error"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn running_traces_have_a_limit() {
    let app = app();
    let body = serde_json::json!({"text": "Once upon a time ".repeat(100)}).to_string();
    let requests: Vec<_> = (0..30)
        .map(|_| {
            let (app, body) = (app.clone(), body.clone());
            tokio::spawn(async move { post(&app, "/api/trace", body).await })
        })
        .collect();
    let mut statuses = Vec::new();
    for request in requests {
        let (status, value) = request.await.unwrap();
        if status == StatusCode::TOO_MANY_REQUESTS {
            assert!(value["error"].as_str().unwrap().contains("try again"));
        }
        statuses.push(status);
    }
    assert!(statuses.contains(&StatusCode::OK), "some are served");
    assert!(
        statuses.contains(&StatusCode::TOO_MANY_REQUESTS),
        "the rest is refused"
    );
    assert_eq!(
        post(&app, "/api/trace", "{\"text\":\"after\"}").await.0,
        StatusCode::OK,
        "and it goes on"
    );
}
