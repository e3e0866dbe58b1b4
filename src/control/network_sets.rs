//! Named sets of networks of an organization, and lists as they are with what their sets bring.
//!
//! An edit costs what the set does, however many lists refer to it: they are neither read nor written, and only the set is
//! compiled again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::access_lists::check_comment;
use super::audit::{Event, EventType};
use super::change::Change;
use super::feeds::{self, SourceEdit};
use super::organizations::{check_name, expect};
use super::rights::Rights;
use super::{Actor, Committed, Control, Fault, Guards, guards, recent_use};
use crate::access::feed::NetworkFeed;
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::{CredentialRecord, EntryRecord, NetworkSetRecord, OrganizationRecord};
use crate::access::target::Target;
use crate::clock::Timestamp;
use crate::directory::sqlite::{Rows, StoreFault};
use crate::problem::{Code, Refusal};

/// Longest name of an owner, in characters.
const LONGEST_OWNER: usize = 250;
/// Most lists that a refusal names.
const MOST_NAMED: u64 = 20;
/// Most networks that an event names.
const MOST_TOLD: usize = 20;

/// A set as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSet {
    /// The set.
    pub row: NetworkSetRecord,
    /// How many access lists refer to it.
    pub lists: u64,
    /// Where it takes its networks from by itself, where it does.
    pub feed: Option<NetworkFeed>,
}

/// A set to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNetworkSet {
    /// Unique in the organization.
    pub name: String,
    /// All else.
    pub content: NetworkSetEdit,
}

/// What a set is to be, but for its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSetEdit {
    /// What it holds; `None`: what it does already.
    pub networks: Option<Vec<Network>>,
    /// Who answers for it, for people.
    pub owner: Option<String>,
    /// For people.
    pub comment: Option<String>,
    /// Where it takes its networks from.
    pub source: SourceEdit,
}

impl Control {
    /// One page of the sets of an organization, by name, and how many there are.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn network_sets(
        self: &Arc<Self>,
        actor: &Actor,
        organization: Id,
        (skip, most): (u64, u64),
    ) -> Result<(Vec<NetworkSet>, u64), Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let organization = Rights::of(rows, &actor)?.see_organization(rows, organization)?;
            let sets = rows.network_sets(organization.pk)?;
            let total = sets.len() as u64;
            let [skip, most] = [skip, most].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
            let page = sets.into_iter().skip(skip).take(most).map(|row| shown(rows, row));
            Ok((page.collect::<Result<_, _>>()?, total))
        })
        .await
    }

    /// One set.
    ///
    /// # Errors
    /// `NETWORK_SET_NOT_FOUND`, or another [`Fault`].
    pub async fn network_set(
        self: &Arc<Self>,
        actor: &Actor,
        organization: Id,
        name: String,
    ) -> Result<NetworkSet, Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let organization = Rights::of(rows, &actor)?.see_organization(rows, organization)?;
            Ok(shown(rows, find(rows, &organization, &name)?)?)
        })
        .await
    }

    /// Makes a set.
    ///
    /// # Errors
    /// `ALREADY_EXISTS`, `LIMIT_REACHED`, or another [`Fault`].
    pub async fn create_network_set(
        &self,
        actor: &Actor,
        organization: Id,
        new: NewNetworkSet,
    ) -> Result<Committed<NetworkSet>, Fault> {
        let settings = Arc::clone(&self.published.current().settings);
        self.change(actor, move |change| {
            let organization = Rights::of(change.rows(), change.actor())?.own(change.rows(), organization)?;
            feeds::check_allowed(change.rows(), &settings.feeds, None, &new.content.source)?;
            let row = add(change, &organization, new)?;
            Ok(shown(change.rows(), row)?)
        })
        .await
        .inspect(|_| self.wish_feeds())
    }

    /// Makes a set exactly this; every list that refers to it is another from then on.
    ///
    /// # Errors
    /// `NETWORK_SET_NOT_FOUND`, `VERSION_MISMATCH`, a guard, or another [`Fault`].
    pub async fn replace_network_set(
        &self,
        actor: &Actor,
        guards: Guards,
        (organization, name): (Id, String),
        edit: NetworkSetEdit,
        expected: Option<u64>,
    ) -> Result<Committed<NetworkSet>, Fault> {
        let settings = Arc::clone(&self.published.current().settings);
        self.change(actor, move |change| {
            let organization = Rights::of(change.rows(), change.actor())?.own(change.rows(), organization)?;
            let before = find(change.rows(), &organization, &name)?;
            expect(expected, before.revision)?;
            feeds::check_allowed(change.rows(), &settings.feeds, Some(&before), &edit.source)?;
            let row = replace(change, guards, &organization, before, edit)?;
            Ok(shown(change.rows(), row)?)
        })
        .await
        .inspect(|made| self.wish_feeds_after(made))
    }

    /// Deletes a set that no list refers to.
    ///
    /// # Errors
    /// `NETWORK_SET_IN_USE`, `NETWORK_SET_NOT_FOUND`, or another [`Fault`].
    pub async fn delete_network_set(
        &self,
        actor: &Actor,
        organization: Id,
        name: String,
        expected: Option<u64>,
    ) -> Result<Committed<()>, Fault> {
        self.change(actor, move |change| {
            let organization = Rights::of(change.rows(), change.actor())?.own(change.rows(), organization)?;
            let set = find(change.rows(), &organization, &name)?;
            expect(expected, set.revision)?;
            remove(change, &set)
        })
        .await
    }
}

