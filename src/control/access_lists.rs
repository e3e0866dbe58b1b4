//! Access lists of credentials.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::audit::{Event, EventType};
use super::change::Change;
use super::credentials::{check_expiry, find};
use super::network_sets::{List, Sets};
use super::organizations::expect;
use super::recent_use::{self, Standing};
use super::rights::{Rights, no_organization};
use super::{Actor, Committed, Control, Fault, Guards, guards, network_sets};
use crate::access::record::{CredentialName, CredentialRecord, EntryRecord, OrganizationRecord, Place};
use crate::access::target::Target;
use crate::access::usage::EntryUse;
use crate::clock::Timestamp;
use crate::directory::sqlite::Rows;
use crate::problem::{Code, Refusal};

/// Longest comment, in characters.
const LONGEST_COMMENT: usize = 250;

/// An entry to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// What it admits.
    pub target: Target,
    /// For people.
    pub comment: Option<String>,
    /// When it stops admitting; [`Timestamp::NEVER`] where it does not.
    pub expires_at: Timestamp,
}

/// What is to be changed of an entry; the outer `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryEdit {
    /// Another comment, or none.
    pub comment: Option<Option<String>>,
    /// Another end.
    pub expires_at: Option<Timestamp>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The entries, oldest first.
    pub entries: Vec<EntryRecord>,
    /// How they were used, each under its name.
    pub usage: BTreeMap<String, EntryUse>,
    /// How many there are in all.
    pub total: u64,
    /// The revision that last changed the credential or its list.
    pub revision: u64,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedEntry {
    /// The entry.
    pub entry: EntryRecord,
    /// How it was used.
    pub used: Option<EntryUse>,
    /// The revision that last changed the credential or its list.
    pub revision: u64,
}

/// A credential whose list is being changed.
struct Held {
    organization: OrganizationRecord,
    credential: CredentialRecord,
    entries: Vec<EntryRecord>,
}

impl Control {
    /// One page of the list of a key.
    ///
    /// # Errors
    /// A [`Fault`].
    pub async fn access_list(
        self: &Arc<Self>,
        actor: &Actor,
        place: Place,
        key: CredentialName,
        (skip, most): (u64, u64),
    ) -> Result<Listed, Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let key = find(rows, &Rights::of(rows, &actor)?, place, key)?;
            page(rows, &key.row, (skip, most))
        })
        .await
    }

    /// The entry for exactly this network or set.
    ///
    /// # Errors
    /// `API_KEY_ACCESS_LIST_NOT_FOUND`, or another [`Fault`].
    pub async fn access_list_entry(
        self: &Arc<Self>,
        actor: &Actor,
        place: Place,
        key: CredentialName,
        target: Target,
    ) -> Result<ListedEntry, Fault> {
        let actor = actor.clone();
        self.read(move |rows| {
            let key = find(rows, &Rights::of(rows, &actor)?, place, key)?;
            let entry = rows.entry(key.row.pk, &target)?.ok_or_else(|| no_entry(&target))?;
            let used = rows.entry_use(key.row.pk, &target.to_string())?;
            Ok(ListedEntry { entry, used, revision: key.row.revision })
        })
        .await
    }

    /// Adds entries. What is there already stays as it is, unless `strict`.
    ///
    /// # Errors
    /// A [`Fault`]; then nothing was added.
    pub async fn add_to_access_list(
        &self,
        actor: &Actor,
        guards: Guards,
        (place, key): (Place, CredentialName),
        new: Vec<NewEntry>,
        strict: bool,
        shown: (u64, u64),
    ) -> Result<Committed<Listed>, Fault> {
        self.change(actor, move |change| {
            let key = add(change, guards, (place, key), new, strict)?;
            page(change.rows(), &key, shown)
        })
        .await
    }

    /// Makes the list exactly this.
    ///
    /// # Errors
    /// `VERSION_MISMATCH` where it is of another revision than `expected`, or another [`Fault`].
    pub async fn replace_access_list(
        &self,
        actor: &Actor,
        guards: Guards,
        (place, key): (Place, CredentialName),
        new: Vec<NewEntry>,
        expected: Option<u64>,
        shown: (u64, u64),
    ) -> Result<Committed<Listed>, Fault> {
        self.change(actor, move |change| {
            let held = hold(change, place, key)?;
            expect(expected, held.credential.revision)?;
            let mut after = check_input(change, &held.organization, new)?;
            keep_ages(&held.entries, &mut after);
            let key = replace(change, guards, held, after)?;
            page(change.rows(), &key, shown)
        })
        .await
    }

    /// Changes comment or end of an entry.
    ///
    /// # Errors
    /// `VERSION_MISMATCH` where its list is of another revision than `expected`, or another [`Fault`].
    pub async fn edit_access_list_entry(
        &self,
        actor: &Actor,
        guards: Guards,
        (place, key): (Place, CredentialName),
        target: Target,
        edit: EntryEdit,
        expected: Option<u64>,
    ) -> Result<Committed<ListedEntry>, Fault> {
        self.change(actor, move |change| {
            let held = hold(change, place, key)?;
            expect(expected, held.credential.revision)?;
            let mut after = held.entries.clone();
            let entry = after.iter_mut().find(|entry| entry.target == target).ok_or_else(|| no_entry(&target))?;
            if let Some(comment) = edit.comment {
                check_comment(comment.as_deref())?;
                entry.comment = comment;
            }
            if let Some(expires_at) = edit.expires_at.filter(|at| *at != entry.expires_at) {
                check_expiry(expires_at, change.now())?;
                entry.expires_at = expires_at;
            }
            let entry = entry.clone();
            let used = change.rows().entry_use(held.credential.pk, &target.to_string())?;
            let credential = replace(change, guards, held, after)?;
            Ok(ListedEntry { entry, used, revision: credential.revision })
        })
        .await
    }

    /// Removes an entry.
    ///
    /// # Errors
    /// A guard, `API_KEY_ACCESS_LIST_NOT_FOUND`, or another [`Fault`].
    pub async fn remove_from_access_list(
        &self,
        actor: &Actor,
        guards: Guards,
        (place, key): (Place, CredentialName),
        target: Target,
    ) -> Result<Committed<()>, Fault> {
        self.change(actor, move |change| {
            let held = hold(change, place, key)?;
            let after: Vec<EntryRecord> = held.entries.iter().filter(|entry| entry.target != target).cloned().collect();
            if after.len() == held.entries.len() {
                return Err(no_entry(&target));
            }
            replace(change, guards, held, after).map(drop)
        })
        .await
    }
}

