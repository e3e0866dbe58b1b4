//! `portcullis orgs`: organizations.

use serde_json::json;

use super::api::{Api, Asker};
use super::arguments::{DryRun, Mode, Networks, Organization, id};
use super::rehearsal::made;
use super::shown::{Column, Shown, text};
use super::{Fault, Remote};
use crate::access::id::Id;

/// What is done with organizations.
#[derive(clap::Subcommand)]
pub enum Organizations {
    /// The organizations that the caller sees.
    List,
    /// One organization.
    Show(Organization),
    /// Make an organization. A key makes it with another key that owns it; a person owns it without one.
    Create {
        /// Its name, 1 to 64 characters.
        name: String,
        /// The switch that makes access lists mandatory.
        #[arg(long, value_enum, default_value_t = Mode::Off)]
        access_lists: Mode,
        /// What its first key is described by; no other key can manage the organization [default: owner, or no key where
        /// a person asks and names no networks].
        #[arg(long, value_name = "DESCRIPTION")]
        owner_key: Option<String>,
        #[command(flatten)]
        networks: Networks,
    },
    /// Rename an organization.
    Update {
        #[command(flatten)]
        organization: Organization,
        /// Its new name.
        #[arg(long)]
        name: String,
    },
    /// Delete an organization without projects, and its keys with it.
    Delete {
        /// Which one; never guessed.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        #[command(flatten)]
        only: DryRun,
    },
}

const COLUMNS: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("name", |one| text(one, "name")),
    Column::new("created", |one| text(one, "created")),
];

const MADE: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("name", |one| text(one, "name")),
    Column::new("key id", |one| text(&one["apiKey"], "id")),
    Column::new("key description", |one| text(&one["apiKey"], "desc")),
    Column::new("public key", |one| text(&one["apiKey"], "publicKey")),
    Column::new("private key", |one| text(&one["apiKey"], "privateKey")),
];

impl Remote for Organizations {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::List => Ok(Shown::Many(api.all("/orgs", "", None).await?, COLUMNS)),
            Self::Show(organization) => {
                let id = api.organization(organization.org).await?;
                Ok(Shown::One(api.get(&format!("/orgs/{id}")).await?, COLUMNS))
            }
            Self::Create { name, access_lists, owner_key, networks } => {
                let entries = networks.entries(api, None).await?;
                let mut body = json!({"name": name, "apiAccessListMode": access_lists.as_str()});
                if matches!(api.asker(), Asker::Person { .. }) && owner_key.is_none() && entries.is_empty() {
                    return Ok(Shown::One(api.post("/orgs", &body).await?, COLUMNS));
                }
                body["apiKey"] = json!({
                    "desc": owner_key.unwrap_or_else(|| "owner".to_owned()),
                    "roles": ["ORG_OWNER"],
                    "accessList": entries,
                });
                Ok(Shown::Once(api.post("/orgs", &body).await?, MADE, "private key"))
            }
            Self::Update { organization, name } => {
                let id = api.organization(organization.org).await?;
                Ok(Shown::One(api.patch(&format!("/orgs/{id}"), &json!({"name": name})).await?, COLUMNS))
            }
            Self::Delete { id, only } => {
                let gone = api.delete(&format!("/orgs/{id}{}", only.query())).await?;
                Ok(made(gone, |_| Shown::Done(format!("organization {id} is deleted"))))
            }
        }
    }
}
