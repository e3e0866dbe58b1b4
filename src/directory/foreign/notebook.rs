//! What was learned from another program's files: keys, where each may be used, and what has no equal. Becomes a directory.
//!
//! Never admits more than the other program did: a key whose addresses differ from route to route gets those that all of them
//! admit, and one that may be used on some routes alone is disabled unless these are told apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Effect, Moved, Notice, Wishes};
use crate::access::id::Id;
use crate::access::network::{Network, NetworkFault, Networks};
use crate::access::role::Role;
use crate::config::diagnostic::Place;
use crate::directory::export;
use crate::directory::ranges::Addresses;

/// Where a key may be used on one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reach {
    /// No more than the other program admits.
    pub(super) addresses: Addresses,
    /// The other program may admit more.
    pub(super) is_doubtful: bool,
}

impl Reach {
    /// From anywhere.
    pub(super) fn anywhere() -> Self {
        Self::only(Addresses::all())
    }

    /// From exactly these addresses.
    pub(super) fn only(addresses: Addresses) -> Self {
        Self { addresses, is_doubtful: false }
    }

    /// From nowhere.
    pub(super) fn nowhere() -> Self {
        Self::only(Addresses::default())
    }

    /// From nowhere, because nobody can tell what the other program does.
    pub(super) fn unknown() -> Self {
        Self { is_doubtful: true, ..Self::nowhere() }
    }

    /// What two restrictions admit together.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self { addresses: self.addresses.and(&other.addresses), is_doubtful: self.is_doubtful || other.is_doubtful }
    }
}

/// A key of the other program.
struct Key {
    name: String,
    place: Place,
    sha256: String,
    public_key: Option<String>,
    roles: BTreeSet<String>,
    is_enabled: bool,
    expires_at: Option<String>,
    /// By the position of the route.
    reach: Vec<Reach>,
}

/// A key by its position.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyAt(usize);

/// Everything that was learned.
pub(super) struct Notebook<'w> {
    wishes: &'w Wishes<'w>,
    routes: Vec<String>,
    keys: Vec<Key>,
    by_hash: HashMap<String, usize>,
    notices: Vec<Notice>,
    headers: BTreeSet<String>,
}

impl<'w> Notebook<'w> {
    pub(super) fn new(wishes: &'w Wishes<'w>) -> Self {
        Self {
            wishes,
            routes: Vec::new(),
            keys: Vec::new(),
            by_hash: HashMap::new(),
            notices: Vec::new(),
            headers: BTreeSet::new(),
        }
    }

    /// What was asked for.
    pub(super) fn wishes(&self) -> &'w Wishes<'w> {
        self.wishes
    }

    /// Something that has no equal, with what becomes of it.
    pub(super) fn notice(&mut self, place: &Place, effect: Effect, message: impl Into<String>) {
        self.notices.push(Notice { place: place.clone(), effect, message: message.into() });
    }

    /// A header that keys come in.
    pub(super) fn header(&mut self, name: &str) {
        self.headers.insert(name.to_ascii_lowercase());
    }

    /// Whether a route is among those that are asked for, and its position where it is.
    pub(super) fn route(&mut self, name: &str) -> Option<usize> {
        let wanted = &self.wishes.routes;
        if !wanted.is_empty() && !wanted.iter().any(|one| one == name) {
            return None;
        }
        self.routes.push(name.to_owned());
        Some(self.routes.len() - 1)
    }

    /// The names of the routes so far.
    pub(super) fn routes(&self) -> &[String] {
        &self.routes
    }

    /// A key in clear, which is hashed here and not kept. One that can't be taken is told, and there is none then.
    pub(super) fn key(&mut self, name: &str, place: &Place, secret: &str) -> Option<KeyAt> {
        let shown = shown(name);
        if is_placeholder(secret) {
            let message = format!("the key of `{shown}` is a placeholder; give a file in which the key itself stands");
            self.notice(place, Effect::LeftOut, message);
            return None;
        }
        let hashed = match (self.wishes.hash)(secret) {
            Ok(hashed) => hashed,
            Err(fault) => {
                self.notice(place, Effect::LeftOut, format!("the key of `{shown}`: {fault}"));
                return None;
            }
        };
        if let Some(first) = self.by_hash.get(&hashed.secret_sha256).copied() {
            // Nobody can say whose restrictions hold.
            self.keys[first].is_enabled = false;
            let first = &self.keys[first];
            let line = first.place.line;
            let message = format!(
                "the key of `{shown}` is that of `{}` in line {line} too; neither can be told apart, and it is imported disabled",
                first.name
            );
            self.notice(place, Effect::Disabled, message);
            return None;
        }
        self.by_hash.insert(hashed.secret_sha256.clone(), self.keys.len());
        self.keys.push(Key {
            name: shown,
            place: place.clone(),
            sha256: hashed.secret_sha256,
            public_key: hashed.public_key,
            roles: BTreeSet::new(),
            is_enabled: true,
            expires_at: None,
            reach: Vec::new(),
        });
        Some(KeyAt(self.keys.len() - 1))
    }

