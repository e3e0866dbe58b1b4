//! How long a use is recent, whether or not it has been written, and what is not asked about.

use std::net::Ipv4Addr;

use crate::access::client_address::ClientAddress;
use crate::access::credential::{AccessListMode, Enforcement};
use crate::access::decision::{NoTrace, Proof, Question, authorize};
use crate::access::network::Network;
use crate::access::route::{Access, Preflight, Route, RouteMatch};
use crate::access::target::Target;
use crate::clock::{Clock, Timestamp};
use crate::control::commit::Desk;
use crate::control::network_sets::{List, Sets};
use crate::control::usage::{Unwritten, UsageSource};
use crate::control::{Actor, Fault, Guards, NewKey, NewOrganization, Rules, api_keys, organizations};
use crate::directory::sqlite::Store;
use crate::live::fingerprint;
use crate::live::usage::{Meter, Usage};
use crate::problem::Code;

const NOW: i64 = 1_795_392_000;

pub(in crate::control) struct Scene {
    pub(in crate::control) desk: Desk,
    meter: Meter,
    organization: crate::access::record::OrganizationRecord,
    pub(in crate::control) key: crate::access::record::CredentialRecord,
    proof: Proof<'static>,
    clock: Clock,
    _folder: tempfile::TempDir,
}

fn address(number: u8) -> ClientAddress {
    ClientAddress::new(Ipv4Addr::new(192, 0, 2, number).into())
}

impl Scene {
    pub(in crate::control) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Timestamp::from_unix_seconds(NOW));
        let store = Store::open(&folder.path().join("store.db"), clock.now()).unwrap();
        let mut desk = Desk::new(store, clock.clone()).unwrap();
        let usage = Usage::kept(true);
        let meter = usage.meter();
        *desk.store_and_usage().1 = Unwritten::new(UsageSource {
            usage,
            told: Box::new(|_| ()),
            refusals: std::sync::Arc::default(),
            activity: std::sync::Arc::default(),
        });
        let made = desk.commit(Actor::system("test"), &Rules::default(), |change| {
            let new = NewOrganization { name: "acme".into(), mode: AccessListMode::Off, key: None };
            let organization = organizations::add(change, &new)?;
            let new = NewKey {
                description: "a key".into(),
                roles: Vec::new(),
                expires_at: Timestamp::NEVER,
                enforcement: Enforcement::Enforce,
                entries: Vec::new(),
            };
            let key = api_keys::create(change, &organization, new, None)?;
            Ok((organization, key))
        });
        let (organization, key) = made.unwrap().value;
        let whole = format!("{}.{}", key.key.row.public_key.as_deref().unwrap(), key.private_key);
        let proof = Proof::Key(fingerprint::of_key(whole.as_bytes()));
        Self { desk, meter, organization, key: key.key.row, proof, clock, _folder: folder }
    }

    /// A request of the key that passes.
    pub(in crate::control) fn used_from(&self, number: u8) {
        let route = Route {
            host: None,
            path: "/".into(),
            methods: Box::default(),
            access: Access::Required,
            require_access_list: false,
            organizations: None,
            preflight: Preflight::Require,
            upgrades: Box::default(),
            upstream: 0,
        };
        let question = Question {
            snapshot: self.desk.snapshot(),
            client: Ok(address(number)),
            route: RouteMatch::Matched(&route),
            preflight: false,
            proof: self.proof,
            now: self.clock.now(),
        };
        let permit = authorize(&question, &mut NoTrace).unwrap();
        self.meter.permitted(&permit, self.clock.now());
    }

    /// What a list of one address is answered with; nothing is changed by it.
    fn asked(&mut self, guards: Guards, admitted: u8) -> Result<(), Fault> {
        let (key, mode) = (self.key.clone(), self.organization.mode);
        let committed = self.desk.commit(Actor::system("test"), &Rules::default(), move |change| {
            let entries = [crate::access::record::EntryRecord {
                target: Target::Network(Network::host(address(admitted).ip())),
                comment: None,
                expires_at: Timestamp::NEVER,
                created_at: change.now(),
            }];
            let sets = Sets::default();
            let standing =
                |entries| super::Standing { list: List::new(entries, &sets), enforcement: Enforcement::Enforce, mode };
            super::list(change, guards, &key, (standing(&[]), standing(&entries)))
        });
        committed.map(drop)
    }

    #[track_caller]
    fn refuses(&mut self, admitted: u8, addresses: &[u8]) {
        let Err(Fault::Refused(refusal)) = self.asked(Guards::All, admitted) else { panic!("it is not refused") };
        let expected: Vec<String> = addresses.iter().map(|number| address(*number).to_string()).collect();
        assert_eq!((refusal.code, refusal.parameters), (Code::ChangeExcludesRecentUse, expected));
    }

    pub(in crate::control) fn write(&mut self) {
        while self.desk.write_usage().unwrap() {}
    }
}

#[test]
fn what_was_used_within_the_hour_is_asked_about() {
    let mut scene = Scene::new();
    scene.asked(Guards::All, 9).unwrap();
    scene.used_from(7);
    scene.used_from(9);
    // Before it is written, and after.
    scene.refuses(9, &[7]);
    scene.write();
    scene.refuses(9, &[7]);
    scene.asked(Guards::Forced, 9).unwrap();
    scene.asked(Guards::CloudManagers, 9).unwrap();
    scene.clock.set(Timestamp::from_unix_seconds(NOW + 3599));
    scene.used_from(8);
    scene.refuses(9, &[7, 8]);
    scene.clock.set(Timestamp::from_unix_seconds(NOW + 3600));
    scene.refuses(9, &[8]);
    scene.clock.set(Timestamp::from_unix_seconds(NOW + 3599 + 3600));
    scene.asked(Guards::All, 9).unwrap();
}

#[test]
fn a_credential_that_is_refused_anyway_is_not_asked_about() {
    let mut scene = Scene::new();
    scene.used_from(7);
    scene.key.enabled = false;
    scene.asked(Guards::All, 9).unwrap();
    scene.key.enabled = true;
    scene.refuses(9, &[7]);
}

#[test]
fn the_switch_asks_about_those_without_a_list() {
    let mut scene = Scene::new();
    let turn = |scene: &mut Scene| {
        let organization = scene.organization.clone();
        let made = scene.desk.commit(Actor::system("test"), &Rules::default(), move |change| {
            super::switch_on(change, Guards::All, &organization)
        });
        made.map(drop)
    };
    turn(&mut scene).unwrap();
    scene.used_from(7);
    for written in [false, true] {
        let Err(Fault::Refused(refusal)) = turn(&mut scene) else { panic!("it is not refused") };
        assert_eq!(
            (refusal.code, &refusal.parameters[..]),
            (Code::ChangeExcludesRecentUse, &["192.0.2.7".to_owned()][..])
        );
        if !written {
            scene.write();
        }
    }
}
