//! Lists of API keys and service accounts, and making a new one: its secret is shown once, by the answer to the form.

use askama::Template;
use axum::response::Response;

use super::listing::Listing;
use super::page::{self, Frame, Place, Problem};
use super::pasted;
use super::shown::Row;
use super::speakers::Speakers;
use super::visit::{Page, Visit, tried};
use super::words::{ORGANIZATION_ROLES, PROJECT_ROLES, RoleWord};
use crate::access::client_address::ClientAddress;
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::{self, CredentialName, OrganizationRecord, ProjectRecord};
use crate::access::role::Role;
use crate::clock::Timestamp;
use crate::control::{Deed, Fault, GrantedRole, NewAccount, NewEntry, NewKey};

const KEYS: CredentialKind = CredentialKind::ApiKey;
const ACCOUNTS: CredentialKind = CredentialKind::ServiceAccount;

pub(super) const PAGES: &[Page] = &[
    Page::get("/orgs/{org}/keys", |visit| Box::pin(list(visit, KEYS))),
    Page::get("/orgs/{org}/accounts", |visit| Box::pin(list(visit, ACCOUNTS))),
    Page::get("/orgs/{org}/keys/new", |visit| Box::pin(async move { new_page(&visit, KEYS, None).await })),
    Page::get("/orgs/{org}/accounts/new", |visit| Box::pin(async move { new_page(&visit, ACCOUNTS, None).await })),
    Page::post("/orgs/{org}/keys/new", |visit| Box::pin(create(visit, KEYS))),
    Page::post("/orgs/{org}/accounts/new", |visit| Box::pin(create(visit, ACCOUNTS))),
    Page::get("/projects/{project}/keys", |visit| Box::pin(list(visit, KEYS))),
    Page::get("/projects/{project}/accounts", |visit| Box::pin(list(visit, ACCOUNTS))),
    Page::get("/projects/{project}/keys/new", |visit| Box::pin(async move { new_page(&visit, KEYS, None).await })),
    Page::get("/projects/{project}/accounts/new", |visit| {
        Box::pin(async move { new_page(&visit, ACCOUNTS, None).await })
    }),
    Page::post("/projects/{project}/keys/new", |visit| Box::pin(create(visit, KEYS))),
    Page::post("/projects/{project}/accounts/new", |visit| Box::pin(create(visit, ACCOUNTS))),
];

#[derive(Template)]
#[template(path = "credentials.html", config = "src/console/askama.toml")]
struct ListPage {
    frame: Frame,
    spot: Spot,
    words: &'static Words,
    listing: Listing,
    rows: Vec<Row>,
    /// Whether the visitor may make one here.
    may: bool,
}

#[derive(Template)]
#[template(path = "credential_new.html", config = "src/console/askama.toml")]
struct NewPage {
    frame: Frame,
    spot: Spot,
    words: &'static Words,
    is_account: bool,
    may: bool,
    /// With whether it is ticked, and whether the visitor may grant it.
    roles: Vec<(RoleWord, bool, bool)>,
    own_address: String,
    required: bool,
    days: Days,
    speakers: Speakers,
    form: super::form::Form,
}

#[derive(Template)]
#[template(path = "credential_made.html", config = "src/console/askama.toml")]
struct MadePage {
    frame: Frame,
    name: CredentialName,
    /// What it is sent as.
    pair: Option<(String, String)>,
    organization: Id,
    entries: u64,
    required: bool,
}

/// The words for a kind of credential.
pub(super) struct Words {
    pub(super) section: &'static str,
    pub(super) path: &'static str,
    one: &'static str,
    what: &'static str,
}

/// The words for a kind of credential.
pub(super) fn words(kind: CredentialKind) -> &'static Words {
    match kind {
        CredentialKind::ApiKey => &Words {
            section: "API keys",
            path: "keys",
            one: "API key",
            what: "An API key is a public and a private key that a program sends with each request.",
        },
        CredentialKind::ServiceAccount => &Words {
            section: "Service accounts",
            path: "accounts",
            one: "service account",
            what: "A service account has a client id and a secret, which a program exchanges for tokens that last an hour.",
        },
    }
}

/// Where credentials are looked at: an organization, or a project of it.
pub(super) struct Spot {
    pub(super) organization: OrganizationRecord,
    pub(super) project: Option<ProjectRecord>,
}

impl Spot {
    /// Of the path.
    pub(super) async fn of(visit: &Visit) -> Result<Self, Fault> {
        match visit.part::<Id>("project") {
            Ok(id) => {
                let project = visit.control.project(&visit.actor, id).await?;
                let organization = visit.control.organization(&visit.actor, project.organization).await?;
                Ok(Self { organization, project: Some(project) })
            }
            Err(_) => Ok(Self { organization: visit.organization().await?, project: None }),
        }
    }

