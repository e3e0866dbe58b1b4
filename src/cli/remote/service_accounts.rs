//! `portcullis service-accounts`: service accounts, their roles, their secrets and whose foreign tokens speak for them.

use serde_json::{Map, Value, json};

use super::api::Api;
use super::arguments::{
    DryRun, Enforcement, Meant, Networks, Organization, Place, client, hours, id, shown, time, time_or_never,
};
use super::rehearsal::made;
use super::shown::{Column, Shown, TRAFFIC, denial, recent, roles, text};
use super::{Fault, Remote};
use crate::access::client_id::ClientId;
use crate::access::id::Id;
use crate::clock::Timestamp;

/// What the API calls them in its paths.
const KIND: &str = "serviceAccounts";

/// What is done with service accounts.
#[derive(clap::Subcommand)]
pub enum ServiceAccounts {
    /// The service accounts of an organization or project.
    List(Place),
    /// One service account.
    Show(Account),
    /// From where a service account was used in the last 30 days, and what became of it.
    Traffic {
        /// Which one.
        #[arg(value_name = "CLIENT_ID", value_parser = client)]
        id: ClientId,
        #[command(flatten)]
        organization: Organization,
    },
    /// Make a service account; its secret is shown this once.
    Create {
        #[command(flatten)]
        place: Place,
        /// What it is called, 1 to 64 characters.
        #[arg(long, value_name = "TEXT")]
        name: String,
        /// What it is for, 1 to 250 characters [default: its name].
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// A role here, such as ORG_READ_ONLY or app:reader; may be there several times.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// How long its secret lasts, 8 to 8760 hours; without it there is none, and foreign tokens or a certificate have to be
        /// named.
        #[arg(long, value_name = "HOURS", value_parser = hours(), required_unless_present_any = [
            "token_issuer", "certificate_uri", "certificate_sha256",
        ])]
        secret_hours: Option<u32>,
        #[command(flatten)]
        token: Token,
        #[command(flatten)]
        certificate: Certificate,
        /// When it stops working.
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires_at: Option<Timestamp>,
        /// Whether its access list refuses, or only reports.
        #[arg(long, value_enum)]
        enforcement: Option<Enforcement>,
        #[command(flatten)]
        networks: Networks,
    },
    /// Change a service account.
    Update {
        #[command(flatten)]
        account: Account,
        /// What it is called.
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// What it is for.
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// All its roles here; may be there several times.
        #[arg(long = "role", value_name = "ROLE", conflicts_with = "no_roles")]
        roles: Vec<String>,
        /// Take all its roles here from it.
        #[arg(long)]
        no_roles: bool,
        #[command(flatten)]
        token: Token,
        /// Let no foreign tokens speak for it.
        #[arg(long, conflicts_with = "token_issuer")]
        no_token: bool,
        #[command(flatten)]
        certificate: Certificate,
        /// Let no client certificate speak for it.
        #[arg(long, conflicts_with_all = ["certificate_uri", "certificate_sha256"])]
        no_certificate: bool,
        /// Let it work again.
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        /// Refuse it, and the tokens that it has, until it is enabled again.
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
    /// Delete a service account; its tokens are refused from then on.
    Delete {
        /// Which one.
        #[arg(value_name = "CLIENT_ID", value_parser = client)]
        id: ClientId,
        #[command(flatten)]
        organization: Organization,
        #[command(flatten)]
        only: DryRun,
    },
    /// Give a service account of the organization roles on a project.
    Assign {
        /// Which one.
        #[arg(value_name = "CLIENT_ID", value_parser = client)]
        id: ClientId,
        /// The project.
        #[arg(long, value_name = "ID", value_parser = id)]
        project: Id,
        /// A role on it; may be there several times.
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
        #[command(flatten)]
        only: DryRun,
    },
    /// Take every role on a project from a service account.
    Unassign {
        /// Which one.
        #[arg(value_name = "CLIENT_ID", value_parser = client)]
        id: ClientId,
        /// The project.
        #[arg(long, value_name = "ID", value_parser = id)]
        project: Id,
        #[command(flatten)]
        only: DryRun,
    },
    /// The secrets of a service account: two while it is rotated.
    #[command(subcommand, arg_required_else_help = true)]
    Secrets(Secrets),
    /// The tokens of a service account that work.
    #[command(subcommand, arg_required_else_help = true)]
    Tokens(Tokens),
}

/// What is done with the tokens of a service account.
#[derive(clap::Subcommand)]
pub enum Tokens {
    /// When each was made, from which secret, and when it ends.
    List(Account),
    /// Revoke all of them; whoever has a secret of the account can get another one.
    Revoke(Account),
}

/// What is done with the secrets of a service account.
#[derive(clap::Subcommand)]
pub enum Secrets {
    /// The secrets of a service account, masked.
    List(Account),
    /// Make a second secret, which is shown this once; the first one works for seven more days at most.
    Add {
        #[command(flatten)]
        account: Account,
        /// How long it lasts, 8 to 8760 hours.
        #[arg(long, value_name = "HOURS", value_parser = hours())]
        secret_hours: u32,
    },
    /// Take a secret away; the tokens made from it are refused from then on.
    Remove {
        #[command(flatten)]
        account: Account,
        /// The secret, by the id that `secrets list` shows.
        #[arg(value_name = "SECRET_ID", value_parser = id)]
        secret: Id,
    },
}

