//! Whether a configuration and a directory go together: every organization that a route or an issuer names exists.

use std::collections::HashSet;

use super::{Origin, named};
use crate::access::id::Id;
use crate::access::snapshot::Snapshot;
use crate::config::diagnostic::{Problem, Problems};
use crate::config::settings::Settings;

/// Names every organization that the configuration refers to and the directory does not have.
///
/// # Errors
/// One problem per such reference.
pub(super) fn check(origin: &Origin, settings: &Settings, snapshot: &Snapshot) -> Result<(), Problems> {
    let known: HashSet<Id> = snapshot.organizations().map(|organization| organization.id()).collect();
    let gateway = &settings.gateway;
    let mut problems = Problems::default();
    let mut unknown = |whose: &str, id: Id| {
        if !known.contains(&id) {
            let message = format!("{whose} names organization `{id}`, which the directory does not have");
            let help = "add the organization to the directory, or take the id out";
            problems.push(Problem::error(named(origin), message).with_help(help));
        }
    };
    for route in gateway.routes.iter() {
        for id in route.organizations.iter().flat_map(|listed| listed.iter()) {
            unknown(&format!("the route with path `{}`", route.path), *id);
        }
    }
    for issuer in &gateway.credentials.issuers {
        for id in &issuer.organizations {
            unknown(&format!("issuer `{}`", issuer.issuer), *id);
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}
