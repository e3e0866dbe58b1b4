//! Lists that only report are promoted where nothing would have been refused, and the way back is one command.

use serde_json::Value;

use super::{Remote, results};
use crate::admin::office::Office;
use crate::admin::usage::{CONFIGURATION, from};
use crate::stage::wait_for;

/// Of the one with this name.
fn of<'r>(page: &'r Value, name: &str) -> &'r Value {
    results(page).iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}: {page:#}"))
}

fn actions(page: &Value) -> Vec<(&str, &str)> {
    results(page).iter().map(|one| (one["name"].as_str().unwrap(), one["action"].as_str().unwrap())).collect()
}

#[test]
fn quiet_lists_are_promoted_and_the_way_back_is_one_command() {
    let remote = Remote::at(Office::open_with(CONFIGURATION));
    let office = &remote.office;
    let [quiet, loud] =
        ["quiet", "loud"].map(|name| remote.key(&format!("--desc {name} --cidr 203.0.113.0/24 --enforcement report")));
    remote.key("--desc bare --enforcement report");
    remote.key("--desc enforcing --cidr 203.0.113.0/24");
    let account =
        remote.json("service-accounts create --name batch --secret-hours 8 --ip 192.0.2.1 --enforcement report");
    assert_eq!((from(office, &quiet, "203.0.113.9"), from(office, &loud, "198.51.100.7")), (200, 200));
    wait_for("what is recorded", || {
        let told = remote.json("promote");
        of(&told, "quiet")["requestCount"] == 1 && of(&told, "loud")["lastWouldBeRefused"].is_object()
    });
    let told = remote.json("promote");
    assert_eq!(results(&told).len(), 4, "{told:#}");
    assert_eq!(of(&told, "loud")["lastWouldBeRefused"]["ipAddress"], "198.51.100.7");
    assert!(of(&told, "quiet").get("lastWouldBeRefused").is_none() && of(&told, "quiet")["quietSince"].is_string());
    let shown = remote.run("promote").code(0).1;
    assert!(shown.starts_with("ID ") && shown.contains("198.51.100.7 at "), "{shown}");

    // Nobody has been quiet for that long.
    let kept = remote.json("promote --quiet-for 1h");
    // Those that somebody has to look at come first.
    assert_eq!(actions(&kept), ["loud", "quiet", "bare", "batch"].map(|name| (name, "kept")));
    wait_for("a second", || {
        ["quiet", "loud"].iter().all(|name| of(&remote.json("promote"), name)["quietForSeconds"].as_u64() >= Some(1))
    });
    let would = remote.json("promote --quiet-for 1s --dry-run");
    assert_eq!(of(&would, "quiet")["action"], "would be promoted");
    assert_eq!(from(office, &quiet, "198.51.100.8"), 200, "nothing was changed");
    wait_for("one that would be refused", || of(&remote.json("promote"), "quiet")["lastWouldBeRefused"].is_object());

    // A use of the last hour is guarded, however short a quiet is asked for; the others are promoted all the same.
    let ran = remote.run("promote --quiet-for 1s --output json").code(1);
    let done: Value = serde_json::from_str(&ran.1).unwrap();
    assert_eq!((&of(&done, "loud")["action"], &of(&done, "bare")["action"]), (&"refused".into(), &"kept".into()));
    let why = of(&done, "loud")["why"].as_str().unwrap();
    assert!(why.starts_with("CHANGE_EXCLUDES_RECENT_USE") && why.contains("`--force`"), "{done:#}");
    assert_eq!(of(&done, "batch")["action"], "promoted");
    let client = account["clientId"].as_str().unwrap();
    assert_eq!(remote.json(&format!("service-accounts show {client}"))["enforcement"], "enforce");
    // With its address on the list it is quiet by what was seen.
    remote.json(&format!("access-lists create --api-key {} --ip 198.51.100.7", loud.id));
    let one = format!("promote {} --quiet-for 1s", loud.id);
    let ran = remote.run(&one).code(0);
    let back = format!("promote --back {}", loud.id);
    assert!(
        ran.1.contains("promoted") && ran.2.contains(&format!("The way back: portcullis {back}")),
        "{}{}",
        ran.1,
        ran.2
    );
    assert_eq!((from(office, &loud, "198.51.100.7"), from(office, &loud, "198.51.100.9")), (200, 403));
    remote.run(&one).refused(64, &["does not only report"]);

    assert!(remote.run(&back).code(0).1.contains("reports again"));
    assert_eq!(from(office, &loud, "198.51.100.9"), 200);
    let events = remote.json("events list --type API_KEY_ENFORCEMENT_CHANGED");
    assert_eq!(results(&events).len(), 2, "{events:#}");
    let detail = |at: usize| results(&events)[at]["detail"].clone();
    assert_eq!((detail(0), detail(1)), ("report".into(), "enforce".into()));
    remote.run("promote --back").refused(64, &["ID"]);
    remote.run(&format!("promote --since 2026-01-01 {}", loud.id)).refused(64, &["--since"]);
    remote.run("promote --quiet-for 40d").refused(64, &["30 days"]);
}

