//! Lists of networks that providers publish, in the forms in which they publish them.
//!
//! A list is taken whole or not at all: what is no network refuses all of it. Never widens: what others hold is left out, and
//! neighbours that make up one network are that one.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use super::ranges::Addresses;
use crate::access::feed::{Form, Wanted};
use crate::access::network::{Network, NetworkFault};
use crate::config::strict::{self, Strict};

/// Names that a message shows at most.
const NAMED: usize = 12;
/// Most objects and lists of a document, and most values of it: what is made of each takes a hundred times the bytes of the
/// shortest. The largest providers have some ten thousand and some hundred thousand.
const MOST_NESTED: usize = 50_000;
const MOST_VALUES: usize = 500_000;
/// So many networks may come or go before their share is looked at, beside that of their addresses.
const HANDFUL: usize = 5;

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
    #[error("line {line}: {fault}")]
    NotANetworkLine { line: usize, fault: String },
    #[error("the list has more than {MOST_VALUES} values, or {MOST_NESTED} objects and lists")]
    TooMany,
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
    /// The same for whoever may not see the document: what is wrong, and nothing of what it holds, names and places included.
    /// It may be no list at all, but something else that the gateway can read.
    pub fn without_content(&self) -> String {
        match self {
            Self::NotJson(_) => "the list begins like JSON and is none".into(),
            Self::NotANetwork { .. } => "something in the list is no network".into(),
            Self::NotANetworkLine { line, .. } => format!("line {line} is no network"),
            Self::UnknownForm => "the list has none of the forms that are known; name one".into(),
            Self::CoversFamily(_) => "the list holds every address of a family; nobody is kept out by it".into(),
            Self::Shape { form, .. } => format!("the list is not of the form of {form}"),
            Self::Choose { form, .. } => format!("a list of {form} is many lists; choose a service"),
            Self::NoSuch { what, name, .. } => format!("the list has no {what} `{name}`"),
            Self::NothingToChoose(_) | Self::TooMany | Self::Empty => self.to_string(),
        }
    }
}

/// Where in a document a network is, put into words for a fault alone.
#[derive(Clone, Copy)]
enum Place<'v> {
    /// A member of a list, and of which member of that the text is.
    Member { list: &'v str, at: usize, member: &'static str },
    /// A prefix of a service tag.
    Tag { at: usize, index: usize },
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member { list, at, member: "" } => write!(f, "{list}[{at}]"),
            Self::Member { list, at, member } => write!(f, "{list}[{at}].{member}"),
            Self::Tag { at, index } => write!(f, "values[{at}].properties.addressPrefixes[{index}]"),
        }
    }
}

/// One network of a list, with what it is chosen by. Made while the list is gone through, and never kept.
struct Item<'v> {
    place: Place<'v>,
    text: &'v str,
    services: [Option<&'v str>; 2],
    region: &'v str,
}

impl Item<'_> {
    fn is_of_service(&self, name: &str) -> bool {
        self.services.iter().flatten().any(|one| one.eq_ignore_ascii_case(name))
    }

    fn is_of_region(&self, name: &str) -> bool {
        self.region.eq_ignore_ascii_case(name)
    }

    fn is_wanted(&self, wanted: &Wanted) -> bool {
        let Wanted { services, regions } = wanted;
        (services.is_empty() || services.iter().any(|name| self.is_of_service(name)))
            && (regions.is_empty() || regions.iter().any(|name| self.is_of_region(name)))
    }
}

/// What is done with each item of a document.
type Each<'e, 'v> = &'e mut dyn FnMut(Item<'v>) -> Result<(), ListFault>;

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
    bounded(text)?;
    let document = match strict::read(text.as_bytes()) {
        Ok(Strict(Value::Object(document))) => document,
        Ok(_) => return Err(ListFault::UnknownForm),
        Err(fault) => return Err(ListFault::NotJson(fault.to_string())),
    };
    let form = form.or_else(|| form_of(&document)).ok_or(ListFault::UnknownForm)?;
    match form {
        Form::Plain => plain(text, wanted),
        form => choose(form, &document, wanted),
    }
}

