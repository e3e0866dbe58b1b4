//! Judges all files of a directory together and makes one directory of them, or names every fault.
//!
//! Never repeats a secret, not even a wrong one, and never lets a part of a faulty directory through.

mod credentials;
mod digests;
mod lists;
mod secret_hours;

use std::collections::HashMap;
use std::sync::Arc;

use super::model::{Directory, NetworkSet, Organization, Project};
use super::raw;
use super::source::{Reader, SourceFile};
use super::text::Text;
use crate::access::credential::{AccessListMode, Fingerprint};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::config::diagnostic::{Place, Problems, Related};
use crate::config::document::{Finding, Path, Step, path};

/// Entries of one list unless the directory says otherwise.
pub(super) const ENTRIES_PER_LIST: usize = 200;

/// Longest name of an organization, project, network set or service account, in characters.
const LONGEST_NAME: usize = 64;

/// An organization or a member of one of its lists, in a file. Small, because every credential has one.
#[derive(Clone, Copy)]
struct At {
    file: usize,
    organization: usize,
    member: Option<(&'static str, usize)>,
}

/// A path in a file.
struct Spot {
    file: usize,
    path: Path,
}

/// Another place that explains a finding, and what is there.
type Elsewhere = (Spot, &'static str);

impl At {
    fn member(self, list: &'static str, index: usize) -> Self {
        Self { member: Some((list, index)), ..self }
    }

    fn spot(self, further: impl IntoIterator<Item = Step>) -> Spot {
        let mut path = path!["organizations", self.organization];
        if let Some((list, index)) = self.member {
            path.extend([Step::from(list), Step::from(index)]);
        }
        path.extend(further);
        Spot { file: self.file, path }
    }

    fn key(self, key: &str) -> Spot {
        self.spot([Step::from(key)])
    }
}

/// Everything that is known while files are judged.
struct Resolve<'a> {
    files: &'a [SourceFile],
    reader: &'a mut Reader,
    entries_per_list: usize,
    /// With the file that each is about, and another place of any file.
    findings: Vec<(usize, Finding, Option<Elsewhere>)>,
    /// Of list files.
    problems: Problems,
    lists: HashMap<(usize, String), Option<Arc<[Network]>>>,
    ids: HashMap<Id, At>,
    sets: HashMap<(Id, Arc<str>), At>,
    public_keys: HashMap<Box<str>, At>,
    fingerprints: HashMap<Fingerprint, At>,
    /// Something could not be read of which nobody can say what organization it belongs to.
    incomplete: bool,
}

/// What the files make together, good or not.
pub(super) struct Judged {
    pub(super) directory: Directory,
    pub(super) problems: Problems,
    /// Where each id stands.
    pub(super) places: Places,
    /// Whether every organization is in the directory, however faulty.
    pub(super) complete: bool,
}

/// Where each thing stands that has an id, and each network set.
pub(super) struct Places {
    ids: HashMap<Id, At>,
    /// By organization and name.
    sets: HashMap<(Id, Arc<str>), At>,
}

impl Places {
    /// The place of a thing in the files that were judged.
    pub(super) fn of(&self, id: Id, files: &[SourceFile]) -> Option<Place> {
        let spot = self.ids.get(&id)?.spot([]);
        Some(files[spot.file].document.place_of(&spot.path))
    }

