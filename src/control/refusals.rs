//! Looking at the last refused requests of an organization, as they come.

use std::sync::Arc;

use tokio::sync::watch;

use super::rights::Rights;
use super::{Actor, Control, Fault};
use crate::access::id::Id;
use crate::problem::{Code, Refusal};
use crate::telemetry::refusals::Refused;

impl Control {
    /// The last refused requests of an organization that came after this number, newest first.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn refused_requests(
        self: &Arc<Self>,
        actor: &Actor,
        organization: Id,
        after: u64,
    ) -> Result<Vec<Arc<Refused>>, Fault> {
        let (actor, own) = (actor.clone(), Arc::clone(self));
        self.read(move |rows| {
            Rights::of(rows, &actor)?.see_all_of(rows, organization)?;
            Ok(own.refusals.of(organization, after))
        })
        .await
    }

    /// A refused request by its id, where the actor may see those of its organization.
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND` where it is not remembered, or not to be seen.
    pub async fn refused_request(self: &Arc<Self>, actor: &Actor, request_id: &str) -> Result<Arc<Refused>, Fault> {
        let found = self.refusals.find(request_id);
        let actor = actor.clone();
        let seen = self
            .read(move |rows| {
                let Some((organization, refused)) = found else { return Ok(None) };
                match Rights::of(rows, &actor)?.see_all_of(rows, organization) {
                    Ok(_) => Ok(Some(refused)),
                    Err(Fault::Refused(_)) => Ok(None),
                    Err(fault) => Err(fault),
                }
            })
            .await?;
        let none = || {
            let detail = "This request is not among the last refusals that you may see; the access log has its line.";
            Refusal::new(Code::ResourceNotFound, detail)
        };
        Ok(seen.ok_or_else(none)?)
    }

    /// Hears of each refused request that is remembered, whoever's it is.
    pub fn refusal_news(&self) -> watch::Receiver<u64> {
        self.refusals.news()
    }
}
