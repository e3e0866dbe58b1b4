//! Organizations: all that one may see, a new one, and the settings of one with its switch.

use askama::Template;
use axum::response::Response;

use super::page::{self, Frame, Place, Problem};
use super::visit::{Page, Visit, tried};
use super::words::{self, POSITIONS, Position};
use crate::access::credential::AccessListMode;
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::{CredentialName, OrganizationRecord};
use crate::clock::Timestamp;
use crate::control::{Additions, Deed, Fault, Guards, NewEntry, NewOrganization, OrganizationEdit};
use crate::problem::{Code, Refusal};

/// Credentials without a list that are shown at most; those that were used last come first.
const MOST_NAMED: u64 = 200;

pub(super) const PAGES: &[Page] = &[
    Page::get("/", |visit| Box::pin(list(visit))),
    Page::get("/home", |visit| Box::pin(home(visit))),
    Page::get("/orgs/new", |visit| Box::pin(async move { new_page(&visit, None).await })),
    Page::post("/orgs/new", |visit| Box::pin(create(visit))),
    Page::get("/orgs/{org}", |visit| Box::pin(enter(visit))),
    Page::get("/orgs/{org}/settings", |visit| Box::pin(async move { settings_page(&visit, None).await })),
    Page::post("/orgs/{org}/rename", |visit| Box::pin(rename(visit))),
    Page::post("/orgs/{org}/secret-validity", |visit| Box::pin(limit_secrets(visit))),
    Page::get("/orgs/{org}/switch", |visit| Box::pin(async move { switch_page(&visit, None).await })),
    Page::post("/orgs/{org}/switch", |visit| Box::pin(turn(visit))),
    Page::post("/orgs/{org}/delete", |visit| Box::pin(delete(visit))),
];

#[derive(Template)]
#[template(path = "organizations.html", config = "src/console/askama.toml")]
struct ListPage {
    frame: Frame,
    organizations: Vec<(OrganizationRecord, &'static Position)>,
    /// Whether the visitor may make one.
    may: bool,
}

#[derive(Template)]
#[template(path = "organization_new.html", config = "src/console/askama.toml")]
struct NewPage {
    frame: Frame,
    name: String,
    required: bool,
    may: bool,
}

#[derive(Template)]
#[template(path = "settings.html", config = "src/console/askama.toml")]
struct SettingsPage {
    frame: Frame,
    organization: OrganizationRecord,
    position: &'static Position,
    /// Hours that a secret of a service account may last at most, as typed or as it is.
    hours: String,
    /// Whether the visitor may change any of it.
    may: bool,
}

#[derive(Template)]
#[template(path = "switch.html", config = "src/console/askama.toml")]
struct SwitchPage {
    frame: Frame,
    organization: OrganizationRecord,
    refused: Vec<Refused>,
    total: u64,
    /// Whether the visitor may turn the switch.
    may: bool,
}

/// A credential that *required* would refuse.
struct Refused {
    name: CredentialName,
    called: String,
    key: String,
    last_used: String,
    addresses: Vec<String>,
}

impl Visit {
    /// The organization of the path.
    ///
    /// # Errors
    /// It is not there, or not to be seen.
    pub(super) async fn organization(&self) -> Result<OrganizationRecord, Fault> {
        self.control.organization(&self.actor, self.part::<Id>("org")?).await
    }
}

impl From<&OrganizationRecord> for Place {
    fn from(row: &OrganizationRecord) -> Self {
        Self { id: row.id, name: row.name.clone() }
    }
}

/// Whoever is in one organization alone begins there.
async fn home(visit: Visit) -> Result<Response, Fault> {
    match visit.control.organizations(&visit.actor).await?.as_slice() {
        [only] => Ok(page::to(&format!("/orgs/{}", only.id))),
        _ => Ok(page::to("/")),
    }
}

async fn list(visit: Visit) -> Result<Response, Fault> {
    let mut organizations = visit.control.organizations(&visit.actor).await?;
    organizations.sort_by_key(|one| one.name.to_lowercase());
    let organizations = organizations.into_iter().map(|one| (words::position(one.mode), one));
    let organizations = organizations.map(|(position, one)| (one, position)).collect();
    let frame = visit.frame().titled("Organizations");
    let may = visit.may(Deed::MakeOrganizations).await?;
    Ok(page::show(200, &ListPage { frame, organizations, may }))
}

/// What people look for first in an organization: its keys, or its projects where that is all they may see.
async fn enter(visit: Visit) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    let place = crate::access::record::Place::Organization(organization.id);
    let search = crate::access::record::CredentialSearch::default();
    let keys = crate::access::credential::CredentialKind::ApiKey;
    let part = match visit.control.credentials(&visit.actor, keys, place, search, (0, 1)).await {
        Err(Fault::Refused(refusal)) if refusal.code == Code::InsufficientRole => "projects",
        _ => "keys",
    };
    let done = if visit.query.is_on("done") { "?done=created" } else { "" };
    Ok(page::to(&format!("/orgs/{}/{part}{done}", organization.id)))
}

