//! Looking at how much an organization's credentials ask.

use std::sync::Arc;

use super::rights::Rights;
use super::{Actor, Control, Fault};
use crate::access::id::Id;
use crate::telemetry::activity::Tally;

impl Control {
    /// What happened to an organization's requests within the last hour: when the first step began, in seconds since 1970, and
    /// a tally for each.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn activity(self: &Arc<Self>, actor: &Actor, organization: Id) -> Result<(u64, Vec<Tally>), Fault> {
        let (actor, own) = (actor.clone(), Arc::clone(self));
        self.read(move |rows| {
            Rights::of(rows, &actor)?.see_all_of(rows, organization)?;
            let now = u64::try_from(own.clock.now().unix_seconds()).unwrap_or_default();
            Ok(own.activity.of(organization, now))
        })
        .await
    }
}
