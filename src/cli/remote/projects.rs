//! `portcullis projects`: the projects of an organization.

use serde_json::json;

use super::api::Api;
use super::arguments::{DryRun, Organization, id};
use super::rehearsal::made;
use super::shown::{Column, Shown, text};
use super::{Fault, Remote};
use crate::access::id::Id;

/// What is done with projects.
#[derive(clap::Subcommand)]
pub enum Projects {
    /// The projects that the caller sees.
    List(Organization),
    /// One project.
    Show {
        /// Which one.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
    },
    /// Make a project.
    Create {
        /// Its name, unique in the organization.
        name: String,
        #[command(flatten)]
        organization: Organization,
    },
    /// Delete a project, and every role on it.
    Delete {
        /// Which one.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        #[command(flatten)]
        only: DryRun,
    },
}

const COLUMNS: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("name", |one| text(one, "name")),
    Column::new("organization", |one| text(one, "orgId")),
    Column::new("created", |one| text(one, "created")),
];

impl Remote for Projects {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::List(organization) => {
                let path = format!("/orgs/{}/groups", api.organization(organization.org).await?);
                Ok(Shown::Many(api.all(&path, "", None).await?, COLUMNS))
            }
            Self::Show { id } => Ok(Shown::One(api.get(&format!("/groups/{id}")).await?, COLUMNS)),
            Self::Create { name, organization } => {
                let path = format!("/orgs/{}/groups", api.organization(organization.org).await?);
                Ok(Shown::One(api.post(&path, &json!({"name": name})).await?, COLUMNS))
            }
            Self::Delete { id, only } => {
                let gone = api.delete(&format!("/groups/{id}{}", only.query())).await?;
                Ok(made(gone, |_| Shown::Done(format!("project {id} is deleted"))))
            }
        }
    }
}