async fn new_page(visit: &Visit, problem: Option<Problem>) -> Result<Response, Fault> {
    let required = problem.is_none() || visit.form.is_on("required");
    let frame = visit.frame().titled("New organization").refusing(problem);
    let (name, may) = (visit.form.text("name").to_owned(), visit.may(Deed::MakeOrganizations).await?);
    Ok(page::show(frame.status(), &NewPage { frame, name, required, may }))
}

async fn create(visit: Visit) -> Result<Response, Fault> {
    let mode = if visit.form.is_on("required") { AccessListMode::Required } else { AccessListMode::Off };
    let new = NewOrganization { name: visit.form.text("name").to_owned(), mode, key: None };
    match tried(visit.control.create_organization(&visit.actor, new).await)? {
        Ok(made) => Ok(page::to(&format!("/orgs/{}?done=created", made.value.0.id))),
        Err(problem) => new_page(&visit, Some(problem)).await,
    }
}

async fn settings_page(visit: &Visit, problem: Option<Problem>) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    let title = format!("Settings of {}", organization.name);
    let frame = visit.frame().titled(title).within((&organization).into(), "Settings").refusing(problem);
    let position = words::position(organization.mode);
    let may = visit.may(Deed::Own(organization.id)).await?;
    let stored = organization.secret_hours.to_string();
    let hours = visit.form.given(SECRET_HOURS).map_or(stored, str::to_owned);
    Ok(page::show(frame.status(), &SettingsPage { frame, organization, position, hours, may }))
}

/// What the API calls the hours, and the form too.
const SECRET_HOURS: &str = "maxServiceAccountSecretValidityInHours";

async fn limit_secrets(visit: Visit) -> Result<Response, Fault> {
    let id: Id = visit.part("org")?;
    let edited = async {
        let hours = visit.form.text(SECRET_HOURS).parse();
        let hours =
            hours.map_err(|_| Refusal::field(Code::InvalidAttribute, SECRET_HOURS, "it is a number of hours"))?;
        let edit = OrganizationEdit { secret_hours: Some(hours), ..OrganizationEdit::default() };
        visit.control.edit_organization(&visit.actor, Guards::All, id, edit, None).await
    };
    match tried(edited.await)? {
        Ok(_) => Ok(page::to(&format!("/orgs/{id}/settings?done=saved"))),
        Err(problem) => settings_page(&visit, Some(problem)).await,
    }
}

async fn rename(visit: Visit) -> Result<Response, Fault> {
    let id: Id = visit.part("org")?;
    let edit = OrganizationEdit { name: Some(visit.form.text("name").to_owned()), ..OrganizationEdit::default() };
    match tried(visit.control.edit_organization(&visit.actor, Guards::All, id, edit, None).await)? {
        Ok(_) => Ok(page::to(&format!("/orgs/{id}/settings?done=saved"))),
        Err(problem) => settings_page(&visit, Some(problem)).await,
    }
}

