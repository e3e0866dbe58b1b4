//! Requests, denials and latency of an organization over the last hour, and who is refused most.
//!
//! A table tells everything; where the browser runs scripts, charts do so too, and follow what comes.

use std::fmt::Write as _;

use askama::Template;
use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

use super::denials::{self, Refusers};
use super::page::{self, Frame};
use super::visit::{Page, Visit};
use crate::access::record::OrganizationRecord;
use crate::clock::Timestamp;
use crate::control::Fault;
use crate::telemetry::activity::{STEP, Tally};

/// Steps of one line of the table: five minutes.
const LINE: usize = 30;

pub(super) const PAGES: &[Page] = &[
    Page::get("/orgs/{org}/activity", |visit| Box::pin(show(visit))),
    Page::get("/orgs/{org}/activity/samples", |visit| Box::pin(samples(visit))),
];

#[derive(Template)]
#[template(path = "activity.html", config = "src/console/askama.toml")]
struct ActivityPage {
    frame: Frame,
    organization: OrganizationRecord,
    all: Tally,
    lines: Vec<Line>,
    refusers: Refusers,
}

/// Five minutes of the table.
struct Line {
    at: String,
    clock: String,
    tally: Tally,
}

impl Line {
    fn within(&self, part: f64) -> String {
        within(&self.tally, part)
    }
}

impl ActivityPage {
    fn within(&self, part: f64) -> String {
        within(&self.all, part)
    }
}

/// The time within which a part of the requests was done, as people read it.
fn within(tally: &Tally, part: f64) -> String {
    match tally.quantile(part) {
        None => "–".to_owned(),
        Some(took) if took.as_secs_f64() < 0.01 => format!("{:.1} ms", took.as_secs_f64() * 1e3),
        Some(took) if took.as_secs() < 10 => format!("{:.0} ms", took.as_secs_f64() * 1e3),
        Some(_) => "over 10 s".to_owned(),
    }
}

fn sum(tallies: &[Tally]) -> Tally {
    let mut all = Tally::default();
    tallies.iter().for_each(|tally| all.add(tally));
    all
}

async fn show(visit: Visit) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    let (begins, tallies) = visit.control.activity(&visit.actor, organization.id).await?;
    let refusers = denials::refusers(&visit, organization.id).await?;
    let starts = (begins..).step_by(LINE * STEP as usize);
    let line = |(second, tallies): (u64, &[Tally])| {
        let at = Timestamp::from_unix_seconds(i64::try_from(second).unwrap_or(i64::MAX)).to_string();
        // `2026-11-29T09:05:00Z`: hours and minutes.
        let clock = at.get(11..16).unwrap_or_default().to_owned();
        Line { at, clock, tally: sum(tallies) }
    };
    let mut lines: Vec<Line> = starts.zip(tallies.chunks(LINE)).map(line).collect();
    lines.reverse();
    let frame = visit.frame().titled(format!("Activity of {}", organization.name));
    let frame = frame.within((&organization).into(), "Activity");
    Ok(page::show(200, &ActivityPage { frame, organization, all: sum(&tallies), lines, refusers }))
}

/// The samples as the charts take them: seconds, then allowed, denied and failed requests a second, then milliseconds.
async fn samples(visit: Visit) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    let (begins, tallies) = visit.control.activity(&visit.actor, organization.id).await?;
    let rate = |count: u64| Some(count as f64 / STEP as f64);
    let ms = |tally: &Tally, part: f64| tally.quantile(part).map(|took| took.as_secs_f64() * 1e3);
    let seconds: Vec<u64> = (begins..).step_by(STEP as usize).take(tallies.len()).collect();
    let columns = [
        seconds.iter().map(|second| Some(*second as f64)).collect(),
        tallies.iter().map(|tally| rate(tally.allowed + tally.reported)).collect(),
        tallies.iter().map(|tally| rate(tally.denied)).collect(),
        tallies.iter().map(|tally| rate(tally.failed)).collect(),
        tallies.iter().map(|tally| ms(tally, 0.5)).collect(),
        tallies.iter().map(|tally| ms(tally, 0.99)).collect::<Vec<Option<f64>>>(),
    ];
    let mut answer = Response::new(Body::from(written(&columns)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

/// Columns of numbers as JSON.
fn written(columns: &[Vec<Option<f64>>]) -> String {
    let mut text = String::from("[");
    for (at, column) in columns.iter().enumerate() {
        text.push_str(if at == 0 { "[" } else { ",[" });
        for (at, number) in column.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            // Writing into a String never fails.
            let _ = match number {
                Some(number) => write!(text, "{number}"),
                None => write!(text, "null"),
            };
        }
        text.push(']');
    }
    text + "]"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_json() {
        assert_eq!(written(&[vec![Some(1.0), Some(2.5)], vec![None, Some(0.0)]]), "[[1,2.5],[null,0]]");
        assert_eq!(written(&[]), "[]");
    }
}
