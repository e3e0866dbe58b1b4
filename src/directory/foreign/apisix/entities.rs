//! Consumers, routes, services and plugins of APISIX's files, as the standalone file and ADC nest them.
//!
//! Never guesses: what refers to something that is not in the files is told.

use std::collections::{BTreeMap, HashMap};

use super::super::Effect;
use super::super::notebook::{Notebook, Reach, network, shown};
use super::super::tree::Tree;
use crate::config::diagnostic::Place;
use crate::directory::ranges::Addresses;

/// A consumer.
pub(super) struct Consumer<'t> {
    pub(super) name: String,
    pub(super) place: &'t Place,
    pub(super) group: Option<&'t str>,
    /// Configurations of plugin `key-auth`.
    pub(super) keys: Vec<&'t Tree>,
    pub(super) has_other_credentials: bool,
    /// Refers to something that is not in the files, so that nobody knows what restricts it.
    pub(super) is_lost: bool,
    plugins: Option<&'t Tree>,
}

/// A route.
pub(super) struct Route<'t> {
    pub(super) name: String,
    pub(super) id: Option<&'t str>,
    pub(super) service_id: Option<&'t str>,
    /// The addresses that it is chosen for at all.
    pub(super) matches: Reach,
    /// Plugins of service, plugin configuration and route, the closer ones behind.
    plugins: Vec<&'t Tree>,
}

/// Everything in the files.
#[derive(Default)]
pub(super) struct Entities<'t> {
    pub(super) consumers: Vec<Consumer<'t>>,
    pub(super) routes: Vec<Route<'t>>,
    /// Every plugin that is switched on, with its configuration.
    pub(super) all_plugins: Vec<(&'t str, &'t Tree)>,
    groups: HashMap<&'t str, Option<&'t Tree>>,
    global: Vec<(&'t str, &'t Tree)>,
}

/// The plugins of a mapping that are switched on.
fn switched_on(plugins: &Tree) -> impl Iterator<Item = (&str, &Tree)> {
    let is_off = |config: &Tree| {
        config.get("_meta").and_then(|meta| meta.switch("disable")) == Some(true)
            || config.switch("disable") == Some(true)
    };
    plugins.entries().filter(move |(_, _, config)| !is_off(config)).map(|(name, _, config)| (name, config))
}

fn named(tree: &Tree) -> Option<&str> {
    tree.text_of("id").or_else(|| tree.text_of("name"))
}

impl Route<'_> {
    /// What stands for all routes where the files have none.
    pub(super) fn implied() -> Self {
        Self {
            name: "every route".to_owned(),
            id: None,
            service_id: None,
            matches: Reach::anywhere(),
            plugins: Vec::new(),
        }
    }
}

