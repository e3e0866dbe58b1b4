//! What keeps people from shutting themselves out, or everybody in, by mistake.

use std::sync::Arc;

use super::Fault;
use super::actor::Actor;
use super::audit::{Event, EventType};
use super::change::Change;
use super::network_sets::{KnownSets, List, Sets};
use super::organizations::caller;
use crate::access::client_address::ClientAddress;
use crate::access::credential::AccessListMode;
use crate::access::network::{Network, Networks};
use crate::access::record::{CredentialRecord, NetworkSetRecord, OrganizationRecord};
use crate::clock::Timestamp;
use crate::problem::{Code, Refusal};

/// Most lists that a refusal names.
const MOST_NAMED: usize = 20;

/// Which guards refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guards {
    /// All of them.
    All,
    /// None but those that nothing overrides: the caller said that it means it.
    Forced,
    /// Those that Cloud Manager has; what others would refuse is done, and recorded.
    CloudManagers,
}

/// Whether a list admits an address now.
pub(super) fn admits(list: List<'_>, address: ClientAddress, now: Timestamp) -> bool {
    list.networks().any(|(network, expires_at)| expires_at > now && network.contains(address.ip()))
}

/// Whether a credential with this list may be used from an address.
fn lets_in(list: List<'_>, address: ClientAddress, mode: AccessListMode, now: Timestamp) -> bool {
    match list.is_empty() {
        true => mode != AccessListMode::Required,
        false => admits(list, address, now),
    }
}

/// Refuses, or records that the guard was passed by. In a rehearsal it does neither, and is told.
fn guard(
    change: &mut Change<'_>,
    guards: Guards,
    refusal: Refusal,
    event: impl FnOnce(EventType) -> Event,
) -> Result<(), Fault> {
    change.passes_guard(guards, &refusal)?;
    change.record(event(EventType::GuardOverridden).detail(refusal.code.as_str()))
}

/// Asks the guards about a list that is to become another.
pub(super) fn list(
    change: &mut Change<'_>,
    guards: Guards,
    organization: &OrganizationRecord,
    credential: &CredentialRecord,
    (before, after): (List<'_>, List<'_>),
) -> Result<(), Fault> {
    if organization.mode == AccessListMode::Required && covers_everything(after) {
        let detail = format!(
            "Organization {} requires access lists; this list would admit every address of a family. Name narrower networks.",
            organization.id
        );
        return Err(Refusal::new(Code::CannotAddIpAddress, detail).into());
    }
    if let Some(address) = own_address(change.actor(), credential) {
        let now = change.now();
        let loses =
            lets_in(before, address, organization.mode, now) && !lets_in(after, address, organization.mode, now);
        let is_gone = |network: Network| !after.networks().any(|(kept, _)| kept == network);
        let takes_away = admits(before, address, now)
            && !admits(after, address, now)
            && before.networks().any(|(network, _)| network.contains(address.ip()) && is_gone(network));
        // Also where an empty list would let it in from anywhere: that is for somebody else to decide.
        if takes_away {
            let detail =
                format!("The calling credential is used from {address}, which would be on its own list no more.");
            return Err(Refusal::new(Code::CannotRemoveCaller, detail).with(address).into());
        }
        if loses {
            let detail = format!(
                "The calling credential is used from {address}, which this list would not admit. Add it, or say `?force=true`."
            );
            let refusal = Refusal::new(Code::ChangeExcludesCaller, detail).with(address);
            guard(change, guards, refusal, |event| Event::on(event, credential))?;
        }
    }
    if organization.mode != AccessListMode::Required && covers_everything(after) && !covers_everything(before) {
        change.record(Event::on(EventType::ListCoversEverything, credential))?;
    }
    if !before.is_empty() && after.is_empty() && organization.mode != AccessListMode::Required {
        let detail = "Without its last entry the credential could be used from anywhere, because its organization does not \
                      require lists. Delete or disable the credential, or say `?force=true`.";
        let refusal = Refusal::new(Code::ChangeRemovesRestriction, detail);
        guard(change, guards, refusal, |event| Event::on(event, credential))?;
    }
    Ok(())
}

/// Asks the guards about the switch of an organization that is to become *required*.
pub(super) fn switch_on(
    change: &mut Change<'_>,
    guards: Guards,
    organization: &OrganizationRecord,
    caller: Option<&CredentialRecord>,
) -> Result<(), Fault> {
    let rows = change.rows();
    let sets: Vec<Network> = rows.network_sets(organization.pk)?.into_iter().flat_map(|set| set.networks).collect();
    let mut candidates = rows.credentials_with_wide_lists(organization.pk)?;
    if may_cover_half(&sets) {
        candidates.extend(rows.credentials_with_sets(organization.pk)?);
    }
    wide_lists(change, organization, candidates, None)?;
    if let (Some(caller), Some(address)) = (caller, change.actor().address) {
        let entries = change.rows().entries(caller.pk)?;
        let sets = Sets::of(change.rows(), organization.pk, &entries)?;
        if !lets_in(List::new(&entries, &sets), address, AccessListMode::Required, change.now()) {
            let detail = format!(
                "The calling credential has no access list that admits {address}; it would be refused from then on. \
                 Give it one first, or say `?force=true`."
            );
            let refusal = Refusal::new(Code::ChangeExcludesCaller, detail).with(address);
            let id = organization.id;
            guard(change, guards, refusal, |event| Event::new(event, id))?;
        }
    }
    Ok(())
}

