//! `gateway.routes`: which host, path and method goes to which upstream.
//! Never reorders what it judges; `access::route` ranks routes afterwards.

use std::collections::HashMap;

use super::{Resolve, step};
use crate::access::route::{Access, HostPattern, Preflight, Route, RouteTable};
use crate::config::document::{Finding, Path, path};
use crate::config::raw;

/// What a route may switch to unless it says something else.
const WEBSOCKET: &str = "websocket";

impl Resolve<'_> {
    pub(super) fn routes(&mut self, raw: Option<&[raw::Route]>, upstreams: &[String]) -> RouteTable {
        let at = path!["gateway", "routes"];
        match (raw, upstreams) {
            (Some([]), _) => {
                self.error(
                    at,
                    "`routes` is empty, so that nothing would be forwarded; name a route or take `routes` out",
                );
                RouteTable::default()
            }
            (Some(listed), _) => {
                let made = listed.iter().enumerate().map(|(index, one)| self.route(&step(&at, index), one, upstreams));
                let made: Vec<Option<Route>> = made.collect();
                self.refuse_equal(&at, &made);
                RouteTable::new(made.into_iter().flatten().collect())
            }
            (None, [_]) => RouteTable::new(vec![Route {
                host: None,
                path: "/".into(),
                methods: Box::default(),
                access: Access::Required,
                require_access_list: false,
                organizations: None,
                preflight: Preflight::Require,
                upgrades: [WEBSOCKET.into()].into(),
                upstream: 0,
            }]),
            (None, _) if self.lost(&at) || self.lost(&path!["gateway", "upstreams"]) => RouteTable::default(),
            (None, _) => {
                let message = "there are several upstreams and no routes; say in `routes` what goes where";
                self.findings.push(Finding::error(path!["gateway", "upstreams"], message).at_key());
                RouteTable::default()
            }
        }
    }

    /// Position of the upstream that a route names, or of the only one.
    fn upstream_of(&mut self, at: &Path, named: Option<&raw::Word>, upstreams: &[String]) -> Option<usize> {
        let found = match named {
            Some(named) => upstreams.iter().position(|name| *name == named.0),
            None => (upstreams.len() == 1).then_some(0),
        };
        if found.is_none() && !self.lost(&path!["gateway", "upstreams"]) && !self.lost(&step(at, "upstream")) {
            let known = upstreams.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            match named {
                Some(named) => {
                    self.error(step(at, "upstream"), format!("there is no upstream `{}`; there is {known}", named.0));
                }
                None => self.error(at.clone(), format!("the route names no `upstream`; there is {known}")),
            }
        }
        found
    }

    fn route(&mut self, at: &Path, raw: &raw::Route, upstreams: &[String]) -> Option<Route> {
        let host = match &raw.host {
            None => Some(None),
            Some(text) => self.parsed(step(at, "host"), HostPattern::parse(text)).map(Some),
        };
        let path = raw.path.as_deref().unwrap_or("/");
        let path = self.parsed(step(at, "path"), prefix(path));
        let methods = self.methods(&step(at, "methods"), raw.methods.as_deref());
        let organizations = raw.organizations.as_ref().map(|listed| {
            let place = step(at, "organizations");
            if listed.is_empty() {
                self.error(
                    place.clone(),
                    "`organizations` is empty, so that nobody may pass; name some or take it out",
                );
            }
            self.ids(&place, listed).into_boxed_slice()
        });
        let access = match raw.access {
            Some(raw::Access::Public) => Access::Public,
            Some(raw::Access::Required) | None => Access::Required,
        };
        if access == Access::Public {
            for (key, given) in
                [("require_access_list", raw.require_access_list), ("organizations", raw.organizations.is_some())]
            {
                if given {
                    let message = format!(
                        "`{key}` has no meaning on a public route, which reads no credential; take one of both out"
                    );
                    self.findings.push(Finding::error(step(at, key), message).at_key());
                }
            }
        }
        let preflight = match raw.preflight {
            Some(raw::Preflight::Pass) => Preflight::Pass,
            Some(raw::Preflight::Require) | None => Preflight::Require,
        };
        let upgrades = self.upgrades(&step(at, "upgrades"), raw.upgrades.as_deref());
        let upstream = self.upstream_of(at, raw.upstream.as_ref(), upstreams);
        Some(Route {
            host: host?,
            path: path?,
            methods: methods?,
            access,
            require_access_list: raw.require_access_list,
            organizations,
            preflight,
            upgrades: upgrades?,
            upstream: upstream?,
        })
    }

    /// Protocols that requests may switch to. HTTP itself is none of them: what is spoken in a tunnel is neither judged nor
    /// framed here, and more requests inside of one would be (threats.md F3).
    fn upgrades(&mut self, at: &Path, raw: Option<&[raw::Word]>) -> Option<Box<[Box<str>]>> {
        let Some(raw) = raw else {
            return Some([WEBSOCKET.into()].into());
        };
        let mut upgrades: Vec<Box<str>> = Vec::new();
        for (index, word) in raw.iter().enumerate() {
            let text = word.0.as_str();
            let lower = text.to_ascii_lowercase();
            let name = lower.split('/').next().unwrap_or_default();
            let is_http = matches!(name, "h2c" | "h2" | "h3" | "http" | "https" | "tls");
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/+".contains(&byte);
            let fault = if text.is_empty() || text.len() > 64 || !text.bytes().all(is_token) {
                let shown: String = text.chars().take(64).flat_map(char::escape_default).collect();
                Some(format!("`{shown}` is not the name of a protocol, such as `{WEBSOCKET}`"))
            } else if is_http {
                Some(format!(
                    "a switch to `{text}` is never allowed: requests inside of it would pass without a decision; take it out"
                ))
            } else if upgrades.iter().any(|known| **known == *lower) {
                Some(format!("protocol `{text}` is listed twice; keep one"))
            } else {
                None
            };
            match fault {
                Some(fault) => self.error(step(at, index), fault),
                None => upgrades.push(lower.into()),
            }
        }
        Some(upgrades.into())
    }

    fn methods(&mut self, at: &Path, raw: Option<&[raw::Word]>) -> Option<Box<[Box<str>]>> {
        let Some(raw) = raw else {
            return Some(Box::default());
        };
        if raw.is_empty() {
            self.error(
                at.clone(),
                "`methods` is empty, so that the route would match nothing; name some or take it out",
            );
        }
        let mut methods: Vec<Box<str>> = Vec::new();
        for (index, word) in raw.iter().enumerate() {
            let text = word.0.as_str();
            let upper = text.to_ascii_uppercase();
            let fault = if upper != text {
                Some(format!("method `{text}` is not in capitals; write `{upper}`"))
            } else if http::Method::from_bytes(text.as_bytes()).is_err() || text == "CONNECT" {
                Some(format!("method `{text}` can't be routed"))
            } else if methods.iter().any(|known| **known == *text) {
                Some(format!("method `{text}` is listed twice; keep one"))
            } else {
                None
            };
            match fault {
                Some(fault) => self.error(step(at, index), fault),
                None => methods.push(text.into()),
            }
        }
        Some(methods.into())
    }

    /// Two routes that would match one request with the same claim to it.
    fn refuse_equal(&mut self, at: &Path, routes: &[Option<Route>]) {
        let every: [Box<str>; 1] = ["*".into()];
        let mut seen: HashMap<(String, &str, &str), usize> = HashMap::new();
        for (index, route) in routes.iter().enumerate().filter_map(|(index, route)| Some((index, route.as_ref()?))) {
            let path = match route.path.trim_end_matches('/') {
                "" => "/",
                bare => bare,
            };
            let methods: &[Box<str>] = if route.methods.is_empty() { &every } else { &route.methods };
            if ["host", "path", "methods"].iter().any(|key| self.lost(&step(&step(at, index), *key))) {
                continue;
            }
            let clash = methods.iter().find_map(|method| {
                let first = *seen.entry((format!("{:?}", route.host), path, method)).or_insert(index);
                (first != index).then_some((first, method))
            });
            if let Some((first, method)) = clash {
                let methods = if **method == *"*" { String::new() } else { format!(" for `{method}`") };
                let message = format!("another route has the same host and path `{path}`{methods}; keep one");
                let finding = Finding::error(step(at, index), message);
                self.findings.push(finding.with_related(step(at, first), "the other is here"));
            }
        }
    }
}

fn prefix(text: &str) -> Result<Box<str>, String> {
    let shown: String = text.chars().take(80).flat_map(char::escape_default).collect();
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    let twofold = text.contains("//") || text.contains(['\\', '%', ';', '*', '?', '#']);
    let dots = text.split('/').any(|segment| matches!(segment, "." | ".."));
    if !text.starts_with('/') {
        return Err(format!("path `{shown}` does not begin with `/`; write `/{shown}`"));
    }
    if !visible || twofold || dots {
        let message = "is a prefix of plain segments only: no `//`, `.`, `..`, `%`, `;`, `\\`, `*`, `?` and `#`";
        return Err(format!("path `{shown}` {message}").replace("is a prefix", "has to be a prefix"));
    }
    Ok(text.into())
}