impl<'t> Entities<'t> {
    /// Gathers them, and tells what is none of them.
    pub(super) fn of(trees: &'t [Tree], notebook: &mut Notebook<'_>) -> Self {
        let mut entities = Self::default();
        for tree in trees {
            for (section, place, value) in tree.entries() {
                match section {
                    "consumers" | "consumer_groups" | "routes" | "services" | "global_rules" | "plugin_configs" => {}
                    "upstreams" => {
                        notebook.notice(place, Effect::Configure, "`upstreams`: write them under `gateway.upstreams`")
                    }
                    "ssls" | "ssl" => notebook.notice(
                        place,
                        Effect::Configure,
                        format!("`{section}`: certificates are named under `gateway.listen`"),
                    ),
                    _ => {
                        let entries = value.items().len().max(value.entries().count());
                        notebook.notice(
                            place,
                            Effect::LeftOut,
                            format!("section `{}` has no equal ({entries} entries)", shown(section)),
                        );
                    }
                }
            }
        }
        let all = |section: &'static str| trees.iter().flat_map(move |tree| tree.items_of(section));
        for rule in all("global_rules") {
            let plugins = rule.get("plugins");
            entities.global.extend(plugins.into_iter().flat_map(switched_on));
        }
        // ADC writes them without a list.
        let rules = trees.iter().filter_map(|tree| tree.get("global_rules"));
        entities.global.extend(rules.flat_map(switched_on));
        entities.all_plugins.clone_from(&entities.global);
        for group in all("consumer_groups") {
            let plugins = group.get("plugins");
            entities.groups.extend(named(group).map(|name| (name, plugins)));
            entities.all_plugins.extend(plugins.into_iter().flat_map(switched_on));
            group.items_of("consumers").iter().for_each(|one| entities.consumer(one, named(group), notebook));
        }
        let by_id =
            |section: &'static str| all(section).filter_map(|one| Some((named(one)?, one))).collect::<HashMap<_, _>>();
        let (configs, services) = (by_id("plugin_configs"), by_id("services"));
        for shared in all("plugin_configs").chain(all("services")) {
            entities.all_plugins.extend(shared.get("plugins").into_iter().flat_map(switched_on));
        }
        for service in all("services") {
            let name = shown(named(service).unwrap_or("without a name"));
            notebook.notice(
                &service.place,
                Effect::Configure,
                format!("service `{name}`: write it under `gateway.upstreams`"),
            );
            service
                .items_of("routes")
                .iter()
                .for_each(|route| entities.route(route, Some(service), &configs, notebook));
        }
        for route in all("routes") {
            let service = route.text_of("service_id").and_then(|id| services.get(id).copied());
            entities.route(route, service, &configs, notebook);
        }
        for consumer in all("consumers") {
            // Credentials of their own stand beside the consumers.
            match consumer.text_of("id").and_then(|id| id.split_once("/credentials/")) {
                Some((owner, _)) if consumer.get("username").is_none() => {
                    let keys = consumer.at(&["plugins", "key-auth"]);
                    match entities.consumers.iter_mut().find(|one| one.name == owner) {
                        Some(known) => known.keys.extend(keys),
                        None => notebook.notice(
                            &consumer.place,
                            Effect::LeftOut,
                            format!(
                                "this credential is of consumer `{}`, which does not stand before it",
                                shown(owner)
                            ),
                        ),
                    }
                    if keys.is_none() {
                        notebook.notice(
                            &consumer.place,
                            Effect::LeftOut,
                            "only credentials of plugin `key-auth` are imported",
                        );
                    }
                }
                _ => entities.consumer(consumer, None, notebook),
            }
        }
        entities
    }

    fn route(
        &mut self,
        route: &'t Tree,
        service: Option<&'t Tree>,
        configs: &HashMap<&str, &'t Tree>,
        notebook: &mut Notebook<'_>,
    ) {
        if route.text_of("status") == Some("0") {
            return;
        }
        let name = route
            .text_of("name")
            .or_else(|| route.text_of("id"))
            .map_or_else(|| format!("route in line {}", route.place.line), shown);
        notebook.notice(
            &route.place,
            Effect::Configure,
            format!("route `{name}`: write its hosts and paths under `gateway.routes`"),
        );
        let mut matches = Reach::anywhere();
        for (key, place, value) in route.entries() {
            match key {
                "remote_addr" | "remote_addrs" => {
                    let texts = value.text().into_iter().chain(value.items().iter().filter_map(Tree::text));
                    let networks: Vec<_> = texts.map(network).collect();
                    matches.is_doubtful |= networks.iter().any(Option::is_none);
                    matches.addresses = matches.addresses.and(&Addresses::of(networks.into_iter().flatten()));
                }
                "methods" => notebook.notice(
                    place,
                    Effect::Missing,
                    format!("`methods` of route `{name}`: a route of Portcullis is chosen by host and path alone"),
                ),
                "vars" | "filter_func" | "script" | "script_id" => {
                    matches = Reach::unknown();
                    let message = format!(
                        "`{key}` of route `{name}` chooses requests in a way that has no equal; keys that may be used there are imported disabled"
                    );
                    notebook.notice(place, Effect::Disabled, message);
                }
                _ => {}
            }
        }
        let config = route.text_of("plugin_config_id").map(|id| (id, configs.get(id)));
        if let Some((id, None)) = config {
            matches = Reach::unknown();
            notebook.notice(&route.place, Effect::Disabled, format!("plugin configuration `{}` of route `{name}` is not in the files; keys that may be used there are imported disabled", shown(id)));
        }
        if let (Some(id), None) = (route.text_of("service_id"), service) {
            matches = Reach::unknown();
            notebook.notice(&route.place, Effect::Disabled, format!("service `{}` of route `{name}` is not in the files; keys that may be used there are imported disabled", shown(id)));
        }
        let config = config.and_then(|(_, config)| config.copied());
        let plugins: Vec<&Tree> =
            [service, config, Some(route)].into_iter().flatten().filter_map(|one| one.get("plugins")).collect();
        self.all_plugins.extend(route.get("plugins").into_iter().flat_map(switched_on));
        let service_id = route.text_of("service_id").or_else(|| service.and_then(named));
        self.routes.push(Route { name, id: named(route), service_id, matches, plugins });
    }

