//! One API key or service account: what it is, how it was used, its secrets, and its end.

use askama::Template;
use axum::response::Response;

use super::access_list::{self, Entries, Seen};
use super::credentials::{Days, enforcement, hours, roles, words};
use super::listing::Listing;
use super::organizations;
use super::page::{self, Frame, Problem};
use super::pasted;
use super::shown::{self, Moment, Tag};
use super::speakers::Speakers;
use super::visit::{Page, Visit, tried};
use super::words::{self as said, ORGANIZATION_ROLES, RoleWord};
use crate::access::client_id::ClientId;
use crate::access::credential::{CredentialKind, Enforcement};
use crate::access::id::Id;
use crate::access::record::{CredentialName, CredentialRecord, OrganizationRecord, Place};
use crate::access::role::Role;
use crate::access::usage::CredentialUse;
use crate::clock::Timestamp;
use crate::control::{AccountEdit, Deed, Fault, Guards, KeyEdit};
use crate::problem::{Code, Refusal};

pub(super) const PAGES: &[Page] = &[
    Page::get("/orgs/{org}/credentials/{credential}", |visit| Box::pin(async move { show(&visit, None).await })),
    Page::post("/orgs/{org}/credentials/{credential}/edit", |visit| Box::pin(edit(visit))),
    Page::post("/orgs/{org}/credentials/{credential}/secrets", |visit| Box::pin(add_secret(visit))),
    Page::post("/orgs/{org}/credentials/{credential}/secrets/delete", |visit| Box::pin(delete_secret(visit))),
    Page::post("/orgs/{org}/credentials/{credential}/tokens/revoke", |visit| Box::pin(revoke_tokens(visit))),
    Page::post("/orgs/{org}/credentials/{credential}/delete", |visit| Box::pin(delete(visit))),
];

#[derive(Template)]
#[template(path = "credential.html", config = "src/console/askama.toml")]
struct CredentialPage {
    frame: Frame,
    base: String,
    organization: OrganizationRecord,
    row: CredentialRecord,
    key: String,
    /// Whether the visitor may change it.
    may: bool,
    /// Whether the visitor may grant it roles on the organization.
    may_grant: bool,
    is_account: bool,
    description: String,
    speakers: Speakers,
    roles: Vec<(RoleWord, bool)>,
    /// Whether any of them is ticked.
    has_roles: bool,
    app_roles: String,
    project_roles: Vec<OnProject>,
    reports: bool,
    expires_at: String,
    states: Vec<Tag>,
    list: Tag,
    used: Option<Moment>,
    denied: Option<(Moment, String, String)>,
    denied_is_listed: bool,
    seen: Vec<Seen>,
    secrets: Vec<Secret>,
    days: Days,
    tokens: Option<Vec<Token>>,
    entries: Entries,
    own_address: String,
    form: super::form::Form,
}

#[derive(Template)]
#[template(path = "secret_made.html", config = "src/console/askama.toml")]
struct SecretPage {
    frame: Frame,
    base: String,
    pair: (String, String),
    is_account: bool,
}

/// The roles on a project.
struct OnProject {
    /// All of them: they are taken off together.
    called: String,
    project: Id,
    at: String,
    /// Whether the visitor may take the roles there.
    may: bool,
}

/// A secret without what is secret.
struct Secret {
    id: Id,
    shown: String,
    made: String,
    ends: String,
    is_over: bool,
    used: String,
}

/// A token that works.
struct Token {
    made: Option<Moment>,
    ends: Moment,
}

/// A credential of either kind.
struct Whole {
    row: CredentialRecord,
    roles: Vec<Role>,
    usage: CredentialUse,
    entries: u64,
    description: String,
    speakers: Speakers,
    secrets: Vec<Secret>,
}

/// The credential of the path.
pub(super) fn named(visit: &Visit) -> Result<(Id, CredentialName), Fault> {
    let name: String = visit.part("credential")?;
    let nothing = || Refusal::new(Code::ResourceNotFound, "There is no page at this address.");
    Ok((visit.part("org")?, organizations::credential(&name).ok_or_else(nothing)?))
}

