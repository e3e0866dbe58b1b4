//! Consumers, routes, services and plugins of Kong's files, with what refers to what, however it is nested.
//!
//! Never guesses: what refers to something that is not in the files is told.

use std::collections::{BTreeSet, HashMap};

use super::super::Effect;
use super::super::notebook::{Notebook, shown};
use super::super::tree::Tree;
use crate::config::diagnostic::Place;

/// Sections and attributes that say nothing of their own.
const SILENT: &[&str] =
    &["_format_version", "_transform", "_info", "_workspace", "_comment", "_ignore", "_konnect", "_plugin_configs"];

/// A consumer.
pub(super) struct Consumer<'t> {
    pub(super) name: String,
    pub(super) place: &'t Place,
    /// Groups that plugin `acl` asks for.
    pub(super) acls: Vec<&'t str>,
    /// Positions of the groups of consumers that it is in.
    pub(super) groups: BTreeSet<usize>,
    pub(super) keys: Vec<&'t Tree>,
    pub(super) has_other_credentials: bool,
    /// Refers to something that is not in the files, so that nobody knows what restricts it.
    pub(super) is_lost: bool,
}

/// A route.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) name: String,
    at: usize,
    service: Option<usize>,
    /// Refers to a service that is not in the files, so that nobody knows what restricts it.
    pub(super) is_lost: bool,
}

/// A plugin that is switched on, with what it is bound to.
pub(super) struct Plugin<'t> {
    pub(super) number: usize,
    pub(super) name: &'t str,
    pub(super) place: &'t Place,
    pub(super) config: Option<&'t Tree>,
    bound: Bound,
}

#[derive(Clone, Copy, Default)]
struct Bound {
    consumer: Option<usize>,
    group: Option<usize>,
    route: Option<usize>,
    service: Option<usize>,
}

/// Everything in the files.
#[derive(Default)]
pub(super) struct Entities<'t> {
    pub(super) consumers: Vec<Consumer<'t>>,
    pub(super) routes: Vec<Route>,
    pub(super) plugin_names: BTreeSet<&'t str>,
    /// Those of no consumer, and those of each.
    plugins: Vec<Plugin<'t>>,
    of_consumers: HashMap<usize, Vec<Plugin<'t>>>,
    count: usize,
    /// What has plugins; these are looked at when all names are known that they may refer to.
    owners: Vec<(&'t Tree, Bound)>,
    known: Known<'t>,
}

/// Positions by names and ids.
#[derive(Default)]
struct Known<'t> {
    consumers: HashMap<&'t str, usize>,
    groups: HashMap<&'t str, usize>,
    routes: HashMap<&'t str, usize>,
    services: HashMap<&'t str, usize>,
    count_of_groups: usize,
    count_of_services: usize,
}

impl Route {
    /// What stands for all routes where the files have none.
    pub(super) fn implied() -> Self {
        Self { name: "every route".to_owned(), at: usize::MAX, service: None, is_lost: false }
    }
}

/// How something refers to something else: by a name, or by a mapping with one.
fn reference<'t>(tree: &'t Tree, key: &str) -> Option<&'t str> {
    let value = tree.get(key)?;
    value.text().or_else(|| ["name", "username", "custom_id", "id"].iter().find_map(|key| value.text_of(key)))
}

fn register<'t>(known: &mut HashMap<&'t str, usize>, tree: &'t Tree, keys: &[&str], at: usize) {
    known.extend(keys.iter().filter_map(|key| tree.text_of(key)).map(|name| (name, at)));
}