/// One service account.
#[derive(clap::Args)]
pub struct Account {
    /// Which one.
    #[arg(value_name = "CLIENT_ID", value_parser = client)]
    id: ClientId,
    #[command(flatten)]
    place: Place,
}

/// Whose foreign tokens speak for an account.
#[derive(clap::Args)]
pub struct Token {
    /// The exact `iss` of foreign tokens that speak for it.
    #[arg(long, value_name = "TEXT", requires = "token_subject")]
    token_issuer: Option<String>,
    /// Their exact `sub`.
    #[arg(long, value_name = "TEXT", requires = "token_issuer")]
    token_subject: Option<String>,
}

/// Which client certificates speak for an account.
#[derive(clap::Args)]
pub struct Certificate {
    /// A URI of client certificates that speak for it, such as spiffe://mesh/ns/orders/sa/api.
    #[arg(long, value_name = "URI", conflicts_with = "certificate_sha256")]
    certificate_uri: Option<String>,
    /// The SHA-256 of the one that does, in hexadecimal digits.
    #[arg(long, value_name = "SHA256")]
    certificate_sha256: Option<String>,
}

impl Certificate {
    fn as_asked(&self) -> Option<Value> {
        let uri = self.certificate_uri.as_ref().map(|uri| json!({"sanUri": uri}));
        uri.or_else(|| self.certificate_sha256.as_ref().map(|hash| json!({"sha256": hash})))
    }
}

impl Account {
    async fn path(&self, api: &Api) -> Result<String, Fault> {
        Ok(format!("{}/{}", self.place.path(api, KIND).await?, self.id))
    }
}

impl Token {
    fn as_asked(&self) -> Option<Value> {
        let subject = self.token_issuer.as_ref().zip(self.token_subject.as_ref());
        subject.map(|(issuer, subject)| json!({"issuer": issuer, "subject": subject}))
    }
}

/// What is shown once.
const SECRET: &str = "secret";

const COLUMNS: &[Column] = &[
    Column::new("client id", |one| text(one, "clientId")),
    Column::new("name", |one| text(one, "name")),
    Column::new("roles", roles),
    Column::new("enabled", |one| text(one, "enabled")),
    Column::new("expires", |one| text(one, "expiresAt")),
    Column::new("last used", |one| text(one, "lastUsedAt")),
];

const WHOLE: &[Column] = &[
    Column::new("client id", |one| text(one, "clientId")),
    Column::new("name", |one| text(one, "name")),
    Column::new("description", |one| text(one, "description")),
    Column::new("secret", new_secret),
    Column::new("foreign tokens", foreign),
    Column::new("certificate", certificate),
    Column::new("roles", roles),
    Column::new("enabled", |one| text(one, "enabled")),
    Column::new("expires", |one| text(one, "expiresAt")),
    Column::new("enforcement", |one| text(one, "enforcement")),
    Column::new("created", |one| text(one, "createdAt")),
    Column::new("last used", |one| text(one, "lastUsedAt")),
    Column::new("last used address", |one| text(one, "lastUsedAddress")),
    Column::new("last denial", denial),
    Column::new("recent addresses", recent),
];

const SECRETS: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("secret", |one| text(one, "maskedSecretValue")),
    Column::new("created", |one| text(one, "createdAt")),
    Column::new("expires", |one| text(one, "expiresAt")),
    Column::new("last used", |one| text(one, "lastUsedAt")),
];

const TOKENS: &[Column] = &[
    Column::new("issued", |one| text(one, "issuedAt")),
    Column::new("expires", |one| text(one, "expiresAt")),
    Column::new("secret", |one| text(one, "secretId")),
    Column::new("id", |one| text(one, "id")),
];

const NEW_SECRET: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("secret", |one| text(one, "secret")),
    Column::new("created", |one| text(one, "createdAt")),
    Column::new("expires", |one| text(one, "expiresAt")),
];

/// The secret that was just made.
fn new_secret(account: &Value) -> String {
    let secrets = account["secrets"].as_array().into_iter().flatten();
    secrets.filter_map(|one| one["secret"].as_str()).collect()
}

/// Whose foreign tokens speak for it.
fn foreign(account: &Value) -> String {
    match account.get("token") {
        Some(token) => format!("{} of {}", text(token, "subject"), text(token, "issuer")),
        None => String::new(),
    }
}

/// Which client certificates speak for it.
fn certificate(account: &Value) -> String {
    match account.get("certificate") {
        Some(name) => format!("{}{}", text(name, "sanUri"), text(name, "sha256")),
        None => String::new(),
    }
}