pub(super) fn shown(rows: Rows<'_>, row: NetworkSetRecord) -> Result<NetworkSet, StoreFault> {
    Ok(NetworkSet { lists: rows.count_lists_of_set(row.pk)?, feed: rows.feed(row.pk)?, row })
}

pub(super) fn find(rows: Rows<'_>, organization: &OrganizationRecord, name: &str) -> Result<NetworkSetRecord, Fault> {
    rows.network_set(organization.pk, name)?.ok_or_else(|| {
        let detail = format!("Organization {} has no network set `{name}`.", organization.id);
        Refusal::new(Code::NetworkSetNotFound, detail).with(name).into()
    })
}

/// Refuses an entry that refers to a set that is not there.
pub(super) fn known(rows: Rows<'_>, organization: &OrganizationRecord, name: &str) -> Result<(), Fault> {
    match rows.network_set(organization.pk, name)? {
        Some(_) => Ok(()),
        None => {
            let wrong = format!("organization {} has no network set `{name}`; make it first", organization.id);
            Err(Refusal::field(Code::InvalidAttribute, "set", wrong).into())
        }
    }
}

/// Adds a set.
pub(super) fn add(
    change: &mut Change<'_>,
    organization: &OrganizationRecord,
    new: NewNetworkSet,
) -> Result<NetworkSetRecord, Fault> {
    let most = change.limits().network_sets_per_organization;
    if change.rows().count_network_sets(organization.pk)? >= most {
        let detail = format!("Organization {} has {most} network sets, as many as are allowed.", organization.id);
        return Err(Refusal::new(Code::LimitReached, detail).with(most).into());
    }
    check_name("name", &new.name)?;
    let NetworkSetEdit { networks, owner, comment, source } = check(change, new.content, 0)?;
    let mut row = NetworkSetRecord {
        pk: 0,
        organization: organization.id,
        name: new.name.into(),
        owner,
        comment,
        networks: networks.unwrap_or_default(),
        created_at: change.now(),
        revision: change.revision(),
    };
    row.pk = change.store().add_network_set(organization.pk, &row)?;
    change.touch_network_set(organization.id, &row.name);
    let source = feeds::set_source(change, &row, &source)?;
    record(change, EventType::NetworkSetCreated, &row, told(difference(&[], &row.networks), source))?;
    guards::tell_of_wide_set(change, organization, &row.name, (&[], &row.networks))?;
    Ok(row)
}

