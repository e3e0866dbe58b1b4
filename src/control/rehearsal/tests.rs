//! What is foreseen has its bounds, in time and in what is told, and stays with those whose it is.

use std::time::Duration;

use super::super::change::Change;
use super::super::recent_use::tests::Scene;
use super::super::{Actor, ActorKind, Fault, Guards, Rules, api_keys};
use super::{Foreseen, MOST_TOLD, PATIENCE, foreseen};
use crate::access::record::CredentialRecord;
use crate::access::route::RouteTable;
use crate::gate::caller::everything;
use crate::problem::{Code, Refusal};

/// What comes of a change, looked through by somebody for so long.
fn rehearsed(
    scene: &mut Scene,
    by: &Actor,
    patience: Duration,
    change: impl FnOnce(&mut Change<'_>, CredentialRecord) -> Result<(), Fault>,
) -> Foreseen {
    let actor = Actor { rehearses: true, ..Actor::system("test") };
    let key = scene.key.clone();
    let ((), prospect) = scene.desk.rehearse(&actor, &Rules::default(), |making| change(making, key)).unwrap();
    foreseen::of(prospect, by, &RouteTable::new(vec![everything()]), patience).unwrap()
}

fn disable(change: &mut Change<'_>, mut key: CredentialRecord) -> Result<(), Fault> {
    change.touch_credential(key.pk)?;
    key.enabled = false;
    Ok(change.store().update_credential(&key)?)
}

/// A key that was used from two addresses, once and twice.
fn used() -> Scene {
    let mut scene = Scene::new();
    for number in [7, 9, 9] {
        scene.used_from(number);
    }
    scene.write();
    scene
}

#[test]
fn what_there_is_no_time_for_is_counted_and_not_guessed() {
    let mut scene = used();
    let by = Actor::system("test");
    let whole = rehearsed(&mut scene, &by, PATIENCE, disable);
    assert_eq!((whole.refused.total, whole.refused.requests, whole.credentials, whole.unread), (2, 3, 1, 0));
    assert!(whole.refused.fates.iter().all(|one| one.code == Some(Code::InvalidCredentials)));
    let hasty = rehearsed(&mut scene, &by, Duration::ZERO, disable);
    assert_eq!((hasty.refused.total, hasty.credentials, hasty.unread), (0, 0, 1));
}

#[test]
fn nobody_is_told_of_what_they_may_not_see() {
    let mut scene = used();
    let stranger = Actor { kind: ActorKind::Stranger, address: None, rehearses: true };
    let told = rehearsed(&mut scene, &stranger, PATIENCE, disable);
    assert_eq!((told.refused.total, told.credentials, told.requests, told.unread), (0, 0, 0, 0));
}

#[test]
fn a_credential_is_known_by_any_secret_that_stays() {
    let mut scene = used();
    let by = Actor::system("test");
    let rotated = |keeps: bool| {
        move |change: &mut Change<'_>, key: CredentialRecord| {
            change.touch_credential(key.pk)?;
            let old = change.rows().secrets(key.pk)?.remove(0);
            api_keys::add_secret(change, &key)?;
            if !keeps {
                change.store().remove_secret(key.pk, old.id)?;
            }
            Ok(())
        }
    };
    assert_eq!(rehearsed(&mut scene, &by, PATIENCE, rotated(true)).refused.total, 0);
    assert_eq!(rehearsed(&mut scene, &by, PATIENCE, rotated(false)).refused.total, 2);
}

#[test]
fn a_guard_has_its_say_a_thousand_times_and_is_counted_beyond() {
    let mut scene = used();
    let by = Actor::system("test");
    let refusal = Refusal::new(Code::ChangeExcludesRecentUse, "why");
    let told = rehearsed(&mut scene, &by, PATIENCE, |change, _| {
        (0..1_500).try_for_each(|_| change.passes_guard(Guards::All, &refusal))?;
        change.place_guarded(1, || "there".to_owned());
        Ok(())
    });
    assert_eq!((told.guarded.len(), told.guards), (MOST_TOLD, 1_500));
    assert!(told.guarded[0].place.is_none() && told.guarded[1].place.is_some());
    assert!(told.guarded.iter().all(|one| one.refuses));
    // Where it is meant, the first of them refuses.
    let done = scene.desk.commit(by, &Rules::default(), |change| change.passes_guard(Guards::All, &refusal));
    assert!(matches!(done, Err(Fault::Refused(refusal)) if refusal.code == Code::ChangeExcludesRecentUse));
}
