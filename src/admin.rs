//! The admin API: one router under three prefixes, for credentials that the gate admits; and where they get their tokens.
//!
//! Each operation is declared once, in a table that both the router and the OpenAPI document are made from. Nothing is
//! decided here: rights, guards and limits are `control`'s, and who calls is the judge's.

mod access_lists;
mod account_lists;
mod activity;
mod answer;
mod api_keys;
mod apply;
mod auth;
mod bulk;
mod call;
mod denials;
mod dto;
mod events;
mod explain;
mod explorer;
mod network_sets;
pub mod oauth;
mod openapi;
mod operation;
mod organizations;
mod people;
mod projects;
mod query;
mod reporting;
mod service_accounts;
mod unlisted;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;

use crate::control::Control;
use crate::gate::caller::CallerJudge;
use crate::net::peer::Peer;

pub use openapi::document;

/// What the API works on.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The directory; `None` where it is kept elsewhere and can't be changed here.
    pub control: Option<Arc<Control>>,
    /// Where the directory comes from, for whoever tries to change it all the same.
    pub origin: Arc<str>,
    /// Tells who calls.
    pub callers: Arc<CallerJudge>,
    /// The address that is listened on.
    pub local: SocketAddr,
    /// Whether the public side of the listener speaks TLS, here or in front.
    pub secure: bool,
}

/// The ways in. All of them reach the same operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// `/api/v1`.
    Own,
    /// `/api/public/v1.0`, as clients of Cloud Manager know it.
    CloudManager,
    /// `/api/atlas/v2`, as clients of Atlas know it.
    Atlas,
}

impl Prefix {
    const ALL: [Self; 3] = [Self::Own, Self::CloudManager, Self::Atlas];

    /// What paths begin with.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Own => "/api/v1",
            Self::CloudManager => "/api/public/v1.0",
            Self::Atlas => "/api/atlas/v2",
        }
    }
}

/// The router of the admin listener.
pub fn router(admin: Admin) -> Router {
    let mut router = Router::new();
    for prefix in Prefix::ALL {
        for (path, operations) in operation::by_path() {
            let route = format!("{}{path}", prefix.path());
            if prefix != Prefix::Own {
                // Clients of Atlas ask for `/orgs/` as well.
                router = router.route(&format!("{route}/"), operation::served(prefix, operations.clone()));
            }
            router = router.route(&route, operation::served(prefix, operations));
        }
    }
    for endpoint in oauth::Endpoint::ALL {
        let served = axum::routing::any(
            move |State(admin): State<Admin>, ConnectInfo(remote): ConnectInfo<SocketAddr>, request: Request<Body>| async move {
                call::oauth(&admin, endpoint, &Peer::tcp(remote, admin.local), request).await
            },
        );
        router = router.route(endpoint.path(), served);
    }
    // Clients of Cloud Manager ask here for the address that they have to put on a list.
    let own_address = operation::by_path().remove(explorer::IP_INFO).unwrap_or_default();
    router
        .route("/api/private/ipinfo", operation::served(Prefix::CloudManager, own_address))
        .route("/api/v1/openapi.json", axum::routing::get(async || explorer::document()))
        .route("/api/v1/docs", axum::routing::get(async || explorer::page()))
        .fallback(unknown)
        .with_state(admin)
}

/// Whatever is not there is told to callers that the gate admits, and to nobody else.
async fn unknown(
    State(admin): State<Admin>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let peer = Peer::tcp(remote, admin.local);
    call::unknown(&admin, &peer, request).await
}
