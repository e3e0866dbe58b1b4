//! `portcullis settings`: the switch of an organization, and how long secrets of service accounts last at most.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::api::Api;
use super::arguments::{Meant, Mode, Organization, hours};
use super::rehearsal::made;
use super::shown::{Column, Shown, recent, text};
use super::{Fault, Remote};
use crate::access::id::Id;

/// What is done with the settings of an organization.
#[derive(clap::Subcommand)]
pub enum Settings {
    /// The switch that makes access lists mandatory, and the rest.
    Show(Organization),
    /// Whom the switch refuses once lists are required: credentials that work and have no list, and from where they were
    /// used of late.
    Preview(Organization),
    /// Turn the switch, or change the rest.
    Update {
        #[command(flatten)]
        organization: Organization,
        /// The position of the switch.
        #[arg(long, value_enum, required_unless_present = "secret_hours")]
        access_lists: Option<Mode>,
        /// In the same step, put the addresses that `preview` shows on the lists of those that have none: all of it, or nothing.
        /// Look at them first; whoever used a stolen key is among them.
        #[arg(long, requires = "access_lists")]
        add_recent: bool,
        /// How long new secrets of service accounts last at most, 8 to 8760 hours.
        #[arg(long, value_name = "HOURS", value_parser = hours())]
        secret_hours: Option<u32>,
        #[command(flatten)]
        meant: Meant,
    },
}

const COLUMNS: &[Column] = &[
    Column::new("access lists", |one| text(one, "apiAccessListMode")),
    Column::new("secret hours", |one| text(one, "maxServiceAccountSecretValidityInHours")),
];

/// How often credentials without a list are read before it is given up.
const ATTEMPTS: usize = 3;

const UNLISTED: &[Column] = &[
    Column::new("id", |one| [text(one, "apiKeyId"), text(one, "clientId")].concat()),
    Column::new("name", |one| text(one, "name")),
    Column::new("last used", |one| text(one, "lastUsed")),
    Column::new("used from", recent),
];

/// What puts the addresses that credentials were used from on their lists.
fn additions(found: &Value) -> Value {
    let entry =
        |used: &Value| json!({"ipAddress": used["address"], "comment": "seen in use when lists became required"});
    let addition = |one: &Value| {
        let entries: Vec<Value> = one["recentAddresses"].as_array()?.iter().map(entry).collect();
        let name = if one["apiKeyId"].is_string() { "apiKeyId" } else { "clientId" };
        (!entries.is_empty()).then(|| json!({name: one[name], "entries": entries}))
    };
    found["results"].as_array().into_iter().flatten().filter_map(addition).collect()
}

/// The credentials without a list. They are listed by their last use, so that one that is used meanwhile may change places
/// with one of another page: what has not been read whole is read again.
async fn unlisted(api: &Api, id: Id) -> Result<Value, Fault> {
    for _ in 0..ATTEMPTS {
        let found = api.all(&format!("/orgs/{id}/unlisted"), "", None).await?;
        if is_whole(&found) {
            return Ok(found);
        }
    }
    let why = "the credentials without a list are used faster than they are read; run it again in a quieter moment, or put \
               their addresses on lists one by one";
    Err(Fault::Held(why.to_owned()))
}

/// Whether each of them is there once.
fn is_whole(found: &Value) -> bool {
    let names = |one: &Value| [text(one, "apiKeyId"), text(one, "clientId")].concat();
    let distinct: HashSet<String> = found["results"].as_array().into_iter().flatten().map(names).collect();
    found["totalCount"].as_u64() == Some(distinct.len() as u64)
}

impl Remote for Settings {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::Show(organization) => {
                let id = api.organization(organization.org).await?;
                Ok(Shown::One(api.get(&format!("/orgs/{id}/settings")).await?, COLUMNS))
            }
            Self::Preview(organization) => {
                let id = api.organization(organization.org).await?;
                Ok(Shown::Many(unlisted(api, id).await?, UNLISTED))
            }
            Self::Update { organization, access_lists, add_recent, secret_hours, meant } => {
                let id = api.organization(organization.org).await?;
                let path = format!("/orgs/{id}/settings{}", meant.query());
                let mut body = Map::new();
                body.extend(access_lists.map(|mode| ("apiAccessListMode".to_owned(), json!(mode.as_str()))));
                let most = "maxServiceAccountSecretValidityInHours";
                body.extend(secret_hours.map(|hours| (most.to_owned(), json!(hours))));
                if add_recent {
                    let found = unlisted(api, id).await?;
                    body.insert("accessListAdditions".to_owned(), additions(&found));
                }
                Ok(made(api.patch(&path, &Value::Object(body)).await?, |settings| Shown::One(settings, COLUMNS)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_whole;

    #[test]
    fn what_changed_places_while_it_was_read_is_not_whole() {
        let (key, account) = (json!({"apiKeyId": "1"}), json!({"clientId": "2"}));
        assert!(is_whole(&json!({"totalCount": 2, "results": [key, account]})));
        assert!(is_whole(&json!({"totalCount": 0, "results": []})));
        assert!(!is_whole(&json!({"totalCount": 2, "results": [key, key]})));
        assert!(!is_whole(&json!({"totalCount": 2, "results": [key]})));
    }
}
