//! The access list on the page of its credential: what is on it, adding to it, changing and removing entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::response::Response;

use super::credential::{base, named, show};
use super::credentials;
use super::listing::Listing;
use super::page::{self, Frame, Problem};
use super::pasted;
use super::visit::{Page, Visit, tried};
use super::words;
use crate::access::client_address::ClientAddress;
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::{CredentialName, EntryRecord, Place};
use crate::access::target::Target;
use crate::access::usage::CredentialUse;
use crate::clock::Timestamp;
use crate::control::{Actor, Control, Deed, EntryEdit, Fault};
use crate::problem::{Code, Refusal};

/// Up to so many entries are compared with each other.
const MOST_COMPARED: u64 = 1_000;

/// Sets that an organization may have at most, and more.
const ALL: u64 = 10_000;

pub(super) const PAGES: &[Page] = &[
    Page::post("/orgs/{org}/credentials/{credential}/list/add", |visit| Box::pin(add(visit))),
    Page::post("/orgs/{org}/credentials/{credential}/list/remove", |visit| Box::pin(remove(visit))),
    Page::get("/orgs/{org}/credentials/{credential}/list/entry", |visit| {
        Box::pin(async move { entry_page(&visit, None).await })
    }),
    Page::post("/orgs/{org}/credentials/{credential}/list/entry", |visit| Box::pin(edit(visit))),
];

/// The entries that a page shows.
pub(super) struct Entries {
    pub(super) listing: Listing,
    pub(super) rows: Vec<EntryRow>,
    /// What the list admits now, where it is short enough to tell.
    admitted: Option<Vec<Network>>,
}

/// One entry.
pub(super) struct EntryRow {
    pub(super) target: Target,
    /// A single address without its `/32` or `/128`.
    pub(super) called: String,
    pub(super) comment: String,
    /// When it ends, in words; empty where it does not.
    pub(super) ends: String,
    pub(super) is_over: bool,
    pub(super) count: u64,
    pub(super) used: String,
    pub(super) used_from: String,
    /// A broader entry that admits all of it.
    pub(super) within: Option<String>,
    pub(super) admits_everything: bool,
}

/// An address that the credential was used from.
pub(super) struct Seen {
    pub(super) address: String,
    pub(super) ago: String,
    /// Whether the list admits it now; `None` where that was not looked at.
    pub(super) is_listed: Option<bool>,
}

#[derive(Template)]
#[template(path = "entry.html", config = "src/console/askama.toml")]
struct EntryPage {
    frame: Frame,
    base: String,
    target: Target,
    comment: String,
    expires_at: String,
    /// Whether the visitor may change it.
    may: bool,
}

impl Entries {
    /// Whether the list admits an address now, where it is short enough to tell.
    pub(super) fn admits(&self, address: ClientAddress) -> Option<bool> {
        let networks = self.admitted.as_ref()?;
        Some(networks.iter().any(|network| network.contains(address.ip())))
    }

    /// The addresses that a credential was used from, newest first.
    pub(super) fn seen(&self, usage: &CredentialUse, now: Timestamp) -> Vec<Seen> {
        let seen = usage.recent.iter().map(|used| Seen {
            address: used.address.to_string(),
            ago: words::ago(used.at, now),
            is_listed: self.admits(used.address),
        });
        seen.collect()
    }
}

/// What the list of a credential admits now; `None` where it is too long to tell, or nobody may see it.
pub(super) async fn admits(
    control: &Arc<Control>,
    actor: &Actor,
    organization: Id,
    name: CredentialName,
) -> Option<Vec<Network>> {
    let place = Place::Organization(organization);
    let page = control.access_list(actor, place, name, (0, MOST_COMPARED)).await.ok()?;
    if page.total > page.entries.len() as u64 {
        return None;
    }
    let sets = match page.entries.iter().any(|entry| entry.target.set().is_some()) {
        true => control.network_sets(actor, organization, (0, ALL)).await.ok()?.0,
        false => Vec::new(),
    };
    let sets = sets.into_iter().map(|set| (set.row.name, set.row.networks)).collect();
    Some(admitted(&page.entries, &sets, control.clock().now()))
}

