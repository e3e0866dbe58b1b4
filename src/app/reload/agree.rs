//! Whether a configuration goes together with what it refers to: the organizations of the directory, and files of its own
//! such as certificates.

use std::collections::HashSet;

use crate::access::id::Id;
use crate::app::Chain;
use crate::config::NamedOrganization;
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::config::settings::Settings;
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
