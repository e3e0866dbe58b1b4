//! Envoy Gateway: whose policy admits a key from where, and what becomes of what is not understood.

use super::{Program, try_files};

#[track_caller]
fn check(text: &str, admitted: &[(&str, &str)], told: &[(usize, &str)]) {
    let tried = try_files(Program::EnvoyGateway, &[("all.yaml", text)], &[], false)
        .unwrap_or_else(|problems| panic!("{problems}"));
    let (addresses, expected): (Vec<&str>, Vec<&str>) = admitted.iter().copied().unzip();
    assert_eq!(tried.admitted(&addresses), expected, "{}\n{:#?}", tried.moved.text, tried.moved.notices);
    assert_eq!(tried.told(), told, "{:#?}", tried.moved.notices);
}

/// A Secret with the keys `a` and `b` in lines 1 to 4, and a policy for them with more in line 10.
fn with(more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\nstringData: {{billing: KEYa, reports: KEYb}}\n---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {{name: p}}\nspec:\n  \
         {more}\n  apiKeyAuth: {{credentialRefs: [{{name: keys}}], extractFrom: [{{headers: [X-API-Key]}}], forwardClientIDHeader: x-client-id}}\n"
    )
}

fn rules(rules: &str) -> String {
    with(&format!("authorization: {{rules: [{rules}]}}"))
}

#[test]
fn without_authorization_keys_may_be_used_from_anywhere() {
    check(&with(""), &[("1.2.3.4", "ab")], &[]);
    let tried = try_files(Program::EnvoyGateway, &[("all.yaml", &with(""))], &[], false).unwrap();
    assert!(tried.moved.text.contains("\"billing\"") && tried.moved.headers == ["x-api-key"], "{}", tried.moved.text);
}

#[test]
fn rules_hold_in_their_order_and_refuse_who_is_left() {
    let cidrs = "{action: Deny, principal: {clientCIDRs: [10.1.0.0/16]}}, {action: Allow, principal: {clientCIDRs: [10.0.0.0/8, '2001:db8::/32']}}";
    check(&rules(cidrs), &[("10.0.0.1", "ab"), ("10.1.0.1", ""), ("11.0.0.1", ""), ("2001:db8::1", "ab")], &[]);
    let open = rules("{action: Deny, principal: {clientCIDRs: [10.1.0.0/16]}}")
        .replace("{rules", "{defaultAction: Allow, rules");
    check(&open, &[("10.1.0.1", ""), ("11.0.0.1", "ab")], &[]);
}

#[test]
fn clients_are_known_by_the_header_of_their_id() {
    let own = "{action: Allow, principal: {clientCIDRs: [10.0.0.0/8], headers: [{name: X-Client-Id, values: [billing]}]}}, {action: Allow, principal: {headers: [{name: x-api-key, values: [KEYb]}]}}";
    check(&rules(own), &[("10.0.0.1", "ab"), ("11.0.0.1", "b")], &[]);
}

#[test]
fn what_is_not_understood_lets_nobody_in() {
    let both = [(4, "disabled"), (4, "disabled")];
    check(&with("basicAuth: {users: {name: u}}"), &[("10.0.0.1", "")], &[both[0], both[1], (10, "disabled")]);
    check(&with("cors: {allowOrigins: ['*']}"), &[("10.0.0.1", "ab")], &[(10, "missing")]);
    let jwt = rules("{action: Allow, principal: {clientCIDRs: [10.0.0.0/8], jwt: {provider: x}}}");
    check(&jwt, &[("10.0.0.1", "")], &[both[0], both[1], (10, "narrower")]);
    let deny = rules("{action: Deny, operation: {methods: [GET]}, principal: {clientCIDRs: [10.0.0.0/8]}}")
        .replace("{rules", "{defaultAction: Allow, rules");
    check(&deny, &[("10.0.0.1", ""), ("11.0.0.1", "ab")], &[(10, "narrower")]);
}

#[test]
fn keys_of_one_policy_alone_are_disabled_unless_told_apart() {
    let text = with("")
        + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: more}\ndata: {third: !!KEYc}\n---\napiVersion: g/v1\nkind: SecurityPolicy\nmetadata: {name: q}\nspec: {apiKeyAuth: {credentialRefs: [{name: more}, {name: gone}], extractFrom: [{params: [k]}]}}\n";
    let third = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, super::key('c'));
    let text = text.replace("!!KEYc", &third);
    check(
        &text,
        &[("10.0.0.1", "")],
        &[(4, "disabled"), (4, "disabled"), (16, "disabled"), (18, "left out"), (21, "missing")],
    );
    let split = try_files(Program::EnvoyGateway, &[("all.yaml", &text)], &[], true).unwrap();
    assert_eq!(split.admitted(&["10.0.0.1"]), ["abc"]);
    assert_eq!(split.moved.organizations.iter().map(|one| one.routes.join("+")).collect::<Vec<_>>(), ["p", "q"]);
    let only = try_files(Program::EnvoyGateway, &[("all.yaml", &text)], &["q"], false).unwrap();
    assert_eq!(only.admitted(&["10.0.0.1"]), ["c"]);
}

#[test]
fn what_is_no_manifest_is_refused() {
    assert!(try_files(Program::EnvoyGateway, &[("a.yaml", "organizations: []\n")], &[], false).is_err());
    let refused =
        try_files(Program::EnvoyGateway, &[("a.yaml", "apiVersion: v1\nkind: Secret\n")], &[], false).err().unwrap();
    assert!(refused.to_string().contains("apiKeyAuth"), "{refused}");
}
