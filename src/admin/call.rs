//! One call: who makes it, what it asks for, and the one door that every answer leaves by.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH};
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;

use super::answer::{Answer, allowing, refused};
use super::operation::{DRY_RUN, Operation, Verb};
use super::query::Query;
use super::{Admin, Prefix, oauth};
use crate::access::client_address::ClientAddress;
use crate::access::id::Id;
use crate::access::record::CredentialName;
use crate::config::strict;
use crate::control::{Actor, ActorKind, Control, Fault, Guards, SESSION_PREFIX};
use crate::gate::browser;
use crate::gate::caller::{Caller, Refused};
use crate::net::peer::Peer;
use crate::net::received::whole;
use crate::problem::{Code, Refusal};

/// One JSON value a line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// A call of an operation by somebody who was admitted.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) control: Arc<Control>,
    pub(super) actor: Actor,
    pub(super) prefix: Prefix,
    pub(super) query: Query,
    /// `https://host` or `http://host`, and the prefix.
    pub(super) base: String,
    path: Vec<(String, String)>,
    if_match: Option<String>,
    body: Option<Bytes>,
    /// Of an operation that reads it by itself.
    pub(super) stream: Mutex<Option<Body>>,
}

/// Answers a call.
pub(super) async fn answer(
    admin: Admin,
    prefix: Prefix,
    operation: &'static Operation,
    peer: &Peer,
    path: Vec<(String, String)>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let id = request_id();
    let begin = std::time::Instant::now();
    // Told as it was asked, also where the call is refused.
    let lenient = Query::lenient(&head);
    let outcome = admitted(&admin, prefix, operation, peer, path, &head, body).await;
    let (answer, code) = match outcome {
        Ok((answer, query, here)) => (answer.into_response(operation.status, &query, &here, media_type(&head)), None),
        Err(refusal) => (refused(&refusal, &id, &lenient), Some(refusal)),
    };
    let status = answer.status().as_u16();
    let micros = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
    let code = code.as_ref().map(|refusal| refusal.code.as_str());
    tracing::debug!(operation = operation.id, request_id = id, status, code, duration_us = micros, peer = %peer.address, "admin call");
    answer
}

async fn admitted(
    admin: &Admin,
    prefix: Prefix,
    operation: &'static Operation,
    peer: &Peer,
    path: Vec<(String, String)>,
    head: &Parts,
    body: Body,
) -> Result<(Answer, Query, String), Refusal> {
    if browser::comes_from_another_site(head) {
        let detail = "A page of another site had a browser send this; the admin API takes changes from no other site.";
        return Err(Refusal::new(Code::CrossSiteRequest, detail));
    }
    let caller = match operation.is_for_strangers() {
        true => Admitted::Person(stranger(admin, peer, head)?),
        false => admit(admin, peer, head).await?,
    };
    let control = admin.control.clone().ok_or_else(|| elsewhere(admin))?;
    let query = Query::strict(head, operation)?;
    unconditional(head, operation)?;
    let actor = match caller {
        Admitted::Person(actor) => actor,
        Admitted::Credential(Caller { kind, credential, address }) => Actor::proven(kind, credential, address),
    };
    let actor = Actor { rehearses: query.flag(DRY_RUN.name), ..actor };
    if operation.is_large() {
        // Nobody else's directory is held in memory.
        control.may_apply(&actor).await.map_err(|fault| logged(&fault))?;
    }
    let (body, stream) = match operation.is_bulk() {
        true => (None, Some(lines(head, body)?)),
        false => (read(head, operation, body).await?, None),
    };
    let base = format!("{}{}", origin(admin, head), prefix.path());
    let here = format!("{}{}", origin(admin, head), head.uri.path());
    let if_match = head.headers.get(IF_MATCH).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let call =
        Call { control, actor, prefix, query: query.clone(), base, path, if_match, body, stream: Mutex::new(stream) };
    let answer = (operation.handler)(call).await.map_err(|fault| logged(&fault))?;
    Ok((answer, query, here))
}

