//! A decision, step by step, for a request that might come, one that the access log tells of, or a receipt.

use askama::Template;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use serde::Deserialize as _;
use serde_json::Value;

use super::form::Form;
use super::page::{self, Frame, Problem};
use super::visit::{Page, Visit, tried};
use crate::access::network::parse_address;
use crate::config::strict;
use crate::control::Fault;
use crate::gate::explain::{self, Asked, Logged, Report, Source};
use crate::problem::{Code, Refusal};

pub(super) const PAGES: &[Page] = &[
    Page::get("/explain", |visit| Box::pin(asked(visit))),
    Page::post("/explain", |visit| Box::pin(async move { explained(&visit, &visit.form).await })),
];

#[derive(Template)]
#[template(path = "explain.html", config = "src/console/askama.toml")]
struct ExplainPage {
    frame: Frame,
    form: Form,
    report: Option<Report>,
}

/// A link from a denial has the form filled in, and is answered at once: looking changes nothing.
async fn asked(visit: Visit) -> Result<Response, Fault> {
    if ["address", "request"].iter().any(|field| visit.query.given(field).is_some()) {
        return explained(&visit, &visit.query).await;
    }
    Ok(show(&visit, &visit.query, None, None))
}

fn show(visit: &Visit, form: &Form, report: Option<Report>, problem: Option<Problem>) -> Response {
    let frame = visit.frame().titled("Explain a decision").refusing(problem);
    page::show(frame.status(), &ExplainPage { frame, form: form.clone(), report })
}

async fn explained(visit: &Visit, form: &Form) -> Result<Response, Fault> {
    let mut form = form.clone();
    let report = async {
        if let Some(receipt) = form.given("request") {
            let (report, _) = visit.control.explain_receipt(&visit.actor, receipt).await?;
            form = of_refused(&report);
            return Ok(report);
        }
        let (request, logged) = read(visit, &form)?;
        let (mut report, revision) = visit.control.explain(&visit.actor, request).await?;
        if let Some(logged) = logged {
            logged.compare(&mut report, revision);
        }
        Ok(report)
    };
    // What can't be seen is told beside the form too.
    let report: Result<Report, Fault> = report.await;
    let report = match report {
        Err(fault) if fault.refusal().code.status() == 404 => Ok(Err(fault.refusal().into())),
        report => tried(report),
    };
    Ok(match report? {
        Ok(report) => show(visit, &form, Some(report), None),
        Err(problem) => show(visit, &form, None, Some(problem)),
    })
}

/// The form for a request that was refused: what its receipt tells of it.
fn of_refused(report: &Report) -> Form {
    let credential = report.looked_at.map(|name| name.to_string()).unwrap_or_default();
    Form::of([("address", report.client_address.clone().unwrap_or_default()), ("credential", credential)])
}

fn wrong(field: &str, wrong: impl ToString) -> Fault {
    Refusal::field(Code::InvalidAttribute, field, wrong.to_string()).into()
}

/// The request that a form tells of, and the line of the log where it is one.
fn read(visit: &Visit, form: &Form) -> Result<(Asked, Option<Logged>), Fault> {
    if let Some(line) = form.given("line") {
        let none = |fault: &dyn std::fmt::Display| wrong("line", format!("it is no line of the access log: {fault}"));
        let line = strict::read(line.as_bytes()).map_err(|fault| none(&fault))?;
        let line = Value::deserialize(line).map_err(|fault| none(&fault))?;
        let logged = Logged::read(line).map_err(|fault| wrong("line", fault))?;
        let request = logged.asked().map_err(|fault| wrong("line", fault))?;
        return Ok((request, Some(logged)));
    }
    let address = parse_address(form.text("address")).map_err(|fault| wrong("address", fault))?;
    let method = form.given("method").unwrap_or("GET");
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| wrong("method", "it is no method"))?;
    let target = form.given("path").unwrap_or("/");
    let target = target.parse().map_err(|_| wrong("path", "it is no path, such as /v1/things"))?;
    let mut headers = HeaderMap::new();
    if let Some(host) = form.given("host") {
        headers.insert("host", HeaderValue::from_str(host).map_err(|_| wrong("host", "it is no host"))?);
    }
    let none = "it is neither the id of an API key nor the client id of a service account";
    let credential = match form.given("credential") {
        Some(text) => Some(super::organizations::credential(text).ok_or_else(|| wrong("credential", none))?),
        None => None,
    };
    let (from, head) = (Source::Client(address), explain::head(method, target, headers));
    Ok((Asked { from, head, credential, at: visit.control.clock().now() }, None))
}
