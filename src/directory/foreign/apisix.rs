//! Files of Apache APISIX, its standalone file and those of ADC: consumers, their keys, and what restricts them.
//!
//! Never takes a plugin that it does not know for harmless: credentials that it is in effect for are disabled.

mod entities;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::notebook::{Notebook, Reach, shown};
use super::tree::Tree;
use super::{Effect, plugins};
use crate::config::diagnostic::{Problem, Problems};
use entities::{Consumer, Entities, Route};

/// Plugins that do something to a request or tell of it, and say nothing about who may call from where.
const ELSEWHERE: &[&str] = &[
    "api-breaker",
    "attach-consumer-label",
    "aws-lambda",
    "azure-functions",
    "batch-requests",
    "body-transformer",
    "brotli",
    "client-control",
    "clickhouse-logger",
    "cors",
    "datadog",
    "echo",
    "elasticsearch-logger",
    "error-log-logger",
    "file-logger",
    "grpc-transcode",
    "grpc-web",
    "gzip",
    "http-logger",
    "kafka-logger",
    "kafka-proxy",
    "limit-conn",
    "limit-count",
    "limit-req",
    "loggly",
    "loki-logger",
    "node-status",
    "opentelemetry",
    "openwhisk",
    "prometheus",
    "proxy-buffering",
    "proxy-cache",
    "proxy-control",
    "proxy-mirror",
    "proxy-rewrite",
    "redirect",
    "request-id",
    "request-validation",
    "response-rewrite",
    "rocketmq-logger",
    "server-info",
    "skywalking",
    "skywalking-logger",
    "sls-logger",
    "splunk-hec-logging",
    "syslog",
    "tcp-logger",
    "tencent-cloud-cls",
    "traffic-split",
    "udp-logger",
    "workflow",
    "zipkin",
];

/// The places of the configurations that are in effect for some key.
type Used = BTreeSet<(Arc<str>, usize, usize)>;

fn spot(config: &Tree) -> (Arc<str>, usize, usize) {
    let place = &config.place;
    (Arc::clone(&place.file), place.line, place.column)
}

/// Takes everything from the documents.
///
/// # Errors
/// None of them is of this program.
pub(super) fn read(trees: &[Tree], notebook: &mut Notebook<'_>) -> Result<(), Problems> {
    let sections = ["consumers", "consumer_groups", "routes", "services", "global_rules"];
    if let Some(stranger) = trees.iter().find(|tree| !sections.iter().any(|key| tree.get(key).is_some())) {
        let message = "this is no file of APISIX: it has neither consumers nor routes, services or global rules";
        return Err(Problem::error(stranger.place.clone(), message).into());
    }
    let entities = Entities::of(trees, notebook);
    let mut keyed = Vec::new();
    for route in &entities.routes {
        let plugins = entities.merged(None, route);
        let asks = entities.everywhere().chain(plugins.iter().map(|(name, config)| (*name, *config)));
        let asked: Vec<&Tree> = asks.filter_map(|(name, config)| asks_for_key(name, config)).collect();
        if !asked.is_empty() && notebook.route(&route.name).is_some() {
            asked.iter().for_each(|config| carriers(config, notebook));
            keyed.push(route);
        }
    }
    let implied = Route::implied();
    if entities.routes.is_empty() && notebook.route(&implied.name).is_some() {
        entities
            .everywhere()
            .filter_map(|(name, config)| asks_for_key(name, config))
            .for_each(|config| carriers(config, notebook));
        keyed.push(&implied);
    }
    let mut used = Used::new();
    for consumer in &entities.consumers {
        let reach: Vec<Reach> = keyed.iter().map(|route| reach(&entities, consumer, route, &mut used)).collect();
        keys(consumer, &reach, notebook);
    }
    judge_plugins(&entities, &used, notebook);
    Ok(())
}

/// The configuration by which a plugin asks for a key, where it does.
fn asks_for_key<'t>(name: &str, config: &'t Tree) -> Option<&'t Tree> {
    match name {
        "key-auth" => Some(config),
        "multi-auth" => config.items_of("auth_plugins").iter().find_map(|one| one.get("key-auth")),
        _ => None,
    }
}

fn carriers(config: &Tree, notebook: &mut Notebook<'_>) {
    notebook.header(config.text_of("header").unwrap_or("apikey"));
    notebook.notice(&config.place, Effect::Missing, plugins::not_in_headers("query string"));
    if config.get("anonymous_consumer").is_some() {
        notebook.notice(&config.place, Effect::Missing, plugins::lets_anybody_in("anonymous_consumer"));
    }
}

/// From where a consumer's keys may be used on a route.
fn reach(entities: &Entities<'_>, consumer: &Consumer<'_>, route: &Route<'_>, used: &mut Used) -> Reach {
    let mut reach = match consumer.is_lost {
        true => Reach::unknown(),
        false => route.matches.clone(),
    };
    let merged: BTreeMap<&str, &Tree> = entities.merged(Some(consumer), route);
    for (name, config) in entities.everywhere().chain(merged) {
        used.insert(spot(config));
        reach = reach.and(&restriction(name, config, consumer, route));
    }
    reach
}