/// Adds entries to a list.
pub(super) fn add(
    change: &mut Change<'_>,
    guards: Guards,
    (place, key): (Place, CredentialName),
    new: Vec<NewEntry>,
    strict: bool,
) -> Result<CredentialRecord, Fault> {
    let held = hold(change, place, key)?;
    let mut after = held.entries.clone();
    for entry in check_input(change, &held.organization, new)? {
        match held.entries.iter().any(|known| known.target == entry.target) {
            true if strict => {
                let detail = format!("{} is on the list already.", entry.target);
                return Err(Refusal::new(Code::AddressAlreadyInAccessList, detail).with(entry.target).into());
            }
            true => {}
            false => after.push(entry),
        }
    }
    replace(change, guards, held, after)
}

/// Gives a credential that was just made its first list.
pub(super) fn begin(
    change: &mut Change<'_>,
    organization: &OrganizationRecord,
    credential: CredentialRecord,
    new: Vec<NewEntry>,
) -> Result<CredentialRecord, Fault> {
    let after = check_input(change, organization, new)?;
    let held = Held { organization: organization.clone(), credential, entries: Vec::new() };
    replace(change, Guards::All, held, after)
}

/// The same with entries that a file names, which may have expired since it was written.
pub(super) fn begin_with(
    change: &mut Change<'_>,
    organization: &OrganizationRecord,
    credential: CredentialRecord,
    after: Vec<EntryRecord>,
) -> Result<CredentialRecord, Fault> {
    check_brought(change, organization, &after)?;
    let held = Held { organization: organization.clone(), credential, entries: Vec::new() };
    replace(change, Guards::All, held, after)
}

/// Makes a list exactly what a file says.
pub(super) fn make(
    change: &mut Change<'_>,
    guards: Guards,
    organization: &OrganizationRecord,
    credential: CredentialRecord,
    mut after: Vec<EntryRecord>,
) -> Result<(), Fault> {
    check_brought(change, organization, &after)?;
    let entries = change.rows().entries(credential.pk)?;
    keep_ages(&entries, &mut after);
    let held = Held { organization: organization.clone(), credential, entries };
    replace(change, guards, held, after).map(drop)
}

/// The entries of a file: each once, and some may have expired.
fn check_brought(change: &Change<'_>, organization: &OrganizationRecord, entries: &[EntryRecord]) -> Result<(), Fault> {
    let mut names = entries.iter().filter_map(|entry| entry.target.set());
    names.try_for_each(|name| network_sets::known(change.rows(), organization, name))?;
    entries.iter().try_for_each(|entry| check_comment(entry.comment.as_deref()))
}

/// What stays keeps its age.
fn keep_ages(before: &[EntryRecord], after: &mut [EntryRecord]) {
    let known: BTreeMap<&Target, Timestamp> = before.iter().map(|entry| (&entry.target, entry.created_at)).collect();
    for entry in after {
        entry.created_at = known.get(&entry.target).copied().unwrap_or(entry.created_at);
    }
}