/// Refuses a document of which too much would be made, before any of it is.
fn bounded(text: &str) -> Result<(), ListFault> {
    let (mut nested, mut values) = (0_usize, 0_usize);
    let (mut is_text, mut is_escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'{' | b'[' => nested += 1,
            b',' => values += 1,
            _ => {}
        }
    }
    if nested > MOST_NESTED || values >= MOST_VALUES { Err(ListFault::TooMany) } else { Ok(()) }
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

fn shape(form: &'static str, place: impl ToString, wrong: &'static str) -> ListFault {
    ListFault::Shape { form, place: place.to_string(), wrong }
}

fn array<'v>(form: &'static str, of: &'v Map<String, Value>, key: &str) -> Result<&'v [Value], ListFault> {
    of.get(key).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| shape(form, key, "is no list"))
}

/// The text of a member; empty where it is not there.
fn text<'v>(of: &'v Value, key: &str) -> &'v str {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Goes through all items of a document.
fn items<'v>(form: Form, document: &'v Map<String, Value>, each: Each<'_, 'v>) -> Result<(), ListFault> {
    match form {
        Form::Aws => aws(document, each),
        Form::Google => google(document, each),
        Form::Azure => azure(document, each),
        Form::Cloudflare => cloudflare(document, each),
        Form::GitHub => github(document, each),
        Form::Plain => Ok(()),
    }
}

fn aws<'v>(document: &'v Map<String, Value>, each: Each<'_, 'v>) -> Result<(), ListFault> {
    for (list, member) in [("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")] {
        for (at, one) in array("AWS", document, list)?.iter().enumerate() {
            let place = Place::Member { list, at, member };
            let network = one.get(member).and_then(Value::as_str).ok_or_else(|| shape("AWS", place, "is no text"))?;
            let services = [Some(text(one, "service")), None];
            each(Item { place, text: network, services, region: text(one, "region") })?;
        }
    }
    Ok(())
}

fn google<'v>(document: &'v Map<String, Value>, each: Each<'_, 'v>) -> Result<(), ListFault> {
    for (at, one) in array("Google", document, "prefixes")?.iter().enumerate() {
        let place = Place::Member { list: "prefixes", at, member: "" };
        let given = ["ipv4Prefix", "ipv6Prefix"].map(|member| one.get(member).and_then(Value::as_str));
        let network = given.into_iter().flatten().next();
        let network = network.ok_or_else(|| shape("Google", place, "has neither `ipv4Prefix` nor `ipv6Prefix`"))?;
        each(Item { place, text: network, services: [Some(text(one, "service")), None], region: text(one, "scope") })?;
    }
    Ok(())
}

fn azure<'v>(document: &'v Map<String, Value>, each: Each<'_, 'v>) -> Result<(), ListFault> {
    for (at, tag) in array("Azure", document, "values")?.iter().enumerate() {
        let wrong = |member: &str, wrong| shape("Azure", format!("values[{at}].properties{member}"), wrong);
        let properties = tag.get("properties").ok_or_else(|| wrong("", "is not there"))?;
        let prefixes = properties.get("addressPrefixes").and_then(Value::as_array);
        let prefixes = prefixes.ok_or_else(|| wrong(".addressPrefixes", "is no list"))?;
        for (index, one) in prefixes.iter().enumerate() {
            let place = Place::Tag { at, index };
            let network = one.as_str().ok_or_else(|| shape("Azure", place, "is no text"))?;
            let services = [Some(text(tag, "name")), Some(text(properties, "systemService"))];
            each(Item { place, text: network, services, region: text(properties, "region") })?;
        }
    }
    Ok(())
}

