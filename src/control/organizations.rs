//! Organizations and their switch.

use std::sync::Arc;

use super::actor::ActorKind;
use super::api_keys::{self, NewKey, ShownOnce};
use super::audit::{Event, EventType};
use super::change::Change;
use super::rights::{GrantedRole, Rights};
use super::service_accounts::{LONGEST_SECRET, check_hours};
use super::{Actor, Committed, Control, Fault, Guards, draw, guards, people, recent_use};
use crate::access::credential::AccessListMode;
use crate::access::id::Id;
use crate::access::record::{CredentialRecord, OrganizationRecord};
use crate::directory::sqlite::Rows;
use crate::problem::{Code, Refusal};

/// Longest name of an organization or a project, in characters.
const LONGEST_NAME: usize = 64;

/// An organization to be made.
#[derive(Debug, Clone)]
pub struct NewOrganization {
    /// For people.
    pub name: String,
    /// Its switch.
    pub mode: AccessListMode,
    /// A key to be made with it, which owns it. A credential of another organization, which can't manage it, has to ask for one.
    pub key: Option<NewKey>,
}

/// What is to be changed of an organization.
#[derive(Debug, Clone, Default)]
pub struct OrganizationEdit {
    /// Another name.
    pub name: Option<String>,
    /// Another position of the switch.
    pub mode: Option<AccessListMode>,
    /// Most hours that a secret of a service account may be made to last.
    pub secret_hours: Option<u32>,
}

/// Refuses names that are empty, too long, or would confuse whoever reads them.
pub(super) fn check_name(field: &str, name: &str) -> Result<(), Fault> {
    let length = name.chars().count();
    match (1..=LONGEST_NAME).contains(&length) && !name.chars().any(char::is_control) && name.trim() == name {
        true => Ok(()),
        false => {
            let wrong = format!(
                "a name has 1 to {LONGEST_NAME} characters, none of them a control character or a blank at an end"
            );
            Err(Refusal::field(Code::InvalidAttribute, field, wrong).into())
        }
    }
}

impl Control {
    /// The organizations that the actor may see.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn organizations(self: &Arc<Self>, actor: &Actor) -> Result<Vec<OrganizationRecord>, Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let rights = Rights::of(rows, &actor)?;
            let Some(own) = rights.organizations() else { return Ok(rows.organizations()?) };
            let mut seen = Vec::new();
            for id in own {
                match rights.see_organization(rows, id) {
                    Ok(row) => seen.push(row),
                    // A credential without any role sees nothing.
                    Err(Fault::Refused(_)) => {}
                    Err(fault) => return Err(fault),
                }
            }
            Ok(seen)
        })
        .await
    }

    /// One organization.
    ///
    /// # Errors
    /// `ORG_NOT_FOUND`, also where the actor may not see it.
    pub async fn organization(self: &Arc<Self>, actor: &Actor, id: Id) -> Result<OrganizationRecord, Fault> {
        let actor = actor.clone();
        self.read(move |rows| Rights::of(rows, &actor)?.see_organization(rows, id)).await
    }

    /// Makes an organization, and a key that owns it where one is asked for.
    ///
    /// # Errors
    /// `MISSING_ONE_OF_ATTRIBUTES` where nobody could manage it, or another [`Fault`].
    pub async fn create_organization(
        &self,
        actor: &Actor,
        new: NewOrganization,
    ) -> Result<Committed<(OrganizationRecord, Option<ShownOnce>)>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            rights.make_organizations()?;
            check_name("name", &new.name)?;
            if matches!(change.actor().kind, ActorKind::Credential { .. }) {
                check_manageable(&new)?;
            }
            let organization = add(change, &new)?;
            people::own_what_was_made(change, &organization)?;
            let key = match new.key {
                Some(key) => Some(api_keys::create(change, &organization, owning(key)?, None)?),
                None => None,
            };
            Ok((organization, key))
        })
        .await
    }

    /// Renames an organization or turns its switch.
    ///
    /// # Errors
    /// `VERSION_MISMATCH` where it is of another revision than `expected`, a guard, or another [`Fault`].
    pub async fn edit_organization(
        &self,
        actor: &Actor,
        guards: Guards,
        id: Id,
        edit: OrganizationEdit,
        expected: Option<u64>,
    ) -> Result<Committed<OrganizationRecord>, Fault> {
        self.change(actor, move |change| self::edit(change, guards, id, edit, expected)).await
    }

    /// Deletes an organization with its credentials.
    ///
    /// # Errors
    /// `CANNOT_DELETE_ORG_ACTIVE_GROUPS` while it has projects, or another [`Fault`].
    pub async fn delete_organization(&self, actor: &Actor, id: Id) -> Result<Committed<()>, Fault> {
        self.change(actor, move |change| {
            let row = Rights::of(change.rows(), change.actor())?.own(change.rows(), id)?;
            let (_, projects) = change.rows().belongings(row.pk)?;
            if projects > 0 {
                let detail = format!("Organization {id} has {projects} projects; delete them first.");
                return Err(Refusal::new(Code::CannotDeleteOrgActiveGroups, detail).with(id).into());
            }
            for pk in change.rows().credentials_of(row.pk)? {
                change.touch_credential(pk)?;
                change.store().remove_credential(pk)?;
            }
            change.touch_organization(id);
            change.store().remove_organization(row.pk)?;
            change.record(Event::new(EventType::OrgDeleted, id).detail(row.name))
        })
        .await
    }
}

