//! `portcullis api-keys`: API keys, their roles and their private keys.

use http::Method;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::arguments::{DryRun, Enforcement, Meant, Networks, Organization, Place, id, shown, time, time_or_never};
use super::rehearsal::made;
use super::shown::{Column, Shown, TRAFFIC, denial, recent, roles, text};
use super::{Fault, Remote};
use crate::access::id::Id;
use crate::clock::Timestamp;

/// What the API calls them in its paths.
const KIND: &str = "apiKeys";

/// What is done with API keys.
#[derive(clap::Subcommand)]
pub enum ApiKeys {
    /// The keys of an organization or project.
    List(Place),
    /// One key.
    Show(Key),
    /// From where a key was used in the last 30 days, and what became of it.
    Traffic(OneKey),
    /// Make a key; its private key is shown this once.
    Create {
        #[command(flatten)]
        place: Place,
        /// What it is for, 1 to 250 characters.
        #[arg(long, value_name = "TEXT")]
        desc: String,
        /// A role here, such as ORG_READ_ONLY or app:reader; may be there several times.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// When it stops working.
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires_at: Option<Timestamp>,
        /// Whether its access list refuses, or only reports.
        #[arg(long, value_enum)]
        enforcement: Option<Enforcement>,
        #[command(flatten)]
        networks: Networks,
    },
    /// Change a key.
    Update {
        #[command(flatten)]
        key: Key,
        /// What it is for.
        #[arg(long, value_name = "TEXT")]
        desc: Option<String>,
        /// All its roles here; may be there several times.
        #[arg(long = "role", value_name = "ROLE", conflicts_with = "no_roles")]
        roles: Vec<String>,
        /// Take all its roles here from it.
        #[arg(long)]
        no_roles: bool,
        /// Let it work again.
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        /// Refuse it until it is enabled again.
        #[arg(long)]
        disable: bool,
        /// When it stops working, or `never`.
        #[arg(long, value_name = "TIME", value_parser = time_or_never)]
        expires_at: Option<Timestamp>,
        /// Whether its access list refuses, or only reports.
        #[arg(long, value_enum)]
        enforcement: Option<Enforcement>,
        #[command(flatten)]
        meant: Meant,
    },
    /// Delete a key; it is refused from then on.
    Delete {
        /// Which one.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        #[command(flatten)]
        organization: Organization,
        #[command(flatten)]
        only: DryRun,
    },
    /// Give a key of the organization roles on a project.
    Assign {
        /// Which one.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        /// The project.
        #[arg(long, value_name = "ID", value_parser = id)]
        project: Id,
        /// A role on it; may be there several times.
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
        #[command(flatten)]
        only: DryRun,
    },
    /// Take every role on a project from a key.
    Unassign {
        /// Which one.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        /// The project.
        #[arg(long, value_name = "ID", value_parser = id)]
        project: Id,
        #[command(flatten)]
        only: DryRun,
    },
    /// The private keys of a key: two while it is rotated.
    #[command(subcommand, arg_required_else_help = true)]
    Secrets(Secrets),
}

/// What is done with the private keys of a key.
#[derive(clap::Subcommand)]
pub enum Secrets {
    /// The private keys of a key, masked.
    List {
        /// The key.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        #[command(flatten)]
        organization: Organization,
    },
    /// Make a second private key; it is shown this once.
    Add {
        /// The key.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        #[command(flatten)]
        organization: Organization,
    },
    /// Take a private key away; the last one stays.
    Remove {
        /// The key.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        /// The private key, by the id that `secrets list` shows.
        #[arg(value_name = "SECRET_ID", value_parser = id)]
        secret: Id,
        #[command(flatten)]
        organization: Organization,
    },
}

/// One key of an organization.
#[derive(clap::Args)]
pub struct OneKey {
    /// Which one.
    #[arg(value_name = "ID", value_parser = id)]
    id: Id,
    #[command(flatten)]
    organization: Organization,
}

/// One key.
#[derive(clap::Args)]
pub struct Key {
    /// Which one.
    #[arg(value_name = "ID", value_parser = id)]
    id: Id,
    #[command(flatten)]
    place: Place,
}

impl Key {
    /// The API shows one key by its organization alone.
    async fn shown_at(&self, api: &Api) -> Result<String, Fault> {
        Ok(format!("{}/{}", of_organization(api, &self.place.organization).await?, self.id))
    }
}

async fn of_organization(api: &Api, organization: &Organization) -> Result<String, Fault> {
    organization.path(api, KIND).await
}

/// What is shown once.
const SECRET: &str = "private key";

const COLUMNS: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("public key", |one| text(one, "publicKey")),
    Column::new("description", |one| text(one, "desc")),
    Column::new("roles", roles),
    Column::new("enabled", |one| text(one, "enabled")),
    Column::new("expires", |one| text(one, "expiresAt")),
];