    /// The place of a network set.
    pub(super) fn of_set(&self, organization: Id, name: &str, files: &[SourceFile]) -> Option<Place> {
        let spot = self.sets.get(&(organization, name.into()))?.spot([]);
        Some(files[spot.file].document.place_of(&spot.path))
    }
}

/// An organization with all the places that speak of it.
struct Gathered {
    organization: Organization,
    parts: Vec<At>,
    sets: HashMap<Arc<str>, u32>,
    projects: HashMap<Arc<str>, Id>,
}

/// The directory that the files make together, with every fault of every file. `problems` are those of files that could
/// not be read at all.
pub(super) fn resolve(files: &[SourceFile], reader: &mut Reader, mut problems: Problems) -> Judged {
    let mut raws = Vec::with_capacity(files.len());
    let mut incomplete = !problems.is_empty();
    for file in files {
        let (raw, found) = match &file.document {
            Text::Yaml(document) => document.parse_mended::<raw::File>(),
            // Read and judged by `resolve_raws`.
            Text::Lines(_) => (None, Problems::default()),
        };
        incomplete |= raw.is_none() || file.document.lost(&[Step::from("organizations")]);
        problems.append(found);
        raws.push(raw.unwrap_or_default());
    }
    resolve_raws(files, raws, reader, problems, incomplete)
}

/// The same of files that were read already.
pub(super) fn resolve_raws(
    files: &[SourceFile],
    mut raws: Vec<raw::File>,
    reader: &mut Reader,
    problems: Problems,
    incomplete: bool,
) -> Judged {
    let mut resolve = Resolve {
        files,
        reader,
        entries_per_list: ENTRIES_PER_LIST,
        findings: Vec::new(),
        problems,
        lists: HashMap::new(),
        ids: HashMap::new(),
        sets: HashMap::new(),
        public_keys: HashMap::new(),
        fingerprints: HashMap::new(),
        incomplete,
    };
    let directory = resolve.directory(&mut raws);
    let complete = !resolve.incomplete;
    let places = Places { ids: std::mem::take(&mut resolve.ids), sets: std::mem::take(&mut resolve.sets) };
    Judged { directory, problems: resolve.located(), places, complete }
}

impl Resolve<'_> {
    fn directory(&mut self, raws: &mut [raw::File]) -> Directory {
        self.limits(raws);
        let mut gathered = self.gather(raws);
        for one in &mut gathered {
            for at in one.parts.clone() {
                let raw = &mut raws[at.file].organizations[at.organization];
                self.projects(one, at, std::mem::take(&mut raw.projects));
                self.network_sets(one, at, std::mem::take(&mut raw.network_sets));
            }
        }
        for one in &mut gathered {
            for at in one.parts.clone() {
                let raw = &mut raws[at.file].organizations[at.organization];
                let (keys, accounts) = (std::mem::take(&mut raw.api_keys), std::mem::take(&mut raw.service_accounts));
                one.organization.credentials.reserve_exact(keys.len() + accounts.len());
                for (index, raw) in keys.into_iter().enumerate() {
                    let made = self.api_key(one, at.member("api_keys", index), raw);
                    one.organization.credentials.extend(made);
                }
                for (index, raw) in accounts.into_iter().enumerate() {
                    let made = self.service_account(one, at.member("service_accounts", index), raw);
                    one.organization.credentials.extend(made);
                }
            }
        }
        let organizations = gathered.into_iter().map(|one| one.organization).collect();
        Directory { organizations, entries_per_list: self.entries_per_list }
    }

    fn limits(&mut self, raws: &[raw::File]) {
        let mut first: Option<(usize, u32)> = None;
        for (file, raw) in raws.iter().enumerate() {
            let Some(given) = raw.limits.as_ref().and_then(|limits| limits.entries_per_list) else {
                continue;
            };
            let spot = || Spot { file, path: path!["limits", "entries_per_list"] };
            if !(1..=100_000).contains(&given) {
                self.fault(spot(), format!("`{given}` is not between 1 and 100000"));
            }
            match first {
                Some((other, known)) if known != given => {
                    let other = Spot { file: other, path: path!["limits", "entries_per_list"] };
                    self.clash(
                        spot(),
                        format!("`{given}` is another limit than `{known}`; keep one"),
                        other,
                        "the other is here",
                    );
                }
                _ => first = Some((file, given)),
            }
            self.entries_per_list = given as usize;
        }
    }

    /// Brings together what several files say of one organization.
    fn gather(&mut self, raws: &[raw::File]) -> Vec<Gathered> {
        let mut parts: Vec<(Option<Id>, Vec<At>)> = Vec::new();
        let mut known: HashMap<Id, usize> = HashMap::new();
        for (file, raw) in raws.iter().enumerate() {
            for (organization, raw) in raw.organizations.iter().enumerate() {
                let at = At { file, organization, member: None };
                let Some(id) = self.id(at, "id", &raw.id) else {
                    // Judged by itself; it may belong to any of the others.
                    self.incomplete = true;
                    parts.push((None, vec![at]));
                    continue;
                };
                let place = *known.entry(id).or_insert_with(|| {
                    parts.push((Some(id), Vec::new()));
                    parts.len() - 1
                });
                let others = &mut parts[place].1;
                if let Some(first) = others.iter().find(|other| other.file == file).copied() {
                    let message = format!("organization {id} is there twice in this file; make one of both");
                    self.clash(at.key("id"), message, first.key("id"), "the first is here");
                }
                others.push(at);
            }
        }
        parts.into_iter().map(|(id, parts)| self.organization(raws, id, parts)).collect()
    }

