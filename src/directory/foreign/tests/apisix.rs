//! APISIX: how plugins are merged, and what becomes of those that have no equal.

use super::{Program, try_files};

#[track_caller]
fn check(text: &str, admitted: &[(&str, &str)], told: &[(usize, &str)]) {
    let tried = try_files(Program::Apisix, &[("apisix.yaml", text)], &[], false)
        .unwrap_or_else(|problems| panic!("{problems}"));
    let (addresses, expected): (Vec<&str>, Vec<&str>) = admitted.iter().copied().unzip();
    assert_eq!(tried.admitted(&addresses), expected, "{}\n{:#?}", tried.moved.text, tried.moved.notices);
    assert_eq!(tried.told(), told, "{:#?}", tried.moved.notices);
}

/// One keyed route with more plugins, and the consumers `a`, with more plugins, and `b`.
fn with(route: &str, consumer: &str, more: &str) -> String {
    format!(
        "routes:\n- {{id: r, uri: /*, plugins: {{key-auth: {{}}, {route}}}}}\nconsumers:\n- {{username: a, plugins: {{key-auth: {{key: KEYa}}, {consumer}}}}}\n\
         - {{username: b, plugins: {{key-auth: {{key: KEYb}}}}}}\n{more}#END\n"
    )
}

/// Line 2 tells that keys in the query string are not taken.
const QUERY: (usize, &str) = (2, "missing");

#[test]
fn the_consumers_plugin_takes_the_place_of_the_routes_and_global_ones_come_on_top() {
    let ip = |list: &str| format!("ip-restriction: {{whitelist: [{list}]}}");
    let addresses = |from_10: &'static str, from_20: &'static str, from_30: &'static str| {
        [("10.0.0.1", from_10), ("20.0.0.1", from_20), ("30.0.0.1", from_30)]
    };
    check(&with("", "", ""), &addresses("ab", "ab", "ab"), &[QUERY]);
    check(&with(&ip("10.0.0.0/8"), "", ""), &addresses("ab", "", ""), &[QUERY]);
    check(&with(&ip("10.0.0.0/8"), &ip("20.0.0.0/8"), ""), &addresses("b", "a", ""), &[QUERY]);
    let global = format!("global_rules:\n- {{id: 1, plugins: {{{}}}}}\n", ip("10.0.0.0/8, 20.0.0.0/8"));
    check(&with("", &ip("20.0.0.0/7"), &global), &addresses("b", "ab", ""), &[QUERY]);
    let denied = "ip-restriction: {blacklist: [10.0.0.0/8]}";
    check(&with("", denied, ""), &addresses("b", "ab", "ab"), &[QUERY]);
    let off = "ip-restriction: {whitelist: [10.0.0.0/8], _meta: {disable: true}}";
    check(&with("", off, ""), &addresses("ab", "ab", "ab"), &[QUERY]);
}

#[test]
fn groups_services_and_plugin_configurations_are_merged() {
    let text = "
services:
- {id: s, plugins: {key-auth: {header: X-Api-Key}, ip-restriction: {whitelist: [10.0.0.0/8]}}}
plugin_configs:
- {id: p, plugins: {ip-restriction: {whitelist: [20.0.0.0/8]}}}
routes:
- {id: r, service_id: s, plugin_config_id: p}
consumer_groups:
- {id: g, plugins: {ip-restriction: {whitelist: [30.0.0.0/8]}}}
consumers:
- {username: a, plugins: {key-auth: {key: KEYa}}}
- {username: b, group_id: g, plugins: {key-auth: {key: KEYb}}}
- {username: c, group_id: gone, plugins: {key-auth: {key: KEYc}}}
- {id: a/credentials/second, plugins: {key-auth: {key: KEYd}}}
";
    check(
        text,
        &[("10.0.0.1", ""), ("20.0.0.1", "ad"), ("30.0.0.1", "b")],
        &[(3, "missing"), (3, "left out"), (13, "disabled"), (13, "disabled")],
    );
}

#[test]
fn consumers_may_be_restricted_by_name() {
    let rule = |rule: &str| format!("consumer-restriction: {{{rule}}}");
    check(&with(&rule("whitelist: [a]"), "", ""), &[("1.2.3.4", "a")], &[QUERY]);
    check(&with(&rule("blacklist: [a]"), "", ""), &[("1.2.3.4", "b")], &[QUERY]);
    check(&with("", &rule("type: route_id, whitelist: [other]"), ""), &[("1.2.3.4", "b")], &[QUERY]);
    let methods = rule("whitelist: [a, b], allowed_by_methods: [{user: a, methods: [GET]}]");
    check(&with(&methods, "", ""), &[("1.2.3.4", "b")], &[QUERY, (2, "disabled"), (4, "disabled")]);
}

#[test]
fn what_may_refuse_disables() {
    check(&with("opa: {}", "", ""), &[("1.2.3.4", "")], &[QUERY, (2, "disabled"), (4, "disabled"), (5, "disabled")]);
    check(&with("", "basic-auth: {username: u, password: p}", ""), &[("1.2.3.4", "ab")], &[QUERY, (4, "left out")]);
    check(&with("limit-count: {count: 1}", "", ""), &[("1.2.3.4", "ab")], &[QUERY, QUERY]);
    let condition = "routes:\n- id: r\n  vars: [[http_x, '==', y]]\n  plugins: {key-auth: {}}\nconsumers:\n- {username: a, plugins: {key-auth: {key: KEYa}}}\n";
    check(condition, &[("1.2.3.4", "")], &[(3, "disabled"), (4, "missing"), (6, "disabled")]);
    let address = "routes:\n- {id: r, remote_addrs: [10.0.0.0/8], plugins: {key-auth: {}}}\nconsumers:\n- {username: a, plugins: {key-auth: {key: KEYa}}}\n";
    check(address, &[("1.2.3.4", ""), ("10.0.0.1", "a")], &[QUERY]);
}

#[test]
fn files_of_adc_are_read() {
    let text = "
services:
- name: orders
  routes:
  - {name: v1, uris: [/v1/*]}
  plugins: {multi-auth: {auth_plugins: [{basic-auth: {}}, {key-auth: {header: x-api-key}}]}}
consumers:
- username: a
  credentials:
  - {name: one, type: key-auth, config: {key: KEYa}}
  - {name: two, type: basic-auth, config: {username: u, password: p}}
  plugins: {ip-restriction: {whitelist: ['10.0.0.0/8']}}
global_rules:
  ip-restriction: {blacklist: [10.1.0.0/16]}
";
    check(
        text,
        &[("10.0.0.1", "a"), ("10.1.0.1", ""), ("20.0.0.1", "")],
        &[(6, "left out"), (6, "missing"), (11, "left out")],
    );
}
