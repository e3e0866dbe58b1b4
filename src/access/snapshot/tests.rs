//! What compiles, what is refused by name, and what a copy shares with its origin.

mod size;
mod undo;

use std::collections::BTreeMap;

use super::*;
use crate::access::client_address::ClientAddress;
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement, Grants};
use crate::access::digest_secret::{Algorithm, DigestSecret, DigestUser};
use crate::clock::Timestamp;
use proptest::prelude::*;

pub(crate) fn id(number: u8) -> Id {
    Id::from_bytes([0x5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

pub(crate) fn fingerprint(number: u16) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes[0..2].copy_from_slice(&number.to_le_bytes());
    Fingerprint(bytes)
}

pub(crate) fn organization(number: u8, mode: AccessListMode) -> OrganizationSpec {
    let sets = vec![NetworkSetSpec { name: "office".into(), networks: vec!["198.51.100.0/24".parse().unwrap()] }];
    OrganizationSpec { id: id(number), name: "acme".into(), mode, network_sets: sets }
}

pub(crate) fn credential(number: u8, organization: u8, keys: &[u16], list: &[&str]) -> CredentialSpec {
    let target = |text: &str| match text.strip_prefix("set:") {
        Some(set) => Target::Set(set.into()),
        None => Target::Network(text.parse().unwrap()),
    };
    CredentialSpec {
        id: id(number),
        kind: CredentialKind::ApiKey,
        organization: id(organization),
        fingerprints: keys.iter().map(|key| fingerprint(*key)).collect(),
        enabled: true,
        expires_at: Timestamp::NEVER,
        enforcement: Enforcement::Enforce,
        grants: Grants::default(),
        access_list: list.iter().map(|text| EntrySpec { target: target(text), expires_at: Timestamp::NEVER }).collect(),
        digest: None,
    }
}

#[test]
fn every_key_of_a_credential_finds_it_and_it_counts_once() {
    let mut draft = Draft::new();
    draft.organization(organization(1, AccessListMode::Off)).unwrap();
    draft.credential(credential(21, 1, &[1, 2, 7], &["10.0.0.0/8"])).unwrap();
    draft.credential(credential(22, 1, &[3], &["10.0.0.0/8"])).unwrap();
    let snapshot = draft.finish(4);
    assert_eq!((snapshot.revision(), snapshot.len(), snapshot.credentials().count()), (4, 2, 2));
    for key in [1, 2, 7] {
        assert_eq!(snapshot.find(&fingerprint(key)).unwrap().id(), id(21));
    }
    assert_eq!(snapshot.find(&fingerprint(9)).map(|found| found.id()), None);
    let credential = snapshot.find(&fingerprint(1)).unwrap();
    let organization = snapshot.organization_of(credential);
    assert_eq!((organization.name(), organization.id(), organization.mode()), ("acme", id(1), AccessListMode::Off));
    assert_eq!((credential.kind(), credential.enabled()), (CredentialKind::ApiKey, true));
    assert_eq!((credential.expires_at(), credential.enforcement()), (Timestamp::NEVER, Enforcement::Enforce));
    assert_eq!(snapshot.organizations().count(), 1);
    assert!(!snapshot.is_empty() && Draft::default().finish(1).is_empty());
    assert!(snapshot.bytes() > 2 * size_of::<Credential>());
    assert_eq!(snapshot.find_by_id(id(22)).unwrap().id(), id(22));
    let (one, other) = (snapshot.find_by_id(id(21)).unwrap(), snapshot.find_by_id(id(22)).unwrap());
    assert_eq!((one.list().holders(), other.list().holders()), (5, 5), "equal lists are shared");
    assert_eq!(draft.remove(&fingerprint(2)).unwrap().id(), id(21));
    let smaller = draft.finish(5);
    assert!([1, 2, 7].iter().all(|key| smaller.find(&fingerprint(*key)).is_none()));
    assert_eq!(smaller.len(), 1);
    assert!(snapshot.find(&fingerprint(7)).is_some(), "a published snapshot is never altered");
}

/// Organizations lie in chunks of 256.
#[test]
fn a_credential_finds_its_organization_among_many() {
    let long = |number: u16| {
        let [high, low] = number.to_be_bytes();
        Id::from_bytes([0x5f, 1, 0, 0, 0, 0, 0, 0, 0, 0, high, low])
    };
    let mut draft = Draft::new();
    for number in 0..600 {
        draft.organization(OrganizationSpec { id: long(number), ..organization(1, AccessListMode::Off) }).unwrap();
        let spec = credential(1, 1, &[number], &[]);
        draft.credential(CredentialSpec { id: long(number + 1_000), organization: long(number), ..spec }).unwrap();
    }
    let snapshot = draft.finish(1);
    for number in [0, 1, 255, 256, 257, 511, 512, 599] {
        let credential = snapshot.find(&fingerprint(number)).unwrap();
        assert_eq!(snapshot.organization_of(credential).id(), long(number), "{number}");
    }
}

#[test]
fn what_clashes_is_refused_and_changes_nothing() {
    let mut draft = Draft::new();
    draft.organization(organization(1, AccessListMode::Off)).unwrap();
    draft.credential(credential(21, 1, &[1], &[])).unwrap();
    for (spec, expected) in [
        (credential(22, 9, &[2], &[]), DraftFault::UnknownOrganization { credential: id(22), organization: id(9) }),
        (credential(22, 1, &[], &[]), DraftFault::NoSecret(id(22))),
        (credential(22, 1, &[2, 1], &[]), DraftFault::SharedSecret { credential: id(22), other: id(21) }),
        (credential(22, 1, &[2, 2], &[]), DraftFault::SharedSecret { credential: id(22), other: id(22) }),
        (credential(22, 1, &[2], &["set:home"]), DraftFault::UnknownSet { credential: id(22), set: "home".into() }),
    ] {
        assert_eq!(draft.credential(spec), Err(expected));
    }
    let snapshot = draft.finish(1);
    assert_eq!((snapshot.len(), snapshot.find(&fingerprint(2)).is_none()), (1, true));
}

#[test]
fn a_set_that_changes_changes_every_list_that_uses_it() {
    let mut draft = Draft::new();
    draft.organization(organization(1, AccessListMode::Off)).unwrap();
    draft.credential(credential(21, 1, &[1], &["set:office"])).unwrap();
    let admits = |snapshot: &Snapshot, address: &str| {
        let credential = snapshot.find(&fingerprint(1)).unwrap();
        let sets = snapshot.organization_of(credential).sets();
        let client = ClientAddress::new(address.parse().unwrap());
        credential.list().admits(client, Timestamp::from_unix_seconds(0), sets).is_some()
    };
    assert!(admits(&draft.finish(1), "198.51.100.7"));
    let mut moved = organization(1, AccessListMode::Off);
    moved.network_sets[0].networks = vec!["192.0.2.0/24".parse().unwrap()];
    draft.organization(moved).unwrap();
    let snapshot = draft.finish(2);
    assert!(!admits(&snapshot, "198.51.100.7") && admits(&snapshot, "192.0.2.1"));
    let mut gone = organization(1, AccessListMode::Off);
    gone.network_sets.clear();
    draft.organization(gone).unwrap();
    let snapshot = draft.finish(3);
    assert!(!admits(&snapshot, "192.0.2.1"));
    assert!(!snapshot.find(&fingerprint(1)).unwrap().list().is_empty(), "a list of what is gone still restricts");
}

/// One change to a directory of a few organizations and credentials.
#[derive(Debug, Clone)]
enum Change {
    Put(u8, Vec<u16>, Vec<&'static str>),
    Remove(u8),
    Switch(u8, bool),
    /// What the organization's set holds, or that it goes where no list refers to it.
    Office(u8, Vec<&'static str>),
    NoOffice(u8),
}

/// Every third credential can be used with Digest, under a name of its own.
fn with_digest(number: u8, spec: CredentialSpec) -> CredentialSpec {
    let digest = number.is_multiple_of(3).then(|| digest_user(200 + u16::from(number), 1 + usize::from(number % 2)));
    CredentialSpec { digest, ..spec }
}

fn digest_user(name: u16, secrets: usize) -> DigestUser {
    let secret = |at: usize| DigestSecret { realm: "P".into(), sha256: Some([at as u8; 32]), md5: None };
    DigestUser { name: fingerprint(name), secrets: (0..secrets).map(secret).collect() }
}

#[test]
fn users_of_digest_are_found_by_name_and_go_with_their_credential() {
    let mut draft = Draft::new();
    draft.organization(organization(1, AccessListMode::Off)).unwrap();
    draft.credential(credential(20, 1, &[9], &[])).unwrap();
    let without = draft.finish(1);
    draft.credential(with_digest(21, credential(21, 1, &[1, 2], &[]))).unwrap();
    let snapshot = draft.finish(2);
    let holder = snapshot.find_digest_user(&fingerprint(221)).unwrap();
    assert_eq!((holder.credential().id(), holder.secrets().len()), (id(21), 2));
    assert_eq!(holder.secrets()[1].ha1(Algorithm::Sha256), Some(&[1; 32][..]));
    assert_eq!(holder.secrets()[1].ha1(Algorithm::Md5), None);
    assert_eq!(snapshot.digest_users().map(|user| user.credential().id()).collect::<Vec<_>>(), [id(21)]);
    // The name finds no key, and a key no name.
    assert!(snapshot.find(&fingerprint(221)).is_none() && snapshot.find_digest_user(&fingerprint(1)).is_none());
    let grown = snapshot.bytes() - without.bytes();
    assert!(grown > 1_024 * 8, "{grown}");

    for (spec, expected) in [
        (Some(digest_user(221, 1)), DraftFault::SharedUser { credential: id(22), other: id(21) }),
        (Some(digest_user(222, 0)), DraftFault::DigestSecrets { credential: id(22), count: 0 }),
        (Some(digest_user(222, 3)), DraftFault::DigestSecrets { credential: id(22), count: 3 }),
    ] {
        let refused = draft.credential(CredentialSpec { digest: spec, ..credential(22, 1, &[3], &[]) });
        assert_eq!(refused, Err(expected));
    }
    assert!(draft.finish(3).find(&fingerprint(3)).is_none(), "what is refused changes nothing");

    draft.remove(&fingerprint(2)).unwrap();
    let removed = draft.finish(4);
    assert!(removed.find_digest_user(&fingerprint(221)).is_none() && removed.digest_users().next().is_none());
    assert_eq!(removed.bytes(), without.bytes(), "nothing is left to pay for");
    assert!(snapshot.find_digest_user(&fingerprint(221)).is_some(), "a published snapshot is never altered");
    draft.credential(CredentialSpec { digest: Some(digest_user(221, 1)), ..credential(22, 1, &[3], &[]) }).unwrap();
    assert_eq!(draft.finish(5).find_digest_user(&fingerprint(221)).unwrap().credential().id(), id(22));
    // Nothing that guesses could be tested with.
    assert_eq!(format!("{:?}", holder.secrets()[0]), "DigestSecret(…)");
    assert!(!format!("{holder:?}{:?}", digest_user(221, 1)).contains("[1"));
}

/// An address in each network of the property below, and one in none.
const PROBES: [&str; 6] = ["198.51.100.7", "10.2.0.1", "10.1.0.1", "10.9.0.1", "2001:db8::1", "192.0.2.1"];

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let networks = prop::sample::subsequence(vec!["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "set:office"], 0..=4);
    let change = prop_oneof![
        3 => (0u8..12, prop::sample::subsequence(vec![0u16, 1, 2], 1..=3), networks).prop_map(|(number, keys, list)| {
            Change::Put(number, keys.iter().map(|key| u16::from(number) * 3 + key).collect(), list)
        }),
        1 => (0u8..12).prop_map(Change::Remove),
        1 => (0u8..3, any::<bool>()).prop_map(|(number, on)| Change::Switch(number, on)),
        2 => (0u8..3, prop::sample::subsequence(vec!["198.51.100.0/24", "10.2.0.0/16", "2001:db8::/32"], 0..=3))
            .prop_map(|(number, held)| Change::Office(number, held)),
        1 => (0u8..3).prop_map(Change::NoOffice),
    ];
    prop::collection::vec(change, 0..40)
}

proptest! {
    #[test]
    fn applied_changes_equal_compiling_everything(changes in changes()) {
        let mode = |on: bool| if on { AccessListMode::Required } else { AccessListMode::Off };
        let mut applied = Draft::new();
        let mut switches: BTreeMap<u8, bool> = (0..3).map(|number| (number, false)).collect();
        let mut offices: BTreeMap<u8, Option<Vec<&str>>> =
            (0..3).map(|number| (number, Some(vec!["198.51.100.0/24"]))).collect();
        let mut credentials: BTreeMap<u8, CredentialSpec> = BTreeMap::new();
        for number in 0..3 {
            applied.organization(organization(number, mode(false))).unwrap();
        }
        let office = |networks: &[&str]| {
            let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
            NetworkSetSpec { name: "office".into(), networks }
        };
        let refers = |credentials: &BTreeMap<u8, CredentialSpec>, number: u8| {
            let mut own = credentials.values().filter(|one| one.organization == id(number));
            own.any(|one| one.access_list.iter().any(|entry| matches!(entry.target, Target::Set(_))))
        };
        for (at, change) in changes.iter().enumerate() {
            let mut delta = Delta::default();
            match change {
                Change::Put(number, keys, list) => {
                    let there = offices[&(number % 3)].is_some();
                    let list: Vec<&str> = list.iter().copied().filter(|text| there || *text != "set:office").collect();
                    let spec = with_digest(*number, credential(*number, number % 3, keys, &list));
                    let old = credentials.insert(*number, spec.clone());
                    delta.removed.extend(old.map(|old| old.fingerprints[0]));
                    delta.credentials.push(spec);
                }
                Change::Remove(number) => {
                    delta.removed.extend(credentials.remove(number).map(|old| old.fingerprints[0]));
                }
                Change::Switch(number, on) => {
                    switches.insert(*number, *on);
                    // Its sets stay: they are not named.
                    delta.organizations.push(OrganizationSpec {
                        network_sets: Vec::new(),
                        ..organization(*number, mode(*on))
                    });
                }
                Change::Office(number, networks) => {
                    offices.insert(*number, Some(networks.clone()));
                    let network_sets = vec![office(networks)];
                    let spec = organization(*number, mode(switches[number]));
                    delta.organizations.push(OrganizationSpec { network_sets, ..spec });
                }
                Change::NoOffice(number) if refers(&credentials, *number) => {}
                Change::NoOffice(number) => {
                    offices.insert(*number, None);
                    let network_sets = vec![office(&[])];
                    let spec = organization(*number, mode(switches[number]));
                    delta.organizations.push(OrganizationSpec { network_sets, ..spec });
                }
            }
            let _ = applied.apply(delta).unwrap();
            // Published in between, so that shards are shared with a snapshot that somebody may be reading.
            std::hint::black_box(applied.finish(at as u64));
        }
        let mut whole = Draft::new();
        for (number, on) in &switches {
            let network_sets = offices[number].iter().map(|networks| office(networks)).collect();
            whole.organization(OrganizationSpec { network_sets, ..organization(*number, mode(*on)) }).unwrap();
        }
        for spec in credentials.values() {
            whole.credential(spec.clone()).unwrap();
        }
        let (applied, whole) = (applied.finish(99), whole.finish(99));
        prop_assert_eq!(applied.len(), whole.len());
        for name in 200..212 {
            let view = |snapshot: &Snapshot| {
                let holder = snapshot.find_digest_user(&fingerprint(name))?;
                Some((holder.credential().id(), holder.secrets().to_vec()))
            };
            prop_assert_eq!(view(&applied), view(&whole));
        }
        prop_assert_eq!(applied.digest_users().count(), whole.digest_users().count());
        for key in 0..40 {
            let view = |snapshot: &Snapshot| {
                let credential = snapshot.find(&fingerprint(key))?;
                let organization = snapshot.organization_of(credential);
                let keys: std::collections::BTreeSet<[u8; 32]> = credential.fingerprints().map(|one| one.0).collect();
                let admits = |text: &&str| {
                    let client = ClientAddress::new(text.parse().unwrap());
                    credential.list().admits(client, Timestamp::from_unix_seconds(0), organization.sets())
                };
                let admitted: Vec<_> = PROBES.iter().map(admits).map(|found| found.map(|one| one.network)).collect();
                let list: Vec<_> = credential.list().entries().collect();
                Some((credential.id(), list, admitted, organization.id(), organization.mode(), keys))
            };
            prop_assert_eq!(view(&applied), view(&whole));
        }
    }
}

#[test]
fn made_up_fingerprints_do_not_crowd_one_slot() {
    let seed = Seed::random();
    // All but the last two bytes are equal.
    let hashes: Vec<u64> = (0..20_000u16)
        .map(|number| {
            let mut bytes = [0xab; 32];
            bytes[30..].copy_from_slice(&number.to_le_bytes());
            seed.hash(&Fingerprint(bytes))
        })
        .collect();
    let mut shards = [0; SHARDS];
    let mut tags = [0; 128];
    for hash in &hashes {
        shards[shard_of(*hash)] += 1;
        tags[(hash >> 57) as usize] += 1;
    }
    // Evenly spread they would be 20 and 156.
    assert!(shards.iter().all(|count| *count < 80), "{shards:?}");
    assert!(tags.iter().all(|count| *count < 500), "{tags:?}");
}

#[test]
fn what_a_credential_tells_of_itself() {
    let mut draft = Draft::new();
    draft.organization(organization(1, AccessListMode::Off)).unwrap();
    let grants = Grants { gateway: true, ..Grants::default() };
    let spec = CredentialSpec { enabled: false, grants, ..credential(21, 1, &[1], &[]) };
    draft.credential(CredentialSpec { kind: CredentialKind::ServiceAccount, ..spec }).unwrap();
    let snapshot = draft.finish(1);
    let credential = snapshot.find(&fingerprint(1)).unwrap();
    assert_eq!((credential.enabled(), credential.grants().gateway), (false, true));
    assert_eq!(credential.kind().as_str(), "SERVICE_ACCOUNT");
    assert_eq!(CredentialKind::ApiKey.as_str(), "API_KEY");
    // Nothing that guesses could be tested with.
    assert_eq!(format!("{:?}", fingerprint(1)), "Fingerprint(…)");
    let told = "Credential { id: Id(5f0000000000000000000015), kind: ServiceAccount, .. }";
    assert_eq!(format!("{credential:?}"), told);
}
