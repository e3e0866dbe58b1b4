//! Sources of network sets: what a provider publishes is enforced, what is doubtful is held or kept out, and nobody has the
//! gateway ask what it should not (threats.md S1 to S3).

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::office::{CONFIGURATION, Key, Office};
use super::{code, events};
use crate::stage::{Answer, Client, Upstream, wait_for};

/// A provider that publishes what the test says.
struct Provider {
    upstream: Upstream,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Provider {
    fn publishing(list: &str) -> Self {
        let answer = Arc::new(Mutex::new(found(list)));
        let told = Arc::clone(&answer);
        let upstream = Upstream::scripted(move |_, stream| {
            let answer = told.lock().unwrap().clone();
            // Nothing at all is a connection that ends.
            stream.write_all(&answer).is_ok() && !answer.is_empty()
        });
        Self { upstream, answer }
    }

    fn publish(&self, list: &str) {
        self.answer(&found(list));
    }

    fn answer(&self, bytes: &[u8]) {
        *self.answer.lock().unwrap() = bytes.to_vec();
    }

    fn url(&self) -> String {
        format!("http://{}/list.txt?of=edge", self.upstream.address())
    }

    /// An office that may ask it.
    fn office(&self) -> Office {
        let address = self.upstream.address();
        office(&format!("allow_hosts: [{{ host: \"{address}\", internal: true }}], timeout: 1s"))
    }
}

fn found(list: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{list}", list.len()).into_bytes()
}

fn office(feeds: &str) -> Office {
    Office::open_with(&format!("{CONFIGURATION}feeds: {{ {feeds} }}\n"))
}

/// A metric of the telemetry listener, which is not the last one that is told here.
fn metric(office: &Office, name: &str) -> f64 {
    let log = office.served.log();
    let line = log.iter().find(|line| line["message"] == "probes and metrics are served").unwrap();
    let mut client = Client::connect(line["address"].as_str().unwrap().parse().unwrap());
    let page = client.send("GET /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").text();
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    page.lines().find_map(value).unwrap_or_else(|| panic!("{name}: {page}"))
}

fn make(office: &Office, name: &str, source: &Value) -> Answer {
    office.own("POST", "/networkSets", &json!({"name": name, "source": source}).to_string())
}

fn shown(office: &Office, name: &str) -> Value {
    let shown = office.own("GET", &format!("/networkSets/{name}"), "");
    assert_eq!(shown.status, 200, "{}", shown.text());
    shown.json()
}

/// Has the source asked, and waits for what comes of it.
#[track_caller]
fn refresh(office: &Office, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let wished = office.own("POST", &format!("/networkSets/{name}/refresh"), "");
    assert_eq!(wished.status, 202, "{}", wished.text());
    let wish = wished.json()["refresh"]["due"].clone();
    let mut set = Value::Null;
    wait_for(what, || {
        set = shown(office, name);
        set["refresh"]["due"] != wish && set["refresh"]["asked"] == false
    });
    assert!(is_so(&set), "{what}: {set:#}");
    set
}

fn key_of(office: &Office, set: &str) -> Key {
    let body = json!({"desc": "a key", "roles": [], "accessList": [{"set": set}]});
    let made = office.own("POST", "/apiKeys", &body.to_string());
    assert_eq!(made.status, 200, "{}", made.text());
    Key::of(&made.json())
}

#[test]
fn what_a_provider_publishes_is_enforced_and_recorded() {
    let provider = Provider::publishing("127.0.0.0/9\n# more of it\n127.128.0.0/9\n198.51.100.0/24\n");
    let office = provider.office();
    let made = make(&office, "edge", &json!({"url": provider.url(), "every": "1h"}));
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["source"], json!({"url": provider.url(), "every": "1h"}));
    wait_for("the first list", || shown(&office, "edge")["refresh"]["lastGood"].is_string());
    let set = shown(&office, "edge");
    assert_eq!(set["networks"], json!(["127.0.0.0/8", "198.51.100.0/24"]));
    assert_eq!((&set["refresh"]["failures"], set.get("held")), (&json!(0), None));
    let key = key_of(&office, "edge");
    assert_eq!(office.through(&key).0, 200);
    // A little that goes is enforced with the next request.
    provider.publish("127.0.0.0/8\n");
    let told = events(&office, "?eventType=NETWORK_SET_CHANGED").len();
    let set = refresh(&office, "edge", "the second list", |set| set["networks"] == json!(["127.0.0.0/8"]));
    assert_eq!(set.get("held"), None, "198.51.100.0/24 is a hundredth of it at most");
    let event = office.own("GET", "/events?eventType=NETWORK_SET_CHANGED", "").json();
    let newest = &event["results"][0];
    assert_eq!(event["totalCount"], told + 1);
    assert_eq!((&newest["detail"], &newest["whitelistEntry"]), (&json!("-198.51.100.0/24"), &json!("set:edge")));
    assert!(newest.to_string().contains("network feed"), "{newest}");
    // The same again is nothing: no revision and no event.
    let revision = metric(&office, "portcullis_snapshot_revision");
    refresh(&office, "edge", "another look", |again| again["networks"] == set["networks"]);
    assert_eq!(metric(&office, "portcullis_snapshot_revision"), revision);
    assert_eq!(events(&office, "?eventType=NETWORK_SET_CHANGED").len(), told + 1);
    assert_eq!(metric(&office, "portcullis_network_feeds"), 1.0);
    assert!(provider.upstream.seen()[0].line.starts_with("GET /list.txt?of=edge "));
    // Without its source it is a set like any other, and nobody asks.
    let bare = office.own("PUT", "/networkSets/edge", r#"{"networks":["127.0.0.0/8"]}"#);
    assert_eq!((bare.status, bare.json().get("source")), (200, None), "{}", bare.text());
    code(&office.own("POST", "/networkSets/edge/refresh", ""), 404, "RESOURCE_NOT_FOUND");
}

#[test]
fn s3_much_that_changes_is_held_until_a_person_confirms_it() {
    let provider = Provider::publishing("127.0.0.0/8\n");
    let office = provider.office();
    assert_eq!(make(&office, "edge", &json!({"url": provider.url()})).status, 201);
    wait_for("the first list", || shown(&office, "edge")["refresh"]["lastGood"].is_string());
    let key = key_of(&office, "edge");
    for (list, reason) in [
        ("126.0.0.0/7\n", "100 % of its addresses would come"),
        ("127.0.0.0/9\n", "50 % of its addresses would go"),
        ("127.0.0.0/8\n2001:db8::/32\n", "a family of addresses would come that the set does not hold yet"),
    ] {
        provider.publish(list);
        let set = refresh(&office, "edge", list, |set| set["held"]["reason"] == reason);
        assert_eq!(set["networks"], json!(["127.0.0.0/8"]), "{list}");
    }
    wait_for("the alarm", || metric(&office, "portcullis_network_feeds_held") == 1.0);
    assert!(office.served.log_has(|line| line["level"] == "WARN" && line["set"] == "edge" && line["why"].is_string()));
    // Those that came in its place are told no second time, and neither is the same list again.
    assert_eq!(events(&office, "?eventType=NETWORK_SET_HELD").len(), 1);
    let set = shown(&office, "edge");
    refresh(&office, "edge", "another look", |again| again["held"] == set["held"]);
    let held = &shown(&office, "edge")["held"];
    assert_eq!(held, &set["held"]);
    assert_eq!((&held["networksAdded"], &held["networksRemoved"]), (&json!(1), &json!(0)));
    assert_eq!((held.get("percentAdded"), &held["percentRemoved"]), (None, &json!(0)));
    assert_eq!(held["networks"], json!(["127.0.0.0/8", "2001:db8::/32"]));
    assert_eq!(events(&office, "?eventType=NETWORK_SET_HELD").len(), 1);
    // It waits across a restart.
    let office = office.reopen("TERM");
    let held = shown(&office, "edge")["held"].clone();
    assert_eq!(held, set["held"]);
    // Another list than the one that was looked at is not confirmed, and nobody else may.
    let confirm = |id: &Value| office.own("POST", "/networkSets/edge/held", &json!({"id": id}).to_string());
    code(&confirm(&json!("another")), 412, "VERSION_MISMATCH");
    let reader = office.key(r#"["ORG_READ_ONLY"]"#);
    let path = format!("/orgs/{}/networkSets/edge", office.organization);
    let body = json!({"id": held["id"]}).to_string();
    code(&office.call(&reader.pair, "POST", &format!("{path}/held"), &body), 403, "INSUFFICIENT_ROLE");
    code(&office.call(&reader.pair, "POST", &format!("{path}/refresh"), ""), 403, "INSUFFICIENT_ROLE");
    let confirmed = confirm(&held["id"]);
    assert_eq!(confirmed.status, 200, "{}", confirmed.text());
    assert_eq!(confirmed.json()["networks"], held["networks"]);
    assert_eq!(confirmed.json().get("held"), None);
    assert_eq!(office.through(&key).0, 200);
    let newest = office.own("GET", "/events?eventType=NETWORK_SET_CHANGED", "").json()["results"][0].clone();
    assert!(newest.to_string().contains("ownerkey"), "{newest}");
    code(&confirm(&held["id"]), 404, "RESOURCE_NOT_FOUND");
    // What the provider takes back by itself is not held any more.
    provider.publish("64.0.0.0/2\n");
    refresh(&office, "edge", "the list that is held", |set| set["held"].is_object());
    provider.publish("127.0.0.0/8\n2001:db8::/32\n");
    refresh(&office, "edge", "the list that is right again", |set| set.get("held").is_none());
}

#[test]
fn s3_a_list_by_which_a_recent_caller_would_be_refused_is_held() {
    let provider = Provider::publishing("127.0.0.0/8\n");
    let office = provider.office();
    assert_eq!(make(&office, "edge", &json!({"url": provider.url()})).status, 201);
    wait_for("the first list", || shown(&office, "edge")["refresh"]["lastGood"].is_string());
    let key = key_of(&office, "edge");
    assert_eq!(office.through(&key).0, 200);
    provider.publish("127.0.0.2/31\n127.0.0.4/30\n127.0.0.8/29\n127.0.0.16/28\n127.0.0.32/27\n");
    let set = refresh(&office, "edge", "a list that is too long or too short", |set| set["held"].is_object());
    assert_eq!(set["held"]["reason"], "100 % of its addresses would go");
    provider.publish("127.128.0.0/9\n127.64.0.0/10\n127.32.0.0/11\n");
    let set = refresh(&office, "edge", "a list without the caller", |set| {
        set["held"]["reason"].as_str().is_some_and(|why| why.contains("127.0.0.1"))
    });
    assert_eq!(set["networks"], json!(["127.0.0.0/8"]));
    assert_eq!(office.through(&key).0, 200);
    let body = json!({"id": set["held"]["id"]}).to_string();
    code(&office.own("POST", "/networkSets/edge/held", &body), 409, "CHANGE_EXCLUDES_RECENT_USE");
    assert_eq!(office.own("POST", "/networkSets/edge/held?force=true", &body).status, 200);
    assert_eq!(office.through(&key), (403, "IP_ADDRESS_NOT_ON_ACCESS_LIST".into()));
}

#[test]
fn s3_bad_answers_change_nothing_and_the_last_good_list_outlives_a_restart() {
    let provider = Provider::publishing("127.0.0.0/8\n198.51.100.0/24\n");
    let office = provider.office();
    assert_eq!(make(&office, "edge", &json!({"url": provider.url()})).status, 201);
    wait_for("the first list", || shown(&office, "edge")["refresh"]["lastGood"].is_string());
    let good = shown(&office, "edge");
    let key = key_of(&office, "edge");
    let large = "#".repeat(9 << 20);
    let answers: &[(&str, Vec<u8>)] = &[
        ("answered 500", b"HTTP/1.1 500 Oh\r\nContent-Length: 12\r\n\r\n127.0.0.0/8\n".to_vec()),
        ("answered 302", b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n".to_vec()),
        ("larger than 8 MiB", found(&large)),
        ("took longer", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n127.0.0.0/8\n".to_vec()),
        ("broke", b"".to_vec()),
        ("names no network", found("")),
        ("names no network", found("# nothing\n")),
        ("line 2 is no network", found("127.0.0.0/8\nroot:x:0:0\n")),
        ("every address of a family", found("127.0.0.0/8\n0.0.0.0/1\n128.0.0.0/1\n")),
        ("begins like JSON", found("{\"prefixes\": [")),
        ("none of the forms", found("{\"password\": \"hunter2\"}")),
        ("no text", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\xfe\xfd".to_vec()),
        (
            "LIMIT_REACHED",
            found("127.0.0.0/9\n127.128.0.0/16\n127.130.0.0/16\n127.132.0.0/16\n127.134.0.0/16\n127.136.0.0/16\n"),
        ),
    ];
    for (told, answer) in answers {
        provider.answer(answer);
        let set = refresh(&office, "edge", told, |set| set["refresh"]["fault"].is_string());
        let fault = set["refresh"]["fault"].as_str().unwrap();
        assert!(fault.contains(told), "{told}: {fault} {set:#}");
        // What a document holds that is no list is told to nobody.
        assert!(!fault.contains("root:x") && !fault.contains("hunter2"), "{fault}");
        assert_eq!((&set["networks"], set.get("held")), (&good["networks"], None), "{told}");
        assert_eq!(set["refresh"]["lastGood"], good["refresh"]["lastGood"], "{told}");
    }
    let failed =
        |reason: &str| metric(&office, &format!("portcullis_network_feed_failures_total{{reason=\"{reason}\"}}"));
    assert!(failed("fetch") >= 5.0 && failed("list") >= 7.0 && failed("limit") >= 1.0);
    assert!(metric(&office, "portcullis_network_feed_age_seconds") >= 0.0);
    assert_eq!(events(&office, "?eventType=NETWORK_SET_CHANGED").len(), 1, "the first list");
    assert_eq!(office.through(&key).0, 200);
    // The provider is away, and the gateway starts again.
    provider.answer(b"");
    let office = office.reopen("KILL");
    assert_eq!(shown(&office, "edge")["networks"], good["networks"]);
    assert_eq!(office.through(&key).0, 200);
    // As soon as it is well again, so is the set.
    provider.publish("127.0.0.0/8\n");
    let set = refresh(&office, "edge", "a good list", |set| set["networks"] == json!(["127.0.0.0/8"]));
    assert_eq!((&set["refresh"]["failures"], set["refresh"].get("fault")), (&json!(0), None));
}

#[test]
fn s1_only_hosts_that_the_configuration_names_are_asked() {
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let port = inside.local_addr().unwrap().port();
    // By default nothing is asked, with the way out.
    let bare = Office::open();
    for source in [json!({"url": "https://ip-ranges.amazonaws.com/ip-ranges.json"}), json!({"file": "edge.txt"})] {
        let refused = make(&bare, "edge", &source);
        code(&refused, 400, "INVALID_ATTRIBUTE");
        assert!(refused.text().contains("feeds.allow_"), "{}", refused.text());
    }
    // A name that is listed, and stands for an address that is not on the internet.
    let office = office(&format!("allow_hosts: [\"localhost:{port}\", \"127.0.0.1:{port}\", lists.example.com]"));
    for url in [
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("https://lists.example.com:{port}/"),
        format!("https://lists.example.com@127.0.0.1:{port}/"),
        "https://lists.example.com.evil.example/".to_owned(),
        format!("https://[::1]:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://0x7f000001:{port}/"),
        format!("https://2130706433:{port}/"),
        "file:///etc/passwd".to_owned(),
        format!("gopher://127.0.0.1:{port}/"),
    ] {
        let refused = make(&office, "edge", &json!({"url": url}));
        code(&refused, 400, "INVALID_ATTRIBUTE");
        assert!(refused.text().contains("source.url"), "{url}: {}", refused.text());
    }
    for host in ["localhost", "127.0.0.1"] {
        let made = make(&office, host, &json!({"url": format!("https://{host}:{port}/list")}));
        assert_eq!(made.status, 201, "{}", made.text());
        wait_for("the refusal", || {
            let set = shown(&office, host);
            set["refresh"]["fault"].as_str().is_some_and(|fault| fault.contains("not on the internet"))
        });
    }
    assert!(inside.accept().is_err(), "nobody has connected");
}

#[test]
fn s1_a_host_that_is_taken_off_the_configuration_is_asked_no_more() {
    let provider = Provider::publishing("127.0.0.0/8\n");
    let office = provider.office();
    assert_eq!(make(&office, "edge", &json!({"url": provider.url()})).status, 201);
    wait_for("the first list", || shown(&office, "edge")["refresh"]["lastGood"].is_string());
    let asked = provider.upstream.seen().len();
    std::fs::write(office.path("portcullis.yaml"), CONFIGURATION).unwrap();
    wait_for("the new configuration", || metric(&office, "portcullis_configuration_applied_total") >= 2.0);
    code(&office.own("POST", "/networkSets/edge/refresh", ""), 400, "INVALID_ATTRIBUTE");
    // An edit of something else keeps it, and a new one is refused.
    let source = shown(&office, "edge")["source"].clone();
    let body = json!({"networks": ["127.0.0.0/8"], "comment": "c", "source": source}).to_string();
    assert_eq!(office.own("PUT", "/networkSets/edge", &body).status, 200);
    code(&make(&office, "other", &source), 400, "INVALID_ATTRIBUTE");
    assert_eq!(provider.upstream.seen().len(), asked);
}

#[test]
fn s4_a_source_that_hangs_delays_nobody_else() {
    let (answers, hangs) = (Provider::publishing("127.0.0.0/8\n"), TcpListener::bind("127.0.0.1:0").unwrap());
    let [good, bad] = [answers.upstream.address(), hangs.local_addr().unwrap()];
    let host = |address| format!("{{ host: \"{address}\", internal: true }}");
    // Longer than the test waits for anything.
    let office = office(&format!("allow_hosts: [{}, {}], timeout: 10m", host(good), host(bad)));
    for at in 0..5 {
        let url = format!("http://{bad}/{at}");
        assert_eq!(make(&office, &format!("hangs-{at}"), &json!({"url": url})).status, 201);
    }
    // One of them is asked, and waits. The others do not take the place of what could be read.
    let waiting = hangs.accept().unwrap();
    assert_eq!(make(&office, "edge", &json!({"url": answers.url(), "every": "1h"})).status, 201);
    wait_for("the list beside those that hang", || shown(&office, "edge")["refresh"]["state"] == "fresh");
    answers.publish("127.0.0.0/8\n198.51.100.0/24\n");
    refresh(&office, "edge", "another list", |set| set["networks"].as_array().unwrap().len() == 2);
    let asked = (0..5).filter(|at| shown(&office, &format!("hangs-{at}"))["refresh"]["asked"] == true).count();
    assert_eq!(asked, 1, "of one organization, one list is asked for at a host at a time");
    assert_eq!(shown(&office, "hangs-0")["refresh"]["state"], "new");
    // What hangs ends, and the next one has its turn.
    drop(waiting);
    wait_for("the failure", || shown(&office, "hangs-0")["refresh"]["state"] == "failing");
    hangs.accept().unwrap();
}

#[test]
fn s2_a_list_file_is_read_from_the_folder_that_is_allowed_and_from_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let lists = folder.path().join("lists");
    std::fs::create_dir(&lists).unwrap();
    std::fs::write(folder.path().join("secret.txt"), "192.0.2.0/24\n").unwrap();
    std::fs::write(lists.join("edge.txt"), "127.0.0.0/8\n").unwrap();
    std::os::unix::fs::symlink("../secret.txt", lists.join("link.txt")).unwrap();
    let office = office(&format!("allow_files: \"{}\"", lists.display()));
    for file in ["../secret.txt", "/etc/passwd", "a/../../secret.txt", "", ".", "a//b", "a\\b", "./edge.txt"] {
        let refused = make(&office, "edge", &json!({"file": file}));
        code(&refused, 400, "INVALID_ATTRIBUTE");
        assert!(refused.text().contains("source.file"), "{file}: {}", refused.text());
    }
    code(&make(&office, "edge", &json!({"file": "edge.txt", "url": "https://a.example/"})), 400, "INVALID_ATTRIBUTE");
    code(&make(&office, "edge", &json!({})), 400, "MISSING_ONE_OF_ATTRIBUTES");
    for (field, value) in
        [("form", json!("xml")), ("every", json!("59s")), ("every", json!("soon")), ("services", json!(["a\nb"]))]
    {
        code(&make(&office, "edge", &json!({"file": "edge.txt", field: value})), 400, "INVALID_ATTRIBUTE");
    }
    assert_eq!(make(&office, "link", &json!({"file": "link.txt"})).status, 201);
    wait_for("the refusal", || {
        shown(&office, "link")["refresh"]["fault"]
            .as_str()
            .is_some_and(|fault| fault.contains("leads out of the folder"))
    });
    assert_eq!(shown(&office, "link")["networks"], json!([]));
    assert_eq!(make(&office, "edge", &json!({"file": "edge.txt", "form": "plain"})).status, 201);
    wait_for("the first list", || shown(&office, "edge")["networks"] == json!(["127.0.0.0/8"]));
    std::fs::write(lists.join("edge.txt"), "127.0.0.0/8\n198.51.100.0/24\n").unwrap();
    refresh(&office, "edge", "the second list", |set| set["networks"] == json!(["127.0.0.0/8", "198.51.100.0/24"]));
}