    /// Passes a group on as a role of the application's own.
    pub(super) fn role(&mut self, key: KeyAt, place: &Place, group: &str) {
        let role = format!("app:{group}");
        match Role::on_organization(&role) {
            Some(_) => {
                self.keys[key.0].roles.insert(role);
            }
            None => {
                let message = format!(
                    "group `{}` can't be a role, which is `app:` and 1 to 64 letters, digits, `_`, `.` and `-`",
                    shown(group)
                );
                self.notice(place, Effect::LeftOut, message);
            }
        }
    }

    /// When a key stops working.
    pub(super) fn expires(&mut self, key: KeyAt, at: String) {
        self.keys[key.0].expires_at = Some(at);
    }

    /// Switches a key off.
    pub(super) fn disable(&mut self, key: KeyAt) {
        self.keys[key.0].is_enabled = false;
    }

    /// Where a key may be used on the next route; said for each route in their order.
    pub(super) fn reach(&mut self, key: KeyAt, reach: Reach) {
        self.keys[key.0].reach.push(reach);
    }

    /// Everything as a directory.
    pub(super) fn finish(mut self) -> Moved {
        let mut organizations: BTreeMap<Vec<usize>, Vec<Written>> = BTreeMap::new();
        let all: Vec<usize> = (0..self.routes.len()).collect();
        for key in std::mem::take(&mut self.keys) {
            let (open, list) = self.judged(&key);
            let group = if self.wishes.split && list.is_some() { open } else { all.clone() };
            organizations.entry(group).or_default().push(Written { key, list });
        }
        let longest = organizations.values().flatten().map(Written::entries).max().unwrap_or(0);
        let mut moved = Moved { headers: self.headers.into_iter().collect(), ..Moved::default() };
        if longest > 200 {
            export::line(&mut moved.text, "limits", &json!({"entries_per_list": longest}));
        }
        moved.text.push_str(if organizations.is_empty() { "organizations: []\n" } else { "organizations:\n" });
        for (routes, keys) in organizations {
            let is_whole = routes == all;
            let names: Vec<String> = routes.iter().map(|at| self.routes[*at].clone()).collect();
            let name = match is_whole {
                true => self.wishes.organization.clone(),
                false => clipped(&format!("{}: {}", self.wishes.organization, names.join(", ")), 64),
            };
            moved.organization(&name, if is_whole { Vec::new() } else { names }, &keys);
        }
        self.notices.sort_by(|a, b| a.place.cmp(&b.place).then_with(|| a.message.cmp(&b.message)));
        self.notices.dedup();
        moved.notices = self.notices;
        moved
    }

    /// The routes that a key may be used on, and its list; no list where it is disabled.
    fn judged(&mut self, key: &Key) -> (Vec<usize>, Option<Addresses>) {
        let name = &key.name;
        let open: Vec<usize> = (0..key.reach.len()).filter(|at| !key.reach[*at].addresses.is_empty()).collect();
        let closed: Vec<usize> = (0..key.reach.len()).filter(|at| key.reach[*at].addresses.is_empty()).collect();
        let named = |routes: &[usize]| {
            let shown: Vec<String> = routes.iter().take(3).map(|at| format!("`{}`", self.routes[*at])).collect();
            let more = if routes.len() > 3 { format!(" and {} more", routes.len() - 3) } else { String::new() };
            shown.join(", ") + &more
        };
        if !key.is_enabled {
            return (open, None);
        }
        if key.reach.is_empty() {
            let message = format!("`{name}` is imported disabled: no route of these files asks for a key");
            self.notice(&key.place, Effect::Disabled, message);
            return (open, None);
        }
        if open.is_empty() {
            if key.reach.iter().any(|one| one.is_doubtful) {
                let message = format!(
                    "`{name}` is imported disabled: what is listed here restricts it in a way that a list has no equal for"
                );
                self.notice(&key.place.clone(), Effect::Disabled, message);
            }
            return (open, None);
        }
        if !closed.is_empty() && !self.wishes.split {
            let message = format!(
                "`{name}` is imported disabled: it may be used on {} and not on {}, and a list holds for every route; `--split` makes an organization for each group of routes, `--route` leaves routes out",
                named(&open),
                named(&closed),
            );
            self.notice(&key.place.clone(), Effect::Disabled, message);
            return (open, None);
        }
        let first = &key.reach[open[0]].addresses;
        let list = open.iter().fold(first.clone(), |list, at| list.and(&key.reach[*at].addresses));
        if list.is_empty() {
            let message = format!("`{name}` is imported disabled: no address may use it on all of {}", named(&open));
            self.notice(&key.place.clone(), Effect::Disabled, message);
            return (open, None);
        }
        if open.iter().any(|at| key.reach[*at].addresses != list) {
            let message = format!(
                "`{name}` may be used from other addresses on each of {}; it is imported with those that all of them admit",
                named(&open)
            );
            self.notice(&key.place.clone(), Effect::Narrower, message);
        }
        if list.networks().len() > 100_000 {
            let message = format!("`{name}` is imported disabled: its list would have more than 100000 networks");
            self.notice(&key.place.clone(), Effect::Disabled, message);
            return (open, None);
        }
        (open, Some(list))
    }
}

