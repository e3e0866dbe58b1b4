//! `portcullis settings`: the switch of an organization.

use serde_json::json;

use super::api::Api;
use super::arguments::{Force, Mode, Organization};
use super::shown::{Column, Shown, text};
use super::{Fault, Remote};

/// What is done with the settings of an organization.
#[derive(clap::Subcommand)]
pub enum Settings {
    /// The switch that makes access lists mandatory.
    Show(Organization),
    /// Turn the switch.
    Update {
        #[command(flatten)]
        organization: Organization,
        /// Its position.
        #[arg(long, value_enum)]
        access_lists: Mode,
        #[command(flatten)]
        force: Force,
    },
}

const COLUMNS: &[Column] = &[Column::new("access lists", |one| text(one, "apiAccessListMode"))];

impl Remote for Settings {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::Show(organization) => {
                let id = api.organization(organization.org).await?;
                Ok(Shown::One(api.get(&format!("/orgs/{id}/settings")).await?, COLUMNS))
            }
            Self::Update { organization, access_lists, force } => {
                let id = api.organization(organization.org).await?;
                let path = format!("/orgs/{id}/settings{}", force.query());
                let body = json!({"apiAccessListMode": access_lists.as_str()});
                Ok(Shown::One(api.patch(&path, &body).await?, COLUMNS))
            }
        }
    }
}