/// One page of the list, with what is redundant on it.
pub(super) async fn entries(
    visit: &Visit,
    organization: Id,
    name: CredentialName,
    listing: Listing,
) -> Result<Entries, Fault> {
    let (control, place, now) = (&visit.control, Place::Organization(organization), visit.control.clock().now());
    let page = control.access_list(&visit.actor, place, name, listing.part()).await?;
    let all = match page.total {
        total if total <= page.entries.len() as u64 => Some(page.entries.clone()),
        total if total <= MOST_COMPARED => {
            Some(control.access_list(&visit.actor, place, name, (0, MOST_COMPARED)).await?.entries)
        }
        _ => None,
    };
    let sets = match &all {
        Some(all) if all.iter().any(|entry| entry.target.set().is_some()) => {
            let (sets, _) = control.network_sets(&visit.actor, organization, (0, ALL)).await?;
            sets.into_iter().map(|set| (set.row.name, set.row.networks)).collect()
        }
        _ => BTreeMap::new(),
    };
    let admitted = all.as_deref().map(|all| admitted(all, &sets, now));
    let row = |entry: &EntryRecord| {
        let used = page.usage.get(&entry.target.to_string());
        let networks = networks(&entry.target, &sets);
        EntryRow {
            comment: entry.comment.clone().unwrap_or_default(),
            ends: if entry.expires_at == Timestamp::NEVER { String::new() } else { words::ago(entry.expires_at, now) },
            is_over: entry.expires_at <= now,
            count: used.map_or(0, |used| used.count),
            used: used.map(|used| words::ago(used.last.at, now)).unwrap_or_default(),
            used_from: used.map(|used| used.last.address.to_string()).unwrap_or_default(),
            within: all.as_deref().and_then(|all| broader(entry, all, now)).map(called),
            called: called(&entry.target),
            admits_everything: networks.iter().any(Network::covers_family),
            target: entry.target.clone(),
        }
    };
    Ok(Entries { rows: page.entries.iter().map(row).collect(), listing: listing.of_total(page.total), admitted })
}

/// What people call a target.
fn called(target: &Target) -> String {
    match target.network().filter(Network::is_host) {
        Some(host) => host.address().to_string(),
        None => target.to_string(),
    }
}

fn networks(target: &Target, sets: &BTreeMap<Arc<str>, Vec<Network>>) -> Vec<Network> {
    match (target.network(), target.set()) {
        (Some(network), _) => vec![network],
        (None, Some(name)) => sets.get(name).cloned().unwrap_or_default(),
        (None, None) => Vec::new(),
    }
}

fn admitted(all: &[EntryRecord], sets: &BTreeMap<Arc<str>, Vec<Network>>, now: Timestamp) -> Vec<Network> {
    all.iter().filter(|entry| entry.expires_at > now).flat_map(|entry| networks(&entry.target, sets)).collect()
}

/// Another entry that admits everything that this one does, for at least as long.
fn broader<'a>(entry: &EntryRecord, all: &'a [EntryRecord], now: Timestamp) -> Option<&'a Target> {
    let own = entry.target.network()?;
    let covers = |other: &&EntryRecord| {
        other.expires_at > now
            && other.expires_at >= entry.expires_at
            && other
                .target
                .network()
                .is_some_and(|network| network.prefix_len() < own.prefix_len() && network.contains(own.address()))
    };
    all.iter().find(covers).map(|other| &other.target)
}

