//! What `check --against` says: the difference of two directories, and of the rules around them.
//!
//! Routes and proxies are compared by what they say; addresses of lists by what they admit.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::check::{Checked, count};
use crate::access::route::{Access, Route};
use crate::clock::Clock;
use crate::config::settings::{ClientAddressRule, Credentials, Gateway, Listen, Sockets};
use crate::directory::compare::{Change, Comparison, CredentialChange, Period, compare};

/// Both comparisons.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    /// Whether anybody would newly be refused.
    newly_refuses: bool,
    #[serde(flatten)]
    directory: Comparison,
    /// Rules of the configuration that differ.
    rules: Vec<RuleChange>,
}

/// A rule that differs.
#[derive(Debug, Serialize)]
struct RuleChange {
    /// What differs, in one line.
    what: String,
    /// Whether it may refuse what was allowed.
    may_refuse: bool,
}

impl Compared {
    pub(super) fn of(old: &Checked, new: &Checked) -> Self {
        let directory = match (&old.directory, &new.directory) {
            (Some(before), Some(after)) => compare(before, after, Clock::system().now()),
            _ => Comparison::default(),
        };
        let rules = match (&old.settings, &new.settings) {
            (Some(before), Some(after)) => {
                let mut changes = rules(&before.gateway, &after.gateway);
                changes.extend(listeners(&before.sockets, &after.sockets));
                changes
            }
            _ => Vec::new(),
        };
        let newly_refuses = directory.refuses_something() || rules.iter().any(|rule| rule.may_refuse);
        Self { newly_refuses, directory, rules }
    }

    pub(super) fn refuses_something(&self) -> bool {
        self.newly_refuses
    }
}

fn rules(old: &Gateway, new: &Gateway) -> Vec<RuleChange> {
    let mut changes = Vec::new();
    let mut say = |what: String, may_refuse: bool| changes.push(RuleChange { what, may_refuse });
    let (before, after) = (&old.client_address, &new.client_address);
    let proxies = |rule: &ClientAddressRule| (rule.trusted_proxies.clone(), rule.certified_proxies.clone());
    if proxies(before) != proxies(after) {
        let (now, then) = (listed(after), listed(before));
        say(format!("trusted proxies: {now} instead of {then}"), true);
    }
    if before.header != after.header || before.hops != after.hops {
        say("the client address is read from another header or hop".to_owned(), true);
    }
    let (before, after) = (&old.credentials, &new.credentials);
    for name in before.headers.iter().filter(|name| !after.headers.contains(name)) {
        say(format!("header `{name}` carries keys no more"), true);
    }
    for name in after.headers.iter().filter(|name| !before.headers.contains(name)) {
        say(format!("header `{name}` carries keys"), false);
    }
    if before.basic != after.basic {
        say(format!("`Authorization: Basic` is {}", if after.basic { "on" } else { "off" }), !after.basic);
    }
    if before.bearer != after.bearer {
        say(format!("`Authorization: Bearer` is {}", if after.bearer { "on" } else { "off" }), !after.bearer);
    }
    if before.client_certificates != after.client_certificates {
        let on = after.client_certificates;
        // A certificate may name another credential than the request carries, which is refused.
        say(format!("client certificates are {}", if on { "credentials" } else { "credentials no more" }), true);
    }
    let digest = |rule: &Credentials| rule.digest.as_ref().map(|one| (one.realm.clone(), one.algorithms.clone()));
    match (digest(before), digest(after)) {
        (None, Some(_)) => say("`Authorization: Digest` is on".to_owned(), false),
        (Some(_), None) => say("`Authorization: Digest` is off".to_owned(), true),
        (then, now) if then != now => {
            say("`Authorization: Digest` has another realm or other algorithms".to_owned(), true)
        }
        _ => {}
    }
    let issuers = |all: &[crate::config::settings::Issuer]| -> BTreeMap<String, String> {
        all.iter().map(|one| (one.issuer.clone(), format!("{one:?}"))).collect()
    };
    for (name, refuses) in differing(&issuers(&before.issuers), &issuers(&after.issuers)) {
        say(format!("issuer `{name}` differs"), refuses);
    }
    let (before, after) = (routes(old), routes(new));
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        say(format!("route {name} is gone"), true);
    }
    for (name, (route, upstream)) in &after {
        match before.get(name) {
            None => say(format!("route {name} is new"), true),
            Some((known, known_upstream)) => {
                route_change(name, known, route, &mut say);
                if known_upstream != upstream {
                    say(format!("route {name} goes to upstream `{upstream}`"), false);
                }
            }
        }
    }
    changes
}

