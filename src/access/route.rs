//! Host, path and method rules: which route a request selects, under every reading of its path.
//!
//! Never rewrites what is forwarded: normalised forms exist only to find out whether two readings of a path disagree.

mod reading;

use std::collections::HashMap;
use std::fmt;

use super::id::Id;

/// One rule. The most specific route that matches wins: exact host, then the longest wildcard, then any host;
/// within a host the longest path; within a path, one that names methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `None` is any host.
    pub host: Option<HostPattern>,
    /// Prefix of whole segments: `/api` matches `/api` and `/api/x`, not `/apix`.
    pub path: Box<str>,
    /// Upper-case methods; empty is every method.
    pub methods: Box<[Box<str>]>,
    /// Whether a credential is needed.
    pub access: Access,
    /// Refuse credentials whose list is empty.
    pub require_access_list: bool,
    /// Organizations whose credentials may pass; `None` is all of them.
    pub organizations: Option<Box<[Id]>>,
    /// What becomes of a CORS preflight, which can carry no credential.
    pub preflight: Preflight,
    /// Protocols, in lower case, that a request may switch to after the upstream has agreed.
    pub upgrades: Box<[Box<str>]>,
    /// Position of the upstream in the settings.
    pub upstream: usize,
}

/// Whether a route needs a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A proven credential whose list admits the address.
    Required,
    /// Nothing is read and nothing is proven.
    Public,
}

/// What becomes of a CORS preflight (Fetch standard, §3.3.2) on a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preflight {
    /// It passes as a public request.
    Pass,
    /// It needs a credential like any other request.
    Require,
}

/// A lower-case host name, or everything below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// `api.example.com`, or an address literal without brackets.
    Exact(Box<str>),
    /// `*.example.com`: any number of labels below the suffix, not the suffix itself. Held with its leading dot.
    Below(Box<str>),
}

/// A text that is no host pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "host `{0}` is neither a host name without port, such as api.example.com, nor a wildcard such as *.example.com"
)]
pub struct HostFault(String);

/// The routes of one configuration.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
    exact: HashMap<Box<str>, Vec<usize>>,
    /// Longest suffix first.
    below: Vec<(Box<str>, Vec<usize>)>,
    any: Vec<usize>,
    /// Whether a path of a route has a capital.
    has_capitals: bool,
}

/// How letters of a path are compared with those of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    AsTheyAre,
    WithoutCase,
}

/// What a request selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteMatch<'t> {
    /// Every reading of the path selects this route.
    Matched(&'t Route),
    /// Every reading selects nothing.
    NotFound,
    /// Two readings select different routes.
    Ambiguous,
}

impl HostPattern {
    /// Parses `api.example.com` or `*.example.com`.
    ///
    /// # Errors
    /// [`HostFault`] for anything with a port, a scheme, blanks or a `*` elsewhere.
    pub fn parse(text: &str) -> Result<Self, HostFault> {
        let fault = || HostFault(text.chars().take(64).flat_map(char::escape_default).collect());
        let (name, wildcard) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_v6 = name.parse::<std::net::Ipv6Addr>().is_ok();
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let labels_full = name.split('.').all(|label| !label.is_empty());
        if name.is_empty() || !(is_v6 && !wildcard || name.bytes().all(legal) && labels_full) {
            return Err(fault());
        }
        let name = name.to_ascii_lowercase();
        Ok(match wildcard {
            true => Self::Below(format!(".{name}").into()),
            false => Self::Exact(name.into()),
        })
    }
}

impl fmt::Display for HostPattern {
    /// As a configuration has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(suffix) => write!(f, "*{suffix}"),
        }
    }
}

impl RouteTable {
    /// Orders the routes by how specific they are.
    pub fn new(mut routes: Vec<Route>) -> Self {
        for route in &mut routes {
            // `/api/` and `/api` are one prefix.
            let bare = route.path.trim_end_matches('/');
            route.path = if bare.is_empty() { "/".into() } else { bare.into() };
        }
        routes.sort_by_key(|route| (std::cmp::Reverse(route.path.len()), route.methods.is_empty()));
        let has_capitals = routes.iter().any(|route| holds_capital(&route.path));
        let mut table = Self { routes, has_capitals, ..Self::default() };
        for (at, route) in table.routes.iter().enumerate() {
            match &route.host {
                None => table.any.push(at),
                Some(HostPattern::Exact(name)) => table.exact.entry(name.clone()).or_default().push(at),
                Some(HostPattern::Below(suffix)) => match table.below.iter_mut().find(|(known, _)| known == suffix) {
                    Some((_, list)) => list.push(at),
                    None => table.below.push((suffix.clone(), vec![at])),
                },
            }
        }
        table.below.sort_by_key(|(suffix, _)| std::cmp::Reverse(suffix.len()));
        table
    }

