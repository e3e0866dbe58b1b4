//! `portcullis network-sets`: named networks that entries of access lists refer to.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::api::{Api, segment};
use super::arguments::{DryRun, Meant, Organization, address_or_network};
use super::rehearsal::made;
use super::shown::{Column, Shown, text};
use super::{Fault, Remote};
use crate::access::network::Network;
use crate::cli::ranges::{ListChoice, ListSource, list_source};
use crate::directory::provider_list;

/// What is done with network sets.
#[derive(clap::Subcommand)]
pub enum NetworkSets {
    /// The network sets of an organization.
    List {
        /// Only those that wait for a person: with a list that is held, or without a good one for too long.
        #[arg(long)]
        stuck: bool,
        #[command(flatten)]
        organization: Organization,
    },
    /// One network set.
    Show {
        /// Which one.
        name: String,
        #[command(flatten)]
        organization: Organization,
    },
    /// Make a network set.
    Create {
        /// Its name, unique in the organization. It stays.
        name: String,
        /// An address or a network that it holds; may be there several times.
        #[arg(value_name = "NETWORK", long = "cidr", visible_alias = "ip", required_unless_present_any = ["from", "source"], conflicts_with = "from", value_parser = address_or_network)]
        networks: Vec<Network>,
        #[command(flatten)]
        list: ProviderList,
        #[command(flatten)]
        source: SourceChoice,
        /// Who answers for it.
        #[arg(long, value_name = "TEXT")]
        owner: Option<String>,
        /// For people.
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        #[command(flatten)]
        organization: Organization,
    },
    /// Change a network set, for every list that refers to it at once. What is not named stays.
    Update {
        /// Which one.
        name: String,
        /// A network that it is to hold besides; may be there several times.
        #[arg(long, value_name = "NETWORK", conflicts_with = "from", value_parser = address_or_network)]
        add: Vec<Network>,
        /// A network that it is to hold no more; may be there several times.
        #[arg(long, value_name = "NETWORK", conflicts_with = "from", value_parser = address_or_network)]
        remove: Vec<Network>,
        /// All networks that it is to hold; may be there several times.
        #[arg(value_name = "NETWORK", long = "cidr", visible_alias = "ip", conflicts_with_all = ["add", "remove", "from"], value_parser = address_or_network)]
        networks: Vec<Network>,
        #[command(flatten)]
        list: ProviderList,
        #[command(flatten)]
        source: SourceChoice,
        /// Take its source away: it keeps the networks that it holds.
        #[arg(long, conflicts_with_all = ["source", "every"])]
        no_source: bool,
        /// Take a list by which more of the set comes or goes than `--most-change` says.
        #[arg(long, requires = "from")]
        confirm: bool,
        /// How much of the addresses or networks that the set holds may come or go by a list, in hundredths; more is held.
        #[arg(long, value_name = "PERCENT", default_value_t = 30, requires = "from")]
        most_change: u64,
        /// Who answers for it; an empty one is nobody.
        #[arg(long, value_name = "TEXT")]
        owner: Option<String>,
        /// For people; an empty one is none.
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        #[command(flatten)]
        meant: Meant,
        #[command(flatten)]
        organization: Organization,
    },
    /// Have the source of a network set asked now, and wait for what comes of it.
    Refresh {
        /// Which one.
        name: String,
        #[command(flatten)]
        organization: Organization,
    },
    /// Make a network set what the list of its source says that is held, and that you have looked at.
    Confirm {
        /// Which one.
        name: String,
        /// The id of the list, from where it was looked at: `show` and `refresh` print it with the networks.
        id: String,
        #[command(flatten)]
        meant: Meant,
        #[command(flatten)]
        organization: Organization,
    },
    /// Delete a network set that no access list refers to.
    Delete {
        /// Which one.
        name: String,
        #[command(flatten)]
        organization: Organization,
        #[command(flatten)]
        only: DryRun,
    },
}

/// Where the networks of a set are taken from.
#[derive(clap::Args)]
pub struct ProviderList {
    /// A list that a provider publishes, in place of all networks: a file, or an https address; `-` reads it from standard
    /// input.
    #[arg(long, value_name = "LIST", value_parser = list_source)]
    from: Option<ListSource>,
    #[command(flatten)]
    choice: ListChoice,
}

impl ProviderList {
    /// `is_chosen_from` says that the choice is that of a source.
    async fn networks(&self, is_chosen_from: bool) -> Result<Option<Vec<Network>>, Fault> {
        match &self.from {
            Some(source) => Ok(Some(self.choice.read(source).await?)),
            None if self.choice.is_said() && !is_chosen_from => {
                Err(Fault::Usage("`--form`, `--service` and `--region` need `--from` or `--source`".into()))
            }
            None => Ok(None),
        }
    }
}

