//! Projects of an organization, and which credentials have roles on one.

use askama::Template;
use axum::response::Response;

use super::credentials::{Spot, roles};
use super::page::{self, Frame, Problem};
use super::visit::{Page, Visit, tried};
use super::words::{PROJECT_ROLES, RoleWord};
use crate::access::client_id::ClientId;
use crate::access::credential::CredentialKind;
use crate::access::id::Id;
use crate::access::record::{CredentialName, CredentialSearch, OrganizationRecord, ProjectRecord};
use crate::control::{Deed, Fault};
use crate::problem::{Code, Refusal};

pub(super) const PAGES: &[Page] = &[
    Page::get("/orgs/{org}/projects", |visit| Box::pin(async move { list(&visit, None).await })),
    Page::post("/orgs/{org}/projects", |visit| Box::pin(create(visit))),
    Page::get("/projects/{project}", |visit| Box::pin(async move { project_page(&visit, None).await })),
    Page::post("/projects/{project}/assign", |visit| Box::pin(assign(visit))),
    Page::post("/projects/{project}/unassign", |visit| Box::pin(unassign(visit))),
    Page::post("/projects/{project}/delete", |visit| Box::pin(delete(visit))),
];

#[derive(Template)]
#[template(path = "projects.html", config = "src/console/askama.toml")]
struct ListPage {
    frame: Frame,
    projects: Vec<ProjectRecord>,
    called: String,
    /// Whether the visitor may make one.
    may: bool,
}

#[derive(Template)]
#[template(path = "project.html", config = "src/console/askama.toml")]
struct ProjectPage {
    frame: Frame,
    organization: OrganizationRecord,
    project: ProjectRecord,
    /// With whether it is ticked, and whether the visitor may grant it.
    roles: Vec<(RoleWord, bool, bool)>,
    credential: String,
    may_assign: bool,
    may_delete: bool,
}

async fn list(visit: &Visit, problem: Option<Problem>) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    let mut projects = visit.control.projects(&visit.actor, Some(organization.id)).await?;
    projects.sort_by_key(|project| project.name.to_lowercase());
    let frame = visit.frame().titled(format!("Projects of {}", organization.name));
    let frame = frame.within((&organization).into(), "Projects").refusing(problem);
    let called = visit.form.text("name").to_owned();
    let may = visit.may(Deed::MakeProjects(organization.id)).await?;
    Ok(page::show(frame.status(), &ListPage { frame, projects, called, may }))
}

async fn create(visit: Visit) -> Result<Response, Fault> {
    let organization: Id = visit.part("org")?;
    let name = visit.form.text("name").to_owned();
    match tried(visit.control.create_project(&visit.actor, organization, name).await)? {
        Ok(made) => Ok(page::to(&format!("/projects/{}/keys?done=created", made.value.id))),
        Err(problem) => list(&visit, Some(problem)).await,
    }
}

async fn project_page(visit: &Visit, problem: Option<Problem>) -> Result<Response, Fault> {
    let spot = Spot::of(visit).await?;
    let ticked = |word: &RoleWord| visit.form.all("role").any(|role| role == word.role);
    let roles = spot.offered(visit, &PROJECT_ROLES, ticked).await?;
    let Spot { organization, project } = spot;
    let nothing = || Refusal::new(Code::ResourceNotFound, "There is no page at this address.");
    let project = project.ok_or_else(nothing)?;
    let frame = visit.frame().titled(project.name.clone());
    let frame = frame.within((&organization).into(), "Projects").refusing(problem);
    let credential = visit.form.text("credential").to_owned();
    let may_assign = visit.may(Deed::Administer(project.id)).await?;
    let may_delete = visit.may(Deed::DeleteProject(project.id)).await?;
    let page = ProjectPage { frame, organization, project, roles, credential, may_assign, may_delete };
    Ok(page::show(page.frame.status(), &page))
}

/// The credential that a form names, by id, client id or public key.
async fn credential(visit: &Visit, organization: Id) -> Result<CredentialName, Fault> {
    let asked = visit.form.text("credential");
    if let Some(name) = super::organizations::credential(asked) {
        return Ok(name);
    }
    let search = CredentialSearch { text: asked.to_owned(), ..CredentialSearch::default() };
    let place = crate::access::record::Place::Organization(organization);
    let found = visit.control.credentials(&visit.actor, CredentialKind::ApiKey, place, search, (0, 20)).await?.0;
    let found = found.iter().find(|one| one.row.public_key.as_deref() == Some(asked));
    let wrong = "it is no public key, client id or id of a credential of this organization";
    let none = || Refusal::field(Code::InvalidAttribute, "credential", wrong);
    Ok(found.map(|one| one.row.credential()).ok_or_else(none)?)
}

async fn assign(visit: Visit) -> Result<Response, Fault> {
    let project = visit.control.project(&visit.actor, visit.part("project")?).await?;
    let granted = roles(&visit);
    let assigned = async {
        let name = credential(&visit, project.organization).await?;
        match name.kind {
            CredentialKind::ApiKey => {
                visit.control.assign_api_key(&visit.actor, project.id, name.id, granted).await.map(|_| name)
            }
            CredentialKind::ServiceAccount => {
                let client = ClientId(name.id);
                visit.control.assign_service_account(&visit.actor, project.id, client, granted).await.map(|_| name)
            }
        }
    };
    match tried(assigned.await)? {
        Ok(name) => {
            let path = super::credentials::words(name.kind).path;
            Ok(page::to(&format!("/projects/{}/{path}?done=saved", project.id)))
        }
        Err(problem) => project_page(&visit, Some(problem)).await,
    }
}

async fn unassign(visit: Visit) -> Result<Response, Fault> {
    let project = visit.control.project(&visit.actor, visit.part("project")?).await?;
    let taken = async {
        let name = credential(&visit, project.organization).await?;
        match name.kind {
            CredentialKind::ApiKey => {
                visit.control.unassign_api_key(&visit.actor, project.id, name.id).await.map(|_| name)
            }
            CredentialKind::ServiceAccount => {
                visit.control.unassign_service_account(&visit.actor, project.id, ClientId(name.id)).await.map(|_| name)
            }
        }
    };
    match tried(taken.await)? {
        Ok(name) => Ok(page::to(&format!("{}?done=saved", super::credential::base(project.organization, name)))),
        Err(problem) => project_page(&visit, Some(problem)).await,
    }
}

async fn delete(visit: Visit) -> Result<Response, Fault> {
    let project = visit.control.project(&visit.actor, visit.part("project")?).await?;
    if visit.form.text("typed") != project.name {
        let refusal = Refusal::field(Code::InvalidAttribute, "typed", "it is not the name of the project");
        return project_page(&visit, Some(refusal.into())).await;
    }
    match tried(visit.control.delete_project(&visit.actor, project.id).await)? {
        Ok(_) => Ok(page::to(&format!("/orgs/{}/projects?done=deleted", project.organization))),
        Err(problem) => project_page(&visit, Some(problem)).await,
    }
}