impl Remote for ServiceAccounts {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::List(place) => Ok(Shown::Many(api.all(&place.path(api, KIND).await?, "", None).await?, COLUMNS)),
            Self::Show(account) => Ok(Shown::One(api.get(&account.path(api).await?).await?, WHOLE)),
            Self::Traffic { id, organization } => {
                let path = format!("{}/{id}/traffic", organization.path(api, KIND).await?);
                Ok(Shown::Many(api.all(&path, "", None).await?, TRAFFIC))
            }
            Self::Create {
                place,
                name,
                description,
                roles,
                secret_hours,
                token,
                certificate,
                expires_at,
                enforcement,
                networks,
            } => {
                let mut body = Map::new();
                body.insert("name".into(), json!(name));
                body.insert("roles".into(), json!(roles));
                body.insert("accessList".into(), json!(networks.entries(api, None).await?));
                body.extend(description.map(|text| ("description".to_owned(), json!(text))));
                body.extend(secret_hours.map(|hours| ("secretExpiresAfterHours".to_owned(), json!(hours))));
                body.extend(token.as_asked().map(|token| ("token".to_owned(), token)));
                body.extend(certificate.as_asked().map(|name| ("certificate".to_owned(), name)));
                body.extend(expires_at.map(|at| ("expiresAt".to_owned(), shown(at))));
                body.extend(enforcement.map(|one| ("enforcement".to_owned(), json!(one.as_str()))));
                let made = api.post(&place.path(api, KIND).await?, &Value::Object(body)).await?;
                Ok(match secret_hours {
                    Some(_) => Shown::Once(made, WHOLE, SECRET),
                    None => Shown::One(made, WHOLE),
                })
            }
            Self::Update {
                account,
                name,
                description,
                roles,
                no_roles,
                token,
                no_token,
                certificate,
                no_certificate,
                enable,
                disable,
                expires_at,
                enforcement,
                meant,
            } => {
                let mut body = Map::new();
                body.extend(name.map(|name| ("name".to_owned(), json!(name))));
                body.extend(description.map(|text| ("description".to_owned(), json!(text))));
                body.extend((no_roles || !roles.is_empty()).then(|| ("roles".to_owned(), json!(roles))));
                let token = if no_token { Some(Value::Null) } else { token.as_asked() };
                body.extend(token.map(|token| ("token".to_owned(), token)));
                let certificate = if no_certificate { Some(Value::Null) } else { certificate.as_asked() };
                body.extend(certificate.map(|name| ("certificate".to_owned(), name)));
                body.extend((enable || disable).then(|| ("enabled".to_owned(), json!(enable))));
                body.extend(expires_at.map(|at| ("expiresAt".to_owned(), shown(at))));
                body.extend(enforcement.map(|one| ("enforcement".to_owned(), json!(one.as_str()))));
                if body.is_empty() {
                    return Err(Fault::Usage("name what is to be changed; `--help` lists what can be".into()));
                }
                let path = format!("{}{}", account.path(api).await?, meant.query());
                Ok(made(api.patch(&path, &Value::Object(body)).await?, |account| Shown::One(account, WHOLE)))
            }
            Self::Delete { id, organization, only } => {
                let path = format!("{}/{id}{}", organization.path(api, KIND).await?, only.query());
                Ok(made(api.delete(&path).await?, |_| Shown::Done(format!("service account {id} is deleted"))))
            }
            Self::Assign { id, project, roles, only } => {
                let path = format!("/groups/{project}/{KIND}/{id}{}", only.query());
                Ok(made(api.post(&path, &json!({"roles": roles})).await?, |account| Shown::One(account, WHOLE)))
            }
            Self::Unassign { id, project, only } => {
                let gone = api.delete(&format!("/groups/{project}/{KIND}/{id}{}", only.query())).await?;
                Ok(made(gone, |_| Shown::Done(format!("service account {id} has no role on project {project}"))))
            }
            Self::Secrets(secrets) => secrets.ask(api).await,
            Self::Tokens(Tokens::List(account)) => {
                Ok(Shown::Many(api.all(&format!("{}/tokens", account.path(api).await?), "", None).await?, TOKENS))
            }
            Self::Tokens(Tokens::Revoke(account)) => {
                api.delete(&format!("{}/tokens", account.path(api).await?)).await?;
                Ok(Shown::Done(format!(
                    "no token of service account {} that was made before works any more",
                    account.id
                )))
            }
        }
    }
}

impl Remote for Secrets {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::List(account) => {
                let shown = api.get(&account.path(api).await?).await?;
                Ok(Shown::Many(json!({"results": shown["secrets"]}), SECRETS))
            }
            Self::Add { account, secret_hours } => {
                let path = format!("{}/secrets", account.path(api).await?);
                let body = json!({"secretExpiresAfterHours": secret_hours});
                Ok(Shown::Once(api.post(&path, &body).await?, NEW_SECRET, SECRET))
            }
            Self::Remove { account, secret } => {
                api.delete(&format!("{}/secrets/{secret}", account.path(api).await?)).await?;
                Ok(Shown::Done(format!("secret {secret} of service account {} is gone", account.id)))
            }
        }
    }
}
