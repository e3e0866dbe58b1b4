//! The forms as the providers write them, what is chosen of each, and everything that refuses one.

use super::*;

const AWS: &str = r#"{"syncToken": "1", "createDate": "2026-11-24-00-00-00", "prefixes": [
  {"ip_prefix": "198.51.100.0/25", "region": "eu-central-1", "service": "AMAZON", "network_border_group": "eu-central-1"},
  {"ip_prefix": "198.51.100.128/25", "region": "eu-central-1", "service": "AMAZON", "network_border_group": "eu-central-1"},
  {"ip_prefix": "198.51.100.0/28", "region": "eu-central-1", "service": "EC2", "network_border_group": "eu-central-1"},
  {"ip_prefix": "203.0.113.0/24", "region": "GLOBAL", "service": "CLOUDFRONT", "network_border_group": "GLOBAL"}],
 "ipv6_prefixes": [
  {"ipv6_prefix": "2001:db8:1::/48", "region": "eu-central-1", "service": "EC2", "network_border_group": "eu-central-1"}]}"#;

const GOOGLE: &str = r#"{"syncToken": "1", "creationTime": "2026-11-24T00:00:00.0", "prefixes": [
  {"ipv4Prefix": "192.0.2.0/24", "service": "Google Cloud", "scope": "africa-south1"},
  {"ipv6Prefix": "2001:db8:2::/48", "service": "Google Cloud", "scope": "europe-west3"}]}"#;

const AZURE: &str = r#"{"changeNumber": 3, "cloud": "Public", "values": [
  {"name": "ActionGroup", "id": "ActionGroup", "properties": {"region": "", "systemService": "ActionGroup",
   "addressPrefixes": ["192.0.2.0/26", "2001:db8:3::/48"]}},
  {"name": "Storage.WestEurope", "id": "s", "properties": {"region": "westeurope", "systemService": "AzureStorage",
   "addressPrefixes": ["203.0.113.64/26"]}}]}"#;

const CLOUDFLARE: &str = r#"{"result": {"ipv4_cidrs": ["192.0.2.0/24"], "ipv6_cidrs": ["2001:db8:4::/48"], "etag": "x"},
  "success": true, "errors": [], "messages": []}"#;

const GITHUB: &str = r#"{"verifiable_password_authentication": false, "ssh_keys": ["ssh-ed25519 AAAA"],
  "hooks": ["192.0.2.0/24", "2001:db8:5::/48"], "web": ["198.51.100.0/24"], "domains": {"website": ["*.example.com"]}}"#;

const PLAIN: &str = "# ours\n192.0.2.1\n\n198.51.100.0/24 # office\n2001:db8::/48\n";

fn wanted(services: &[&str], regions: &[&str]) -> Wanted {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Wanted { services: owned(services), regions: owned(regions) }
}