impl<'t> Entities<'t> {
    /// Gathers them, and tells what is none of them.
    pub(super) fn of(trees: &'t [Tree], notebook: &mut Notebook<'_>) -> Self {
        let mut entities = Self::default();
        for tree in trees {
            for (section, place, value) in tree.entries() {
                match section {
                    "consumers"
                    | "consumer_groups"
                    | "services"
                    | "routes"
                    | "plugins"
                    | "keyauth_credentials"
                    | "acls" => {}
                    _ if SILENT.contains(&section) => {}
                    "upstreams" => {
                        notebook.notice(place, Effect::Configure, "`upstreams`: write them under `gateway.upstreams`")
                    }
                    "certificates" | "snis" | "ca_certificates" => {
                        notebook.notice(
                            place,
                            Effect::Configure,
                            format!("`{section}`: certificates are named under `gateway.listen`"),
                        );
                    }
                    _ => notebook.notice(
                        place,
                        Effect::LeftOut,
                        format!("section `{}` has no equal ({} entries)", shown(section), value.items().len()),
                    ),
                }
            }
        }
        let all = |section: &'static str| trees.iter().flat_map(move |tree| tree.items_of(section));
        for group in all("consumer_groups") {
            let at = entities.known.count_of_groups;
            entities.known.count_of_groups += 1;
            register(&mut entities.known.groups, group, &["name", "id"], at);
        }
        all("services").for_each(|service| entities.service(service, notebook));
        all("routes").for_each(|route| entities.route(route, None, notebook));
        all("consumers").for_each(|consumer| entities.consumer(consumer, notebook));
        for group in all("consumer_groups") {
            let at = entities.known.groups.get(group.text_of("name").unwrap_or_default()).copied();
            for member in group.items_of("consumers") {
                let name = member.text().or_else(|| member.text_of("username")).unwrap_or_default();
                if let (Some(member), Some(at)) = (entities.known.consumers.get(name), at) {
                    entities.consumers[*member].groups.insert(at);
                }
            }
            entities.owners.push((group, Bound { group: at, ..Bound::default() }));
        }
        for (section, of_acl) in [("keyauth_credentials", false), ("acls", true)] {
            for one in all(section) {
                let owner = reference(one, "consumer").and_then(|name| entities.known.consumers.get(name)).copied();
                match owner.map(|at| &mut entities.consumers[at]) {
                    Some(consumer) if of_acl => consumer.acls.extend(one.text_of("group")),
                    Some(consumer) => consumer.keys.push(one),
                    None => notebook.notice(
                        &one.place,
                        Effect::LeftOut,
                        format!("this of `{section}` is of a consumer that is not in the files"),
                    ),
                }
            }
        }
        entities.owners.extend(trees.iter().map(|tree| (tree, Bound::default())));
        for (owner, bound) in std::mem::take(&mut entities.owners) {
            entities.plugins_of(owner, bound, notebook);
        }
        entities
    }

    fn service(&mut self, service: &'t Tree, notebook: &mut Notebook<'_>) {
        let at = self.known.count_of_services;
        self.known.count_of_services += 1;
        register(&mut self.known.services, service, &["name", "id"], at);
        let name = shown(service.text_of("name").unwrap_or("without a name"));
        notebook.notice(
            &service.place,
            Effect::Configure,
            format!("service `{name}`: write it under `gateway.upstreams`"),
        );
        service.items_of("routes").iter().for_each(|route| self.route(route, Some(at), notebook));
        self.owners.push((service, Bound { service: Some(at), ..Bound::default() }));
    }

    fn route(&mut self, route: &'t Tree, service: Option<usize>, notebook: &mut Notebook<'_>) {
        let at = self.routes.len();
        register(&mut self.known.routes, route, &["name", "id"], at);
        let named = route.text_of("name").or_else(|| route.text_of("id")).map(shown);
        let name = named.unwrap_or_else(|| format!("route in line {}", route.place.line));
        notebook.notice(
            &route.place,
            Effect::Configure,
            format!("route `{name}`: write its hosts and paths under `gateway.routes`"),
        );
        let conditions = ["methods", "headers", "snis", "sources", "destinations", "expression"];
        if let Some((key, place, _)) = route
            .entries()
            .find(|(key, _, value)| conditions.contains(key) && !value.items().is_empty() || *key == "expression")
        {
            let message = format!("`{key}` of route `{name}`: a route of Portcullis is chosen by host and path alone");
            notebook.notice(place, Effect::Missing, message);
        }
        let referred = reference(route, "service").filter(|_| service.is_none());
        let service = service.or_else(|| self.known.services.get(referred?).copied());
        let is_lost = referred.is_some() && service.is_none();
        if is_lost {
            let message = format!(
                "the service of route `{name}` is not in the files; keys that may be used there are imported disabled"
            );
            notebook.notice(&route.place, Effect::Disabled, message);
        }
        self.routes.push(Route { name, at, service, is_lost });
        self.owners.push((route, Bound { route: Some(at), ..Bound::default() }));
    }

