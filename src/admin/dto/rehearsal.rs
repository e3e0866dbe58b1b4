//! What would come of a change that was not made.

use schemars::JsonSchema;
use serde::Serialize;

use super::named::Named;
use crate::control::{self, Foreseen};

/// What would come of a change, by what is recorded of the last 30 days. Nothing was changed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Rehearsal {
    /// Always true.
    dry_run: bool,
    /// The revision that it was foreseen by.
    revision: u64,
    /// What guards have to say, at most a thousand of it. Without `force` the change is refused by the first of them.
    guards: Vec<Guarded>,
    /// Passes now, and would be refused: those that were seen last, at most a thousand.
    newly_refused: Vec<Fate>,
    /// Is refused now, and would pass.
    newly_allowed: Vec<Fate>,
    /// Passes, and would pass and come to be reported.
    newly_reported: Vec<Fate>,
    /// How many there are of each in all.
    totals: Totals,
    /// What was looked at.
    looked_at: Looked,
    /// Whether all of it was; otherwise there was no time for the rest, and nothing is said about it.
    complete: bool,
    /// Since when requests are recorded; missing where they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded_since: Option<String>,
}

/// A guard that stands in the way.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Guarded {
    /// Its code.
    error_code: &'static str,
    /// Why.
    detail: String,
    /// What a program may want of it: an address, mostly.
    parameters: Vec<String>,
    /// Whether it refuses the change; false where it was told not to.
    refuses: bool,
    /// Where in a directory file.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// Requests of one credential from one place on one route.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Fate {
    #[serde(flatten)]
    named: Named,
    /// The organization of the credential.
    org_id: String,
    /// The network that they came from: of one address, or, where there were too many, of several.
    cidr_block: String,
    /// The address, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    /// Whether the network stands for several addresses: then the worst is told that may become of one of them.
    widened: bool,
    /// Host and path of the route, `admin API`, or `*` where there were too many; missing where none matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    /// What they would be refused with, or what would be reported of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// How many.
    count: u64,
    /// The first of them.
    first_seen: String,
    /// The last of them.
    last_seen: String,
}

/// How many of each kind.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Totals {
    newly_refused: Total,
    newly_allowed: Total,
    newly_reported: Total,
    /// Of what guards have to say.
    guards: u64,
}

/// How many of one kind.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Total {
    /// What there is of what is told one by one.
    count: u64,
    /// Whose they are.
    credentials: u64,
    /// Requests that they stand for.
    requests: u64,
}

/// What was looked at.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Looked {
    /// Credentials that the change touches and that were used.
    credentials: u64,
    /// Their requests.
    requests: u64,
    /// Credentials that it touches and for which there was no time.
    credentials_left_out: u64,
}

impl From<&control::Group> for Total {
    fn from(group: &control::Group) -> Self {
        Self { count: group.total, credentials: group.credentials, requests: group.requests }
    }
}

impl From<&control::Guarded> for Guarded {
    fn from(guarded: &control::Guarded) -> Self {
        let control::Guarded { place, refusal, refuses } = guarded;
        Self {
            error_code: refusal.code.as_str(),
            detail: refusal.detail.clone(),
            parameters: refusal.parameters.clone(),
            refuses: *refuses,
            field: place.clone(),
        }
    }
}

impl From<&control::Fate> for Fate {
    fn from(fate: &control::Fate) -> Self {
        let network = fate.network;
        Self {
            named: Named::from(&*fate.credential),
            org_id: fate.credential.organization.to_string(),
            cidr_block: network.to_string(),
            ip_address: network.is_host().then(|| network.address().to_string()),
            widened: !network.is_host(),
            route: (!fate.route.is_empty()).then(|| fate.route.to_string()),
            code: fate.code.map(|code| code.as_str()),
            count: fate.count,
            first_seen: fate.first.to_string(),
            last_seen: fate.last.to_string(),
        }
    }
}

impl From<&Foreseen> for Rehearsal {
    fn from(foreseen: &Foreseen) -> Self {
        let told = |group: &control::Group| group.fates.iter().map(Fate::from).collect();
        Self {
            dry_run: true,
            revision: foreseen.revision,
            guards: foreseen.guarded.iter().map(Guarded::from).collect(),
            newly_refused: told(&foreseen.refused),
            newly_allowed: told(&foreseen.allowed),
            newly_reported: told(&foreseen.reported),
            totals: Totals {
                newly_refused: Total::from(&foreseen.refused),
                newly_allowed: Total::from(&foreseen.allowed),
                newly_reported: Total::from(&foreseen.reported),
                guards: foreseen.guards,
            },
            looked_at: Looked {
                credentials: foreseen.credentials,
                requests: foreseen.requests,
                credentials_left_out: foreseen.unread,
            },
            complete: foreseen.unread == 0,
            recorded_since: foreseen.recorded_since.map(|at| at.to_string()),
        }
    }
}