#[track_caller]
fn check(text: &str, services: &[&str], regions: &[&str], expected: &[&str]) {
    let read = read(text, None, &wanted(services, regions)).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(read.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
}

#[test]
fn each_form_is_known_by_itself() {
    check(AWS, &[], &[], &["198.51.100.0/24", "203.0.113.0/24", "2001:db8:1::/48"]);
    check(AWS, &["ec2"], &[], &["198.51.100.0/28", "2001:db8:1::/48"]);
    check(AWS, &["EC2", "CLOUDFRONT"], &["GLOBAL"], &["203.0.113.0/24"]);
    check(GOOGLE, &[], &[], &["192.0.2.0/24", "2001:db8:2::/48"]);
    check(GOOGLE, &["Google Cloud"], &["europe-west3"], &["2001:db8:2::/48"]);
    check(AZURE, &["ActionGroup"], &[], &["192.0.2.0/26", "2001:db8:3::/48"]);
    check(AZURE, &["AzureStorage"], &["WestEurope"], &["203.0.113.64/26"]);
    check(CLOUDFLARE, &[], &[], &["192.0.2.0/24", "2001:db8:4::/48"]);
    check(GITHUB, &["hooks"], &[], &["192.0.2.0/24", "2001:db8:5::/48"]);
    check(PLAIN, &[], &[], &["192.0.2.1/32", "198.51.100.0/24", "2001:db8::/48"]);
    check(&format!("\u{feff}{PLAIN}"), &[], &[], &["192.0.2.1/32", "198.51.100.0/24", "2001:db8::/48"]);
}

#[track_caller]
fn refused(text: &str, form: Option<Form>, services: &[&str], regions: &[&str], part: &str) {
    let told = read(text, form, &wanted(services, regions)).expect_err(part).to_string();
    assert!(told.contains(part), "{told}");
}

#[test]
fn a_list_is_taken_whole_or_not_at_all() {
    refused("192.0.2.0/24\n10.0.0.5/8\n", None, &[], &[], "line 2: network `10.0.0.5/8` has host bits set");
    refused(&AWS.replace("203.0.113.0/24", "203.0.113.1/24"), None, &[], &[], "prefixes[3].ip_prefix: network");
    refused(&AWS.replace("203.0.113.0/24", "0.0.0.0/0"), None, &[], &[], "0.0.0.0/0 holds every address");
    refused("0.0.0.0/1\n128.0.0.0/1\n", None, &[], &[], "0.0.0.0/0 holds every address");
    refused("::/0\n", None, &[], &[], "::/0 holds every address");
    refused(&GOOGLE.replace("ipv6Prefix", "prefix"), None, &[], &[], "`prefixes[1]` has neither");
    refused(&CLOUDFLARE.replace("\"192.0.2.0/24\"", "5"), None, &[], &[], "`ipv4_cidrs[0]` is no text");
    refused(&AZURE.replace("addressPrefixes", "prefixes"), None, &["x"], &[], "addressPrefixes` is no list");
    refused(&AWS[..200], None, &[], &[], "begins like JSON and is none");
    refused(r#"{"prefixes": [], "prefixes": []}"#, None, &[], &[], "begins like JSON and is none");
    refused("[]", Some(Form::Aws), &[], &[], "none of the forms");
    refused("{\"a\": 1}", None, &[], &[], "none of the forms");
    refused("<html>", None, &[], &[], "line 1: ");
    refused("", None, &[], &[], "no network");
    refused("# nothing\n", None, &[], &[], "no network");
    refused(AWS, Some(Form::Google), &[], &[], "has neither `ipv4Prefix`");
    refused(AWS, Some(Form::Plain), &[], &[], "line 1: ");
}

#[test]
fn what_is_chosen_has_to_be_there() {
    refused(AWS, None, &["S3"], &[], "no service `S3`; it has `AMAZON`, `CLOUDFRONT`, `EC2`");
    refused(AWS, None, &[], &["mars"], "no region `mars`; it has `GLOBAL`, `eu-central-1`");
    refused(AWS, None, &["CLOUDFRONT"], &["eu-central-1"], "or none that is wanted");
    refused(AZURE, None, &[], &[], "choose a service, such as `ActionGroup`, `Storage.WestEurope`");
    refused(GITHUB, None, &[], &[], "choose a service, such as `hooks`, `web`");
    refused(GITHUB, None, &["ssh_keys"], &[], "no service `ssh_keys`");
    refused(GITHUB, None, &["web"], &["eu"], "has no regions");
    refused(PLAIN, None, &["web"], &[], "has no services");
    refused(CLOUDFLARE, None, &[], &["eu"], "has no regions");
}

#[test]
fn drift_is_told_by_addresses() {
    let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Network>>();
    let check = |before: &[&str], after: &[&str], expected: (u64, u64)| {
        let Drift { added, removed, .. } = drift(&networks(before), &networks(after));
        assert_eq!((added, removed), expected, "{before:?} {after:?}");
    };
    check(&["192.0.2.0/24"], &["192.0.2.0/25", "192.0.2.128/25"], (0, 0));
    check(&["192.0.2.0/24"], &["192.0.2.0/25"], (0, 50));
    check(&["192.0.2.0/24"], &["192.0.2.0/24", "198.51.100.0/26"], (25, 0));
    check(&["192.0.2.0/24"], &["198.51.100.0/24"], (100, 100));
    check(&["192.0.0.0/16"], &["192.0.0.0/16", "203.0.113.1"], (1, 0));
    // Many of one family hide nothing of the other.
    check(&["10.0.0.0/8", "2001:db8::/64"], &["10.0.0.0/8", "2001:db8::/63"], (100, 0));
    check(&["192.0.2.0/24"], &["192.0.2.0/24", "2001:db8::/64"], (u64::MAX, 0));
    check(&[], &["192.0.2.0/24"], (u64::MAX, 0));
    check(&["::/1"], &["::/2"], (0, 50));
}

#[test]
fn s3_what_is_many_networks_or_half_of_a_family_is_too_much() {
    let many = |count: u32| (0..count).map(|number| format!("192.0.{}.{}", number / 100, 2 * (number % 100)));
    let of = |count: u32| {
        let all = many(count).chain(["10.0.0.0/8".to_owned()]);
        all.map(|text| text.parse().unwrap()).collect::<Vec<Network>>()
    };
    let check = |before: &[Network], after: &[Network], expected: Option<&str>| {
        assert_eq!(drift(before, after).too_much(30).as_deref(), expected);
    };
    // None of this is a hundredth of the addresses.
    check(&of(300), &of(0), Some("100 % of its networks would go"));
    check(&of(300), &of(200), Some("34 % of its networks would go"));
    check(&of(300), &of(220), None);
    check(&of(200), &of(300), Some("50 % of its networks would come"));
    check(&of(0), &of(5), None);
    check(&of(0), &of(6), Some("600 % of its networks would come"));
    check(&of(6), &of(0), Some("86 % of its networks would go"));
    check(&of(5), &of(0), None);
    // One that is split is the same one.
    let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Network>>();
    let [whole, hole] = [&["10.0.0.0/8"], &["10.3.2.1"]].map(|texts| Addresses::of(networks(texts).into_iter()));
    let split = whole.without(&hole).networks();
    assert!(split.len() > HANDFUL);
    check(&networks(&["10.0.0.0/8"]), &split, None);
    // Half of a family is looked at once.
    let (less, half) = (networks(&["128.0.0.0/2", "192.0.0.0/3", "224.0.0.0/4"]), networks(&["128.0.0.0/1"]));
    check(&less, &half, Some("it would hold half of all addresses of a family or more"));
    check(&half, &half, None);
    assert!(drift(&[], &networks(&["8000::/1"])).is_half);
    assert!(!drift(&[], &networks(&["2000::/3", "64.0.0.0/2"])).is_half);
}

#[test]
fn s3_what_would_take_much_memory_is_refused_before_anything_is_made_of_it() {
    let github = |member: &str, count: usize| {
        let members = vec![member; count].join(",");
        format!("{{\"hooks\": [{members}], \"web\": []}}")
    };
    let told = "more than 500000 values, or 50000 objects and lists";
    refused(&github("\"\"", MOST_VALUES + 1), None, &["hooks"], &[], told);
    refused(&github("{}", MOST_NESTED), None, &["hooks"], &[], told);
    refused(&github("[]", MOST_NESTED), None, &["hooks"], &[], told);
    refused(&"::1\n".repeat(MOST_VALUES + 1), None, &[], &[], told);
    check(&github("\"192.0.2.1\"", 100_000), &["hooks"], &[], &["192.0.2.1/32"]);
    // What a text holds is none of it.
    let text = "{[,\\\\\\\"".repeat(MOST_VALUES);
    check(
        &format!("{{\"hooks\": [\"192.0.2.1\"], \"web\": [], \"note\": \"{text}\"}}"),
        &["hooks"],
        &[],
        &["192.0.2.1/32"],
    );
}

#[test]
fn s2_a_fault_for_others_names_nothing_that_a_document_holds() {
    let secret = |services: &[&str], document: &str| {
        let fault = read(document, Some(Form::GitHub), &wanted(services, &[])).unwrap_err();
        (fault.to_string(), fault.without_content())
    };
    for (services, document) in [
        (&[][..], r#"{"hunter2": ["a"]}"#),
        (&["hooks"], r#"{"hunter2": ["a"]}"#),
        (&["hunter2"], r#"{"hunter2": [5]}"#),
        (&["HUNTER2"], r#"{"hunter2": ["a"]}"#),
    ] {
        let (told, others) = secret(services, document);
        assert!(told.contains("hunter2"), "{told}");
        assert!(!others.contains("hunter2"), "{others}");
    }
    let fault = read("192.0.2.1\nhunter2\n", None, &Wanted::default()).unwrap_err();
    assert_eq!(fault.without_content(), "line 2 is no network");
}
