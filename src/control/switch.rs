//! Turning the switch of an organization on: whom it would refuse, and doing it together with the lists that they lack.

use std::sync::Arc;

use super::credentials::{Credential, whole};
use super::organizations::{self, OrganizationEdit};
use super::rights::Rights;
use super::{Actor, Committed, Control, Fault, Guards, NewEntry, access_lists};
use crate::access::id::Id;
use crate::access::record::{CredentialName, OrganizationRecord, Place};

/// Lists, by whose they are, with what goes on them.
pub type Additions = Vec<(CredentialName, Vec<NewEntry>)>;

impl Control {
    /// One page of the credentials of an organization that *required* refuses, and how many there are: they work, and have no
    /// list. Those that were used last come first.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn unlisted(
        self: &Arc<Self>,
        actor: &Actor,
        organization: Id,
        page: (u64, u64),
    ) -> Result<(Vec<Credential>, u64), Fault> {
        let (actor, now) = (actor.clone(), self.clock.now());
        self.read(move |rows| {
            let place = Rights::of(rows, &actor)?.see_all_of(rows, organization)?;
            let (found, total) = rows.unlisted(place.pk, now, page)?;
            let credentials = found.into_iter().map(|row| whole(rows, row)).collect::<Result<_, _>>()?;
            Ok((credentials, total))
        })
        .await
    }

    /// Gives credentials of the organization entries and changes its settings, all of it or nothing.
    ///
    /// # Errors
    /// `VERSION_MISMATCH` where it is of another revision than `expected`, a guard, or another [`Fault`].
    pub async fn edit_with_lists(
        &self,
        actor: &Actor,
        guards: Guards,
        organization: Id,
        (edit, lists): (OrganizationEdit, Additions),
        expected: Option<u64>,
    ) -> Result<Committed<OrganizationRecord>, Fault> {
        self.change(actor, move |change| {
            for (credential, entries) in lists {
                access_lists::add(change, guards, (Place::Organization(organization), credential), entries, false)?;
            }
            organizations::edit(change, guards, organization, edit, expected)
        })
        .await
    }
}
