//! The decision table of decision.md §2, row by row, and what is told about each outcome.

use super::*;
use crate::access::credential::Grants;
use crate::access::route::{Preflight, RouteTable};
use crate::access::snapshot::tests::{credential, fingerprint, id, organization};
use crate::access::snapshot::{CredentialSpec, Draft, EntrySpec, Revoked, Target};
use crate::access::token_id::TokenId;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);

/// What differs from the ordinary: one proven key `1` of organization 1 with the list 10.0.0.0/8, at 10.0.0.1, on a route
/// that admits everybody.
struct Case {
    mode: AccessListMode,
    list: &'static [&'static str],
    spec: fn(&mut CredentialSpec),
    route: fn(&mut Route),
    matched: fn(&RouteTable) -> RouteMatch<'_>,
    client: Result<&'static str, AddressFault>,
    proof: Proof<'static>,
    preflight: bool,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            mode: AccessListMode::Off,
            list: &["10.0.0.0/8"],
            spec: |_| {},
            route: |_| {},
            matched: |table| table.find("h", "GET", "/"),
            client: Ok("10.0.0.1"),
            proof: Proof::Key(fingerprint(1)),
            preflight: false,
        }
    }
}

/// What a permit says: whether it names a credential, the entry, and what would have denied.
type Passed = (bool, Option<String>, Option<Reason>);

fn ordinary() -> Route {
    Route {
        host: None,
        path: "/".into(),
        methods: Box::default(),
        access: Access::Required,
        require_access_list: false,
        organizations: None,
        preflight: Preflight::Require,
        upgrades: Box::default(),
        upstream: 7,
    }
}

fn decide(case: &Case) -> Result<Passed, (Reason, bool)> {
    let mut draft = Draft::new();
    draft.organization(organization(1, case.mode)).unwrap();
    let mut spec = credential(21, 1, &[1], case.list);
    (case.spec)(&mut spec);
    draft.credential(spec).unwrap();
    let snapshot = draft.finish(1);
    let mut route = ordinary();
    (case.route)(&mut route);
    let table = RouteTable::new(vec![route]);
    let question = Question {
        snapshot: &snapshot,
        client: case.client.map(|text| ClientAddress::new(text.parse().unwrap())),
        route: (case.matched)(&table),
        preflight: case.preflight,
        proof: case.proof,
        now: NOW,
    };
    match authorize(&question, &mut NoTrace) {
        Ok(permit) => {
            let (named, entry) = match permit.grant() {
                Grant::Public => (false, None),
                Grant::Credential { entry, .. } => (true, entry.map(|entry| entry.network.to_string())),
            };
            assert_eq!(Ok(permit.client()), question.client);
            Ok((named, entry, permit.would_deny()))
        }
        Err(denial) => Err((denial.reason, denial.credential.is_some())),
    }
}

#[track_caller]
fn allows(case: Case, entry: Option<&str>, would_deny: Option<Reason>) {
    assert_eq!(decide(&case), Ok((true, entry.map(str::to_owned), would_deny)));
}

#[track_caller]
fn denies(case: Case, reason: Reason, named: bool) {
    assert_eq!(decide(&case), Err((reason, named)));
}

use AccessListMode::{Off, Report, Required};
use Reason::*;

const ELSEWHERE: Result<&str, AddressFault> = Ok("192.0.2.1");

#[test]
fn the_table_of_the_contract() {
    allows(Case { list: &[], ..Case::default() }, None, None);
    denies(
        Case { list: &[], route: |route| route.require_access_list = true, ..Case::default() },
        ResourceRequiresAccessList,
        true,
    );
    for mode in [Off, Report, Required] {
        allows(Case { mode, ..Case::default() }, Some("10.0.0.0/8"), None);
        denies(Case { mode, client: ELSEWHERE, ..Case::default() }, IpAddressNotOnAccessList, true);
    }
    denies(Case { mode: Required, list: &[], ..Case::default() }, OrgRequiresAccessList, true);
    denies(
        Case { mode: Required, list: &[], route: |route| route.require_access_list = true, ..Case::default() },
        OrgRequiresAccessList,
        true,
    );
}

