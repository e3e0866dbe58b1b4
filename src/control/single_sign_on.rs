//! Signing in by a provider of OpenID Connect: authorization code (RFC 6749 §4.1) with PKCE (RFC 7636).
//!
//! Nothing is remembered of whoever left for the provider: state, nonce and verifier follow from a ticket that the browser
//! keeps meanwhile. People are found by an email address that the provider says is theirs; nobody comes into being who was
//! neither invited nor named by the settings ([decision 11](../../../docs/decisions/0011-people-are-found-by-their-address.md)).

mod provider;

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use super::change::Change;
use super::passwords::Password;
use super::sign_in::{self, NewSession};
use super::{Actor, Control, Fault, draw, people};
use crate::access::record::UserRecord;
use crate::access::role::Role;
use crate::config::settings::Newcomers;
use crate::gate::token::{Awaited, IdTokenFault, TokenFault, identify};
use crate::problem::{Code, Refusal};

pub(super) use provider::Provider;
use provider::{HASTY_AGE, ProviderFault, USUAL_AGE};

/// Where the provider sends people back to, at the console.
pub const RETURN_PATH: &str = "/sign-in/provider/return";

/// Somebody who leaves for the provider.
#[derive(Clone)]
pub struct Leaving {
    /// Where to.
    pub address: String,
    /// What their browser keeps until they are back, for a few minutes.
    pub ticket: String,
}

/// What the provider has somebody bring back. Has no `Debug`.
#[derive(Clone, Default)]
pub struct Returning {
    /// What was sent along.
    pub state: String,
    /// What tokens are given for.
    pub code: String,
    /// Who sends them (RFC 9207).
    pub issuer: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

/// Why a single sign-on came to nothing. For the operator; people are told what they can do.
#[derive(Debug, thiserror::Error)]
enum SignOnFault {
    #[error("it was not begun in this browser, or too long ago")]
    NoTicket,
    #[error("`state` is not the one that was sent")]
    State,
    #[error("`iss` is not the provider")]
    Issuer,
    #[error("the provider says `{0}`")]
    Declined(String),
    #[error(transparent)]
    Provider(#[from] ProviderFault),
    #[error(transparent)]
    IdToken(#[from] IdTokenFault),
    #[error("what the provider says of the person is of somebody else")]
    OtherSubject,
    #[error("the provider tells no email address")]
    NoEmail,
    #[error("the provider does not say that the email address is theirs (`email_verified`)")]
    Unverified,
    #[error("nobody with this email address is here or invited")]
    Unknown,
}

impl SignOnFault {
    fn refusal(&self, email: &str) -> Refusal {
        let failed = |detail: &str| Refusal::new(Code::SignInFailed, detail);
        match self {
            Self::NoTicket | Self::State => failed(
                "This sign-in was not begun in this browser at this address, or more than ten minutes ago. Begin it again.",
            ),
            Self::Provider(ProviderFault::Refused(error)) if error == "invalid_grant" => {
                failed("The provider's answer was used already or is too old. Begin again.")
            }
            Self::Provider(_) => Refusal::new(
                Code::SignOnUnavailable,
                "The provider can't be asked at the moment. Try again, or sign in with your password; the log says why.",
            ),
            Self::Issuer | Self::IdToken(_) | Self::OtherSubject => {
                failed("What came back is no answer of the provider to this sign-in. Begin again; the log says why.")
            }
            Self::Declined(_) => failed("The provider did not sign you in."),
            Self::NoEmail => failed("The provider tells no email address, by which people are known here."),
            Self::Unverified => {
                failed("The provider does not say that the email address is yours; confirm it there first.")
            }
            Self::Unknown => {
                failed(&format!("Nobody with the address {email} is here. Ask an owner for an invitation."))
            }
        }
    }
}

/// What follows from a ticket, for one purpose.
fn of_ticket(ticket: &str, purpose: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(format!("portcullis sign-on {purpose}\0{ticket}").as_bytes());
    URL_SAFE_NO_PAD.encode(context.finish())
}

/// What PKCE shows of a verifier (RFC 7636 §4.2).
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&SHA256, verifier.as_bytes()))
}

impl Control {
    /// What the provider is called by which people sign in, where there is one.
    pub fn provider_called(&self) -> Option<&str> {
        self.door.provider.as_ref().map(|provider| provider.settings.called.as_str())
    }

    fn provider(&self) -> Result<&Provider, Fault> {
        let none = || Refusal::new(Code::ResourceNotFound, "Nobody signs in by a provider here.");
        Ok(self.door.provider.as_ref().ok_or_else(none)?)
    }

