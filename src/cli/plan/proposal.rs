//! What is proposed: a configuration and a directory as they would be, with the switches that the command line turns.
//!
//! Reads files and stores, changes nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::tally::Way;
use crate::access::credential::{AccessListMode, Enforcement, Fingerprint};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::CredentialName;
use crate::access::route::{Route, RouteMatch};
use crate::cli::check;
use crate::config::diagnostic::Problems;
use crate::config::document::Override;
use crate::config::settings::{DirectorySource, Gateway};
use crate::config::{self};
use crate::directory::model::{Admits, Credential};
use crate::directory::sqlite::{self, StoreFault};
use crate::directory::{Directory, stored};
use crate::gate::caller::everything;
use crate::live::fingerprint;

/// What is proposed.
pub(super) struct Proposal {
    pub(super) settings: Arc<Gateway>,
    pub(super) directory: Directory,
    pub(super) names: Names,
    /// The store that is named, or configured.
    pub(super) store: Option<PathBuf>,
    /// The one route of the admin API.
    pub(super) everything: Route,
}

/// A credential as logs and people name it.
#[derive(Debug)]
pub(super) struct Named {
    /// Organization and credential by their positions in the directory.
    pub(super) place: (usize, usize),
    pub(super) name: CredentialName,
    pub(super) organization: Id,
    pub(super) public_key: Option<Box<str>>,
    pub(super) description: Box<str>,
    pub(super) fingerprint: Fingerprint,
}

/// Finds credentials by what a log may name them.
#[derive(Debug, Default)]
pub(super) struct Names {
    all: Vec<Named>,
    /// `None` where two have the name.
    by_name: HashMap<String, Option<u32>>,
    by_key: HashMap<[u8; 32], u32>,
}

impl Names {
    fn of(directory: &Directory) -> anyhow::Result<Self> {
        let mut names = Self::default();
        for (of, organization) in directory.organizations.iter().enumerate() {
            for (at, one) in organization.credentials.iter().enumerate() {
                let place = u32::try_from(names.all.len()).context("the directory has too many credentials")?;
                let Some(first) = one.fingerprints.first().copied() else { continue };
                for key in &one.fingerprints {
                    names.by_key.insert(key.0, place);
                }
                if !one.name.is_empty() {
                    let known = names.by_name.entry(one.name.to_string());
                    known.and_modify(|other| *other = other.filter(|other| *other == place)).or_insert(Some(place));
                }
                names.all.push(Named {
                    place: (of, at),
                    name: CredentialName { kind: one.kind, id: one.id },
                    organization: organization.id,
                    public_key: one.public_key.clone(),
                    description: one.name.clone(),
                    fingerprint: first,
                });
            }
        }
        // What people call one may be the id of another: ids and public keys are nobody else's, and come last.
        for (at, one) in (0..).zip(&names.all) {
            names.by_name.insert(one.name.id.to_string(), Some(at));
            names.by_name.insert(one.name.to_string(), Some(at));
            names.by_name.extend(one.public_key.as_deref().map(|key| (key.to_owned(), Some(at))));
        }
        Ok(names)
    }

    pub(super) fn at(&self, at: u32) -> Option<&Named> {
        self.all.get(at as usize)
    }

    /// By id, client id, public key, unique description, SHA-256 of the key, or the key itself.
    pub(super) fn find(&self, text: &str) -> Option<u32> {
        if let Some(found) = self.by_name.get(text) {
            return *found;
        }
        let of_key = || self.by_key.get(&fingerprint::of_key(text.as_bytes()).0).copied();
        hash(text).and_then(|hash| self.by_key.get(&hash).copied()).or_else(of_key)
    }
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}

/// Reads what is proposed, or every problem of it.
///
/// # Errors
/// A store that can't be read, or no directory at all.
pub(super) fn load(
    config: Option<&Path>,
    path: Option<&Path>,
    store: Option<&Path>,
) -> anyhow::Result<Result<Proposal, Problems>> {
    let settings = match config::load(config, Override::from_environment()) {
        Ok((settings, _)) => settings,
        Err(problems) => return Ok(Err(problems)),
    };
    let checked = check::read(config, path);
    if checked.problems.has_errors() {
        return Ok(Err(checked.problems));
    }
    let configured = match &settings.directory {
        DirectorySource::Sqlite(store) => Some(store.as_path()),
        DirectorySource::File(_) | DirectorySource::Demonstration => None,
    };
    let store = store.or(configured);
    let mut directory = match (checked.directory, path, store) {
        (Some(directory), ..) => directory,
        (None, None, Some(store)) => of_store(store)?,
        _ => bail!("name the directory: --directory PATH, or --config FILE which names one"),
    };
    if let Some(store) = store {
        fill(&mut directory, store)?;
    }
    let names = Names::of(&directory)?;
    let store = store.map(Path::to_owned);
    Ok(Ok(Proposal { settings: settings.gateway, directory, names, store, everything: everything() }))
}