/// The address of its page.
pub(super) fn base(organization: Id, name: CredentialName) -> String {
    format!("/orgs/{organization}/credentials/{name}")
}

async fn read(visit: &Visit, place: Place, name: CredentialName) -> Result<Whole, Fault> {
    let now = visit.control.clock().now();
    match name.kind {
        CredentialKind::ApiKey => {
            let key = visit.control.api_key(&visit.actor, place, name.id).await?;
            let secret = |one: &crate::access::record::SecretRecord| Secret {
                id: one.id,
                shown: one.shown.clone(),
                made: one.created_at.to_string(),
                ends: String::new(),
                is_over: false,
                used: String::new(),
            };
            let secrets = key.secrets.iter().map(secret).collect();
            let (description, speakers) = (String::new(), Speakers::default());
            let (row, roles, usage, entries) = (key.row, key.roles, key.usage, key.entries);
            Ok(Whole { row, roles, usage, entries, description, speakers, secrets })
        }
        CredentialKind::ServiceAccount => {
            let account = visit.control.service_account(&visit.actor, place, ClientId(name.id)).await?;
            let secret = |one: &crate::access::record::ClientSecretRecord| Secret {
                id: one.secret.id,
                shown: one.secret.shown.clone(),
                made: one.secret.created_at.to_string(),
                ends: said::ago(one.expires_at, now),
                is_over: one.expires_at <= now,
                used: one.last_used_at.map(|at| said::ago(at, now)).unwrap_or_default(),
            };
            let secrets = account.secrets.iter().map(secret).collect();
            Ok(Whole {
                row: account.row,
                roles: account.roles,
                usage: account.usage,
                entries: account.entries,
                speakers: Speakers::stored(&account.about),
                description: account.about.description,
                secrets,
            })
        }
    }
}

/// The page of a credential, with what was refused.
pub(super) async fn show(visit: &Visit, problem: Option<Problem>) -> Result<Response, Fault> {
    let (organization, name) = named(visit)?;
    let place = Place::Organization(organization);
    let organization = visit.control.organization(&visit.actor, organization).await?;
    let whole = read(visit, place, name).await?;
    let Whole { row, roles, usage, entries: listed, description, speakers, secrets } = whole;
    let now = visit.control.clock().now();
    let listing = Listing::of(visit, &[]);
    let entries = access_list::entries(visit, organization.id, name, listing).await?;
    let seen = entries.seen(&usage, now);
    let own = |wanted: &RoleWord| roles.iter().any(|role| role.project().is_none() && role.name() == wanted.role);
    let others = roles.iter().filter(|role| matches!(role, Role::Gateway | Role::Application(_)));
    let denied = shown::denied(&usage, now).zip(usage.denial.as_ref()).map(|(moment, denial)| {
        let why = form_urlencoded::Serializer::new(String::new())
            .append_pair("credential", &name.to_string())
            .append_pair("address", &moment.what)
            .finish();
        (moment, denial.code.clone(), why)
    });
    let frame = visit.frame().titled(row.name.clone());
    let frame = frame.within((&organization).into(), words(name.kind).section).refusing(problem);
    let page = CredentialPage {
        base: base(organization.id, name),
        key: shown::key(&row),
        may: visit.may(Deed::Manage(name)).await?,
        may_grant: visit.may(Deed::Own(organization.id)).await?,
        is_account: name.kind == CredentialKind::ServiceAccount,
        description,
        // What was typed stays where the form was refused.
        speakers: if visit.form.is_on("speakers") { Speakers::typed(&visit.form) } else { speakers },
        has_roles: ORGANIZATION_ROLES.iter().any(own),
        roles: ORGANIZATION_ROLES.iter().map(|word| (*word, own(word))).collect(),
        app_roles: others.map(Role::name).collect::<Vec<_>>().join(" "),
        project_roles: project_roles(visit, &organization, &roles).await?,
        reports: row.enforcement == Enforcement::Report,
        expires_at: said::until(row.expires_at).chars().take(16).collect(),
        states: shown::states(&row, now),
        list: shown::list(listed, organization.mode),
        used: shown::used(&usage, now),
        denied_is_listed: usage
            .denial
            .as_ref()
            .and_then(|denial| denial.address)
            .is_some_and(|at| entries.admits(at) == Some(true)),
        denied,
        seen,
        secrets,
        days: Days::of(&organization),
        tokens: tokens(visit, place, name).await?,
        entries,
        own_address: visit.own_address().map(|address| address.to_string()).unwrap_or_default(),
        form: visit.form.clone(),
        organization,
        row,
        frame,
    };
    Ok(page::show(page.frame.status(), &page))
}

