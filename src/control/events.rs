//! Looking into the record of changes.

use std::sync::Arc;

use super::audit::EventType;
use super::rights::Rights;
use super::{Actor, Control, Fault};
use crate::access::id::Id;
use crate::access::record::{EventFilter, EventRecord};
use crate::problem::{Code, Refusal};

impl Control {
    /// One page of the events of an organization or project, newest first, and how many there are.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn events(
        self: &Arc<Self>,
        actor: &Actor,
        filter: EventFilter,
        (skip, most): (u64, u64),
    ) -> Result<(Vec<EventRecord>, u64), Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let rights = Rights::of(rows, &actor)?;
            if let Some(id) = filter.organization {
                rights.see_all_of(rows, id)?;
            }
            if let Some(id) = filter.project {
                rights.see_project(rows, id)?;
            }
            if let Some(unknown) = filter.types.iter().find(|name| !EventType::names().any(|known| known == **name)) {
                let shown: String = unknown.chars().take(80).flat_map(char::escape_default).collect();
                let wrong = format!(
                    "`{shown}` is no type of event; known are {}",
                    EventType::names().collect::<Vec<_>>().join(", ")
                );
                return Err(Refusal::new(Code::InvalidQueryParameter, wrong).with("eventType").into());
            }
            Ok(rows.events(&filter, skip, most)?)
        })
        .await
    }

    /// One event of an organization or project.
    ///
    /// # Errors
    /// `EVENT_NOT_FOUND`, or another [`Fault`].
    pub async fn event(self: &Arc<Self>, actor: &Actor, filter: EventFilter, id: Id) -> Result<EventRecord, Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let rights = Rights::of(rows, &actor)?;
            if let Some(id) = filter.organization {
                rights.see_all_of(rows, id)?;
            }
            if let Some(id) = filter.project {
                rights.see_project(rows, id)?;
            }
            let is_there = |event: &EventRecord| {
                filter.organization.is_none_or(|id| event.organization == id)
                    && filter.project.is_none_or(|id| event.project == Some(id))
            };
            rows.event(id)?.filter(is_there).ok_or_else(|| {
                Refusal::new(Code::EventNotFound, format!("There is no event {id} here.")).with(id).into()
            })
        })
        .await
    }
}
