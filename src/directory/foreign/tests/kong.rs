//! Kong: which of several plugins is in effect, and what becomes of those that have no equal.

use super::{Effect, Program, try_files};

#[track_caller]
fn check(text: &str, admitted: &[(&str, &str)], told: &[(usize, &str)]) {
    let tried =
        try_files(Program::Kong, &[("kong.yaml", text)], &[], false).unwrap_or_else(|problems| panic!("{problems}"));
    let (addresses, expected): (Vec<&str>, Vec<&str>) = admitted.iter().copied().unzip();
    assert_eq!(tried.admitted(&addresses), expected, "{}\n{:#?}", tried.moved.text, tried.moved.notices);
    assert_eq!(tried.told(), told, "{:#?}", tried.moved.notices);
}

/// A file with one keyed route `r` of service `s` and the consumers `a` and `b`, followed by more.
fn with(more: &str) -> String {
    format!(
        "_format_version: '3.0'\nservices:\n- name: s\n  routes:\n  - name: r\nconsumers:\n- {{username: a, custom_id: ca, acls: [{{group: g}}], \
         keyauth_credentials: [{{key: KEYa}}]}}\n- {{username: b, keyauth_credentials: [{{key: KEYb}}]}}\nplugins:\n\
         - {{name: key-auth, config: {{key_in_query: false}}}}\n{more}"
    )
}

#[test]
fn without_restrictions_keys_may_be_used_from_anywhere() {
    check(&with(""), &[("1.2.3.4", "ab"), ("2001:db8::1", "ab")], &[]);
}

#[test]
fn the_closest_plugin_of_a_name_is_in_effect_and_no_other() {
    let ip = |bound: &str, allow: &str| format!("- {{name: ip-restriction, {bound} config: {{allow: [{allow}]}}}}\n");
    let global = ip("", "10.0.0.0/8");
    let addresses = |from_10: &'static str, from_20: &'static str, from_30: &'static str| {
        [("10.0.0.1", from_10), ("20.0.0.1", from_20), ("30.0.0.1", from_30)]
    };
    check(&with(&global), &addresses("ab", "", ""), &[]);
    let consumer = global.clone() + &ip("consumer: a,", "20.0.0.0/8");
    check(&with(&consumer), &addresses("b", "a", ""), &[]);
    let route = consumer.clone() + &ip("route: r,", "30.0.0.0/8");
    // A consumer is closer than a route, which takes the place of the global one.
    check(&with(&route), &addresses("", "a", "b"), &[(11, "left out")]);
    let service = global.clone() + &ip("service: {name: s},", "20.0.0.0/8") + &ip("route: r,", "30.0.0.0/8");
    check(&with(&service), &addresses("", "", "ab"), &[(11, "left out"), (12, "left out")]);
    let both = consumer + &ip("consumer: ca, route: r,", "30.0.0.0/8");
    check(&with(&both), &addresses("b", "", "a"), &[(12, "left out")]);
    let off = ip("enabled: false,", "10.0.0.0/8");
    check(&with(&off), &addresses("ab", "ab", "ab"), &[]);
}

#[test]
fn what_is_denied_is_taken_out_of_what_is_allowed() {
    let both = "- {name: ip-restriction, config: {allow: [10.0.0.9/8], deny: [10.1.0.0/16, 10.2.3.4]}}\n";
    check(
        &with(both),
        &[("10.0.0.1", "ab"), ("10.1.0.1", ""), ("10.2.3.4", ""), ("10.2.3.5", "ab"), ("11.0.0.1", "")],
        &[],
    );
    let deny = "- {name: ip-restriction, consumer: a, config: {deny: ['10.0.0.0/8']}}\n";
    check(&with(deny), &[("10.0.0.1", "b"), ("11.0.0.1", "ab"), ("2001:db8::1", "ab")], &[]);
    let wrong = "- {name: ip-restriction, consumer: a, config: {deny: [ten]}}\n- {name: ip-restriction, consumer: b, config: {allow: [ten, 10.0.0.0/8]}}\n";
    check(&with(wrong), &[("10.0.0.1", "b"), ("11.0.0.1", "")], &[(7, "disabled"), (11, "narrower"), (12, "narrower")]);
}

