//! People of an organization, their roles, and invitations.

use askama::Template;
use axum::response::Response;

use super::page::{self, Frame, Problem};
use super::visit::{Page, Visit, tried};
use super::words::{self, ORGANIZATION_ROLES, PROJECT_ROLES, RoleWord};
use crate::access::id::Id;
use crate::access::record::{OrganizationRecord, ProjectRecord};
use crate::access::role::Role;
use crate::control::{Deed, Fault, GrantedRole, Invite, User};

/// People of one page.
const PAGE: u64 = 500;

pub(super) const PAGES: &[Page] = &[
    Page::get("/orgs/{org}/people", |visit| Box::pin(async move { list(&visit, None, None).await })),
    Page::post("/orgs/{org}/people/invite", |visit| Box::pin(invite(visit))),
    Page::post("/orgs/{org}/people/uninvite", |visit| Box::pin(uninvite(visit))),
    Page::get("/orgs/{org}/people/{user}", |visit| Box::pin(async move { person_page(&visit, None).await })),
    Page::post("/orgs/{org}/people/{user}", |visit| Box::pin(edit(visit))),
    Page::post("/orgs/{org}/people/{user}/remove", |visit| Box::pin(remove(visit))),
];

#[derive(Template)]
#[template(path = "people.html", config = "src/console/askama.toml")]
struct ListPage {
    frame: Frame,
    organization: OrganizationRecord,
    people: Vec<Person>,
    total: u64,
    invites: Vec<Person>,
    /// An invitation that was just made: whose, and its token.
    made: Option<(String, String)>,
    email: String,
    roles: Vec<Offer>,
    projects: Vec<ProjectRoles>,
    /// Whether the visitor may invite somebody.
    may: bool,
}

#[derive(Template)]
#[template(path = "person.html", config = "src/console/askama.toml")]
struct PersonPage {
    frame: Frame,
    organization: OrganizationRecord,
    id: Id,
    email: String,
    is_self: bool,
    /// What they are called, for whoever may change none of them.
    now: String,
    roles: Vec<Offer>,
    projects: Vec<ProjectRoles>,
    /// Whether the visitor may grant or take any of these roles.
    may: bool,
    may_remove: bool,
}

/// A role with whether it is ticked, and whether the visitor may grant and take it.
type Offer = (RoleWord, bool, bool);

/// A line of people or invitations.
struct Person {
    id: Id,
    email: String,
    roles: String,
    when: String,
}

/// The roles that one can have on a project; as values, they name the project too.
struct ProjectRoles {
    project: ProjectRecord,
    roles: Vec<Offer>,
}

fn joined(roles: &[Role]) -> String {
    let mut roles: Vec<&str> = roles.iter().map(words::called).collect();
    roles.sort_unstable();
    roles.dedup();
    roles.join(", ")
}

async fn list(visit: &Visit, problem: Option<Problem>, made: Option<Invite>) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    let now = visit.control.clock().now();
    let (people, total) = visit.control.users(&visit.actor, organization.id, (0, PAGE)).await?;
    let person = |user: User| Person {
        id: user.row.id,
        roles: joined(&user.roles),
        when: user.row.last_sign_in.map(|at| words::ago(at, now)).unwrap_or_default(),
        email: user.row.email,
    };
    // Invitations are for owners to see.
    let invites = visit.control.invites(&visit.actor, organization.id).await.unwrap_or_default();
    let invited = |invite: Invite| Person {
        id: invite.row.id,
        roles: joined(&invite.roles),
        when: words::ago(invite.row.expires_at, now),
        email: invite.row.email.unwrap_or_else(|| "the first owner".to_owned()),
    };
    let token = made.and_then(|made| made.row.email.zip(made.token));
    let (roles, projects) = offered(visit, organization.id, None, &ticked(visit)).await?;
    let frame = visit.frame().titled(format!("People of {}", organization.name));
    let page = ListPage {
        frame: frame.within((&organization).into(), "People").refusing(problem),
        people: people.into_iter().map(person).collect(),
        total,
        invites: invites.into_iter().map(invited).collect(),
        email: if token.is_some() { String::new() } else { visit.form.text("email").to_owned() },
        made: token,
        may: visit.may(Deed::Own(organization.id)).await?,
        organization,
        roles,
        projects,
    };
    Ok(page::show(page.frame.status(), &page))
}

/// The boxes that a form had ticked.
fn ticked(visit: &Visit) -> Vec<String> {
    visit.form.all("role").map(str::to_owned).collect()
}