/// Makes a set what it is to be: asks the guards, writes the difference, records it.
pub(super) fn replace(
    change: &mut Change<'_>,
    guards: Guards,
    organization: &OrganizationRecord,
    before: NetworkSetRecord,
    edit: NetworkSetEdit,
) -> Result<NetworkSetRecord, Fault> {
    let NetworkSetEdit { networks, owner, comment, source } = check(change, edit, before.networks.len())?;
    let networks = networks.unwrap_or_else(|| before.networks.clone());
    let mut after = NetworkSetRecord { networks, owner, comment, ..before.clone() };
    let source = feeds::set_source(change, &before, &source)?;
    if after == before && source.is_none() {
        return Ok(after);
    }
    if after.networks != before.networks {
        guards::network_set(change, guards, organization, (&before, &after.networks))?;
        recent_use::network_set(change, guards, organization, (&before, &after.networks))?;
        change.touch_network_set(organization.id, &after.name);
    }
    after.revision = change.revision();
    change.store().update_network_set(&before, &after)?;
    let told = told(difference(&before.networks, &after.networks), source);
    record(change, EventType::NetworkSetChanged, &after, told)?;
    Ok(after)
}

/// Removes a set, unless a list refers to it.
pub(super) fn remove(change: &mut Change<'_>, set: &NetworkSetRecord) -> Result<(), Fault> {
    let rows = change.rows();
    let lists = rows.count_lists_of_set(set.pk)?;
    if lists > 0 {
        let mut named = Vec::new();
        for pk in rows.credentials_of_set(set.pk, MOST_NAMED)? {
            let credential = rows.credential_by_pk(pk)?;
            let name = |one: CredentialRecord| one.public_key.clone().unwrap_or_else(|| one.credential().to_string());
            named.extend(credential.map(name));
        }
        let more = if lists > MOST_NAMED { ", …" } else { "" };
        let detail = format!(
            "The access lists of {lists} credentials refer to network set `{}`: {}{more}. Take it off them first.",
            set.name,
            named.join(", ")
        );
        return Err(Refusal { parameters: named, ..Refusal::new(Code::NetworkSetInUse, detail) }.into());
    }
    change.store().remove_network_set(set.pk)?;
    change.touch_network_set(set.organization, &set.name);
    record(change, EventType::NetworkSetDeleted, set, String::new())
}

fn record(change: &mut Change<'_>, event: EventType, set: &NetworkSetRecord, difference: String) -> Result<(), Fault> {
    let event = Event::new(event, set.organization).entry(&Target::Set(Arc::clone(&set.name)));
    change.record(if difference.is_empty() { event } else { event.detail(difference) })
}

/// What came and went, and what became of the source.
fn told(difference: String, source: Option<String>) -> String {
    match source {
        None => difference,
        Some(source) if difference.is_empty() => source,
        Some(source) => format!("{difference}; {source}"),
    }
}

/// What came and went, for people.
pub(super) fn difference(before: &[Network], after: &[Network]) -> String {
    let lacking = |these: &[Network], others: &[Network]| -> Vec<Network> {
        // Both are in order.
        these.iter().filter(|one| others.binary_search(one).is_err()).copied().collect()
    };
    let came = lacking(after, before).into_iter().map(|network| ('+', network));
    let went = lacking(before, after).into_iter().map(|network| ('-', network));
    let all: Vec<(char, Network)> = came.chain(went).collect();
    let mut text = String::new();
    for (sign, network) in all.iter().take(MOST_TOLD) {
        // Writing into a String never fails.
        let _ = write!(text, "{}{sign}{network}", if text.is_empty() { "" } else { " " });
    }
    if all.len() > MOST_TOLD {
        let _ = write!(text, " and {} more", all.len() - MOST_TOLD);
    }
    text
}

/// The content of a request, each network once and in order, and no more of them than are allowed.
pub(super) fn check(change: &Change<'_>, edit: NetworkSetEdit, before: usize) -> Result<NetworkSetEdit, Fault> {
    let (count, most) = (edit.networks.as_ref().map_or(0, Vec::len), change.limits().entries_per_list);
    if count > most && count > before {
        let detail = format!("The set would have {count} networks; {most} are allowed.");
        return Err(Refusal::new(Code::LimitReached, detail).with(most).into());
    }
    check_content(edit)
}