#[test]
fn report_lets_pass_and_tells_and_never_loosens() {
    allows(Case { mode: Report, list: &[], ..Case::default() }, None, Some(OrgRequiresAccessList));
    denies(
        Case { mode: Report, list: &[], route: |route| route.require_access_list = true, ..Case::default() },
        ResourceRequiresAccessList,
        true,
    );
    let report: fn(&mut CredentialSpec) = |spec| spec.enforcement = Enforcement::Report;
    allows(Case { spec: report, client: ELSEWHERE, ..Case::default() }, None, Some(IpAddressNotOnAccessList));
    allows(Case { spec: report, ..Case::default() }, Some("10.0.0.0/8"), None);
    denies(Case { spec: report, mode: Required, list: &[], ..Case::default() }, OrgRequiresAccessList, true);
    denies(
        Case { spec: report, proof: Proof::Key(fingerprint(2)), ..Case::default() },
        InvalidCredentials("no credential has this secret, token subject or certificate"),
        false,
    );
}

#[test]
fn a_list_whose_entries_have_all_expired_denies() {
    let expired: fn(&mut CredentialSpec) = |spec| {
        spec.access_list = vec![EntrySpec { target: Target::Network("10.0.0.0/8".parse().unwrap()), expires_at: NOW }];
    };
    denies(Case { spec: expired, ..Case::default() }, IpAddressNotOnAccessList, true);
}

#[test]
fn each_step_comes_before_the_next() {
    let unresolved = AddressFault::NotAnAddress;
    // Everything is wrong; the outcome moves on as one step after the other is put right.
    let worst = || Case {
        client: Err(unresolved),
        proof: Proof::Absent,
        spec: |spec| {
            spec.enabled = false;
            spec.grants = Grants { gateway: true, ..Grants::default() };
        },
        route: |route| route.organizations = Some([id(9)].into()),
        matched: |_| RouteMatch::NotFound,
        ..Case::default()
    };
    denies(worst(), ClientAddressUnresolved(unresolved), false);
    let case = || Case { client: ELSEWHERE, ..worst() };
    denies(case(), CredentialsRequired, false);
    denies(Case { proof: Proof::Malformed("m"), ..case() }, MalformedCredentials("m"), false);
    denies(Case { proof: Proof::Ambiguous("a"), ..case() }, AmbiguousCredentials("a"), false);
    denies(Case { proof: Proof::Refused("r"), ..case() }, InvalidCredentials("r"), false);
    denies(Case { proof: Proof::Stale("s"), ..case() }, StaleNonce("s"), false);
    let case = || Case { proof: Proof::Key(fingerprint(1)), ..case() };
    denies(case(), InvalidCredentials("the credential is disabled"), true);
    let case = || Case {
        spec: |spec| {
            spec.expires_at = NOW;
            spec.grants = Grants { gateway: true, ..Grants::default() };
        },
        ..case()
    };
    denies(case(), InvalidCredentials("the credential has expired"), true);
    let case = || Case { spec: |spec| spec.grants = Grants { gateway: true, ..Grants::default() }, ..case() };
    denies(case(), IpAddressNotOnAccessList, true);
    let case = || Case { client: Ok("10.0.0.1"), ..case() };
    denies(case(), InsufficientRole, true);
    let case = || Case { spec: |_| {}, ..case() };
    denies(Case { matched: |table| table.find("h", "GET", "/"), ..case() }, OrgNotAllowedOnRoute, true);
    denies(case(), RouteNotFound, true);
    denies(Case { matched: |_| RouteMatch::Ambiguous, ..case() }, AmbiguousPath, true);
    allows(Case { matched: |table| table.find("h", "GET", "/"), route: |_| {}, ..case() }, Some("10.0.0.0/8"), None);
}

#[test]
fn a_route_that_is_not_known_needs_a_credential() {
    for matched in [(|_| RouteMatch::NotFound) as fn(&RouteTable) -> RouteMatch<'_>, |_| RouteMatch::Ambiguous] {
        denies(
            Case { matched, proof: Proof::Absent, route: |route| route.access = Access::Public, ..Case::default() },
            CredentialsRequired,
            false,
        );
    }
}

#[test]
fn public_routes_and_preflights_prove_nothing() {
    let public: fn(&mut Route) = |route| route.access = Access::Public;
    assert_eq!(
        decide(&Case { route: public, proof: Proof::Malformed("m"), ..Case::default() }),
        Ok((false, None, None))
    );
    denies(
        Case { route: public, client: Err(AddressFault::Empty), ..Case::default() },
        ClientAddressUnresolved(AddressFault::Empty),
        false,
    );
    let pass: fn(&mut Route) = |route| route.preflight = Preflight::Pass;
    let case = |preflight| Case { route: pass, preflight, proof: Proof::Absent, ..Case::default() };
    assert_eq!(decide(&case(true)), Ok((false, None, None)));
    denies(case(false), CredentialsRequired, false);
    denies(Case { preflight: true, proof: Proof::Absent, ..Case::default() }, CredentialsRequired, false);
}

