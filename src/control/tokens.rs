//! Tokens of service accounts: exchanged for a secret, and revoked.
//!
//! Exempt from access lists: using a token is what a list is asked about. What is wrong with a client is told to the log alone.

mod active;

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::json;

use super::audit::{Event, EventType};
use super::signing::{self, TOKEN_LIFE};
use super::throttle::Counts;
use super::{Actor, Control, Fault, draw};
use crate::access::client_address::ClientAddress;
use crate::access::client_id::ClientId;
use crate::access::credential::{CredentialKind, Fingerprint};
use crate::access::record::{CredentialName, CredentialRecord};
use crate::access::token_id::TokenId;
use crate::clock::Timestamp;
use crate::directory::sqlite::{PresentedSecret, Rows, StoreFault};
use crate::gate::token::unproven_id;
use crate::live::fingerprint;
use crate::problem::{Code, Refusal};

/// Most tokens of one account that work.
const MOST_TOKENS: u64 = 100;

/// A client that wants a token, or to revoke one. Has no `Debug` of its secret.
#[derive(Clone, Copy)]
pub struct Client<'c> {
    /// What it says that it is.
    pub id: &'c str,
    /// What it proves that by.
    pub secret: &'c str,
    /// Where from.
    pub address: ClientAddress,
}

/// What is counted: how often one client of one address asks for one thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Attempt {
    address: IpAddr,
    client: ClientId,
    revokes: bool,
}

/// How often tokens may be asked for.
#[derive(Debug)]
pub(super) struct TokenThrottle {
    counts: Counts<Attempt>,
    per_minute: u32,
}

impl TokenThrottle {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { counts: Counts::new(60), per_minute }
    }

    fn count(&self, address: IpAddr, client: ClientId, revokes: bool, now: Timestamp) -> Result<(), Refusal> {
        let attempt = Attempt { address: ClientAddress::new(address).origin(), client, revokes };
        self.counts.count(&[(attempt, self.per_minute)], now).map_err(|left| {
            let detail = format!("This client asks too often from this address; try again in {left} seconds.");
            throttled(detail, left)
        })
    }
}

/// A token that was just made. Has no `Debug`.
#[derive(Clone)]
pub struct Minted {
    /// The token.
    pub token: String,
    /// Seconds until it ends.
    pub expires_in: i64,
}

/// A client that was proven.
struct Proven {
    account: CredentialRecord,
    secret: PresentedSecret,
}

impl Control {
    /// Exact `iss` and `aud` of tokens.
    pub fn issuer(&self) -> Arc<str> {
        Arc::clone(&self.issuer)
    }