    /// Where the provider sends people back to.
    fn way_back(&self, provider: &Provider) -> String {
        let console = provider.settings.console.as_deref().unwrap_or(&self.issuer);
        format!("{console}{RETURN_PATH}")
    }

    /// Where somebody is sent who wants to sign in by the provider.
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND` where there is none, `SIGN_ON_UNAVAILABLE`, or another [`Fault`].
    pub async fn leave_for_provider(&self) -> Result<Leaving, Fault> {
        let provider = self.provider()?;
        let known = provider.known(self.clock.now(), USUAL_AGE).await.map_err(|fault| unasked(&fault))?;
        let ticket = draw::token("")?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("response_type", "code"),
            ("scope", "openid email"),
            ("client_id", &provider.settings.client_id),
            ("redirect_uri", &self.way_back(provider)),
            ("state", &of_ticket(&ticket, "state")),
            ("nonce", &of_ticket(&ticket, "nonce")),
            ("code_challenge", &challenge(&of_ticket(&ticket, "verifier"))),
            ("code_challenge_method", "S256"),
        ] {
            query.append_pair(name, value);
        }
        let join = if known.authorization.query().is_some() { '&' } else { '?' };
        Ok(Leaving { address: format!("{}{join}{}", known.authorization, query.finish()), ticket })
    }

    /// Signs in whoever comes back from the provider, with the ticket that their browser kept.
    ///
    /// # Errors
    /// `SIGN_IN_FAILED`, `SIGN_ON_UNAVAILABLE`, `RATE_LIMITED`, or another [`Fault`].
    pub async fn return_from_provider(
        self: &Arc<Self>,
        actor: &Actor,
        ticket: Option<String>,
        returning: Returning,
    ) -> Result<NewSession, Fault> {
        let provider = self.provider()?;
        let email = match self.proven(provider, actor, ticket, &returning).await? {
            Ok(email) => email,
            Err((fault, email)) => return Err(self.failed(actor, &fault, email).await),
        };
        people::check_email(&email)?;
        let asked = email.clone();
        let known = self.read(move |rows| Ok(rows.user_by_email(&asked)?)).await?;
        // Somebody new gets a password that nobody knows, so that no time and no answer tells them from others.
        let hash = match known {
            Some(_) => String::new(),
            None => self.door.mill.hash(&Password::new(draw::token("")?)).await?,
        };
        let newcomers = provider.settings.newcomers.clone().filter(|newcomers| newcomers.admit(&email));
        let address = email.clone();
        let found = self.change(actor, move |change| match taken_in(change, &email, &hash, newcomers.as_ref())? {
            Some(user) => sign_in::begin(change, user).map(Some),
            None => Ok(None),
        });
        match found.await?.value {
            Some(session) => Ok(session),
            None => Err(self.failed(actor, &SignOnFault::Unknown, Some(address)).await),
        }
    }

    /// The email address that the provider proves; or why not, and the address that it is about.
    async fn proven(
        &self,
        provider: &Provider,
        actor: &Actor,
        ticket: Option<String>,
        returning: &Returning,
    ) -> Result<Result<String, (SignOnFault, Option<String>)>, Fault> {
        let failed = |fault: SignOnFault| Ok(Err((fault, None)));
        let Some(ticket) = ticket else { return failed(SignOnFault::NoTicket) };
        let state = of_ticket(&ticket, "state");
        if !bool::from(state.as_bytes().ct_eq(returning.state.as_bytes())) {
            return failed(SignOnFault::State);
        }
        self.door.throttle.count(actor.address.map(|one| one.ip()), None, self.clock.now())?;
        Ok(self.asked(provider, &ticket, returning).await)
    }

    async fn asked(
        &self,
        provider: &Provider,
        ticket: &str,
        returning: &Returning,
    ) -> Result<String, (SignOnFault, Option<String>)> {
        let nobody = |fault: SignOnFault| (fault, None);
        let settings = &provider.settings;
        let now = self.clock.now();
        let known = provider.known(now, USUAL_AGE).await.map_err(|fault| nobody(fault.into()))?;
        match &returning.issuer {
            Some(issuer) if *issuer != settings.issuer => return Err(nobody(SignOnFault::Issuer)),
            None if known.names_itself => return Err(nobody(SignOnFault::Issuer)),
            Some(_) | None => {}
        }
        if let Some(error) = &returning.error {
            return Err(nobody(SignOnFault::Declined(error.chars().take(64).collect())));
        }
        let verifier = of_ticket(ticket, "verifier");
        let tokens = provider.redeem(&known, &returning.code, &verifier, &self.way_back(provider)).await;
        let tokens = tokens.map_err(|fault| nobody(fault.into()))?;
        let nonce = of_ticket(ticket, "nonce");
        let awaited = Awaited {
            issuer: &settings.issuer,
            client_id: &settings.client_id,
            algorithms: &settings.algorithms,
            nonce: &nonce,
        };
        let identity = match identify(&tokens.id_token, &awaited, &known.keys, now) {
            Err(IdTokenFault::Token(TokenFault::UnknownKey)) => {
                // It may have changed its keys.
                let known = provider.known(now, HASTY_AGE).await.map_err(|fault| nobody(fault.into()))?;
                identify(&tokens.id_token, &awaited, &known.keys, now)
            }
            identified => identified,
        };
        let identity = identity.map_err(|fault| nobody(fault.into()))?;
        let (email, is_verified) = match identity.email {
            Some(email) => (Some(email), identity.is_verified),
            None => match provider.user_info(&known, &tokens).await.map_err(|fault| nobody(fault.into()))? {
                Some(about) if about.sub != identity.subject => return Err(nobody(SignOnFault::OtherSubject)),
                Some(about) => (about.email, about.email_verified),
                None => (None, false),
            },
        };
        match (email, is_verified) {
            (None, _) => Err(nobody(SignOnFault::NoEmail)),
            (Some(email), false) => Err((SignOnFault::Unverified, Some(email))),
            (Some(email), true) => Ok(email),
        }
    }

    /// Logs a failure, records it where somebody here is meant, and says what they are told.
    async fn failed(self: &Arc<Self>, actor: &Actor, fault: &SignOnFault, email: Option<String>) -> Fault {
        let client = actor.address.map(|address| address.to_string());
        let source = std::error::Error::source(fault).map(ToString::to_string);
        tracing::warn!(client, error = %fault, source, "a single sign-on came to nothing");
        let email = email.unwrap_or_default();
        if matches!(fault, SignOnFault::Unverified) && people::check_email(&email).is_ok() {
            let asked = email.clone();
            if let Ok(Some((user, _))) = self.read(move |rows| Ok(rows.user_by_email(&asked)?)).await {
                if let Err(refusal) = self.door.throttle.count(None, Some(&email), self.clock.now()) {
                    return refusal.into();
                }
                self.record_failure(actor, Some(user));
            }
        }
        fault.refusal(&email).into()
    }
}

fn unasked(fault: &ProviderFault) -> Fault {
    let source = std::error::Error::source(fault).map(ToString::to_string);
    tracing::warn!(error = %fault, source, "the provider of single sign-on can't be asked");
    Refusal::new(
        Code::SignOnUnavailable,
        "The provider can't be asked at the moment. Try again, or sign in with your password; the log says why.",
    )
    .into()
}

/// The person whose address was proven: one who is here, one who was invited, or one who may come by themselves. Every
/// invitation for the address is taken up.
fn taken_in(
    change: &mut Change<'_>,
    email: &str,
    hash: &str,
    newcomers: Option<&Newcomers>,
) -> Result<Option<UserRecord>, Fault> {
    let mut joining = Vec::new();
    for invite in change.rows().invites_for(email, change.now())? {
        match people::granted(change, &invite) {
            Ok((place, roles)) => joining.push((Some(invite), place, roles)),
            // What is good no more stays until somebody takes it back.
            Err(Fault::Refused(_)) => {}
            Err(fault) => return Err(fault),
        }
    }
    let known = change.rows().user_by_email(email)?.map(|(user, _)| user);
    if known.is_none()
        && joining.is_empty()
        && let Some(newcomers) = newcomers
    {
        match change.rows().organization(newcomers.organization)? {
            Some(place) => {
                let roles = newcomers.roles.iter().filter_map(|name| Role::on_organization(name)).collect();
                joining.push((None, place, roles));
            }
            None => tracing::error!(id = %newcomers.organization, "the organization of newcomers is not there"),
        }
    }
    let mut was_known = known.is_some();
    let user = match known {
        // Letters of other scripts that are like these when they are small make no other address the same.
        Some(user) if user.email.eq_ignore_ascii_case(email) => user,
        Some(_) => return Ok(None),
        None if joining.is_empty() || hash.is_empty() => return Ok(None),
        None => people::add(change, email.to_owned(), hash)?,
    };
    for (invite, place, roles) in joining {
        if let Some(invite) = invite {
            change.store().remove_invite(invite.pk)?;
        }
        people::join(change, &place, &user, roles, was_known)?;
        was_known = true;
    }
    Ok(Some(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_a_ticket_is_another_for_each_purpose() {
        let all =
            [of_ticket("a", "state"), of_ticket("a", "nonce"), of_ticket("a", "verifier"), of_ticket("b", "state")];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 43);
            assert!(!all[..at].contains(one));
        }
    }

    /// RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_the_one_of_the_rfc() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
