//! The console: web pages over `control` for people, at `/` of the admin listener.
//!
//! Every page does what the API can do, by the same functions and with the same rights; there is no second way to write
//! anything. What is served is in the program; no page asks anybody else for anything. Works without scripts: forms, and
//! redirects after them.

mod access_list;
mod activity;
mod assets;
mod cookies;
mod credential;
mod credentials;
mod denials;
mod events;
mod explain;
mod feeds;
mod form;
mod listing;
mod live;
mod network_sets;
mod organizations;
mod page;
mod pasted;
mod people;
mod projects;
mod shown;
mod sign_in;
mod speakers;
mod visit;
mod words;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::http::Method;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{MethodFilter, on};

use crate::control::Control;
use crate::gate::caller::CallerJudge;
use crate::net::peer::Peer;
use crate::problem::{Code, Refusal};

use visit::{Page, Verb};

/// What the console works on.
#[derive(Debug, Clone)]
pub struct Console {
    /// The directory; `None` where it is kept elsewhere and can't be changed here.
    pub control: Option<Arc<Control>>,
    /// Where the directory comes from, for whoever tries to change it all the same.
    pub origin: Arc<str>,
    /// Tells where visitors come from.
    pub callers: Arc<CallerJudge>,
    /// The address that is listened on.
    pub local: SocketAddr,
}

/// Every page there is.
fn pages() -> impl Iterator<Item = &'static Page> {
    [
        sign_in::PAGES,
        organizations::PAGES,
        credentials::PAGES,
        credential::PAGES,
        access_list::PAGES,
        projects::PAGES,
        network_sets::PAGES,
        feeds::PAGES,
        people::PAGES,
        activity::PAGES,
        denials::PAGES,
        events::PAGES,
        explain::PAGES,
    ]
    .into_iter()
    .flatten()
}

/// The pages, to be served beside the API.
pub fn router(console: Console) -> Router {
    let mut router = Router::new();
    for page in pages() {
        let method = match page.verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
        };
        let served = on(
            method,
            move |State(console): State<Console>,
                  ConnectInfo(remote): ConnectInfo<SocketAddr>,
                  path: RawPathParams,
                  request: Request| async move {
                let peer = Peer::tcp(remote, console.local);
                let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                visit::answer(&console, page, &peer, path, request).await
            },
        );
        router = router.route(page.path, served);
    }
    router.route(assets::PATH, axum::routing::get(assets::serve)).with_state(console)
}

/// What else is asked for of the listener: whoever follows a link that leads nowhere gets a page that says so, where programs
/// get what they can read.
pub async fn in_words(request: Request, next: Next) -> Response {
    let wants_page = request.method() == Method::GET
        && !["/api/", "/.well-known/"].iter().any(|of_programs| request.uri().path().starts_with(of_programs))
        && request
            .headers()
            .get(ACCEPT)
            .is_some_and(|kinds| kinds.to_str().is_ok_and(|kinds| kinds.contains("text/html")));
    let answer = next.run(request).await;
    let is_json = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    match wants_page && is_json && matches!(answer.status().as_u16(), 401 | 404) {
        true => {
            let refusal = Refusal::new(Code::ResourceNotFound, "There is no page at this address.");
            page::guarded(page::problem(page::Frame::default(), refusal))
        }
        false => answer,
    }
}
