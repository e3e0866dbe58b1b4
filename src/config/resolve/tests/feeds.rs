//! From where network sets may take their networks.

use std::time::Duration;

use super::{alone, refused, taken};
use crate::config::settings::FeedHost;

#[test]
fn nothing_is_read_by_default() {
    let feeds = &taken("gateway: {}").gateway.feeds;
    assert!(feeds.hosts.is_empty() && feeds.files.is_none());
}

#[test]
fn hosts_and_the_folder_are_named_one_by_one() {
    let text = "feeds: { allow_hosts: [A.example.com, 'b.example.com:8443', { host: '[::1]:80', internal: true }], allow_files: src, \
                timeout: 5s }\ndirectory: { sqlite: store.db }";
    let (settings, _) = alone(text).unwrap();
    let host = |name: &str, port, internal| FeedHost { name: name.into(), port, internal };
    let feeds = &settings.gateway.feeds;
    assert_eq!(
        feeds.hosts,
        [host("a.example.com", None, false), host("b.example.com", Some(8443), false), host("::1", Some(80), true)]
    );
    assert!(feeds.files.as_ref().is_some_and(|folder| folder.ends_with("src")));
    assert_eq!(feeds.timeout, Duration::from_secs(5));
}

#[test]
fn what_is_no_host_or_folder_is_refused_at_its_place() {
    for (feeds, column, part) in [
        ("allow_hosts: ['*.example.com']", 24, "each is named in full"),
        ("allow_hosts: [https://a.example]", 24, "each is named in full"),
        ("allow_hosts: [{ host: 10.1, internal: true }]", 32, "each is named in full"),
        ("allow_hosts: [{ internal: true }]", 24, "key `host` is missing"),
        ("allow_hosts: [{ host: a.b, intern: true }]", 37, "did you mean `internal`?"),
        ("allow_hosts: [a.example, A.example]", 35, "is there already"),
        ("allow_files: nowhere", 23, "is no folder"),
        ("timeout: 5", 19, "is not a duration"),
    ] {
        let text = format!("feeds: {{ {feeds} }}\ndirectory: {{ sqlite: store.db }}");
        refused(&text, &format!("1:{column}"), part);
    }
    // Sets of a file say by themselves what they hold.
    refused("feeds: { allow_hosts: [a.example] }", "1:1", "only the network sets of a store");
}
