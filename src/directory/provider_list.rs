//! Lists of networks that providers publish, in the forms in which they publish them.
//!
//! A list is taken whole or not at all: what is no network refuses all of it. Never widens: what others hold is left out, and
//! neighbours that make up one network are that one.

use serde_json::{Map, Value};

use super::ranges::Addresses;
use crate::access::feed::{Form, Wanted};
use crate::access::network::Network;
use crate::config::strict::{self, Strict};

/// Names that a message shows at most.
const NAMED: usize = 12;

/// Why a list is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum ListFault {
    #[error("the list begins like JSON and is none: {0}")]
    NotJson(String),
    #[error("the list has none of the forms that are known; name its form")]
    UnknownForm,
    #[error("the list is not of the form of {form}: `{place}` {wrong}")]
    Shape { form: &'static str, place: String, wrong: &'static str },
    #[error("{place}: {fault}")]
    NotANetwork { place: String, fault: String },
    #[error("{0} holds every address of a family; nobody is kept out by such a list")]
    CoversFamily(Network),
    #[error("a list of this form has no {0}; choose none")]
    NothingToChoose(&'static str),
    #[error("a list of {form} is many lists; choose a service, such as {names}")]
    Choose { form: &'static str, names: String },
    #[error("the list has no {what} `{name}`; it has {names}")]
    NoSuch { what: &'static str, name: String, names: String },
    #[error("the list names no network, or none that is wanted")]
    Empty,
}

impl ListFault {
    /// The same for whoever may not see the document: where it is at fault, and nothing of what it holds there. It may be
    /// no list at all, but something else that the gateway can read.
    pub fn without_content(&self) -> String {
        match self {
            Self::NotJson(_) => "the list begins like JSON and is none".into(),
            Self::NotANetwork { place, .. } => format!("{place} is no network"),
            Self::UnknownForm => "the list has none of the forms that are known; name one".into(),
            Self::CoversFamily(_) => "the list holds every address of a family; nobody is kept out by it".into(),
            Self::Shape { .. } | Self::NothingToChoose(_) | Self::Choose { .. } | Self::NoSuch { .. } | Self::Empty => {
                self.to_string()
            }
        }
    }
}

/// One network of a list, with what it is chosen by.
struct Item<'v> {
    place: String,
    text: &'v str,
    services: Vec<&'v str>,
    region: &'v str,
}

/// The networks of a list, the fewest that hold exactly its addresses. The form is found out where it is not said.
///
/// # Errors
/// A [`ListFault`].
pub fn read(text: &str, form: Option<Form>, wanted: &Wanted) -> Result<Vec<Network>, ListFault> {
    let text = text.trim_start_matches('\u{feff}');
    let is_json = text.trim_start().starts_with('{');
    if form == Some(Form::Plain) || form.is_none() && !is_json {
        return plain(text, wanted);
    }
    let document = match strict::read(text.as_bytes()) {
        Ok(Strict(Value::Object(document))) => document,
        Ok(_) => return Err(ListFault::UnknownForm),
        Err(fault) => return Err(ListFault::NotJson(fault.to_string())),
    };
    let form = form.or_else(|| form_of(&document)).ok_or(ListFault::UnknownForm)?;
    let items = match form {
        Form::Aws => aws(&document)?,
        Form::Google => google(&document)?,
        Form::Azure => azure(&document)?,
        Form::Cloudflare => cloudflare(&document)?,
        Form::GitHub => github(&document)?,
        Form::Plain => return plain(text, wanted),
    };
    choose(form, items, wanted)
}

fn form_of(document: &Map<String, Value>) -> Option<Form> {
    let first = |key: &str| document.get(key)?.as_array()?.first()?.as_object();
    let has = |key: &str, member: &str| first(key).is_some_and(|one| one.contains_key(member));
    if has("prefixes", "ip_prefix") || has("ipv6_prefixes", "ipv6_prefix") {
        Some(Form::Aws)
    } else if has("prefixes", "ipv4Prefix") || has("prefixes", "ipv6Prefix") {
        Some(Form::Google)
    } else if has("values", "properties") {
        Some(Form::Azure)
    } else if document.get("result").is_some_and(|result| result.get("ipv4_cidrs").is_some()) {
        Some(Form::Cloudflare)
    } else if document.contains_key("hooks") && document.contains_key("web") {
        Some(Form::GitHub)
    } else {
        None
    }
}

fn shape(form: &'static str, place: impl Into<String>, wrong: &'static str) -> ListFault {
    ListFault::Shape { form, place: place.into(), wrong }
}

fn array<'v>(form: &'static str, of: &'v Map<String, Value>, key: &str) -> Result<&'v [Value], ListFault> {
    of.get(key).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| shape(form, key, "is no list"))
}

