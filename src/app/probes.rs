//! The telemetry listener: `/metrics`, `/livez`, `/readyz`. Runs on the admin runtime, so that a slow scrape touches no request.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::live::published::Published;
use crate::net::server;
use crate::telemetry::metrics::Metrics;

/// What the probes look at.
#[derive(Clone)]
pub(super) struct Probes {
    pub(super) metrics: Arc<Metrics>,
    pub(super) published: Arc<Published>,
    /// `true` from the moment that the program is told to stop.
    pub(super) stopping: watch::Receiver<bool>,
}

/// Serves the probes until the runtime ends.
pub(super) async fn serve(listener: TcpListener, probes: Probes, succeeded: watch::Receiver<bool>) {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(probes);
    server::serve(listener, router, |_, _| {}, succeeded).await;
}

async fn metrics(State(probes): State<Probes>) -> Response {
    match probes.metrics.encode() {
        Ok((text, media_type)) => ([(header::CONTENT_TYPE, media_type)], text).into_response(),
        Err(fault) => {
            tracing::error!(error = %fault, "metrics can't be encoded");
            (StatusCode::INTERNAL_SERVER_ERROR, "metrics can't be encoded; see the log\n").into_response()
        }
    }
}

/// Ready from the first snapshot until the program is told to stop.
async fn ready(State(probes): State<Probes>) -> Response {
    if *probes.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready: draining\n").into_response();
    }
    match &probes.published.current().snapshot {
        Some(snapshot) => format!("ready: directory revision {}\n", snapshot.revision()).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "not ready: no directory yet\n").into_response(),
    }
}