    pub(super) fn place(&self) -> record::Place {
        match &self.project {
            Some(project) => record::Place::Project(project.id),
            None => record::Place::Organization(self.organization.id),
        }
    }

    /// What addresses of pages here begin with.
    pub(super) fn base(&self) -> String {
        match &self.project {
            Some(project) => format!("/projects/{}", project.id),
            None => format!("/orgs/{}", self.organization.id),
        }
    }

    /// Whether the visitor may make credentials here.
    async fn may_make(&self, visit: &Visit) -> Result<bool, Fault> {
        let deed = match &self.project {
            Some(project) => Deed::Administer(project.id),
            None => Deed::Own(self.organization.id),
        };
        visit.may(deed).await
    }

    /// Who makes credentials here.
    fn makers(&self) -> &'static str {
        if self.project.is_some() { "Project access admin" } else { "Organization owner" }
    }

    /// Roles that are offered here, with what is ticked and what the visitor may grant.
    pub(super) async fn offered(
        &self,
        visit: &Visit,
        offered: &[RoleWord],
        is_ticked: impl Fn(&RoleWord) -> bool,
    ) -> Result<Vec<(RoleWord, bool, bool)>, Fault> {
        let role = |word: &RoleWord| match &self.project {
            Some(project) => Role::on_project(project.id, word.role),
            None => Role::on_organization(word.role),
        };
        let may = visit.may_grant(self.organization.id, None, offered.iter().filter_map(role).collect()).await?;
        Ok(offered.iter().zip(may).map(|(word, may)| (*word, is_ticked(word), may)).collect())
    }

    pub(super) fn name(&self) -> &str {
        self.project.as_ref().map_or(&self.organization.name, |project| &project.name)
    }

    /// The part of the organization that a page here belongs to.
    pub(super) fn section(&self, own: &'static str) -> &'static str {
        if self.project.is_some() { "Projects" } else { own }
    }
}

async fn list(visit: Visit, kind: CredentialKind) -> Result<Response, Fault> {
    let spot = Spot::of(&visit).await?;
    let listing = Listing::of(&visit, &["search", "sort"]);
    let found = visit.control.credentials(&visit.actor, kind, spot.place(), listing.search(), listing.part());
    let (found, total) = found.await?;
    let now = visit.control.clock().now();
    let rows = found.into_iter().map(|one| Row::new(one, &spot.organization, now)).collect();
    let words = words(kind);
    let frame = visit.frame().titled(format!("{} of {}", words.section, spot.name()));
    let frame = frame.within((&spot.organization).into(), spot.section(words.section));
    let may = spot.may_make(&visit).await?;
    Ok(page::show(200, &ListPage { frame, spot, words, listing: listing.of_total(total), rows, may }))
}

async fn new_page(visit: &Visit, kind: CredentialKind, problem: Option<Problem>) -> Result<Response, Fault> {
    let spot = Spot::of(visit).await?;
    let words = words(kind);
    let offered: &[RoleWord] = if spot.project.is_some() { &PROJECT_ROLES } else { &ORGANIZATION_ROLES };
    let ticked = |word: &RoleWord| visit.form.all("role").any(|role| role == word.role);
    let (may, roles) = (spot.may_make(visit).await?, spot.offered(visit, offered, ticked).await?);
    let frame = visit.frame().titled(format!("New {}", words.one)).refusing(problem);
    let frame = frame.within((&spot.organization).into(), spot.section(words.section));
    let own_address = visit.own_address().map(|address| address.to_string()).unwrap_or_default();
    let required = spot.organization.mode == AccessListMode::Required;
    let (days, form) = (Days::of(&spot.organization), visit.form.clone());
    let (is_account, speakers) = (kind == ACCOUNTS, Speakers::typed(&visit.form));
    let page = NewPage { frame, spot, words, is_account, may, roles, own_address, required, days, speakers, form };
    Ok(page::show(page.frame.status(), &page))
}

/// The entries of a form: what was typed, and the visitor's own address where that is ticked.
pub(super) fn entries(visit: &Visit) -> Result<Vec<NewEntry>, Fault> {
    let mut entries = pasted::entries(visit.form.raw("entries"), visit.control.clock().now())?;
    let also = visit.form.all("also").filter_map(|text| text.parse::<Network>().ok());
    let own =
        visit.own_address().filter(|_| visit.form.is_on("current")).map(|own: ClientAddress| Network::host(own.ip()));
    for network in also.chain(own) {
        if entries.iter().all(|entry| entry.target.network() != Some(network)) {
            entries.push(NewEntry { target: network.into(), comment: None, expires_at: Timestamp::NEVER });
        }
    }
    Ok(entries)
}