    /// The routes, most specific path first.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// Selects a route for a request. `host` may carry a port; `path` is the raw path without its query.
    /// Allocates only where the path can be read in more than one way, or the host is not in lower case.
    pub fn find(&self, host: &str, method: &str, path: &str) -> RouteMatch<'_> {
        let bare = bare_host(host);
        let lowered;
        let bare = match holds_capital(bare) {
            true => {
                lowered = bare.to_ascii_lowercase();
                lowered.as_str()
            }
            false => bare,
        };
        let raw = self.select(bare, method, path, Letters::AsTheyAre);
        let found = raw.map_or(RouteMatch::NotFound, |at| RouteMatch::Matched(&self.routes[at]));
        let agrees = |reading: &str| {
            self.select(bare, method, reading, Letters::AsTheyAre) == raw
                && self.agrees_without_case(raw, bare, method, reading)
        };
        if reading::is_plain(path) {
            return if self.agrees_without_case(raw, bare, method, path) { found } else { RouteMatch::Ambiguous };
        }
        if reading::is_too_intricate(path) || !reading::all(path).all(|reading| agrees(&reading)) {
            return RouteMatch::Ambiguous;
        }
        found
    }

    /// Whether a server that takes `/Admin` for `/admin` would select the same. Where routes differ in nothing but case,
    /// whoever wrote them knows that what stands behind tells them apart.
    fn agrees_without_case(&self, raw: Option<usize>, host: &str, method: &str, path: &str) -> bool {
        // Where nothing was selected nothing is forwarded.
        if raw.is_none() || !self.has_capitals && !holds_capital(path) {
            return true;
        }
        let folded = self.select(host, method, path, Letters::WithoutCase);
        let path_of = |at: Option<usize>| at.map(|at| &*self.routes[at].path);
        folded == raw || path_of(folded).zip(path_of(raw)).is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
    }

    fn select(&self, host: &str, method: &str, path: &str, letters: Letters) -> Option<usize> {
        let first = |list: &[usize]| list.iter().copied().find(|at| self.routes[*at].admits(method, path, letters));
        self.exact
            .get(host)
            .and_then(|list| first(list))
            .or_else(|| {
                self.below.iter().filter(|(suffix, _)| is_below(host, suffix)).find_map(|(_, list)| first(list))
            })
            .or_else(|| first(&self.any))
    }
}

impl Route {
    fn admits(&self, method: &str, path: &str, letters: Letters) -> bool {
        let prefix = &*self.path;
        let begins = |start: &str| match letters {
            Letters::AsTheyAre => start == prefix,
            Letters::WithoutCase => start.eq_ignore_ascii_case(prefix),
        };
        let under = prefix == "/"
            || path
                .split_at_checked(prefix.len())
                .is_some_and(|(start, rest)| begins(start) && (rest.is_empty() || rest.starts_with('/')));
        under && (self.methods.is_empty() || self.methods.iter().any(|listed| **listed == *method))
    }

    /// The allowed protocol of this name, in any case.
    pub fn upgrade(&self, name: &[u8]) -> Option<&str> {
        let allowed = self.upgrades.iter().find(|allowed| allowed.as_bytes().eq_ignore_ascii_case(name));
        allowed.map(|allowed| &**allowed)
    }

    /// Whether credentials of the organization may pass.
    pub fn admits_organization(&self, organization: Id) -> bool {
        self.organizations.as_ref().is_none_or(|listed| listed.contains(&organization))
    }
}

fn holds_capital(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_below(host: &str, suffix: &str) -> bool {
    host.len() > suffix.len() && host.ends_with(suffix)
}

/// Without port, brackets and trailing dot.
fn bare_host(host: &str) -> &str {
    let bare = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((literal, _)) => literal,
        None => match host.rsplit_once(':') {
            Some((name, _)) if !name.contains(':') => name,
            _ => host,
        },
    };
    bare.strip_suffix('.').unwrap_or(bare)
}

#[cfg(test)]
mod tests;
