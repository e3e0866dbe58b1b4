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

#[cfg(test)]
mod tests {
    use http::Request;

    use super::comes_from_another_site;

    #[test]
    fn what_browsers_say_decides_and_who_says_nothing_passes() {
        for (method, fields, other) in [
            ("POST", &[][..], false),
            ("POST", &[("sec-fetch-site", "same-origin")], false),
            ("POST", &[("sec-fetch-site", "none")], false),
            ("POST", &[("sec-fetch-site", "cross-site")], true),
            ("POST", &[("sec-fetch-site", "same-site")], true),
            ("POST", &[("sec-fetch-site", "\u{fc}")], true),
            ("POST", &[("origin", "https://Console.Example.com")], false),
            ("POST", &[("origin", "https://evil.example.com")], true),
            ("POST", &[("origin", "null")], true),
            ("POST", &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example.com")], true),
            ("POST", &[("sec-fetch-site", "cross-site"), ("origin", "https://console.example.com")], true),
            ("GET", &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example.com")], false),
        ] {
            let mut request = Request::builder().method(method).header("host", "console.example.com");
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(comes_from_another_site(&head), other, "{method} {fields:?}");
        }
        let (head, ()) = Request::post("/").header("origin", "https://").body(()).unwrap().into_parts();
        assert!(!comes_from_another_site(&head), "no host, and an origin without one");
    }
}
