//! A receipt as a decision that is made once more: what it says of then, and what the same credential, address and route would
//! get now.
//!
//! What was presented is in no receipt and can't be judged again; whoever was proven is taken as proven.

use super::of_supposed;
use super::recording::Recording;
use super::report::{self, Report, Told};
use crate::access::client_address::ClientAddress;
use crate::access::decision::{AddressFault, Proof, Question, Reason, suppose};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::route::RouteMatch;
use crate::access::snapshot::Snapshot;
use crate::clock::Timestamp;
use crate::config::settings::Gateway;
use crate::gate::again::{Ground, Proven};
use crate::gate::forwarded::{AddressSource, Derived};
use crate::gate::judge::{Outcome, Verdict};
use crate::gate::receipt::{Record, RouteSeen};
use crate::live::published::Current;
use crate::problem::Code;
use crate::telemetry::access_log::ClientSource;

/// Entries of a list that are shown.
const SHOWN: usize = 8;

/// Tells what a receipt holds, and what would become of the request now, as of its time.
pub fn explain_receipt(current: &Current, record: &Record) -> Report {
    let settings = &current.settings;
    let at = Timestamp::from_unix_seconds(i64::try_from(record.at / 1000).unwrap_or(i64::MAX));
    let mut recording = Recording::new(true);
    let then = format!("{} {}", record.code.status(), record.code.as_str());
    recording.note("receipt", format!("{then} at {at} on revision {}", record.revision));
    recording.note("peer", record.peer.to_string());
    let client = record.client.map_or_else(|| "none".to_owned(), |client| client.to_string());
    recording.note("client address", format!("{client}, from {}", record.source.as_str()));
    let route = record.route.among(&settings.routes);
    recording.note("route", described(record.route, route));
    let judged = record.owner.zip(record.client).zip(current.snapshot.as_deref());
    let mut report = match judged {
        Some((((name, _), client), snapshot)) => {
            let route = route.unwrap_or(RouteMatch::NotFound);
            let question =
                Question { snapshot, client: Ok(client), route, preflight: false, proof: Proof::Absent, now: at };
            let outcome = match suppose(&question, name.id, &mut recording) {
                Ok(permit) => Outcome::Allow(permit),
                Err(denial) => Outcome::Deny(denial),
            };
            list(&mut recording, snapshot, name.id);
            let verdict = Verdict {
                derived: derived(record, client),
                outcome,
                ground: Ground { preflight: false, proven: Proven::Nothing },
            };
            let mut report = Report::new(&verdict, of_supposed, recording, settings);
            compare(&mut report, record, snapshot.revision());
            report
        }
        None => unjudged(record, recording, settings),
    };
    report.client_source = record.source.as_str();
    report.receipt = Some(Told {
        created: at.to_string(),
        revision: record.revision,
        status: record.code.status(),
        code: record.code.as_str(),
        reason: record.reason,
        peer_address: record.peer.to_string(),
    });
    report
}

fn described(seen: RouteSeen, found: Option<RouteMatch<'_>>) -> String {
    match (seen, found) {
        (RouteSeen::NotFound, _) => "the request matched none".to_owned(),
        (RouteSeen::Ambiguous, _) => "its path could be read in ways that select different routes".to_owned(),
        (RouteSeen::Matched(_), Some(RouteMatch::Matched(route))) => {
            let host = route.host.as_ref().map(|host| format!(" of `{host}`")).unwrap_or_default();
            format!("the request matched route `{}`{host}", route.path)
        }
        (RouteSeen::Matched(_), _) => "the request matched a route that is configured no more".to_owned(),
    }
}

/// The list itself, so that nobody has to look it up.
fn list(recording: &mut Recording, snapshot: &Snapshot, credential: Id) {
    let Some(credential) = snapshot.find_by_id(credential) else { return };
    let (list, organization) = (credential.list(), snapshot.organization_of(credential));
    let until = |at: Timestamp| if at == Timestamp::NEVER { String::new() } else { format!(" until {at}") };
    let sets = list.set_entries().iter().filter_map(|entry| {
        let set = organization.sets().get(entry.set as usize)?;
        Some(format!("set `{}`{}", set.name, until(entry.expires_at)))
    });
    let networks = list.entries().map(|entry| format!("{}{}", entry.network, until(entry.expires_at)));
    let all: Vec<String> = sets.chain(networks).collect();
    if all.is_empty() {
        return;
    }
    let more = match all.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    recording.note("entries", format!("{}{more}", all[..all.len().min(SHOWN)].join(", ")));
}

fn derived(record: &Record, client: ClientAddress) -> Derived {
    let source = match record.source {
        ClientSource::Peer => AddressSource::Peer,
        ClientSource::ProxyProtocol => AddressSource::ProxyProtocol,
        ClientSource::Header => AddressSource::Header,
    };
    Derived { client: Ok(client), source, chain: Default::default(), peer_trusted: source == AddressSource::Header }
}

/// Notes what became of the request then, where it is not what would become of it now.
fn compare(report: &mut Report, record: &Record, revision: u64) {
    if (report.outcome, report.code) != ("deny", Some(record.code.as_str())) {
        let reason = record.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let code = record.code.as_str();
        report.notes.push(format!(
            "the receipt says {code}{reason}, on revision {}; this is what revision {revision} makes of it",
            record.revision
        ));
    }
}

/// What was refused before anybody was proven: there is nothing to judge again.
fn unjudged(record: &Record, recording: Recording, settings: &Gateway) -> Report {
    let mut report = Report::begin(record.source.as_str(), record.client.map(|client| client.to_string()));
    report.outcome = "deny";
    report.code(record.code);
    let reason = reason(record);
    report.reason = record.reason.or(reason.map(report::told)).map(str::to_owned);
    let fix = reason.map(|reason| report::fix(reason, record.client, None, settings));
    report.fix = fix.or_else(|| (record.code == Code::RateLimited).then(|| limits(record.client)));
    report.steps = recording.lines;
    report
}

fn limits(client: Option<ClientAddress>) -> String {
    let client = client.map_or_else(|| "the address".to_owned(), |client| Network::host(client.ip()).to_string());
    format!(
        "find out what fails so often from {client}; `gateway.limits.failed_attempts` says how many failures an address has"
    )
}

/// The reason of a decision that the code and the text stand for.
fn reason(record: &Record) -> Option<Reason> {
    const NOT_TOLD: &str = "what the request presented proved no credential";
    let why = record.reason.unwrap_or(NOT_TOLD);
    Some(match record.code {
        Code::ClientAddressUnresolved => {
            let fault = AddressFault::ALL.into_iter().find(|fault| fault.as_str() == why);
            Reason::ClientAddressUnresolved(fault?)
        }
        Code::CredentialsRequired => Reason::CredentialsRequired,
        Code::MalformedCredentials => Reason::MalformedCredentials(why),
        Code::AmbiguousCredentials => Reason::AmbiguousCredentials(why),
        Code::InvalidCredentials => Reason::InvalidCredentials(why),
        Code::IpAddressNotOnAccessList => Reason::IpAddressNotOnAccessList,
        Code::OrgRequiresAccessList => Reason::OrgRequiresAccessList,
        Code::ResourceRequiresAccessList => Reason::ResourceRequiresAccessList,
        Code::OrgNotAllowedOnRoute => Reason::OrgNotAllowedOnRoute,
        Code::InsufficientRole => Reason::InsufficientRole,
        Code::AmbiguousPath => Reason::AmbiguousPath,
        Code::RouteNotFound => Reason::RouteNotFound,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
