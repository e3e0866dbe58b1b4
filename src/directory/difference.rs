//! What has to be done to make one organization another, step by step and in an order that works.
//!
//! Pure: tells nothing but what differs between two models. What the new one does not name is left alone, or goes where it is
//! to be pruned; a thing that it names becomes exactly that, its list and secrets included.

mod credentials;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::model::{NetworkSet, Organization, Project};
use crate::access::credential::{AccessListMode, CredentialKind};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::LONGEST_SECRET_HOURS;

/// What is done to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It comes.
    Create,
    /// It becomes another.
    Update,
    /// It goes.
    Delete,
}

/// To what something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The organization: whether there is one, and its name.
    Organization,
    /// Its switch.
    Switch,
    /// How long secrets of service accounts may last.
    SecretHours,
    /// A project.
    Project(Id),
    /// A network set.
    NetworkSet(Arc<str>),
    /// An API key or a service account.
    Credential(CredentialKind, Id),
}

/// One thing to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// To what.
    pub subject: Subject,
    /// What people call that.
    pub name: String,
    /// What becomes of it, such as `enabled: true → false` or `access_list: +203.0.113.0/24`. Holds no secret.
    pub changes: Vec<String>,
}

/// All that differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// In the order in which it is to be done.
    pub steps: Vec<Step>,
    /// What can't be done at all.
    pub conflicts: Vec<(Subject, String)>,
}

impl Difference {
    fn step(&mut self, action: Action, subject: Subject, name: &str, changes: Vec<String>) {
        self.steps.push(Step { action, subject, name: name.to_owned(), changes });
    }
}

/// Compares what is there with what is to be. `prune` lets go what the new one does not name.
pub fn difference(old: Option<&Organization>, new: &Organization, prune: bool) -> Difference {
    let mut found = Difference::default();
    let none = Organization {
        credentials: Vec::new(),
        network_sets: Vec::new(),
        projects: Vec::new(),
        secret_hours: Some(LONGEST_SECRET_HOURS),
        ..new.clone()
    };
    let turns = match old {
        None => {
            found.step(Action::Create, Subject::Organization, &new.name, Vec::new());
            None
        }
        Some(old) => {
            if old.name != new.name {
                let changes = vec![format!("name: {} → {}", old.name, new.name)];
                found.step(Action::Update, Subject::Organization, &new.name, changes);
            }
            (old.mode != new.mode).then_some(old.mode)
        }
    };
    let old = old.unwrap_or(&none);
    let turn = |found: &mut Difference, from: AccessListMode| {
        let changes = vec![format!("require_access_list: {} → {}", word(from), word(new.mode))];
        found.step(Action::Update, Subject::Switch, &new.name, changes);
    };
    // Looser before lists change, and stricter after.
    if let Some(from) = turns.filter(|from| strictness(*from) > strictness(new.mode)) {
        turn(&mut found, from);
    }
    let hours = old.secret_hours.zip(new.secret_hours).filter(|(before, after)| before != after);
    let last = |found: &mut Difference, (before, after): (u32, u32)| {
        let changes = vec![format!("max_service_account_secret_validity_in_hours: {before} → {after}")];
        found.step(Action::Update, Subject::SecretHours, &new.name, changes);
    };
    // Longer before secrets come, and shorter after: those that there are may last longer.
    if let Some(longer) = hours.filter(|(before, after)| before < after) {
        last(&mut found, longer);
    }
    projects(&mut found, old, new);
    network_sets(&mut found, old, new);
    let gone = credentials::credentials(&mut found, old, new);
    if prune {
        found.steps.extend(gone);
        pruned(&mut found, old, new);
    }
    if let Some(shorter) = hours.filter(|(before, after)| before > after) {
        last(&mut found, shorter);
    }
    if let Some(from) = turns.filter(|from| strictness(*from) < strictness(new.mode)) {
        turn(&mut found, from);
    }
    found
}

fn strictness(mode: AccessListMode) -> u8 {
    match mode {
        AccessListMode::Off => 0,
        AccessListMode::Report => 1,
        AccessListMode::Required => 2,
    }
}

