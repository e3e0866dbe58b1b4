//! The outcome of an explained request, what would change it, and the two forms in which it is shown.
//!
//! Never shows a secret; the words are for the operator, who may know more than the caller is told.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

use super::recording::{Line, Recording};
use crate::access::client_address::ClientAddress;
use crate::access::credential::{Credential, CredentialKind, Organization};
use crate::access::decision::{AddressFault, Denial, Grant, Reason};
use crate::access::network::Network;
use crate::access::record::CredentialName;
use crate::config::settings::{AddressHeader, Gateway};
use crate::gate::judge::{Outcome, Verdict};
use crate::gate::sanity::Insane;
use crate::problem::Code;

/// Everything that `explain` has to say. Its JSON form is an interface: members are added, never renamed.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "docs/guides/explain.md shows each member")]
pub struct Report {
    /// `allow`, `would_deny`, `deny` or `error`.
    pub outcome: &'static str,
    pub status: Option<u16>,
    pub code: Option<&'static str>,
    pub reason: Option<String>,
    pub client_address: Option<String>,
    pub client_source: &'static str,
    pub credential: Option<String>,
    pub organization: Option<String>,
    pub entry: Option<String>,
    pub upstream: Option<String>,
    pub steps: Vec<Line>,
    /// What the operator can do about it.
    pub fix: Option<String>,
    /// The command that does it, where the directory is a store.
    pub command: Option<String>,
    /// What may surprise.
    pub notes: Vec<String>,
    /// What a receipt says became of the request then.
    pub receipt: Option<Told>,
    /// The credential that was looked at, whatever became of it.
    #[serde(skip)]
    pub looked_at: Option<CredentialName>,
    /// Whether it was asked which credential the request presents: the answer tells whether there is one.
    #[serde(skip)]
    pub looked_up: bool,
    /// Whether a credential had to be proven.
    #[serde(skip)]
    pub proof_was_asked: bool,
}

/// What a receipt says.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "docs/guides/receipts.md shows each member")]
pub struct Told {
    pub created: String,
    pub revision: u64,
    pub status: u16,
    pub code: &'static str,
    pub reason: Option<&'static str>,
    pub peer_address: String,
}

/// What a permit shows, whether it can be forwarded or was only supposed.
pub(super) struct Passed<'p, 's> {
    pub grant: &'p Grant<'s>,
    pub upstream: usize,
    pub would_deny: Option<Reason>,
}

