//! Whether a configuration goes together with what it refers to: the organizations of the directory, the realm of its HA1s,
//! and files of its own such as certificates.

use std::collections::HashSet;

use crate::access::id::Id;
use crate::app::{Chain, key_refresh};
use crate::clock::Clock;
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::config::settings::{Gateway, Settings, Sockets};
use crate::config::{Named, NamedOrganization};
use crate::live::key_sets::KeySets;
use crate::net::tls::files::{Authorities, Certificates, TlsFiles};

/// One problem for each organization that a route or an issuer names and the directory does not have.
pub fn unknown_organizations(named: &[NamedOrganization], known: impl IntoIterator<Item = Id>) -> Problems {
    let known: HashSet<Id> = known.into_iter().collect();
    let problem = |named: &NamedOrganization| {
        let message = format!("the directory does not have organization `{}`", named.id);
        let help = "add the organization to the directory, or take its id out of the configuration";
        Problem::error(named.place.clone(), message).with_help(help)
    };
    named.iter().filter(|named| !known.contains(&named.id)).map(problem).collect()
}

/// Keys that are named in one problem.
const NAMED_KEYS: usize = 5;

/// A problem where Digest is on for another realm than stored HA1s were made for: their keys would all be refused.
pub fn foreign_realms<'d>(named: &Named, stored: impl IntoIterator<Item = (Id, &'d str)>) -> Problems {
    let Some((realm, place)) = &named.digest_realm else { return Problems::default() };
    let mut foreign: Vec<(Id, &str)> = stored.into_iter().filter(|(_, stored)| stored != realm).collect();
    if foreign.is_empty() {
        return Problems::default();
    }
    foreign.sort_unstable();
    foreign.dedup();
    let count = foreign.len();
    let named = foreign.iter().take(NAMED_KEYS);
    let mut keys = named.map(|(id, realm)| format!("{id} (`{realm}`)")).collect::<Vec<_>>().join(", ");
    if count > NAMED_KEYS {
        keys += &format!(" and {} more", count - NAMED_KEYS);
    }
    let message = format!("the realm is `{realm}`, but the directory has HA1s for another: of API keys {keys}");
    let help = "make those HA1s again by `portcullis hash --digest REALM`, or keep the realm that they were made for";
    Problem::error(place.clone(), message).with_help(help).into()
}

/// Reads the certificates of listeners; one problem for each that can't be used.
///
/// # Errors
/// These problems.
pub fn certificates(place: &Place, sockets: &Sockets, before: &Certificates) -> Result<Certificates, Problems> {
    Certificates::read(sockets, before).map_err(|faults| problems(place, &faults))
}

/// Reads the CA files of upstreams; one problem for each that can't be used.
///
/// # Errors
/// These problems.
pub fn authorities(place: &Place, gateway: &Gateway, before: &Authorities) -> Result<Authorities, Problems> {
    Authorities::read(gateway, before).map_err(|faults| problems(place, &faults))
}

/// Reads the key sets of issuers that keep them in files; one problem for each that can't be used.
///
/// # Errors
/// These problems.
pub fn key_sets(place: &Place, gateway: &Gateway, before: &KeySets) -> Result<KeySets, Problems> {
    key_refresh::load(gateway, before, &Clock::system()).map_err(|faults| problems(place, &faults))
}

/// Everything that settings need besides themselves and the directory; all that is wrong with it at once.
///
/// # Errors
/// One problem for each file that can't be used.
pub fn material(
    place: &Place,
    settings: &Settings,
    keys_before: &KeySets,
    tls_before: &TlsFiles,
) -> Result<(KeySets, TlsFiles), Problems> {
    let certificates = certificates(place, &settings.sockets, &tls_before.certificates);
    let authorities = authorities(place, &settings.gateway, &tls_before.authorities);
    match (certificates, authorities, key_sets(place, &settings.gateway, keys_before)) {
        (Ok(certificates), Ok(authorities), Ok(keys)) => Ok((keys, TlsFiles { certificates, authorities })),
        (certificates, authorities, keys) => {
            let mut problems = certificates.err().unwrap_or_default();
            problems.append(authorities.err().unwrap_or_default());
            problems.append(keys.err().unwrap_or_default());
            Err(problems)
        }
    }
}

/// Each fault with its causes, as a problem of the whole file.
fn problems<E: std::error::Error>(place: &Place, faults: &[E]) -> Problems {
    faults.iter().map(|fault| Problem::error(place.clone(), Chain(fault).to_string())).collect()
}
