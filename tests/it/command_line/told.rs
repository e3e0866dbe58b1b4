//! What the command line tells: how a thing is written, and what another configuration would change.

use super::{CONFIGURATION, Folder, has};

/// Whom a rule refuses depends on the requests; that it may is said, in the words of a configuration.
#[test]
fn check_against_another_configuration_says_which_rules_differ() {
    let folder = Folder::new();
    for (from, to, code, told) in [
        (
            "[127.0.0.1]",
            "[10.0.0.0/8, 192.0.2.1]",
            2,
            "may newly refuse: trusted proxies: 10.0.0.0/8, 192.0.2.1/32 instead of 127.0.0.1/32\n",
        ),
        ("[127.0.0.1]", "[]", 2, "may newly refuse: trusted proxies: none instead of 127.0.0.1/32\n"),
        (
            "[{ path: /,",
            "[{ path: /, host: '*.example.com',",
            2,
            "may newly refuse: route `/` (any host, all methods) is gone\n",
        ),
        (
            "[{ path: /,",
            "[{ path: /, host: '*.example.com',",
            2,
            "may newly refuse: route `/` (*.example.com, all methods) is new\n",
        ),
        (
            "[{ path: /,",
            "[{ path: /, upgrades: [],",
            2,
            "may newly refuse: route `/` (any host, all methods) lets other protocols through\n",
        ),
        ("gateway:", "gateway:\n  credentials: { digest: { realm: P } }", 0, "`Authorization: Digest` is on\n"),
        (
            "gateway:",
            "gateway:\n  listen: [{ address: '127.0.0.1:8080', proxy_protocol: { trusted: [10.0.0.0/8] } }]",
            2,
            "may newly refuse: listener 127.0.0.1:8080 asks otherwise for a PROXY header\n",
        ),
        (
            "gateway:",
            "gateway:\n  listen: [{ address: '127.0.0.1:8088' }]",
            2,
            "may newly refuse: listener 127.0.0.1:8080 is gone\n",
        ),
    ] {
        folder.write("new.yaml", CONFIGURATION.replace(from, to));
        has(&folder.run("check portcullis.yaml --against new.yaml").code(code).1, &[told]);
    }
    folder.write("new.yaml", CONFIGURATION);
    has(&folder.run("check portcullis.yaml --against new.yaml").code(0).1, &["no difference"]);
}

/// Faults of the form come with the form.
#[test]
fn check_says_how_it_is_written() {
    let folder = Folder::new();
    let checked = |text: &str| folder.write("faulty.yaml", text);
    for (text, told) in [
        ("gateway: { listen: 127.0.0.1:8080 }", "help: write it as [{ address: 127.0.0.1:8080 }]"),
        ("gateway: { credentials: { headers: x-key } }", "help: write it as [x-key]"),
        (
            "gateway: { client_address: 10.0.0.0/8 }",
            "help: a mapping has the keys allow_any_proxy, header, hops, trusted_proxies",
        ),
        ("directory: directory.yaml", "help: a mapping has the keys demonstration, file"),
        (
            "gateway: { credentials: { digest: on } }",
            "`on` is not one of `false`, `off` or a mapping of keys to values",
        ),
        ("gateway: { credentials: { digest: on } }", "help: a mapping has the keys algorithms, nonce_key_file, realm"),
        (
            "organizations: [{ id: 5f0000000000000000000001, name: a, require_access_list: [] }]",
            "expected `true` or `false` or `report`, found a list",
        ),
        (
            "organizations: [{ id: 5f0000000000000000000001, name: a, require_access_list: true, api_keys: [{ id: 5f0000000000000000000002 }] }]",
            "two while one is being replaced",
        ),
    ] {
        checked(text);
        has(&folder.run("check faulty.yaml").code(78).2, &[told]);
    }
    has(&folder.run("explain --config portcullis.yaml --peer 127.0.0.1 --path api").code(64).2, &["write `/api`"]);
}
