//! Keeps a change from refusing whoever has just been using a credential.
//!
//! Asked about lists, their enforcement and the switch. Disabling or deleting a credential is what people do when it is in
//! the wrong hands: nobody has to do that twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Fault;
use super::audit::{Event, EventType};
use super::change::Change;
use super::guards::{Guards, admits};
use super::network_sets::{KnownSets, List, Sets};
use super::rights::no_organization;
use crate::access::client_address::ClientAddress;
use crate::access::credential::{AccessListMode, CredentialKind, Enforcement};
use crate::access::id::Id;
use crate::access::network::Network;
use crate::access::record::{CredentialName, CredentialRecord, NetworkSetRecord, OrganizationRecord};
use crate::access::usage::LastUse;
use crate::clock::Timestamp;
use crate::problem::{Code, Refusal};

/// Seconds that a use is recent.
const RECENT: i64 = 3600;

/// What of a credential decides about an address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'e> {
    pub(super) list: List<'e>,
    pub(super) enforcement: Enforcement,
    pub(super) mode: AccessListMode,
}

impl Standing<'_> {
    /// Whether a request from the address passes.
    fn passes(self, address: ClientAddress, now: Timestamp) -> bool {
        match self.list.is_empty() {
            true => self.mode != AccessListMode::Required,
            false => self.enforcement == Enforcement::Report || admits(self.list, address, now),
        }
    }
}

/// Refuses where an address that the credential was used from of late would be refused from now on.
pub(super) fn list(
    change: &mut Change<'_>,
    guards: Guards,
    credential: &CredentialRecord,
    (before, after): (Standing<'_>, Standing<'_>),
) -> Result<(), Fault> {
    let now = change.now();
    if !credential.enabled || credential.expires_at <= now {
        return Ok(());
    }
    // The caller's own address has a guard of its own.
    let own = change.actor().address.filter(|_| change.actor().credential() == Some(credential.credential()));
    let recent = change.recent_addresses(credential)?;
    let excluded: BTreeSet<ClientAddress> = recent
        .into_iter()
        .filter(|used| is_recent(*used, now) && Some(used.address) != own)
        .map(|used| used.address)
        .filter(|address| before.passes(*address, now) && !after.passes(*address, now))
        .collect();
    let name = credential.public_key.as_deref().unwrap_or(&credential.name);
    refuse(change, guards, &excluded, &format!("{name} was"), |event| Event::on(event, credential))
}

/// The same for a list that is to refuse, or to report, from now on.
pub(super) fn enforcement(
    change: &mut Change<'_>,
    guards: Guards,
    credential: &CredentialRecord,
    enforcement: Option<Enforcement>,
) -> Result<(), Fault> {
    let Some(enforcement) = enforcement.filter(|one| *one != credential.enforcement) else { return Ok(()) };
    let organization = change.rows().organization(credential.organization)?;
    let organization = organization.ok_or_else(|| no_organization(credential.organization))?;
    let mode = organization.mode;
    let entries = change.rows().entries(credential.pk)?;
    let sets = Sets::of(change.rows(), organization.pk, &entries)?;
    let standing = |enforcement| Standing { list: List::new(&entries, &sets), enforcement, mode };
    list(change, guards, credential, (standing(credential.enforcement), standing(enforcement)))
}

/// The same for a network set that is to hold something else, about every list that refers to it.
pub(super) fn network_set(
    change: &mut Change<'_>,
    guards: Guards,
    organization: &OrganizationRecord,
    (set, after): (&NetworkSetRecord, &[Network]),
) -> Result<(), Fault> {
    // Both are in order.
    if set.networks.iter().all(|network| after.binary_search(network).is_ok()) {
        return Ok(());
    }
    let (after, now): (Arc<[Network]>, Timestamp) = (after.into(), change.now());
    // Of many lists, few were used of late: of the others nothing more is read.
    let mut used = Vec::new();
    for pk in change.rows().credentials_of_set(set.pk, u64::MAX >> 1)? {
        let Some(credential) = change.rows().credential_by_pk(pk)? else { continue };
        if change.recent_addresses(&credential)?.into_iter().any(|one| is_recent(one, now)) {
            used.push(credential);
        }
    }
    let (mut standings, mut known) = (Vec::new(), KnownSets::of(change.rows(), organization.pk));
    for credential in used {
        let entries = change.rows().entries(credential.pk)?;
        let sets = known.of_entries(&entries)?;
        standings.push((credential, entries, sets));
    }
    for (credential, entries, before) in standings {
        let sets = before.clone().with(&set.name, &after);
        let (enforcement, mode) = (credential.enforcement, organization.mode);
        let standing = |sets| Standing { list: List::new(&entries, sets), enforcement, mode };
        list(change, guards, &credential, (standing(&before), standing(&sets)))?;
    }
    Ok(())
}

/// The same for a switch that is to become *required*: it refuses every credential that has no list.
pub(super) fn switch_on(
    change: &mut Change<'_>,
    guards: Guards,
    organization: &OrganizationRecord,
) -> Result<(), Fault> {
    let now = change.now();
    let own = change.actor().credential().map(|name| name.id);
    let since = Timestamp::from_unix_seconds(now.unix_seconds() - RECENT);
    let stored = change.rows().unlisted_in_use(organization.pk, since, now)?;
    let mut excluded: BTreeSet<(Id, ClientAddress)> = stored.into_iter().collect();
    for (id, used) in change.unwritten_uses() {
        if !is_recent(used, now) {
            continue;
        }
        let rows = change.rows();
        let row = match rows.credential(CredentialName { kind: CredentialKind::ApiKey, id })? {
            Some(row) => Some(row),
            None => rows.credential(CredentialName { kind: CredentialKind::ServiceAccount, id })?,
        };
        let Some(row) = row.filter(|row| row.organization == organization.id && row.enabled) else { continue };
        if row.expires_at > now && rows.entries_page(row.pk, 0, 1)?.1 == 0 {
            excluded.insert((id, used.address));
        }
    }
    let others = excluded.iter().filter(|(id, address)| Some(*id) != own || Some(*address) != change.actor().address);
    let others: Vec<_> = others.copied().collect();
    let credentials: BTreeSet<_> = others.iter().map(|(id, _)| *id).collect();
    let addresses = others.iter().map(|(_, address)| *address).collect();
    let who = format!("credentials without an access list ({} of them) were", credentials.len());
    let id = organization.id;
    refuse(change, guards, &addresses, &who, |event| Event::new(event, id))
}

fn is_recent(used: LastUse, now: Timestamp) -> bool {
    used.at.unix_seconds() > now.unix_seconds() - RECENT
}

/// Refuses with the addresses, or records that the guard was passed by.
fn refuse(
    change: &mut Change<'_>,
    guards: Guards,
    excluded: &BTreeSet<ClientAddress>,
    who: &str,
    event: impl FnOnce(EventType) -> Event,
) -> Result<(), Fault> {
    if excluded.is_empty() {
        return Ok(());
    }
    let addresses: Vec<String> = excluded.iter().map(ToString::to_string).collect();
    let (code, from) = (Code::ChangeExcludesRecentUse, addresses.join(", "));
    let detail = format!(
        "In the last hour {who} used from {from}, which this change would refuse. Let the list admit them, or say `?force=true`."
    );
    change.passes_guard(guards, &Refusal { parameters: addresses, ..Refusal::new(code, detail) })?;
    change.record(event(EventType::GuardOverridden).detail(format!("{}: {from}", code.as_str())))
}

#[cfg(test)]
pub(super) mod tests;