/// Roles on projects.
async fn project_roles(
    visit: &Visit,
    organization: &OrganizationRecord,
    roles: &[Role],
) -> Result<Vec<OnProject>, Fault> {
    if roles.iter().all(|role| role.project().is_none()) {
        return Ok(Vec::new());
    }
    let projects = visit.control.projects(&visit.actor, Some(organization.id)).await?;
    let mut found = Vec::new();
    for project in &projects {
        let there: Vec<Role> = roles.iter().filter(|role| role.project() == Some(project.id)).cloned().collect();
        if there.is_empty() {
            continue;
        }
        let called: Vec<_> = there.iter().map(said::called).collect();
        let called = called.join(", ");
        let may = visit.may(Deed::Administer(project.id)).await?
            && visit.may_grant(organization.id, None, there).await?.iter().all(|may| *may);
        found.push(OnProject { called, project: project.id, at: project.name.clone(), may });
    }
    Ok(found)
}

impl Visit {
    /// Which guards refuse: none where the visitor has seen what they say, and means it.
    pub(super) fn guards(&self) -> Guards {
        if self.form.is_on("force") { Guards::Forced } else { Guards::All }
    }
}

async fn edit(visit: Visit) -> Result<Response, Fault> {
    let (organization, name) = named(&visit)?;
    match tried(edited(&visit, organization, name).await)? {
        Ok(()) => Ok(page::to(&format!("{}?done=saved", base(organization, name)))),
        Err(problem) => show(&visit, Some(visit.answering(problem))).await,
    }
}

async fn edited(visit: &Visit, organization: Id, name: CredentialName) -> Result<(), Fault> {
    let (form, place) = (&visit.form, Place::Organization(organization));
    // What has not been touched stays to the second.
    let present = read(visit, place, name).await?.row.expires_at;
    let unchanged = said::until(present).chars().take(16).collect::<String>() == form.text("expiresAt");
    let expires_at = match unchanged {
        true => present,
        false => pasted::expiry_field("expiresAt", form.text("expiresAt"), visit.control.clock().now())?,
    };
    let common = KeyEdit {
        description: Some(form.text("called").to_owned()),
        roles: Some(roles(visit)),
        enabled: Some(form.is_on("enabled")),
        expires_at: Some(expires_at),
        enforcement: Some(enforcement(visit)),
    };
    let done = match name.kind {
        CredentialKind::ApiKey => {
            let edited = visit.control.edit_api_key(&visit.actor, visit.guards(), (place, name.id), common, None);
            edited.await.map(drop)
        }
        CredentialKind::ServiceAccount => {
            let description = Some(form.text("description").to_owned());
            let speakers = form.is_on("speakers").then(|| Speakers::typed(form));
            let subject = speakers.as_ref().map(Speakers::token);
            let certificate = speakers.as_ref().map(Speakers::certificate).transpose()?;
            let edit = AccountEdit { common, description, subject, certificate };
            let at = (place, ClientId(name.id));
            visit.control.edit_service_account(&visit.actor, visit.guards(), at, edit, None).await.map(drop)
        }
    };
    // The fields have other names here than in the API.
    done.map_err(|fault| match fault {
        Fault::Refused(mut refusal) => {
            for (field, _) in refusal.fields.iter_mut().filter(|(field, _)| matches!(field.as_str(), "desc" | "name")) {
                *field = "called".to_owned();
            }
            refusal.into()
        }
        fault => fault,
    })
}

