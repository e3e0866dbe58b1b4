//! `portcullis users` and `portcullis invites`: people of an organization, and the invitations by which they come.

use serde_json::{Value, json};

use super::api::Api;
use super::arguments::{Organization, id};
use super::shown::{Column, Shown, roles, text};
use super::{Fault, Remote};
use crate::access::id::Id;

/// What is done with people.
#[derive(clap::Subcommand)]
pub enum Users {
    /// The people of an organization.
    List(Organization),
    /// One person.
    Show {
        /// Who.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        #[command(flatten)]
        organization: Organization,
    },
    /// Replace the roles of a person, in the organization and on its projects.
    Update {
        /// Whose.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        /// A role on the organization, or `ROLE@PROJECT_ID` on a project; may be there several times. These are all.
        #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role)]
        roles: Vec<Granted>,
        #[command(flatten)]
        organization: Organization,
    },
    /// Take a person out of the organization; whoever is in none any more is gone, with their sessions.
    Delete {
        /// Whom.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        #[command(flatten)]
        organization: Organization,
    },
}

/// What is done with invitations.
#[derive(clap::Subcommand)]
pub enum Invites {
    /// The invitations that nobody has taken up.
    List(Organization),
    /// Invite somebody. Portcullis sends no mail: hand the token over on a way that you trust.
    Create {
        /// Their email address.
        email: String,
        /// A role on the organization, or `ROLE@PROJECT_ID` on a project; may be there several times.
        #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role)]
        roles: Vec<Granted>,
        #[command(flatten)]
        organization: Organization,
    },
    /// Take an invitation back.
    Delete {
        /// Which one.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        #[command(flatten)]
        organization: Organization,
    },
}

/// A role as it is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    name: String,
    project: Option<Id>,
}

/// A role, as the tables show it.
fn role(text: &str) -> Result<Granted, String> {
    match text.split_once('@') {
        Some((name, project)) => Ok(Granted { name: name.to_owned(), project: Some(id(project)?) }),
        None => Ok(Granted { name: text.to_owned(), project: None }),
    }
}

fn granted(roles: &[Granted]) -> Vec<Value> {
    let one = |Granted { name, project }: &Granted| match project {
        Some(project) => json!({"groupId": project.to_string(), "roleName": name}),
        None => json!(name),
    };
    roles.iter().map(one).collect()
}

const PEOPLE: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("email", |one| text(one, "username")),
    Column::new("roles", roles),
    Column::new("created", |one| text(one, "created")),
    Column::new("last sign-in", |one| text(one, "lastAuth")),
];

const INVITATIONS: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("email", |one| text(one, "username")),
    Column::new("roles", roles),
    Column::new("created", |one| text(one, "createdAt")),
    Column::new("lapses", |one| text(one, "expiresAt")),
];

const INVITATION: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("email", |one| text(one, "username")),
    Column::new("roles", roles),
    Column::new("lapses", |one| text(one, "expiresAt")),
    Column::new("token", |one| text(one, "token")),
];

async fn person(api: &Api, organization: &Organization, id: Id) -> Result<String, Fault> {
    Ok(format!("{}/{id}", organization.path(api, "users").await?))
}

impl Remote for Users {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::List(organization) => {
                Ok(Shown::Many(api.all(&organization.path(api, "users").await?, "", None).await?, PEOPLE))
            }
            Self::Show { id, organization } => {
                Ok(Shown::One(api.get(&person(api, &organization, id).await?).await?, PEOPLE))
            }
            Self::Update { id, roles, organization } => {
                let body = json!({"roles": granted(&roles)});
                Ok(Shown::One(api.patch(&person(api, &organization, id).await?, &body).await?, PEOPLE))
            }
            Self::Delete { id, organization } => {
                api.delete(&person(api, &organization, id).await?).await?;
                Ok(Shown::Done(format!("user {id} is out of the organization")))
            }
        }
    }
}

impl Remote for Invites {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::List(organization) => {
                Ok(Shown::Many(api.all(&organization.path(api, "invites").await?, "", None).await?, INVITATIONS))
            }
            Self::Create { email, roles, organization } => {
                let body = json!({"username": email, "roles": granted(&roles)});
                let made = api.post(&organization.path(api, "invites").await?, &body).await?;
                Ok(Shown::Once(made, INVITATION, "token"))
            }
            Self::Delete { id, organization } => {
                api.delete(&format!("{}/{id}", organization.path(api, "invites").await?)).await?;
                Ok(Shown::Done(format!("invitation {id} is taken back")))
            }
        }
    }
}
