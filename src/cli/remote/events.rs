//! `portcullis events`: the record of changes.

use super::api::Api;
use super::arguments::{Organization, id, time};
use super::shown::{Column, Shown, text};
use super::{Fault, Remote};
use crate::access::id::Id;
use crate::clock::Timestamp;

/// What is done with events.
#[derive(clap::Subcommand)]
pub enum Events {
    /// What was changed, newest first.
    List {
        #[command(flatten)]
        place: Place,
        /// Only events of this type, such as API_KEY_CREATED; may be there several times.
        #[arg(long = "type", value_name = "TYPE", value_parser = event_type)]
        types: Vec<String>,
        /// Not before this time.
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<Timestamp>,
        /// Not after this time.
        #[arg(long, value_name = "TIME", value_parser = time)]
        until: Option<Timestamp>,
        /// At most so many; all of them, where it is left out.
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
    },
    /// One event.
    Show {
        /// Which one.
        #[arg(value_name = "ID", value_parser = id)]
        id: Id,
        #[command(flatten)]
        place: Place,
    },
}

/// Where it happened.
#[derive(clap::Args)]
pub struct Place {
    #[command(flatten)]
    organization: Organization,
    /// Only in this project.
    #[arg(long, value_name = "ID", value_parser = id)]
    project: Option<Id>,
}

impl Place {
    async fn path(&self, api: &Api) -> Result<String, Fault> {
        match self.project {
            Some(project) => Ok(format!("/groups/{project}/events")),
            None => Ok(format!("/orgs/{}/events", api.organization(self.organization.org).await?)),
        }
    }
}

/// A name such as `API_KEY_CREATED`. The API takes any, and so does this: a newer API has newer ones.
fn event_type(text: &str) -> Result<String, String> {
    let upper = text.to_ascii_uppercase().replace('-', "_");
    let is_name = !upper.is_empty() && upper.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(upper).ok_or_else(|| "a type is a name like API_KEY_CREATED".to_owned())
}

/// Whoever did it.
fn actor(event: &serde_json::Value) -> String {
    [text(event, "publicKey"), text(event, "username")].concat()
}

/// What it was done to.
fn target(event: &serde_json::Value) -> String {
    let target = match text(event, "targetPublicKey") {
        public_key if public_key.is_empty() => text(event, "targetId"),
        public_key => public_key,
    };
    [target, text(event, "whitelistEntry"), text(event, "detail")].into_iter().filter(|part| !part.is_empty()).fold(
        String::new(),
        |mut told, part| {
            if !told.is_empty() {
                told.push(' ');
            }
            told.push_str(&part);
            told
        },
    )
}

const COLUMNS: &[Column] = &[
    Column::new("created", |one| text(one, "created")),
    Column::new("type", |one| text(one, "eventTypeName")),
    Column::new("by", actor),
    Column::new("from", |one| text(one, "remoteAddress")),
    Column::new("on", target),
];

const WHOLE: &[Column] = &[
    Column::new("id", |one| text(one, "id")),
    Column::new("type", |one| text(one, "eventTypeName")),
    Column::new("created", |one| text(one, "created")),
    Column::new("revision", |one| text(one, "revision")),
    Column::new("organization", |one| text(one, "orgId")),
    Column::new("project", |one| text(one, "groupId")),
    Column::new("by", actor),
    Column::new("from", |one| text(one, "remoteAddress")),
    Column::new("on", target),
];

impl Remote for Events {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::List { place, types, since, until, limit } => {
                let mut query: String = types.iter().map(|name| format!("&eventType={name}")).collect();
                query.extend(since.map(|at| format!("&minDate={at}")));
                query.extend(until.map(|at| format!("&maxDate={at}")));
                Ok(Shown::Many(api.all(&place.path(api).await?, &query, limit).await?, COLUMNS))
            }
            Self::Show { id, place } => {
                Ok(Shown::One(api.get(&format!("{}/{id}", place.path(api).await?)).await?, WHOLE))
            }
        }
    }
}
