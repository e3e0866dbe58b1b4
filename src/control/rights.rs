//! What an actor may do, by its roles as the transaction sees them.
//!
//! Whoever may not know of a thing is told that it is not there. Nobody grants what they do not have, or changes their own.

use super::Fault;
use super::actor::{Actor, ActorKind};
use crate::access::credential::CredentialKind;
use crate::access::id::Id;
use crate::access::record::{CredentialName, CredentialRecord, OrganizationRecord, Place, ProjectRecord, Sender};
use crate::access::role::Role;
use crate::clock::Timestamp;
use crate::directory::sqlite::Rows;
use crate::problem::{Code, Refusal};

/// A role as the API names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedRole {
    /// The organization, where it was named: it has to be the one of the path.
    pub organization: Option<Id>,
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
    Credential {
        id: Id,
        organization: Id,
        roles: Vec<Role>,
    },
    /// Roles by organization.
    User {
        id: Id,
        roles: Vec<(Id, Role)>,
    },
    Nobody,
}

/// The organization or project, or a refusal that does not tell whether it is there.
pub(super) fn no_organization(id: Id) -> Fault {
    Refusal::new(Code::OrgNotFound, format!("There is no organization {id} that you may see.")).with(id).into()
}

pub(super) fn no_project(id: Id) -> Fault {
    Refusal::new(Code::GroupNotFound, format!("There is no project {id} that you may see.")).with(id).into()
}

pub(super) fn no_credential(name: CredentialName) -> Fault {
    let (code, kind) = match name.kind {
        CredentialKind::ApiKey => (Code::ApiKeyNotFound, "API key"),
        CredentialKind::ServiceAccount => (Code::ServiceAccountNotFound, "service account"),
    };
    Refusal::new(code, format!("There is no {kind} {name} that you may see.")).with(name).into()
}

pub(super) fn lacking(needed: &str) -> Fault {
    Refusal::new(Code::InsufficientRole, format!("This needs the role {needed}, which the caller does not have."))
        .with(needed)
        .into()
}

impl Rights {
    /// Of this actor, now.
    pub(super) fn of(rows: Rows<'_>, actor: &Actor) -> Result<Self, Fault> {
        let gone = || Refusal::new(Code::InvalidCredentials, Code::InvalidCredentials.detail(actor.address));
        let (id, kind) = match actor.kind {
            ActorKind::Credential { id, kind } => (id, kind),
            ActorKind::User { id, session, .. } => {
                // Whoever was signed out meanwhile changes nothing any more.
                let row = rows.session_by_id(session)?.filter(|row| row.user.id == id).ok_or_else(gone)?;
                return Ok(Self { of: Of::User { id, roles: rows.roles_of_user(row.user.pk)? } });
            }
            ActorKind::Stranger => return Ok(Self { of: Of::Nobody }),
            ActorKind::System(_) => return Ok(Self { of: Of::System }),
        };
        let row = rows.credential(CredentialName { kind, id })?.ok_or_else(gone)?;
        let roles = rows.roles(row.pk)?;
        Ok(Self { of: Of::Credential { id, organization: row.organization, roles } })
    }

    /// Of whoever sent an invitation, now; `None` where they could do nothing any more.
    pub(super) fn of_sender(rows: Rows<'_>, sender: Option<Sender>, now: Timestamp) -> Result<Option<Self>, Fault> {
        let of = match sender {
            None => Of::System,
            Some(Sender::Credential(name)) => match rows.credential(name)? {
                Some(row) if row.enabled && row.expires_at > now => {
                    Of::Credential { id: row.id, organization: row.organization, roles: rows.roles(row.pk)? }
                }
                _ => return Ok(None),
            },
            Some(Sender::User(id)) => match rows.user(id)? {
                Some(row) => Of::User { id, roles: rows.roles_of_user(row.pk)? },
                None => return Ok(None),
            },
        };
        Ok(Some(Self { of }))
    }

