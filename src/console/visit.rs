//! One visit of one page: who comes, with what, and the one door that every answer leaves by.

use std::pin::Pin;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use axum::response::Response;

use super::Console;
use super::cookies::{self, Cookies};
use super::form::Form;
use super::page::{self, Again, Frame, Problem};
use crate::access::client_address::ClientAddress;
use crate::access::id::Id;
use crate::access::role::Role;
use crate::control::{Actor, ActorKind, Control, Deed, Fault};
use crate::gate::browser;
use crate::net::peer::Peer;
use crate::net::received::whole;
use crate::problem::{Code, Refusal};

/// Most bytes of a form: a whole list may be pasted.
const LARGEST_FORM: usize = 8 << 20;

/// Name of the field that holds a form's token.
const TOKEN: &str = "form";

/// What a page does with a visit.
pub(super) type Handler = fn(Visit) -> Pin<Box<dyn Future<Output = Result<Response, Fault>> + Send>>;

/// One page, or what one form does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) verb: Verb,
    pub(super) path: &'static str,
    pub(super) who: Who,
    pub(super) handler: Handler,
}

/// Looking, and doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
}

/// Whom a page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Whoever is not signed in yet.
    Stranger,
    /// A person with a session.
    Person,
}

impl Page {
    /// A page to look at.
    pub(super) const fn get(path: &'static str, handler: Handler) -> Self {
        Self { verb: Verb::Get, path, who: Who::Person, handler }
    }

    /// What a form does.
    pub(super) const fn post(path: &'static str, handler: Handler) -> Self {
        Self { verb: Verb::Post, path, who: Who::Person, handler }
    }

    /// The same for whoever is not signed in.
    pub(super) const fn for_strangers(self) -> Self {
        Self { who: Who::Stranger, ..self }
    }
}

/// A visit by somebody who may be here.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) control: Arc<Control>,
    pub(super) actor: Actor,
    pub(super) query: Form,
    pub(super) form: Form,
    /// Whether the request carries a credential besides what belongs to a browser.
    pub(super) carries_credential: bool,
    /// Path and query, as they were asked for.
    pub(super) here: String,
    /// What the browser keeps of a sign-in that was begun at the provider.
    pub(super) ticket: Option<String>,
    /// The last event of a stream that the browser has, where it comes back to it.
    pub(super) last_event: Option<u64>,
    path: Vec<(String, String)>,
    token: String,
}

/// Answers a visit.
pub(super) async fn answer(
    console: &Console,
    page: &'static Page,
    peer: &Peer,
    path: Vec<(String, String)>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let mut cookies = Cookies::of(&head);
    let mut news = None;
    if page.who == Who::Stranger && cookies.visitor.is_none() {
        cookies.visitor = cookies::draw_visitor().ok();
        news = cookies.visitor.as_deref().map(cookies::set_visitor);
    }
    let mut answer = match admitted(console, page, peer, path, &head, body, &cookies).await {
        Ok(answer) => answer,
        Err(Stop::SignIn { ended }) => {
            if ended {
                news = Some(cookies::end_session());
            }
            page::to(&sign_in_address(&head))
        }
        Err(Stop::Refused(refusal)) => page::problem(Frame::default(), refusal),
    };
    // Whoever looks for a cookie gets one; what a handler sets comes after it.
    if let Some(news) = news.and_then(|text| HeaderValue::try_from(text).ok()) {
        answer.headers_mut().append(SET_COOKIE, news);
    }
    tracing::debug!(path = page.path, status = answer.status().as_u16(), peer = %peer.address, "console page");
    page::guarded(answer)
}

