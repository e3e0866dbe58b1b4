//! Routes in the order that `find` prefers them, and paths that read two ways.

use std::collections::BTreeSet;

use super::*;

fn route(host: Option<&str>, path: &str, methods: &[&str], upstream: usize) -> Route {
    Route {
        host: host.map(|host| HostPattern::parse(host).unwrap()),
        path: path.into(),
        methods: methods.iter().map(|method| (*method).into()).collect(),
        access: Access::Required,
        require_access_list: false,
        organizations: None,
        preflight: Preflight::Require,
        upgrades: Box::default(),
        upstream,
    }
}

fn table() -> RouteTable {
    RouteTable::new(vec![
        route(None, "/public", &[], 1),
        route(None, "/api/", &[], 2),
        route(None, "/api", &["GET"], 3),
        route(Some("shop.example.com"), "/", &[], 4),
        route(Some("*.example.com"), "/", &[], 5),
        route(Some("*.eu.example.com"), "/", &[], 6),
        route(Some("shop.example.com"), "/api/admin", &[], 7),
    ])
}

#[track_caller]
fn check(host: &str, method: &str, path: &str, expected: Option<usize>) {
    let table = table();
    let found = match table.find(host, method, path) {
        RouteMatch::Matched(route) => Some(route.upstream),
        RouteMatch::NotFound => None,
        RouteMatch::Ambiguous => Some(usize::MAX),
    };
    assert_eq!(found, expected, "{host} {method} {path}");
}

const AMBIGUOUS: Option<usize> = Some(usize::MAX);

#[test]
fn the_most_specific_route_wins() {
    check("x", "GET", "/public", Some(1));
    check("x", "GET", "/public/a", Some(1));
    check("x", "GET", "/publican", None);
    check("x", "GET", "/api", Some(3));
    check("x", "POST", "/api", Some(2));
    check("x", "POST", "/api/", Some(2));
    check("x", "GET", "/", None);
    check("x", "OPTIONS", "*", None);
    check("SHOP.example.com:8443", "GET", "/", Some(4));
    check("shop.example.com.", "GET", "/api/admin/x", Some(7));
    check("a.b.example.com", "GET", "/", Some(5));
    check("a.eu.example.com", "GET", "/", Some(6));
    check("example.com", "GET", "/", None);
    // An address without its brackets has no port to take off.
    let literal = RouteTable::new(vec![route(Some("2001:db8::1"), "/", &[], 8)]);
    for (host, found) in [("[2001:db8::1]:80", true), ("2001:db8::1", true), ("2001:db8::1:80", false)] {
        assert_eq!(matches!(literal.find(host, "GET", "/"), RouteMatch::Matched(_)), found, "{host}");
    }
    // Nothing stands before the suffix, or something else behind it.
    check(".example.com", "GET", "/", None);
    check("a.example.com.org", "GET", "/", None);
    check("[::1]:80", "GET", "/api", Some(3));
    check("shop.example.com", "OPTIONS", "*", Some(4));
}

#[test]
fn routes_are_listed_most_specific_path_first() {
    let listed: Vec<_> = table().iter().map(|route| route.upstream).collect();
    assert_eq!(listed[..4], [7, 1, 3, 2]);
    assert_eq!(listed.len(), 7);
}

#[test]
fn readings_that_disagree_are_ambiguous() {
    for path in [
        "/public/../api",
        "/public/..",
        "/public/%2e%2e/api",
        "/public/%2E./api",
        "/public/..%2fapi",
        "/public/..;/api",
        "/public\\..\\api",
        "/public/.%2e%5capi",
        "//public",
        "/%70ublic",
        "/public%2fx/../../api",
        "/public;x=1",
        "/public%3bx=1",
        "/./public",
        // Path parameters that are taken off before anything is decoded hide a slash.
        "/public/a;%2fx/%2e%2e/%2e%2e/api",
        "/public;%2fx/%2e%2e/api",
        // Dots that are decoded without slashes climb over a segment that others read as two.
        "/public/x%2fy/%2e%2e/%2e%2e/api",
        "/public/x%5cy/%2e%2e/%2E%2e/api",
        "/public/x%2fy/../%2e%2e/api",
        // Read once within segments, and once more behind that.
        "/public/x%2fy/%2e%2e/..%2fapi",
        "/public/x%2fy/%2e%2e;a/..%2fapi",
        // Decoded by one server and once more by the next.
        "/public/%252e%252e/api",
        "/public/..%252fapi",
        "/public/%25%32%65%25%32%65/api",
        "/public%255c..%255capi",
        // Servers on file systems without case.
        "/public/../Public",
    ] {
        check("x", "GET", path, AMBIGUOUS);
    }
    // All of it at once, at a length that would cost more than a request is worth.
    let intricate = format!("/public/{}", "a;b%2f%5c../%2e/".repeat(4_000));
    check("x", "GET", &intricate, AMBIGUOUS);
}