#[test]
fn many_are_promoted_and_taken_back_by_the_time() {
    let remote = Remote::at(Office::open_with(CONFIGURATION));
    let keys: Vec<_> =
        (0..4).map(|at| remote.key(&format!("--desc key-{at} --ip 203.0.113.{at} --enforcement report"))).collect();
    let account =
        remote.json("service-accounts create --name batch --secret-hours 8 --ip 192.0.2.1 --enforcement report");
    remote.key("--desc always --ip 203.0.113.9");
    wait_for("a second", || {
        let told = remote.json("promote");
        results(&told).iter().all(|one| one["quietForSeconds"].as_u64() >= Some(1))
    });
    let ran = remote.run("promote --quiet-for 1s").code(0);
    let (_, since) = ran.2.split_once("The way back: portcullis promote --back --since ").expect(&ran.2);
    assert!(ran.2.starts_with("promoted: 5\n"), "{}", ran.2);
    assert_eq!(from(&remote.office, &keys[0], "198.51.100.7"), 403);
    // Somebody has taken one back already; that stays as it is, and so does what was never promoted.
    remote.run(&format!("promote --back {}", keys[0].id)).code(0);
    let would = remote.json(&format!("promote --back --since {} --dry-run", since.trim()));
    assert_eq!(results(&would).len(), 4, "{would:#}");
    assert!(results(&would).iter().all(|one| one["action"] == "would report again"), "{would:#}");
    assert!(results(&would).iter().any(|one| one["clientId"] == account["clientId"]), "{would:#}");
    let ran = remote.run(&format!("promote --back --since {}", since.trim())).code(0);
    assert_eq!(ran.2, "reports again: 4\n");
    assert_eq!(results(&remote.json("promote")).len(), 5);
    assert_eq!(from(&remote.office, &keys[3], "198.51.100.7"), 200);
    let ran = remote.run(&format!("promote --back --since {}", since.trim())).code(0);
    assert_eq!(ran.2, "there is none\n");
}

#[test]
fn nobody_is_promoted_where_nothing_is_recorded() {
    let off = CONFIGURATION.replacen("usage_interval: 50ms", "usage_interval: 50ms, record_traffic: false", 1);
    let remote = Remote::at(Office::open_with(&off));
    remote.key("--desc quiet --cidr 203.0.113.0/24 --enforcement report");
    let done = remote.json("promote --quiet-for 1s");
    assert_eq!(
        (&of(&done, "quiet")["action"], &of(&done, "quiet")["why"]),
        (&"kept".into(), &"nothing is recorded".into())
    );
}

#[test]
fn the_switch_is_previewed_and_turned_with_the_addresses_that_were_seen() {
    let remote = Remote::at(Office::open_with(CONFIGURATION));
    let bare = remote.key("--desc bare");
    remote.key("--desc listed --cidr 203.0.113.0/24");
    assert_eq!(from(&remote.office, &bare, "198.51.100.7"), 200);
    wait_for("the use", || {
        of(&remote.json("settings preview"), "bare")["recentAddresses"][0]["address"] == "198.51.100.7"
    });
    let shown = remote.run("settings preview").code(0).1;
    assert!(shown.contains("198.51.100.7") && !shown.contains("listed"), "{shown}");
    // The key that calls was used of late as well, from here.
    wait_for("the caller's use", || {
        let told = remote.json("settings preview");
        results(&told).iter().all(|one| one["recentAddresses"].as_array().is_some_and(|all| !all.is_empty()))
    });
    remote.run("settings update --access-lists required").refused(1, &["CHANGE_EXCLUDES_CALLER"]);
    let turned = remote.json("settings update --access-lists required --add-recent");
    assert_eq!(turned["apiAccessListMode"], "required");
    assert_eq!(results(&remote.json("settings preview")), [] as [Value; 0]);
    assert_eq!((from(&remote.office, &bare, "198.51.100.7"), from(&remote.office, &bare, "198.51.100.8")), (200, 403));
    remote.run("settings update --secret-hours 8 --add-recent").refused(64, &["--access-lists"]);
}
