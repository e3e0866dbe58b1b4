//! Sources of network sets: lists that are read by themselves, and written like everything else.
//!
//! Who owns an organization says from where, within what the configuration allows; who reads is `app`. A list by which much
//! of a set would change waits for a person; on any failure the set stays what it was (threats.md S1 to S3).

mod asked;
mod turns;

use std::sync::Arc;

use super::audit::{Event, EventType};
use super::change::Change;
use super::network_sets::{self, NetworkSet, NetworkSetEdit, find, shown};
use super::rights::Rights;
use super::{Actor, Committed, Control, Fault, Guards};
use crate::access::feed::{FeedSums, Held, NetworkFeed, Source};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::{NetworkSetRecord, OrganizationRecord};
use crate::access::target::Target;
use crate::clock::Timestamp;
use crate::config::settings::FeedAddress;
use crate::directory::provider_list::{self, Drift};
use crate::problem::{Code, Refusal};

pub use asked::NO_FILES;
use asked::allowed;
pub(super) use asked::check_allowed;
pub use turns::Turns;
use turns::Waiting;

/// Who writes what a source gave.
const ACTOR: &str = "network feed";
/// How much of the addresses and of the networks of a set may come or go by a list, in hundredths; more is held.
const MOST_CHANGE: u64 = 30;
/// Seconds until a source is asked again that has failed once; each further time it is twice that, up to its own time.
const FIRST_RETRY: i64 = 60;
/// Longest fault that is kept, in characters.
const LONGEST_FAULT: usize = 500;
/// Seconds from when a list that is held was told until another one is.
const TOLD_AGAIN: i64 = 3600;

/// What becomes of the source of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceEdit {
    /// It stays, or there is none.
    Stays,
    /// It is this one from now on, or none.
    Becomes(Option<Source>),
}

/// Makes the source of a set what it is to be; tells what it became where it is another.
pub(super) fn set_source(
    change: &mut Change<'_>,
    set: &NetworkSetRecord,
    edit: &SourceEdit,
) -> Result<Option<String>, Fault> {
    let SourceEdit::Becomes(new) = edit else { return Ok(None) };
    let before = change.rows().feed(set.pk)?;
    if before.as_ref().map(|feed| &feed.source) == new.as_ref() {
        return Ok(None);
    }
    match new {
        None => {
            change.store().remove_feed(set.pk)?;
            Ok(Some("source: none".into()))
        }
        Some(source) => {
            let mut feed = NetworkFeed::new(set.pk, source.clone(), change.now());
            if let Some(before) = before {
                feed.told_at = before.told_at;
                // The same list, asked more or less often: nobody has confirmed what is held of it.
                if before.source.is_of_the_same_list(source) {
                    (feed.made_at, feed.good_at) = (before.made_at, before.good_at);
                    (feed.failures, feed.fault, feed.held) = (before.failed(), before.fault, before.held);
                }
            }
            change.store().write_feed(&feed)?;
            Ok(Some(format!("source: {source}")))
        }
    }
}

/// A source whose list is to be read now.
#[derive(Debug, Clone)]
pub struct DueFeed {
    /// Whose the set is.
    pub organization: Id,
    /// The set.
    pub name: Arc<str>,
    /// The list.
    pub source: Source,
    /// Whom it is asked for: a host with its port, or nothing where it is a file.
    host: Arc<str>,
    /// The store's number of the set.
    set: i64,
    /// When it is asked again where nothing comes of this; another time is somebody's wish.
    again: Timestamp,
}

/// Whom a list at this address is asked for; one in a file is asked for nobody.
fn host(url: Option<&str>) -> Arc<str> {
    let address = url.and_then(|url| FeedAddress::parse(url).ok());
    address.as_ref().and_then(|address| address.uri.authority()).map_or("", |host| host.as_str()).into()
}

/// Why a list was not had.
#[derive(Debug, Clone)]
pub struct FeedFault {
    /// One of a few words, for a metric.
    pub reason: &'static str,
    /// For the owners of the organization: nothing of what a document holds.
    pub told: String,
}

/// What came of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The set holds that already.
    Same,
    /// The set is another from this revision on.
    Changed(u64),
    /// It waits for a person, since now or before.
    Held {
        /// Whether it is told: it is another one than did, and none was told in the last hour.
        is_new: bool,
        /// What of it is too much.
        why: String,
    },
    /// The set stays what it was.
    Failed(FeedFailed),
    /// The set or its source is another by now.
    Gone,
}