async fn switch_page(visit: &Visit, problem: Option<Problem>) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    let (credentials, total) = visit.control.unlisted(&visit.actor, organization.id, (0, MOST_NAMED)).await?;
    let now = visit.control.clock().now();
    let refused = credentials.into_iter().map(|credential| Refused {
        name: credential.row.credential(),
        key: credential.row.public_key.clone().unwrap_or_else(|| credential.row.credential().to_string()),
        called: credential.row.name,
        last_used: credential.usage.last.map(|used| words::ago(used.at, now)).unwrap_or_default(),
        addresses: credential.usage.recent.iter().map(|used| used.address.to_string()).collect(),
    });
    let refused = refused.collect();
    let frame =
        visit.frame().titled("Require IP access lists").within((&organization).into(), "Settings").refusing(problem);
    let may = visit.may(Deed::Own(organization.id)).await?;
    Ok(page::show(frame.status(), &SwitchPage { frame, organization, refused, total, may }))
}

async fn turn(visit: Visit) -> Result<Response, Fault> {
    let id: Id = visit.part("org")?;
    let asked = POSITIONS.iter().find(|one| one.name == visit.form.raw("mode"));
    let Some(position) = asked else {
        return Err(Refusal::field(Code::InvalidAttribute, "mode", "choose one of the positions").into());
    };
    // Before it refuses anybody, whoever turns it sees whom.
    if position.mode == AccessListMode::Required && !visit.form.is_on("seen") {
        return Ok(page::to(&format!("/orgs/{id}/switch")));
    }
    let edit = OrganizationEdit { mode: Some(position.mode), ..OrganizationEdit::default() };
    let all = (edit, additions(&visit)?);
    match tried(visit.control.edit_with_lists(&visit.actor, visit.guards(), id, all, None).await)? {
        Ok(_) => Ok(page::to(&format!("/orgs/{id}/settings?done=switch"))),
        Err(problem) if position.mode == AccessListMode::Required => {
            switch_page(&visit, Some(visit.answering(problem))).await
        }
        Err(problem) => settings_page(&visit, Some(problem)).await,
    }
}

/// The addresses that are ticked, each as `credential address`.
fn additions(visit: &Visit) -> Result<Additions, Fault> {
    let mut lists = Additions::new();
    for ticked in visit.form.all("add") {
        let read = ticked
            .split_once(' ')
            .and_then(|(name, network)| Some((credential(name)?, network.parse::<Network>().ok()?)));
        let Some((name, network)) = read else {
            return Err(Refusal::field(Code::InvalidAttribute, "add", "it is no address of a credential").into());
        };
        let comment = Some("seen in use when lists became required".to_owned());
        let entry = NewEntry { target: network.into(), comment, expires_at: Timestamp::NEVER };
        match lists.iter_mut().find(|(known, _)| *known == name) {
            Some((_, entries)) => entries.push(entry),
            None => lists.push((name, vec![entry])),
        }
    }
    Ok(lists)
}

/// A credential by what it is named: an id, or a client id.
pub(super) fn credential(name: &str) -> Option<CredentialName> {
    let key = name.parse::<Id>().ok().map(CredentialName::api_key);
    key.or_else(|| name.parse().ok().map(CredentialName::service_account))
}

async fn delete(visit: Visit) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    if visit.form.text("typed") != organization.name {
        let refusal = Refusal::field(Code::InvalidAttribute, "typed", "it is not the name of the organization");
        return settings_page(&visit, Some(refusal.into())).await;
    }
    match tried(visit.control.delete_organization(&visit.actor, organization.id).await)? {
        Ok(_) => Ok(page::to("/?done=deleted")),
        Err(problem) => settings_page(&visit, Some(problem)).await,
    }
}
