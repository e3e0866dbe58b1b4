//! Recovery of an owner, by whoever may read and write the store's file. Nothing may serve the store meanwhile.

use std::path::Path;

use super::audit::{Event, EventType};
use super::commit::Desk;
use super::{Actor, Fault, OpenFault, Password, Rules, passwords, people};
use crate::access::id::Id;
use crate::access::role::Role;
use crate::clock::Clock;
use crate::directory::sqlite::Store;
use crate::problem::{Code, Refusal};

/// Why an owner was not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetFault {
    /// There is no file: resetting makes none.
    #[error("there is no store at `{0}`")]
    Missing(std::path::PathBuf),
    /// It can't be opened, or somebody serves it.
    #[error(transparent)]
    Open(#[from] OpenFault),
    /// It can't be done.
    #[error(transparent)]
    Refused(#[from] Fault),
}

/// Makes somebody an owner with this password, whether or not they were known, and ends their sessions. Without an
/// organization it is the only one. Returns which.
///
/// # Errors
/// [`ResetFault`]; then nothing was changed.
pub fn reset_owner(
    path: &Path,
    email: &str,
    organization: Option<Id>,
    password: &Password,
    clock: &Clock,
) -> Result<Id, ResetFault> {
    people::check_email(email)?;
    password.check(email)?;
    if !path.exists() {
        return Err(ResetFault::Missing(path.to_owned()));
    }
    let hash = passwords::hash(password)?;
    let store = Store::open(path, clock.now()).map_err(OpenFault::from)?;
    let mut desk = Desk::new(store, clock.clone())?;
    let done = desk.commit(Actor::system("users reset-owner"), &Rules::default(), |change| {
        let mut all = change.rows().organizations()?;
        all.retain(|one| organization.is_none_or(|id| one.id == id));
        if all.len() != 1 {
            let detail = format!("{} organizations are meant; name one by its id.", all.len());
            return Err(Refusal::new(Code::OrgNotFound, detail).into());
        }
        let place = all.remove(0);
        let (user, was_known) = match change.rows().user_by_email(email)? {
            Some((user, _)) => (user, true),
            None => (people::add(change, email.to_owned(), &hash)?, false),
        };
        change.store().set_password(user.pk, &hash)?;
        change.store().remove_sessions(user.pk, None)?;
        people::join(change, &place, &user, vec![Role::Organization("ORG_OWNER")], was_known)?;
        change.record(Event::of_user(EventType::OwnerReset, place.id, &user))?;
        Ok(place.id)
    })?;
    Ok(done.value)
}