/// Each server takes some of the steps; all of what any of them sees is compared, and nothing else.
#[test]
fn every_reading_is_made() {
    for (path, expected) in [
        ("/a", &["/a"][..]),
        ("//a/./b/", &["/a/./b/", "//a/./b/", "//a/b/", "/a/b/"]),
        ("/a/../b", &["/a/../b", "/b"]),
        ("/a/..", &["/a/..", "/"]),
        ("/a/.", &["/a/.", "/a/"]),
        ("/a;x/b", &["/a;x/b", "/a/b"]),
        ("/a\\b", &["/a\\b", "/a/b"]),
        ("/a/%2e%2e/b", &["/a/%2e%2e/b", "/a/../b", "/b"]),
        ("/a%2Fb", &["/a%2Fb", "/a/b"]),
        ("/a%3bx", &["/a%3bx", "/a;x", "/a"]),
        ("/a%zz%4", &["/a%zz%4"]),
        ("/a%c3%a4", &["/a%c3%a4", "/a\u{e4}"]),
    ] {
        let made: BTreeSet<String> = reading::all(path).collect();
        assert_eq!(made, expected.iter().map(|text| (*text).to_owned()).collect(), "{path}");
    }
    // Twice, once, or never decoded; with slashes that were hidden or not; climbing or not.
    let made: BTreeSet<String> = reading::all("/a/x%2fy/%2e%2e/%2e./b").collect();
    for seen in ["/a/x%2fy/%2e%2e/%2e./b", "/a/x%2fy/../../b", "/b", "/a/x/y/../../b", "/a/b"] {
        assert!(made.contains(seen), "{seen} of {made:?}");
    }
}

#[test]
fn readings_that_agree_pass_as_they_are() {
    for path in
        ["/public//a", "/public/./a", "/public/a%2fb", "/public/a;b=1", "/public/a/../b", "/public/%41", "/public/a%"]
    {
        check("x", "GET", path, Some(1));
    }
    check("x", "GET", &format!("/public/{}", "%c3%a4".repeat(10_000)), Some(1));
    check("x", "GET", "/other/../x", None);
}

/// A route is not left by writing it in capitals, for a server that takes both for one path.
#[test]
fn case_is_no_way_out_of_a_route() {
    let of = |routes: &[(&str, &[&str])], path: &str| {
        let numbered = routes.iter().enumerate().map(|(at, (path, methods))| route(None, path, methods, at));
        match RouteTable::new(numbered.collect()).find("x", "GET", path) {
            RouteMatch::Matched(route) => Some(route.upstream),
            RouteMatch::NotFound => None,
            RouteMatch::Ambiguous => AMBIGUOUS,
        }
    };
    let (all, admin, capital): (_, (_, &[&str]), (_, &[&str])) =
        (("/", &[][..]), ("/admin", &[]), ("/Admin", &["GET"]));
    assert_eq!(of(&[all, admin], "/Admin/x"), AMBIGUOUS);
    assert_eq!(of(&[all, admin], "/%41dmin"), AMBIGUOUS);
    assert_eq!(of(&[all, admin], "/Administration"), Some(0));
    assert_eq!(of(&[all, admin], "/x/Admin"), Some(0));
    assert_eq!(of(&[all, admin], "/admin/Name"), Some(1));
    assert_eq!(of(&[all, capital], "/admin"), AMBIGUOUS);
    assert_eq!(of(&[all, capital], "/Admin"), Some(1));
    assert_eq!(of(&[admin], "/Admin"), None);
    // Both are there: whoever wrote them tells them apart.
    assert_eq!(of(&[all, admin, capital], "/admin"), Some(1));
    assert_eq!(of(&[all, admin, capital], "/Admin"), Some(2));
    assert_eq!(of(&[all, admin, capital], "/ADMIN"), AMBIGUOUS);
    // A character cut in two is no prefix.
    assert_eq!(of(&[all, admin], "/admi\u{e4}/X"), Some(0));
}

#[test]
fn upgrades_are_found_in_any_case() {
    let mut chat = route(None, "/", &[], 1);
    chat.upgrades = ["websocket".into(), "chat".into()].into();
    for (name, found) in [("WebSocket", Some("websocket")), ("chat", Some("chat")), ("h2c", None), ("", None)] {
        assert_eq!(chat.upgrade(name.as_bytes()), found, "{name}");
    }
}

#[test]
fn host_patterns_are_strict() {
    for text in ["", "*", "*.", "a..b", "a:80", "http://a", "a b", "*.*.a", "a.*", "[::1]"] {
        assert!(HostPattern::parse(text).is_err(), "{text}");
    }
    assert_eq!(HostPattern::parse("A.Example.COM."), Ok(HostPattern::Exact("a.example.com".into())));
    assert_eq!(HostPattern::parse("*.B.c"), Ok(HostPattern::Below(".b.c".into())));
    assert_eq!(HostPattern::parse("::1"), Ok(HostPattern::Exact("::1".into())));
}
