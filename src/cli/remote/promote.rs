//! `portcullis promote`: lists that only report become lists that refuse, where nothing would have been refused for long enough.
//!
//! The API says who is quiet, and makes each change as if it were asked for by itself: with its guards, and as an event.

use std::collections::HashSet;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::api::Api;
use super::arguments::{Force, Organization, time};
use super::connection::ConnectionArgs;
use super::shown::{Column, Output, Shown, text};
use super::{Fault, told};
use crate::access::client_id::ClientId;
use crate::access::credential::{CredentialKind, Enforcement};
use crate::access::id::Id;
use crate::access::record::CredentialName;
use crate::clock::Timestamp;
use crate::config::units;

/// Most ids that the way back is told by; beyond, it is told by the time.
const NAMED: usize = 3;
/// What is recorded of each change.
const CHANGED: &str = "&eventType=API_KEY_ENFORCEMENT_CHANGED&eventType=SERVICE_ACCOUNT_ENFORCEMENT_CHANGED";

/// What `promote` takes.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("which").args(["ids", "since"]).multiple(true)))]
pub struct PromoteArgs {
    /// Only these: ids of API keys, client ids of service accounts.
    #[arg(value_name = "ID", value_parser = name)]
    ids: Vec<CredentialName>,
    /// Have the lists refuse of all that would have refused nothing for so long, such as 7d or 12h; up to 30d. Without it
    /// nothing is changed.
    #[arg(long, value_name = "DURATION", value_parser = quiet, conflicts_with = "back")]
    quiet_for: Option<Duration>,
    /// The way back: have the lists of these only report again, or of all that came to refuse since a time.
    #[arg(long, requires = "which")]
    back: bool,
    /// Those whose lists came to refuse at this time or later.
    #[arg(long, value_name = "TIME", value_parser = time, requires = "back", conflicts_with = "ids")]
    since: Option<Timestamp>,
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    force: Force,
    #[command(flatten)]
    organization: Organization,
    #[command(flatten)]
    connection: ConnectionArgs,
}

fn name(text: &str) -> Result<CredentialName, String> {
    let client = || text.parse::<ClientId>().map(CredentialName::service_account);
    let wrong = |_| "an id is 24 hexadecimal characters, that of a service account begins with pcl_sa_id_".to_owned();
    text.parse::<Id>().map(CredentialName::api_key).or_else(|_| client()).map_err(wrong)
}

fn quiet(text: &str) -> Result<Duration, String> {
    match text.strip_suffix('d').map(str::parse::<u64>) {
        Some(Ok(days @ 1..=30)) => Ok(Duration::from_secs(days * 24 * 3600)),
        Some(_) => Err("it is remembered for 30 days; write 1d to 30d".to_owned()),
        None => units::duration(text).map_err(|fault| format!("{fault}, or 7d")),
    }
}

const COLUMNS: &[Column] = &[
    Column::new("id", id),
    Column::new("name", called),
    Column::new("entries", |one| text(one, "entryCount")),
    Column::new("requests", |one| text(one, "requestCount")),
    Column::new("quiet for", |one| one["quietForSeconds"].as_u64().map_or_else(String::new, lasting)),
    Column::new("last that would be refused", |one| {
        let refused = &one["lastWouldBeRefused"];
        let from = if refused["widened"] == true { "cidrBlock" } else { "ipAddress" };
        if refused.is_null() {
            String::new()
        } else {
            format!("{} at {}", text(refused, from), text(refused, "lastSeen"))
        }
    }),
];

const DONE: &[Column] = &[
    Column::new("id", id),
    Column::new("name", called),
    Column::new("action", |one| text(one, "action")),
    Column::new("why", |one| text(one, "why")),
];

fn id(one: &Value) -> String {
    let key = text(one, "apiKeyId");
    if key.is_empty() { text(one, "clientId") } else { key }
}

fn called(one: &Value) -> String {
    let name = text(one, "name");
    if name.is_empty() { text(one, "publicKey") } else { name }
}

