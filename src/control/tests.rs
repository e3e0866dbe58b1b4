//! What is enforced after any changes is what a restart would enforce; a change that fails leaves nothing behind.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::change::Change;
use super::commit::Desk;
use super::feeds::SourceEdit;
use super::{
    Actor, Fault, Guards, NewAccount, NewKey, NewOrganization, api_keys, bootstrap, network_sets, organizations,
    service_accounts,
};
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement};
use crate::access::digest_secret::MOST_SECRETS;
use crate::access::network::Network;
use crate::access::record::{EntryRecord, TokenSubject};
use crate::access::snapshot::Snapshot;
use crate::access::target::Target;
use crate::clock::{Clock, Timestamp};
use crate::directory;
use crate::directory::difference::difference;
use crate::directory::export::export;
use crate::directory::sqlite::{self, Store, StoreFault};
use crate::directory::stored;
use crate::problem::{Code, Refusal};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_392_000);

fn desk(folder: &Path) -> Desk {
    let clock = Clock::manual(NOW);
    let store = Store::open(&folder.join("store.db"), clock.now()).unwrap();
    Desk::new(store, clock).unwrap()
}

fn commit<T>(desk: &mut Desk, change: impl FnOnce(&mut Change<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
    desk.commit(Actor::system("test"), &rules(), change).map(|made| made.value)
}

/// A store that is served, and published to nobody who decides by it.
pub(super) fn served(folder: &Path) -> std::sync::Arc<super::Control> {
    let (rules, bootstrap) = (rules(), super::Bootstrap::default());
    let opened = super::Opened::new(&folder.join("store.db"), rules, bootstrap, &Clock::manual(NOW)).unwrap();
    let settings = std::sync::Arc::new(crate::gate::judge::tests::gateway());
    let published = crate::live::published::Published::new(settings, std::sync::Arc::default()).unwrap();
    published.publish_snapshot(std::sync::Arc::clone(opened.snapshot())).unwrap();
    let usage = super::UsageSource {
        usage: crate::live::usage::Usage::ignored(),
        told: Box::new(|_| ()),
        refusals: std::sync::Arc::default(),
        activity: std::sync::Arc::default(),
    };
    opened.serve(published, Box::new(|_: &_, _| ()), usage, "https://a.example.com").unwrap()
}

/// With Digest on.
fn rules() -> super::Rules {
    super::Rules { digest_realm: Some("Portcullis".into()), ..super::Rules::default() }
}

/// Everything that a snapshot decides by, in an order of its own.
pub(super) fn told(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let credential = |one: &std::sync::Arc<crate::access::credential::Credential>| {
        let mut keys: Vec<[u8; 32]> = one.fingerprints().map(|fingerprint| fingerprint.0).collect();
        keys.sort_unstable();
        let list: Vec<_> = one.list().entries().collect();
        let organization = snapshot.organization_of(one);
        // By what they bring: where a set lies among its organization's is nobody's business.
        let mut sets: Vec<String> = Vec::new();
        for reference in one.list().set_entries() {
            let set = &organization.sets()[reference.set as usize];
            let networks: Vec<_> = set.networks.entries().collect();
            sets.push(format!("{} {networks:?} {:?}", set.name, reference.expires_at));
        }
        sets.sort_unstable();
        let about =
            (one.enabled(), one.enforcement(), one.expires_at(), one.grants(), organization.id(), organization.mode());
        (one.id().to_string(), format!("{keys:?} {list:?} {sets:?} {about:?}"))
    };
    let organizations =
        snapshot.organizations().map(|one| (one.id().to_string(), format!("{} {:?}", one.name(), one.mode())));
    let user = |one: &crate::access::digest_secret::DigestHolder| {
        // Either may be tried first, as either key may be asked for.
        let mut ha1s: Vec<_> =
            one.secrets().iter().map(|secret| (secret.realm.clone(), secret.sha256, secret.md5)).collect();
        ha1s.sort_unstable();
        (format!("digest {}", one.credential().id()), format!("{ha1s:?} {}", one.credential().enabled()))
    };
    let users = snapshot.digest_users().map(user);
    snapshot.credentials().map(credential).chain(organizations).chain(users).collect()
}

/// One thing that somebody does. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Deed {
    Organization,
    Turn(usize, u8),
    Key(usize),
    Account(usize, bool),
    Secret(usize),
    Entry(usize, u8),
    NoEntry(usize, u8),
    NetworkSet(usize, u8, u8),
    NoNetworkSet(usize, u8),
    Refer(usize, u8),
    ReferNot(usize, u8),
    Disable(usize, bool),
    Delete(usize),
    DeleteOrganization(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    let at = 0..8_usize;
    prop_oneof![
        1 => Just(Deed::Organization),
        1 => (at.clone(), 0..3_u8).prop_map(|(at, mode)| Deed::Turn(at, mode)),
        4 => at.clone().prop_map(Deed::Key),
        2 => (at.clone(), any::<bool>()).prop_map(|(at, foreign)| Deed::Account(at, foreign)),
        1 => at.clone().prop_map(Deed::Secret),
        4 => (at.clone(), 0..4_u8).prop_map(|(at, network)| Deed::Entry(at, network)),
        2 => (at.clone(), 0..4_u8).prop_map(|(at, network)| Deed::NoEntry(at, network)),
        4 => (at.clone(), 0..2_u8, 0..4_u8).prop_map(|(at, name, bits)| Deed::NetworkSet(at, name, bits)),
        1 => (at.clone(), 0..2_u8).prop_map(|(at, name)| Deed::NoNetworkSet(at, name)),
        4 => (at.clone(), 0..2_u8).prop_map(|(at, name)| Deed::Refer(at, name)),
        1 => (at.clone(), 0..2_u8).prop_map(|(at, name)| Deed::ReferNot(at, name)),
        1 => (at.clone(), any::<bool>()).prop_map(|(at, enabled)| Deed::Disable(at, enabled)),
        1 => at.clone().prop_map(Deed::Delete),
        1 => at.prop_map(Deed::DeleteOrganization),
    ]
}

fn new_key() -> NewKey {
    NewKey {
        description: "k".into(),
        roles: Vec::new(),
        expires_at: Timestamp::NEVER,
        enforcement: Enforcement::Enforce,
        entries: Vec::new(),
    }
}

/// With foreign tokens of its own where there are to be some.
fn new_account(foreign: bool, number: usize) -> NewAccount {
    let subject = || TokenSubject { issuer: "https://issuer.example.com".into(), subject: format!("{number}") };
    NewAccount {
        name: "a".into(),
        description: "d".into(),
        roles: Vec::new(),
        secret_hours: Some(8),
        subject: foreign.then(subject),
        certificate: None,
        expires_at: Timestamp::NEVER,
        enforcement: Enforcement::Enforce,
        entries: Vec::new(),
    }
}

fn set_name(number: u8) -> String {
    format!("set {number}")
}

fn entry(target: Target) -> EntryRecord {
    EntryRecord { target, comment: None, expires_at: Timestamp::NEVER, created_at: NOW }
}

/// What would be enforced; nothing where that is what is.
fn rehearse(desk: &mut Desk, deed: &Deed) -> Option<BTreeMap<String, String>> {
    let actor = Actor { rehearses: true, ..Actor::system("test") };
    let (_, prospect) = desk.rehearse(&actor, &rules(), |change| apply(change, deed)).unwrap();
    prospect.after.as_ref().map(told)
}

/// Does it, by the ways that the control plane itself writes.
fn apply(change: &mut Change<'_>, deed: &Deed) -> Result<(), Fault> {
    let all = change.rows().organizations()?;
    let organization = |at: &usize| all.get(at % all.len().max(1)).cloned();
    let mut keys = Vec::new();
    for one in &all {
        keys.extend(change.rows().credentials_of(one.pk)?);
    }
    let key = |at: &usize| keys.get(at % keys.len().max(1)).copied();
    let network = |number: &u8| -> Network { format!("10.{number}.0.0/16").parse().unwrap() };
    match deed {
        Deed::Organization => {
            let new = NewOrganization { name: "o".into(), mode: AccessListMode::Off, key: None };
            organizations::add(change, &new)?;
        }
        Deed::Turn(at, mode) => {
            if let Some(mut row) = organization(at) {
                row.mode = [AccessListMode::Off, AccessListMode::Report, AccessListMode::Required][usize::from(*mode)];
                change.touch_organization(row.id);
                change.store().update_organization(&row)?;
            }
        }
        Deed::Key(at) => {
            if let Some(row) = organization(at) {
                api_keys::create(change, &row, new_key(), None)?;
            }
        }
        Deed::Account(at, foreign) => {
            if let Some(row) = organization(at) {
                service_accounts::create(change, &row, new_account(*foreign, keys.len()), None)?;
            }
        }
        Deed::DeleteOrganization(at) => {
            if let Some(row) = organization(at) {
                for pk in change.rows().credentials_of(row.pk)? {
                    change.touch_credential(pk)?;
                    change.store().remove_credential(pk)?;
                }
                change.touch_organization(row.id);
                change.store().remove_organization(row.pk)?;
            }
        }
        Deed::NetworkSet(at, name, bits) => {
            let Some(row) = organization(at) else { return Ok(()) };
            let networks = (0..2_u8).filter(|bit| bits & (1 << bit) != 0).map(|bit| network(&(7 + bit))).collect();
            let content = network_sets::NetworkSetEdit {
                networks: Some(networks),
                owner: None,
                comment: Some("a set".into()),
                source: SourceEdit::Stays,
            };
            match change.rows().network_set(row.pk, &set_name(*name))? {
                Some(before) => drop(network_sets::replace(change, Guards::All, &row, before, content)?),
                None => {
                    let new = network_sets::NewNetworkSet { name: set_name(*name), content };
                    network_sets::add(change, &row, new)?;
                }
            }
        }
        Deed::NoNetworkSet(at, name) => {
            let Some(row) = organization(at) else { return Ok(()) };
            let Some(set) = change.rows().network_set(row.pk, &set_name(*name))? else { return Ok(()) };
            let used = change.rows().count_lists_of_set(set.pk)? > 0;
            let removed = network_sets::remove(change, &set);
            assert_eq!(removed.is_err(), used, "{removed:?}");
        }
        Deed::Secret(at)
        | Deed::Entry(at, _)
        | Deed::NoEntry(at, _)
        | Deed::Refer(at, _)
        | Deed::ReferNot(at, _)
        | Deed::Disable(at, _)
        | Deed::Delete(at) => {
            let Some(pk) = key(at) else { return Ok(()) };
            change.touch_credential(pk)?;
            let Some(mut row) = change.rows().credential_by_pk(pk)? else { return Ok(()) };
            match deed {
                // A key has at most two.
                Deed::Secret(_) if change.rows().secrets(pk)?.len() >= MOST_SECRETS => {}
                Deed::Secret(_) if row.kind == CredentialKind::ServiceAccount => {
                    drop(service_accounts::add_secret(change, &row, 8)?);
                }
                Deed::Secret(_) => drop(api_keys::add_secret(change, &row)?),
                Deed::Entry(_, number) => {
                    change.store().put_entry(pk, &entry(Target::Network(network(number))))?;
                }
                Deed::NoEntry(_, number) => drop(change.store().remove_entry(pk, &network(number).into())?),
                Deed::Refer(_, name) => {
                    let owner = change.rows().organization(row.organization)?.unwrap();
                    if change.rows().network_set(owner.pk, &set_name(*name))?.is_some() {
                        change.store().put_entry(pk, &entry(Target::Set(set_name(*name).into())))?;
                    }
                }
                Deed::ReferNot(_, name) => {
                    change.store().remove_entry(pk, &Target::Set(set_name(*name).into()))?;
                }
                Deed::Disable(_, enabled) => {
                    row.enabled = *enabled;
                    change.store().update_credential(&row)?;
                }
                _ => change.store().remove_credential(pk)?,
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_enforced_is_what_is_stored(deeds in prop::collection::vec((deed(), any::<bool>()), 1..24)) {
        let folder = tempfile::tempdir().unwrap();
        let mut desk = desk(folder.path());
        bootstrap::begin(&mut desk, &rules(), super::Bootstrap::default()).unwrap();
        for (deed, succeeds) in deeds {
            let before = (told(desk.snapshot()), desk.snapshot().revision());
            let foreseen = rehearse(&mut desk, &deed);
            prop_assert_eq!((told(desk.snapshot()), desk.snapshot().revision()), before.clone());
            let done = commit(&mut desk, |change| {
                apply(change, &deed)?;
                match succeeds {
                    true => Ok(()),
                    false => Err(Refusal::new(Code::InvalidAttribute, "at the last moment").into()),
                }
            });
            prop_assert_eq!(done.is_ok(), succeeds, "{:?}", done);
            let now = (told(desk.snapshot()), desk.snapshot().revision());
            if !succeeds {
                prop_assert_eq!(&now, &before);
            }
            // What draws ids and secrets draws others.
            let draws = matches!(deed, Deed::Organization | Deed::Key(_) | Deed::Account(..) | Deed::Secret(_));
            if succeeds && !draws {
                prop_assert_eq!(foreseen.unwrap_or(before.0), now.0.clone());
            }
            let stored = sqlite::look(&folder.path().join("store.db")).unwrap().unwrap();
            prop_assert_eq!(now, (told(&stored), stored.revision()));
        }
        // And what a file of it would say.
        let text = export(&folder.path().join("store.db")).unwrap().unwrap();
        let (file, _) = directory::parse("exported", &text, folder.path()).unwrap();
        prop_assert_eq!(told(&file.compile(1).unwrap()), told(desk.snapshot()));
        // Applied to the store that it came from, it changes nothing.
        let steps = sqlite::read(&folder.path().join("store.db"), |rows| {
            let mut steps = Vec::new();
            for new in &file.organizations {
                let row = rows.organization(new.id)?.unwrap();
                steps.extend(difference(Some(&stored::whole(rows, &row)?), new, true).steps);
            }
            Ok::<_, StoreFault>(steps)
        });
        prop_assert_eq!(steps.unwrap().unwrap(), []);
    }
}

#[test]
fn what_can_not_be_compiled_is_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    bootstrap::begin(&mut desk, &rules(), super::Bootstrap::default()).unwrap();
    let before = told(desk.snapshot());
    let fault = commit(&mut desk, |change| {
        let row = change.rows().organizations()?.remove(0);
        let made = api_keys::create(change, &row, new_key(), None)?;
        let secret = change.rows().secrets(made.key.row.pk)?.remove(0);
        // A credential that nothing finds.
        change.store().remove_secret(made.key.row.pk, secret.id)?;
        Ok(())
    });
    assert!(matches!(fault, Err(Fault::Compile(_))), "{fault:?}");
    assert_eq!(told(desk.snapshot()), before);
    let stored = sqlite::look(&folder.path().join("store.db")).unwrap().unwrap();
    assert_eq!((told(&stored), stored.revision()), (before, desk.snapshot().revision()));
    // And the next change is none the worse for it.
    commit(&mut desk, |change| {
        let row = change.rows().organizations()?.remove(0);
        api_keys::create(change, &row, new_key(), None)
    })
    .unwrap();
    assert_eq!(desk.snapshot().len(), 2);
}

#[test]
fn a_change_that_changes_nothing_makes_no_revision() {
    let folder = tempfile::tempdir().unwrap();
    let mut desk = desk(folder.path());
    let revision = desk.snapshot().revision();
    commit(&mut desk, |_| Ok(())).unwrap();
    assert_eq!(desk.snapshot().revision(), revision);
}
