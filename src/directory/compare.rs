//! What a new directory would newly refuse and newly allow, by addresses and not by text.
//!
//! Never looks at traffic; it answers for every address that there is, and for every later moment at which an entry or
//! a credential expires.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::model::{Credential, Directory, Organization};
use super::ranges::Addresses;
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::clock::Timestamp;

/// All differences between two directories.
#[derive(Debug, Default, Serialize)]
pub struct Comparison {
    /// Switches that were turned.
    pub organizations: Vec<OrganizationChange>,
    /// Credentials that would be judged otherwise.
    pub credentials: Vec<CredentialChange>,
}

/// An organization whose switch differs, that is new, or that is gone.
#[derive(Debug, Serialize)]
pub struct OrganizationChange {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `off`, `report` or `required`; absent where it is new.
    pub from: Option<&'static str>,
    /// The same; absent where it is gone.
    pub to: Option<&'static str>,
}

/// A credential that would be judged otherwise.
#[derive(Debug, Serialize)]
pub struct CredentialChange {
    /// Its id.
    pub id: String,
    /// `API_KEY` or `SERVICE_ACCOUNT`.
    pub kind: &'static str,
    /// Its public key, description or name.
    pub name: String,
    /// Its organization's name.
    pub organization: String,
    /// What became of it.
    pub changes: Vec<Change>,
    /// When which addresses are judged otherwise; the first from now on.
    pub periods: Vec<Period>,
}

/// What became of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is in the new directory only.
    New,
    /// It is in the old directory only.
    Gone,
    /// It was switched off.
    Disabled,
    /// It was switched on.
    Enabled,
    /// It belongs to another organization.
    Moved,
    /// A secret or token subject that worked works no more.
    SecretWithdrawn,
    /// It has a further secret or token subject.
    SecretAdded,
    /// Other roles.
    RolesChanged,
}

/// From a moment on until the next period.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// Absent where it is now.
    pub from: Option<String>,
    /// Refused before and allowed then.
    pub newly_allowed: Vec<String>,
    /// Allowed before and refused then.
    pub newly_refused: Vec<String>,
}

impl Comparison {
    /// Whether nothing would be judged otherwise.
    pub fn is_empty(&self) -> bool {
        self.organizations.is_empty() && self.credentials.is_empty()
    }

    /// Whether anything that is allowed now would be refused, now or later.
    pub fn refuses_something(&self) -> bool {
        self.credentials.iter().any(|one| {
            one.changes.contains(&Change::SecretWithdrawn)
                || one.periods.iter().any(|period| !period.newly_refused.is_empty())
        })
    }
}

/// Compares what two directories allow from `now` on.
pub fn compare(old: &Directory, new: &Directory, now: Timestamp) -> Comparison {
    let (before, after) = (by_id(old), by_id(new));
    let ids: BTreeSet<Id> = before.keys().chain(after.keys()).copied().collect();
    let credentials =
        ids.into_iter().filter_map(|id| credential(before.get(&id).copied(), after.get(&id).copied(), now)).collect();
    Comparison { organizations: organizations(old, new), credentials }
}

type Held<'d> = (&'d Organization, &'d Credential);

fn by_id(directory: &Directory) -> BTreeMap<Id, Held<'_>> {
    directory.credentials().map(|held| (held.1.id, held)).collect()
}

fn organizations(old: &Directory, new: &Directory) -> Vec<OrganizationChange> {
    let modes = |directory: &Directory| -> BTreeMap<Id, (String, &'static str)> {
        directory.organizations.iter().map(|one| (one.id, (one.name.to_string(), word(one.mode)))).collect()
    };
    let (before, after) = (modes(old), modes(new));
    let ids: BTreeSet<Id> = before.keys().chain(after.keys()).copied().collect();
    let changed = ids.into_iter().filter_map(|id| {
        let (from, to) = (before.get(&id), after.get(&id));
        let name = to.or(from)?.0.clone();
        let (from, to) = (from.map(|one| one.1), to.map(|one| one.1));
        (from != to).then(|| OrganizationChange { id: id.to_string(), name, from, to })
    });
    changed.collect()
}