/// Why there is no page.
enum Stop {
    SignIn {
        /// Whether a session was brought that is over.
        ended: bool,
    },
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

async fn admitted(
    console: &Console,
    page: &'static Page,
    peer: &Peer,
    path: Vec<(String, String)>,
    head: &Parts,
    body: axum::body::Body,
    cookies: &Cookies,
) -> Result<Response, Stop> {
    if browser::comes_from_another_site(head) {
        let detail =
            "A page of another site had your browser send this; the console takes changes from its own pages only.";
        return Err(Refusal::new(Code::CrossSiteRequest, detail).into());
    }
    let control = console.control.clone().ok_or_else(|| elsewhere(console))?;
    let address =
        console.callers.address(peer, head).map_err(|refused| Refusal::new(refused.code, refused.code.detail(None)))?;
    let form = match page.verb {
        Verb::Get => Form::default(),
        Verb::Post => read(head, body).await?,
    };
    let (actor, cookie) = match (page.who, &cookies.session) {
        (Who::Stranger, _) => {
            (Actor { kind: ActorKind::Stranger, address: Some(address), rehearses: false }, cookies.visitor.as_deref())
        }
        (Who::Person, None) => return Err(Stop::SignIn { ended: false }),
        (Who::Person, Some(token)) => match control.session(token, Some(address)).await {
            Ok(actor) => (actor, Some(token.as_str())),
            Err(fault) => match logged(&fault) {
                refusal if refusal.code.status() == 401 => return Err(Stop::SignIn { ended: true }),
                refusal => return Err(refusal.into()),
            },
        },
    };
    let cookie = cookie.unwrap_or_default();
    if page.verb == Verb::Post && !cookies::goes_with(cookie, form.raw(TOKEN)) {
        return Err(stale_form(page).into());
    }
    let query = Form::read(head.uri.query().unwrap_or_default().as_bytes())?;
    let here = head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let carries_credential = match console.callers.suppose(peer, head) {
        Ok(_) => true,
        Err(refused) => refused.code != Code::CredentialsRequired,
    };
    let token = cookies::form_token(cookie);
    let last_event = head.headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let ticket = cookies.ticket.clone();
    let visit = Visit { control, actor, query, form, carries_credential, here, ticket, last_event, path, token };
    let frame = visit.frame();
    match (page.handler)(visit).await {
        Ok(answer) => Ok(answer),
        // A session may end in the middle of a visit.
        Err(fault) => match logged(&fault) {
            refusal if refusal.code == Code::InvalidCredentials => Err(Stop::SignIn { ended: true }),
            refusal => Ok(page::problem(frame, refusal)),
        },
    }
}

/// Where whoever has to sign in first is sent to; afterwards they come back, where that is more than looking at nothing.
fn sign_in_address(head: &Parts) -> String {
    match head.uri.path_and_query().map(ToString::to_string) {
        Some(here) if head.method == Method::GET && here != "/" => {
            let next: String = form_urlencoded::byte_serialize(here.as_bytes()).collect();
            format!("/sign-in?next={next}")
        }
        _ => "/sign-in".to_owned(),
    }
}

/// A form that nobody filled in on a page of this console, in this browser, within this session.
fn stale_form(page: &Page) -> Refusal {
    let detail = match page.who {
        Who::Person => {
            "This form belongs to a session that is over. Open the page again and send it once more; nothing was changed."
        }
        Who::Stranger => {
            "This form was not shown to this browser, or the browser keeps no cookies for this address. Over plain HTTP \
             browsers keep them for 127.0.0.1 and localhost alone, and some not even there: use HTTPS. Nothing was changed."
        }
    };
    Refusal::new(Code::CrossSiteRequest, detail)
}

async fn read(head: &Parts, body: axum::body::Body) -> Result<Form, Refusal> {
    let media_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let detail = "The console takes forms; programs use the API under /api/v1.";
        return Err(Refusal::new(Code::UnsupportedMediaType, detail));
    }
    Form::read(&whole(body, LARGEST_FORM).await?)
}

fn elsewhere(console: &Console) -> Refusal {
    let detail = format!(
        "The directory comes from {} and is changed there. The console manages a store: set `directory: {{ sqlite: … }}`.",
        console.origin
    );
    Refusal::new(Code::DirectoryReadOnly, detail)
}

