//! Calls of the admin API that were refused although their credential was proven, and clients that were refused a token in the
//! name of an account that there is: each is an event, some of them.
//!
//! What is neither a key nor an account of anybody is no event: it belongs to no organization, and anybody could make any
//! number of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::audit::{Event, EventType};
use super::{Actor, ActorKind, Control, Fault};
use crate::access::client_address::ClientAddress;
use crate::access::client_id::ClientId;
use crate::access::id::Id;
use crate::access::record::CredentialName;
use crate::clock::Timestamp;
use crate::problem::Code;

/// Seconds after which the same refusal of the same credential is told again.
const QUIET: i64 = 600;

/// Refusals that are remembered at most.
const ROOM: usize = 8192;

/// Which refusals have been told of late.
#[derive(Debug, Default)]
pub(super) struct RefusedCalls(Mutex<HashMap<(Id, Refused), Timestamp>>);

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Refused {
    /// A call of the admin API, with this code.
    Call(Code),
    /// A token.
    Token,
}

impl RefusedCalls {
    /// Whether this one is to be told.
    fn is_news(&self, credential: Id, what: Refused, now: Timestamp) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |at: Timestamp| now.unix_seconds() - at.unix_seconds() >= QUIET;
        if told.get(&(credential, what)).is_some_and(|at| !is_over(*at)) {
            return false;
        }
        if told.len() >= ROOM {
            told.retain(|_, at| !is_over(*at));
        }
        // Where that many were refused of late, another one tells nobody anything.
        if told.len() >= ROOM {
            return false;
        }
        told.insert((credential, what), now);
        true
    }
}

impl Control {
    /// Records that a call was refused: the first of its kind within ten minutes. A fault of the store is only logged; the
    /// caller hears of the refusal in any case.
    pub async fn call_refused(self: &Arc<Self>, name: CredentialName, address: ClientAddress, code: Code) {
        if !self.refused.is_news(name.id, Refused::Call(code), self.clock.now()) {
            return;
        }
        let noted: Result<_, Fault> = async {
            let actor = Actor::proven(name.kind, name.id, address);
            let noted = self.change(&actor, move |change| match change.rows().credential(name)? {
                Some(row) => change.note(Event::on(EventType::KeyCallRefused, &row).detail(code.as_str())),
                None => Ok(()),
            });
            noted.await
        }
        .await;
        if let Err(fault) = noted {
            tracing::warn!(error = %fault, "a refused call of the admin API could not be recorded");
        }
    }

    /// Records that somebody was refused a token in the name of an account: the first time within ten minutes. Nobody waits for
    /// it, so that the answer does not tell by its time whether there is such an account.
    pub(super) fn client_refused(self: &Arc<Self>, client: ClientId, address: ClientAddress, why: &'static str) {
        if !self.refused.is_news(client.0, Refused::Token, self.clock.now()) {
            return;
        }
        let own = Arc::clone(self);
        tokio::spawn(async move {
            // Whoever it was has not been proven to be the account.
            let actor = Actor { kind: ActorKind::Stranger, address: Some(address), rehearses: false };
            let noted = own.change(&actor, move |change| {
                match change.rows().credential(CredentialName::service_account(client))? {
                    Some(row) => change.note(Event::on(EventType::TokenRefused, &row).detail(why)),
                    None => Ok(()),
                }
            });
            if let Err(fault) = noted.await {
                tracing::warn!(error = %fault, "a refused client of the token endpoint could not be recorded");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> Id {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
        Id::from_bytes(bytes)
    }

    #[test]
    fn the_same_is_told_once_in_ten_minutes() {
        let told = RefusedCalls::default();
        let at = |second: i64| Timestamp::from_unix_seconds(1_000_000 + second);
        let code = Refused::Call(Code::IpAddressNotOnAccessList);
        assert!(told.is_news(id(1), code, at(0)));
        assert!(!told.is_news(id(1), code, at(599)));
        assert!(told.is_news(id(1), Refused::Token, at(599)));
        assert!(told.is_news(id(2), code, at(599)));
        assert!(told.is_news(id(1), code, at(600)));
    }

    #[test]
    fn the_table_is_bounded() {
        let told = RefusedCalls::default();
        let now = Timestamp::from_unix_seconds(1_000_000);
        let news = (0..ROOM + 10).filter(|number| told.is_news(id(*number), Refused::Token, now)).count();
        assert_eq!(news, ROOM);
        assert!(told.is_news(id(ROOM + 1), Refused::Token, Timestamp::from_unix_seconds(1_000_600)));
    }
}