    fn organization(&mut self, raws: &[raw::File], known: Option<Id>, parts: Vec<At>) -> Gathered {
        // Of an organization without a good id nothing is kept but its faults.
        let id = known.unwrap_or(Id::from_bytes([0; 12]));
        let raw = |at: &At| &raws[at.file].organizations[at.organization];
        if let Some(other) = known.and_then(|id| self.ids.insert(id, parts[0])) {
            self.clash(
                parts[0].key("id"),
                format!("id {id} is there twice; give each its own"),
                other.key("id"),
                "the first is here",
            );
        }
        let mut name: Option<(&str, At)> = None;
        let mut mode: Option<(raw::Switch, At)> = None;
        let secret_hours = self.secret_hours(id, &parts, raws);
        for at in &parts {
            match (raw(at).name.as_deref(), name) {
                (Some(given), Some((known, first))) if given != known => {
                    let message = format!("organization {id} has another name elsewhere; say it once, or the same");
                    self.clash(at.key("name"), message, first.key("name"), "the other name is here");
                }
                (Some(given), None) => {
                    self.name(at.key("name"), given);
                    name = Some((given, *at));
                }
                _ => {}
            }
            match (raw(at).require_access_list, mode) {
                (Some(given), Some((known, first))) if given != known => {
                    let message = format!(
                        "organization {id} has `require_access_list` set otherwise elsewhere; say it once, or the same"
                    );
                    self.clash(
                        at.key("require_access_list"),
                        message,
                        first.key("require_access_list"),
                        "the other is here",
                    );
                }
                (Some(given), None) => mode = Some((given, *at)),
                _ => {}
            }
        }
        for (key, missing, way_out) in [
            ("name", name.is_none(), "write `name: …`"),
            ("require_access_list", mode.is_none(), "write `require_access_list: true`, `false` or `report`"),
        ] {
            if missing && !self.lost(&parts, key) {
                self.fault(parts[0].spot([]), format!("organization {id} has no `{key}`; {way_out}"));
            }
        }
        let mode = match mode.map(|(mode, _)| mode) {
            Some(raw::Switch::Off) => AccessListMode::Off,
            Some(raw::Switch::Report) => AccessListMode::Report,
            Some(raw::Switch::Required) => AccessListMode::Required,
            // Refused; so that no list is refused for a switch that nobody can read.
            None => AccessListMode::Off,
        };
        let name = Arc::from(name.map_or("", |(name, _)| name));
        let organization = Organization {
            id,
            name,
            mode,
            secret_hours,
            projects: Vec::new(),
            network_sets: Vec::new(),
            credentials: Vec::new(),
        };
        Gathered { organization, parts, sets: HashMap::new(), projects: HashMap::new() }
    }

    fn projects(&mut self, to: &mut Gathered, at: At, raws: Vec<raw::Project>) {
        for (index, raw) in raws.into_iter().enumerate() {
            let at = at.member("projects", index);
            let id = self.unique_id(at, "id", &raw.id);
            self.name(at.key("name"), &raw.name);
            let name: Arc<str> = raw.name.into();
            let Some(id) = id else {
                continue;
            };
            if to.projects.insert(Arc::clone(&name), id).is_some() {
                self.fault(at.key("name"), format!("the organization has two projects `{name}`; rename one"));
            }
            to.organization.projects.push(Project { id, name });
        }
    }

    fn network_sets(&mut self, to: &mut Gathered, at: At, raws: Vec<raw::NetworkSet>) {
        for (index, raw) in raws.into_iter().enumerate() {
            let at = at.member("network_sets", index);
            self.name(at.key("name"), &raw.name);
            let name: Arc<str> = raw.name.into();
            let place = if raw.from.is_some() { "from" } else { "networks" };
            let networks = self.set_networks(at, raw.networks, raw.from, raw.source.is_some());
            let source = raw.source.and_then(|source| self.source(at, source));
            if networks.len() > self.entries_per_list && !self.limits_lost() {
                let message = self.too_many(&format!("network set `{name}`"), networks.len());
                self.fault(at.key(place), message);
            }
            self.sets.entry((to.organization.id, Arc::clone(&name))).or_insert(at);
            let place = u32::try_from(to.organization.network_sets.len()).unwrap_or(u32::MAX);
            if to.sets.insert(Arc::clone(&name), place).is_some() {
                self.fault(at.key("name"), format!("the organization has two network sets `{name}`; rename one"));
            }
            for (key, text) in [("owner", &raw.owner), ("comment", &raw.comment)] {
                if text.as_ref().is_some_and(|text| text.chars().count() > 250 || text.chars().any(char::is_control)) {
                    self.fault(
                        at.key(key),
                        format!("its {key} has up to 250 characters, none of them a control character"),
                    );
                }
            }
            let (owner, comment) = (raw.owner.map(Into::into), raw.comment.map(Into::into));
            to.organization.network_sets.push(NetworkSet { name, networks, owner, comment, source });
        }
    }