/// The same, however many they are.
pub(super) fn check_content(mut edit: NetworkSetEdit) -> Result<NetworkSetEdit, Fault> {
    let mut seen = BTreeMap::new();
    for (at, network) in edit.networks.iter().flatten().enumerate() {
        if let Some(first) = seen.insert(*network, at) {
            let detail = format!("`networks[{first}]` and `networks[{at}]` are both {network}; keep one.");
            return Err(Refusal::new(Code::DuplicateAddressesInInput, detail).with(network).into());
        }
    }
    edit.networks = edit.networks.map(|_| seen.into_keys().collect());
    check_comment(edit.comment.as_deref())?;
    let legal = |text: &str| (1..=LONGEST_OWNER).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    match edit.owner.as_deref().is_none_or(legal) {
        true => Ok(edit),
        false => {
            let wrong = format!(
                "an owner has 1 to {LONGEST_OWNER} characters and no control characters; leave out one that is not known"
            );
            Err(Refusal::field(Code::InvalidAttribute, "owner", wrong).into())
        }
    }
}

/// The networks of the sets that some entries refer to.
#[derive(Debug, Clone, Default)]
pub(super) struct Sets(BTreeMap<Arc<str>, Arc<[Network]>>);

impl Sets {
    /// Of an organization.
    pub(super) fn of<'e>(
        rows: Rows<'_>,
        organization: i64,
        entries: impl IntoIterator<Item = &'e EntryRecord>,
    ) -> Result<Self, StoreFault> {
        KnownSets::of(rows, organization).of_entries(entries)
    }

    /// With another content of one of them.
    pub(super) fn with(mut self, name: &Arc<str>, networks: &Arc<[Network]>) -> Self {
        self.0.insert(Arc::clone(name), Arc::clone(networks));
        self
    }
}

/// The sets of an organization that were read so far: many lists refer to one, which is read once for all of them.
pub(super) struct KnownSets<'r> {
    rows: Rows<'r>,
    organization: i64,
    known: BTreeMap<Arc<str>, Arc<[Network]>>,
}

impl<'r> KnownSets<'r> {
    /// Of the organization with this number; nothing is read yet.
    pub(super) fn of(rows: Rows<'r>, organization: i64) -> Self {
        Self { rows, organization, known: BTreeMap::new() }
    }

    /// Those that some entries refer to.
    pub(super) fn of_entries<'e>(
        &mut self,
        entries: impl IntoIterator<Item = &'e EntryRecord>,
    ) -> Result<Sets, StoreFault> {
        let mut sets = BTreeMap::new();
        for name in entries.into_iter().filter_map(|entry| entry.target.set()) {
            let networks = match self.known.get(name) {
                Some(networks) => Arc::clone(networks),
                None => {
                    let set = self.rows.network_set(self.organization, name)?;
                    let networks: Arc<[Network]> = set.map(|set| set.networks).unwrap_or_default().into();
                    self.known.insert(Arc::clone(name), Arc::clone(&networks));
                    networks
                }
            };
            sets.insert(Arc::clone(name), networks);
        }
        Ok(Sets(sets))
    }
}

/// A list with what its sets bring.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<'e> {
    entries: &'e [EntryRecord],
    sets: &'e Sets,
}

impl<'e> List<'e> {
    pub(super) fn new(entries: &'e [EntryRecord], sets: &'e Sets) -> Self {
        Self { entries, sets }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every network, with when the entry that brings it stops admitting.
    pub(super) fn networks(&self) -> impl Iterator<Item = (Network, Timestamp)> + 'e {
        let sets = self.sets;
        self.entries.iter().flat_map(move |entry| {
            let networks = match &entry.target {
                Target::Network(network) => std::slice::from_ref(network),
                Target::Set(name) => sets.0.get(name).map_or(&[][..], |networks| &**networks),
            };
            networks.iter().map(|network| (*network, entry.expires_at))
        })
    }
}
