//! `portcullis access-lists`: the access list of an API key or a service account.

use http::Method;
use serde_json::{Map, Value, json};

use super::api::{Api, PAGE, segment};
use super::arguments::{Meant, Networks, Organization, client, id, shown, time, time_or_never};
use super::rehearsal::made;
use super::shown::{Column, Shown, text};
use super::{Fault, Remote};
use crate::access::client_id::ClientId;
use crate::access::id::Id;
use crate::access::target::Target;
use crate::clock::Timestamp;

/// What is done with an access list.
#[derive(clap::Subcommand)]
pub enum AccessLists {
    /// The entries of a list.
    List(List),
    /// One entry.
    Show {
        /// The entry: exactly this address or network, or `set:NAME`.
        #[arg(value_name = "NETWORK", value_parser = target)]
        entry: Target,
        #[command(flatten)]
        list: List,
    },
    /// Add entries: all of them, or none. What is there already stays as it is.
    Create {
        #[command(flatten)]
        list: List,
        #[command(flatten)]
        networks: Networks,
        /// When they stop admitting.
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires_at: Option<Timestamp>,
        #[command(flatten)]
        meant: Meant,
    },
    /// Make the list exactly this.
    Replace {
        #[command(flatten)]
        list: List,
        #[command(flatten)]
        networks: Networks,
        /// When the entries stop admitting.
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires_at: Option<Timestamp>,
        /// Make it empty.
        #[arg(long, conflicts_with_all = ["ip", "cidr", "set", "current_ip", "comment", "expires_at"])]
        none: bool,
        #[command(flatten)]
        meant: Meant,
    },
    /// Change comment or end of an entry.
    Update {
        /// The entry: exactly this address or network, or `set:NAME`.
        #[arg(value_name = "NETWORK", value_parser = target)]
        entry: Target,
        #[command(flatten)]
        list: List,
        /// Another comment; an empty one is none.
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        /// When it stops admitting, or `never`.
        #[arg(long, value_name = "TIME", value_parser = time_or_never)]
        expires_at: Option<Timestamp>,
        #[command(flatten)]
        meant: Meant,
    },
    /// Remove an entry.
    Delete {
        /// The entry: exactly this address or network, or `set:NAME`.
        #[arg(value_name = "NETWORK", value_parser = target)]
        entry: Target,
        #[command(flatten)]
        list: List,
        #[command(flatten)]
        meant: Meant,
    },
}

/// Whose list.
#[derive(clap::Args)]
pub struct List {
    #[command(flatten)]
    owner: Owner,
    #[command(flatten)]
    organization: Organization,
}

/// The credential that has a list.
#[derive(Clone, Copy, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Owner {
    /// The API key, by its id.
    #[arg(long, value_name = "ID", value_parser = id)]
    api_key: Option<Id>,
    /// The service account, by its client id.
    #[arg(long, value_name = "CLIENT_ID", value_parser = client)]
    service_account: Option<ClientId>,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.api_key, self.service_account) {
            (Some(id), _) => write!(f, "API key {id}"),
            (None, Some(id)) => write!(f, "service account {id}"),
            (None, None) => Ok(()),
        }
    }
}

impl List {
    async fn path(&self, api: &Api) -> Result<String, Fault> {
        let of = async |kind, id: String| Ok(format!("{}/{id}/accessList", self.organization.path(api, kind).await?));
        match (self.owner.api_key, self.owner.service_account) {
            (Some(id), _) => of("apiKeys", id.to_string()).await,
            (None, Some(id)) => of("serviceAccounts", id.to_string()).await,
            (None, None) => Err(Fault::Usage("name whose list: `--api-key` or `--service-account`".into())),
        }
    }

    async fn entry(&self, api: &Api, entry: &Target) -> Result<String, Fault> {
        Ok(format!("{}/{}", self.path(api).await?, segment(&entry.to_string())))
    }
}

/// An entry by its network, by its address, or by its set.
fn target(text: &str) -> Result<Target, String> {
    text.parse().map_err(|fault: crate::access::network::NetworkFault| fault.to_string())
}

/// What an entry admits.
fn admits(one: &Value) -> String {
    match one["set"].as_str() {
        Some(name) => Target::Set(name.into()).to_string(),
        None => text(one, "cidrBlock"),
    }
}

/// An attribute of the entries of keys, or the same as those of service accounts spell it.
fn either(one: &Value, of_key: &str, of_account: &str) -> String {
    text(one, if one.get(of_key).is_some() { of_key } else { of_account })
}

const COLUMNS: &[Column] = &[
    Column::new("network", admits),
    Column::new("comment", |one| text(one, "comment")),
    Column::new("expires", |one| text(one, "expiresAt")),
    Column::new("created", |one| either(one, "created", "createdAt")),
    Column::new("count", |one| either(one, "count", "requestCount")),
    Column::new("last used", |one| either(one, "lastUsed", "lastUsedAt")),
    Column::new("last used address", |one| text(one, "lastUsedAddress")),
];

/// Writes a list, and shows all of it.
async fn write(method: Method, api: &Api, path: &str, meant: &Meant, entries: Vec<Value>) -> Result<Shown, Fault> {
    let query = match meant.query() {
        "" => format!("?itemsPerPage={PAGE}"),
        meant => format!("{meant}&itemsPerPage={PAGE}"),
    };
    let first = api.call(method, &format!("{path}{query}"), Some(&Value::Array(entries))).await?;
    if first["dryRun"] == true {
        return Ok(Shown::Rehearsed(first));
    }
    let address = |number: u64| format!("{path}?itemsPerPage={PAGE}&pageNum={number}");
    Ok(Shown::Many(api.rest(first, address, None).await?, COLUMNS))
}

impl Remote for AccessLists {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::List(list) => Ok(Shown::Many(api.all(&list.path(api).await?, "", None).await?, COLUMNS)),
            Self::Show { entry, list } => Ok(Shown::One(api.get(&list.entry(api, &entry).await?).await?, COLUMNS)),
            Self::Create { list, networks, expires_at, meant } => {
                let entries = networks.some(api, expires_at).await?;
                write(Method::POST, api, &list.path(api).await?, &meant, entries).await
            }
            Self::Replace { list, networks, expires_at, none, meant } => {
                let entries = match none {
                    true => Vec::new(),
                    false => networks.some(api, expires_at).await?,
                };
                write(Method::PUT, api, &list.path(api).await?, &meant, entries).await
            }
            Self::Update { entry, list, comment, expires_at, meant } => {
                let mut body = Map::new();
                let comment = comment.map(|text| if text.is_empty() { Value::Null } else { json!(text) });
                body.extend(comment.map(|comment| ("comment".to_owned(), comment)));
                body.extend(expires_at.map(|at| ("expiresAt".to_owned(), shown(at))));
                if body.is_empty() {
                    return Err(Fault::Usage("name what is to be changed: `--comment` or `--expires-at`".into()));
                }
                let path = format!("{}{}", list.entry(api, &entry).await?, meant.query());
                Ok(made(api.patch(&path, &Value::Object(body)).await?, |entry| Shown::One(entry, COLUMNS)))
            }
            Self::Delete { entry, list, meant } => {
                let gone = api.delete(&format!("{}{}", list.entry(api, &entry).await?, meant.query())).await?;
                Ok(made(gone, |_| Shown::Done(format!("{entry} is off the access list of {}", list.owner))))
            }
        }
    }
}
