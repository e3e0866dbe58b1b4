//! Makes organizations what a directory file says, in one change: all of it, or nothing.
//!
//! Every step goes by the same rules and guards as the call that does it alone. What is refused is gathered, so that all of
//! it is told at once. A rehearsal does the very same within a transaction that is never committed.

mod steps;

use std::sync::Arc;

use super::actor::ActorKind;
use super::audit::{Event, EventType};
use super::change::Change;
use super::organizations::{check_name, event_of};
use super::rights::Rights;
use super::{Actor, Committed, Control, Fault, Guards, brought, people};
use crate::access::credential::{AccessListMode, CredentialKind};
use crate::access::id::Id;
use crate::access::record::OrganizationRecord;
use crate::config::settings::Feeds;
use crate::directory::Directory;
use crate::directory::difference::{Action, Difference, Step, Subject, difference};
use crate::directory::model::Organization;
use crate::directory::stored;
use crate::problem::{Code, Refusal};

/// Most refusals that are told one by one.
const MOST_TOLD: usize = 1_000;

/// How a directory is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Application {
    /// Which guards refuse.
    pub guards: Guards,
    /// Whether what the directory does not name goes.
    pub prune: bool,
}

/// One thing that was done, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// `create`, `update` or `delete`.
    pub action: &'static str,
    /// `organization`, `project`, `network_set`, `api_key` or `service_account`.
    pub kind: &'static str,
    /// In which organization.
    pub organization: Id,
    /// Its id, client id or name.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What becomes of it.
    pub changes: Vec<String>,
}

impl Applied {
    fn new(organization: Id, step: Step) -> Self {
        let (kind, id) = match step.subject {
            Subject::Organization | Subject::Switch | Subject::SecretHours => {
                ("organization", organization.to_string())
            }
            Subject::Project(id) => ("project", id.to_string()),
            Subject::NetworkSet(name) => ("network_set", name.to_string()),
            Subject::Credential(kind @ CredentialKind::ApiKey, id) => ("api_key", steps::named(kind, id).to_string()),
            Subject::Credential(kind, id) => ("service_account", steps::named(kind, id).to_string()),
        };
        let action = match step.action {
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
        };
        Self { action, kind, organization, id, name: step.name, changes: step.changes }
    }
}

impl Control {
    /// Refuses whoever owns no organization.
    ///
    /// # Errors
    /// `INSUFFICIENT_ROLE`.
    pub async fn may_apply(self: &Arc<Self>, actor: &Actor) -> Result<(), Fault> {
        let actor = actor.clone();
        self.read(move |rows| Rights::of(rows, &actor)?.make_organizations()).await
    }

    /// Makes the organizations of a directory file, written as JSON, what it says.
    ///
    /// # Errors
    /// `INVALID_ATTRIBUTE` with every fault of the document, `APPLY_REFUSED` with every step that is refused, or another
    /// [`Fault`]. Nothing was changed.
    pub async fn apply_directory(
        &self,
        actor: &Actor,
        document: String,
        how: Application,
    ) -> Result<Committed<Vec<Applied>>, Fault> {
        let reading = tokio::task::spawn_blocking(move || read(&document));
        let directory = reading.await.unwrap_or(Err(Fault::Stopping))?;
        let settings = Arc::clone(&self.published.current().settings);
        let apply = move |change: &mut Change<'_>| all(change, &directory, how, &settings.feeds);
        self.change(actor, apply).await.inspect(|made| self.wish_feeds_after(made))
    }
}

fn read(document: &str) -> Result<Directory, Fault> {
    // YAML would take nearly anything for a text.
    let checked = serde_json::from_str::<serde::de::IgnoredAny>(document);
    checked.map_err(|fault| Refusal::new(Code::InvalidJson, format!("The body is no JSON: {fault}.")))?;
    match crate::directory::parse_alone("the body", document) {
        Ok((directory, _)) => Ok(directory),
        Err(problems) => {
            let field = |one: &crate::config::diagnostic::Problem| {
                (format!("line {}, column {}", one.place.line, one.place.column), one.message.clone())
            };
            let fields = problems.iter().take(MOST_TOLD).map(field).collect();
            let detail = format!("The directory is at fault in {} places; nothing was changed.", problems.len());
            Err(Refusal { fields, ..Refusal::new(Code::InvalidAttribute, detail) }.into())
        }
    }
}

/// Steps that were taken, and refusals of others.
struct Applying<'n> {
    how: Application,
    /// From where network sets may take their networks.
    feeds: &'n Feeds,
    rights: Rights,
    new: &'n Organization,
    applied: Vec<Applied>,
    refused: Vec<(String, Refusal)>,
}

fn all(change: &mut Change<'_>, directory: &Directory, how: Application, feeds: &Feeds) -> Result<Vec<Applied>, Fault> {
    let rights = Rights::of(change.rows(), change.actor())?;
    rights.make_organizations()?;
    let (mut applied, mut refused) = (Vec::new(), Vec::new());
    for new in &directory.organizations {
        let mut applying = Applying { how, feeds, rights: rights.clone(), new, applied, refused };
        if let Err(fault) = applying.organization(change) {
            applying.refuse(&Subject::Organization, fault)?;
        }
        Applying { applied, refused, .. } = applying;
    }
    match refused.len() {
        0 => Ok(applied),
        count => {
            let named =
                if count > MOST_TOLD { format!(", the first {MOST_TOLD} of them named") } else { String::new() };
            let are = if count == 1 { "is" } else { "are" };
            let detail = format!("{count} of the steps {are} refused{named}; nothing was changed.");
            let fields = refused.into_iter().take(MOST_TOLD).map(|(place, why)| {
                let code = why.code.as_str();
                (place, format!("{code}: {}", why.detail))
            });
            Err(Refusal { fields: fields.collect(), ..Refusal::new(Code::ApplyRefused, detail) }.into())
        }
    }
}