#[test]
fn groups_decide_and_pass_as_roles() {
    let text = with("- {name: acl, config: {allow: [g]}}\n");
    check(&text, &[("1.2.3.4", "a")], &[]);
    check(&with("- {name: acl, config: {deny: [g]}}\n"), &[("1.2.3.4", "b")], &[]);
    let tried = try_files(Program::Kong, &[("kong.yaml", &text)], &[], false).unwrap();
    assert!(tried.moved.text.contains(r#"roles: ["app:g"]"#), "{}", tried.moved.text);
    let organization = &tried.moved.organizations[0];
    assert_eq!((organization.api_keys, organization.disabled, organization.from_anywhere), (2, 1, 1));
}

#[test]
fn a_plugin_that_may_refuse_disables_what_it_is_in_effect_for() {
    check(&with("- {name: opa, consumer: a}\n"), &[("1.2.3.4", "b")], &[(7, "disabled"), (11, "disabled")]);
    check(&with("- {name: jwt}\n"), &[("1.2.3.4", "")], &[(7, "disabled"), (8, "disabled"), (11, "disabled")]);
    check(&with("- {name: request-termination}\n"), &[("1.2.3.4", "")], &[]);
    check(&with("- {name: rate-limiting, config: {minute: 5}}\n"), &[("1.2.3.4", "ab")], &[(11, "missing")]);
    // A plugin that stands before the consumer whom it is bound to.
    let nested = "services:\n- {name: s, plugins: [{name: key-auth, config: {key_in_query: false}}, {name: opa, consumer: a}], routes: [{name: r}]}\nconsumers:\n- {username: a, keyauth_credentials: [{key: KEYa}]}\n- {username: b, keyauth_credentials: [{key: KEYb}]}\n";
    check(nested, &[("1.2.3.4", "b")], &[(2, "disabled"), (4, "disabled")]);
    check(&with("- {name: opa, route: gone}\n"), &[("1.2.3.4", "ab")], &[(11, "left out")]);
}

#[test]
fn keys_that_can_not_be_taken_are_told_and_left_out() {
    let keys = "consumers:\n- username: a\n  keyauth_credentials:\n  - key: short\n  - key: '${{ env \"DECK_KEY_OF_A\" }}'\n  - {}\n  \
                - {key: KEYa, ttl: 60}\n  - {key: KEYb, ttl: 60, created_at: 1795392000}\n- username: c\n  jwt_secrets: [{key: KEYc}]\n\
                - username: d\n- username: e\n  keyauth_credentials: [{key: KEYe}]\n- username: f\n  keyauth_credentials: [{key: KEYe}]\n";
    let told = [
        (4, "left out"),
        (5, "left out"),
        (6, "left out"),
        (7, "disabled"),
        (10, "left out"),
        (11, "left out"),
        (15, "disabled"),
    ];
    check(keys, &[("1.2.3.4", "b")], &told);
    let tried = try_files(Program::Kong, &[("kong.yaml", keys)], &[], false).unwrap();
    assert!(tried.moved.text.contains(r#"expires_at: "2026-11-23T00:01:00Z""#), "{}", tried.moved.text);
}

#[test]
fn what_refers_to_something_that_is_not_there_is_disabled() {
    let text = "routes:\n- {name: r, service: gone, plugins: [{name: key-auth, config: {key_in_query: false}}]}\nconsumers:\n- {username: a, keyauth_credentials: [{key: KEYa}]}\n";
    check(text, &[("1.2.3.4", "")], &[(2, "disabled"), (4, "disabled")]);
    let text = "consumers:\n- {username: a, groups: [{name: gone}], keyauth_credentials: [{key: KEYa}]}\n- {username: b, keyauth_credentials: [{key: KEYb}]}\n";
    check(text, &[("1.2.3.4", "b")], &[(2, "disabled"), (2, "disabled")]);
}

const TWO_ROUTES: &str = "
routes:
- name: open
  plugins: [{name: key-auth, config: {key_in_query: false, key_names: [X-Api-Key]}}]
- name: closed
  plugins:
  - {name: key-auth, config: {key_in_query: false}}
  - {name: acl, config: {allow: [g]}}
  - {name: ip-restriction, config: {allow: [10.0.0.0/8]}}
- name: without
consumers:
- {username: a, acls: [{group: g}], keyauth_credentials: [{key: KEYa}]}
- {username: b, keyauth_credentials: [{key: KEYb}]}
";

#[test]
fn routes_that_differ_narrow_or_disable_unless_they_are_told_apart() {
    check(TWO_ROUTES, &[("10.0.0.1", "a"), ("20.0.0.1", "")], &[(12, "narrower"), (13, "disabled")]);
    let only = |route: &str| try_files(Program::Kong, &[("kong.yaml", TWO_ROUTES)], &[route], false).unwrap();
    assert_eq!(only("open").admitted(&["10.0.0.1", "20.0.0.1"]), ["ab", "ab"]);
    assert_eq!(only("closed").admitted(&["10.0.0.1", "20.0.0.1"]), ["a", ""]);
    assert_eq!(only("closed").moved.headers, ["apikey"]);
    assert!(try_files(Program::Kong, &[("kong.yaml", TWO_ROUTES)], &["without"], false).is_err(), "it asks for no key");
    let split = try_files(Program::Kong, &[("kong.yaml", TWO_ROUTES)], &[], true).unwrap();
    assert_eq!(split.admitted(&["10.0.0.1", "20.0.0.1"]), ["ab", "b"]);
    let organizations: Vec<_> =
        split.moved.organizations.iter().map(|one| (one.name.as_str(), one.routes.len())).collect();
    assert_eq!(organizations, [("moved: open", 1), ("moved", 0)]);
    assert_eq!(split.moved.headers, ["apikey", "x-api-key"]);
}

#[test]
fn keys_that_no_route_asks_for_are_told_and_disabled() {
    let text = "routes: [{name: r}]\nconsumers:\n- {username: a, keyauth_credentials: [{key: KEYa}]}\n";
    check(text, &[("1.2.3.4", "")], &[(3, "disabled")]);
}

#[test]
fn another_programs_file_is_refused() {
    let refused = try_files(Program::Kong, &[("a.yaml", "organizations: []\n")], &[], false).err().unwrap();
    assert!(refused.to_string().contains("no declarative file of Kong"), "{refused}");
}

#[test]
fn what_is_elsewhere_is_told_as_to_be_configured() {
    let tried = try_files(Program::Kong, &[("kong.yaml", &with("upstreams: [{name: u}]\n"))], &[], false).unwrap();
    assert_eq!(tried.moved.notices.iter().filter(|one| one.effect == Effect::Configure).count(), 3);
}
