//! What an actor may do, by its roles as the transaction sees them.
//!
//! Whoever may not know of a thing is told that it is not there. Nobody grants what they do not have, or changes their own.

use super::Fault;
use super::actor::{Actor, ActorKind};
use crate::access::id::Id;
use crate::access::record::{CredentialRecord, OrganizationRecord, ProjectRecord};
use crate::access::role::Role;
use crate::directory::sqlite::Rows;
use crate::problem::{Code, Refusal};

/// A role as the API names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedRole {
    /// On which project; `None` is the organization.
    pub project: Option<Id>,
    /// Its name.
    pub name: String,
}

/// What an actor may do.
#[derive(Debug, Clone)]
pub(super) struct Rights {
    of: Of,
}

#[derive(Debug, Clone)]
enum Of {
    System,
    Credential { id: Id, organization: Id, roles: Vec<Role> },
}

/// The organization or project, or a refusal that does not tell whether it is there.
pub(super) fn no_organization(id: Id) -> Fault {
    Refusal::new(Code::OrgNotFound, format!("There is no organization {id} that you may see.")).with(id).into()
}

pub(super) fn no_project(id: Id) -> Fault {
    Refusal::new(Code::GroupNotFound, format!("There is no project {id} that you may see.")).with(id).into()
}

pub(super) fn no_key(id: Id) -> Fault {
    Refusal::new(Code::ApiKeyNotFound, format!("There is no API key {id} that you may see.")).with(id).into()
}

fn lacking(needed: &str) -> Fault {
    Refusal::new(Code::InsufficientRole, format!("This needs the role {needed}, which the caller does not have."))
        .with(needed)
        .into()
}

impl Rights {
    /// Of this actor, now.
    pub(super) fn of(rows: Rows<'_>, actor: &Actor) -> Result<Self, Fault> {
        let ActorKind::Credential { id, kind, .. } = actor.kind else { return Ok(Self { of: Of::System }) };
        let gone = || Refusal::new(Code::InvalidCredentials, Code::InvalidCredentials.detail(actor.address));
        let row = rows.credential(kind, id)?.ok_or_else(gone)?;
        let roles = rows.roles(row.pk)?;
        Ok(Self { of: Of::Credential { id, organization: row.organization, roles } })
    }

    fn has(&self, wanted: impl Fn(&Role) -> bool) -> bool {
        match &self.of {
            Of::System => true,
            Of::Credential { roles, .. } => roles.iter().any(wanted),
        }
    }

    fn is_of(&self, organization: Id) -> bool {
        match &self.of {
            Of::System => true,
            Of::Credential { organization: own, .. } => *own == organization,
        }
    }

    /// The one organization that the actor belongs to; `None` sees all.
    pub(super) fn organization(&self) -> Option<Id> {
        match &self.of {
            Of::System => None,
            Of::Credential { organization, .. } => Some(*organization),
        }
    }

    fn owns(&self, organization: Id) -> bool {
        self.is_of(organization) && self.has(|role| *role == Role::Organization("ORG_OWNER"))
    }

    fn has_organization_role(&self, organization: Id) -> bool {
        self.is_of(organization) && self.has(|role| matches!(role, Role::Organization(_)))
    }

    fn administers(&self, project: &ProjectRecord) -> bool {
        self.owns(project.organization)
            || self
                .has(|role| matches!(role, Role::Project(id, "GROUP_OWNER" | "GROUP_USER_ADMIN") if *id == project.id))
    }

    /// The organization, where the actor may see it.
    pub(super) fn see_organization(&self, rows: Rows<'_>, id: Id) -> Result<OrganizationRecord, Fault> {
        let sees = self.is_of(id) && self.has(|role| matches!(role, Role::Organization(_) | Role::Project(..)));
        let found = if sees { rows.organization(id)? } else { None };
        found.ok_or_else(|| no_organization(id))
    }

    /// The organization, where the actor may see what belongs to it.
    pub(super) fn see_all_of(&self, rows: Rows<'_>, id: Id) -> Result<OrganizationRecord, Fault> {
        let row = self.see_organization(rows, id)?;
        match self.has_organization_role(id) {
            true => Ok(row),
            false => Err(lacking("ORG_READ_ONLY")),
        }
    }