/// A position of the switch as a file spells it.
fn word(mode: AccessListMode) -> &'static str {
    match mode {
        AccessListMode::Off => "false",
        AccessListMode::Report => "report",
        AccessListMode::Required => "true",
    }
}

fn projects(found: &mut Difference, old: &Organization, new: &Organization) {
    let known: BTreeMap<Id, &Project> = old.projects.iter().map(|one| (one.id, one)).collect();
    for project in &new.projects {
        let subject = Subject::Project(project.id);
        match known.get(&project.id) {
            None => found.step(Action::Create, subject, &project.name, Vec::new()),
            Some(held) if held.name == project.name => {}
            Some(held) => {
                let message = format!("project {} is `{}`, and projects keep their names", project.id, held.name);
                found.conflicts.push((subject, message));
            }
        }
    }
}

fn network_sets(found: &mut Difference, old: &Organization, new: &Organization) {
    let known: BTreeMap<&str, &NetworkSet> = old.network_sets.iter().map(|one| (&*one.name, one)).collect();
    for set in &new.network_sets {
        let subject = Subject::NetworkSet(Arc::clone(&set.name));
        let Some(held) = known.get(&*set.name) else {
            let mut changes: Vec<String> = changed("networks", &signs(&[], &set.networks)).into_iter().collect();
            changes.extend(turned("source", None, source(set).as_deref()));
            found.step(Action::Create, subject, &set.name, changes);
            continue;
        };
        // What a source gives, no file knows: networks beside one are what a new set begins with.
        let networks = if set.source.is_some() { Vec::new() } else { signs(&held.networks, &set.networks) };
        let mut changes: Vec<String> = changed("networks", &networks).into_iter().collect();
        changes.extend(turned("source", source(held).as_deref(), source(set).as_deref()));
        changes.extend(turned("owner", held.owner.as_deref(), set.owner.as_deref()));
        changes.extend(turned("comment", held.comment.as_deref(), set.comment.as_deref()));
        if !changes.is_empty() {
            found.step(Action::Update, subject, &set.name, changes);
        }
    }
}

/// From where a set takes its networks by itself, for people.
fn source(set: &NetworkSet) -> Option<String> {
    set.source.as_ref().map(ToString::to_string)
}

/// Sets and projects that go.
fn pruned(found: &mut Difference, old: &Organization, new: &Organization) {
    for set in old.network_sets.iter().filter(|set| !new.network_sets.iter().any(|one| one.name == set.name)) {
        found.step(Action::Delete, Subject::NetworkSet(Arc::clone(&set.name)), &set.name, Vec::new());
    }
    for project in old.projects.iter().filter(|project| !new.projects.iter().any(|one| one.id == project.id)) {
        found.step(Action::Delete, Subject::Project(project.id), &project.name, Vec::new());
    }
}

/// `+network` for what comes, `-network` for what goes.
fn signs(old: &[Network], new: &[Network]) -> Vec<String> {
    let (before, after): (BTreeSet<&Network>, BTreeSet<&Network>) = (old.iter().collect(), new.iter().collect());
    let came = after.difference(&before).map(|network| format!("+{network}"));
    came.chain(before.difference(&after).map(|network| format!("-{network}"))).collect()
}

/// Most of a kind that are named one by one.
const MOST_NAMED: usize = 20;

/// Parts of a thing that came, went or changed, as one change.
fn changed(what: &str, parts: &[String]) -> Option<String> {
    let named = parts.get(..MOST_NAMED).unwrap_or(parts).join(" ");
    let more = parts.len().saturating_sub(MOST_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!parts.is_empty()).then(|| format!("{what}: {named}{more}"))
}

/// A text that is another, or comes or goes.
fn turned(what: &str, old: Option<&str>, new: Option<&str>) -> Option<String> {
    (old != new).then(|| format!("{what}: {} → {}", old.unwrap_or("none"), new.unwrap_or("none")))
}

#[cfg(test)]
mod tests;