async fn add(visit: Visit) -> Result<Response, Fault> {
    let (organization, name) = named(&visit)?;
    let at = (Place::Organization(organization), name);
    let added = async {
        let new = credentials::entries(&visit)?;
        if new.is_empty() {
            let wrong = "name an address or a network, one a line";
            return Err(Refusal::field(Code::InvalidAttribute, "entries", wrong).into());
        }
        visit.control.add_to_access_list(&visit.actor, visit.guards(), at, new, false, (0, 1)).await
    };
    match tried(added.await)? {
        Ok(_) => Ok(page::to(&format!("{}?done=list", base(organization, name)))),
        Err(problem) => show(&visit, Some(visit.answering(problem))).await,
    }
}

/// The entry that a form or an address names.
fn target(visit: &Visit) -> Result<Target, Fault> {
    let asked = visit.form.given("target").unwrap_or(visit.query.text("target"));
    let wrong = |fault: crate::access::network::NetworkFault| {
        Refusal::field(Code::InvalidAttribute, "target", fault.to_string())
    };
    Ok(asked.parse().map_err(wrong)?)
}

async fn remove(visit: Visit) -> Result<Response, Fault> {
    let (organization, name) = named(&visit)?;
    let at = (Place::Organization(organization), name);
    let target = target(&visit)?;
    match tried(visit.control.remove_from_access_list(&visit.actor, visit.guards(), at, target).await)? {
        Ok(_) => Ok(page::to(&format!("{}?done=list", base(organization, name)))),
        Err(problem) => show(&visit, Some(visit.answering(problem))).await,
    }
}

async fn entry_page(visit: &Visit, problem: Option<Problem>) -> Result<Response, Fault> {
    let (id, name) = named(visit)?;
    let organization = visit.control.organization(&visit.actor, id).await?;
    let target = target(visit)?;
    let place = Place::Organization(id);
    let found = visit.control.access_list_entry(&visit.actor, place, name, target.clone()).await?.entry;
    let frame = visit.frame().titled(format!("Entry {target}")).refusing(problem);
    let frame = frame.within((&organization).into(), credentials::words(name.kind).section);
    let expires_at = words::until(found.expires_at).chars().take(16).collect();
    let comment = found.comment.unwrap_or_default();
    let may = visit.may(Deed::Manage(name)).await?;
    Ok(page::show(frame.status(), &EntryPage { frame, base: base(id, name), target, comment, expires_at, may }))
}

async fn edit(visit: Visit) -> Result<Response, Fault> {
    let (organization, name) = named(&visit)?;
    let at = (Place::Organization(organization), name);
    let edited = async {
        let now = visit.control.clock().now();
        let expires_at = pasted::expiry_field("expiresAt", visit.form.text("expiresAt"), now)?;
        let comment = Some(visit.form.given("comment").map(str::to_owned));
        let edit = EntryEdit { comment, expires_at: Some(expires_at) };
        visit.control.edit_access_list_entry(&visit.actor, visit.guards(), at, target(&visit)?, edit, None).await
    };
    match tried(edited.await)? {
        Ok(_) => Ok(page::to(&format!("{}?done=list", base(organization, name)))),
        Err(problem) => entry_page(&visit, Some(visit.answering(problem))).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

    fn entry(target: &str, expires_at: Timestamp) -> EntryRecord {
        EntryRecord { target: target.parse().unwrap(), comment: None, expires_at, created_at: NOW }
    }

    #[test]
    fn what_a_broader_entry_admits_is_redundant_while_that_one_lives() {
        let soon = Timestamp::from_unix_seconds(2_000);
        let all = [
            entry("203.0.113.0/24", Timestamp::NEVER),
            entry("203.0.113.9", Timestamp::NEVER),
            entry("192.0.2.0/24", soon),
        ];
        assert_eq!(broader(&all[1], &all, NOW), Some(&all[0].target));
        assert_eq!(broader(&all[0], &all, NOW), None);
        // The broader one ends first.
        assert_eq!(broader(&entry("192.0.2.7", Timestamp::NEVER), &all, NOW), None);
        assert_eq!(broader(&entry("192.0.2.7", soon), &all, NOW), Some(&all[2].target));
        assert_eq!(broader(&entry("2001:db8::1", NOW), &all, NOW), None);
    }
}