    fn consumer(&mut self, tree: &'t Tree, group: Option<&'t str>, notebook: &mut Notebook<'_>) {
        let name = tree.text_of("username").or_else(|| named(tree)).unwrap_or("without a name");
        let group = tree.text_of("group_id").or(group);
        let plugins = tree.get("plugins");
        let mut consumer = Consumer {
            name: name.to_owned(),
            place: &tree.place,
            group,
            keys: plugins.and_then(|plugins| plugins.get("key-auth")).into_iter().collect(),
            has_other_credentials: false,
            is_lost: group.is_some_and(|group| !self.groups.contains_key(group)),
            plugins,
        };
        if consumer.is_lost {
            let group = shown(group.unwrap_or_default());
            let message =
                format!("group `{group}` of consumer `{}` is not in the files; it is imported disabled", shown(name));
            notebook.notice(&tree.place, Effect::Disabled, message);
        }
        let others = plugins.into_iter().flat_map(switched_on).filter(|(name, _)| is_credential(name));
        for (plugin, config) in others {
            consumer.has_other_credentials = true;
            let message = format!("`{plugin}` of `{}`: only keys of plugin `key-auth` are imported", shown(name));
            notebook.notice(&config.place, Effect::LeftOut, message);
        }
        for credential in tree.items_of("credentials") {
            match (credential.text_of("type"), credential.get("config")) {
                (Some("key-auth"), Some(config)) => consumer.keys.push(config),
                _ => {
                    consumer.has_other_credentials = true;
                    notebook.notice(
                        &credential.place,
                        Effect::LeftOut,
                        format!("a credential of `{}`: only keys of plugin `key-auth` are imported", shown(name)),
                    );
                }
            }
        }
        let kept =
            plugins.into_iter().flat_map(switched_on).filter(|(name, _)| *name != "key-auth" && !is_credential(name));
        self.all_plugins.extend(kept);
        self.consumers.push(consumer);
    }

    /// Plugins of global rules, which no other takes the place of.
    pub(super) fn everywhere(&self) -> impl Iterator<Item = (&'t str, &'t Tree)> + '_ {
        self.global.iter().copied()
    }

    /// What is in effect on a route for a consumer: of one name, that of the consumer, its group, the route, its plugin
    /// configuration, its service, in this order.
    pub(super) fn merged(&self, consumer: Option<&Consumer<'t>>, route: &Route<'t>) -> BTreeMap<&'t str, &'t Tree> {
        let of_group =
            consumer.and_then(|consumer| consumer.group).and_then(|group| self.groups.get(group).copied().flatten());
        let of_consumer = consumer.and_then(|consumer| consumer.plugins);
        let closer = [of_group, of_consumer].into_iter().flatten().flat_map(switched_on);
        // What proves the consumer elsewhere asks for nothing here.
        let closer = closer.filter(|(name, _)| *name != "key-auth" && !is_credential(name));
        route.plugins.iter().copied().flat_map(switched_on).chain(closer).collect()
    }
}

/// Plugins by which a consumer is known otherwise than by a key.
fn is_credential(name: &str) -> bool {
    matches!(name, "basic-auth" | "hmac-auth" | "jwe-decrypt" | "jwt-auth" | "ldap-auth" | "wolf-rbac")
}
