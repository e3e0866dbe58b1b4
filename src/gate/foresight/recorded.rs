//! Requests that were recorded together, as questions to the decision: on which routes and from which addresses they may have
//! come, and what is told of them where they would not all fare alike.
//!
//! A network that was recorded in place of its addresses, and a credential that was seen on too many routes, stand for requests
//! that nobody can tell apart any more. Where they passed, the worst that may become of one of them counts, else the best.

use std::net::IpAddr;

use super::Passing;
use crate::access::network::Network;
use crate::access::route::{HostPattern, Route, RouteMatch, RouteTable};
use crate::access::traffic::{ADMIN_API, ANY_ROUTE, RouteName, edges};
use crate::problem::Code;

/// What routes make of a route that was recorded.
#[derive(Debug, Clone, Copy)]
pub enum Way<'r> {
    /// This.
    One(RouteMatch<'r>),
    /// One or more of these; nobody can tell which.
    Any(&'r RouteTable),
}

impl<'r> Way<'r> {
    /// What these routes make of the text of a recorded route; `admin` stands for all of the admin API.
    pub fn recorded(text: &str, routes: &'r RouteTable, admin: &'r Route) -> Self {
        match text {
            "" => return Self::One(RouteMatch::NotFound),
            ADMIN_API => return Self::One(RouteMatch::Matched(admin)),
            ANY_ROUTE => return Self::Any(routes),
            _ => {}
        }
        if let Some(route) = routes.iter().find(|route| RouteName::Of(route).is(text)) {
            return Self::One(RouteMatch::Matched(route));
        }
        // It is there no more: another one takes what it took.
        let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let host = match HostPattern::parse(host) {
            Ok(HostPattern::Below(suffix)) => format!("any{suffix}"),
            Ok(HostPattern::Exact(_)) | Err(_) => host.to_owned(),
        };
        Self::One(routes.find(&host, "GET", path))
    }

    /// Every route that it may have been.
    pub fn matches(self) -> impl Iterator<Item = RouteMatch<'r>> {
        let (one, any) = match self {
            Self::One(one) => (Some(one), None),
            Self::Any(routes) => (None, Some(routes)),
        };
        one.into_iter().chain(any.into_iter().flat_map(RouteTable::iter).map(RouteMatch::Matched))
    }
}

/// The addresses that stand for all of a network, before lists of these networks: its own where it is of one address.
pub fn addresses(network: Network, list: impl Iterator<Item = Network>) -> Vec<IpAddr> {
    match network.is_host() {
        true => vec![network.address()],
        false => edges(network, list),
    }
}

/// What is told of requests that passed or did not, by what may become of each of them.
///
/// # Errors
/// The code that they would be refused with.
pub fn fate(passed: bool, all: impl Iterator<Item = Result<Passing, Code>>) -> Result<Passing, Code> {
    let rank = |fate: &Result<Passing, Code>| match fate {
        Ok(None) => 0,
        Ok(Some(_)) => 1,
        Err(_) => 2,
    };
    let told = if passed { all.max_by_key(rank) } else { all.min_by_key(rank) };
    // Without any route there is none.
    told.unwrap_or(Err(Code::RouteNotFound))
}

/// How requests fare otherwise than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// They would be refused with this.
    Refused(Code),
    /// They would pass, and this would be reported of them, if anything.
    Allowed(Passing),
    /// They pass as before, and this would be reported of them.
    Reported(Code),
}

/// What is told of requests that passed or did not, by what becomes of each of them now and what would become of it; `None`
/// where that is the same.
pub fn turn(passed: bool, all: impl Iterator<Item = (Result<Passing, Code>, Result<Passing, Code>)>) -> Option<Turn> {
    let (mut refused, mut allowed, mut reported) = (None, None, None);
    let (mut some_pass, mut some_are_refused) = (false, false);
    for (before, after) in all {
        match before {
            Ok(_) => some_pass = true,
            Err(_) => some_are_refused = true,
        }
        match (before, after) {
            (Ok(_), Err(code)) => refused = refused.or(Some(Turn::Refused(code))),
            (Err(_), Ok(would)) => allowed = allowed.or(Some(Turn::Allowed(would))),
            (Ok(None), Ok(Some(code))) => reported = reported.or(Some(Turn::Reported(code))),
            (Ok(_), Ok(_)) | (Err(_), Err(_)) => {}
        }
    }
    // Of those that passed none came from an address that is refused now, as long as another one is not; and the other way.
    match passed {
        true => refused.or(reported).or(allowed.filter(|_| !some_pass)),
        false => allowed.or(refused.or(reported).filter(|_| !some_are_refused)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_LISTED: Code = Code::IpAddressNotOnAccessList;

    #[track_caller]
    fn check(passed: bool, all: &[(bool, bool)], expected: Option<Turn>) {
        let fate = |passes: bool| if passes { Ok(None) } else { Err(NOT_LISTED) };
        assert_eq!(turn(passed, all.iter().map(|(before, after)| (fate(*before), fate(*after)))), expected);
    }

    #[test]
    fn what_one_of_many_may_meet_is_told_by_what_they_met() {
        let (refused, allowed) = (Some(Turn::Refused(NOT_LISTED)), Some(Turn::Allowed(None)));
        for passed in [true, false] {
            check(passed, &[], None);
            check(passed, &[(true, true), (false, false)], None);
            check(passed, &[(true, false)], refused);
            check(passed, &[(false, true)], allowed);
        }
        // Those that passed came from where they pass now.
        check(true, &[(true, true), (false, true)], None);
        check(true, &[(true, false), (false, true)], refused);
        check(false, &[(true, false), (false, false)], None);
        check(false, &[(true, false), (false, true)], allowed);
    }

    #[test]
    fn what_only_comes_to_be_reported_is_told_apart() {
        let code = Code::OrgRequiresAccessList;
        assert_eq!(turn(true, [(Ok(None), Ok(Some(code)))].into_iter()), Some(Turn::Reported(code)));
        assert_eq!(turn(true, [(Ok(Some(code)), Ok(None))].into_iter()), None);
        assert_eq!(turn(false, [(Err(code), Ok(Some(code)))].into_iter()), Some(Turn::Allowed(Some(code))));
        let some = [(Ok(None), Ok(Some(code))), (Ok(None), Err(NOT_LISTED))];
        assert_eq!(turn(true, some.into_iter()), Some(Turn::Refused(NOT_LISTED)));
    }
}
