//! Declarative files of Kong Gateway, as decK writes them and DB-less nodes read them: consumers, their keys, and what
//! restricts them.
//!
//! Never takes a plugin that it does not know for harmless: credentials that it is in effect for are disabled.

mod entities;

use std::collections::BTreeSet;

use super::notebook::{KeyAt, Notebook, Reach, shown};
use super::tree::Tree;
use super::{Effect, plugins};
use crate::clock::Timestamp;
use crate::config::diagnostic::{Problem, Problems};
use entities::{Consumer, Entities, Plugin, Route};

/// Plugins that do something to a request or tell of it, and say nothing about who may call from where.
const ELSEWHERE: &[&str] = &[
    "aws-lambda",
    "azure-functions",
    "canary",
    "correlation-id",
    "cors",
    "datadog",
    "exit-transformer",
    "file-log",
    "forward-proxy",
    "grpc-gateway",
    "grpc-web",
    "http-log",
    "kafka-log",
    "loggly",
    "opentelemetry",
    "prometheus",
    "proxy-cache",
    "proxy-cache-advanced",
    "rate-limiting",
    "rate-limiting-advanced",
    "request-size-limiting",
    "request-transformer",
    "request-transformer-advanced",
    "response-ratelimiting",
    "response-transformer",
    "response-transformer-advanced",
    "route-by-header",
    "statsd",
    "statsd-advanced",
    "syslog",
    "tcp-log",
    "udp-log",
    "zipkin",
];

/// Plugins that prove somebody by something else than a key.
const OTHER_PROOFS: &[&str] = &[
    "basic-auth",
    "header-cert-auth",
    "hmac-auth",
    "jwt",
    "jwt-signer",
    "key-auth-enc",
    "ldap-auth",
    "ldap-auth-advanced",
    "mtls-auth",
    "oauth2",
    "oauth2-introspection",
    "openid-connect",
    "saml",
    "session",
    "vault-auth",
];

/// Takes everything from the documents.
///
/// # Errors
/// None of them is of this program.
pub(super) fn read(trees: &[Tree], notebook: &mut Notebook<'_>) -> Result<(), Problems> {
    let is_ours = |tree: &Tree| {
        ["_format_version", "consumers", "services", "routes", "plugins"].iter().any(|key| tree.get(key).is_some())
    };
    if let Some(stranger) = trees.iter().find(|tree| !is_ours(tree)) {
        let message = "this is no declarative file of Kong: it has neither `_format_version` nor consumers, services, routes or plugins";
        return Err(Problem::error(stranger.place.clone(), message).into());
    }
    let entities = Entities::of(trees, notebook);
    let mut keyed = Vec::new();
    for route in &entities.routes {
        let auth = entities.in_effect("key-auth", None, route);
        if let Some(auth) = auth.first()
            && notebook.route(&route.name).is_some()
        {
            carriers(auth, notebook);
            keyed.push(route);
        }
    }
    let implied = Route::implied();
    if entities.routes.is_empty() && notebook.route(&implied.name).is_some() {
        entities.in_effect("key-auth", None, &implied).first().iter().for_each(|auth| carriers(auth, notebook));
        keyed.push(&implied);
    }
    let mut used = BTreeSet::new();
    for (at, consumer) in entities.consumers.iter().enumerate() {
        let reach: Vec<Reach> = keyed.iter().map(|route| reach(&entities, (at, consumer), route, &mut used)).collect();
        keys(consumer, &reach, notebook);
    }
    judge_plugins(&entities, &used, notebook);
    Ok(())
}

/// Where the plugin looks for keys.
fn carriers(auth: &Plugin<'_>, notebook: &mut Notebook<'_>) {
    let names = auth.config.map_or_else(Vec::new, |config| config.texts_of("key_names"));
    let names = if names.is_empty() { vec!["apikey"] } else { names };
    let on = |key: &str, default: bool| auth.config.and_then(|config| config.switch(key)).unwrap_or(default);
    if on("key_in_header", true) {
        names.iter().for_each(|name| notebook.header(name));
    }
    for (key, default, place) in [("key_in_query", true, "query string"), ("key_in_body", false, "body")] {
        if on(key, default) {
            notebook.notice(auth.place, Effect::Missing, plugins::not_in_headers(place));
        }
    }
    if auth.config.is_some_and(|config| config.get("anonymous").is_some()) {
        notebook.notice(auth.place, Effect::Missing, plugins::lets_anybody_in("anonymous"));
    }
}

/// From where a consumer's keys may be used on a route.
fn reach<'e>(
    entities: &'e Entities<'_>,
    (at, consumer): (usize, &Consumer<'_>),
    route: &Route,
    used: &mut BTreeSet<usize>,
) -> Reach {
    let mut reach = match consumer.is_lost || route.is_lost {
        true => Reach::unknown(),
        false => Reach::anywhere(),
    };
    for name in &entities.plugin_names {
        let in_effect: Vec<&'e Plugin<'_>> = entities.in_effect(name, Some((at, consumer)), route);
        used.extend(in_effect.iter().map(|plugin| plugin.number));
        for plugin in &in_effect {
            reach = reach.and(&restriction(plugin, consumer));
        }
        // Several groups of one consumer have the plugin, and one of them is chosen in a way that a file does not tell.
        reach.is_doubtful |= in_effect.len() > 1;
    }
    reach
}

