//! Looking at the last refused requests of an organization, as they come.

use std::sync::Arc;

use tokio::sync::watch;

use super::rights::Rights;
use super::{Actor, Control, Fault};
use crate::access::id::Id;
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

    /// Hears of each refused request that is remembered, whoever's it is.
    pub fn refusal_news(&self) -> watch::Receiver<u64> {
        self.refusals.news()
    }
}
