//! What a credential may do: the roles of the control plane, and names that mean something to the upstream only.
//!
//! Never decides on a request: a decision knows of one role alone, that of gateways.

use super::credential::Grants;
use super::id::Id;

/// What a credential may do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// On the organization.
    Organization(&'static str),
    /// On one project.
    Project(Id, &'static str),
    /// May follow the directory; never passes to an upstream.
    Gateway,
    /// Means something to the upstream only.
    Application(Box<str>),
}

/// What the upstream is told of roles.
pub fn grants(roles: &[Role]) -> Grants {
    let joined = |mut texts: Vec<String>| {
        texts.sort_unstable();
        texts.dedup();
        texts.join(",").into()
    };
    Grants {
        roles: joined(roles.iter().filter_map(Role::told).collect()),
        projects: joined(roles.iter().filter_map(Role::project).map(|id| id.to_string()).collect()),
        gateway: roles.contains(&Role::Gateway),
    }
}

/// What may be granted on an organization.
pub const ORGANIZATION_ROLES: [&str; 4] = ["ORG_OWNER", "ORG_GROUP_CREATOR", "ORG_MEMBER", "ORG_READ_ONLY"];

/// What may be granted on a project.
pub const PROJECT_ROLES: [&str; 3] = ["GROUP_OWNER", "GROUP_USER_ADMIN", "GROUP_READ_ONLY"];

/// Longest name of an application role, `app:` not counted.
const LONGEST_APPLICATION_ROLE: usize = 64;

impl Role {
    /// A role on an organization by its name, `GATEWAY` and `app:…` included.
    pub fn on_organization(name: &str) -> Option<Self> {
        let known = ORGANIZATION_ROLES.iter().find(|known| **known == name);
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        match (name, name.strip_prefix("app:")) {
            ("GATEWAY", _) => Some(Self::Gateway),
            (_, Some(own)) if (1..=LONGEST_APPLICATION_ROLE).contains(&own.len()) && own.bytes().all(legal) => {
                Some(Self::Application(name.into()))
            }
            _ => known.map(|known| Self::Organization(known)),
        }
    }

    /// A role on a project by its name.
    pub fn on_project(project: Id, name: &str) -> Option<Self> {
        PROJECT_ROLES.iter().find(|known| **known == name).map(|known| Self::Project(project, known))
    }

    /// Its name, without what it is granted on.
    pub fn name(&self) -> &str {
        match self {
            Self::Organization(name) | Self::Project(_, name) => name,
            Self::Gateway => "GATEWAY",
            Self::Application(name) => name,
        }
    }

    /// The project that it is granted on.
    pub fn project(&self) -> Option<Id> {
        match self {
            Self::Project(id, _) => Some(*id),
            _ => None,
        }
    }

    fn told(&self) -> Option<String> {
        match self {
            Self::Organization(name) => Some((*name).to_owned()),
            Self::Project(id, name) => Some(format!("{id}:{name}")),
            Self::Gateway => None,
            Self::Application(name) => Some(name.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
