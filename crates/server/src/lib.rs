//! The explainer's page and API over HTTP (`docs/api.md`).
//!
//! Level 5. Binds to this machine only; [`guard`] refuses requests that a foreign page could make a browser send.

mod api;
mod error;
mod guard;
mod local;
mod models;
mod page;
mod state;
mod store;
mod training;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware;
use tokio::net::TcpListener;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::set_header::SetResponseHeaderLayer;

pub use local::{Answer, Local};
pub use page::{page_file, page_files};
pub use state::{Explained, Served, Translating};

/// The largest body of a request: text far beyond any context, but no flood.
const MAX_BODY: usize = 4 << 20;

/// What a page of ours may load: its own files and nothing else.
const CONTENT_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
     font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Names this server in every answer, so that a page that has asked another one before it, on the same port, does not mix
/// their numbers.
const INSTANCE: HeaderName = HeaderName::from_static("glassformer-instance");

/// A name that no other start of a server has: the moment and the process.
fn instance() -> HeaderValue {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let name = format!(
        "{:x}-{:x}",
        since.unwrap_or_default().as_nanos(),
        process::id()
    );
    HeaderValue::try_from(name).expect("hexadecimal digits may stand in a header")
}

/// All routes, on the model that is served and those that are trained here.
pub fn router(served: Served) -> Router {
    let header =
        |name, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    Router::new()
        .nest("/api", api::routes())
        .fallback(page::file)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CompressionLayer::new().compress_when(compressible()))
        .layer(header(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY))
        .layer(header(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(header::REFERRER_POLICY, "no-referrer"))
        .layer(SetResponseHeaderLayer::overriding(INSTANCE, instance()))
        .layer(middleware::from_fn(guard::same_machine))
        .with_state(state::State::new(served))
}

/// Text and code shrink to a quarter. Tensors hardly shrink at all, and compressing those of a long text takes twenty times
/// as long as sending them to the same machine.
fn compressible() -> impl Predicate {
    DefaultPredicate::new()
        .and(NotForContentType::const_new("application/octet-stream"))
        .and(NotForContentType::const_new("font/woff2"))
}

/// Takes `port` on this machine (0: any free one). The error says what to do when it is taken.
pub async fn bind(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::AddrInUse => format!(
                    "port {port} is in use; choose another with --port, or 0 for any free one"
                ),
                io::ErrorKind::PermissionDenied => {
                    format!("port {port} is not allowed; choose one above 1023 with --port")
                }
                _ => format!("cannot listen on port {port}: {error}"),
            };
            io::Error::new(error.kind(), hint)
        })?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves until `stop` is done.
pub async fn serve(
    listener: TcpListener,
    served: Served,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    axum::serve(listener, router(served))
        .with_graceful_shutdown(stop)
        .await
}
