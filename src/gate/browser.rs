//! What a browser says of the page that is behind a request.
//!
//! Programs that are no browsers say nothing, and nothing is held against them.

use http::request::Parts;

/// Whether a browser says that another site's page is behind a change. Browsers remember Basic credentials and cookies and
/// send them along, whoever's page it is that asks.
pub fn comes_from_another_site(head: &Parts) -> bool {
    if head.method.is_safe() {
        return false;
    }
    let text = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let other_site = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let host = text("host").unwrap_or_default();
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, at)| at.eq_ignore_ascii_case(host));
    other_site || text("origin").is_some_and(|origin| !is_own(origin))
}