/// Whoever sends `If-Match` wants nothing done to another version: where none is compared, nothing is done.
fn unconditional(head: &Parts, operation: &Operation) -> Result<(), Refusal> {
    let compares = matches!(operation.method, Verb::Get | Verb::Put | Verb::Patch);
    match head.headers.get(IF_MATCH) {
        Some(version) if !compares && version != "*" => {
            let detail = "This operation compares no versions; send it without `If-Match`.";
            Err(Refusal::new(Code::VersionMismatch, detail))
        }
        _ => Ok(()),
    }
}

/// Who was let in.
enum Admitted {
    Credential(Caller),
    Person(Actor),
}

/// Lets in a person with a session, or a credential as the gate judges it.
async fn admit(admin: &Admin, peer: &Peer, head: &Parts) -> Result<Admitted, Refusal> {
    let Some((control, token)) = admin.control.as_ref().zip(session_token(head)) else {
        return match admin.callers.judge(peer, head) {
            Ok(caller) => Ok(Admitted::Credential(caller)),
            Err(refused) => {
                if let (Some(control), Some((kind, id)), Some(address)) =
                    (&admin.control, refused.credential, refused.address)
                {
                    control.call_refused(CredentialName { kind, id }, address, refused.code).await;
                }
                Err(told(refused))
            }
        };
    };
    let alone = without_others(admin, peer, head, || {
        Refusal::new(Code::AmbiguousCredentials, Code::AmbiguousCredentials.detail(None))
    })?;
    let found = control.session(token, Some(alone.address)).await;
    found.map(Admitted::Person).map_err(|fault| {
        let refusal = logged(&fault);
        let challenges = if refusal.code.status() == 401 { alone.challenges } else { Vec::new() };
        Refusal { challenges, ..refusal }
    })
}

/// Whoever presents nothing yet. A credential is told that it can't be a person.
fn stranger(admin: &Admin, peer: &Peer, head: &Parts) -> Result<Actor, Refusal> {
    if head.headers.contains_key(AUTHORIZATION) && session_token(head).is_none() {
        return Err(no_person());
    }
    let alone = without_others(admin, peer, head, no_person)?;
    Ok(Actor { kind: ActorKind::Stranger, address: Some(alone.address), rehearses: false })
}

fn no_person() -> Refusal {
    let detail = "API keys and service accounts can't sign in; send an email address and a password in the body, and no \
                  credential.";
    Refusal::new(Code::CredentialsCannotSignIn, detail)
}

/// A call that has no credential besides its session.
struct Alone {
    address: ClientAddress,
    challenges: Vec<String>,
}

/// Judges a call without its `Authorization`: where nothing else stands in it, the judge tells its address and misses a
/// credential.
fn without_others(admin: &Admin, peer: &Peer, head: &Parts, otherwise: impl Fn() -> Refusal) -> Result<Alone, Refusal> {
    let mut bare = head.clone();
    bare.headers.remove(AUTHORIZATION);
    match admin.callers.suppose(peer, &bare) {
        Ok(_) => Err(otherwise()),
        Err(Refused { code: Code::CredentialsRequired, address: Some(address), challenges, .. }) => {
            Ok(Alone { address, challenges })
        }
        Err(refused) => match refused.code {
            // Some other credential is there, good or bad.
            code if matches!(code.status(), 400 | 401) => Err(otherwise()),
            Code::IpAddressNotOnAccessList | Code::OrgRequiresAccessList | Code::InsufficientRole => Err(otherwise()),
            _ => Err(told(refused)),
        },
    }
}

/// The token of a session, where the call has one `Authorization` and this is it.
fn session_token(head: &Parts) -> Option<&str> {
    let mut values = head.headers.get_all(AUTHORIZATION).iter();
    let (only, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && token.starts_with(SESSION_PREFIX)).then_some(token)
}

/// A path that is not there.
pub(super) async fn unknown(admin: &Admin, peer: &Peer, request: Request) -> Response {
    let (head, _) = request.into_parts();
    let refusal = admit(admin, peer, &head).await.err().unwrap_or_else(|| {
        Refusal::new(Code::ResourceNotFound, "There is nothing at this path; `/api/v1/docs` lists what there is.")
    });
    refused(&refusal, &request_id(), &Query::lenient(&head))
}

