//! What nginx's files define for all of their servers: maps, networks, the header of the keys, and the keys themselves.
//!
//! Never keeps a key longer than it takes to hash it: the world ends with the import.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::notebook::network;
use super::super::reasoning::{Entry, How, Part, Table, Text, Value, key_in};
use super::patterns::{Piece, expression, pieces};
use super::words::Directive;
use crate::config::diagnostic::Place;

/// Headers that carry keys where nobody says another.
const HEADERS: &[&str] = &[
    "x_api_key",
    "apikey",
    "api_key",
    "x_apikey",
    "x_api_token",
    "x_auth_key",
    "x_auth_token",
    "x_access_token",
    "x_token",
];

/// Variables of a request that say what it asks for, and not who sends it.
pub(super) const OF_THE_REQUEST: &[&str] = &[
    "content_length",
    "content_type",
    "document_uri",
    "host",
    "hostname",
    "http_content_type",
    "http_host",
    "http_upgrade",
    "https",
    "request_method",
    "scheme",
    "server_addr",
    "server_name",
    "server_port",
    "server_protocol",
    "uri",
];

/// Values of maps that are no names of keys.
const NO_NAMES: &[&str] =
    &["", "0", "1", "allow", "allowed", "deny", "denied", "no", "ok", "true", "false", "yes", "on", "off"];

/// A `map`.
pub(super) struct Map {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) source: String,
    pub(super) table: Table,
    /// Keys stand in it.
    pub(super) is_of_keys: bool,
    pub(super) has_letters: bool,
    pub(super) has_composites: bool,
    /// Patterns of which nobody can tell the key.
    pub(super) untold: Vec<Place>,
    /// With whether case does not matter.
    entries: Vec<(How, String, Place, String, bool)>,
}

/// A key, where it stands and what it is called.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) place: Place,
}

/// Everything that all servers share.
#[derive(Default)]
pub(super) struct World {
    /// The header that carries keys, as a variable has it.
    pub(super) header: String,
    pub(super) maps: HashMap<String, Map>,
    pub(super) geos: HashMap<String, Text>,
    pub(super) keys: BTreeMap<String, Found>,
    /// What each variable that is set anywhere depends on.
    sets: HashMap<String, BTreeSet<String>>,
}

impl World {
    /// Takes definitions and keys; `header` is what somebody said.
    pub(super) fn of(http: &[Directive], header: Option<&str>) -> Result<Self, String> {
        let mut world = Self::default();
        let mut variables = BTreeSet::new();
        for directive in http {
            world.define(directive);
            world.note(directive, &BTreeSet::new(), &mut variables);
        }
        variables.extend(world.maps.values().flat_map(|map| names(&map.source)));
        world.header = match header {
            Some(name) => name.to_ascii_lowercase().replace('-', "_"),
            None => {
                let known: Vec<&str> =
                    HEADERS.iter().copied().filter(|name| variables.contains(&format!("http_{name}"))).collect();
                match known[..] {
                    [one] => one.to_owned(),
                    [] => return Err("no header is known to carry keys; name it by `--key-header`".to_owned()),
                    _ => {
                        return Err(format!(
                            "keys may come in several headers ({}); name one by `--key-header`",
                            known.join(", ")
                        ));
                    }
                }
            }
        };
        world.find_keys(http);
        Ok(world)
    }

    fn define(&mut self, directive: &Directive) {
        match (directive.name.as_str(), &directive.words[..]) {
            ("map", [source, name]) => {
                let name = name.trim_start_matches('$').to_owned();
                self.maps.insert(name.clone(), Map::of(name, source, directive));
            }
            ("geo", [source @ .., name]) => {
                let name = name.trim_start_matches('$').to_owned();
                self.geos.insert(name, geo(source.first().map(String::as_str), directive));
            }
            _ => {}
        }
    }

    /// Gathers what variables depend on.
    fn note(&mut self, directive: &Directive, around: &BTreeSet<String>, variables: &mut BTreeSet<String>) {
        let used: BTreeSet<String> = match directive.name.as_str() {
            "map" | "geo" => return,
            _ => directive.words.iter().flat_map(|word| names(word)).collect(),
        };
        let mut within = around.clone();
        if directive.name == "if" {
            within.extend(used.iter().cloned());
        }
        if directive.name == "set" {
            let name = directive.word().trim_start_matches('$').to_owned();
            let depends = directive.words.iter().skip(1).flat_map(|word| names(word)).chain(around.iter().cloned());
            self.sets.entry(name).or_default().extend(depends);
        }
        variables.extend(used);
        directive.inner().iter().for_each(|one| self.note(one, &within, variables));
    }