fn cloudflare<'v>(document: &'v Map<String, Value>, each: Each<'_, 'v>) -> Result<(), ListFault> {
    let result = document.get("result").and_then(Value::as_object);
    let result = result.ok_or_else(|| shape("Cloudflare", "result", "is no object"))?;
    for key in ["ipv4_cidrs", "ipv6_cidrs"] {
        texts("Cloudflare", key, array("Cloudflare", result, key)?, each)?;
    }
    Ok(())
}

fn github<'v>(document: &'v Map<String, Value>, each: Each<'_, 'v>) -> Result<(), ListFault> {
    for (name, value) in document {
        // Keys of SSH and the like are lists too, of something else.
        let Some(list) = value.as_array().filter(|_| !name.starts_with("ssh_")) else { continue };
        texts("GitHub", name, list, each)?;
    }
    Ok(())
}

/// The members of a list that is chosen by its name.
fn texts<'v>(form: &'static str, name: &'v str, list: &'v [Value], each: Each<'_, 'v>) -> Result<(), ListFault> {
    for (at, one) in list.iter().enumerate() {
        let place = Place::Member { list: name, at, member: "" };
        let text = one.as_str().ok_or_else(|| shape(form, place, "is no text"))?;
        each(Item { place, text, services: [Some(name), None], region: "" })?;
    }
    Ok(())
}

