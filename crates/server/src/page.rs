//! The page's files, inside the program.

use std::borrow::Cow;

use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

use crate::error::ApiError;

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
struct Files;

/// A file of the page, by its path in the built page; `None` where there is none, or the page was not built.
pub fn page_file(path: &str) -> Option<Cow<'static, [u8]>> {
    Files::get(path).map(|file| file.data)
}

/// The paths of all files of the page.
pub fn page_files() -> impl Iterator<Item = Cow<'static, str>> {
    Files::iter()
}

/// The file at a path; `/` is the page.
pub(crate) async fn file(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let Some(file) = Files::get(path) else {
        return ApiError::new(
            StatusCode::NOT_FOUND,
            format!("there is no {path} here; the page is at /"),
        )
        .into_response();
    };
    // Vite names assets by their contents, so these never change; the page itself may.
    let caching = if path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let kind = file.metadata.mimetype().to_owned();
    (
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, caching.to_owned()),
        ],
        file.data,
    )
        .into_response()
}
