//! An import by the admin API: its lines are sent as they are made, and what is refused is told by the places in the file.

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize as _;
use serde_json::Value;

use super::Fault;
use super::api::Api;
use crate::access::credential::AccessListMode;
use crate::access::id::Id;
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::config::feed_source::FeedSource;
use crate::directory::bulk::Bulk;
use crate::directory::model::{NetworkSet, Organization, Project};
use crate::net::fetch::Upload;

/// From the first byte to the answer: a million keys take minutes.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// Bytes of a piece.
const PIECE: usize = 1 << 16;

impl Api {
    /// Every organization that the caller sees; of those that are named (where none is, of the only one) with all but its
    /// credentials.
    pub(in crate::cli) async fn organizations(
        &self,
        named: Option<&HashSet<String>>,
    ) -> Result<Vec<Organization>, Fault> {
        let mut seen = Vec::new();
        let all = self.items("/orgs").await?;
        let is_only = all.len() == 1;
        for one in all {
            let id = self.id_of(&one)?;
            let name: Arc<str> = one["name"].as_str().unwrap_or_default().into();
            let is_meant = named.map_or(is_only, |named| named.contains(&*name) || named.contains(&id.to_string()));
            if !is_meant {
                seen.push(unasked(id, name));
                continue;
            }
            let settings = self.get(&format!("/orgs/{id}/settings")).await?;
            let mode = match settings["apiAccessListMode"].as_str() {
                Some("off") => AccessListMode::Off,
                Some("report") => AccessListMode::Report,
                Some("required") => AccessListMode::Required,
                _ => return Err(self.stranger()),
            };
            let mut projects = Vec::new();
            for project in self.items(&format!("/orgs/{id}/groups")).await? {
                let name = project["name"].as_str().unwrap_or_default().into();
                projects.push(Project { id: self.id_of(&project)?, name });
            }
            let sets = self.items(&format!("/orgs/{id}/networkSets")).await?;
            let network_sets = sets.iter().map(network_set).collect::<Option<_>>().ok_or_else(|| self.stranger())?;
            let hours = settings["maxServiceAccountSecretValidityInHours"].as_u64();
            let secret_hours = hours.and_then(|hours| u32::try_from(hours).ok());
            let credentials = Vec::new();
            seen.push(Organization { id, name, mode, secret_hours, projects, network_sets, credentials });
        }
        Ok(seen)
    }

    async fn items(&self, path: &str) -> Result<Vec<Value>, Fault> {
        Ok(self.all(path, "", None).await?["results"].as_array().cloned().unwrap_or_default())
    }

    fn id_of(&self, one: &Value) -> Result<Id, Fault> {
        one["id"].as_str().and_then(|id| id.parse().ok()).ok_or_else(|| self.stranger())
    }

    /// Sends all of it; `sent` hears how many lines were.
    pub(in crate::cli) async fn import(
        self,
        bulk: &Rc<Bulk>,
        is_rehearsal: bool,
        sent: impl FnMut(u64) + Unpin + 'static,
    ) -> Result<Value, Fault> {
        let path = if is_rehearsal { "/import?dryRun=true" } else { "/import" };
        let pieces = Pieces { bulk: Rc::clone(bulk), organization: 0, key: None, lines: 0, sent };
        let upload = Upload { media_type: "application/x-ndjson", pieces };
        match self.patient(PATIENCE).upload(path, upload).await {
            Err(Fault::Refused { code, body, .. }) if code == "IMPORT_REFUSED" => {
                Err(Fault::Conflicting { problems: located(bulk, &body), untold: untold(&body) })
            }
            answered => answered,
        }
    }
}

/// An organization of which nothing is needed but that there is one of this name.
fn unasked(id: Id, name: Arc<str>) -> Organization {
    let (projects, network_sets, credentials) = (Vec::new(), Vec::new(), Vec::new());
    Organization { id, name, mode: AccessListMode::Off, secret_hours: None, projects, network_sets, credentials }
}

/// A network set as it is shown.
fn network_set(shown: &Value) -> Option<NetworkSet> {
    let text = |name: &str| shown[name].as_str().map(Into::into);
    let networks = shown["networks"].as_array()?.iter();
    Some(NetworkSet {
        name: Arc::from(shown["name"].as_str()?),
        networks: networks.map(|one| one.as_str()?.parse().ok()).collect::<Option<_>>()?,
        owner: text("owner"),
        comment: text("comment"),
        source: match &shown["source"] {
            Value::Null => None,
            source => Some(FeedSource::deserialize(source).ok()?.judged().ok()?),
        },
    })
}

/// The line that a fault is in.
fn line_of(field: &Value) -> Option<&str> {
    let place = field["field"].as_str()?.strip_prefix("line ")?;
    place.split(' ').next()
}

/// How many lines are at fault of which the answer tells nothing.
fn untold(body: &Value) -> usize {
    let all: Option<usize> = body["parameters"][0].as_str().and_then(|count| count.parse().ok());
    let fields = body["badRequestDetail"]["fields"].as_array().into_iter().flatten();
    let told: HashSet<&str> = fields.filter_map(line_of).collect();
    all.unwrap_or(0).saturating_sub(told.len())
}

/// What was refused, at its places in the file.
fn located(bulk: &Bulk, body: &Value) -> Problems {
    let ids: Vec<Id> = bulk.in_order().collect();
    let fields = body["badRequestDetail"]["fields"].as_array().into_iter().flatten();
    let id_of = |field: &Value| ids.get(line_of(field)?.parse::<usize>().ok()?.checked_sub(1)?).copied();
    let set_of = |field: &Value| {
        let (_, set) = field["field"].as_str()?.split_once(" network_sets[")?;
        set.strip_suffix(']').map(str::to_owned)
    };
    let problem = |field: &Value| {
        let message = super::shown::plain(field["description"].as_str().unwrap_or_default());
        match (id_of(field), set_of(field)) {
            (Some(id), None) => bulk.problem(id, message),
            (Some(id), Some(set)) => bulk.problem_of_set(id, &set, message),
            (None, _) => Problem::error(Place::file("the import"), message),
        }
    };
    fields.map(problem).collect::<Problems>().sorted()
}

/// The lines of an import in pieces of about [`PIECE`] bytes.
struct Pieces<F> {
    bulk: Rc<Bulk>,
    organization: usize,
    /// The next key of the organization; `None` is the organization itself.
    key: Option<usize>,
    lines: u64,
    sent: F,
}

impl<F: FnMut(u64)> Iterator for Pieces<F> {
    type Item = std::io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = String::with_capacity(PIECE + 1024);
        while piece.len() < PIECE {
            let Some(organization) = self.bulk.directory.organizations.get(self.organization) else { break };
            let line = match self.key {
                None => Ok(self.bulk.line_of_organization(organization)),
                Some(at) => match organization.credentials.get(at) {
                    Some(key) => self.bulk.line_of_credential(organization, key),
                    None => {
                        self.organization += 1;
                        self.key = None;
                        continue;
                    }
                },
            };
            self.key = Some(self.key.map_or(0, |at| at + 1));
            self.lines += 1;
            match line {
                Ok(line) => piece.push_str(&line),
                Err(fault) => return Some(Err(std::io::Error::other(fault))),
            }
            piece.push('\n');
        }
        (self.sent)(self.lines);
        (!piece.is_empty()).then(|| Ok(piece.into()))
    }
}
