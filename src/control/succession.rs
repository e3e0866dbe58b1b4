//! A store on its way to the process that succeeds this one.
//!
//! Never two processes that take changes: this one stops before the other begins. What is counted of uses here is added to
//! the end, and what the successor changes is enforced on whatever is still open here.

use std::sync::Weak;
use std::time::Duration;

use super::{Control, Fault};

/// How often somebody looks whether the successor has changed anything.
const LOOK: Duration = Duration::from_millis(200);

impl Control {
    /// Writes what was counted and lets another process have the store. Changes are refused from here on.
    ///
    /// # Errors
    /// Whoever makes changes has ended.
    pub async fn lend(&self) -> Result<(), Fault> {
        if let Err(fault) = self.write_usage().await {
            tracing::warn!(error = %fault, "what was counted of uses is written later");
        }
        self.at_desk(|desk| {
            desk.store().lend();
            Ok(())
        })
        .await
    }

    /// Takes the store back from a successor that did not come to serve it.
    ///
    /// # Errors
    /// It is served by another process, or brought to a version that is unknown here.
    pub async fn take_back(&self) -> Result<(), Fault> {
        self.at_desk(|desk| {
            let now = desk.clock().now();
            Ok(desk.store().take_back(now)?)
        })
        .await
    }

    /// Enforces here what a successor changes, as long as the control plane is there.
    pub async fn follow(own: Weak<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let Some(own) = own.upgrade() else { return };
            match own.at_desk(super::commit::Desk::follow).await {
                Ok(()) => {}
                Err(Fault::Stopping) => return,
                Err(fault) => tracing::warn!(error = %fault, "what the successor changed can't be read; trying again"),
            }
        }
    }
}