/// An endpoint of OAuth: whoever asks proves themselves by what they send, and no list is asked.
pub(super) async fn oauth(admin: &Admin, endpoint: oauth::Endpoint, peer: &Peer, request: Request) -> Response {
    let Some(control) = &admin.control else { return unknown(admin, peer, request).await };
    let (head, body) = request.into_parts();
    let refuse = |refusal: Refusal| refused(&refusal, &request_id(), &Query::default());
    let address = match admin.callers.address(peer, &head) {
        Ok(address) => address,
        Err(refused) => return refuse(told(refused)),
    };
    match whole(body, oauth::LARGEST_BODY).await {
        Ok(body) => oauth::answer(control, endpoint, address, &head, &body).await.map(Body::from),
        Err(refusal) => refuse(refusal),
    }
}

/// A method that a path does not know.
pub(super) async fn other_method(
    admin: &Admin,
    peer: &Peer,
    is_for_strangers: bool,
    allowed: &'static str,
    request: Request,
) -> Response {
    let (head, _) = request.into_parts();
    let admitted = match is_for_strangers {
        true => Ok(()),
        false => admit(admin, peer, &head).await.map(drop),
    };
    match admitted {
        Err(refusal) => refused(&refusal, &request_id(), &Query::lenient(&head)),
        Ok(()) => {
            let refusal = Refusal::new(Code::MethodNotAllowed, format!("This path knows {allowed}."));
            allowing(refused(&refusal, &request_id(), &Query::lenient(&head)), allowed)
        }
    }
}

/// The same words as on the gateway.
fn told(refused: Refused) -> Refusal {
    let Refused { code, address, reason, challenges, retry_after, .. } = refused;
    let client = address.map(|address| address.to_string());
    tracing::info!(code = code.as_str(), client, reason, "an admin call was refused");
    let parameters = match code {
        Code::IpAddressNotOnAccessList | Code::OrgRequiresAccessList => client.into_iter().collect(),
        _ => Vec::new(),
    };
    Refusal { parameters, challenges, retry_after, ..Refusal::new(code, code.detail(address)) }
}

/// What the caller hears of a fault; what only the operator may know goes into the log.
pub(super) fn logged(fault: &Fault) -> Refusal {
    let refusal = fault.refusal();
    if refusal.code.status() >= 500 {
        let source = std::error::Error::source(fault).map(ToString::to_string);
        tracing::error!(error = %fault, source, "a change or a look at the directory failed");
    }
    refusal
}

fn elsewhere(admin: &Admin) -> Refusal {
    let detail = format!("The directory comes from {} and is changed there.", admin.origin);
    Refusal::new(Code::DirectoryReadOnly, detail).with(&admin.origin)
}

/// Reads a body, where the operation takes one.
async fn read(head: &Parts, operation: &Operation, body: Body) -> Result<Option<Bytes>, Refusal> {
    let bytes = whole(body, operation.largest_body()).await?;
    if operation.body.is_none() {
        return match bytes.is_empty() {
            true => Ok(None),
            false => Err(Refusal::new(Code::InvalidJson, "This operation takes no body.")),
        };
    }
    let essence = essence(head, "application/json");
    match essence == "application/json" || is_atlas(&essence) {
        true => Ok(Some(bytes)),
        false => Err(Refusal::new(Code::UnsupportedMediaType, "The body has to be `application/json`.")),
    }
}

/// A body that the operation reads by itself, as long as it likes.
fn lines(head: &Parts, body: Body) -> Result<Body, Refusal> {
    match essence(head, "") == NDJSON {
        true => Ok(body),
        false => Err(Refusal::new(Code::UnsupportedMediaType, format!("The body has to be `{NDJSON}`."))),
    }
}

