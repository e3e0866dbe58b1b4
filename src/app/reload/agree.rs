//! Whether a configuration goes together with what it refers to: the organizations of the directory, the realm of its HA1s,
//! and files of its own such as certificates.

use std::collections::HashSet;

use crate::access::id::Id;
use crate::app::Chain;
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::config::settings::Settings;
use crate::config::{Named, NamedOrganization};
use crate::net::tls;

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

/// One problem for each certificate, key or CA file that can't be used.
pub fn unusable_files(place: &Place, settings: &Settings) -> Problems {
    let listeners = settings.sockets.listen.iter().filter_map(|listen| {
        let fault = tls::server_config(listen.tls.as_ref()?).err()?;
        Some(format!("listener {}: {}", listen.address, Chain(&fault)))
    });
    let upstreams = settings.gateway.upstreams.iter().filter_map(|upstream| {
        // The system's roots are nobody's fault in this file.
        upstream.tls.ca.as_ref()?;
        let fault = tls::client_config(&upstream.tls).err()?;
        Some(format!("upstream `{}`: {}", upstream.name, Chain(&fault)))
    });
    listeners.chain(upstreams).map(|message| Problem::error(place.clone(), message)).collect()
}