impl Applying<'_> {
    /// Keeps a refusal for later; anything else ends the change.
    fn refuse(&mut self, subject: &Subject, fault: Fault) -> Result<(), Fault> {
        let refusal = match fault {
            Fault::Refused(refusal) => refusal,
            Fault::Store(crate::directory::sqlite::StoreFault::Taken(_)) => fault.refusal(),
            fault => return Err(fault),
        };
        self.refused.push((self.place(subject), refusal));
        Ok(())
    }

    /// Where in a directory a thing stands.
    fn place(&self, subject: &Subject) -> String {
        let id = self.new.id;
        match subject {
            Subject::Organization | Subject::Switch | Subject::SecretHours => format!("organizations[{id}]"),
            Subject::Project(project) => format!("organizations[{id}].projects[{project}]"),
            Subject::NetworkSet(name) => format!("organizations[{id}].network_sets[{name}]"),
            Subject::Credential(kind, credential) => {
                let what = steps::attribute(*kind);
                format!("organizations[{id}].{what}[{}]", steps::named(*kind, *credential))
            }
        }
    }

    fn organization(&mut self, change: &mut Change<'_>) -> Result<(), Fault> {
        let row = change.rows().organization(self.new.id)?;
        let old = match &row {
            // Not even whether the rest agrees is for others to know.
            Some(row) => {
                self.rights.own(change.rows(), row.id)?;
                Some(stored::whole(change.rows(), row)?)
            }
            None => None,
        };
        let Difference { steps, conflicts } = difference(old.as_ref(), self.new, self.how.prune);
        for (subject, message) in conflicts {
            self.refuse(&subject, Refusal::new(Code::InvalidAttribute, message).into())?;
        }
        let is_new = row.is_none();
        let mut row = match row {
            Some(row) => row,
            None => self.make(change)?,
        };
        for step in steps {
            let guarded = change.guarded();
            if let Err(fault) = self.step(change, &mut row, &step) {
                self.refuse(&step.subject, fault)?;
            }
            change.place_guarded(guarded, || self.place(&step.subject));
            self.applied.push(Applied::new(row.id, step));
        }
        if is_new && matches!(change.actor().kind, ActorKind::Credential { .. }) {
            brought::expect_manager(self.new, change.now())?;
        }
        Ok(())
    }

    fn make(&self, change: &mut Change<'_>) -> Result<OrganizationRecord, Fault> {
        check_name("name", &self.new.name)?;
        let row = super::organizations::add_as(change, self.new.id, &self.new.name, self.new.mode)?;
        people::own_what_was_made(change, &row)?;
        Ok(row)
    }

    fn step(&self, change: &mut Change<'_>, row: &mut OrganizationRecord, step: &Step) -> Result<(), Fault> {
        match (&step.subject, step.action) {
            // It was made before.
            (Subject::Organization, Action::Create) => Ok(()),
            (Subject::Organization, _) => {
                check_name("name", &self.new.name)?;
                let detail = format!("{} → {}", row.name, self.new.name);
                change.record(Event::new(EventType::OrgRenamed, row.id).detail(detail))?;
                row.name = self.new.name.to_string();
                self.write(change, row)
            }
            (Subject::Switch, _) => {
                if self.new.mode == AccessListMode::Required {
                    let caller = super::organizations::caller(change.rows(), change.actor(), row.id)?;
                    super::guards::switch_on(change, self.how.guards, row, caller.as_ref())?;
                    super::recent_use::switch_on(change, self.how.guards, row)?;
                }
                change.record(Event::new(event_of(self.new.mode), row.id))?;
                row.mode = self.new.mode;
                self.write(change, row)
            }
            (Subject::SecretHours, _) => {
                let hours = self.new.secret_hours.unwrap_or(row.secret_hours);
                super::organizations::limit_secrets(change, row, hours)?;
                self.write(change, row)
            }
            (Subject::Project(id), action) => steps::project(change, &self.rights, row, (self.new, *id), action),
            (Subject::NetworkSet(name), action) => {
                steps::network_set(change, (self.how.guards, self.feeds), row, (self.new, name), action)
            }
            (Subject::Credential(kind, id), Action::Create) => {
                steps::create_credential(change, &self.rights, row, (self.new, *kind, *id))
            }
            (Subject::Credential(kind, id), Action::Update) => {
                steps::update_credential(change, &self.rights, (self.how.guards, row), (self.new, *kind, *id))
            }
            (Subject::Credential(kind, id), Action::Delete) => {
                let name = crate::access::record::CredentialName { kind: *kind, id: *id };
                super::credentials::delete(change, &self.rights, row.id, name)
            }
        }
    }

    fn write(&self, change: &mut Change<'_>, row: &mut OrganizationRecord) -> Result<(), Fault> {
        row.revision = change.revision();
        change.store().update_organization(row)?;
        change.touch_organization(row.id);
        Ok(())
    }
}