/// Has sets with a source hold what they do in the store: a file that is applied leaves that to the source.
fn fill(directory: &mut Directory, path: &Path) -> anyhow::Result<()> {
    if directory.organizations.iter().all(|of| of.network_sets.iter().all(|set| set.source.is_none())) {
        return Ok(());
    }
    let read = sqlite::read(path, |rows| {
        for of in &mut directory.organizations {
            let Some(row) = rows.organization(of.id)? else { continue };
            for set in of.network_sets.iter_mut().filter(|set| set.source.is_some()) {
                if let Some(held) = rows.network_set(row.pk, &set.name)? {
                    set.networks = held.networks;
                }
            }
        }
        Ok::<_, StoreFault>(())
    });
    // Where there is no store yet, its sets begin with what the file says.
    read.map(drop).with_context(|| format!("the store `{}` can't be read", path.display()))
}

fn of_store(path: &Path) -> anyhow::Result<Directory> {
    let read = sqlite::read(path, |rows| {
        let all = rows.organizations()?;
        let organizations = all.iter().map(|row| stored::whole(rows, row)).collect::<Result<Vec<_>, StoreFault>>()?;
        Ok::<_, StoreFault>(Directory { organizations, entries_per_list: rows.longest_list()?.max(200) })
    });
    let read = read.with_context(|| format!("the store `{}` can't be read", path.display()))?;
    read.with_context(|| format!("there is no store `{}`; name a directory by --directory PATH", path.display()))
}

impl Proposal {
    /// What the routes make of a target.
    pub(super) fn way(&self, host: &str, method: &str, path: &str) -> Way {
        self.place(self.settings.routes.find(host, method, path))
    }

    /// The same, of what one of the routes was found to be.
    pub(super) fn place(&self, found: RouteMatch<'_>) -> Way {
        match found {
            RouteMatch::Matched(route) => {
                let at = self.settings.routes.iter().position(|one| std::ptr::eq(one, route));
                at.and_then(|at| u32::try_from(at).ok()).map_or(Way::NotFound, Way::Route)
            }
            RouteMatch::NotFound => Way::NotFound,
            RouteMatch::Ambiguous => Way::Ambiguous,
        }
    }

    /// Has organizations require lists: by id, by name, or `all`.
    pub(super) fn require(&mut self, named: &[String]) -> anyhow::Result<()> {
        for name in named {
            let mut found = false;
            for one in &mut self.directory.organizations {
                if name == "all" || *one.name == **name || one.id.to_string() == *name {
                    if let Some(open) = one.credentials.iter().find(|of| one.covers_a_family(&of.access_list)) {
                        bail!(
                            "LISTS_COVER_EVERYTHING: organization {} can't require lists while the list of credential {} \
                             admits everybody; narrow it first",
                            one.id,
                            open.id
                        );
                    }
                    (one.mode, found) = (AccessListMode::Required, true);
                }
            }
            if !found {
                bail!("there is no organization `{name}` in the directory; name it by id or name, or say `all`");
            }
        }
        Ok(())
    }

    /// Has lists refuse that only report: of a credential as a log names it, or of `all`.
    pub(super) fn enforce(&mut self, named: &[String]) -> anyhow::Result<()> {
        for name in named {
            if name == "all" {
                let all = self.directory.organizations.iter_mut().flat_map(|one| &mut one.credentials);
                all.for_each(|one| one.enforcement = Enforcement::Enforce);
                continue;
            }
            let found = self.names.find(name).and_then(|at| self.names.at(at));
            let Some(found) = found else {
                bail!("no credential, or more than one, is called so; name it by id or public key, or say `all`");
            };
            self.directory.organizations[found.place.0].credentials[found.place.1].enforcement = Enforcement::Enforce;
        }
        Ok(())
    }
}

impl Proposal {
    /// What the list of a credential admits, sets included.
    pub(super) fn networks(&self, named: &Named) -> impl Iterator<Item = Network> {
        let sets = &self.directory.organizations[named.place.0].network_sets;
        self.credential(named).access_list.iter().flat_map(move |entry| match entry.target {
            Admits::Network(network) => vec![network],
            Admits::Set(at) => sets.get(at as usize).map_or_else(Vec::new, |set| set.networks.clone()),
        })
    }

    /// A credential as the directory has it.
    pub(super) fn credential(&self, named: &Named) -> &Credential {
        &self.directory.organizations[named.place.0].credentials[named.place.1]
    }
}