/// The roles that are ticked, on one project or on the organization, and those that mean something to the upstream only.
pub(super) fn roles(visit: &Visit) -> Vec<GrantedRole> {
    let others = visit.form.raw("app_roles").split([',', ' ', '\n', '\r']).filter(|name| !name.is_empty());
    let others =
        others.map(
            |name| if name == "GATEWAY" || name.starts_with("app:") { name.to_owned() } else { format!("app:{name}") },
        );
    let named = visit.form.all("role").map(str::to_owned).chain(others);
    named.map(|name| GrantedRole { organization: None, project: None, name }).collect()
}

pub(super) fn enforcement(visit: &Visit) -> Enforcement {
    if visit.form.raw("enforcement") == "report" { Enforcement::Report } else { Enforcement::Enforce }
}

async fn create(visit: Visit, kind: CredentialKind) -> Result<Response, Fault> {
    let spot = Spot::of(&visit).await?;
    match tried(made(&visit, &spot, kind).await)? {
        Ok((name, pair, entries)) => {
            let frame = visit.frame().titled(format!("The {} is made", words(kind).one));
            let frame = frame.within((&spot.organization).into(), spot.section(words(kind).section));
            let required = spot.organization.mode == AccessListMode::Required;
            let organization = spot.organization.id;
            Ok(page::show(200, &MadePage { frame, name, pair, organization, entries, required }))
        }
        Err(problem) => new_page(&visit, kind, Some(problem)).await,
    }
}

type Made = (CredentialName, Option<(String, String)>, u64);

async fn made(visit: &Visit, spot: &Spot, kind: CredentialKind) -> Result<Made, Fault> {
    let form = &visit.form;
    let expires_at = pasted::expiry_field("expiresAt", form.text("expiresAt"), visit.control.clock().now())?;
    let (entries, roles, enforcement) = (entries(visit)?, roles(visit), enforcement(visit));
    let listed = entries.len() as u64;
    match kind {
        CredentialKind::ApiKey => {
            let description = form.text("desc").to_owned();
            let new = NewKey { description, roles, expires_at, enforcement, entries };
            let made = visit.control.create_api_key(&visit.actor, spot.place(), new).await?.value;
            let public = made.key.row.public_key.clone().unwrap_or_default();
            Ok((made.key.row.credential(), Some((public, made.private_key)), listed))
        }
        CredentialKind::ServiceAccount => {
            let speakers = Speakers::typed(form);
            // Without a secret it has to have something else to prove itself by.
            let needs_secret = speakers.is_empty() || form.given("hours").is_some();
            let secret_hours = needs_secret.then(|| hours(form.text("hours"))).transpose()?;
            let new = NewAccount {
                name: form.text("name").to_owned(),
                description: form.text("description").to_owned(),
                roles,
                secret_hours,
                subject: speakers.token(),
                certificate: speakers.certificate()?,
                expires_at,
                enforcement,
                entries,
            };
            let (account, secret) = visit.control.create_service_account(&visit.actor, spot.place(), new).await?.value;
            let name = account.row.credential();
            Ok((name, secret.map(|secret| (name.to_string(), secret.secret)), listed))
        }
    }
}

/// How long a secret of a service account may last, in days as the forms count.
pub(super) struct Days {
    /// What is offered.
    pub(super) usual: String,
    /// What is possible.
    pub(super) hint: String,
    /// The same, and what there is to know of a first secret.
    first: String,
}

impl Days {
    pub(super) fn of(organization: &OrganizationRecord) -> Self {
        let most = organization.secret_hours / 24;
        let hint = match most {
            0 => format!(
                "This organization lets secrets last {} hours, less than a day: make it by the API, or have an owner change that.",
                organization.secret_hours
            ),
            365.. => "1 to 365.".to_owned(),
            most => format!("1 to {most}, which is what this organization allows."),
        };
        let first = format!(
            "{hint} A second secret can be added before, so that no program has to pause. Empty: it has none, and proves \
             itself by what is named below."
        );
        Self { usual: most.clamp(1, 90).to_string(), hint, first }
    }
}

/// Hours that a secret lasts, from a field that counts days.
pub(super) fn hours(days: &str) -> Result<u32, Fault> {
    let days: Option<u32> = days.parse().ok().filter(|days| (1..=365).contains(days));
    let wrong = || {
        crate::problem::Refusal::field(crate::problem::Code::InvalidAttribute, "hours", "it is a number from 1 to 365")
    };
    Ok(days.ok_or_else(wrong)? * 24)
}

impl From<&ProjectRecord> for Place {
    fn from(row: &ProjectRecord) -> Self {
        Self { id: row.id, name: row.name.clone() }
    }
}