#[test]
fn a_token_is_good_for_its_issuers_organizations_only() {
    static THIS: [Id; 1] = [Id::from_bytes([0x5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])];
    static OTHER: [Id; 1] = [Id::from_bytes([0x5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2])];
    let proof = |organizations| Proof::Subject { fingerprint: fingerprint(1), organizations };
    allows(Case { proof: proof(&THIS), ..Case::default() }, Some("10.0.0.0/8"), None);
    denies(
        Case { proof: proof(&OTHER), ..Case::default() },
        InvalidCredentials("the token's issuer is not for the credential's organization"),
        true,
    );
}

/// A revoked token is refused whatever else is in order, until its own end.
#[test]
fn a_revoked_token_proves_nothing() {
    let mut draft = Draft::new();
    draft.organization(organization(1, Off)).unwrap();
    draft.credential(credential(21, 1, &[1], &[])).unwrap();
    let at = |second| Timestamp::from_unix_seconds(second);
    let (revoked, other) = (TokenId([1; 16]), TokenId([2; 16]));
    let tokens = |draft: &mut Draft, tokens: &[(TokenId, Timestamp)], now| {
        draft.revoke(Revoked { tokens: tokens.to_vec(), now });
        let snapshot = draft.finish(1);
        [revoked, other].map(|id| {
            let table = RouteTable::new(vec![ordinary()]);
            let question = Question {
                snapshot: &snapshot,
                client: Ok(ClientAddress::new("10.0.0.1".parse().unwrap())),
                route: table.find("h", "GET", "/"),
                preflight: false,
                proof: Proof::Token { fingerprint: fingerprint(1), id },
                now,
            };
            authorize(&question, &mut NoTrace).map(drop).map_err(|denial| denial.reason)
        })
    };
    let refused = Err(InvalidCredentials("the token was revoked"));
    assert_eq!(tokens(&mut draft, &[(revoked, at(2_000))], at(1_000)), [refused, Ok(())]);
    // One more, and those that have ended by themselves are forgotten: no token is good by then.
    assert_eq!(tokens(&mut draft, &[(other, at(3_000))], at(1_999)), [refused, refused]);
    assert_eq!(tokens(&mut draft, &[], at(2_000)), [Ok(()), refused]);
}

#[test]
fn a_supposed_credential_is_decided_by_the_same_code() {
    let mut draft = Draft::new();
    draft.organization(organization(1, Required)).unwrap();
    draft.credential(credential(21, 1, &[1], &["set:office"])).unwrap();
    let snapshot = draft.finish(1);
    let table = RouteTable::default();
    let question = |address: &str| Question {
        snapshot: &snapshot,
        client: Ok(ClientAddress::new(address.parse().unwrap())),
        route: table.find("h", "GET", "/"),
        preflight: false,
        proof: Proof::Absent,
        now: NOW,
    };
    let reason = |question: &Question<'_>, number| suppose(question, id(number), &mut NoTrace).unwrap_err().reason;
    assert_eq!(reason(&question("10.0.0.1"), 21), IpAddressNotOnAccessList);
    assert_eq!(reason(&question("198.51.100.1"), 21), RouteNotFound);
    assert_eq!(reason(&question("198.51.100.1"), 22), InvalidCredentials("no credential has this id"));
    let routes = RouteTable::new(vec![ordinary()]);
    let mut draft = Draft::new();
    draft.organization(organization(1, Report)).unwrap();
    draft.credential(credential(21, 1, &[1], &[])).unwrap();
    let snapshot = draft.finish(2);
    let question = Question { snapshot: &snapshot, route: routes.find("h", "GET", "/"), ..question("10.0.0.1") };
    let supposed = suppose(&question, id(21), &mut NoTrace).unwrap();
    assert_eq!((supposed.would_deny(), supposed.route().upstream), (Some(OrgRequiresAccessList), 7));
    assert!(matches!(supposed.grant(), Grant::Credential { credential, .. } if credential.id() == id(21)));
}

#[test]
fn each_fault_of_an_address_says_what_the_proxy_did() {
    for (fault, said) in [
        (AddressFault::NotAnAddress, "is not an address"),
        (AddressFault::Empty, "is empty"),
        (AddressFault::AllTrusted, "set `hops`"),
        (AddressFault::Repeated, "is repeated"),
        (AddressFault::Missing, "did not send"),
        (AddressFault::TooLong, "more hops or bytes"),
    ] {
        assert!(fault.as_str().contains(said), "{fault:?}");
    }
}