/// Where a set takes its networks from by itself.
#[derive(clap::Args)]
pub struct SourceChoice {
    /// A list that the gateway reads by itself, again and again: an https address, or a file of the folder that its
    /// configuration allows.
    #[arg(long, value_name = "LIST", conflicts_with = "from")]
    source: Option<String>,
    /// How often, such as 6h [default: 6h].
    #[arg(long, value_name = "DURATION")]
    every: Option<String>,
}

impl SourceChoice {
    /// The source as the API takes it: this one, or the one that the set has, asked as often as is said.
    fn asked(&self, choice: &ListChoice, present: &Value) -> Result<Value, Fault> {
        let mut source = match &self.source {
            Some(list) => {
                let mut source = choice.asked();
                let is_url = ["https://", "http://"].iter().any(|scheme| list.starts_with(scheme));
                source.insert(if is_url { "url" } else { "file" }.into(), json!(list));
                Value::Object(source)
            }
            None => present.clone(),
        };
        match (&self.every, source.is_object()) {
            (Some(every), true) => source["every"] = json!(every),
            (Some(_), false) => return Err(Fault::Usage("`--every` needs a source: `--source LIST`".into())),
            (None, _) => {}
        }
        Ok(source)
    }
}

/// How often it is looked whether anything has come of a source, and how long in between.
const LOOKS: u32 = 300;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Holds a list back by which too much of a set would change: a provider's mistake opens no door and closes none.
fn hold(name: &str, set: &Value, after: &[Network], most: u64) -> Result<(), Fault> {
    let held = set["networks"].as_array().into_iter().flatten().filter_map(|one| one.as_str()?.parse().ok());
    match provider_list::drift(&held.collect::<Vec<Network>>(), after).too_much(most) {
        None => Ok(()),
        Some(why) => Err(Fault::Held(format!(
            "by this list too much of network set `{name}` would change: {why}; look at the list, and repeat the command with \
             `--confirm` if it is right"
        ))),
    }
}

const COLUMNS: &[Column] = &[
    Column::new("name", |one| text(one, "name")),
    Column::new("networks", networks),
    Column::new("owner", |one| text(one, "owner")),
    Column::new("comment", |one| text(one, "comment")),
    Column::new("lists", |one| text(one, "accessListCount")),
    Column::new("created", |one| text(one, "created")),
];

/// In the list of all.
const LISTED: &[Column] = &[
    COLUMNS[0],
    COLUMNS[1],
    Column::new("state", |one| text(&one["refresh"], "state")),
    Column::new("since", |one| text(&one["refresh"], "since")),
    COLUMNS[2],
    COLUMNS[3],
    COLUMNS[4],
    COLUMNS[5],
];

/// Of those that wait for a person.
const STUCK: &[Column] = &[
    COLUMNS[0],
    LISTED[2],
    LISTED[3],
    Column::new("why", |one| match one["held"].is_object() {
        true => text(&one["held"], "reason"),
        false => text(&one["refresh"], "fault"),
    }),
    Column::new("organization", |one| text(one, "orgId")),
];

/// Of one that has a source.
const SOURCED: &[Column] = &[
    COLUMNS[0],
    COLUMNS[1],
    Column::new("source", |one| {
        let source = &one["source"];
        format!("{}{}", text(source, "url"), text(source, "file"))
    }),
    Column::new("every", |one| text(&one["source"], "every")),
    LISTED[2],
    LISTED[3],
    Column::new("last good", |one| text(&one["refresh"], "lastGood")),
    Column::new("fault", |one| text(&one["refresh"], "fault")),
    Column::new("held", |one| text(&one["held"], "reason")),
    Column::new("held id", |one| text(&one["held"], "id")),
    Column::new("held networks", |one| networks(&one["held"])),
    COLUMNS[2],
    COLUMNS[3],
    COLUMNS[4],
    COLUMNS[5],
];

/// One set.
fn shown(set: Value) -> Shown {
    let columns = if set["source"].is_object() { SOURCED } else { COLUMNS };
    Shown::One(set, columns)
}

fn networks(one: &Value) -> String {
    let all = one["networks"].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
}

/// Where the sets are.
async fn all(api: &Api, organization: &Organization) -> Result<String, Fault> {
    Ok(format!("/orgs/{}/networkSets", api.organization(organization.org).await?))
}

async fn one(api: &Api, organization: &Organization, name: &str) -> Result<String, Fault> {
    Ok(format!("{}/{}", all(api, organization).await?, segment(name)))
}

/// The sets that wait for a person: of one organization, or of all that the caller sees.
async fn stuck(api: &Api, organization: &Organization) -> Result<Shown, Fault> {
    let organizations = match organization.org {
        Some(id) => vec![id.to_string()],
        None => {
            let all = api.all("/orgs", "", None).await?;
            all["results"].as_array().into_iter().flatten().map(|one| text(one, "id")).collect()
        }
    };
    let mut found = Vec::new();
    for id in organizations {
        let sets = api.all(&format!("/orgs/{id}/networkSets"), "", None).await?;
        let sets = sets["results"].as_array().into_iter().flatten();
        let is_stuck = |one: &&Value| matches!(one["refresh"]["state"].as_str(), Some("held" | "overdue"));
        found.extend(sets.filter(is_stuck).cloned());
    }
    Ok(Shown::Many(json!({"totalCount": found.len(), "results": found}), STUCK))
}