    /// The variables that a text depends on in the end.
    pub(super) fn leaves(&self, words: &[String]) -> BTreeSet<String> {
        let mut open: Vec<String> = words.iter().flat_map(|word| names(word)).collect();
        let (mut seen, mut leaves) = (BTreeSet::new(), BTreeSet::new());
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            if let Some(map) = self.maps.get(&name) {
                open.extend(names(&map.source));
            } else if let Some(depends) = self.sets.get(&name) {
                open.extend(depends.iter().cloned());
            } else {
                leaves.insert(name);
            }
        }
        leaves
    }

    /// A text with the key and the address in it, as far as these are all that it is made of.
    fn template(&self, text: &str) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for piece in pieces(text) {
            match piece {
                Piece::Plain(text) => match parts.last_mut() {
                    Some(Part::Known(before)) => before.push_str(text),
                    _ => parts.push(Part::Known(text.to_owned())),
                },
                Piece::Variable("remote_addr") => parts.push(Part::Address),
                Piece::Variable(name) if name.strip_prefix("http_") == Some(&self.header) => parts.push(Part::Key),
                Piece::Variable(_) => parts.push(Part::Unknown),
            }
        }
        parts
    }

    fn find_keys(&mut self, http: &[Directive]) {
        let mut maps = std::mem::take(&mut self.maps);
        let mut names: Vec<String> = maps.keys().cloned().collect();
        // Maps of keys alone give them their names.
        names.sort_by_key(|name| (maps[name].source.matches('$').count(), name.clone()));
        for name in names {
            let Some(map) = maps.get_mut(&name) else { continue };
            let template = self.template(&map.source);
            if !template.contains(&Part::Key) {
                continue;
            }
            map.is_of_keys = true;
            map.has_composites = template.len() > 1;
            for (how, text, place, value, any_case) in &map.entries {
                match key_in(&template, *how, text) {
                    Some("") => {}
                    Some(key) => {
                        map.has_letters |= *any_case && key.bytes().any(|byte| byte.is_ascii_alphabetic());
                        let name = match NO_NAMES.contains(&value.to_ascii_lowercase().as_str()) || value.contains('$')
                        {
                            true => format!("key in line {}", place.line),
                            false => value.clone(),
                        };
                        self.keys.entry(key.to_owned()).or_insert_with(|| Found { name, place: place.clone() });
                    }
                    None => map.untold.push(place.clone()),
                }
            }
        }
        self.maps = maps;
        http.iter().for_each(|one| self.keys_in_conditions(one));
    }

    fn keys_in_conditions(&mut self, directive: &Directive) {
        if directive.name == "if" {
            let words = condition(&directive.words);
            if let [left, operator, right] = &words[..]
                && matches!(operator.as_str(), "=" | "!=")
                && self.template(left) == [Part::Key]
                && !right.is_empty()
                && !right.contains('$')
            {
                let found =
                    || Found { name: format!("key in line {}", directive.place.line), place: directive.place.clone() };
                self.keys.entry(right.clone()).or_insert_with(found);
            }
        }
        directive.inner().iter().for_each(|one| self.keys_in_conditions(one));
    }
}

/// The words of a condition without the parentheses around it.
pub(super) fn condition(words: &[String]) -> Vec<String> {
    let mut all: Vec<String> = words.to_vec();
    if let Some(first) = all.first_mut() {
        *first = first.strip_prefix('(').unwrap_or(first).to_owned();
    }
    if let Some(last) = all.last_mut() {
        *last = last.strip_suffix(')').unwrap_or(last).to_owned();
    }
    // A quoted word keeps its place even where it is empty; what the parentheses stood alone in does not.
    if words.first().is_some_and(|word| word == "(") {
        all.remove(0);
    }
    if words.last().is_some_and(|word| word == ")") {
        all.pop();
    }
    all
}

fn names(text: &str) -> Vec<String> {
    let of = |piece| match piece {
        // A dollar sign by itself is the end of an expression.
        Piece::Variable(name) => Some(name.to_owned()).filter(|name| !name.is_empty()),
        Piece::Plain(_) => None,
    };
    pieces(text).into_iter().filter_map(of).collect()
}

fn value(text: &str) -> Value {
    Some(match text.contains('$') {
        true => vec![Part::Unknown],
        false => vec![Part::Known(text.to_owned())],
    })
}

impl Map {
    fn of(name: String, source: &str, directive: &Directive) -> Self {
        let mut table = Table::of(value(""));
        table.ignores_case = true;
        let mut entries = Vec::new();
        let mut untold = Vec::new();
        for one in directive.inner() {
            let stands_for = value(one.word());
            match one.name.as_str() {
                "default" => table.default = stands_for,
                "volatile" => {}
                "hostnames" => table.add(Entry::Unknown, None),
                pattern => match pattern.strip_prefix('~') {
                    None => {
                        let text = pattern.strip_prefix('\\').unwrap_or(pattern);
                        entries.push((How::Whole, text.to_owned(), one.place.clone(), one.word().to_owned(), true));
                        table.add(Entry::Text(How::Whole, text.to_owned()), stands_for);
                    }
                    Some(text) => {
                        // Case matters for what begins with one `~` alone.
                        let (any_case, text) = text.strip_prefix('*').map_or((false, text), |text| (true, text));
                        let is_plain = !any_case || !text.bytes().any(|byte| byte.is_ascii_alphabetic());
                        match expression(text).filter(|_| is_plain) {
                            Some(texts) => {
                                for (how, text) in texts {
                                    entries.push((
                                        how,
                                        text.clone(),
                                        one.place.clone(),
                                        one.word().to_owned(),
                                        any_case,
                                    ));
                                    table.add(Entry::Exact(how, text), stands_for.clone());
                                }
                            }
                            None => {
                                untold.push(one.place.clone());
                                table.add(Entry::Unknown, None);
                            }
                        }
                    }
                },
            }
        }
        Self {
            name,
            place: directive.place.clone(),
            source: source.to_owned(),
            table,
            is_of_keys: false,
            has_letters: false,
            has_composites: false,
            untold,
            entries,
        }
    }
}

/// What a `geo` gives each address; unknown where it looks at another address than the client's.
fn geo(source: Option<&str>, directive: &Directive) -> Text {
    let mut table = Table::of(value(""));
    let mut networks = Vec::new();
    let mut is_known = matches!(source, None | Some("$remote_addr"));
    for one in directive.inner() {
        match (one.name.as_str(), network(&one.name)) {
            ("default", _) => table.default = value(one.word()),
            (_, Some(network)) => networks.push((network, value(one.word()))),
            // Ranges, proxies and what is taken out again.
            _ => is_known = false,
        }
    }
    if !is_known {
        return Text::of(Part::Unknown);
    }
    table.networks(networks);
    Text::of(Part::Address).looked_up(&table)
}