fn plain(text: &str, wanted: &Wanted) -> Result<Vec<Network>, ListFault> {
    nothing_to_choose(wanted)?;
    let mut networks = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let written = line.split('#').next().unwrap_or_default().trim();
        if !written.is_empty() {
            let wrong = |fault| ListFault::NotANetworkLine { line: at + 1, fault };
            networks.push(network(written, wrong)?);
        }
        if networks.len() > MOST_VALUES {
            return Err(ListFault::TooMany);
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

fn choose(form: Form, document: &Map<String, Value>, wanted: &Wanted) -> Result<Vec<Network>, ListFault> {
    let (mut services, mut regions): (Vec<&String>, Vec<&String>) =
        (wanted.services.iter().collect(), wanted.regions.iter().collect());
    // All of it is looked at before anything is taken.
    items(form, document, &mut |item| {
        services.retain(|name| !item.is_of_service(name));
        regions.retain(|name| !item.is_of_region(name));
        Ok(())
    })?;
    let many = match form {
        Form::Azure => Some("Azure"),
        Form::GitHub => Some("GitHub"),
        _ => None,
    };
    match (form, many) {
        (Form::Cloudflare, _) => nothing_to_choose(wanted)?,
        (_, Some(many)) if wanted.services.is_empty() => {
            let names = names(form, document, |item| [item.services[0], None])?;
            return Err(ListFault::Choose { form: many, names });
        }
        (Form::GitHub, _) if !wanted.regions.is_empty() => return Err(ListFault::NothingToChoose("regions")),
        _ => {}
    }
    if let Some(name) = services.first() {
        let names = names(form, document, |item| item.services)?;
        return Err(ListFault::NoSuch { what: "service", name: (*name).clone(), names });
    }
    if let Some(name) = regions.first() {
        let names = names(form, document, |item| [Some(item.region), None])?;
        return Err(ListFault::NoSuch { what: "region", name: (*name).clone(), names });
    }
    let mut chosen = Vec::new();
    items(form, document, &mut |item| {
        if item.is_wanted(wanted) {
            let wrong = |fault| ListFault::NotANetwork { place: item.place.to_string(), fault };
            chosen.push(network(item.text, wrong)?);
        }
        Ok(())
    })?;
    fewest(chosen)
}

/// Some of the names that there are, each once.
fn names<'v>(
    form: Form,
    document: &'v Map<String, Value>,
    of: fn(&Item<'v>) -> [Option<&'v str>; 2],
) -> Result<String, ListFault> {
    let mut names = BTreeSet::new();
    items(form, document, &mut |item| {
        names.extend(of(&item).into_iter().flatten().filter(|name| !name.is_empty()));
        // One beyond those that are shown tells that there are more.
        while names.len() > NAMED + 1 {
            names.pop_last();
        }
        Ok(())
    })?;
    let more = if names.len() > NAMED { ", …" } else { "" };
    let shown: Vec<String> = names.into_iter().take(NAMED).map(|name| format!("`{}`", name.escape_default())).collect();
    Ok(if shown.is_empty() { "none".to_owned() } else { format!("{}{more}", shown.join(", ")) })
}

fn network(text: &str, wrong: impl FnOnce(String) -> ListFault) -> Result<Network, ListFault> {
    let network: Network = text.parse().map_err(|fault: NetworkFault| wrong(fault.to_string()))?;
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

/// How much another content of a set differs from what it holds. Addresses are told in hundredths of those that it holds, of
/// the family of which it is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// Addresses that come.
    pub added: u64,
    /// Addresses that go.
    pub removed: u64,
    /// Networks that come with more than half of their addresses.
    pub networks_added: usize,
    /// Networks that go with more than half of their addresses.
    pub networks_removed: usize,
    /// Networks that it holds.
    pub networks: usize,
    /// It comes to hold half of a family or more.
    pub is_half: bool,
}

impl Drift {
    /// Whether the addresses are the same.
    pub fn is_none(self) -> bool {
        (self.added, self.removed) == (0, 0)
    }

    /// That it is half of a family, for people.
    pub fn half(self) -> Option<String> {
        self.is_half.then(|| "it would hold half of all addresses of a family or more".to_owned())
    }

    /// What of it is more than so many hundredths, for people; `None` where nothing is.
    pub fn too_much(self, most: u64) -> Option<String> {
        let of_networks = |count: usize| {
            let share = (count as u64).saturating_mul(100).div_ceil(self.networks.max(1) as u64);
            (count > HANDFUL && share > most).then_some(share)
        };
        let mut parts = Vec::new();
        match self.added {
            u64::MAX => parts.push("a family of addresses would come that the set does not hold yet".to_owned()),
            added if added > most => parts.push(format!("{added} % of its addresses would come")),
            _ => parts
                .extend(of_networks(self.networks_added).map(|share| format!("{share} % of its networks would come"))),
        }
        match self.removed {
            removed if removed > most => parts.push(format!("{removed} % of its addresses would go")),
            _ => parts
                .extend(of_networks(self.networks_removed).map(|share| format!("{share} % of its networks would go"))),
        }
        parts.extend(self.half());
        (!parts.is_empty()).then(|| parts.join(", and "))
    }
}

/// Compares two contents by their addresses. Where a family was not there before, what comes of it is more than any share.
pub fn drift(before: &[Network], after: &[Network]) -> Drift {
    let [held, wanted] = [before, after].map(|networks| Addresses::of(networks.iter().copied()));
    let sizes = held.sizes();
    let share = |of: &Addresses| {
        let hundredths = of.sizes().into_iter().zip(sizes).map(|(size, held)| match (size > 0.0, held > 0.0) {
            (false, _) => 0,
            (true, false) => u64::MAX,
            // Rounded up, so that a little is not nothing; far below 2^53.
            (true, true) => (size / held * 100.0).ceil() as u64,
        });
        hundredths.max().unwrap_or(0)
    };
    let (came, went) = (wanted.without(&held), held.without(&wanted));
    let halves = [2.0_f64.powi(31), 2.0_f64.powi(127)];
    let mut grown = wanted.sizes().into_iter().zip(sizes).zip(halves);
    Drift {
        added: share(&came),
        removed: share(&went),
        networks_added: came.count_within(after),
        networks_removed: went.count_within(before),
        networks: before.len(),
        is_half: grown.any(|((wanted, held), half)| wanted >= half && held < half),
    }
}

#[cfg(test)]
mod tests;