/// The networks that a set holds, with these added and those removed.
fn changed(set: &Value, add: &[Network], remove: &[Network]) -> Result<Vec<String>, Fault> {
    let held = set["networks"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut held: Vec<String> = held.map(str::to_owned).collect();
    for network in remove {
        let text = network.to_string();
        if !held.contains(&text) {
            return Err(Fault::Usage(format!("the set does not hold {text}; `portcullis network-sets show` shows it")));
        }
        held.retain(|one| *one != text);
    }
    for text in add.iter().map(ToString::to_string) {
        if !held.contains(&text) {
            held.push(text);
        }
    }
    Ok(held)
}

impl Remote for NetworkSets {
    async fn ask(self, api: &Api) -> Result<Shown, Fault> {
        match self {
            Self::List { stuck: true, organization } => stuck(api, &organization).await,
            Self::List { stuck: false, organization } => {
                Ok(Shown::Many(api.all(&all(api, &organization).await?, "", None).await?, LISTED))
            }
            Self::Show { name, organization } => Ok(shown(api.get(&one(api, &organization, &name).await?).await?)),
            Self::Create { name, networks, list, source, owner, comment, organization } => {
                let networks = list.networks(source.source.is_some()).await?.unwrap_or(networks);
                let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                let source = source.asked(&list.choice, &Value::Null)?;
                let body = json!({
                    "name": name, "networks": networks, "source": source, "owner": owner, "comment": comment,
                });
                Ok(shown(api.post(&all(api, &organization).await?, &body).await?))
            }
            Self::Update {
                name,
                add,
                remove,
                networks,
                list,
                source,
                no_source,
                confirm,
                most_change,
                owner,
                comment,
                meant,
                organization,
            } => {
                let listed = list.networks(source.source.is_some()).await?;
                let networks = listed.clone().unwrap_or(networks);
                let is_of_networks = !add.is_empty() || !remove.is_empty() || !networks.is_empty();
                let is_of_source = source.source.is_some() || source.every.is_some() || no_source;
                if !is_of_networks && !is_of_source && owner.is_none() && comment.is_none() {
                    let options = "`--add`, `--remove`, `--cidr`, `--from`, `--source`, `--owner` or `--comment`";
                    return Err(Fault::Usage(format!("name what is to be changed: {options}")));
                }
                let path = one(api, &organization, &name).await?;
                let (set, version) = api.get_versioned(&path).await?;
                if let Some(listed) = listed.filter(|_| !confirm) {
                    hold(&name, &set, &listed, most_change)?;
                }
                let networks = match networks.is_empty() {
                    true => changed(&set, &add, &remove)?,
                    false => networks.iter().map(ToString::to_string).collect(),
                };
                let kept = |new: Option<String>, known: &str| match new {
                    Some(text) if text.is_empty() => Value::Null,
                    Some(text) => json!(text),
                    None => set[known].clone(),
                };
                let source = match no_source {
                    true => Value::Null,
                    false => source.asked(&list.choice, &set["source"])?,
                };
                let body = json!({
                    "networks": networks,
                    "source": source,
                    "owner": kept(owner, "owner"),
                    "comment": kept(comment, "comment"),
                });
                let path = format!("{path}{}", meant.query());
                Ok(made(api.put(&path, version, &body).await?, shown))
            }
            Self::Refresh { name, organization } => {
                let path = one(api, &organization, &name).await?;
                let mut set = api.call(Method::POST, &format!("{path}/refresh"), None).await?;
                let wished = set["refresh"]["due"].clone();
                for _ in 0..LOOKS {
                    set = api.get(&path).await?;
                    // Due again, and not being asked: something has come of it.
                    if set["refresh"]["due"] != wished && set["refresh"]["asked"] == false {
                        return Ok(shown(set));
                    }
                    tokio::time::sleep(BETWEEN_LOOKS).await;
                }
                Err(Fault::Held(format!(
                    "nothing has come of the source of network set `{name}` yet; `portcullis network-sets show {name}` tells of it later"
                )))
            }
            Self::Confirm { name, id, meant, organization } => {
                let path = format!("{}/held{}", one(api, &organization, &name).await?, meant.query());
                Ok(made(api.post(&path, &json!({"id": id})).await?, shown))
            }
            Self::Delete { name, organization, only } => {
                let path = format!("{}{}", one(api, &organization, &name).await?, only.query());
                Ok(made(api.delete(&path).await?, |_| Shown::Done(format!("network set {name} is deleted"))))
            }
        }
    }
}