impl Report {
    /// Puts the verdict and the steps that led to it together.
    pub(super) fn new<P>(
        verdict: &Verdict<'_, P>,
        passed: impl for<'p> Fn(&'p P) -> Passed<'p, 'p>,
        recording: Recording,
        settings: &Gateway,
    ) -> Self {
        let client = verdict.derived.client.ok();
        let source = if recording.address_is_given { "given" } else { verdict.derived.source.as_str() };
        let mut report = Self::begin(source, client.map(|client| client.to_string()));
        match &verdict.outcome {
            Outcome::Allow(permit) => report.allow(&passed(permit), client, settings),
            Outcome::Deny(denial) => report.deny(denial, &recording, settings),
            Outcome::NotReady => report.code(Code::NotReady),
        }
        report.looked_at = recording.credential;
        report.looked_up = recording.looked_up;
        report.proof_was_asked = recording.claimed;
        report.steps = recording.lines;
        report
    }

    /// Of a request that is refused before anybody looks at its meaning.
    pub(super) fn insane(Insane(why): Insane, mut recording: Recording, peer: IpAddr) -> Self {
        let given = recording.address_is_given;
        let mut report = Self::begin(if given { "given" } else { "peer" }, given.then(|| peer.to_string()));
        recording.note("head", why);
        report.code(Code::MalformedRequest);
        report.reason = Some(why.to_owned());
        report.fix = Some("correct what the client sends, or what a proxy in front makes of it".to_owned());
        report.steps = recording.lines;
        report
    }

    pub(super) fn begin(client_source: &'static str, client_address: Option<String>) -> Self {
        Self {
            outcome: "error",
            status: None,
            code: None,
            reason: None,
            client_address,
            client_source,
            credential: None,
            organization: None,
            entry: None,
            upstream: None,
            steps: Vec::new(),
            fix: None,
            command: None,
            notes: Vec::new(),
            receipt: None,
            looked_at: None,
            looked_up: false,
            proof_was_asked: false,
        }
    }

    /// Takes everything away that tells whether what the request presents is a credential, and whose.
    pub fn conceal(&mut self) {
        let claimed = self.steps.iter().position(|line| line.step == "claim");
        self.steps.truncate(claimed.map_or(0, |at| at + 1));
        self.outcome = "deny";
        self.code(Code::InvalidCredentials);
        self.reason = Some("what the request presents proves no credential that you may see".to_owned());
        self.fix = Some("ask whoever owns the credential's organization to explain the request".to_owned());
        (self.credential, self.organization, self.entry, self.upstream) = (None, None, None, None);
        self.command = None;
        self.looked_at = None;
    }

    pub(super) fn code(&mut self, code: Code) {
        self.code = Some(code.as_str());
        self.status = Some(code.status());
    }

    fn allow(&mut self, passed: &Passed<'_, '_>, client: Option<ClientAddress>, settings: &Gateway) {
        self.outcome = "allow";
        self.upstream = settings.upstreams.get(passed.upstream).map(|upstream| upstream.name.to_string());
        if let Grant::Credential { credential, organization, entry } = passed.grant {
            self.credential = Some(credential.id().to_string());
            self.organization = Some(organization.id().to_string());
            self.entry = entry.map(|admitted| admitted.network.to_string());
            if let Some(reason) = passed.would_deny {
                self.outcome = "would_deny";
                self.code = Some(Code::from(reason).as_str());
                self.reason = Some(told(reason).to_owned());
                self.fix = Some(fix(reason, client, self.credential.as_deref(), settings));
                self.command = command(reason, client, (credential, organization));
            }
        }
    }

    fn deny(&mut self, denial: &Denial<'_>, recording: &Recording, settings: &Gateway) {
        self.outcome = "deny";
        self.code(Code::from(denial.reason));
        self.reason = Some(told(denial.reason).to_owned());
        if let Some((credential, organization)) = denial.credential {
            self.credential = Some(credential.id().to_string());
            self.organization = Some(organization.id().to_string());
            self.command = command(denial.reason, denial.client, (credential, organization));
        }
        self.entry.clone_from(&recording.nearest);
        self.fix = Some(fix(denial.reason, denial.client, self.credential.as_deref(), settings));
    }
}

/// Why, for the operator.
pub(super) fn told(reason: Reason) -> &'static str {
    match reason {
        Reason::ClientAddressUnresolved(fault) => fault.as_str(),
        Reason::CredentialsRequired => "the request carries no credential",
        Reason::MalformedCredentials(why)
        | Reason::AmbiguousCredentials(why)
        | Reason::InvalidCredentials(why)
        | Reason::StaleNonce(why) => why,
        Reason::IpAddressNotOnAccessList => "no unexpired entry of the credential's access list covers the address",
        Reason::OrgRequiresAccessList => "the organization requires access lists and the credential's is empty",
        Reason::ResourceRequiresAccessList => "the route requires an access list and the credential's is empty",
        Reason::OrgNotAllowedOnRoute => "the route is not for the credential's organization",
        Reason::InsufficientRole => "the credential holds the role GATEWAY, which never passes to an upstream",
        Reason::AmbiguousPath => "two readings of the path select different routes",
        Reason::RouteNotFound => "no route matches the host, the method and the path",
    }
}

/// The command that puts the address on the list, where that is what changes the outcome.
fn command(
    reason: Reason,
    client: Option<ClientAddress>,
    (credential, organization): (&Credential, &Organization),
) -> Option<String> {
    let lists = [Reason::IpAddressNotOnAccessList, Reason::OrgRequiresAccessList, Reason::ResourceRequiresAccessList];
    let address = client.filter(|_| lists.contains(&reason))?;
    let name = CredentialName { kind: credential.kind(), id: credential.id() };
    let option = match credential.kind() {
        CredentialKind::ApiKey => "--api-key",
        CredentialKind::ServiceAccount => "--service-account",
    };
    Some(format!("portcullis access-lists create --org {} {option} {name} --ip {address}", organization.id()))
}

