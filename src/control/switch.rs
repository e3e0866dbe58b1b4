//! Turning the switch of an organization on: whom it would refuse, and doing it together with the lists that they lack.

use std::sync::Arc;

use super::credentials::{Credential, whole};
use super::organizations::{self, OrganizationEdit};
use super::rights::Rights;
use super::{Actor, Committed, Control, Fault, Guards, NewEntry, access_lists};
use crate::access::credential::AccessListMode;
use crate::access::id::Id;
use crate::access::record::{CredentialName, OrganizationRecord, Place};

/// Credentials that are named at most.
const MOST_NAMED: u64 = 200;

/// The credentials that *required* refuses: they work, and have no list.
#[derive(Debug, Clone)]
pub struct Unlisted {
    /// Those that were used last come first; up to 200.
    pub credentials: Vec<Credential>,
    /// How many there are in all.
    pub total: u64,
}

impl Control {
    /// The credentials of an organization that work and have no list.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn unlisted(self: &Arc<Self>, actor: &Actor, organization: Id) -> Result<Unlisted, Fault> {
        let (actor, now) = (actor.clone(), self.clock.now());
        self.read(move |rows| {
            let place = Rights::of(rows, &actor)?.see_all_of(rows, organization)?;
            let (found, total) = rows.unlisted(place.pk, now, MOST_NAMED)?;
            let credentials = found.into_iter().map(|row| whole(rows, row)).collect::<Result<_, _>>()?;
            Ok(Unlisted { credentials, total })
        })
        .await
    }

    /// Gives credentials entries and turns the switch, all of it or nothing.
    ///
    /// # Errors
    /// A guard, or another [`Fault`].
    pub async fn turn_switch_with(
        &self,
        actor: &Actor,
        guards: Guards,
        organization: Id,
        mode: AccessListMode,
        lists: Vec<(CredentialName, Vec<NewEntry>)>,
    ) -> Result<Committed<OrganizationRecord>, Fault> {
        self.change(actor, move |change| {
            for (credential, entries) in lists {
                access_lists::add(change, guards, (Place::Organization(organization), credential), entries, false)?;
            }
            let edit = OrganizationEdit { mode: Some(mode), ..OrganizationEdit::default() };
            organizations::edit(change, guards, organization, edit, None)
        })
        .await
    }
}