fn no_entry(target: &Target) -> Fault {
    Refusal::new(Code::AccessListEntryNotFound, format!("{target} is not an entry of this access list."))
        .with(target)
        .into()
}

fn page(rows: Rows<'_>, credential: &CredentialRecord, (skip, most): (u64, u64)) -> Result<Listed, Fault> {
    let (entries, total) = rows.entries_page(credential.pk, skip, most)?;
    let mut usage = BTreeMap::new();
    for entry in &entries {
        let name = entry.target.to_string();
        if let Some(used) = rows.entry_use(credential.pk, &name)? {
            usage.insert(name, used);
        }
    }
    Ok(Listed { entries, usage, total, revision: credential.revision })
}

/// The key and its list, where the actor may change it.
fn hold(change: &Change<'_>, place: Place, key: CredentialName) -> Result<Held, Fault> {
    let rows = change.rows();
    let rights = Rights::of(rows, change.actor())?;
    let key = find(rows, &rights, place, key)?;
    rights.manage_key(rows, &key.row, &key.roles)?;
    let organization = rows.organization(key.row.organization)?.ok_or_else(|| no_organization(key.row.organization))?;
    Ok(Held { organization, entries: rows.entries(key.row.pk)?, credential: key.row })
}

/// The entries of a request, each network and each set once.
fn check_input(
    change: &Change<'_>,
    organization: &OrganizationRecord,
    new: Vec<NewEntry>,
) -> Result<Vec<EntryRecord>, Fault> {
    let mut seen = BTreeMap::new();
    let mut entries = Vec::with_capacity(new.len());
    for (at, NewEntry { target, comment, expires_at }) in new.into_iter().enumerate() {
        if let Some(first) = seen.insert(target.clone(), at) {
            let detail = format!("Entries {first} and {at} are both {target}; keep one.");
            return Err(Refusal::new(Code::DuplicateAddressesInInput, detail).with(target).into());
        }
        if let Some(name) = target.set() {
            network_sets::known(change.rows(), organization, name)?;
        }
        check_comment(comment.as_deref())?;
        check_expiry(expires_at, change.now())?;
        entries.push(EntryRecord { target, comment, expires_at, created_at: change.now() });
    }
    Ok(entries)
}

pub(super) fn check_comment(comment: Option<&str>) -> Result<(), Fault> {
    let legal = |text: &str| text.chars().count() <= LONGEST_COMMENT && !text.chars().any(char::is_control);
    match comment.is_none_or(legal) {
        true => Ok(()),
        false => {
            let wrong = format!("a comment has up to {LONGEST_COMMENT} characters and no control characters");
            Err(Refusal::field(Code::InvalidAttribute, "comment", wrong).into())
        }
    }
}

/// Makes the list what it is to be: asks the guards, writes the difference, records it.
fn replace(
    change: &mut Change<'_>,
    guards: Guards,
    held: Held,
    after: Vec<EntryRecord>,
) -> Result<CredentialRecord, Fault> {
    let Held { organization, mut credential, entries: before } = held;
    let most = change.limits().entries_per_list;
    if after.len() > most && after.len() > before.len() {
        let detail = format!("The list would have {} entries; {most} are allowed.", after.len());
        return Err(Refusal::new(Code::LimitReached, detail).with(most).into());
    }
    let known: BTreeMap<&Target, &EntryRecord> = before.iter().map(|entry| (&entry.target, entry)).collect();
    let kept: BTreeMap<&Target, &EntryRecord> = after.iter().map(|entry| (&entry.target, entry)).collect();
    if known == kept {
        return Ok(credential);
    }
    let sets = Sets::of(change.rows(), organization.pk, before.iter().chain(&after))?;
    let lists = (List::new(&before, &sets), List::new(&after, &sets));
    guards::list(change, guards, &organization, &credential, lists)?;
    let standing = |list| Standing { list, enforcement: credential.enforcement, mode: organization.mode };
    recent_use::list(change, guards, &credential, (standing(lists.0), standing(lists.1)))?;
    change.touch_credential(credential.pk)?;
    for entry in before.iter().filter(|entry| !kept.contains_key(&entry.target)) {
        change.store().remove_entry(credential.pk, &entry.target)?;
        change.entry_gone(credential.id, entry.target.clone());
        change.record(Event::on(EventType::EntryDeleted, &credential).entry(&entry.target))?;
    }
    for entry in &after {
        let event = match known.get(&entry.target) {
            None => EventType::EntryAdded,
            Some(known) if *known != entry => EventType::EntryChanged,
            Some(_) => continue,
        };
        change.store().put_entry(credential.pk, entry)?;
        change.record(Event::on(event, &credential).entry(&entry.target))?;
    }
    credential.revision = change.revision();
    change.store().revise_credential(&credential)?;
    Ok(credential)
}