/// What the visitor hears of a fault; what only the operator may know goes into the log.
fn logged(fault: &Fault) -> Refusal {
    let refusal = fault.refusal();
    if refusal.code.status() >= 500 {
        let source = std::error::Error::source(fault).map(ToString::to_string);
        tracing::error!(error = %fault, source, "a page of the console failed");
    }
    refusal
}

impl Visit {
    /// The frame of the page that answers.
    pub(super) fn frame(&self) -> Frame {
        let email = match &self.actor.kind {
            ActorKind::User { email, .. } => Some(email.clone()),
            _ => None,
        };
        let notice = page::notice(self.query.raw("done"));
        Frame { email, token: self.token.clone(), notice, ..Frame::default() }
    }

    /// Whether the visitor may do this, so that nothing is offered that would be refused.
    ///
    /// # Errors
    /// A fault of the store, or a session that is over.
    pub(super) async fn may(&self, deed: Deed) -> Result<bool, Fault> {
        let may = self.control.may(&self.actor, vec![deed]).await?;
        Ok(may.first().copied().unwrap_or_default())
    }

    /// Which of these roles the visitor may grant and take in an organization, of a person where it is one.
    ///
    /// # Errors
    /// As of [`Self::may`].
    pub(super) async fn may_grant(
        &self,
        organization: Id,
        person: Option<Id>,
        roles: Vec<Role>,
    ) -> Result<Vec<bool>, Fault> {
        let grant = |role| Deed::Grant { organization, person, roles: vec![role] };
        self.control.may(&self.actor, roles.into_iter().map(grant).collect()).await
    }

    /// The id of the person.
    pub(super) fn person(&self) -> Option<Id> {
        match self.actor.kind {
            ActorKind::User { id, .. } => Some(id),
            _ => None,
        }
    }

    /// The address that the visitor is seen with.
    pub(super) fn own_address(&self) -> Option<ClientAddress> {
        self.actor.address
    }

    /// A refusal of a form, with the form once more where a guard says it: whoever means it sends that.
    pub(super) fn answering(&self, problem: Problem) -> Problem {
        if !problem.is_guard() {
            return problem;
        }
        let is_ours = |name: &str| matches!(name, TOKEN | "force");
        let fields = self.form.fields().iter().filter(|(name, _)| !is_ours(name)).cloned().collect();
        let action = self.here.split('?').next().unwrap_or_default().to_owned();
        let offers = action.ends_with("/list/add");
        Problem { again: Some(Again { action, fields, offers }), ..problem }
    }

    /// A part of the path, parsed.
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND`: people follow links, and one that says nothing leads nowhere.
    pub(super) fn part<T: std::str::FromStr>(&self, name: &str) -> Result<T, Fault> {
        let text = self.path.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
        let nothing = |_| Refusal::new(Code::ResourceNotFound, "There is no page at this address.");
        Ok(text.parse().map_err(nothing)?)
    }
}

/// What a form did, or why it was refused: faults of the store are no matter of the form.
///
/// # Errors
/// The fault, where it is none that the form could do anything about.
pub(super) fn tried<T>(done: Result<T, Fault>) -> Result<Result<T, Problem>, Fault> {
    match done {
        Ok(value) => Ok(Ok(value)),
        Err(fault) => match fault.refusal() {
            refusal if matches!(refusal.code.status(), 400 | 409 | 429) || is_about_sign_in(refusal.code) => {
                Ok(Err(refusal.into()))
            }
            _ => Err(fault),
        },
    }
}

fn is_about_sign_in(code: Code) -> bool {
    matches!(
        code,
        Code::SignInFailed
            | Code::SignOnUnavailable
            | Code::InviteTokenInvalid
            | Code::CredentialsCannotSignIn
            | Code::InsufficientRole
    )
}
