//! nginx: who gets through conditions, maps, networks and access rules, and what becomes of what is not understood.

use super::{Program, try_files};

#[track_caller]
fn check(text: &str, admitted: &[(&str, &str)], told: &[(usize, &str)]) {
    check_files(&[("a.conf", text)], admitted, told);
}

#[track_caller]
fn check_files(files: &[(&str, &str)], admitted: &[(&str, &str)], told: &[(usize, &str)]) {
    let tried = try_files(Program::Nginx, files, &[], false).unwrap_or_else(|problems| panic!("{problems}"));
    let (addresses, expected): (Vec<&str>, Vec<&str>) = admitted.iter().copied().unzip();
    assert_eq!(tried.admitted(&addresses), expected, "{}\n{:#?}", tried.moved.text, tried.moved.notices);
    assert_eq!(tried.told(), told, "{:#?}", tried.moved.notices);
}

/// Keys `a` and `b` by a map in line 1, and a location with more in line 2.
fn with(location: &str) -> String {
    format!(
        "map $http_x_api_key $client {{ default \"\"; \"KEYa\" billing; KEYb 1; }}\nserver {{ location / {{ if ($client = \"\") {{ return 401; }} {location} proxy_pass http://u; }} }}\n"
    )
}

/// Case matters from now on.
const CASE: (usize, &str) = (1, "narrower");

#[test]
fn keys_of_a_map_are_named_by_what_they_stand_for() {
    check(&with(""), &[("1.2.3.4", "ab"), ("2001:db8::1", "ab")], &[CASE]);
    let tried = try_files(Program::Nginx, &[("a.conf", &with(""))], &[], false).unwrap();
    assert!(
        tried.moved.text.contains("\"billing\"") && tried.moved.text.contains("\"key in line 1\""),
        "{}",
        tried.moved.text
    );
    assert_eq!(tried.moved.headers, ["x-api-key"]);
}

#[test]
fn access_rules_hold_in_their_order_and_the_inmost_level_counts() {
    let rules = "allow 10.1.0.0/16; deny 10.0.0.0/8; allow 10.0.0.0/7; allow 2001:db8::/32; deny all;";
    check(
        &with(rules),
        &[
            ("10.1.0.1", "ab"),
            ("10.2.0.1", ""),
            ("11.0.0.1", "ab"),
            ("12.0.0.1", ""),
            ("2001:db8::1", "ab"),
            ("2001:db9::1", ""),
        ],
        &[CASE],
    );
    check(
        &format!("allow 10.0.0.0/8; deny all;\n{}", with("")).replace("\nmap", " map"),
        &[("10.0.0.1", "ab"), ("11.0.0.1", "")],
        &[CASE],
    );
    check(
        &format!("deny all; {}", with("allow 11.0.0.0/8; deny all;")),
        &[("10.0.0.1", ""), ("11.0.0.1", "ab")],
        &[CASE],
    );
}

#[test]
fn a_composite_of_key_and_address_is_a_list_for_each_key() {
    let text = "map \"$http_x_api_key@$remote_addr\" $ok { default 0; \"KEYa@198.51.100.7\" 1; \"KEYa@2001:db8::7\" 1;\n\"~^KEYb@(10\\.|192\\.168\\.1\\.)\" 1; \"~^KEYc@203\\.0\\.113\\.9$\" 1;\n\"~^KEYd@1[0-9]\\.\" 1; \"~@127\\.0\\.0\\.1$\" 1; }\nserver { location / { if ($ok = 0) { return 403; } } }\n";
    check(
        text,
        &[
            ("198.51.100.7", "a"),
            ("198.51.100.70", ""),
            ("2001:db8::7", "a"),
            ("10.9.9.9", "b"),
            ("192.168.1.255", "b"),
            ("203.0.113.9", "c"),
            ("127.0.0.1", ""),
        ],
        &[CASE, (3, "left out"), (3, "left out")],
    );
}

#[test]
fn networks_by_geo_and_maps_of_maps() {
    let text = "map $http_x_api_key $client { KEYa billing; KEYb reports; }\ngeo $zone { default out; 10.0.0.0/8 office; 10.66.0.0/16 out; 10.66.6.0/24 office; }\nmap \"$client:$zone\" $ok { default 0; billing:office 1; reports:office 1; reports:out 1; }\nserver { location / { if ($ok = 0) { return 403; } } }\n";
    check(text, &[("10.0.0.1", "ab"), ("10.66.0.1", "b"), ("10.66.6.1", "ab"), ("11.0.0.1", "b")], &[CASE]);
    let elsewhere = text.replace("geo $zone", "geo $http_x_forwarded_for $zone");
    check(&elsewhere, &[("10.0.0.1", "")], &[CASE, (1, "disabled"), (1, "disabled")]);
}