/// The text of a member; empty where it is not there.
fn text<'v>(of: &'v Value, key: &str) -> &'v str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn aws(document: &Map<String, Value>) -> Result<Vec<Item<'_>>, ListFault> {
    let mut items = Vec::new();
    for (key, member) in [("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")] {
        for (at, one) in array("AWS", document, key)?.iter().enumerate() {
            let place = format!("{key}[{at}].{member}");
            let network = one.get(member).and_then(Value::as_str);
            let text_of = network.ok_or_else(|| shape("AWS", &place, "is no text"))?;
            items.push(Item {
                place,
                text: text_of,
                services: vec![text(one, "service")],
                region: text(one, "region"),
            });
        }
    }
    Ok(items)
}

fn google(document: &Map<String, Value>) -> Result<Vec<Item<'_>>, ListFault> {
    let mut items = Vec::new();
    for (at, one) in array("Google", document, "prefixes")?.iter().enumerate() {
        let place = format!("prefixes[{at}]");
        let given = ["ipv4Prefix", "ipv6Prefix"].map(|member| one.get(member).and_then(Value::as_str));
        let network = given.into_iter().flatten().next();
        let text_of = network.ok_or_else(|| shape("Google", &place, "has neither `ipv4Prefix` nor `ipv6Prefix`"))?;
        items.push(Item { place, text: text_of, services: vec![text(one, "service")], region: text(one, "scope") });
    }
    Ok(items)
}

fn azure(document: &Map<String, Value>) -> Result<Vec<Item<'_>>, ListFault> {
    let mut items = Vec::new();
    for (at, tag) in array("Azure", document, "values")?.iter().enumerate() {
        let place = format!("values[{at}].properties");
        let properties = tag.get("properties").ok_or_else(|| shape("Azure", &place, "is not there"))?;
        let prefixes = properties.get("addressPrefixes").and_then(Value::as_array);
        let prefixes = prefixes.ok_or_else(|| shape("Azure", format!("{place}.addressPrefixes"), "is no list"))?;
        for (index, one) in prefixes.iter().enumerate() {
            let place = format!("{place}.addressPrefixes[{index}]");
            let text_of = one.as_str().ok_or_else(|| shape("Azure", &place, "is no text"))?;
            let services = vec![text(tag, "name"), text(properties, "systemService")];
            items.push(Item { place, text: text_of, services, region: text(properties, "region") });
        }
    }
    Ok(items)
}

fn cloudflare(document: &Map<String, Value>) -> Result<Vec<Item<'_>>, ListFault> {
    let result = document.get("result").and_then(Value::as_object);
    let result = result.ok_or_else(|| shape("Cloudflare", "result", "is no object"))?;
    let mut items = Vec::new();
    for key in ["ipv4_cidrs", "ipv6_cidrs"] {
        items.extend(texts("Cloudflare", key, array("Cloudflare", result, key)?)?);
    }
    Ok(items)
}

fn github(document: &Map<String, Value>) -> Result<Vec<Item<'_>>, ListFault> {
    let mut items = Vec::new();
    for (name, value) in document {
        // Keys of SSH and the like are lists too, of something else.
        let Some(list) = value.as_array().filter(|_| !name.starts_with("ssh_")) else { continue };
        items.extend(texts("GitHub", name, list)?);
    }
    Ok(items)
}

/// The members of a list that is chosen by its name.
fn texts<'v>(form: &'static str, name: &'v str, list: &'v [Value]) -> Result<Vec<Item<'v>>, ListFault> {
    let item = |(at, one): (usize, &'v Value)| {
        let place = format!("{name}[{at}]");
        let text = one.as_str().ok_or_else(|| shape(form, &place, "is no text"))?;
        Ok(Item { place, text, services: vec![name], region: "" })
    };
    list.iter().enumerate().map(item).collect()
}

fn plain(text: &str, wanted: &Wanted) -> Result<Vec<Network>, ListFault> {
    nothing_to_choose(wanted)?;
    let mut networks = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let written = line.split('#').next().unwrap_or_default().trim();
        if !written.is_empty() {
            networks.push(network(format!("line {}", at + 1), written)?);
        }
    }
    fewest(networks)
}