/// A key as it is written.
pub(super) struct Written {
    key: Key,
    /// None where it is disabled.
    list: Option<Addresses>,
}

impl Written {
    /// None where every address may use it, which an empty list says.
    fn networks(&self) -> Vec<Network> {
        self.list.as_ref().filter(|list| **list != Addresses::all()).map_or_else(Vec::new, Addresses::networks)
    }

    fn entries(&self) -> usize {
        self.networks().len()
    }

    fn is_from_anywhere(&self) -> bool {
        let networks = self.networks();
        self.list.is_some() && (networks.is_empty() || networks.into_iter().collect::<Networks>().covers_a_family())
    }
}

/// An organization that was made.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MovedOrganization {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The routes that its keys may be used on; none where they may be used on all.
    pub routes: Vec<String>,
    /// Its keys.
    pub api_keys: usize,
    /// Those among them that are disabled.
    pub disabled: usize,
    /// Those among them that may be used from anywhere.
    pub from_anywhere: usize,
    /// Entries of all its lists.
    pub access_list_entries: usize,
}

impl Moved {
    fn organization(&mut self, name: &str, routes: Vec<String>, keys: &[Written]) {
        let id = id_of(&["organization", name]);
        let from_anywhere = keys.iter().filter(|one| one.is_from_anywhere()).count();
        let text = &mut self.text;
        let head = vec![("id", json!(id)), ("name", json!(name)), ("require_access_list", json!(from_anywhere == 0))];
        export::attributes(text, "  - ", "    ", head);
        text.push_str(if keys.is_empty() { "" } else { "    api_keys:\n" });
        for one in keys {
            let key = &one.key;
            let mut all: Vec<(&'static str, Value)> = vec![
                ("id", json!(id_of(&["key", name, &key.sha256]))),
                ("description", json!(clipped(&key.name, 250))),
            ];
            all.extend(key.public_key.as_ref().map(|public| ("public_key", json!(public))));
            all.push(("secret_sha256", json!([key.sha256])));
            if one.list.is_none() {
                all.push(("enabled", json!(false)));
            }
            all.extend(key.expires_at.as_ref().map(|at| ("expires_at", json!(at))));
            if !key.roles.is_empty() {
                all.push(("roles", json!(key.roles)));
            }
            export::attributes(text, "      - ", "        ", all);
            let networks = one.networks();
            text.push_str(if networks.is_empty() { "" } else { "        access_list:\n" });
            for network in networks {
                // Writing into a String never fails.
                let _ = writeln!(text, "          - {}", json!(network.to_string()));
            }
        }
        self.organizations.push(MovedOrganization {
            id,
            name: name.to_owned(),
            routes,
            api_keys: keys.len(),
            disabled: keys.iter().filter(|one| one.list.is_none()).count(),
            from_anywhere,
            access_list_entries: keys.iter().map(Written::entries).sum(),
        });
    }
}

/// The same id for the same thing each time, so that two imports can be compared.
fn id_of(parts: &[&str]) -> String {
    let hash = digest(&SHA256, parts.join("\0").as_bytes());
    let mut bytes = [0; 12];
    bytes.copy_from_slice(&hash.as_ref()[..12]);
    Id::from_bytes(bytes).to_string()
}

/// A text of another program as a message may repeat it.
pub(super) fn shown(text: &str) -> String {
    clipped(&text.escape_debug().to_string(), 250)
}

fn clipped(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// What templates and vaults put a key in the place of.
fn is_placeholder(secret: &str) -> bool {
    ["${", "{vault://", "$secret://", "$env://", "{{"].iter().any(|mark| secret.starts_with(mark))
}

/// A network as these programs read it, which cut host bits off; none where it is no network.
pub(super) fn network(text: &str) -> Option<Network> {
    match text.parse() {
        Ok(network) => Some(network),
        Err(NetworkFault::HostBits { meant, .. }) => Some(meant),
        Err(_) => None,
    }
}