fn restriction(name: &str, config: &Tree, consumer: &Consumer<'_>, route: &Route<'_>) -> Reach {
    if config.at(&["_meta", "pre_function"]).is_some() {
        return Reach::unknown();
    }
    match name {
        "key-auth" => Reach::anywhere(),
        "multi-auth" => match asks_for_key(name, config) {
            Some(_) => Reach::anywhere(),
            None => Reach::unknown(),
        },
        "ip-restriction" => addresses(config),
        "consumer-restriction" => by_name(config, consumer, route),
        name if is_elsewhere(name) => Reach::anywhere(),
        _ => Reach::unknown(),
    }
}

fn is_elsewhere(name: &str) -> bool {
    ELSEWHERE.contains(&name) || name.starts_with("ai-") || name == "real-ip"
}

fn addresses(config: &Tree) -> Reach {
    plugins::admitted(&config.texts_of("whitelist"), &config.texts_of("blacklist"))
}

fn by_name(config: &Tree, consumer: &Consumer<'_>, route: &Route<'_>) -> Reach {
    let is_any_of = |names: &[&str], known: &[&str]| names.iter().any(|name| known.contains(name));
    let names: Vec<&str> = match config.text_of("type").unwrap_or("consumer_name") {
        "consumer_name" => vec![&consumer.name],
        "consumer_group_id" => consumer.group.into_iter().collect(),
        "route_id" => route.id.into_iter().collect(),
        "service_id" => route.service_id.into_iter().collect(),
        _ => return Reach::unknown(),
    };
    if names.is_empty() || is_any_of(&names, &config.texts_of("blacklist")) {
        return Reach::nowhere();
    }
    let listed = config.texts_of("whitelist");
    let is_listed = is_any_of(&names, &listed);
    let by_method: Vec<&str> =
        config.items_of("allowed_by_methods").iter().filter_map(|one| one.text_of("user")).collect();
    match (by_method.is_empty(), listed.is_empty() || is_listed) {
        (true, true) => Reach::anywhere(),
        (true, false) => Reach::nowhere(),
        // Which methods somebody may use has no equal.
        (false, _) if is_any_of(&names, &by_method) || !is_listed => Reach::unknown(),
        (false, _) => Reach::anywhere(),
    }
}

fn keys(consumer: &Consumer<'_>, reach: &[Reach], notebook: &mut Notebook<'_>) {
    let name = shown(&consumer.name);
    if consumer.keys.is_empty() && !consumer.has_other_credentials {
        notebook.notice(consumer.place, Effect::LeftOut, format!("consumer `{name}` has no key"));
    }
    for config in &consumer.keys {
        let Some(secret) = config.text_of("key") else {
            notebook.notice(&config.place, Effect::LeftOut, format!("a key of `{name}` is not in the file"));
            continue;
        };
        let Some(key) = notebook.key(&consumer.name, &config.place, secret) else { continue };
        reach.iter().for_each(|one| notebook.reach(key, one.clone()));
        if let Some(group) = consumer.group {
            notebook.role(key, consumer.place, group);
        }
    }
}

/// Tells each plugin that has no equal, or is in effect for no key.
fn judge_plugins(entities: &Entities<'_>, used: &Used, notebook: &mut Notebook<'_>) {
    for (plugin, config) in &entities.all_plugins {
        let mut place = &config.place;
        let is_used = used.contains(&spot(config));
        let told = match *plugin {
            "key-auth" => None,
            "multi-auth" if asks_for_key(plugin, config).is_some() => Some((Effect::LeftOut, plugins::other_proof(plugin))),
            "ip-restriction" | "consumer-restriction" if !is_used => {
                Some((Effect::LeftOut, plugins::restricts_nobody(plugin)))
            }
            "ip-restriction" => {
                let texts = ["whitelist", "blacklist"].into_iter().flat_map(|key| config.texts_of(key));
                for message in texts.filter_map(plugins::no_network) {
                    notebook.notice(place, Effect::Narrower, message);
                }
                None
            }
            "consumer-restriction" => config.get("allowed_by_methods").map(|methods| {
                place = &methods.place;
                let message = "`allowed_by_methods`: which methods a caller may use has no equal; those who are named are imported disabled";
                (Effect::Disabled, message.to_owned())
            }),
            "real-ip" => {
                let message = "plugin `real-ip`: where the client's address is read from is said by `gateway.client_address`";
                Some((Effect::Configure, message.to_owned()))
            }
            name if is_elsewhere(name) => Some((Effect::Missing, plugins::is_elsewhere(name))),
            name if !is_used => Some((Effect::LeftOut, plugins::reaches_nobody(name))),
            name => Some((Effect::Disabled, plugins::may_refuse(name))),
        };
        if let Some((effect, message)) = told {
            notebook.notice(place, effect, message);
        }
    }
}
