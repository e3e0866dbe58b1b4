//! The token endpoints on the gateway's listener, where `admin.tokens.on_gateway` asks for them.
//!
//! Runs on the admin runtime: a worker only waits for the answer. Before the store is served, there is none.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use http::request::Parts;
use tokio::runtime::Handle;

use crate::access::client_address::ClientAddress;
use crate::admin::oauth::{self, Endpoint};
use crate::control::Control;
use crate::problem::Code;
use crate::proxy::{LocalAnswer, LocalService};

/// What the endpoints ask, once it is there. It is not held: an orderly stop closes the store, which nobody may keep open.
pub(super) type Asked = Arc<OnceLock<Weak<Control>>>;

/// The endpoints, and what they ask.
#[derive(Debug)]
pub(super) struct GatewayTokens {
    control: Asked,
    runtime: Handle,
}

impl GatewayTokens {
    pub(super) fn new(control: Asked, runtime: Handle) -> Self {
        Self { control, runtime }
    }
}

impl LocalService for GatewayTokens {
    fn is_own(&self, path: &str) -> bool {
        Endpoint::at(path).is_some()
    }

    fn answer(&self, head: Parts, client: ClientAddress, body: Bytes) -> LocalAnswer {
        let (control, runtime) = (self.control.get().and_then(Weak::upgrade), self.runtime.clone());
        Box::pin(async move {
            let (Some(control), Some(endpoint)) = (control, Endpoint::at(head.uri.path())) else {
                return Err(Code::NotReady);
            };
            let made = runtime.spawn(async move { oauth::answer(&control, endpoint, client, &head, &body).await });
            made.await.map_err(|_| Code::InternalError)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::TOKEN_PATHS;

    #[test]
    fn the_configuration_knows_every_path() {
        assert_eq!(Endpoint::ALL.map(Endpoint::path), TOKEN_PATHS);
    }
}
