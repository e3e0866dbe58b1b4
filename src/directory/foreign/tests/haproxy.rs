//! HAProxy: who gets through rules, ACLs, maps and backends, and what becomes of what is not understood.

use super::{Program, try_files};

#[track_caller]
fn check(text: &str, admitted: &[(&str, &str)], told: &[(usize, &str)]) {
    let files = [
        ("haproxy.cfg", text),
        ("keys.lst", "# keys\nKEYa\nKEYb\n"),
        ("keys.map", "KEYa billing\nKEYb  reports\n"),
        ("office.lst", "10.0.0.0/8\n2001:db8::/32\n"),
        ("pins.map", "KEYa_198.51.100. 1\nKEYa_203.0.113.9 1\nKEYb_10. 1\n"),
        ("zones.map", "10.0.0.0/8 office\n10.66.0.0/16 out\n"),
    ];
    let tried = try_files(Program::Haproxy, &files, &[], false).unwrap_or_else(|problems| panic!("{problems}"));
    let (addresses, expected): (Vec<&str>, Vec<&str>) = admitted.iter().copied().unzip();
    assert_eq!(tried.admitted(&addresses), expected, "{}\n{:#?}", tried.moved.text, tried.moved.notices);
    assert_eq!(tried.told(), told, "{:#?}", tried.moved.notices);
}

/// A frontend whose keys are listed, with more in line 5.
fn with(more: &str) -> String {
    format!(
        "global\nfrontend api\n  acl known req.hdr(x-api-key) -m str -f /etc/haproxy/keys.lst\n  http-request deny unless known\n{more}\n  default_backend b\nbackend b\n"
    )
}

#[test]
fn keys_of_a_file_may_be_used_from_anywhere() {
    check(&with(""), &[("1.2.3.4", "ab"), ("2001:db8::1", "ab")], &[]);
    let itself =
        "frontend api\n http-request deny unless { hdr(x-api-key) KEYa KEYb }\n default_backend b\nbackend b\n";
    check(itself, &[("1.2.3.4", "ab")], &[]);
}

#[test]
fn addresses_by_file_negated_and_joined() {
    check(
        &with("  http-request deny if !{ src -f office.lst }"),
        &[("10.0.0.1", "ab"), ("11.0.0.1", ""), ("2001:db8::1", "ab")],
        &[],
    );
    let both = "  acl office src -f office.lst\n  acl office src 11.0.0.0/8\n  acl a hdr(x-api-key) KEYa\n  http-request deny if a !office or !a office";
    check(&with(both), &[("10.0.0.1", "a"), ("11.0.0.1", "a"), ("12.0.0.1", "b")], &[]);
    check(
        &with("  tcp-request connection reject unless { src 10.0.0.0/8 } || LOCALHOST"),
        &[("10.0.0.1", "ab"), ("127.0.0.1", "ab"), ("11.0.0.1", "")],
        &[],
    );
}

#[test]
fn names_of_keys_by_a_map_and_networks_by_another() {
    let by_name = "  http-request set-var(txn.c) req.hdr(x-api-key),map(keys.map,none)\n  http-request set-var(txn.z) src,map_ip(zones.map,out)\n  http-request deny if { var(txn.c) -m str billing } !{ var(txn.z) -m str office }";
    check(&with(by_name), &[("10.0.0.1", "ab"), ("10.66.0.1", "b"), ("11.0.0.1", "b")], &[]);
    // A header without a value is there all the same.
    let map = "frontend api\n http-request set-header x-client %[req.hdr(x-api-key),map(keys.map)]\n http-request deny unless { req.hdr(x-client) -m found }\n default_backend b\nbackend b\n";
    check(map, &[("1.2.3.4", "ab")], &[(1, "missing")]);
}