/// Trusted proxies as a configuration has them.
fn listed(rule: &ClientAddressRule) -> String {
    let certified = rule.certified_proxies.iter().map(|one| format!("{} as {}", one.network, one.san_uri));
    let all: Vec<_> = rule.trusted_proxies.iter().map(|one| one.to_string()).chain(certified).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// Whose certificates clients show on a listener.
fn client_ca(listen: &Listen) -> Option<&PathBuf> {
    listen.tls.as_ref()?.client_ca.as_ref()
}

/// Where clients can't come in any more, or have to say something else first.
fn listeners(old: &Sockets, new: &Sockets) -> Vec<RuleChange> {
    let find =
        |sockets: &Sockets, one: &Listen| sockets.listen.iter().find(|other| other.address == one.address).cloned();
    let mut changes = Vec::new();
    for one in &old.listen {
        let what = match find(new, one) {
            None => "is gone",
            Some(other) if other.tls.is_some() != one.tls.is_some() => {
                if one.tls.is_some() {
                    "is without TLS"
                } else {
                    "has TLS"
                }
            }
            Some(other) if client_ca(&other) != client_ca(one) => match (client_ca(one), client_ca(&other)) {
                (None, _) => "asks clients for a certificate",
                (_, None) => "asks clients for no certificate; proxies known by theirs are believed there no more",
                _ => "asks for client certificates of another `client_ca`",
            },
            Some(other) if other.proxy_protocol != one.proxy_protocol => "asks otherwise for a PROXY header",
            Some(_) => continue,
        };
        changes.push(RuleChange { what: format!("listener {} {what}", one.address), may_refuse: true });
    }
    let new = new.listen.iter().filter(|one| find(old, one).is_none());
    changes.extend(new.map(|one| RuleChange { what: format!("listener {} is new", one.address), may_refuse: false }));
    changes
}

/// Keys whose values differ, and whether the old one is gone or changed.
fn differing(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<(String, bool)> {
    let changed =
        before.iter().filter(|(name, value)| after.get(*name) != Some(value)).map(|(name, _)| (name.clone(), true));
    let new = after.keys().filter(|name| !before.contains_key(*name)).map(|name| (name.clone(), false));
    changed.chain(new).collect()
}

fn routes(gateway: &Gateway) -> BTreeMap<String, (&Route, &str)> {
    let named = |route: &Route| {
        let host = route.host.as_ref().map_or_else(|| "any host".to_owned(), ToString::to_string);
        let methods = if route.methods.is_empty() { "all methods".to_owned() } else { route.methods.join(",") };
        format!("`{}` ({host}, {methods})", route.path)
    };
    // `resolve` made each position from a name of this list.
    gateway.routes.iter().map(|route| (named(route), (route, &*gateway.upstreams[route.upstream].name))).collect()
}

fn route_change(name: &str, old: &Route, new: &Route, say: &mut impl FnMut(String, bool)) {
    if old.access != new.access {
        let required = new.access == Access::Required;
        say(format!("route {name} {} a credential", if required { "needs" } else { "does without" }), required);
    }
    if old.require_access_list != new.require_access_list {
        let required = new.require_access_list;
        say(format!("route {name} {} an access list", if required { "needs" } else { "does without" }), required);
    }
    if old.organizations != new.organizations {
        let narrower = match (&old.organizations, &new.organizations) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(after)) => before.iter().any(|id| !after.contains(id)),
        };
        say(format!("route {name} admits other organizations"), narrower);
    }
    if old.upgrades != new.upgrades {
        let narrower = old.upgrades.iter().any(|one| !new.upgrades.contains(one));
        say(format!("route {name} lets other protocols through"), narrower);
    }
    if old.preflight != new.preflight {
        say(
            format!("route {name} treats CORS preflights otherwise"),
            new.preflight == crate::access::route::Preflight::Require,
        );
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.directory.is_empty() && self.rules.is_empty() {
            return f.write_str("no difference: nobody is newly refused or allowed");
        }
        for rule in &self.rules {
            let may = if rule.may_refuse { "may newly refuse: " } else { "" };
            writeln!(f, "{may}{}", rule.what)?;
        }
        for one in &self.directory.organizations {
            match (one.from, one.to) {
                (Some(from), Some(to)) => {
                    writeln!(f, "organization {} ({}): lists `{from}` → `{to}`", one.name, one.id)?
                }
                (None, _) => writeln!(f, "organization {} ({}): new", one.name, one.id)?,
                (_, None) => writeln!(f, "organization {} ({}): gone", one.name, one.id)?,
            }
        }
        self.directory.credentials.iter().try_for_each(|one| credential(f, one))?;
        let refused = self.directory.credentials.iter().filter(|one| refuses(one)).count();
        let allowed = self
            .directory
            .credentials
            .iter()
            .filter(|one| one.periods.iter().any(|period| !period.newly_allowed.is_empty()));
        let credentials = |number| count(number, "credential", "credentials");
        write!(f, "newly refused: {}; newly allowed: {}", credentials(refused), credentials(allowed.count()))
    }
}

fn refuses(one: &CredentialChange) -> bool {
    one.changes.contains(&Change::SecretWithdrawn) || one.periods.iter().any(|period| !period.newly_refused.is_empty())
}

fn credential(f: &mut fmt::Formatter<'_>, one: &CredentialChange) -> fmt::Result {
    let changes: Vec<&str> = one.changes.iter().map(|change| in_words(*change)).collect();
    let changes = if changes.is_empty() { String::new() } else { format!(": {}", changes.join(", ")) };
    writeln!(f, "{} {} ({}, organization {}){changes}", one.kind, one.name, one.id, one.organization)?;
    one.periods.iter().try_for_each(|period| in_lines(f, period))
}

fn in_lines(f: &mut fmt::Formatter<'_>, period: &Period) -> fmt::Result {
    let indent = match &period.from {
        None => "  ",
        Some(from) => {
            writeln!(f, "  from {from} on:")?;
            "    "
        }
    };
    for (word, networks) in [("newly refused", &period.newly_refused), ("newly allowed", &period.newly_allowed)] {
        if !networks.is_empty() {
            writeln!(f, "{indent}{word}: {}", networks.join(", "))?;
        }
    }
    if period.newly_refused.is_empty() && period.newly_allowed.is_empty() {
        writeln!(f, "{indent}no difference")?;
    }
    Ok(())
}

fn in_words(change: Change) -> &'static str {
    match change {
        Change::New => "new",
        Change::Gone => "gone",
        Change::Disabled => "disabled",
        Change::Enabled => "enabled",
        Change::Moved => "belongs to another organization",
        Change::SecretWithdrawn => "a secret, subject or certificate works no more",
        Change::SecretAdded => "has a further secret, subject or certificate",
        Change::RolesChanged => "has other roles",
    }
}