/// Asks the guards about a network set that is to hold something else.
pub(super) fn network_set(
    change: &mut Change<'_>,
    guards: Guards,
    organization: &OrganizationRecord,
    (set, after): (&NetworkSetRecord, &[Network]),
) -> Result<(), Fault> {
    // Both are in order.
    let grows = after.iter().any(|network| set.networks.binary_search(network).is_err());
    tell_of_wide_set(change, organization, &set.name, (&set.networks, after))?;
    if organization.mode == AccessListMode::Required && grows {
        let rows = change.rows();
        let others = rows.network_sets(organization.pk)?.into_iter().filter(|one| one.pk != set.pk);
        let all: Vec<Network> = others.flat_map(|one| one.networks).chain(after.iter().copied()).collect();
        let candidates = match may_cover_half(&all) {
            true => rows.credentials_of_set(set.pk, u64::MAX >> 1)?,
            false => rows.wide_lists_of_set(set.pk)?,
        };
        wide_lists(change, organization, candidates, Some((&set.name, after)))?;
    }
    let (actor, now) = (change.actor(), change.now());
    let (Some(caller), Some(address)) = (caller(change.rows(), actor, organization.id)?, actor.address) else {
        return Ok(());
    };
    let entries = change.rows().entries(caller.pk)?;
    let before = Sets::of(change.rows(), organization.pk, &entries)?;
    let sets = before.clone().with(&set.name, &after.into());
    let lets_in = |sets: &Sets| lets_in(List::new(&entries, sets), address, organization.mode, now);
    match lets_in(&before) && !lets_in(&sets) {
        false => Ok(()),
        true => {
            let detail = format!(
                "The calling credential is used from {address}, which its list would admit no more without what this set \
                 holds now. Add it, or say `?force=true`."
            );
            let refusal = Refusal::new(Code::ChangeExcludesCaller, detail).with(address);
            guard(change, guards, refusal, |event| Event::on(event, &caller))
        }
    }
}

/// Records that a network set comes to admit everybody, where that is allowed.
pub(super) fn tell_of_wide_set(
    change: &mut Change<'_>,
    organization: &OrganizationRecord,
    name: &str,
    (before, after): (&[Network], &[Network]),
) -> Result<(), Fault> {
    let covers = |networks: &[Network]| networks.iter().copied().collect::<Networks>().covers_a_family();
    if organization.mode == AccessListMode::Required || !covers(after) || covers(before) {
        return Ok(());
    }
    change.record(Event::new(EventType::NetworkSetCoversEverything, organization.id).detail(name))
}

/// Whether networks may be at least half of a family; what is counted twice makes it no less.
fn may_cover_half(networks: &[Network]) -> bool {
    let share = |is_ipv4: bool| -> f64 {
        let family = networks.iter().filter(|network| network.address().is_ipv4() == is_ipv4);
        family.map(|network| 0.5_f64.powi(network.prefix_len().into())).sum()
    };
    share(true) >= 0.5 || share(false) >= 0.5
}

/// Refuses where any of these credentials has a list that admits every address of a family, with a set as it is to be.
fn wide_lists(
    change: &Change<'_>,
    organization: &OrganizationRecord,
    mut candidates: Vec<i64>,
    set: Option<(&Arc<str>, &[Network])>,
) -> Result<(), Fault> {
    let rows = change.rows();
    candidates.sort_unstable();
    candidates.dedup();
    let (mut wide, mut known) = (Vec::new(), KnownSets::of(rows, organization.pk));
    let set = set.map(|(name, networks)| (name, Arc::<[Network]>::from(networks)));
    for pk in candidates {
        let entries = rows.entries(pk)?;
        let sets = known.of_entries(&entries)?;
        let sets = match &set {
            Some((name, networks)) => sets.with(name, networks),
            None => sets,
        };
        if covers_everything(List::new(&entries, &sets))
            && let Some(credential) = rows.credential_by_pk(pk)?
        {
            wide.push(credential.public_key.clone().unwrap_or_else(|| credential.credential().to_string()));
        }
    }
    if wide.is_empty() {
        return Ok(());
    }
    let what = if set.is_some() { "would admit" } else { "admit" };
    let detail = format!(
        "The access lists of {} credentials {what} every address of a family, which the switch rules out: {}{}. Narrow \
         {}.",
        wide.len(),
        wide.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", "),
        if wide.len() > MOST_NAMED { ", …" } else { "" },
        if set.is_some() { "the set" } else { "them first" },
    );
    wide.truncate(MOST_NAMED);
    Err(Refusal { parameters: wide, ..Refusal::new(Code::ListsCoverEverything, detail) }.into())
}

/// The address of the caller, where it is this very credential.
fn own_address(actor: &Actor, credential: &CredentialRecord) -> Option<ClientAddress> {
    actor.address.filter(|_| actor.credential() == Some(credential.credential()))
}

/// Whether a list admits every IPv4 or every IPv6 address.
fn covers_everything(list: List<'_>) -> bool {
    list.networks().map(|(network, _)| network).collect::<Networks>().covers_a_family()
}