#[test]
fn a_composite_of_key_and_address_is_a_list_for_each_key() {
    let text = "frontend api\n http-request set-var-fmt(txn.k) \"%[req.hdr(x-api-key)]_%[src]\"\n http-request deny unless { var(txn.k),map_beg(pins.map) -m found }\n default_backend b\nbackend b\n";
    check(
        text,
        &[("198.51.100.1", "a"), ("203.0.113.9", "a"), ("203.0.113.98", "a"), ("10.0.0.1", "b"), ("11.0.0.1", "")],
        &[],
    );
    let concat = "frontend api\n http-request set-var(txn.s) src\n http-request set-var(txn.k) req.hdr(x-api-key),concat(_,txn.s)\n acl pinned var(txn.k) -m beg KEYa_198.51.100. KEYb_10.\n http-request deny if !pinned\n default_backend b\nbackend b\n";
    check(concat, &[("198.51.100.1", "a"), ("10.0.0.1", "b")], &[]);
}

#[test]
fn every_backend_that_may_be_chosen_has_to_let_in() {
    let two = with("  use_backend closed if { path_beg /closed }")
        + "backend closed\n  http-request deny unless { src 10.0.0.0/8 }\n";
    check(&two, &[("10.0.0.1", "ab"), ("11.0.0.1", "")], &[]);
    let by_key = with("  use_backend closed if { hdr(x-api-key) KEYb }")
        + "backend closed\n  http-request deny unless { src 10.0.0.0/8 }\n";
    check(&by_key, &[("10.0.0.1", "ab"), ("11.0.0.1", "a")], &[]);
    check(
        &with("  use_backend gone if { hdr(x-api-key) KEYb }"),
        &[("10.0.0.1", "a")],
        &[(4, "disabled")].map(|(_, what)| (3, what)),
    );
}

#[test]
fn accepting_ends_a_section_and_not_the_next() {
    let text = with("  http-request allow if { src 10.0.0.0/8 }\n  http-request deny if { hdr(x-api-key) KEYb }")
        + "  http-request deny if { src 10.1.0.0/16 }\n";
    check(&text, &[("10.0.0.1", "ab"), ("10.1.0.1", ""), ("11.0.0.1", "a")], &[]);
}

#[test]
fn what_is_not_understood_lets_nobody_in() {
    let nobody: &[(&str, &str)] = &[("10.0.0.1", "")];
    let keys = [(2, "disabled"), (3, "disabled")];
    check(&with("  http-request deny unless { http_auth(users) }"), nobody, &keys);
    check(&with("  http-request deny if { lua.blocked }"), nobody, &keys);
    let defaults = with("").replace("global\n", "defaults\n http-request deny\n");
    check(&defaults, nobody, &[(1, "disabled"), keys[0], keys[1]]);
    check(&with("  http-request auth realm x"), nobody, &[(5, "disabled"), keys[0], keys[1]]);
    check(&with("  http-request deny unless { req.hdr(x-secret) s }"), nobody, &keys);
    check(&with("  bind :443 ssl crt x ca-file y verify required"), nobody, &[(5, "disabled"), keys[0], keys[1]]);
    // What a request asks for, and how often, is another matter.
    check(
        &with("  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 20 }"),
        &[("10.0.0.1", "ab")],
        &[(5, "missing")],
    );
    check(&with("  http-request deny if METH_TRACE or { path_beg /admin }"), &[("10.0.0.1", "ab")], &[(5, "missing")]);
    check(
        &with("  http-request deny if { path_beg /admin } !{ src 10.0.0.0/8 }"),
        &[("10.0.0.1", "ab"), ("11.0.0.1", "")],
        &[],
    );
}

#[test]
fn what_can_not_be_imported_is_refused() {
    for (text, part) in [
        ("frontend api\n default_backend b\n", "no header is known"),
        ("frontend api\n http-request deny unless { hdr(x-api-key) -f gone.lst }\n", "gone.lst"),
        ("frontend a\n http-request deny unless { hdr(x-api-key) KEYa } { hdr(apikey) KEYb }\n", "several headers"),
        ("bind :80\n", "a section of HAProxy begins"),
    ] {
        let refused =
            try_files(Program::Haproxy, &[("haproxy.cfg", text)], &[], false).err().unwrap_or_else(|| panic!("{text}"));
        assert!(refused.to_string().contains(part), "{refused}");
    }
}