    /// The public halves of the keys that sign, as RFC 7517 wants them.
    pub fn signing_keys(&self) -> String {
        self.published.current().own.as_ref().map_or_else(|| r#"{"keys":[]}"#.into(), |own| own.document().to_owned())
    }

    /// Makes a token for whoever has a secret of a service account.
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS` whatever is wrong with the client, `RATE_LIMITED`, or another [`Fault`].
    pub async fn mint_token(self: &Arc<Self>, client: Client<'_>) -> Result<Minted, Fault> {
        let (id, hash) = self.client(client, false).await?;
        let actor = actor(id, client.address);
        let made = self.change(&actor, move |change| {
            let now = change.now();
            let Proven { account, secret } = prove(change.rows(), id, hash, now)?;
            let (active, first_end) = change.rows().count_active_tokens(account.pk, now)?;
            if active >= MOST_TOKENS {
                let left = first_end.map_or(1, |end| end.unix_seconds() - now.unix_seconds());
                let detail =
                    format!("The service account has {active} tokens, as many as may work; revoke some, or wait.");
                return Err(throttled(detail, left).into());
            }
            signing::tend(change)?;
            let life = TOKEN_LIFE.min(secret.expires_at.unix_seconds() - now.unix_seconds());
            let end = Timestamp::from_unix_seconds(now.unix_seconds() + life);
            let token = TokenId(draw::bytes()?);
            let (issuer, name) = (change.signing().issuer(), id.to_string());
            let claims = json!({
                "iss": issuer, "aud": issuer, "sub": name, "client_id": name,
                "iat": now.unix_seconds(), "exp": end.unix_seconds(),
                "jti": token.to_string(), "secret_id": secret.id.to_string(),
            });
            let signed = change.signing().sign(&claims, now)?;
            change.store().add_token((account.pk, secret.id), token, end, now)?;
            change.store().client_secret_used(account.pk, secret.id, now)?;
            // No decision depends on it: the next revision need not know.
            change.keep_aside();
            Ok(Minted { token: signed, expires_in: life })
        });
        Ok(made.await?.value)
    }

    /// Revokes a token of the client that asks; whatever is none of its own is left as it is (RFC 7009 §2.2). When this
    /// returns, no worker takes it any more.
    ///
    /// # Errors
    /// `INVALID_CREDENTIALS` whatever is wrong with the client, `RATE_LIMITED`, or another [`Fault`].
    pub async fn revoke_token(self: &Arc<Self>, client: Client<'_>, token: &str) -> Result<(), Fault> {
        let (id, hash) = self.client(client, true).await?;
        let Some(token) = unproven_id(token) else { return Ok(()) };
        let actor = actor(id, client.address);
        let made = self.change(&actor, move |change| {
            let now = change.now();
            let Proven { account, .. } = prove(change.rows(), id, hash, now)?;
            let Some(end) = change.rows().active_token(account.pk, token, now)? else { return Ok(()) };
            change.store().revoke_token(token, now)?;
            change.revoke(token, end);
            change.record(Event::on(EventType::TokenRevoked, &account).detail(token.to_string()))
        });
        made.await.map(drop)
    }

    /// Counts an attempt and proves the client. An unknown one costs what a wrong secret does, and is told the same.
    async fn client(self: &Arc<Self>, client: Client<'_>, revokes: bool) -> Result<(ClientId, Fingerprint), Fault> {
        let Client { id, secret, address } = client;
        let hash = fingerprint::of_key(secret.as_bytes());
        let id: ClientId = id.parse().map_err(|_| not_proven())?;
        let now = self.clock.now();
        self.token_throttle.count(address.ip(), id, revokes, now)?;
        let proven = self.read(move |rows| match prove(rows, id, hash, now) {
            Err(Unproven::Store(fault)) => Err(fault.into()),
            Err(Unproven::Client(why)) => {
                let is_there = rows.credential(CredentialName::service_account(id))?.is_some();
                Ok(Some((why, is_there)))
            }
            Ok(_) => Ok(None),
        });
        match proven.await? {
            None => Ok((id, hash)),
            Some((why, is_there)) => {
                if is_there {
                    self.client_refused(id, address, why);
                }
                tracing::info!(client = %address, client_id = %id, revokes, reason = why, "a client of the token endpoint was refused");
                Err(not_proven())
            }
        }
    }
}

/// Why a client is none.
enum Unproven {
    Store(StoreFault),
    /// For the operator.
    Client(&'static str),
}

impl From<StoreFault> for Unproven {
    fn from(fault: StoreFault) -> Self {
        Self::Store(fault)
    }
}

impl From<Unproven> for Fault {
    fn from(unproven: Unproven) -> Self {
        match unproven {
            Unproven::Store(fault) => fault.into(),
            Unproven::Client(_) => not_proven(),
        }
    }
}

/// The account that has this secret, where it is the one that is named and both work.
fn prove(rows: Rows<'_>, client: ClientId, hash: Fingerprint, now: Timestamp) -> Result<Proven, Unproven> {
    let Some(secret) = rows.presented_secret(&hash)? else {
        return Err(Unproven::Client("no service account has this secret"));
    };
    let account = rows.credential_by_pk(secret.credential)?.filter(|row| ClientId(row.id) == client);
    let account = account.ok_or(Unproven::Client("another service account has this secret"))?;
    match account {
        _ if secret.expires_at <= now => Err(Unproven::Client("the secret has expired")),
        CredentialRecord { enabled: false, .. } => Err(Unproven::Client("the service account is disabled")),
        CredentialRecord { expires_at, .. } if expires_at <= now => {
            Err(Unproven::Client("the service account has expired"))
        }
        account => Ok(Proven { account, secret }),
    }
}

/// One and the same answer, whatever is wrong.
fn not_proven() -> Fault {
    Refusal::new(Code::InvalidCredentials, "The client is not known, or its secret is wrong.").into()
}

fn throttled(detail: String, seconds: i64) -> Refusal {
    let retry_after = u32::try_from(seconds.max(1)).ok();
    Refusal { retry_after, ..Refusal::new(Code::RateLimited, detail) }
}

fn actor(client: ClientId, address: ClientAddress) -> Actor {
    Actor::proven(CredentialKind::ServiceAccount, client.0, address)
}

#[cfg(test)]
mod tests;
