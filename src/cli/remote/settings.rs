//! `portcullis settings`: the switch of an organization, and how long secrets of service accounts last at most.

use serde_json::{Map, Value, json};

use super::api::Api;
use super::arguments::{Force, Mode, Organization, hours};
use super::shown::{Column, Shown, text};
use super::{Fault, Remote};

/// What is done with the settings of an organization.
#[derive(clap::Subcommand)]
pub enum Settings {
    /// The switch that makes access lists mandatory, and the rest.
    Show(Organization),
    /// Turn the switch, or change the rest.
    Update {
        #[command(flatten)]
        organization: Organization,
        /// The position of the switch.
        #[arg(long, value_enum, required_unless_present = "secret_hours")]
        access_lists: Option<Mode>,
        /// How long new secrets of service accounts last at most, 8 to 8760 hours.
        #[arg(long, value_name = "HOURS", value_parser = hours())]
        secret_hours: Option<u32>,
        #[command(flatten)]
        force: Force,
    },
}

const COLUMNS: &[Column] = &[
    Column::new("access lists", |one| text(one, "apiAccessListMode")),
    Column::new("secret hours", |one| text(one, "maxServiceAccountSecretValidityInHours")),
];

impl Remote for Settings {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::Show(organization) => {
                let id = api.organization(organization.org).await?;
                Ok(Shown::One(api.get(&format!("/orgs/{id}/settings")).await?, COLUMNS))
            }
            Self::Update { organization, access_lists, secret_hours, force } => {
                let id = api.organization(organization.org).await?;
                let path = format!("/orgs/{id}/settings{}", force.query());
                let mut body = Map::new();
                body.extend(access_lists.map(|mode| ("apiAccessListMode".to_owned(), json!(mode.as_str()))));
                let most = "maxServiceAccountSecretValidityInHours";
                body.extend(secret_hours.map(|hours| (most.to_owned(), json!(hours))));
                Ok(Shown::One(api.patch(&path, &Value::Object(body)).await?, COLUMNS))
            }
        }
    }
}
