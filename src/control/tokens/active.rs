//! The tokens of a service account that work: seen by whoever sees the account, and revoked together by whoever manages it.
//!
//! Nobody is shown a token, which nobody has but the client: only when each was made, from which secret, and when it ends.

use std::sync::Arc;

use super::super::audit::{Event, EventType};
use super::super::credentials::find;
use super::super::rights::Rights;
use super::super::{Actor, Committed, Control, Fault};
use crate::access::client_id::ClientId;
use crate::access::record::{CredentialName, Place, TokenRecord};

impl Control {
    /// The tokens of a service account that work, the first to end first.
    ///
    /// # Errors
    /// `SERVICE_ACCOUNT_NOT_FOUND`, or another [`Fault`].
    pub async fn active_tokens(
        self: &Arc<Self>,
        actor: &Actor,
        place: Place,
        client: ClientId,
    ) -> Result<Vec<TokenRecord>, Fault> {
        let (actor, now) = (actor.clone(), self.clock.now());
        self.read(move |rows| {
            let found = find(rows, &Rights::of(rows, &actor)?, place, CredentialName::service_account(client))?;
            Ok(rows.active_tokens(found.row.pk, now)?)
        })
        .await
    }

    /// Revokes every token of a service account, and tells how many there were. When this returns, no worker takes any of them
    /// any more; whoever has a secret of it can get others.
    ///
    /// # Errors
    /// `SERVICE_ACCOUNT_NOT_FOUND`, or another [`Fault`].
    pub async fn revoke_tokens(
        &self,
        actor: &Actor,
        place: Place,
        client: ClientId,
    ) -> Result<Committed<usize>, Fault> {
        self.change(actor, move |change| {
            let rights = Rights::of(change.rows(), change.actor())?;
            let key = find(change.rows(), &rights, place, CredentialName::service_account(client))?;
            rights.manage_key(change.rows(), &key.row, &key.roles)?;
            let now = change.now();
            let tokens = change.rows().active_tokens(key.row.pk, now)?;
            for token in &tokens {
                change.store().revoke_token(token.id, now)?;
                change.revoke(token.id, token.expires_at);
                change.record(Event::on(EventType::TokenRevoked, &key.row).detail(token.id.to_string()))?;
            }
            Ok(tokens.len())
        })
        .await
    }
}