/// What can be granted, with what is ticked.
async fn offered(
    visit: &Visit,
    organization: Id,
    person: Option<Id>,
    ticked: &[String],
) -> Result<(Vec<Offer>, Vec<ProjectRoles>), Fault> {
    let is_on = |value: &str| ticked.iter().any(|one| one == value);
    let projects = visit.control.projects(&visit.actor, Some(organization)).await?;
    let here = ORGANIZATION_ROLES.iter().filter_map(|word| Role::on_organization(word.role));
    let there = projects
        .iter()
        .flat_map(|project| PROJECT_ROLES.iter().filter_map(|word| Role::on_project(project.id, word.role)));
    let mut may = visit.may_grant(organization, person, here.chain(there).collect()).await?.into_iter();
    // One answer for each role, in their order.
    let mut offer = |word: &RoleWord, is_on: bool| (*word, is_on, may.next().unwrap_or_default());
    let roles = ORGANIZATION_ROLES.iter().map(|word| offer(word, is_on(word.role))).collect();
    let mut of = |project: ProjectRecord| ProjectRoles {
        roles: PROJECT_ROLES.iter().map(|word| offer(word, is_on(&format!("{}:{}", project.id, word.role)))).collect(),
        project,
    };
    Ok((roles, projects.into_iter().map(&mut of).collect()))
}

/// `ROLE`, or `project:ROLE`.
fn granted(visit: &Visit) -> Vec<GrantedRole> {
    let role = |value: &str| match value.split_once(':').and_then(|(id, name)| Some((id.parse().ok()?, name))) {
        Some((project, name)) => GrantedRole { organization: None, project: Some(project), name: name.to_owned() },
        None => GrantedRole { organization: None, project: None, name: value.to_owned() },
    };
    visit.form.all("role").map(role).collect()
}

async fn invite(visit: Visit) -> Result<Response, Fault> {
    let email = visit.form.text("email").to_owned();
    match tried(visit.control.invite(&visit.actor, visit.part("org")?, email, granted(&visit)).await)? {
        Ok(made) => list(&visit, None, Some(made.value)).await,
        Err(problem) => list(&visit, Some(problem), None).await,
    }
}

async fn uninvite(visit: Visit) -> Result<Response, Fault> {
    let organization: Id = visit.part("org")?;
    let nothing =
        |_| crate::problem::Refusal::new(crate::problem::Code::InviteNotFound, "There is no such invitation.");
    let id: Id = visit.form.text("invite").parse().map_err(nothing)?;
    visit.control.delete_invite(&visit.actor, organization, id).await?;
    Ok(page::to(&format!("/orgs/{organization}/people?done=deleted")))
}

async fn person_page(visit: &Visit, problem: Option<Problem>) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    let user = visit.control.user(&visit.actor, organization.id, visit.part("user")?).await?;
    let value = |role: &Role| match role.project() {
        Some(project) => format!("{project}:{}", role.name()),
        None => role.name().to_owned(),
    };
    let now: Vec<String> = user.roles.iter().map(value).collect();
    let shown = if problem.is_some() { ticked(visit) } else { now };
    let (roles, projects) = offered(visit, organization.id, Some(user.row.id), &shown).await?;
    let frame = visit.frame().titled(user.row.email.clone());
    let frame = frame.within((&organization).into(), "People").refusing(problem);
    let (id, email, is_self) = (user.row.id, user.row.email, visit.person() == Some(user.row.id));
    let may = roles.iter().chain(projects.iter().flat_map(|one| &one.roles)).any(|(_, _, may)| *may);
    let now = joined(&user.roles);
    let all = Deed::Grant { organization: organization.id, person: Some(id), roles: user.roles };
    let may_remove = visit.may(all).await?;
    let page = PersonPage { frame, organization, id, email, is_self, now, roles, projects, may, may_remove };
    Ok(page::show(page.frame.status(), &page))
}

async fn edit(visit: Visit) -> Result<Response, Fault> {
    let (organization, user): (Id, Id) = (visit.part("org")?, visit.part("user")?);
    match tried(visit.control.edit_user(&visit.actor, organization, user, granted(&visit), None).await)? {
        Ok(_) => Ok(page::to(&format!("/orgs/{organization}/people?done=saved"))),
        Err(problem) => person_page(&visit, Some(problem)).await,
    }
}

async fn remove(visit: Visit) -> Result<Response, Fault> {
    let (organization, user): (Id, Id) = (visit.part("org")?, visit.part("user")?);
    match tried(visit.control.remove_user(&visit.actor, organization, user).await)? {
        Ok(_) => Ok(page::to(&format!("/orgs/{organization}/people?done=deleted"))),
        Err(problem) => person_page(&visit, Some(problem)).await,
    }
}