/// The media type of a body without its parameters.
fn essence(head: &Parts, otherwise: &str) -> String {
    let media_type = head.headers.get(CONTENT_TYPE).map_or(Ok(otherwise), HeaderValue::to_str).unwrap_or_default();
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// `application/vnd.atlas.2024-08-05+json`, as Atlas clients say which version they mean.
fn is_atlas(media_type: &str) -> bool {
    let version = media_type.strip_prefix("application/vnd.atlas.").and_then(|rest| rest.strip_suffix("+json"));
    version.is_some_and(|version| {
        version.len() <= 20 && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

/// The media type of an answer: Atlas clients get theirs back.
fn media_type(head: &Parts) -> HeaderValue {
    let accepted = head.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let atlas =
        accepted.split(',').map(|one| one.split(';').next().unwrap_or_default().trim()).find(|one| is_atlas(one));
    let atlas = atlas.and_then(|name| HeaderValue::from_str(name).ok());
    atlas.unwrap_or(HeaderValue::from_static("application/json"))
}

/// Scheme and host, as the caller names them.
fn origin(admin: &Admin, head: &Parts) -> String {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    let legal = |host: &&str| {
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']' | b'_'))
    };
    let local = admin.local.to_string();
    let scheme = if admin.secure { "https" } else { "http" };
    format!("{scheme}://{}", host.filter(legal).unwrap_or(&local))
}

/// 16 random hexadecimal digits: enough to find a line in a log.
pub(super) fn request_id() -> String {
    let mut bytes = [0; 8];
    // Without random numbers there is an id less and nothing worse.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}

impl Call {
    fn segment(&self, name: &str) -> &str {
        // The table of operations names every part of its paths.
        self.path.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// A part of the path that is a name.
    pub(super) fn name(&self, name: &str) -> String {
        self.segment(name).to_owned()
    }

    /// A part of the path that is an id.
    pub(super) fn id(&self, name: &str) -> Result<Id, Fault> {
        self.parsed(name)
    }

    /// Whether the path has such a part.
    pub(super) fn has(&self, name: &str) -> bool {
        self.path.iter().any(|(known, _)| known == name)
    }

    /// A part of the path, parsed.
    pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, Fault> {
        self.parsed_without(name, "")
    }

    /// The same, with or without an ending that says nothing more.
    pub(super) fn parsed_without<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
        ending: &str,
    ) -> Result<T, Fault> {
        let text = self.segment(name);
        text.strip_suffix(ending).unwrap_or(text).parse().map_err(|fault: T::Err| {
            Refusal::new(Code::PathParamParseError, format!("`{name}` in the path: {fault}")).with(name).into()
        })
    }

    /// The body, with the place of whatever is wrong in it.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        let bytes = self.body.as_deref().unwrap_or_default();
        let value = strict::read(bytes).map_err(|fault| {
            let detail = match (bytes.is_empty(), fault.is_data()) {
                (true, _) => "The body is missing; send a JSON document.".to_owned(),
                (false, true) => format!("The body can be read in two ways: {fault}."),
                (false, false) => format!("The body is no JSON: {fault}."),
            };
            Fault::from(Refusal::new(Code::InvalidJson, detail))
        })?;
        serde_path_to_error::deserialize(value).map_err(|fault| {
            let place = fault.path().to_string();
            let wrong = fault.inner().to_string();
            let code = if wrong.starts_with("unknown field") { Code::UnknownAttribute } else { Code::InvalidAttribute };
            let place = if place == "." { "the body".to_owned() } else { place };
            Refusal::field(code, place, wrong).into()
        })
    }

    /// The body as it came.
    pub(super) fn text(&self) -> Result<&str, Fault> {
        let text = std::str::from_utf8(self.body.as_deref().unwrap_or_default());
        text.map_err(|_| Refusal::new(Code::InvalidJson, "The body is no UTF-8.").into())
    }

    /// How much to pass over and how much to take.
    pub(super) fn page(&self) -> (u64, u64) {
        let (number, size) = (self.query.page_number(), self.query.page_size());
        ((number - 1).saturating_mul(size), size)
    }

    /// Which guards refuse: on the prefixes of others only theirs.
    pub(super) fn guards(&self) -> Guards {
        match (self.prefix, self.query.flag("force")) {
            (Prefix::Own, false) => Guards::All,
            (Prefix::Own, true) => Guards::Forced,
            (Prefix::CloudManager | Prefix::Atlas, _) => Guards::CloudManagers,
        }
    }

    /// The version that the caller has read; `*` is any.
    pub(super) fn if_match(&self) -> Result<Option<u64>, Fault> {
        let Some(text) = self.if_match.as_deref().map(str::trim).filter(|text| *text != "*") else { return Ok(None) };
        let bare = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
        bare.parse().map(Some).map_err(|_| {
            let detail = "`If-Match` has to be an `ETag` that was answered for this, such as \"42\".";
            Refusal::new(Code::VersionMismatch, detail).into()
        })
    }
}