/// Renames an organization or turns its switch.
pub(super) fn edit(
    change: &mut Change<'_>,
    guards: Guards,
    id: Id,
    edit: OrganizationEdit,
    expected: Option<u64>,
) -> Result<OrganizationRecord, Fault> {
    let rights = Rights::of(change.rows(), change.actor())?;
    let mut row = rights.own(change.rows(), id)?;
    expect(expected, row.revision)?;
    let renamed = edit.name.filter(|name| *name != row.name);
    let turned = edit.mode.filter(|mode| *mode != row.mode);
    let capped = edit.secret_hours.filter(|hours| *hours != row.secret_hours);
    if renamed.is_none() && turned.is_none() && capped.is_none() {
        return Ok(row);
    }
    if let Some(name) = renamed {
        check_name("name", &name)?;
        change.record(Event::new(EventType::OrgRenamed, id).detail(format!("{} → {name}", row.name)))?;
        row.name = name;
    }
    if let Some(mode) = turned {
        if mode == AccessListMode::Required {
            let caller = caller(change.rows(), change.actor(), id)?;
            guards::switch_on(change, guards, &row, caller.as_ref())?;
            recent_use::switch_on(change, guards, &row)?;
        }
        change.record(Event::new(event_of(mode), id))?;
        row.mode = mode;
    }
    if let Some(hours) = capped {
        limit_secrets(change, &mut row, hours)?;
    }
    row.revision = change.revision();
    change.store().update_organization(&row)?;
    change.touch_organization(id);
    Ok(row)
}

/// Refuses what nobody could manage: the calling credential stays in its own organization, and all that is left is the key
/// that comes with the new one.
fn check_manageable(new: &NewOrganization) -> Result<(), Fault> {
    let (missing, why) = match &new.key {
        None => ("apiKey", "the calling credential can't manage another organization than its own"),
        Some(key) if new.mode == AccessListMode::Required && key.entries.is_empty() => (
            "apiKey.accessList",
            "the organization requires access lists, and its first key would be refused without one",
        ),
        Some(_) => return Ok(()),
    };
    let detail = format!("`{missing}` is missing: {why}.");
    Err(Refusal::new(Code::MissingOneOfAttributes, detail).with(missing).into())
}

/// The first key of an organization owns it.
fn owning(mut key: NewKey) -> Result<NewKey, Fault> {
    let owner = GrantedRole { organization: None, project: None, name: "ORG_OWNER".to_owned() };
    if key.roles.is_empty() {
        key.roles.push(owner);
    } else if !key.roles.contains(&owner) {
        let wrong = "the first key of an organization has the role ORG_OWNER";
        return Err(Refusal::field(Code::InvalidAttribute, "apiKey.roles", wrong).into());
    }
    Ok(key)
}

/// Adds an organization.
pub(super) fn add(change: &mut Change<'_>, new: &NewOrganization) -> Result<OrganizationRecord, Fault> {
    add_as(change, draw::id()?, &new.name, new.mode)
}

/// Adds an organization with an id that somebody has chosen.
pub(super) fn add_as(
    change: &mut Change<'_>,
    id: Id,
    name: &str,
    mode: AccessListMode,
) -> Result<OrganizationRecord, Fault> {
    let mut row = OrganizationRecord {
        pk: 0,
        id,
        name: name.to_owned(),
        mode,
        secret_hours: LONGEST_SECRET,
        created_at: change.now(),
        revision: change.revision(),
    };
    row.pk = change.store().add_organization(&row)?;
    change.touch_organization(row.id);
    change.record(Event::new(EventType::OrgCreated, row.id).detail(row.name.clone()))?;
    if row.mode != AccessListMode::Off {
        change.record(Event::new(event_of(row.mode), row.id))?;
    }
    Ok(row)
}

/// Lets secrets of service accounts be made to last so long and no longer.
pub(super) fn limit_secrets(change: &mut Change<'_>, row: &mut OrganizationRecord, hours: u32) -> Result<(), Fault> {
    check_hours("maxServiceAccountSecretValidityInHours", hours, LONGEST_SECRET)?;
    let event = Event::new(EventType::SecretValidityChanged, row.id);
    change.record(event.detail(format!("{} → {hours} hours", row.secret_hours)))?;
    row.secret_hours = hours;
    Ok(())
}

/// Refuses where somebody changed a thing since the caller read it.
pub(super) fn expect(expected: Option<u64>, found: u64) -> Result<(), Fault> {
    match expected {
        Some(expected) if expected != found => {
            let detail = format!(
                "It was changed by somebody else: its version is \"{found}\" and not \"{expected}\". Read it again."
            );
            Err(Refusal::new(Code::VersionMismatch, detail).with(found).into())
        }
        _ => Ok(()),
    }
}

pub(super) fn event_of(mode: AccessListMode) -> EventType {
    match mode {
        AccessListMode::Off => EventType::ListNotRequired,
        AccessListMode::Report => EventType::ListReported,
        AccessListMode::Required => EventType::ListRequired,
    }
}

/// The calling credential, where it is one of this organization.
pub(super) fn caller(rows: Rows<'_>, actor: &Actor, organization: Id) -> Result<Option<CredentialRecord>, Fault> {
    let Some(name) = actor.credential() else { return Ok(None) };
    Ok(rows.credential(name)?.filter(|row| row.organization == organization))
}