async fn add_secret(visit: Visit) -> Result<Response, Fault> {
    let (organization, name) = named(&visit)?;
    let place = Place::Organization(organization);
    let made = match name.kind {
        CredentialKind::ApiKey => {
            let key = visit.control.api_key(&visit.actor, place, name.id).await?;
            let made = visit.control.add_api_key_secret(&visit.actor, place, name.id).await;
            made.map(|made| (shown::key(&key.row), made.value.private_key))
        }
        CredentialKind::ServiceAccount => {
            let hours = hours(visit.form.text("hours"))?;
            let made = visit.control.add_client_secret(&visit.actor, place, ClientId(name.id), hours).await;
            made.map(|made| (name.to_string(), made.value.secret))
        }
    };
    match tried(made)? {
        Ok(pair) => {
            let organization = visit.control.organization(&visit.actor, organization).await?;
            let frame = visit.frame().titled("The new secret").within((&organization).into(), words(name.kind).section);
            let is_account = name.kind == CredentialKind::ServiceAccount;
            Ok(page::show(200, &SecretPage { frame, base: base(organization.id, name), pair, is_account }))
        }
        Err(problem) => show(&visit, Some(problem)).await,
    }
}

async fn delete_secret(visit: Visit) -> Result<Response, Fault> {
    let (organization, name) = named(&visit)?;
    let place = Place::Organization(organization);
    let secret: Id = visit
        .form
        .text("secret")
        .parse()
        .map_err(|_| Refusal::field(Code::InvalidAttribute, "secret", "it is no secret of this credential"))?;
    let gone = match name.kind {
        CredentialKind::ApiKey => visit.control.delete_api_key_secret(&visit.actor, place, name.id, secret).await,
        CredentialKind::ServiceAccount => {
            visit.control.delete_client_secret(&visit.actor, place, ClientId(name.id), secret).await
        }
    };
    match tried(gone)? {
        Ok(_) => Ok(page::to(&format!("{}?done=secret-gone", base(organization, name)))),
        Err(problem) => show(&visit, Some(problem)).await,
    }
}

/// The tokens of a service account that work; an API key has none.
async fn tokens(visit: &Visit, place: Place, name: CredentialName) -> Result<Option<Vec<Token>>, Fault> {
    if name.kind == CredentialKind::ApiKey {
        return Ok(None);
    }
    let now = visit.control.clock().now();
    let moment = |at: Timestamp| Moment { ago: said::ago(at, now), at: at.to_string(), what: String::new() };
    let tokens = visit.control.active_tokens(&visit.actor, place, ClientId(name.id)).await?.into_iter();
    let tokens = tokens.map(|one| Token { made: one.issued_at.map(moment), ends: moment(one.expires_at) });
    Ok(Some(tokens.collect()))
}

async fn revoke_tokens(visit: Visit) -> Result<Response, Fault> {
    let (organization, name) = named(&visit)?;
    let place = Place::Organization(organization);
    match tried(visit.control.revoke_tokens(&visit.actor, place, ClientId(name.id)).await)? {
        Ok(_) => Ok(page::to(&format!("{}?done=tokens-gone", base(organization, name)))),
        Err(problem) => show(&visit, Some(problem)).await,
    }
}

async fn delete(visit: Visit) -> Result<Response, Fault> {
    let (organization, name) = named(&visit)?;
    let whole = read(&visit, Place::Organization(organization), name).await?;
    if visit.form.text("typed") != whole.row.name.trim() {
        let refusal = Refusal::field(Code::InvalidAttribute, "typed", "it is not the name that stands above");
        return show(&visit, Some(refusal.into())).await;
    }
    let gone = match name.kind {
        CredentialKind::ApiKey => visit.control.delete_api_key(&visit.actor, organization, name.id).await,
        CredentialKind::ServiceAccount => {
            visit.control.delete_service_account(&visit.actor, organization, ClientId(name.id)).await
        }
    };
    match tried(gone)? {
        Ok(_) => Ok(page::to(&format!("/orgs/{organization}/{}?done=deleted", words(name.kind).path))),
        Err(problem) => show(&visit, Some(problem)).await,
    }
}
