//! A change that is refused, or taken back, leaves nothing behind; an organization that goes keeps its place.

use super::*;

/// All that can be told of a directory of this file.
fn told(snapshot: &Snapshot) -> Vec<String> {
    let organization = |one: &Arc<Organization>| {
        let sets: Vec<_> =
            one.sets().iter().map(|set| format!("{} {}", set.name, set.networks.entries().count())).collect();
        format!("{} {} {:?} {sets:?}", one.id(), one.name(), one.mode())
    };
    let credential = |one: &Arc<Credential>| {
        let list: Vec<_> = one.list().entries().map(|entry| entry.network.to_string()).collect();
        let keys: Vec<_> =
            (0..20).filter(|key| snapshot.find(&fingerprint(*key)).is_some_and(|held| held.id() == one.id())).collect();
        format!("{} {keys:?} {list:?}", one.id())
    };
    let users =
        (200..240).filter_map(|name| Some((name, snapshot.find_digest_user(&fingerprint(name))?.credential().id())));
    let mut told: Vec<String> = snapshot.organizations().map(organization).collect();
    told.extend(snapshot.credentials().map(credential));
    told.extend(users.map(|(name, id)| format!("{name} {id}")));
    told.sort();
    told
}

fn directory() -> Draft {
    let mut draft = Draft::new();
    draft.organization(organization(1, AccessListMode::Off)).unwrap();
    draft.organization(organization(2, AccessListMode::Required)).unwrap();
    draft.credential(with_digest(21, credential(21, 1, &[1, 2], &["10.0.0.0/8"]))).unwrap();
    draft.credential(credential(22, 2, &[3], &["set:office"])).unwrap();
    draft
}

/// Takes away, replaces and adds some of everything.
fn delta() -> Delta {
    let user = Some(digest_user(230, 1));
    Delta {
        removed: vec![fingerprint(2), fingerprint(3)],
        removed_organizations: vec![id(2)],
        organizations: vec![organization(1, AccessListMode::Required), organization(3, AccessListMode::Report)],
        credentials: vec![
            with_digest(21, credential(21, 3, &[1, 4], &["192.0.2.0/24"])),
            CredentialSpec { digest: user, ..credential(23, 3, &[5], &[]) },
        ],
        revoked: None,
    }
}

#[test]
fn a_change_is_taken_back_whole() {
    let mut draft = directory();
    let before = told(&draft.finish(1));
    let back = draft.apply(delta()).unwrap();
    let changed = told(&draft.finish(2));
    assert_ne!(changed, before);
    draft.undo(back);
    assert_eq!(told(&draft.finish(3)), before);
    // And the next one is applied as if there had been none before it, to the users of Digest too.
    let _ = draft.apply(delta()).unwrap();
    assert_eq!(told(&draft.finish(4)), changed);
    draft.remove(&fingerprint(5)).unwrap();
    assert!(draft.finish(5).find_digest_user(&fingerprint(230)).is_none());
}

#[test]
fn a_change_with_one_fault_changes_nothing() {
    type Spoil = fn(&mut Delta);
    let faults: [(Spoil, DraftFault); 3] = [
        (
            |delta| delta.credentials.push(credential(24, 3, &[4], &[])),
            DraftFault::SharedSecret { credential: id(24), other: id(21) },
        ),
        (
            |delta| delta.credentials.push(credential(24, 2, &[6], &[])),
            DraftFault::UnknownOrganization { credential: id(24), organization: id(2) },
        ),
        (
            |delta| delta.credentials.push(credential(24, 1, &[6], &["set:home"])),
            DraftFault::UnknownSet { credential: id(24), set: "home".into() },
        ),
    ];
    let mut draft = directory();
    let before = told(&draft.finish(1));
    for (spoil, expected) in faults {
        let mut delta = delta();
        spoil(&mut delta);
        assert_eq!(draft.apply(delta).unwrap_err(), expected);
        assert_eq!(told(&draft.finish(2)), before, "{expected}");
    }
    let _ = draft.apply(delta()).unwrap();
    assert_ne!(told(&draft.finish(3)), before);
}

/// A credential that is left behind by mistake never finds itself in somebody else's organization.
#[test]
fn the_place_of_an_organization_that_goes_is_not_taken_again() {
    let mut draft = Draft::new();
    let long = |number: u16| {
        let [high, low] = number.to_be_bytes();
        Id::from_bytes([0x5f, 1, 0, 0, 0, 0, 0, 0, 0, 0, high, low])
    };
    for number in 0..300 {
        draft.organization(OrganizationSpec { id: long(number), ..organization(1, AccessListMode::Off) }).unwrap();
    }
    let spec = credential(21, 1, &[1], &["set:office"]);
    draft.credential(CredentialSpec { organization: long(258), ..spec }).unwrap();
    let removed_organizations = vec![long(258)];
    let came = OrganizationSpec { id: long(400), ..organization(1, AccessListMode::Off) };
    let _ = draft.apply(Delta { removed_organizations, organizations: vec![came], ..Delta::default() }).unwrap();
    let snapshot = draft.finish(1);
    assert_eq!(snapshot.organizations().count(), 300);
    assert!(snapshot.organizations().all(|one| one.id() != long(258)));
    let left = snapshot.organization_of(snapshot.find(&fingerprint(1)).unwrap());
    assert_eq!((left.id(), left.mode(), left.sets().len()), (long(258), AccessListMode::Required, 0));
}
