//! The record of open exchanges that a change has ended. They have ended already; here it is only written down.

use super::audit::{Event, EventType};
use super::{Actor, Control, Fault};
use crate::access::credential::CredentialKind;
use crate::access::id::Id;
use crate::access::record::CredentialName;
use crate::problem::Code;

/// Open exchanges of one credential that ended for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedExchanges {
    /// Whose they were.
    pub credential: (CredentialKind, Id),
    /// The credential's organization.
    pub organization: Id,
    /// Why they would be refused now.
    pub code: Code,
    /// How many.
    pub count: u64,
    /// Addresses of their clients, the first few.
    pub addresses: Vec<String>,
}

impl Control {
    /// Writes down what has ended, under the revision that ended it or a later one. An organization that is gone has no
    /// record any more.
    ///
    /// # Errors
    /// A [`Fault`]; then none of it is written down.
    pub async fn note_ended_exchanges(&self, ended: Vec<EndedExchanges>) -> Result<(), Fault> {
        let gateway = Actor::system("gateway");
        let noted = self.change(&gateway, move |change| {
            for one in &ended {
                if change.rows().organization(one.organization)?.is_none() {
                    continue;
                }
                let (kind, id) = one.credential;
                let event = match change.rows().credential(CredentialName { kind, id })? {
                    Some(credential) => Event::on(EventType::ExchangesRevoked, &credential),
                    None => Event::new(EventType::ExchangesRevoked, one.organization).target(id),
                };
                let from = one.addresses.join(", ");
                change.note(event.detail(format!("{} open, from {from}: {}", one.count, one.code.as_str())))?;
            }
            Ok(())
        });
        noted.await.map(drop)
    }
}