    fn has(&self, wanted: impl Fn(&Role) -> bool) -> bool {
        match &self.of {
            Of::System => true,
            Of::Credential { roles, .. } => roles.iter().any(wanted),
            Of::User { roles, .. } => roles.iter().any(|(_, role)| wanted(role)),
            Of::Nobody => false,
        }
    }

    /// The same, of the roles in one organization.
    fn has_in(&self, organization: Id, wanted: impl Fn(&Role) -> bool) -> bool {
        match &self.of {
            Of::User { roles, .. } => roles.iter().any(|(on, role)| *on == organization && wanted(role)),
            _ => self.is_of(organization) && self.has(wanted),
        }
    }

    fn is_of(&self, organization: Id) -> bool {
        match &self.of {
            Of::System => true,
            Of::Credential { organization: own, .. } => *own == organization,
            Of::User { roles, .. } => roles.iter().any(|(on, _)| *on == organization),
            Of::Nobody => false,
        }
    }

    /// The organizations that the actor belongs to; `None` sees all.
    pub(super) fn organizations(&self) -> Option<Vec<Id>> {
        match &self.of {
            Of::System => None,
            Of::Credential { organization, .. } => Some(vec![*organization]),
            Of::User { roles, .. } => {
                let mut own: Vec<Id> = roles.iter().map(|(on, _)| *on).collect();
                own.sort_unstable();
                own.dedup();
                Some(own)
            }
            Of::Nobody => Some(Vec::new()),
        }
    }

    /// Refuses whoever owns no organization: the others make none.
    pub(super) fn make_organizations(&self) -> Result<(), Fault> {
        match self.has(|role| *role == Role::Organization("ORG_OWNER")) {
            true => Ok(()),
            false => Err(lacking("ORG_OWNER")),
        }
    }

    /// Refuses whoever has no role anywhere: they may see nothing.
    pub(super) fn have_a_role(&self) -> Result<(), Fault> {
        match self.has(|role| matches!(role, Role::Organization(_) | Role::Project(..))) {
            true => Ok(()),
            false => Err(lacking("ORG_READ_ONLY")),
        }
    }

    pub(super) fn owns(&self, organization: Id) -> bool {
        self.has_in(organization, |role| *role == Role::Organization("ORG_OWNER"))
    }

    fn has_organization_role(&self, organization: Id) -> bool {
        self.has_in(organization, |role| matches!(role, Role::Organization(_)))
    }

    fn administers(&self, project: &ProjectRecord) -> bool {
        self.owns(project.organization)
            || self
                .has(|role| matches!(role, Role::Project(id, "GROUP_OWNER" | "GROUP_USER_ADMIN") if *id == project.id))
    }

    /// The organization, where the actor may see it.
    pub(super) fn see_organization(&self, rows: Rows<'_>, id: Id) -> Result<OrganizationRecord, Fault> {
        let sees = self.has_in(id, |role| matches!(role, Role::Organization(_) | Role::Project(..)));
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

    /// Whether the actor may see the credentials of a place.
    pub(super) fn see_credentials_of(&self, rows: Rows<'_>, place: Place) -> Result<(), Fault> {
        match place {
            Place::Organization(id) => self.see_all_of(rows, id).map(drop),
            Place::Project(id) => self.see_project(rows, id).map(drop),
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
        match self.owns(id) || self.has_in(id, |role| *role == Role::Organization("ORG_GROUP_CREATOR")) {
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

    /// The project, where the actor owns it, or its organization.
    pub(super) fn own_project(&self, rows: Rows<'_>, id: Id) -> Result<ProjectRecord, Fault> {
        let project = self.see_project(rows, id)?;
        self.grant(project.organization, None, &[Role::Project(id, "GROUP_OWNER")])?;
        Ok(project)
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

    /// Whether the actor may grant or take these roles of a key or person in this organization.
    pub(super) fn grant(&self, organization: Id, to: Option<Id>, roles: &[Role]) -> Result<(), Fault> {
        if let (Of::Credential { id, .. } | Of::User { id, .. }, Some(to)) = (&self.of, to)
            && *id == to
        {
            let detail = "Nobody can change their own roles; another owner has to.";
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