fn restriction(plugin: &Plugin<'_>, consumer: &Consumer<'_>) -> Reach {
    match plugin.name {
        "key-auth" => Reach::anywhere(),
        "ip-restriction" => plugin.config.map_or_else(Reach::anywhere, addresses),
        "acl" => acl(plugin.config, consumer),
        "request-termination" => match plugin.config.and_then(|config| config.get("trigger")) {
            Some(_) => Reach::unknown(),
            None => Reach::nowhere(),
        },
        name if is_elsewhere(name) => Reach::anywhere(),
        name if OTHER_PROOFS.contains(&name) => match plugin.config.and_then(|config| config.get("anonymous")) {
            // Who has no such proof passes it as somebody else, and is proven by the key.
            Some(_) => Reach::anywhere(),
            None => Reach::unknown(),
        },
        _ => Reach::unknown(),
    }
}

fn is_elsewhere(name: &str) -> bool {
    ELSEWHERE.contains(&name) || name.starts_with("ai-")
}

/// Texts of an attribute that had another name once.
fn either<'t>(config: &'t Tree, name: &str, before: &str) -> Vec<&'t str> {
    let now = config.texts_of(name);
    if now.is_empty() { config.texts_of(before) } else { now }
}

fn addresses(config: &Tree) -> Reach {
    plugins::admitted(&either(config, "allow", "whitelist"), &either(config, "deny", "blacklist"))
}

fn acl(config: Option<&Tree>, consumer: &Consumer<'_>) -> Reach {
    let Some(config) = config else { return Reach::unknown() };
    let (allow, deny) = (either(config, "allow", "whitelist"), either(config, "deny", "blacklist"));
    let is_in = |groups: &[&str]| groups.iter().any(|group| consumer.acls.contains(group));
    // Newer versions may count groups of consumers as well.
    if config.switch("include_consumer_groups") == Some(true) && !consumer.groups.is_empty() {
        return Reach::unknown();
    }
    match is_in(&deny) || !allow.is_empty() && !is_in(&allow) {
        true => Reach::nowhere(),
        false => Reach::anywhere(),
    }
}

fn keys(consumer: &Consumer<'_>, reach: &[Reach], notebook: &mut Notebook<'_>) {
    if consumer.keys.is_empty() && !consumer.has_other_credentials {
        let message = format!("consumer `{}` has no key", shown(&consumer.name));
        notebook.notice(consumer.place, Effect::LeftOut, message);
    }
    for credential in &consumer.keys {
        let Some(secret) = credential.text_of("key") else {
            let message =
                format!("a key of `{}` is not in the file; it was drawn where it was made", shown(&consumer.name));
            notebook.notice(&credential.place, Effect::LeftOut, message);
            continue;
        };
        let Some(key) = notebook.key(&consumer.name, &credential.place, secret) else { continue };
        reach.iter().for_each(|one| notebook.reach(key, one.clone()));
        consumer.acls.iter().for_each(|group| notebook.role(key, consumer.place, group));
        lifetime(consumer, credential, key, notebook);
    }
}

fn lifetime(consumer: &Consumer<'_>, credential: &Tree, key: KeyAt, notebook: &mut Notebook<'_>) {
    let Some(ttl) = credential.text_of("ttl").filter(|ttl| *ttl != "0") else { return };
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let end =
        number(Some(ttl)).zip(number(credential.text_of("created_at"))).and_then(|(ttl, made)| made.checked_add(ttl));
    match end {
        Some(end) => notebook.expires(key, Timestamp::from_unix_seconds(end).to_string()),
        None => {
            let message = format!(
                "a key of `{}` ends after `ttl`, and the file does not say when it was made (`created_at`); it is imported disabled",
                shown(&consumer.name)
            );
            notebook.disable(key);
            notebook.notice(&credential.place, Effect::Disabled, message);
        }
    }
}

/// Tells each plugin that has no equal, or is in effect for no key.
fn judge_plugins(entities: &Entities<'_>, used: &BTreeSet<usize>, notebook: &mut Notebook<'_>) {
    for plugin in entities.plugins() {
        let (name, config) = (plugin.name, plugin.config);
        let has = |key: &str| config.is_some_and(|config| config.get(key).is_some());
        let is_used = used.contains(&plugin.number);
        let told = match name {
            "key-auth" => None,
            "ip-restriction" | "acl" if !is_used => Some((Effect::LeftOut, plugins::restricts_nobody(name))),
            "ip-restriction" => {
                let lists = [("allow", "whitelist"), ("deny", "blacklist")];
                let texts =
                    config.into_iter().flat_map(|config| lists.map(|(now, before)| either(config, now, before)));
                for message in texts.flatten().filter_map(plugins::no_network) {
                    notebook.notice(plugin.place, Effect::Narrower, message);
                }
                None
            }
            "acl" => None,
            name if is_elsewhere(name) => Some((Effect::Missing, plugins::is_elsewhere(name))),
            "request-termination" if !has("trigger") => None,
            name if !is_used => Some((Effect::LeftOut, plugins::reaches_nobody(name))),
            name if OTHER_PROOFS.contains(&name) && has("anonymous") => {
                Some((Effect::LeftOut, plugins::other_proof(name)))
            }
            name => Some((Effect::Disabled, plugins::may_refuse(name))),
        };
        if let Some((effect, message)) = told {
            notebook.notice(plugin.place, effect, message);
        }
    }
}