/// A failure that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedFailed {
    /// One of a few words.
    pub reason: &'static str,
    /// What the owners are told.
    pub told: String,
    /// The how many-th since the last good list.
    pub failures: u32,
}

/// When a source is asked next.
fn next(source: &Source, failures: u32, now: Timestamp) -> Timestamp {
    let every = i64::try_from(source.every.as_secs()).unwrap_or(i64::MAX);
    let wait = match failures {
        0 => every,
        failures => FIRST_RETRY.saturating_mul(1 << (failures - 1).min(20)).min(every),
    };
    Timestamp::from_unix_seconds(now.unix_seconds().saturating_add(wait))
}

impl Control {
    /// Waits until somebody wants a source asked now.
    pub async fn feeds_wished(&self) {
        self.feed_wish.notified().await;
    }

    pub(super) fn wish_feeds(&self) {
        self.feed_wish.notify_one();
    }

    /// The same after a change, if it was made.
    pub(super) fn wish_feeds_after<T>(&self, made: &Committed<T>) {
        if made.foreseen.is_none() {
            self.wish_feeds();
        }
    }

    /// Takes the sources that are due and whose turn it is; each is due again later, also if nobody tells what came of it.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn begin_feeds(self: &Arc<Self>, turns: &mut Turns) -> Result<Vec<DueFeed>, Fault> {
        if turns.are_taken() {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        let due = self.read(move |rows| Ok(rows.due_feeds(now)?)).await?.into_iter();
        let waiting = due.map(|(set, organization, url)| Waiting { set, organization, host: host(url.as_deref()) });
        let waiting: Vec<Waiting> = waiting.collect();
        turns.keep(&waiting);
        let chosen = turns.choose(waiting);
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let actor = Actor::system(ACTOR);
        let begun = self.change(&actor, move |change| {
            let mut begun = Vec::new();
            for Waiting { set, host, .. } in chosen {
                // It may be gone by now, or another.
                let Some((organization, name, mut feed)) = change.rows().due_feed(set, change.now())? else { continue };
                // Counted before it is read: what ends the process is not begun again at once.
                feed.failures = feed.failures.saturating_add(1);
                feed.due_at = next(&feed.source, feed.failures, change.now());
                feed.is_asked = true;
                change.store().write_feed(&feed)?;
                let (again, source) = (feed.due_at, feed.source);
                begun.push(DueFeed { organization, name, source, host, set, again });
            }
            change.keep_aside();
            Ok(begun)
        });
        let begun = begun.await?.value;
        begun.iter().for_each(|due| turns.begin(due));
        Ok(begun)
    }

