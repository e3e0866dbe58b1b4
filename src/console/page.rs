//! What every page has in common: its frame, its notices, how a refusal is shown, and the headers.

use askama::Template;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::assets;
use crate::access::id::Id;
use crate::problem::Refusal;

/// What a page may load and where its forms may go: only here. No other page may show it within itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What is said after something was done. The address names it, so that nobody can have a page say anything else.
const NOTICES: &[(&str, &str)] = &[
    ("signed-out", "You are signed out."),
    ("signed-out-everywhere", "You are signed out everywhere."),
    ("created", "It is made."),
    ("saved", "Saved."),
    ("deleted", "Deleted."),
    ("asked", "The source is asked. Look again in a moment."),
    ("switch", "Saved. It is enforced from now on."),
    ("list", "Saved. It is enforced from now on."),
    ("secret-gone", "The secret is deleted, and refused from now on."),
    ("tokens-gone", "Its tokens are revoked, and refused from now on."),
    ("password", "Your password is changed, and your other sessions have ended."),
];

/// The parts of an organization, and where each is.
pub(super) const SECTIONS: [(&str, &str); 9] = [
    ("API keys", "/keys"),
    ("Service accounts", "/accounts"),
    ("Projects", "/projects"),
    ("Network sets", "/sets"),
    ("People", "/people"),
    ("Activity", "/activity"),
    ("Denials", "/denials"),
    ("Events", "/events"),
    ("Settings", "/settings"),
];

/// What surrounds the content of a page.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// What the browser's tab says.
    pub(super) title: String,
    /// Who is signed in.
    pub(super) email: Option<String>,
    /// The token of the forms on the page.
    pub(super) token: String,
    /// The organization that the page is about.
    pub(super) organization: Option<Place>,
    /// The part of it that the page is about.
    pub(super) section: &'static str,
    /// What has just been done.
    pub(super) notice: Option<&'static str>,
    /// Why what was asked for was not done.
    pub(super) problem: Option<Problem>,
}

/// Something with an id and a name.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) id: Id,
    pub(super) name: String,
}

/// A refusal as people read it.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) detail: String,
    pub(super) fields: Vec<(String, String)>,
    /// Values that the refusal names, such as addresses.
    pub(super) parameters: Vec<String>,
    /// The form that was refused, to be sent once more by whoever means it.
    pub(super) again: Option<Again>,
}

/// A form to be sent once more.
#[derive(Debug, Clone)]
pub(super) struct Again {
    pub(super) action: String,
    pub(super) fields: Vec<(String, String)>,
    /// Whether the addresses that would be refused can go on the list with it.
    pub(super) offers: bool,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, detail, fields, parameters, .. } = refusal;
        // What the API takes as a parameter is a box on the page.
        let detail = detail.replace(", or say `?force=true`", "");
        Self { status: code.status(), code: code.as_str(), detail, fields, parameters, again: None }
    }
}

impl Problem {
    /// Whether a guard says it, which whoever means it may pass by.
    pub(super) fn is_guard(&self) -> bool {
        matches!(self.code, "CHANGE_EXCLUDES_RECENT_USE" | "CHANGE_REMOVES_RESTRICTION" | "CHANGE_EXCLUDES_CALLER")
    }
}

impl Frame {
    pub(super) fn asset(&self, name: &'static str) -> assets::Link {
        assets::link(name)
    }

    /// What is wrong with a field.
    pub(super) fn wrong(&self, field: &str) -> Option<&str> {
        let fields = self.problem.iter().flat_map(|problem| &problem.fields);
        fields.into_iter().find(|(name, _)| name == field).map(|(_, wrong)| wrong.as_str())
    }

    /// Everything that is wrong with a field that holds many things.
    pub(super) fn all_wrong(&self, field: &str) -> Vec<&str> {
        let fields = self.problem.iter().flat_map(|problem| &problem.fields);
        fields.filter(|(name, _)| name == field).map(|(_, wrong)| wrong.as_str()).collect()
    }

    /// With the title.
    pub(super) fn titled(self, title: impl Into<String>) -> Self {
        Self { title: title.into(), ..self }
    }

    /// About a part of an organization.
    pub(super) fn within(self, organization: Place, section: &'static str) -> Self {
        Self { organization: Some(organization), section, ..self }
    }

    /// With what was refused.
    pub(super) fn refusing(self, problem: Option<Problem>) -> Self {
        Self { problem, ..self }
    }

    /// The status that the page is answered with.
    pub(super) fn status(&self) -> u16 {
        self.problem.as_ref().map_or(200, |problem| problem.status)
    }
}

/// The sentence of a notice.
pub(super) fn notice(name: &str) -> Option<&'static str> {
    NOTICES.iter().find(|(known, _)| *known == name).map(|(_, says)| *says)
}

#[derive(Template)]
#[template(path = "problem.html", config = "src/console/askama.toml")]
struct ProblemPage {
    frame: Frame,
}

/// A page that says nothing but why there is no other.
pub(super) fn problem(frame: Frame, refusal: Refusal) -> Response {
    let frame = frame.titled(refusal.code.title()).refusing(Some(refusal.into()));
    show(frame.status(), &ProblemPage { frame })
}

/// A page.
pub(super) fn show(status: u16, page: &impl Template) -> Response {
    let (status, text) = match page.render() {
        Ok(text) => (status, text),
        Err(fault) => {
            tracing::error!(error = %fault, "a page of the console can't be written");
            (500, String::from("The page can't be written."))
        }
    };
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer
}

/// Sends the browser on to another page, which it asks for by GET.
pub(super) fn to(address: &str) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let location = HeaderValue::try_from(address).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(LOCATION, location);
    answer
}

/// With what every answer of the console says to the browser.
pub(super) fn guarded(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Enough for `Origin` to be told to this console, and nothing to anybody else.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}