const WHOLE: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("description", |one| text(one, "desc")),
    Column::new("public key", |one| text(one, "publicKey")),
    Column::new("private key", |one| text(one, "privateKey")),
    Column::new("roles", roles),
    Column::new("enabled", |one| text(one, "enabled")),
    Column::new("expires", |one| text(one, "expiresAt")),
    Column::new("enforcement", |one| text(one, "enforcement")),
    Column::new("created", |one| text(one, "created")),
    Column::new("last used", |one| text(one, "lastUsed")),
    Column::new("last used address", |one| text(one, "lastUsedAddress")),
    Column::new("last denial", denial),
    Column::new("recent addresses", recent),
];

const SECRETS: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("private key", |one| text(one, "maskedSecretValue")),
    Column::new("created", |one| text(one, "createdAt")),
];

const NEW_SECRET: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("private key", |one| text(one, "secret")),
    Column::new("created", |one| text(one, "createdAt")),
];

impl Remote for ApiKeys {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::List(place) => Ok(Shown::Many(api.all(&place.path(api, KIND).await?, "", None).await?, COLUMNS)),
            Self::Show(key) => Ok(Shown::One(api.get(&key.shown_at(api).await?).await?, WHOLE)),
            Self::Traffic(key) => {
                let path = format!("{}/{}/traffic", of_organization(api, &key.organization).await?, key.id);
                Ok(Shown::Many(api.all(&path, "", None).await?, TRAFFIC))
            }
            Self::Create { place, desc, roles, expires_at, enforcement, networks } => {
                let mut body = json!({
                    "desc": desc,
                    "roles": roles,
                    "accessList": networks.entries(api, None).await?,
                });
                if let Some(at) = expires_at {
                    body["expiresAt"] = shown(at);
                }
                if let Some(enforcement) = enforcement {
                    body["enforcement"] = json!(enforcement.as_str());
                }
                Ok(Shown::Once(api.post(&place.path(api, KIND).await?, &body).await?, WHOLE, SECRET))
            }
            Self::Update { key, desc, roles, no_roles, enable, disable, expires_at, enforcement, meant } => {
                let mut body = Map::new();
                body.extend(desc.map(|desc| ("desc".to_owned(), json!(desc))));
                body.extend((no_roles || !roles.is_empty()).then(|| ("roles".to_owned(), json!(roles))));
                body.extend((enable || disable).then(|| ("enabled".to_owned(), json!(enable))));
                body.extend(expires_at.map(|at| ("expiresAt".to_owned(), shown(at))));
                body.extend(enforcement.map(|one| ("enforcement".to_owned(), json!(one.as_str()))));
                if body.is_empty() {
                    return Err(Fault::Usage("name what is to be changed; `--help` lists what can be".into()));
                }
                let path = format!("{}/{}{}", key.place.path(api, KIND).await?, key.id, meant.query());
                Ok(made(api.patch(&path, &Value::Object(body)).await?, |key| Shown::One(key, WHOLE)))
            }
            Self::Delete { id, organization, only } => {
                let path = format!("{}/{id}{}", of_organization(api, &organization).await?, only.query());
                Ok(made(api.delete(&path).await?, |_| Shown::Done(format!("API key {id} is deleted"))))
            }
            Self::Assign { id, project, roles, only } => {
                let body = json!({"roles": roles});
                let done = api.post(&format!("/groups/{project}/apiKeys/{id}{}", only.query()), &body).await?;
                let told = || format!("API key {id} has {} on project {project}", roles.join(", "));
                Ok(made(done, |_| Shown::Done(told())))
            }
            Self::Unassign { id, project, only } => {
                let gone = api.delete(&format!("/groups/{project}/apiKeys/{id}{}", only.query())).await?;
                Ok(made(gone, |_| Shown::Done(format!("API key {id} has no role on project {project}"))))
            }
            Self::Secrets(secrets) => secrets.ask(api).await,
        }
    }
}

impl Remote for Secrets {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::List { id, organization } => {
                let key = api.get(&format!("{}/{id}", of_organization(api, &organization).await?)).await?;
                Ok(Shown::Many(json!({"results": key["secrets"]}), SECRETS))
            }
            Self::Add { id, organization } => {
                let path = format!("{}/{id}/secrets", of_organization(api, &organization).await?);
                Ok(Shown::Once(api.call(Method::POST, &path, None).await?, NEW_SECRET, SECRET))
            }
            Self::Remove { id, secret, organization } => {
                api.delete(&format!("{}/{id}/secrets/{secret}", of_organization(api, &organization).await?)).await?;
                Ok(Shown::Done(format!("private key {secret} of API key {id} is gone")))
            }
        }
    }
}