    /// All sources at a glance.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn feed_sums(self: &Arc<Self>) -> Result<FeedSums, Fault> {
        let now = self.clock.now();
        self.read(move |rows| Ok(rows.feed_sums(now)?)).await
    }

    /// Writes what came of a list: the set is what it says, or the list is held, or the set stays what it was.
    ///
    /// # Errors
    /// The store can't be written.
    pub async fn settle_feed(&self, due: DueFeed, list: Result<Vec<Network>, FeedFault>) -> Result<Settled, Fault> {
        let actor = Actor::system(ACTOR);
        let fault = match list {
            Ok(networks) => {
                let (one, taken) = (due.clone(), networks.clone());
                let settled = self.change(&actor, move |change| take(change, &one, taken)).await;
                match settled {
                    Ok(Committed { value: Settled::Changed(_), revision, .. }) => {
                        return Ok(Settled::Changed(revision));
                    }
                    Ok(settled) => return Ok(settled.value),
                    Err(Fault::Refused(refusal)) if refusal.code == Code::ChangeExcludesRecentUse => {
                        let addresses = refusal.parameters.join(", ");
                        let why = format!("addresses would be refused that were used in the last hour: {addresses}");
                        let held = self.change(&actor, move |change| {
                            let Some((_, set, feed)) = present(change, &due)? else { return Ok(Settled::Gone) };
                            hold(change, &due, (&set, feed), networks, why)
                        });
                        return Ok(held.await?.value);
                    }
                    Err(Fault::Refused(refusal)) => FeedFault {
                        reason: if refusal.code == Code::LimitReached { "limit" } else { "guard" },
                        told: format!("{}: {}", refusal.code.as_str(), refusal.detail),
                    },
                    Err(fault) => return Err(fault),
                }
            }
            Err(fault) => fault,
        };
        let failed = self.change(&actor, move |change| {
            let Some((_, _, mut feed)) = present(change, &due)? else { return Ok(Settled::Gone) };
            let FeedFault { reason, told } = fault;
            let told: String = told.chars().take(LONGEST_FAULT).collect();
            // It was counted when it was begun, unless the source was made anew since.
            feed.failures = feed.failures.max(1);
            feed.fault = Some(told.clone());
            settle(change, &due, feed.clone())?;
            Ok(Settled::Failed(FeedFailed { reason, told, failures: feed.failures }))
        });
        Ok(failed.await?.value)
    }

    /// Makes a set what a list says that is held, and that this person has looked at.
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND` where none is held, `VERSION_MISMATCH` where it is another one, a guard, or another [`Fault`].
    pub async fn confirm_held(
        &self,
        actor: &Actor,
        guards: Guards,
        (organization, name): (Id, String),
        id: String,
    ) -> Result<Committed<NetworkSet>, Fault> {
        self.change(actor, move |change| {
            let organization = Rights::of(change.rows(), change.actor())?.own(change.rows(), organization)?;
            let set = find(change.rows(), &organization, &name)?;
            let feed = change.rows().feed(set.pk)?;
            let Some((mut feed, held)) = feed.and_then(|feed| feed.held.clone().map(|held| (feed, held))) else {
                let detail = format!("Network set `{name}` holds no list back; there is nothing to confirm.");
                return Err(Refusal::new(Code::ResourceNotFound, detail).into());
            };
            if held.id() != id {
                let detail =
                    format!("Network set `{name}` holds another list back by now, {}; look at it first.", held.id());
                return Err(Refusal::new(Code::VersionMismatch, detail).with(held.id()).into());
            }
            let after = network_sets::replace(change, guards, &organization, set.clone(), only(&set, held.networks))?;
            feed.held = None;
            (feed.failures, feed.fault, feed.good_at) = (0, None, Some(change.now()));
            change.store().write_feed(&feed)?;
            change.keep_aside();
            Ok(shown(change.rows(), after)?)
        })
        .await
    }

    /// Has the source of a set asked now.
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND` where it has none, `INVALID_ATTRIBUTE` where it is not allowed, or another [`Fault`].
    pub async fn refresh_network_set(
        &self,
        actor: &Actor,
        organization: Id,
        name: String,
    ) -> Result<NetworkSet, Fault> {
        let settings = Arc::clone(&self.published.current().settings);
        let wished = self.change(actor, move |change| {
            let organization = Rights::of(change.rows(), change.actor())?.own(change.rows(), organization)?;
            let set = find(change.rows(), &organization, &name)?;
            let Some(mut feed) = change.rows().feed(set.pk)? else {
                let detail = format!("Network set `{name}` has no source; give it one, or write its networks.");
                return Err(Refusal::new(Code::ResourceNotFound, detail).into());
            };
            allowed(&settings.feeds, &feed.source)?;
            feed.due_at = change.now();
            change.store().write_feed(&feed)?;
            change.keep_aside();
            Ok(shown(change.rows(), set)?)
        });
        let set = wished.await?.value;
        self.wish_feeds();
        Ok(set)
    }
}

/// How much of a set would change by a list that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldCounts {
    /// Networks that would come.
    pub networks_added: u64,
    /// Networks that would go.
    pub networks_removed: u64,
    /// Addresses that would come, in hundredths of those of the family that the set holds; `None` where it holds none.
    pub percent_added: Option<u64>,
    /// Addresses that would go, in hundredths.
    pub percent_removed: u64,
}

impl NetworkSet {
    /// The list that waits for a person, and what would come of it.
    pub fn held(&self) -> Option<(&Held, HeldCounts)> {
        let held = self.feed.as_ref()?.held.as_ref()?;
        let (before, after) = (&self.row.networks, &held.networks);
        let Drift { added, removed, .. } = provider_list::drift(before, after);
        // Both are in order.
        let lacking = |these: &[Network], others: &[Network]| {
            these.iter().filter(|one| others.binary_search(one).is_err()).count() as u64
        };
        let counts = HeldCounts {
            networks_added: lacking(after, before),
            networks_removed: lacking(before, after),
            percent_added: (added != u64::MAX).then_some(added),
            percent_removed: removed,
        };
        Some((held, counts))
    }
}

