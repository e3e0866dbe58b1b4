//! Where a network set takes its networks from by itself: what the form says, what came of it, and a list that waits for a
//! person.

use axum::response::Response;

use super::network_sets::{address, present, set_page};
use super::page;
use super::shown::{Moment, Tag};
use super::visit::{Page, Visit, tried};
use super::words::ago;
use crate::access::feed::{FeedState, Form, NetworkFeed, Origin, Source};
use crate::clock::Timestamp;
use crate::config::feed_source::FeedSource;
use crate::control::{Fault, HeldCounts, NetworkSet, SourceEdit};

pub(super) const PAGES: &[Page] = &[
    Page::post("/orgs/{org}/sets/{set}/refresh", |visit| Box::pin(refresh(visit))),
    Page::post("/orgs/{org}/sets/{set}/held", |visit| Box::pin(confirm(visit))),
];

/// The fields of a source, as they stand on the page.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) url: String,
    pub(super) file: String,
    pub(super) form: String,
    pub(super) services: String,
    pub(super) regions: String,
    pub(super) every: String,
}

impl Fields {
    /// As they were typed, or as the set has them.
    pub(super) fn of(visit: &Visit, set: Option<&NetworkSet>, is_typed: bool) -> Self {
        let text = |field: &str| visit.form.raw(field).to_owned();
        if is_typed {
            return Self {
                url: text("source.url"),
                file: text("source.file"),
                form: text("source.form"),
                services: text("source.services"),
                regions: text("source.regions"),
                every: text("source.every"),
            };
        }
        set.and_then(|set| set.feed.as_ref()).map_or_else(Self::default, |feed| Self::shown(&feed.source))
    }

    fn shown(source: &Source) -> Self {
        let (url, file) = match &source.origin {
            Origin::Url(url) => (url.clone(), String::new()),
            Origin::File(file) => (String::new(), file.clone()),
        };
        Self {
            url,
            file,
            form: source.form.map(|form| form.as_str().to_owned()).unwrap_or_default(),
            services: source.wanted.services.join(", "),
            regions: source.wanted.regions.join(", "),
            every: source.every(),
        }
    }

    /// Whether there is a source, so that its part of the page is open.
    pub(super) fn is_any(&self) -> bool {
        !self.url.is_empty() || !self.file.is_empty()
    }

    /// Every form, and whether it is chosen.
    pub(super) fn forms(&self) -> Vec<(&'static str, bool)> {
        Form::ALL.iter().map(|(name, _)| (*name, *name == self.form)).collect()
    }
}

/// How a source does, and since when.
pub(super) fn state(feed: &NetworkFeed, now: Timestamp) -> (Tag, Moment) {
    let (state, since) = feed.state(now);
    let (says, tone) = match state {
        FeedState::New => ("not asked yet", ""),
        FeedState::Fresh => ("fresh", "good"),
        FeedState::Failing => ("failing", "warn"),
        FeedState::Overdue => ("overdue", "bad"),
        FeedState::Held => ("a list waits", "warn"),
    };
    let moment = Moment { ago: ago(since, now), at: since.to_string(), what: String::new() };
    (Tag { says: says.to_owned(), tone }, moment)
}

/// What came of a source.
#[derive(Debug)]
pub(super) struct Told {
    /// From where, and how often.
    pub(super) source: String,
    pub(super) last_good: String,
    pub(super) fault: String,
    pub(super) failures: u32,
    pub(super) held: Option<ToldHeld>,
}

/// A list that waits for a person.
#[derive(Debug)]
pub(super) struct ToldHeld {
    pub(super) id: String,
    pub(super) since: String,
    pub(super) why: String,
    pub(super) counts: HeldCounts,
    pub(super) networks: Vec<String>,
}

impl Told {
    /// Of a set, where it has a source.
    pub(super) fn of(visit: &Visit, set: &NetworkSet) -> Option<Self> {
        let now = visit.control.clock().now();
        let feed = set.feed.as_ref()?;
        let held = set.held().map(|(held, counts)| ToldHeld {
            id: held.id(),
            since: ago(held.since, now),
            why: held.why.clone(),
            counts,
            networks: held.networks.iter().map(ToString::to_string).collect(),
        });
        Some(Self {
            source: feed.source.to_string(),
            last_good: feed.good_at.map(|at| ago(at, now)).unwrap_or_default(),
            fault: feed.fault.clone().unwrap_or_default(),
            failures: feed.failed(),
            held,
        })
    }
}

/// What the form says of the source.
pub(super) fn edit(visit: &Visit) -> Result<SourceEdit, Fault> {
    let given = |field: &str| visit.form.given(field).map(str::to_owned);
    let names = |field: &str| {
        let all = visit.form.text(field).split(',').map(str::trim).filter(|name| !name.is_empty());
        all.map(str::to_owned).collect::<Vec<String>>()
    };
    let (url, file) = (given("source.url"), given("source.file"));
    if url.is_none() && file.is_none() {
        return Ok(SourceEdit::Becomes(None));
    }
    let asked = FeedSource {
        url,
        file,
        form: given("source.form"),
        services: names("source.services"),
        regions: names("source.regions"),
        every: given("source.every"),
    };
    Ok(SourceEdit::Becomes(Some(asked.parsed()?)))
}

async fn refresh(visit: Visit) -> Result<Response, Fault> {
    let set = present(&visit).await?;
    let (organization, name) = (set.row.organization, set.row.name.to_string());
    match tried(visit.control.refresh_network_set(&visit.actor, organization, name.clone()).await)? {
        Ok(_) => Ok(page::to(&format!("{}?done=asked", address(organization, &name)))),
        Err(problem) => set_page(&visit, Some(set), Some(problem)).await,
    }
}

async fn confirm(visit: Visit) -> Result<Response, Fault> {
    let set = present(&visit).await?;
    let (organization, name) = (set.row.organization, set.row.name.to_string());
    let id = visit.form.text("held").to_owned();
    let place = (organization, name.clone());
    match tried(visit.control.confirm_held(&visit.actor, visit.guards(), place, id).await)? {
        Ok(_) => Ok(page::to(&format!("{}?done=list", address(organization, &name)))),
        Err(problem) => set_page(&visit, Some(set), Some(visit.answering(problem))).await,
    }
}
