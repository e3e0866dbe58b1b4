//! Network sets: named lists of networks that entries refer to.

use askama::Template;
use axum::response::Response;

use super::feeds::{self, Fields, Told};
use super::page::{self, Frame, Problem};
use super::pasted;
use super::shown::{Moment, Tag};
use super::visit::{Page, Visit, tried};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::OrganizationRecord;
use crate::control::{Deed, Fault, NetworkSet, NetworkSetEdit, NewNetworkSet, SourceEdit};
use crate::problem::{Code, Refusal};

/// More sets than an organization can have.
const ALL: u64 = 10_000;

pub(super) const PAGES: &[Page] = &[
    Page::get("/orgs/{org}/sets", |visit| Box::pin(list(visit))),
    Page::get("/orgs/{org}/sets/new", |visit| Box::pin(async move { set_page(&visit, None, None).await })),
    Page::post("/orgs/{org}/sets/new", |visit| Box::pin(create(visit))),
    Page::get("/orgs/{org}/sets/{set}", |visit| Box::pin(edit_page(visit))),
    Page::post("/orgs/{org}/sets/{set}", |visit| Box::pin(replace(visit))),
    Page::post("/orgs/{org}/sets/{set}/delete", |visit| Box::pin(delete(visit))),
];

#[derive(Template)]
#[template(path = "sets.html", config = "src/console/askama.toml")]
struct ListPage {
    frame: Frame,
    organization: OrganizationRecord,
    /// With how the source of each does, and since when, where it has one.
    sets: Vec<(NetworkSet, Option<(Tag, Moment)>)>,
    /// Whether the visitor may make one.
    may: bool,
}

#[derive(Template)]
#[template(path = "set.html", config = "src/console/askama.toml")]
struct SetPage {
    frame: Frame,
    organization: OrganizationRecord,
    set: Option<NetworkSet>,
    called: String,
    networks: String,
    source: Fields,
    told: Option<Told>,
    owner: String,
    comment: String,
    version: String,
    /// Whether the visitor may change it.
    may: bool,
}

async fn list(visit: Visit) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    let (sets, _) = visit.control.network_sets(&visit.actor, organization.id, (0, ALL)).await?;
    let now = visit.control.clock().now();
    let sets = sets.into_iter().map(|set| {
        let state = set.feed.as_ref().map(|feed| feeds::state(feed, now));
        (set, state)
    });
    let sets = sets.collect();
    let frame = visit.frame().titled(format!("Network sets of {}", organization.name));
    let frame = frame.within((&organization).into(), "Network sets");
    let may = visit.may(Deed::Own(organization.id)).await?;
    Ok(page::show(200, &ListPage { frame, organization, sets, may }))
}

/// The page of a set, or of a new one. What was typed stays where the form was refused.
pub(super) async fn set_page(
    visit: &Visit,
    set: Option<NetworkSet>,
    problem: Option<Problem>,
) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    let title = set.as_ref().map_or("New network set".to_owned(), |set| format!("Network set {}", set.row.name));
    let is_typed = visit.form.is_on("typed");
    let typed = |field: &str, stored: Option<String>| match is_typed {
        true => visit.form.raw(field).to_owned(),
        false => stored.unwrap_or_default(),
    };
    let row = set.as_ref().map(|set| &set.row);
    let lines = |networks: &Vec<Network>| networks.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let page = SetPage {
        may: visit.may(Deed::Own(organization.id)).await?,
        called: typed("name", row.map(|row| row.name.to_string())),
        networks: typed("entries", row.map(|row| lines(&row.networks))),
        source: Fields::of(visit, set.as_ref(), is_typed),
        told: set.as_ref().and_then(|set| Told::of(visit, set)),
        owner: typed("owner", row.and_then(|row| row.owner.clone())),
        comment: typed("comment", row.and_then(|row| row.comment.clone())),
        version: typed("version", row.map(|row| row.revision.to_string())),
        frame: visit.frame().titled(title).within((&organization).into(), "Network sets").refusing(problem),
        organization,
        set,
    };
    Ok(page::show(page.frame.status(), &page))
}

/// What a form says of a set.
fn content(visit: &Visit) -> Result<NetworkSetEdit, Fault> {
    let lines = pasted::entries(visit.form.raw("entries"), visit.control.clock().now())?;
    let network = |entry: crate::control::NewEntry| {
        entry.target.network().ok_or_else(|| {
            let wrong = format!("`{}`: a set can’t hold another set", entry.target);
            Refusal::field(Code::InvalidAttribute, "entries", wrong)
        })
    };
    let networks = lines.into_iter().map(network).collect::<Result<Vec<Network>, _>>()?;
    let text = |field: &str| visit.form.given(field).map(str::to_owned);
    let source = feeds::edit(visit)?;
    // A set with a source is filled by that; emptied, it would hold back what comes next.
    let is_left_out = networks.is_empty() && source != SourceEdit::Becomes(None);
    Ok(NetworkSetEdit {
        networks: (!is_left_out).then_some(networks),
        owner: text("owner"),
        comment: text("comment"),
        source,
    })
}

pub(super) fn address(organization: Id, name: &str) -> String {
    let name: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("/orgs/{organization}/sets/{}", name.replace('+', "%20"))
}

async fn create(visit: Visit) -> Result<Response, Fault> {
    let organization: Id = visit.part("org")?;
    let name = visit.form.text("name").to_owned();
    let made = async {
        let new = NewNetworkSet { name: name.clone(), content: content(&visit)? };
        visit.control.create_network_set(&visit.actor, organization, new).await
    };
    match tried(made.await)? {
        Ok(_) => Ok(page::to(&format!("{}?done=created", address(organization, &name)))),
        Err(problem) => set_page(&visit, None, Some(problem)).await,
    }
}

pub(super) async fn present(visit: &Visit) -> Result<NetworkSet, Fault> {
    let name: String = visit.part("set")?;
    visit.control.network_set(&visit.actor, visit.part("org")?, name).await
}

async fn edit_page(visit: Visit) -> Result<Response, Fault> {
    let set = present(&visit).await?;
    set_page(&visit, Some(set), None).await
}

async fn replace(visit: Visit) -> Result<Response, Fault> {
    let set = present(&visit).await?;
    let (organization, name) = (set.row.organization, set.row.name.to_string());
    // Somebody else's change is not undone by a page that is older.
    let version = visit.form.text("version").parse().ok();
    let edited = async {
        let edit = content(&visit)?;
        visit
            .control
            .replace_network_set(&visit.actor, visit.guards(), (organization, name.clone()), edit, version)
            .await
    };
    match tried(edited.await)? {
        Ok(_) => Ok(page::to(&format!("{}?done=list", address(organization, &name)))),
        Err(problem) => set_page(&visit, Some(set), Some(visit.answering(problem))).await,
    }
}

async fn delete(visit: Visit) -> Result<Response, Fault> {
    let set = present(&visit).await?;
    let (organization, name) = (set.row.organization, set.row.name.to_string());
    match tried(visit.control.delete_network_set(&visit.actor, organization, name, None).await)? {
        Ok(_) => Ok(page::to(&format!("/orgs/{organization}/sets?done=deleted"))),
        Err(problem) => set_page(&visit, Some(set), Some(problem)).await,
    }
}
