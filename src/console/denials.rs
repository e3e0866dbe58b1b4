//! The last refused requests of an organization, live where the browser runs scripts.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use askama::Template;
use axum::response::Response;

use super::access_list;
use super::live;
use super::page::{self, Frame};
use super::visit::{Page, Visit};
use super::words;
use crate::access::credential::CredentialKind;
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::{CredentialName, OrganizationRecord};
use crate::clock::Timestamp;
use crate::control::{Control, Deed, Fault};
use crate::telemetry::access_log::ClientSource;
use crate::telemetry::refusals::Refused;

/// Lines of the tables of those that are refused most.
const TOP: usize = 5;

/// Minutes that the chart shows.
const MINUTES: u64 = 60;

pub(super) const PAGES: &[Page] = &[
    Page::get("/orgs/{org}/denials", |visit| Box::pin(list(visit))),
    Page::get("/orgs/{org}/denials/stream", |visit| Box::pin(stream(visit))),
];

#[derive(Template)]
#[template(path = "denials.html", config = "src/console/askama.toml")]
struct DenialsPage {
    frame: Frame,
    organization: OrganizationRecord,
    rows: Vec<Row>,
    latest: u64,
    credentials: Vec<(String, CredentialName, usize)>,
    addresses: Vec<(String, usize)>,
    bars: Vec<Bar>,
    most: u64,
}

#[derive(Template)]
#[template(path = "denial.html", config = "src/console/askama.toml")]
pub(super) struct Row {
    base: String,
    token: String,
    request_id: String,
    /// Where it is explained.
    why: String,
    ago: String,
    at: String,
    code: &'static str,
    passed: bool,
    revoked: bool,
    called: String,
    address: String,
    derived: String,
    asked: String,
    /// Whether putting the address on the list is what would have let it in, and the visitor may do it.
    can_be_listed: bool,
    /// Whether it is on the list by now.
    is_listed: bool,
}

/// One minute of the chart.
struct Bar {
    x: u64,
    height: u64,
    y: u64,
    says: String,
}

/// What is known of the credentials of a page, asked for once each.
pub(super) struct Names(HashMap<Id, Known>);

/// What is known of one.
#[derive(Clone)]
struct Known {
    /// Its id where it is gone.
    called: String,
    /// Whether the visitor may change it.
    may: bool,
    /// What its list admits now; `None` where that is not known.
    admits: Option<Arc<[Network]>>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    async fn of(&mut self, visit: &Watching, name: CredentialName) -> Known {
        if let Some(known) = self.0.get(&name.id) {
            return known.clone();
        }
        let place = crate::access::record::Place::Organization(visit.organization);
        let found = match name.kind {
            CredentialKind::ApiKey => visit.control.api_key(&visit.actor, place, name.id).await.map(|key| key.row.name),
            CredentialKind::ServiceAccount => {
                let client = crate::access::client_id::ClientId(name.id);
                visit.control.service_account(&visit.actor, place, client).await.map(|account| account.row.name)
            }
        };
        let called = found.unwrap_or_else(|_| name.to_string());
        let may = visit.control.may(&visit.actor, vec![Deed::Manage(name)]).await;
        let admits = access_list::admits(&visit.control, &visit.actor, visit.organization, name).await;
        let known = Known { called, may: may.is_ok_and(|may| may == [true]), admits: admits.map(Arc::from) };
        self.0.insert(name.id, known.clone());
        known
    }
}

/// Who watches what.
pub(super) struct Watching {
    pub(super) control: Arc<Control>,
    pub(super) actor: crate::control::Actor,
    pub(super) organization: Id,
    pub(super) token: String,
}

impl Watching {
    fn of(visit: &Visit, organization: Id) -> Self {
        Self {
            control: Arc::clone(&visit.control),
            actor: visit.actor.clone(),
            organization,
            token: visit.frame().token,
        }
    }

    /// A line for a refused request.
    pub(super) async fn row(&self, refused: &Refused, names: &mut Names) -> Row {
        let (kind, id) = refused.credential;
        let name = CredentialName { kind, id };
        let at = Timestamp::from_unix_seconds(i64::try_from(refused.at / 1000).unwrap_or(i64::MAX));
        let derived = match refused.source {
            ClientSource::Peer => "the connection itself".to_owned(),
            ClientSource::ProxyProtocol => "told by the PROXY protocol".to_owned(),
            ClientSource::Header => format!("told by the proxy {}", refused.peer),
        };
        let Known { called, may, admits } = names.of(self, name).await;
        let is_about_lists =
            matches!(refused.code.as_str(), "IP_ADDRESS_NOT_ON_ACCESS_LIST" | "ORG_REQUIRES_ACCESS_LIST");
        let is_listed = refused
            .client
            .zip(admits)
            .is_some_and(|(client, admits)| is_about_lists && admits.iter().any(|network| network.contains(client)));
        Row {
            base: super::credential::base(self.organization, name),
            token: self.token.clone(),
            request_id: refused.request_id.clone(),
            why: why(refused),
            ago: words::ago(at, self.control.clock().now()),
            at: at.to_string(),
            code: refused.code.as_str(),
            passed: !refused.enforced,
            revoked: refused.revoked,
            called,
            address: refused.client.map(|client| client.to_string()).unwrap_or_default(),
            derived,
            asked: format!("{} {}{}", refused.method, refused.host, refused.path),
            can_be_listed: may && is_about_lists && !is_listed,
            is_listed,
        }
    }
}