/// Days and hours, hours and minutes, or minutes.
fn lasting(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// Lists credentials whose lists only report, has those refuse that are quiet, or takes that back: 0 where all of it was done, 1
/// where the API refused one.
///
/// # Errors
/// Standard output is closed, or no runtime is to be had.
pub fn run(args: PromoteArgs) -> anyhow::Result<ExitCode> {
    let output = args.connection.output();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = args.connection.connect().map_err(Fault::from).and_then(|connection| {
        let api = Api::new(connection)?;
        runtime.block_on(args.ask(&api))
    });
    match done {
        Err(fault) => told(Err(fault), output),
        Ok(Done::Listed(found)) => told(Ok(Shown::Many(found, COLUMNS)), output),
        Ok(Done::Changed(rows, since)) => {
            let ids =
                |action: &str| -> Vec<String> { rows.iter().filter(|one| one["action"] == action).map(id).collect() };
            let (promoted, refused) = (ids("promoted"), ids("refused").len());
            let counts = counts(&rows);
            let code = told(Ok(Shown::Many(json!({"results": rows, "totalCount": rows.len()}), DONE)), output)?;
            if output == Output::Table {
                let mut told = std::io::stderr();
                writeln!(told, "{counts}")?;
                match since {
                    _ if promoted.is_empty() => {}
                    Some(since) if promoted.len() > NAMED => {
                        writeln!(told, "The way back: portcullis promote --back --since {since}")?;
                    }
                    _ => writeln!(told, "The way back: portcullis promote --back {}", promoted.join(" "))?,
                }
            }
            Ok(if refused > 0 { ExitCode::FAILURE } else { code })
        }
    }
}

enum Done {
    Listed(Value),
    /// What became of each, and when the first was changed, by the gateway's own clock.
    Changed(Vec<Value>, Option<String>),
}

/// How many there are of each action, such as `promoted: 297, kept: 3`.
fn counts(rows: &[Value]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for action in rows.iter().map(|row| text(row, "action")) {
        match counts.iter_mut().find(|(known, _)| *known == action) {
            Some((_, count)) => *count += 1,
            None => counts.push((action, 1)),
        }
    }
    match counts.is_empty() {
        true => "there is none".to_owned(),
        false => counts.iter().map(|(action, count)| format!("{action}: {count}")).collect::<Vec<_>>().join(", "),
    }
}

/// Of a credential by the id that an event, or somebody, calls it.
fn row(name: CredentialName) -> Value {
    match name.kind {
        CredentialKind::ApiKey => json!({"apiKeyId": name.to_string()}),
        CredentialKind::ServiceAccount => json!({"clientId": name.to_string()}),
    }
}

/// Credentials whose lists came to refuse since then, and have not been told to report again. By what older versions have
/// recorded nobody can tell which way it went; those are among them, and to have a list report that reports changes nothing.
async fn promoted_since(api: &Api, organization: &str, since: Timestamp) -> Result<Vec<Value>, Fault> {
    let query = format!("{CHANGED}&minDate={since}");
    let events = api.all(&format!("{organization}/events"), &query, None).await?;
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    // Newest first: the first of a credential is how it stands.
    for event in events["results"].as_array().into_iter().flatten() {
        let target = text(event, "targetId");
        if !seen.insert(target.clone()) || text(event, "detail") == Enforcement::Report.as_str() {
            continue;
        }
        let mut row = row(name(&target).map_err(|_| api.stranger())?);
        row["publicKey"] = event["targetPublicKey"].clone();
        rows.push(row);
    }
    Ok(rows)
}

impl PromoteArgs {
    async fn ask(&self, api: &Api) -> Result<Done, Fault> {
        let organization = format!("/orgs/{}", api.organization(self.organization.org).await?);
        if self.back {
            let found = match self.since {
                Some(since) => promoted_since(api, &organization, since).await?,
                None => self.ids.iter().copied().map(row).collect(),
            };
            let mut rows = Vec::new();
            for row in found {
                rows.push(self.set(api, &organization, row, ("report", "reports again", "would report again")).await?);
            }
            return Ok(Done::Changed(rows, None));
        }
        let mut found = api.all(&format!("{organization}/reporting"), "", None).await?;
        let is_meant = |one: &Value| {
            let id = id(one);
            self.ids.is_empty() || self.ids.iter().any(|name| name.to_string() == id)
        };
        let mut rows = match found["results"].take() {
            Value::Array(rows) => rows,
            _ => Vec::new(),
        };
        rows.retain(is_meant);
        // Somebody has to look at these; in a long list they come first.
        rows.sort_by_key(|row| row["lastWouldBeRefused"].is_null());
        if let Some(missing) = self.ids.iter().find(|name| !rows.iter().any(|one| id(one) == name.to_string())) {
            return Err(Fault::Usage(format!(
                "the list of {missing} does not only report; `promote` shows those that do"
            )));
        }
        let Some(quiet_for) = self.quiet_for else {
            return Ok(Done::Listed(json!({"results": rows, "totalCount": rows.len()})));
        };
        let (mut done, mut since) = (Vec::new(), None);
        for mut row in rows {
            let quiet = row["quietForSeconds"].as_u64();
            let why = match (row["entryCount"].as_u64(), quiet) {
                (Some(0) | None, _) => Some("it has no list".to_owned()),
                (_, None) => Some("nothing is recorded".to_owned()),
                (_, Some(quiet)) if quiet < quiet_for.as_secs() => Some(format!("quiet for {} only", lasting(quiet))),
                _ => None,
            };
            done.push(match why {
                Some(why) => {
                    row["action"] = json!("kept");
                    row["why"] = json!(why);
                    row
                }
                None => self.set(api, &organization, row, ("enforce", "promoted", "would be promoted")).await?,
            });
            if since.is_none() && done.last().is_some_and(|row| row["action"] == "promoted") {
                let newest = api.all(&format!("{organization}/events"), CHANGED, Some(1)).await?;
                since = newest["results"][0]["created"].as_str().map(str::to_owned);
            }
        }
        Ok(Done::Changed(done, since))
    }

    fn path(&self, organization: &str, name: CredentialName) -> String {
        let kind = match name.kind {
            CredentialKind::ApiKey => "apiKeys",
            CredentialKind::ServiceAccount => "serviceAccounts",
        };
        format!("{organization}/{kind}/{name}{}", self.force.query())
    }

    /// Sets the enforcement of the row's credential, and says so in the row. What a guard refuses is told there too.
    async fn set(
        &self,
        api: &Api,
        organization: &str,
        mut row: Value,
        (enforcement, action, would): (&str, &str, &str),
    ) -> Result<Value, Fault> {
        let name = name(&id(&row)).map_err(Fault::Usage)?;
        if self.dry_run {
            row["action"] = json!(would);
            return Ok(row);
        }
        match api.patch(&self.path(organization, name), &json!({"enforcement": enforcement})).await {
            Ok(_) => row["action"] = json!(action),
            Err(Fault::Refused { code, detail, .. }) => {
                row["action"] = json!("refused");
                row["why"] = json!(format!("{code}: {detail}"));
            }
            Err(fault) => return Err(fault),
        }
        Ok(row)
    }
}