/// What changes the outcome.
pub(super) fn fix(
    reason: Reason,
    client: Option<ClientAddress>,
    credential: Option<&str>,
    settings: &Gateway,
) -> String {
    let credential = credential.unwrap_or("the credential");
    let host = client.map_or_else(|| "the address".to_owned(), |client| Network::host(client.ip()).to_string());
    match reason {
        Reason::ClientAddressUnresolved(fault) => address_fix(fault, settings),
        Reason::CredentialsRequired => format!("send a credential: {}", carriers(settings)),
        Reason::MalformedCredentials(_) => {
            "correct what the client sends; a key has 16 to 512 visible ASCII characters".into()
        }
        Reason::AmbiguousCredentials(_) => "make the client send one credential in one header".into(),
        Reason::InvalidCredentials(_) => {
            "give the client a credential of this directory that is enabled and has not expired".into()
        }
        Reason::StaleNonce(_) => {
            "let the client try again with the nonce of this answer; clients of Digest do so themselves".into()
        }
        Reason::IpAddressNotOnAccessList => {
            format!("add {host}, or a network that covers it, to the access list of {credential}")
        }
        Reason::OrgRequiresAccessList | Reason::ResourceRequiresAccessList => {
            format!("give {credential} an access list; {host} would admit this client")
        }
        Reason::OrgNotAllowedOnRoute => {
            "add the organization to `organizations` of the route, or use a credential of another".into()
        }
        Reason::InsufficientRole => "use a credential without the role GATEWAY".into(),
        Reason::AmbiguousPath => "make the client send the path in its normalised form".into(),
        Reason::RouteNotFound => "add a route to `gateway.routes`, or correct host, method or path".into(),
    }
}

fn address_fix(fault: AddressFault, settings: &Gateway) -> String {
    let header = header_name(settings);
    match fault {
        AddressFault::AllTrusted => {
            "narrow `gateway.client_address.trusted_proxies` to the proxies, or set `hops` to their number".into()
        }
        AddressFault::Repeated => format!("make the proxy overwrite `{header}` instead of adding to it"),
        AddressFault::Missing => format!("make the proxy set `{header}` on every request"),
        AddressFault::NotAnAddress | AddressFault::Empty | AddressFault::TooLong => {
            format!("make the proxy write the client's plain IP address into `{header}`")
        }
    }
}

pub(super) fn header_name(settings: &Gateway) -> &str {
    match &settings.client_address.header {
        AddressHeader::XForwardedFor => "x-forwarded-for",
        AddressHeader::Forwarded => "forwarded",
        AddressHeader::Single(name) => name.as_str(),
    }
}

fn carriers(settings: &Gateway) -> String {
    let credentials = &settings.credentials;
    let headers = credentials.headers.iter().map(|name| format!("a key in `{name}`"));
    let basic = credentials.basic.then(|| "`Authorization: Basic`".to_owned());
    let digest = credentials.digest.as_ref().map(|_| "`Authorization: Digest`".to_owned());
    let bearer = credentials.bearer.then(|| "`Authorization: Bearer`".to_owned());
    let certificate = credentials.client_certificates.then(|| "a client certificate".to_owned());
    headers.chain(basic).chain(digest).chain(bearer).chain(certificate).collect::<Vec<_>>().join(", or ")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line { step, found } in &self.steps {
            writeln!(f, "{step:<15} {found}")?;
        }
        let status = self.status.map(|status| format!(" {status}")).unwrap_or_default();
        let code = self.code.map(|code| format!(" {code}")).unwrap_or_default();
        writeln!(f, "{:<15} {}{status}{code}", "outcome", self.outcome)?;
        let rest =
            [("reason", &self.reason), ("upstream", &self.upstream), ("fix", &self.fix), ("command", &self.command)];
        for (name, text) in rest.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
            writeln!(f, "{name:<15} {text}")?;
        }
        for note in &self.notes {
            writeln!(f, "{:<15} {note}", "note")?;
        }
        Ok(())
    }
}
