//! Signing up, in and out, and one's own password.

use askama::Template;
use axum::http::HeaderValue;
use axum::http::header::SET_COOKIE;
use axum::response::Response;

use super::cookies;
use super::page::{self, Frame, Problem};
use super::visit::{Page, Visit, tried};
use crate::control::{Fault, NewSession, Password, RETURN_PATH, Returning};
use crate::problem::{Code, Refusal};

pub(super) const PAGES: &[Page] = &[
    Page::get("/sign-in", |visit| Box::pin(welcome(visit))).for_strangers(),
    Page::post("/sign-in", |visit| Box::pin(sign_in(visit))).for_strangers(),
    Page::get("/sign-in/provider", |visit| Box::pin(leave(visit))).for_strangers(),
    Page::get(RETURN_PATH, |visit| Box::pin(come_back(visit))).for_strangers(),
    Page::get("/sign-up", |visit| Box::pin(async move { Ok(join_page(&visit, true, None)) })).for_strangers(),
    Page::post("/sign-up", |visit| Box::pin(join(visit, true))).for_strangers(),
    Page::get("/invitation", |visit| Box::pin(async move { Ok(join_page(&visit, false, None)) })).for_strangers(),
    Page::post("/invitation", |visit| Box::pin(join(visit, false))).for_strangers(),
    Page::post("/sign-out", |visit| Box::pin(sign_out(visit, false))),
    Page::post("/sign-out-everywhere", |visit| Box::pin(sign_out(visit, true))),
    Page::get("/account", |visit| Box::pin(async move { Ok(account_page(&visit, None)) })),
    Page::post("/account/password", |visit| Box::pin(change_password(visit))),
];

/// Where people begin.
const HOME: &str = "/home";

#[derive(Template)]
#[template(path = "sign_in.html", config = "src/console/askama.toml")]
struct SignInPage {
    frame: Frame,
    email: String,
    next: String,
    /// What the provider of single sign-on is called, where there is one.
    provider: Option<String>,
}

impl SignInPage {
    /// Where people leave for the provider.
    fn leave(&self) -> String {
        let next: String = form_urlencoded::byte_serialize(self.next.as_bytes()).collect();
        format!("/sign-in/provider?next={next}")
    }
}

#[derive(Template)]
#[template(path = "join.html", config = "src/console/askama.toml")]
struct JoinPage {
    frame: Frame,
    is_first: bool,
    email: String,
    token: String,
}

#[derive(Template)]
#[template(path = "account.html", config = "src/console/askama.toml")]
struct AccountPage {
    frame: Frame,
}

/// Where there is nobody yet who could sign in, somebody has to sign up first.
async fn welcome(visit: Visit) -> Result<Response, Fault> {
    if visit.control.awaits_first_owner().await? {
        return Ok(page::to("/sign-up"));
    }
    Ok(sign_in_page(&visit, "", None))
}

/// Where to go after signing in: a page of this console, and nowhere else.
fn next(visit: &Visit) -> String {
    own_page(Some(visit.form.raw("next")).filter(|next| !next.is_empty()).unwrap_or(visit.query.raw("next")))
}

/// An address, where it is one of a page of this console.
fn own_page(asked: &str) -> String {
    let is_own = asked.starts_with('/') && !asked[1..].starts_with(['/', '\\']) && !asked.chars().any(char::is_control);
    if is_own { asked.to_owned() } else { HOME.to_owned() }
}

fn sign_in_page(visit: &Visit, email: &str, problem: Option<Problem>) -> Response {
    let frame = visit.frame().titled("Sign in").refusing(problem);
    let provider = visit.control.provider_called().map(str::to_owned);
    page::show(frame.status(), &SignInPage { frame, email: email.to_owned(), next: next(visit), provider })
}

async fn sign_in(visit: Visit) -> Result<Response, Fault> {
    if visit.carries_credential {
        let detail = "API keys and service accounts can't sign in; people do, with an email address and a password.";
        return Err(Refusal::new(Code::CredentialsCannotSignIn, detail).into());
    }
    let email = visit.form.text("email").to_owned();
    let password = Password::new(visit.form.raw("password").to_owned());
    match tried(visit.control.sign_in(&visit.actor, email.clone(), password).await)? {
        Ok(session) => Ok(begun(&session, &next(&visit))),
        Err(problem) => Ok(sign_in_page(&visit, &email, Some(problem))),
    }
}