#[test]
fn variables_that_conditions_set_are_followed() {
    let text = with(
        "set $ok 0; if ($remote_addr = 10.0.0.1) { set $ok 1; } if ($client = billing) { set $ok 1; } if ($ok = 0) { return 403; }",
    );
    check(&text, &[("10.0.0.1", "ab"), ("10.0.0.2", "a")], &[CASE]);
}

#[test]
fn what_is_not_understood_lets_nobody_in() {
    let nobody: &[(&str, &str)] = &[("10.0.0.1", "")];
    let disabled = [CASE, (1, "disabled"), (1, "disabled"), (2, "disabled")];
    check(&with("auth_basic realm;"), nobody, &disabled);
    check(&with("auth_request /check;"), nobody, &disabled);
    check(&with("modsecurity on;"), nobody, &disabled);
    check(&with("auth_basic off;"), &[("10.0.0.1", "ab")], &[CASE]);
    check(&with("if ($http_x_secret != s) { return 403; }"), nobody, &disabled[..3]);
    check(&with("if ($client !~ ^b[a-z]+$) { return 403; }"), nobody, &disabled[..3]);
    check(&with("deny ten; allow all;"), nobody, &disabled);
    check(&with("rewrite ^/x /y last;"), nobody, &disabled);
    check(&with("try_files $uri @elsewhere;"), nobody, &disabled);
    check(&with("rewrite ^/x/(.*) /$1 break;"), &[("10.0.0.1", "ab")], &[CASE]);
    // What a request asks for is another matter.
    check(
        &with("if ($request_method !~ ^(GET|HEAD)$) { return 405; }"),
        &[("10.0.0.1", "ab")],
        &[CASE, (2, "missing")],
    );
    check(
        &with("if ($request_method = OPTIONS) { return 204; } limit_req zone=z;"),
        &[("10.0.0.1", "ab")],
        &[CASE, (2, "missing"), (2, "missing")],
    );
}

#[test]
fn locations_that_ask_for_no_key_say_nothing_of_keys() {
    let text = with("")
        + "server { server_name other; location /status { allow 127.0.0.1; deny all; } location @x { return 403; } }\n";
    check(&text, &[("10.0.0.1", "ab")], &[CASE, (3, "left out")]);
}

#[test]
fn locations_that_differ_are_told_apart() {
    let text = "map $http_apikey $c { KEYa a; KEYb b; }\nserver { server_name api; location / { if ($c = \"\") { return 401; } }\nlocation /a { if ($c != a) { return 403; } allow 10.0.0.0/8; deny all; } }\n";
    check(text, &[("10.0.0.1", "a"), ("11.0.0.1", "")], &[CASE, (1, "narrower"), (1, "disabled")]);
    let only = |route: &str| {
        try_files(Program::Nginx, &[("a.conf", text)], &[route], false).unwrap().admitted(&["10.0.0.1", "11.0.0.1"])
    };
    assert_eq!(only("api /"), ["ab", "ab"]);
    assert_eq!(only("api /a"), ["a", ""]);
}

#[test]
fn files_are_included_wherever_they_were_copied_to() {
    let main =
        "http { include mime.types; map $http_x_api_key $c { include /etc/nginx/keys.map; } include rules/*.conf; }\n";
    let refused = try_files(Program::Nginx, &[("nginx.conf", main)], &[], false).err().unwrap();
    assert!(refused.to_string().contains("keys.map"), "{refused}");
    let flat = main.replace("include rules/*.conf;", "include site*.conf;");
    let site = "server { location / { if ($c = \"\") { return 401; } include office.conf; } }\n";
    let files = [
        ("nginx.conf", flat.as_str()),
        ("keys.map", "KEYa a;\n# KEYb b;\nKEYc c;\n"),
        ("site1.conf", site),
        ("office.conf", "allow 10.0.0.0/8;\ndeny all;\n"),
    ];
    check_files(&files, &[("10.0.0.1", "ac"), ("11.0.0.1", "")], &[CASE]);
}

#[test]
fn fragments_without_a_server_take_maps_at_their_word() {
    let text = "map $http_x_api_key $c { default \"\"; KEYa a; }\nallow 10.0.0.0/8;\ndeny all;\n";
    check(text, &[("10.0.0.1", "a"), ("11.0.0.1", "")], &[CASE]);
}

#[test]
fn what_can_not_be_imported_is_refused() {
    for (text, part) in [
        ("server { location / { return 200; } }\n", "no header is known"),
        ("map $http_x_api_key $c { KEYa a; }\nserver { location / { proxy_pass http://u; } }\n", "no location"),
        ("map $http_x_api_key $c { KEYa a; }\nmap $http_apikey $d { KEYa a; }\n", "several headers"),
        ("server {", "ends within"),
        ("", "no directive"),
    ] {
        let refused =
            try_files(Program::Nginx, &[("a.conf", text)], &[], false).err().unwrap_or_else(|| panic!("{text}"));
        assert!(refused.to_string().contains(part), "{refused}");
    }
}