    /// The organization, where the actor owns it.
    pub(super) fn own(&self, rows: Rows<'_>, id: Id) -> Result<OrganizationRecord, Fault> {
        let row = self.see_organization(rows, id)?;
        match self.owns(id) {
            true => Ok(row),
            false => Err(lacking("ORG_OWNER")),
        }
    }

    /// The organization, where the actor may make projects in it.
    pub(super) fn make_projects(&self, rows: Rows<'_>, id: Id) -> Result<OrganizationRecord, Fault> {
        let row = self.see_organization(rows, id)?;
        match self.owns(id) || self.has(|role| *role == Role::Organization("ORG_GROUP_CREATOR")) {
            true => Ok(row),
            false => Err(lacking("ORG_GROUP_CREATOR")),
        }
    }

    /// The project, where the actor may see it.
    pub(super) fn see_project(&self, rows: Rows<'_>, id: Id) -> Result<ProjectRecord, Fault> {
        let found = rows.project(id)?.filter(|project| {
            self.has_organization_role(project.organization) || self.has(|role| role.project() == Some(id))
        });
        found.ok_or_else(|| no_project(id))
    }

    /// The project, where the actor may manage its credentials.
    pub(super) fn administer(&self, rows: Rows<'_>, id: Id) -> Result<ProjectRecord, Fault> {
        let project = self.see_project(rows, id)?;
        match self.administers(&project) {
            true => Ok(project),
            false => Err(lacking("GROUP_USER_ADMIN")),
        }
    }

    /// Whether the actor may see a key of this organization and with these roles.
    pub(super) fn sees_key(&self, key: &CredentialRecord, roles: &[Role]) -> bool {
        let shared = |own: &Role| own.project().is_some() && roles.iter().any(|role| role.project() == own.project());
        self.has_organization_role(key.organization) || self.is_of(key.organization) && self.has(shared)
    }

    /// Whether the actor may change such a key and its list: it owns the organization, or administers every project that
    /// the key has a role on, where it has no others. Else an administrator of one project could let a key of another in.
    pub(super) fn manage_key(&self, rows: Rows<'_>, key: &CredentialRecord, roles: &[Role]) -> Result<(), Fault> {
        if self.owns(key.organization) {
            return Ok(());
        }
        let mut administered = !roles.is_empty();
        for role in roles {
            let project = match role {
                // Who owns a project is not for its user administrators to let in.
                Role::Project(id, "GROUP_OWNER") if !self.has(|own| *own == Role::Project(*id, "GROUP_OWNER")) => None,
                Role::Project(id, _) => rows.project(*id)?,
                _ => None,
            };
            administered &= project.is_some_and(|project| self.administers(&project));
        }
        match administered {
            true => Ok(()),
            false => Err(lacking("ORG_OWNER")),
        }
    }

    /// Whether the actor may grant or take these roles of a key in this organization.
    pub(super) fn grant(&self, organization: Id, key: Option<Id>, roles: &[Role]) -> Result<(), Fault> {
        if let (Of::Credential { id, .. }, Some(key)) = (&self.of, key)
            && *id == key
        {
            let detail = "A credential can't change its own roles; another owner has to.";
            return Err(Refusal::new(Code::InsufficientRole, detail).into());
        }
        if self.owns(organization) {
            return Ok(());
        }
        let allowed = |role: &Role| match role {
            Role::Project(id, name) => self.has(|own| match own {
                Role::Project(on, "GROUP_OWNER") => on == id,
                Role::Project(on, "GROUP_USER_ADMIN") => on == id && *name != "GROUP_OWNER",
                _ => false,
            }),
            _ => false,
        };
        match roles.iter().find(|role| !allowed(role)) {
            None => Ok(()),
            Some(Role::Project(..)) => Err(lacking("GROUP_OWNER")),
            Some(_) => Err(lacking("ORG_OWNER")),
        }
    }
}
