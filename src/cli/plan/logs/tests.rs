//! Lines as each program writes them, read into the same fields.

use super::*;

#[track_caller]
fn check(reading: &Reading, line: &str, expected: [&str; 4], asked: Option<(&str, &str)>) {
    let fields = reading.read(line.as_bytes()).unwrap();
    let status = fields.status.to_string();
    assert_eq!([&*fields.address, &*fields.credential, &status, &*fields.host], expected, "{line}");
    assert_eq!(fields.asked(), asked, "{line}");
}

fn reading(form: Form, pattern: Option<&str>, named: &[(Field, &str)]) -> anyhow::Result<Reading> {
    let named: Vec<_> = named.iter().map(|(field, name)| (*field, (*name).to_owned())).collect();
    Reading::new(form, pattern, &named)
}

#[test]
fn nginx_is_read_in_its_combined_format_and_in_any_other() {
    let combined = reading(Form::Nginx, None, &[]).unwrap();
    let line =
        r#"203.0.113.9 - mcpvrzod [29/Nov/2026:05:01:53 +0000] "GET /v1/a?b=c HTTP/1.1" 200 12 "-" "curl/8 \x22q\x22""#;
    check(&combined, line, ["203.0.113.9", "mcpvrzod", "200", ""], Some(("GET", "/v1/a?b=c")));
    let scan = r#"203.0.113.9 - - [29/Nov/2026:05:01:53 +0000] "\x16\x03\x01" 400 150 "-" "-""#;
    check(&combined, scan, ["203.0.113.9", "", "400", ""], None);
    let own = "$msec ${http_x_client} $host $remote_addr $request_method $request_uri $status";
    let own = reading(Form::Nginx, Some(own), &[(Field::Credential, "$http_x_client")]).unwrap();
    let line = "1795928513.123 billing api.example.com 2001:db8::1 POST /v1 403";
    check(&own, line, ["2001:db8::1", "billing", "403", "api.example.com"], Some(("POST", "/v1")));
}

#[test]
fn a_pattern_that_says_too_little_is_refused() {
    for (pattern, why) in [
        ("$remote_addr $status [$time_local] \"$request\"", "credential"),
        ("$remote_addr $remote_user $status \"$request\"", "time"),
        ("$remote_addr$remote_user $status $msec \"$request\"", "nothing between"),
        ("$remote_addr $remote_user $status $msec", "request"),
        ("$remote_addr $", "begins no variable"),
    ] {
        let fault = reading(Form::Nginx, Some(pattern), &[]).unwrap_err().to_string();
        assert!(fault.contains(why), "{pattern}: {fault}");
    }
    assert!(reading(Form::Envoy, None, &[]).is_err(), "Envoy's default format names no credential");
    assert!(reading(Form::Json, None, &[(Field::Address, "a")]).is_err());
    assert!(reading(Form::Portcullis, None, &[(Field::Address, "a")]).is_err());
}

#[test]
fn envoy_haproxy_and_json_are_read() {
    let envoy = reading(Form::Envoy, None, &[(Field::Credential, "REQ(USER-AGENT)")]).unwrap();
    let line = r#"[2026-11-29T05:01:53.123Z] "GET /v1 HTTP/1.1" 200 - 0 2 5 4 "198.51.100.1,203.0.113.9" "billing" "1-2" "api.example.com" "10.0.0.1:80""#;
    check(&envoy, line, ["198.51.100.1,203.0.113.9", "billing", "200", "api.example.com"], Some(("GET", "/v1")));
    let haproxy = reading(Form::Haproxy, None, &[(Field::Credential, "capture2")]).unwrap();
    let line = r#"Nov 29 05:01:53 lb haproxy[14389]: 203.0.113.9:33317 [29/Nov/2026:05:01:53.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu|billing} {} "GET /index.html HTTP/1.1""#;
    check(&haproxy, line, ["203.0.113.9", "billing", "200", ""], Some(("GET", "/index.html")));
    let bare = r#"2001:db8::1:33317 [29/Nov/2026:05:01:53.655] http-in static/<NOSRV> 10/-1/-1/-1/109 403 2750 - - PR-- 1/1/1/1/0 0/0 "GET / HTTP/1.1""#;
    check(&haproxy, bare, ["2001:db8::1", "", "403", ""], Some(("GET", "/")));
    let names = [
        (Field::Address, "ip"),
        (Field::Credential, "who"),
        (Field::Time, "at"),
        (Field::Status, "code"),
        (Field::Request, "line"),
    ];
    let json = reading(Form::Json, None, &names).unwrap();
    let line = r#"{"at":"x","deep":{"ip":"no"},"ip":"203.0.113.9","who":"a\"b","code":"200","line":"GET / HTTP/2"}"#;
    check(&json, line, ["203.0.113.9", "a\"b", "200", ""], Some(("GET", "/")));
    for wrong in ["", "nothing", "{\"at\":", "[]", "{} {}"] {
        assert!(json.read(wrong.as_bytes()).is_err(), "{wrong}");
        assert!(haproxy.read(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn a_time_is_read_in_every_spelling() {
    let mut stamps = Stamps::default();
    for text in [
        "29/Nov/2026:05:01:53 +0000",
        "29/Nov/2026:06:01:53 +0100",
        "29/Nov/2026:05:01:53.655",
        "2026-11-29T05:01:53.123Z",
        "2026-11-28T23:31:53-05:30",
        "1795928513.123",
    ] {
        assert_eq!(stamps.read(text), Some(1_795_928_513), "{text}");
    }
    for wrong in ["", "yesterday", "29/Nov/2026", "2026-11-29", "2026-13-29T05:01:53Z", "é/Nov/2026:05:01:53 +0000"] {
        assert_eq!(stamps.read(wrong), None, "{wrong}");
    }
}
