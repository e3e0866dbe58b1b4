//! What is said of plugins, which Kong and APISIX have alike.
//!
//! Never repeats a configuration, which may hold secrets.

use super::notebook::{Reach, network, shown};
use crate::directory::ranges::Addresses;

/// Who is admitted by lists of which the second beats the first; an empty first one admits everybody.
pub(super) fn admitted(allow: &[&str], deny: &[&str]) -> Reach {
    let networks = |texts: &[&str]| texts.iter().map(|text| network(text)).collect::<Vec<_>>();
    let (allow, deny) = (networks(allow), networks(deny));
    if deny.iter().any(Option::is_none) {
        // Whom it would refuse, nobody can say.
        return Reach::unknown();
    }
    let is_doubtful = allow.iter().any(Option::is_none);
    let allowed = match allow.is_empty() {
        true => Addresses::all(),
        false => Addresses::of(allow.into_iter().flatten()),
    };
    Reach { addresses: allowed.without(&Addresses::of(deny.into_iter().flatten())), is_doubtful }
}

/// Of a text in a list that is no network.
pub(super) fn no_network(text: &str) -> Option<String> {
    let is_none = network(text).is_none();
    is_none.then(|| format!("`{}` is no network; who is let in by this plugin may be let in no more", shown(text)))
}

/// Of a restriction that is in effect for no key.
pub(super) fn restricts_nobody(name: &str) -> String {
    format!(
        "plugin `{}` restricts no key that is imported: a list belongs to a credential, not to a route or to everybody",
        shown(name)
    )
}

/// Of a plugin that does something else than to refuse callers.
pub(super) fn is_elsewhere(name: &str) -> String {
    format!("plugin `{}` says nothing about who may call from where; its work has to be done elsewhere", shown(name))
}

/// Of one that no key comes by.
pub(super) fn reaches_nobody(name: &str) -> String {
    format!("plugin `{}` has no equal; no key that is imported is in its reach", shown(name))
}

/// Of one that nobody here knows.
pub(super) fn may_refuse(name: &str) -> String {
    format!(
        "plugin `{}` may refuse requests in a way that has no equal; keys that it is in effect for are imported \
         disabled. Where it refuses nobody, take it out of a copy of the file",
        shown(name)
    )
}

/// Of keys that do not come in a header.
pub(super) fn not_in_headers(place: &str) -> String {
    format!(
        "plugin `key-auth` also takes keys from the {place}; Portcullis takes them from headers alone, and refuses who \
         sends them otherwise"
    )
}

/// Of callers who come without a key.
pub(super) fn lets_anybody_in(attribute: &str) -> String {
    format!(
        "plugin `key-auth` lets callers without a key in (`{attribute}`); a route of Portcullis asks everybody for a \
         credential, or nobody (`access: public`)"
    )
}

/// Of one by which somebody may be proven otherwise.
pub(super) fn other_proof(name: &str) -> String {
    format!("plugin `{}` takes another proof in place of a key; who comes with that is refused", shown(name))
}