/// Where a request is explained: by its receipt where it has one, else by what is known of it here.
fn why(refused: &Refused) -> String {
    let mut query = form_urlencoded::Serializer::new(String::from("/explain?"));
    if refused.enforced && !refused.revoked {
        return query.append_pair("request", &refused.request_id).finish();
    }
    let (kind, id) = refused.credential;
    query.append_pair("address", &refused.client.map(|client| client.to_string()).unwrap_or_default());
    query.append_pair("credential", &CredentialName { kind, id }.to_string());
    let asked = [("method", &refused.method), ("host", &refused.host), ("path", &refused.path)];
    query.extend_pairs(asked).finish()
}

/// Those that occur most.
fn top<K: Eq + Hash + Ord>(all: impl Iterator<Item = K>) -> Vec<(K, usize)> {
    let mut counts: HashMap<K, usize> = HashMap::new();
    for one in all {
        *counts.entry(one).or_default() += 1;
    }
    let mut counts: Vec<(K, usize)> = counts.into_iter().collect();
    counts.sort_unstable_by(|(one, count), (other, counted)| counted.cmp(count).then_with(|| one.cmp(other)));
    counts.truncate(TOP);
    counts
}

/// How many there were in each of the last minutes.
fn bars(refused: &[Arc<Refused>], now: Timestamp) -> (Vec<Bar>, u64) {
    let this_minute = u64::try_from(now.unix_seconds()).unwrap_or_default() / 60;
    let mut counts = vec![0_u64; MINUTES as usize];
    for one in refused {
        let age = this_minute.saturating_sub(one.at / 60_000);
        if let Some(count) = counts.get_mut(usize::try_from(age).unwrap_or(usize::MAX)) {
            *count += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    let bar = |(age, count): (usize, &u64)| {
        let age = age as u64;
        let height = (count * 40).div_ceil(most.max(1));
        let says = format!("{count} refused {age} min ago");
        Bar { x: (MINUTES - 1 - age) * 10, height, y: 40 - height, says }
    };
    (counts.iter().enumerate().filter(|(_, count)| **count > 0).map(bar).collect(), most)
}

/// Whose requests are refused most, of those that are remembered.
pub(super) struct Refusers {
    pub(super) credentials: Vec<(String, CredentialName, usize)>,
    pub(super) addresses: Vec<(String, usize)>,
}

impl Refusers {
    async fn of(refused: &[Arc<Refused>], watching: &Watching, names: &mut Names) -> Self {
        let mut credentials = Vec::new();
        for (id, count) in top(refused.iter().map(|one| one.credential.1)) {
            let Some(one) = refused.iter().find(|one| one.credential.1 == id) else { continue };
            let name = CredentialName { kind: one.credential.0, id };
            credentials.push((names.of(watching, name).await.called, name, count));
        }
        let addresses = top(refused.iter().filter_map(|one| one.client));
        let addresses = addresses.into_iter().map(|(address, count)| (address.to_string(), count)).collect();
        Self { credentials, addresses }
    }
}

/// The same for another page.
pub(super) async fn refusers(visit: &Visit, organization: Id) -> Result<Refusers, Fault> {
    let refused = visit.control.refused_requests(&visit.actor, organization, 0).await?;
    Ok(Refusers::of(&refused, &Watching::of(visit, organization), &mut Names::new()).await)
}

async fn list(visit: Visit) -> Result<Response, Fault> {
    let organization = visit.organization().await?;
    let refused = visit.control.refused_requests(&visit.actor, organization.id, 0).await?;
    let watching = Watching::of(&visit, organization.id);
    let (mut names, mut rows) = (Names::new(), Vec::new());
    for one in &refused {
        rows.push(watching.row(one, &mut names).await);
    }
    let Refusers { credentials, addresses } = Refusers::of(&refused, &watching, &mut names).await;
    let (bars, most) = bars(&refused, visit.control.clock().now());
    let frame = visit.frame().titled(format!("Denials of {}", organization.name));
    let page = DenialsPage {
        frame: frame.within((&organization).into(), "Denials"),
        latest: refused.first().map_or(0, |one| one.number),
        addresses,
        organization,
        rows,
        credentials,
        bars,
        most,
    };
    Ok(page::show(200, &page))
}

async fn stream(visit: Visit) -> Result<Response, Fault> {
    let organization = visit.organization().await?.id;
    let after = visit.last_event.or(visit.query.text("after").parse().ok()).unwrap_or(u64::MAX);
    // Whoever may not look is told now, and not within the stream.
    visit.control.refused_requests(&visit.actor, organization, u64::MAX).await?;
    Ok(live::follow(Watching::of(&visit, organization), after))
}
