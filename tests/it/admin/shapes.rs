//! The form of answers and the faults of calls.

use serde_json::{Value, json};

use super::office::{OWNER, Office};

#[test]
fn each_faulty_call_gets_its_code() {
    let office = Office::open();
    let key = office.key("[]");
    let list = format!("/apiKeys/{}/accessList", key.id);
    let many: Vec<Value> = (0..6).map(|at| json!({"ipAddress": format!("192.0.2.{at}")})).collect();
    let many = Value::Array(many).to_string();
    let long = format!("{{\"desc\":\"{}\"}}", "x".repeat(251));
    let cases: Vec<(&str, String, &str, u16, &str, &str)> = vec![
        ("GET", "/orgs/zzz".into(), "", 400, "PATH_PARAM_PARSE_ERROR", "orgId"),
        ("GET", "/orgs/000000000000000000000000".into(), "", 404, "ORG_NOT_FOUND", "000000000000000000000000"),
        ("GET", "/nothing".into(), "", 404, "RESOURCE_NOT_FOUND", "/api/v1/docs"),
        ("DELETE", "/orgs".into(), "", 405, "METHOD_NOT_ALLOWED", "GET, POST"),
        ("GET", "/orgs?pageNum=0".into(), "", 400, "INVALID_QUERY_PARAMETER", "pageNum"),
        ("GET", "/orgs?itemsPerPage=501".into(), "", 400, "INVALID_QUERY_PARAMETER", "from 1 to 500"),
        ("GET", "/orgs?prety=true".into(), "", 400, "INVALID_QUERY_PARAMETER", "prety"),
        ("GET", "/orgs?pretty=yes".into(), "", 400, "INVALID_QUERY_PARAMETER", "`true` or `false`"),
        ("GET", "/orgs?pageNum=1&pageNum=2".into(), "", 400, "INVALID_QUERY_PARAMETER", "twice"),
        ("POST", "/orgs".into(), "", 400, "INVALID_JSON", "missing"),
        ("POST", "/orgs".into(), "{", 400, "INVALID_JSON", "no JSON"),
        ("POST", "/orgs".into(), "[]", 400, "INVALID_ATTRIBUTE", "expected"),
        ("POST", "/orgs".into(), r#"["a name"]"#, 400, "INVALID_ATTRIBUTE", "expected an object"),
        (
            "POST",
            "own/apiKeys".into(),
            r#"{"desc":"x","accessList":[["192.0.2.1"]]}"#,
            400,
            "INVALID_ATTRIBUTE",
            "an object",
        ),
        ("POST", "own/apiKeys".into(), r#"{"desc":"x","roles":[["ORG_OWNER"]]}"#, 400, "INVALID_ATTRIBUTE", "roles[0]"),
        ("POST", "/orgs".into(), r#"{"name":5}"#, 400, "INVALID_ATTRIBUTE", "name"),
        ("POST", "/orgs".into(), r#"{"name":" x"}"#, 400, "INVALID_ATTRIBUTE", "blank"),
        ("POST", "/orgs".into(), r#"{"nam":"x"}"#, 400, "UNKNOWN_ATTRIBUTE", "nam"),
        (
            "POST",
            "/orgs".into(),
            r#"{"name":"x","apiAccessListMode":"on"}"#,
            400,
            "INVALID_ATTRIBUTE",
            "apiAccessListMode",
        ),
        ("POST", "/groups".into(), r#"{"name":"x"}"#, 400, "MISSING_ONE_OF_ATTRIBUTES", "orgId"),
        ("GET", "own/events?eventType=NONE".into(), "", 400, "INVALID_QUERY_PARAMETER", "NONE"),
        ("GET", "own/events?minDate=today".into(), "", 400, "INVALID_QUERY_PARAMETER", "2027-06-01"),
        ("GET", "own/events/000000000000000000000000".into(), "", 404, "EVENT_NOT_FOUND", "0000"),
        ("POST", "own/apiKeys".into(), r#"{"desc":""}"#, 400, "INVALID_ATTRIBUTE", "1 to 250"),
        ("POST", "own/apiKeys".into(), &long, 400, "INVALID_ATTRIBUTE", "1 to 250"),
        ("POST", "own/apiKeys".into(), r#"{"desc":"x","roles":["ROOT"]}"#, 400, "INVALID_ATTRIBUTE", "roles[0]"),
        (
            "POST",
            "own/apiKeys".into(),
            r#"{"desc":"x","roles":[{"roleName":5}]}"#,
            400,
            "INVALID_ATTRIBUTE",
            "roles[0]",
        ),
        (
            "POST",
            "own/apiKeys".into(),
            r#"{"desc":"x","expiresAt":"2001-01-01T00:00:00Z"}"#,
            400,
            "INVALID_ATTRIBUTE",
            "has passed",
        ),
        ("POST", "own/apiKeys".into(), r#"{"desc":"x","expiresAt":"soon"}"#, 400, "INVALID_ATTRIBUTE", "is not a time"),
        ("POST", format!("own{list}"), r#"{"ipAddress":"192.0.2.1"}"#, 400, "INVALID_ATTRIBUTE", "expected a sequence"),
        ("POST", format!("own{list}"), r#"[{}]"#, 400, "MISSING_ONE_OF_ATTRIBUTES", "cidrBlock"),
        (
            "POST",
            format!("own{list}"),
            r#"[{"ipAddress":"192.0.2.1","cidrBlock":"192.0.2.0/24"}]"#,
            400,
            "BAD_ACCESS_LIST_ADD_REQUEST",
            "one of both",
        ),
        (
            "POST",
            format!("own{list}"),
            r#"[{"cidrBlock":"10.0.0.5/8"}]"#,
            400,
            "INVALID_ATTRIBUTE",
            "did you mean `10.0.0.0/8`?",
        ),
        ("POST", format!("own{list}"), r#"[{"cidrBlock":"010.0.0.0/8"}]"#, 400, "INVALID_ATTRIBUTE", "[0].cidrBlock"),
        (
            "POST",
            format!("own{list}"),
            r#"[{"ipAddress":"192.0.2.1"},{"cidrBlock":"192.0.2.1/32"}]"#,
            400,
            "DUPLICATE_ADDRESSES_IN_INPUT",
            "192.0.2.1/32",
        ),
        ("POST", format!("own{list}"), &many, 409, "LIMIT_REACHED", "5 are allowed"),
        ("DELETE", format!("own{list}/192.0.2.300"), "", 400, "PATH_PARAM_PARSE_ERROR", "entry"),
        ("GET", format!("own/apiKeys/{}", office.organization), "", 404, "API_KEY_NOT_FOUND", "may see"),
        ("DELETE", format!("own/apiKeys/{}", key.id), "{}", 400, "INVALID_JSON", "takes no body"),
    ];
    for (method, path, body, status, code, part) in cases {
        let path = path.replacen("own", &format!("/orgs/{}", office.organization), 1);
        let answer = office.call(OWNER, method, &path, body);
        let found = answer.json();
        assert_eq!(
            (answer.status, found["errorCode"].as_str()),
            (status, Some(code)),
            "{method} {path} {body}: {found:#}"
        );
        assert!(found["detail"].as_str().unwrap().contains(part), "{part}: {found:#}");
        assert_eq!((found["status"].as_u64(), found["error"].as_u64()), (Some(status.into()), Some(status.into())));
        assert!(!found["requestId"].as_str().unwrap().is_empty());
    }
    let refused = office.call(OWNER, "POST", "/orgs", r#"{"name":5}"#).json();
    assert_eq!(refused["badRequestDetail"]["fields"][0]["field"], "name");
    let html = office.raw(OWNER, "POST", "/api/v1/orgs", "x", "Content-Type: text/html\r\n");
    assert_eq!((html.status, html.json()["errorCode"].as_str()), (415, Some("UNSUPPORTED_MEDIA_TYPE")));
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(1 << 20));
    let large = office.call(OWNER, "POST", "/orgs", &large);
    assert_eq!((large.status, large.json()["errorCode"].as_str()), (413, Some("CONTENT_TOO_LARGE")));
}

#[test]
fn whoever_is_not_admitted_learns_nothing() {
    let office = Office::open();
    for path in ["/api/v1/orgs", "/api/v1/nothing", "/api/public/v1.0/orgs", "/api/atlas/v2/orgs/x", "/nothing"] {
        for (key, expected) in
            [("", "CREDENTIALS_REQUIRED"), ("ownerkey:40395d07-a353-4881-853b-43efa41339a9", "INVALID_CREDENTIALS")]
        {
            let answer = office.raw(key, "GET", path, "", "");
            assert_eq!((answer.status, answer.json()["errorCode"].as_str()), (401, Some(expected)), "{path}");
            assert!(answer.header("www-authenticate").is_some(), "{path}");
        }
    }
    // Nobody speaks for others here unless the configuration says so.
    let forged = office.raw(OWNER, "GET", "/api/v1/ipinfo", "", "X-Forwarded-For: 203.0.113.9\r\n");
    assert_eq!(forged.json(), json!({"ipAddress": "127.0.0.1", "currentIpv4Address": "127.0.0.1"}));
}

#[test]
fn pages_envelopes_and_media_types_are_cloud_managers() {
    let office = Office::open();
    for _ in 0..4 {
        office.key("[]");
    }
    let page = office.own("GET", "/apiKeys?itemsPerPage=2&pageNum=2&pretty=true", "");
    assert!(page.text().contains("\n  \"links\""), "{}", page.text());
    let page = page.json();
    let links: Vec<(&str, &str)> = page["links"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| (link["rel"].as_str().unwrap(), link["href"].as_str().unwrap()))
        .collect();
    let here = format!(
        "http://admin.example.com/api/v1/orgs/{}/apiKeys?itemsPerPage=2&pretty=true&pageNum=",
        office.organization
    );
    assert_eq!(
        links,
        [("self", &*format!("{here}2")), ("previous", &*format!("{here}1")), ("next", &*format!("{here}3"))]
    );
    assert_eq!((page["results"].as_array().unwrap().len(), page["totalCount"].as_u64()), (2, Some(5)));
    let last = office.own("GET", "/apiKeys?itemsPerPage=2&pageNum=3&includeCount=false", "").json();
    assert_eq!((last["results"].as_array().unwrap().len(), last.get("totalCount")), (1, None));
    let enveloped = office.own("GET", "/settings?envelope=true", "").json();
    assert_eq!(
        (enveloped["status"].as_u64(), enveloped["content"]["apiAccessListMode"].as_str()),
        (Some(200), Some("off"))
    );
    let refused = office.call(OWNER, "GET", "/orgs/000000000000000000000000?envelope=true", "");
    assert_eq!((refused.status, refused.json()["content"]["errorCode"].as_str()), (404, Some("ORG_NOT_FOUND")));
    let atlas = "application/vnd.atlas.2024-08-05+json";
    let answer = office.raw(OWNER, "GET", "/api/atlas/v2/orgs", "", &format!("Accept: {atlas}\r\n"));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(atlas)));
    let link = answer.json()["results"][0]["links"][0]["href"].as_str().unwrap().to_owned();
    assert!(link.starts_with("http://admin.example.com/api/atlas/v2/orgs/"), "{link}");
    let document = office.raw("", "GET", "/api/v1/openapi.json", "", "").json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(office.raw("", "GET", "/api/v1/docs", "", "").text().contains("createAccessListEntries"));
}

#[test]
fn private_keys_are_shown_once_and_never_logged() {
    let office = Office::open();
    let key = office.key("[\"ORG_OWNER\"]");
    let private = &key.pair[9..];
    let path = format!("/apiKeys/{}", key.id);
    for shown in [office.own("GET", &path, ""), office.own("GET", "/apiKeys", ""), office.own("GET", "/events", "")] {
        assert!(!shown.text().contains(private), "{}", shown.text());
    }
    assert!(office.own("GET", &path, "").json()["privateKey"].as_str().unwrap().starts_with("********-****-****-"));
    office.call(&key.pair, "GET", "/orgs", "");
    let log = format!("{:?}", office.served.log());
    let store = std::fs::read(office.path("store.db")).unwrap();
    let journal = std::fs::read(office.path("store.db-wal")).unwrap();
    let holds = |bytes: &[u8]| bytes.windows(private.len()).any(|window| window == private.as_bytes());
    assert!(!log.contains(private) && !holds(&store) && !holds(&journal));
    use std::os::unix::fs::PermissionsExt as _;
    for name in ["store.db", "store.db-wal", "store.db-shm", "store.db.lock"] {
        let mode = std::fs::metadata(office.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} is readable by others");
    }
}