    fn limits_lost(&self) -> bool {
        let key = path!["limits", "entries_per_list"];
        self.incomplete || self.files.iter().any(|file| file.document.lost(&key))
    }

    fn too_many(&self, what: &str, count: usize) -> String {
        let most = self.entries_per_list;
        format!("{what} has {count} entries, more than the {most} that are allowed; raise `limits.entries_per_list`")
    }

    fn name(&mut self, spot: Spot, name: &str) {
        let length = name.chars().count();
        if !(1..=LONGEST_NAME).contains(&length) || name.chars().any(char::is_control) || name.trim() != name {
            self.fault(
                spot,
                format!(
                    "a name has 1 to {LONGEST_NAME} characters, none of them a control character or a blank at an end"
                ),
            );
        }
    }

    fn id(&mut self, at: At, key: &str, text: &str) -> Option<Id> {
        text.parse().map_err(|fault: crate::access::id::IdFault| self.fault(at.key(key), fault.to_string())).ok()
    }

    fn unique_id(&mut self, at: At, key: &str, text: &str) -> Option<Id> {
        let id = self.id(at, key, text)?;
        self.claim_id(at, key, id).then_some(id)
    }

    fn claim_id(&mut self, at: At, key: &str, id: Id) -> bool {
        let first = *self.ids.entry(id).or_insert(at);
        let other = match first.member {
            Some(("service_accounts", _)) => first.key("client_id"),
            _ => first.key("id"),
        };
        let own = at.key(key);
        let mine = own.file == other.file && own.path == other.path;
        if !mine {
            self.clash(own, format!("id {id} is there twice; give each its own"), other, "the first is here");
        }
        mine
    }

    /// Whether something of an organization may be written somewhere, but could not be read.
    fn lost(&self, parts: &[At], key: &str) -> bool {
        self.incomplete || parts.iter().any(|at| self.lost_at(&at.key(key)))
    }

    fn lost_at(&self, spot: &Spot) -> bool {
        self.files[spot.file].document.lost(&spot.path)
    }

    fn fault(&mut self, spot: Spot, message: impl Into<String>) {
        self.findings.push((spot.file, Finding::error(spot.path, message), None));
    }

    fn warn(&mut self, spot: Spot, message: impl Into<String>) {
        self.findings.push((spot.file, Finding::warning(spot.path, message), None));
    }

    fn clash(&mut self, spot: Spot, message: impl Into<String>, other: Spot, what: &'static str) {
        self.findings.push((spot.file, Finding::error(spot.path, message), Some((other, what))));
    }

    /// All findings with their places, file by file.
    fn located(self) -> Problems {
        let mut by_file: Vec<Problems> = self.files.iter().map(|_| Problems::default()).collect();
        for (file, finding, related) in self.findings {
            let document = &self.files[file].document;
            let other = |(spot, _): &Elsewhere| {
                self.files[spot.file].document.holds_back(&Finding::error(spot.path.clone(), ""))
            };
            if document.holds_back(&finding) || related.as_ref().is_some_and(other) {
                continue;
            }
            let mut problem = document.locate(finding);
            problem.related = related.map(|(spot, message)| {
                let place = self.files[spot.file].document.place_of(&spot.path);
                Box::new(Related { place, message: message.to_owned() })
            });
            by_file[file].push(problem);
        }
        let mut problems = Problems::default();
        by_file.into_iter().for_each(|one| problems.append(one));
        problems.append(self.problems);
        let order: HashMap<&str, usize> =
            self.files.iter().enumerate().map(|(at, file)| (&**file.document.name(), at)).collect();
        problems.sorted_by_file(|name| order.get(name).copied().unwrap_or(usize::MAX))
    }
}
