//! The admin listener: the API, and the console. It runs on the admin runtime: however much is asked of it, no request waits for it.

use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::Extensions;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::admin::{self, Admin};
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::console::{self, Console};
use crate::control::Control;
use crate::gate::caller::CallerJudge;
use crate::net::server;

/// Serves the admin API and the console until the runtime ends.
///
/// # Errors
/// The listener is gone.
pub(super) fn spawn(
    runtime: &Runtime,
    listener: TcpListener,
    control: Option<Arc<Control>>,
    origin: Arc<str>,
    callers: CallerJudge,
    secure: bool,
    succeeded: watch::Receiver<bool>,
) -> Result<(), Problems> {
    let local =
        listener.local_addr().map_err(|fault| Problem::error(Place::file("the admin listener"), fault.to_string()))?;
    tracing::info!(address = %local, "the admin API is served");
    let callers = Arc::new(callers);
    let pages = Console { control: control.clone(), origin: Arc::clone(&origin), callers: Arc::clone(&callers), local };
    let router = admin::router(Admin { control, origin, callers, local, secure }).merge(console::router(pages));
    let router = router.layer(axum::middleware::from_fn(console::in_words));
    let introduce = |extensions: &mut Extensions, peer| {
        extensions.insert(ConnectInfo(peer));
    };
    runtime.spawn(server::serve(listener, router, introduce, succeeded));
    Ok(())
}