fn nothing_to_choose(wanted: &Wanted) -> Result<(), ListFault> {
    match (wanted.services.is_empty(), wanted.regions.is_empty()) {
        (true, true) => Ok(()),
        (false, _) => Err(ListFault::NothingToChoose("services")),
        (true, false) => Err(ListFault::NothingToChoose("regions")),
    }
}

fn choose(form: Form, items: Vec<Item<'_>>, wanted: &Wanted) -> Result<Vec<Network>, ListFault> {
    let many = match form {
        Form::Azure => Some("Azure"),
        Form::GitHub => Some("GitHub"),
        _ => None,
    };
    match (form, many) {
        (Form::Cloudflare | Form::Plain, _) => nothing_to_choose(wanted)?,
        (_, Some(form)) if wanted.services.is_empty() => {
            return Err(ListFault::Choose { form, names: names(items.iter().map(|item| item.services[0])) });
        }
        (Form::GitHub, _) if !wanted.regions.is_empty() => return Err(ListFault::NothingToChoose("regions")),
        _ => {}
    }
    let is = |one: &&str, name: &str| one.eq_ignore_ascii_case(name);
    for name in &wanted.services {
        if !items.iter().any(|item| item.services.iter().any(|one| is(one, name))) {
            let names = names(items.iter().flat_map(|item| item.services.iter().copied()));
            return Err(ListFault::NoSuch { what: "service", name: name.clone(), names });
        }
    }
    for name in &wanted.regions {
        if !items.iter().any(|item| is(&item.region, name)) {
            let names = names(items.iter().map(|item| item.region));
            return Err(ListFault::NoSuch { what: "region", name: name.clone(), names });
        }
    }
    let chosen = items.into_iter().filter(|item| {
        let of = |names: &[String], given: &[&str]| {
            names.is_empty() || names.iter().any(|name| given.iter().any(|one| is(one, name)))
        };
        of(&wanted.services, &item.services) && of(&wanted.regions, &[item.region])
    });
    fewest(chosen.map(|item| network(item.place, item.text)).collect::<Result<_, _>>()?)
}

/// Some of the names that there are, each once.
fn names<'n>(all: impl Iterator<Item = &'n str>) -> String {
    let all: std::collections::BTreeSet<&str> = all.filter(|name| !name.is_empty()).collect();
    let more = if all.len() > NAMED { ", …" } else { "" };
    let shown: Vec<String> = all.into_iter().take(NAMED).map(|name| format!("`{}`", name.escape_default())).collect();
    if shown.is_empty() { "none".to_owned() } else { format!("{}{more}", shown.join(", ")) }
}

fn network(place: String, text: &str) -> Result<Network, ListFault> {
    let network: Network = text.parse().map_err(|fault: crate::access::network::NetworkFault| {
        ListFault::NotANetwork { place, fault: fault.to_string() }
    })?;
    if network.covers_family() { Err(ListFault::CoversFamily(network)) } else { Ok(network) }
}

/// The fewest networks that hold exactly these addresses.
fn fewest(networks: Vec<Network>) -> Result<Vec<Network>, ListFault> {
    let networks = Addresses::of(networks.into_iter()).networks();
    match networks.iter().find(|network| network.covers_family()) {
        Some(all) => Err(ListFault::CoversFamily(*all)),
        None if networks.is_empty() => Err(ListFault::Empty),
        None => Ok(networks),
    }
}

/// How much another content of a set differs from what it holds, in hundredths of the addresses that it holds, of the family
/// of which it is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// Addresses that come.
    pub added: u64,
    /// Addresses that go.
    pub removed: u64,
}

/// Compares two contents by their addresses. Where a family was not there before, what comes of it is more than any share.
pub fn drift(before: &[Network], after: &[Network]) -> Drift {
    let [before, after] = [before, after].map(|networks| Addresses::of(networks.iter().copied()));
    let held = before.sizes();
    let share = |of: &Addresses| {
        let hundredths = of.sizes().into_iter().zip(held).map(|(size, held)| match (size > 0.0, held > 0.0) {
            (false, _) => 0,
            (true, false) => u64::MAX,
            // Rounded up, so that a little is not nothing; far below 2^53.
            (true, true) => (size / held * 100.0).ceil() as u64,
        });
        hundredths.max().unwrap_or(0)
    };
    Drift { added: share(&after.without(&before)), removed: share(&before.without(&after)) }
}

#[cfg(test)]
mod tests;
