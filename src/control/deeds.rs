//! What somebody may do, told ahead, so that a page offers nothing that would be refused.
//!
//! It decides nothing: each change asks for its rights itself, by the same rules, within its own transaction.

use std::sync::Arc;

use super::credentials::whole;
use super::rights::{Rights, no_credential};
use super::{Actor, Control, Fault};
use crate::access::id::Id;
use crate::access::record::CredentialName;
use crate::access::role::Role;
use crate::directory::sqlite::Rows;

/// Something that somebody might do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Make an organization.
    MakeOrganizations,
    /// Change an organization, its people, its network sets, and make its credentials.
    Own(Id),
    /// Make a project in an organization.
    MakeProjects(Id),
    /// Make credentials of a project, and give those of the organization roles on it.
    Administer(Id),
    /// Delete a project.
    DeleteProject(Id),
    /// Change a credential and its list, or delete it.
    Manage(CredentialName),
    /// Grant these roles in an organization, or take them; of this person, where it is one who has them.
    Grant {
        /// Where.
        organization: Id,
        /// Whose roles; `None`: nobody's yet.
        person: Option<Id>,
        /// Which.
        roles: Vec<Role>,
    },
}

impl Control {
    /// Which of these the actor may do now, in their order.
    ///
    /// # Errors
    /// A [`Fault`] that is no matter of rights.
    pub async fn may(self: &Arc<Self>, actor: &Actor, deeds: Vec<Deed>) -> Result<Vec<bool>, Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let rights = Rights::of(rows, &actor)?;
            deeds.iter().map(|deed| allowed(asked(&rights, rows, deed))).collect()
        })
        .await
    }
}

fn asked(rights: &Rights, rows: Rows<'_>, deed: &Deed) -> Result<(), Fault> {
    match deed {
        Deed::MakeOrganizations => rights.make_organizations(),
        Deed::Own(id) => rights.own(rows, *id).map(drop),
        Deed::MakeProjects(id) => rights.make_projects(rows, *id).map(drop),
        Deed::Administer(id) => rights.administer(rows, *id).map(drop),
        Deed::DeleteProject(id) => rights.own_project(rows, *id).map(drop),
        Deed::Manage(name) => {
            let row = rows.credential(*name)?.ok_or_else(|| no_credential(*name))?;
            let key = whole(rows, row)?;
            rights.manage_key(rows, &key.row, &key.roles)
        }
        Deed::Grant { organization, person, roles } => rights.grant(*organization, *person, roles),
    }
}

/// No is an answer; a store that can't be read is none.
fn allowed(asked: Result<(), Fault>) -> Result<bool, Fault> {
    match asked {
        Ok(()) => Ok(true),
        Err(Fault::Refused(refusal)) if matches!(refusal.code.status(), 403 | 404) => Ok(false),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::{Code, Refusal};

    #[test]
    fn no_is_an_answer_and_a_session_that_is_over_is_none() {
        assert!(allowed(Ok(())).unwrap());
        for code in [Code::InsufficientRole, Code::ApiKeyNotFound, Code::OrgNotFound] {
            assert!(!allowed(Err(Refusal::new(code, "no").into())).unwrap());
        }
        assert!(allowed(Err(Refusal::new(Code::InvalidCredentials, "over").into())).is_err());
    }
}
