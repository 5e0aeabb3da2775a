//! The API without a socket, for programs that draw the explainer's pictures themselves.

use std::io;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use crate::{INSTANCE, Served, router};

/// What came back.
pub struct Answer {
    /// As HTTP counts them.
    pub status: u16,
    /// The name of this start of the API.
    pub instance: String,
    /// The body: JSON, or a safetensors file.
    pub body: Vec<u8>,
}

/// The routes of `docs/api.md` on one model, asked one after the other.
pub struct Local {
    router: Router,
    runtime: Runtime,
}

impl Local {
    /// Takes the model; the error is that of a system that gives no threads.
    pub fn new(served: Served) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self {
            router: router(served),
            runtime,
        })
    }

    /// Asks: GET without a body, POST with one, which is JSON.
    pub fn ask(&self, path: &str, body: Option<&str>) -> Result<Answer, String> {
        let method = body.map_or(Method::GET, |_| Method::POST);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.unwrap_or_default().to_owned()))
            .map_err(|error| format!("{path} is no path: {error}"))?;
        self.runtime.block_on(async {
            let Ok(response) = self.router.clone().oneshot(request).await;
            let name = response.headers().get(INSTANCE);
            let instance = name.and_then(|name| name.to_str().ok());
            let (status, instance) = (
                response.status().as_u16(),
                instance.unwrap_or_default().to_owned(),
            );
            let body = to_bytes(response.into_body(), usize::MAX).await;
            let body = body.map_err(|error| format!("{path}: {error}"))?.to_vec();
            Ok(Answer {
                status,
                instance,
                body,
            })
        })
    }
}