/// Sends the browser to the provider.
async fn leave(visit: Visit) -> Result<Response, Fault> {
    match tried(visit.control.leave_for_provider().await)? {
        Ok(leaving) => {
            let mut answer = page::to(&leaving.address);
            keep(&mut answer, cookies::set_ticket(&leaving.ticket, &next(&visit)));
            Ok(answer)
        }
        Err(problem) => Ok(sign_in_page(&visit, "", Some(problem))),
    }
}

/// Whoever comes back from the provider. What was begun there can be ended once: the ticket is taken away in any case.
async fn come_back(visit: Visit) -> Result<Response, Fault> {
    let (ticket, next) = visit.ticket.as_deref().map(cookies::ticket).unzip();
    let given = |name: &str| visit.query.given(name).map(str::to_owned);
    let returning = Returning {
        state: visit.query.raw("state").to_owned(),
        code: visit.query.raw("code").to_owned(),
        issuer: given("iss"),
        error: given("error"),
    };
    let mut answer = match tried(visit.control.return_from_provider(&visit.actor, ticket, returning).await)? {
        Ok(session) => begun(&session, &own_page(&next.unwrap_or_default())),
        Err(problem) => sign_in_page(&visit, "", Some(problem)),
    };
    keep(&mut answer, cookies::end_ticket());
    Ok(answer)
}

/// Has the browser keep a cookie.
fn keep(answer: &mut Response, cookie: String) {
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// The session is always a new one, whatever the browser brought.
fn begun(session: &NewSession, next: &str) -> Response {
    let mut answer = page::to(next);
    keep(&mut answer, cookies::set_session(&session.token));
    answer
}

fn join_page(visit: &Visit, is_first: bool, problem: Option<Problem>) -> Response {
    let title = if is_first { "Sign up as the first owner" } else { "Take up an invitation" };
    let frame = visit.frame().titled(title).refusing(problem);
    let (email, token) = (visit.form.text("email").to_owned(), visit.form.text("token").to_owned());
    page::show(frame.status(), &JoinPage { frame, is_first, email, token })
}

async fn join(visit: Visit, is_first: bool) -> Result<Response, Fault> {
    let form = &visit.form;
    if form.raw("password") != form.raw("again") {
        let refusal = Refusal::field(Code::InvalidAttribute, "again", "it is not the same as the password above");
        return Ok(join_page(&visit, is_first, Some(refusal.into())));
    }
    let email = is_first.then(|| form.text("email").to_owned());
    let password = Password::new(form.raw("password").to_owned());
    let taken = visit.control.accept(&visit.actor, form.text("token").to_owned(), email, password).await;
    match tried(taken)? {
        Ok(made) => Ok(begun(&made.value, HOME)),
        Err(problem) => Ok(join_page(&visit, is_first, Some(problem))),
    }
}

async fn sign_out(visit: Visit, everywhere: bool) -> Result<Response, Fault> {
    visit.control.sign_out(&visit.actor, everywhere).await?;
    let said = if everywhere { "signed-out-everywhere" } else { "signed-out" };
    let mut answer = page::to(&format!("/sign-in?done={said}"));
    keep(&mut answer, cookies::end_session());
    Ok(answer)
}

fn account_page(visit: &Visit, problem: Option<Problem>) -> Response {
    let frame = visit.frame().titled("Your account").refusing(problem);
    page::show(frame.status(), &AccountPage { frame })
}

async fn change_password(visit: Visit) -> Result<Response, Fault> {
    let form = &visit.form;
    if form.raw("password") != form.raw("again") {
        let refusal = Refusal::field(Code::InvalidAttribute, "again", "it is not the same as the password above");
        return Ok(account_page(&visit, Some(refusal.into())));
    }
    let (present, new) =
        (Password::new(form.raw("present").to_owned()), Password::new(form.raw("password").to_owned()));
    match tried(visit.control.change_password(&visit.actor, present, new).await)? {
        Ok(_) => Ok(page::to("/account?done=password")),
        Err(problem) => Ok(account_page(&visit, Some(problem))),
    }
}
