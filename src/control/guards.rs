//! What keeps people from shutting themselves out, or everybody in, by mistake.

use super::Fault;
use super::actor::Actor;
use super::audit::{Event, EventType};
use super::commit::Change;
use crate::access::client_address::ClientAddress;
use crate::access::credential::AccessListMode;
use crate::access::network::Networks;
use crate::access::record::{CredentialRecord, EntryRecord, OrganizationRecord};
use crate::clock::Timestamp;
use crate::problem::{Code, Refusal};

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
pub(super) fn admits(entries: &[EntryRecord], address: ClientAddress, now: Timestamp) -> bool {
    entries.iter().any(|entry| entry.expires_at > now && entry.network.contains(address.ip()))
}

/// Whether a credential with this list may be used from an address.
fn lets_in(entries: &[EntryRecord], address: ClientAddress, mode: AccessListMode, now: Timestamp) -> bool {
    match entries {
        [] => mode != AccessListMode::Required,
        entries => admits(entries, address, now),
    }
}

/// Refuses where `overridable`, else records that a guard was passed by.
fn guard(
    change: &mut Change<'_>,
    guards: Guards,
    refusal: Refusal,
    event: impl FnOnce(EventType) -> Event,
) -> Result<(), Fault> {
    if guards == Guards::All {
        return Err(refusal.into());
    }
    change.record(event(EventType::GuardOverridden).detail(refusal.code.as_str()))
}

/// Asks the guards about a list that is to become another.
pub(super) fn list(
    change: &mut Change<'_>,
    guards: Guards,
    organization: &OrganizationRecord,
    credential: &CredentialRecord,
    (before, after): (&[EntryRecord], &[EntryRecord]),
) -> Result<(), Fault> {
    if organization.mode == AccessListMode::Required && cover_everything(after) {
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
        let takes_away = admits(before, address, now)
            && before.iter().any(|entry| {
                entry.network.contains(address.ip()) && !after.iter().any(|kept| kept.network == entry.network)
            });
        if loses && takes_away {
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
    let mut wide = Vec::new();
    for pk in change.rows().credentials_with_wide_lists(organization.pk)? {
        if let Some(credential) = change.rows().credential_by_pk(pk)?
            && cover_everything(&change.rows().entries(pk)?)
        {
            wide.push(credential.public_key.clone().unwrap_or_else(|| credential.credential().to_string()));
        }
    }
    if !wide.is_empty() {
        let detail = format!(
            "The access lists of {} credentials admit every address of a family, which the switch rules out: {}. Narrow them first.",
            wide.len(),
            wide.join(", ")
        );
        let refusal = Refusal { parameters: wide, ..Refusal::new(Code::ListsCoverEverything, detail) };
        return Err(refusal.into());
    }
    if let (Some(caller), Some(address)) = (caller, change.actor().address) {
        let entries = change.rows().entries(caller.pk)?;
        if !lets_in(&entries, address, AccessListMode::Required, change.now()) {
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

/// The address of the caller, where it is this very credential.
fn own_address(actor: &Actor, credential: &CredentialRecord) -> Option<ClientAddress> {
    actor.address.filter(|_| actor.credential() == Some(credential.credential()))
}

/// Whether a list admits every IPv4 or every IPv6 address.
pub(super) fn cover_everything(entries: &[EntryRecord]) -> bool {
    entries.iter().map(|entry| entry.network).collect::<Networks>().covers_a_family()
}
