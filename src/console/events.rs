//! The record of changes of an organization, with filters.

use askama::Template;
use axum::response::Response;

use super::listing::Listing;
use super::page::{self, Frame};
use super::visit::{Page, Visit};
use super::words;
use crate::access::record::{EventFilter, EventRecord};
use crate::clock::Timestamp;
use crate::control::{Fault, event_names};

pub(super) const PAGES: &[Page] = &[Page::get("/orgs/{org}/events", |visit| Box::pin(list(visit)))];

#[derive(Template)]
#[template(path = "events.html", config = "src/console/askama.toml")]
struct EventsPage {
    frame: Frame,
    listing: Listing,
    names: Vec<String>,
    events: Vec<Event>,
}

/// A line of the record.
struct Event {
    ago: String,
    at: String,
    what: String,
    name: String,
    actor: String,
    from: String,
    target: String,
    /// The page of the credential that it is about.
    link: Option<String>,
    detail: String,
}

impl Event {
    fn new(row: EventRecord, now: Timestamp) -> Self {
        let is_credential = row.event.starts_with("API_KEY_") || row.event.starts_with("SERVICE_ACCOUNT_");
        let link =
            row.target.as_ref().filter(|_| is_credential && !row.event.ends_with("_DELETED") || row.entry.is_some());
        Self {
            ago: words::ago(row.created_at, now),
            at: row.created_at.to_string(),
            what: in_words(&row.event),
            link: link.map(|target| format!("/orgs/{}/credentials/{target}", row.organization)),
            target: row.target_public_key.or(row.target).unwrap_or_default(),
            actor: row.actor_name,
            from: row.remote_address.unwrap_or_default(),
            detail: row.entry.or(row.detail).unwrap_or_default(),
            name: row.event,
        }
    }
}

/// `API_KEY_ROLES_CHANGED` as people say it.
fn in_words(name: &str) -> String {
    let words =
        name.to_ascii_lowercase().replace('_', " ").replace("api key", "API key").replace("org ", "organization ");
    let words = words.replace("group", "project").replace("public API access list", "access list");
    let words = words.replace("public api", "").replace("  ", " ");
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A day, or a time, of a filter.
fn time(text: &str, ends: bool) -> Option<Timestamp> {
    let full = match (text.len(), ends) {
        (10, false) => format!("{text}T00:00:00Z"),
        (10, true) => format!("{text}T23:59:59Z"),
        _ => text.to_owned(),
    };
    full.parse::<jiff::Timestamp>().ok().map(|at| Timestamp::from_unix_seconds(at.as_second()))
}

async fn list(visit: Visit) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    let listing = Listing::of(&visit, &["type", "from", "until"]);
    let filter = EventFilter {
        organization: Some(organization.id),
        project: None,
        types: Some(listing.given("type")).filter(|name| !name.is_empty()).map(str::to_owned).into_iter().collect(),
        from: time(listing.given("from"), false),
        until: time(listing.given("until"), true),
    };
    let (rows, total) = visit.control.events(&visit.actor, filter, listing.part()).await?;
    let now = visit.control.clock().now();
    let frame = visit.frame().titled(format!("Events of {}", organization.name));
    let frame = frame.within((&organization).into(), "Events");
    let events = rows.into_iter().map(|row| Event::new(row, now)).collect();
    let mut names: Vec<String> = event_names().collect();
    names.sort_unstable();
    Ok(page::show(200, &EventsPage { frame, listing: listing.of_total(total), names, events }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_in_words() {
        assert_eq!(in_words("API_KEY_ROLES_CHANGED"), "API key roles changed");
        assert_eq!(in_words("ORG_PUBLIC_API_ACCESS_LIST_REQUIRED"), "Organization access list required");
        assert_eq!(in_words("GROUP_CREATED"), "Project created");
    }
}