/// A set as it is, but for its networks.
fn only(set: &NetworkSetRecord, networks: Vec<Network>) -> NetworkSetEdit {
    NetworkSetEdit {
        networks: Some(networks),
        owner: set.owner.clone(),
        comment: set.comment.clone(),
        source: SourceEdit::Stays,
    }
}

/// The set of a source, where both are still what they were when the list was asked for.
fn present(
    change: &Change<'_>,
    due: &DueFeed,
) -> Result<Option<(OrganizationRecord, NetworkSetRecord, NetworkFeed)>, Fault> {
    let rows = change.rows();
    let Some(organization) = rows.organization(due.organization)? else { return Ok(None) };
    let Some(set) = rows.network_set(organization.pk, &due.name)? else { return Ok(None) };
    let feed = rows.feed(set.pk)?.filter(|feed| feed.source == due.source);
    Ok(feed.map(|feed| (organization, set, feed)))
}

fn take(change: &mut Change<'_>, due: &DueFeed, networks: Vec<Network>) -> Result<Settled, Fault> {
    let Some((organization, set, mut feed)) = present(change, due)? else { return Ok(Settled::Gone) };
    let edit = network_sets::check(change, only(&set, networks), set.networks.len())?;
    let networks = edit.networks.clone().unwrap_or_default();
    // What a set is filled with at first, its owner has just asked for.
    let is_first = feed.good_at.is_none() && set.networks.is_empty();
    let drift = provider_list::drift(&set.networks, &networks);
    let why = if is_first { drift.half() } else { drift.too_much(MOST_CHANGE) };
    // Whoever was quiet meanwhile has confirmed nothing: what is held is held until somebody does.
    let held = feed.held.as_ref().filter(|held| held.networks == networks && !drift.is_none());
    if let Some(why) = why.or_else(|| held.map(|held| held.why.clone())) {
        return hold(change, due, (&set, feed), networks, why);
    }
    let before = set.networks.clone();
    let after = network_sets::replace(change, Guards::All, &organization, set, edit)?;
    feed.held = None;
    (feed.failures, feed.fault, feed.good_at) = (0, None, Some(change.now()));
    settle(change, due, feed)?;
    Ok(if after.networks == before { Settled::Same } else { Settled::Changed(change.revision()) })
}

/// Keeps a list for a person to look at. It is told once, however often it comes, and of all that take turns, with it or with
/// good ones, one in an hour.
fn hold(
    change: &mut Change<'_>,
    due: &DueFeed,
    (set, mut feed): (&NetworkSetRecord, NetworkFeed),
    networks: Vec<Network>,
    why: String,
) -> Result<Settled, Fault> {
    let now = change.now();
    let is_of_late = |at: Timestamp| {
        let ago = now.unix_seconds().saturating_sub(at.unix_seconds());
        (0..TOLD_AGAIN).contains(&ago)
    };
    let same = feed.held.as_ref().filter(|held| held.networks == networks || is_of_late(held.since));
    let since = same.map_or(now, |held| held.since);
    let is_told = feed.held.as_ref().is_some_and(|held| held.networks == networks);
    // Also where a good list came in between: a source that gives both in turn tells no more of itself.
    let is_new = !is_told && !feed.told_at.is_some_and(is_of_late);
    if is_new {
        feed.told_at = Some(now);
        let event = Event::new(EventType::NetworkSetHeld, set.organization).entry(&Target::Set(Arc::clone(&set.name)));
        change.note(event.detail(format!("{why}: {}", network_sets::difference(&set.networks, &networks))))?;
    }
    feed.held = Some(Held { since, why: why.clone(), networks });
    (feed.failures, feed.fault) = (0, None);
    settle(change, due, feed)?;
    Ok(Settled::Held { is_new, why })
}

/// Writes that something has come of a source, and when it is asked next: at once, where somebody has wished so meanwhile.
fn settle(change: &mut Change<'_>, due: &DueFeed, mut feed: NetworkFeed) -> Result<(), Fault> {
    if feed.due_at == due.again {
        feed.due_at = next(&feed.source, feed.failures, change.now());
    }
    feed.is_asked = false;
    change.store().write_feed(&feed)?;
    change.keep_aside();
    Ok(())
}

#[cfg(test)]
mod tests;