fn word(mode: AccessListMode) -> &'static str {
    match mode {
        AccessListMode::Off => "off",
        AccessListMode::Report => "report",
        AccessListMode::Required => "required",
    }
}

fn credential(old: Option<Held<'_>>, new: Option<Held<'_>>, now: Timestamp) -> Option<CredentialChange> {
    let (organization, shown) = new.or(old)?;
    let changes = changes(old, new);
    let periods = periods(old, new, now);
    if changes.is_empty() && periods.is_empty() {
        return None;
    }
    let name = shown.public_key.as_deref().unwrap_or(&shown.name).to_owned();
    Some(CredentialChange {
        id: shown.id.to_string(),
        kind: match shown.kind {
            CredentialKind::ApiKey => "API_KEY",
            CredentialKind::ServiceAccount => "SERVICE_ACCOUNT",
        },
        name,
        organization: organization.name.to_string(),
        changes,
        periods,
    })
}

fn changes(old: Option<Held<'_>>, new: Option<Held<'_>>) -> Vec<Change> {
    let ((from, before), (to, after)) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (None, _) => return vec![Change::New],
        (_, None) => return vec![Change::Gone],
    };
    let lacks =
        |one: &Credential, other: &Credential| other.fingerprints.iter().any(|it| !one.fingerprints.contains(it));
    let differences = [
        (before.enabled && !after.enabled, Change::Disabled),
        (!before.enabled && after.enabled, Change::Enabled),
        (from.id != to.id, Change::Moved),
        (lacks(after, before), Change::SecretWithdrawn),
        (lacks(before, after), Change::SecretAdded),
        (before.grants() != after.grants(), Change::RolesChanged),
    ];
    differences.into_iter().filter(|(differs, _)| *differs).map(|(_, change)| change).collect()
}

/// One period for now, and one for each later moment at which the difference becomes another.
fn periods(old: Option<Held<'_>>, new: Option<Held<'_>>, now: Timestamp) -> Vec<Period> {
    let mut moments = BTreeSet::from([now]);
    for (_, credential) in old.iter().chain(new.iter()) {
        let expiries = credential.access_list.iter().map(|entry| entry.expires_at);
        moments.extend(expiries.chain([credential.expires_at]).filter(|at| *at > now && *at != Timestamp::NEVER));
    }
    let mut periods = Vec::new();
    let mut last: Option<(Vec<Network>, Vec<Network>)> = None;
    for at in moments {
        let (before, after) = (allowed(old, at), allowed(new, at));
        let difference = (after.without(&before).networks(), before.without(&after).networks());
        let nothing = last.is_none() && difference.0.is_empty() && difference.1.is_empty();
        if nothing || last.as_ref() == Some(&difference) {
            continue;
        }
        let shown = |networks: &[Network]| networks.iter().map(ToString::to_string).collect();
        periods.push(Period {
            from: (at != now).then(|| at.to_string()),
            newly_allowed: shown(&difference.0),
            newly_refused: shown(&difference.1),
        });
        last = Some(difference);
    }
    periods
}

/// From where a credential may be used at a moment, on a route that asks for nothing more.
fn allowed(held: Option<Held<'_>>, at: Timestamp) -> Addresses {
    let Some((organization, credential)) = held else {
        return Addresses::default();
    };
    // A permit expires with its second: at `expires_at` it is over.
    if !credential.enabled || credential.expires_at <= at || credential.grants().gateway {
        return Addresses::default();
    }
    if credential.access_list.is_empty() {
        return match organization.mode {
            AccessListMode::Required => Addresses::default(),
            AccessListMode::Off | AccessListMode::Report => Addresses::all(),
        };
    }
    match credential.enforcement {
        Enforcement::Report => Addresses::all(),
        Enforcement::Enforce => {
            let live = credential.access_list.iter().filter(|entry| entry.expires_at > at);
            Addresses::of(live.flat_map(|entry| organization.networks_of(entry)).copied())
        }
    }
}

#[cfg(test)]
mod tests;