    fn consumer(&mut self, tree: &'t Tree, notebook: &mut Notebook<'_>) {
        let at = self.consumers.len();
        register(&mut self.known.consumers, tree, &["username", "custom_id", "id"], at);
        let name = ["username", "custom_id", "id"].iter().find_map(|key| tree.text_of(key)).unwrap_or("without a name");
        let mut consumer = Consumer {
            name: name.to_owned(),
            place: &tree.place,
            acls: tree.items_of("acls").iter().filter_map(|one| one.text_of("group")).collect(),
            groups: BTreeSet::new(),
            keys: tree.items_of("keyauth_credentials").iter().collect(),
            has_other_credentials: false,
            is_lost: false,
        };
        for group in tree.items_of("groups") {
            let name = group.text().or_else(|| group.text_of("name")).unwrap_or_default();
            match self.known.groups.get(name) {
                Some(at) => {
                    consumer.groups.insert(*at);
                }
                None => {
                    consumer.is_lost = true;
                    let message = format!(
                        "group `{}` of consumers is not in the files; who is in it is imported disabled",
                        shown(name)
                    );
                    notebook.notice(&group.place, Effect::Disabled, message);
                }
            }
        }
        for (key, place, value) in tree.entries() {
            match key {
                "username"
                | "custom_id"
                | "id"
                | "tags"
                | "created_at"
                | "updated_at"
                | "plugins"
                | "groups"
                | "acls"
                | "keyauth_credentials" => {}
                _ => {
                    consumer.has_other_credentials |= !value.items().is_empty();
                    for one in value.items() {
                        let message = format!(
                            "`{}` of `{}`: only keys of plugin `key-auth` are imported",
                            shown(key),
                            shown(name)
                        );
                        notebook.notice(&one.place, Effect::LeftOut, message);
                    }
                    if value.items().is_empty() {
                        notebook.notice(
                            place,
                            Effect::LeftOut,
                            format!("`{}` of `{}` has no equal", shown(key), shown(name)),
                        );
                    }
                }
            }
        }
        self.consumers.push(consumer);
        self.owners.push((tree, Bound { consumer: Some(at), ..Bound::default() }));
    }

    fn plugins_of(&mut self, owner: &'t Tree, bound: Bound, notebook: &mut Notebook<'_>) {
        for tree in owner.items_of("plugins") {
            let name = tree.text_of("name").unwrap_or_default();
            if tree.switch("enabled") == Some(false) {
                continue;
            }
            let mut bound = bound;
            let kinds = [
                ("consumer", &self.known.consumers, &mut bound.consumer),
                ("consumer_group", &self.known.groups, &mut bound.group),
                ("route", &self.known.routes, &mut bound.route),
                ("service", &self.known.services, &mut bound.service),
            ];
            let mut is_lost = false;
            for (kind, known, to) in kinds {
                let Some(named) = reference(tree, kind) else { continue };
                match known.get(named) {
                    Some(at) => *to = Some(*at),
                    None => {
                        is_lost = true;
                        let message = format!(
                            "plugin `{}` is bound to {kind} `{}`, which is not in the files",
                            shown(name),
                            shown(named)
                        );
                        notebook.notice(&tree.place, Effect::LeftOut, message);
                    }
                }
            }
            if is_lost {
                continue;
            }
            self.plugin_names.insert(name);
            let plugin = Plugin { number: self.count, name, place: &tree.place, config: tree.get("config"), bound };
            self.count += 1;
            match bound.consumer {
                Some(consumer) => self.of_consumers.entry(consumer).or_default().push(plugin),
                None => self.plugins.push(plugin),
            }
        }
    }

    /// Every plugin.
    pub(super) fn plugins(&self) -> impl Iterator<Item = &Plugin<'t>> {
        self.plugins.iter().chain(self.of_consumers.values().flatten())
    }

    /// Of the plugins with a name, the one that is in effect, which is the most closely bound; several where that is not said.
    pub(super) fn in_effect(
        &self,
        name: &str,
        consumer: Option<(usize, &Consumer<'_>)>,
        route: &Route,
    ) -> Vec<&Plugin<'t>> {
        let own = consumer.and_then(|(at, _)| self.of_consumers.get(&at));
        let fits = |plugin: &&Plugin<'t>| {
            let Bound { group, route: at, service, .. } = plugin.bound;
            plugin.name == name
                && group.is_none_or(|group| consumer.is_some_and(|(_, consumer)| consumer.groups.contains(&group)))
                && at.is_none_or(|at| at == route.at)
                && service.is_none_or(|service| route.service == Some(service))
        };
        let all: Vec<&Plugin<'t>> = own.into_iter().flatten().chain(&self.plugins).filter(fits).collect();
        let closest = all.iter().map(|plugin| plugin.bound.closeness()).max();
        all.into_iter().filter(|plugin| Some(plugin.bound.closeness()) == closest).collect()
    }
}

impl Bound {
    /// The order in which Kong looks for a plugin.
    fn closeness(self) -> u8 {
        let Self { consumer, group, route, service } = self;
        match (consumer.is_some(), group.is_some(), route.is_some(), service.is_some()) {
            (true, _, true, true) => 12,
            (false, true, true, true) => 11,
            (true, _, true, false) => 10,
            (true, _, false, true) => 9,
            (false, true, true, false) => 8,
            (false, true, false, true) => 7,
            (false, false, true, true) => 6,
            (true, _, false, false) => 5,
            (false, true, false, false) => 4,
            (false, false, true, false) => 3,
            (false, false, false, true) => 2,
            (false, false, false, false) => 1,
        }
    }
}
