//! What a rule of another program says of one key and every address at once: conditions that hold for some addresses, and
//! texts that differ from address to address.
//!
//! Never guesses: where something else than key and address decides, it says so, and whoever asks takes the side that admits
//! less.

mod table;

use std::net::IpAddr;

use crate::access::network::Network;
use crate::directory::ranges::Addresses;

pub(super) use table::{Entry, Table};

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Truth {
    /// Where it certainly holds.
    pub(super) must: Addresses,
    /// Where it may hold.
    pub(super) may: Addresses,
}

impl Truth {
    pub(super) fn of(addresses: Addresses) -> Self {
        Self { must: addresses.clone(), may: addresses }
    }

    pub(super) fn always() -> Self {
        Self::of(Addresses::all())
    }

    pub(super) fn never() -> Self {
        Self::of(Addresses::default())
    }

    /// Something else decides.
    pub(super) fn unknown() -> Self {
        Self { must: Addresses::default(), may: Addresses::all() }
    }

    pub(super) fn not(&self) -> Self {
        let all = Addresses::all();
        Self { must: all.without(&self.may), may: all.without(&self.must) }
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        Self { must: self.must.and(&other.must), may: self.may.and(&other.may) }
    }

    pub(super) fn or(&self, other: &Self) -> Self {
        Self { must: self.must.or(&other.must), may: self.may.or(&other.may) }
    }

    fn within(&self, addresses: &Addresses) -> Self {
        Self { must: self.must.and(addresses), may: self.may.and(addresses) }
    }
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Known(String),
    /// The client's address as it is usually written.
    Address,
    /// The key, while it is looked for which there are.
    Key,
    Unknown,
}

impl Part {
    fn lowercase(&self) -> Self {
        match self {
            Self::Known(text) => Self::Known(text.to_ascii_lowercase()),
            part => part.clone(),
        }
    }
}

/// A text, or none where nothing was set.
pub(super) type Value = Option<Vec<Part>>;

/// A text that may differ from address to address: a value for each of disjoint sets that hold every address.
#[derive(Debug, Clone)]
pub(super) struct Text(pub(super) Vec<(Addresses, Value)>);

/// How a text is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Whole,
    Beginning,
    End,
    Within,
}

impl Text {
    pub(super) fn of(part: Part) -> Self {
        Self(vec![(Addresses::all(), Some(vec![part]))])
    }

    pub(super) fn known(text: &str) -> Self {
        Self::of(Part::Known(text.to_owned()))
    }

    pub(super) fn absent() -> Self {
        Self(vec![(Addresses::all(), None)])
    }

    /// One behind the other; what is not set is empty.
    pub(super) fn then(&self, next: &Self) -> Self {
        let mut all = Vec::new();
        for (here, first) in &self.0 {
            for (there, second) in &next.0 {
                let both = here.and(there);
                if !both.is_empty() {
                    let parts = first.iter().chain(second).flatten().cloned();
                    all.push((both, Some(joined(parts))));
                }
            }
        }
        Self(all)
    }

    /// Another text where a condition holds, and nobody knows which where it may hold.
    pub(super) fn replaced(&self, truth: &Truth, by: &Self) -> Self {
        let doubt = truth.may.without(&truth.must);
        let kept = Addresses::all().without(&truth.may);
        let of = |text: &Self, within: &Addresses| {
            let within = text.0.iter().map(|(at, value)| (at.and(within), value.clone()));
            within.filter(|(at, _)| !at.is_empty()).collect::<Vec<_>>()
        };
        let mut all = of(by, &truth.must);
        all.extend(of(self, &kept));
        if !doubt.is_empty() {
            all.push((doubt, Some(vec![Part::Unknown])));
        }
        Self(all)
    }

    /// Whether a value has a property; where it is not said, that is unknown.
    pub(super) fn truth(&self, judge: impl Fn(Option<&[Part]>) -> Option<bool>) -> Truth {
        self.any(|value| match judge(value) {
            Some(true) => Truth::always(),
            Some(false) => Truth::never(),
            None => Truth::unknown(),
        })
    }

    /// The same, of values in which the address stands.
    pub(super) fn any(&self, judge: impl Fn(Option<&[Part]>) -> Truth) -> Truth {
        let each = self.0.iter().map(|(at, value)| judge(value.as_deref()).within(at));
        each.fold(Truth::never(), |all, one| all.or(&one))
    }

    /// Whether it is, or begins with, ends with, holds this.
    pub(super) fn compares(&self, how: How, with: &str) -> Truth {
        self.any(|value| value.map_or_else(Truth::never, |parts| compares(parts, how, with)))
    }

    /// What stands in each address's own text.
    pub(super) fn looked_up(&self, table: &Table) -> Self {
        Self(self.0.iter().flat_map(|(at, value)| table.find(at, value.as_deref())).collect())
    }

    /// The text in lower case.
    pub(super) fn lowercase(&self) -> Self {
        let all = self.0.iter();
        Self(
            all.map(|(at, value)| {
                (at.clone(), value.as_ref().map(|parts| parts.iter().map(Part::lowercase).collect()))
            })
            .collect(),
        )
    }
}

fn joined(parts: impl Iterator<Item = Part>) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::new();
    for part in parts {
        match (all.last_mut(), part) {
            (_, Part::Known(text)) if text.is_empty() => {}
            (Some(Part::Known(before)), Part::Known(text)) => before.push_str(&text),
            (_, part) => all.push(part),
        }
    }
    all
}

/// A text without anything that differs.
pub(super) fn known(parts: &[Part]) -> Option<&str> {
    match parts {
        [] => Some(""),
        [Part::Known(text)] => Some(text),
        _ => None,
    }
}

/// The parts around the only address in a text.
fn around(parts: &[Part]) -> Option<(&str, &str)> {
    match parts {
        [Part::Address] => Some(("", "")),
        [Part::Known(before), Part::Address] => Some((before, "")),
        [Part::Address, Part::Known(behind)] => Some(("", behind)),
        [Part::Known(before), Part::Address, Part::Known(behind)] => Some((before, behind)),
        _ => None,
    }
}

pub(super) fn compares(parts: &[Part], how: How, with: &str) -> Truth {
    if let Some(text) = known(parts) {
        let holds = match how {
            How::Whole => text == with,
            How::Beginning => text.starts_with(with),
            How::End => text.ends_with(with),
            How::Within => text.contains(with),
        };
        return if holds { Truth::always() } else { Truth::never() };
    }
    if let (How::Whole | How::Beginning, Some(Part::Known(first))) = (how, parts.first())
        && !with.starts_with(first.as_str())
        && !(how == How::Beginning && first.starts_with(with))
    {
        return Truth::never();
    }
    let Some((before, behind)) = around(parts) else { return Truth::unknown() };
    match how {
        How::Whole => {
            let inner = with.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
            inner.map_or_else(Truth::never, |inner| match inner.parse::<IpAddr>() {
                // Programs differ in how they write some addresses.
                Ok(address) if address.is_ipv6() && written(inner).is_empty() => {
                    Truth { must: Addresses::default(), may: Addresses::of(std::iter::once(Network::host(address))) }
                }
                _ => Truth::of(written(inner)),
            })
        }
        How::Beginning if before.starts_with(with) => Truth::always(),
        How::Beginning => match with.strip_prefix(before) {
            // What stands behind the address may be part of it.
            // What stands behind the address may be meant as well.
            Some(rest) if behind.is_empty() => beginning(rest).map_or_else(Truth::unknown, Truth::of),
            Some(_) => Truth::unknown(),
            None => Truth::never(),
        },
        How::End | How::Within => Truth::unknown(),
    }
}

/// The one address that is usually written like this; none where there is no such.
pub(super) fn written(text: &str) -> Addresses {
    let address = text.parse::<IpAddr>().ok().filter(|address| address.to_string() == text);
    Addresses::of(address.into_iter().map(Network::host))
}

/// The addresses whose usual spelling begins like this, where networks can say it.
pub(super) fn beginning(text: &str) -> Option<Addresses> {
    if text.is_empty() {
        return Some(Addresses::all());
    }
    if text.contains(':') || text.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return beginning_of_v6(text);
    }
    let parts: Vec<&str> = text.split('.').collect();
    let (last, whole) = parts.split_last()?;
    let octet = |text: &&str| text.parse::<u8>().ok().filter(|octet| octet.to_string() == **text);
    let whole: Vec<u8> = whole.iter().map(octet).collect::<Option<_>>().unwrap_or_else(|| vec![0; 9]);
    if whole.len() > 3 {
        return Some(Addresses::default());
    }
    if whole.is_empty() && parts.len() == 1 {
        // Digits alone begin addresses of both families.
        return None;
    }
    let network = |octets: &[u8]| {
        let mut bytes = [0; 4];
        bytes[..octets.len()].copy_from_slice(octets);
        Network::truncated(bytes.into(), 8 * u8::try_from(octets.len()).unwrap_or(4))
    };
    let all: Vec<Network> = match last.is_empty() {
        true => network(&whole).into_iter().collect(),
        false => {
            let fits = |octet: &u8| octet.to_string().starts_with(last);
            let longer = |octet: u8| whole.iter().copied().chain([octet]).collect::<Vec<u8>>();
            (0..=u8::MAX).filter(fits).filter_map(|octet| network(&longer(octet))).collect()
        }
    };
    Some(Addresses::of(all.into_iter()))
}

/// Groups that are written out in every spelling of the address: none of them is zero, and a colon ends the last.
fn beginning_of_v6(text: &str) -> Option<Addresses> {
    let groups: Vec<u16> = text
        .strip_suffix(':')?
        .split(':')
        .map(|group| u16::from_str_radix(group, 16).ok().filter(|value| *value != 0 && format!("{value:x}") == group))
        .collect::<Option<_>>()?;
    if groups.len() > 6 {
        return None;
    }
    let mut all = [0; 8];
    all[..groups.len()].copy_from_slice(&groups);
    let network = Network::truncated(IpAddr::from(all), 16 * u8::try_from(groups.len()).ok()?)?;
    Some(Addresses::of(std::iter::once(network)))
}

/// The key that a template compares with a text, where there is exactly one: the key stands alone, or before or behind an address.
pub(super) fn key_in<'p>(template: &[Part], how: How, pattern: &'p str) -> Option<&'p str> {
    let is_address = |text: &str| match how {
        How::Whole => !written(text).is_empty(),
        How::Beginning => beginning(text).is_some_and(|found| !found.is_empty()),
        How::End | How::Within => false,
    };
    match template {
        [Part::Key] => (how == How::Whole).then_some(pattern),
        [Part::Key, Part::Known(between), Part::Address] => {
            let at =
                pattern.match_indices(between.as_str()).find(|(at, _)| is_address(&pattern[at + between.len()..]))?;
            Some(&pattern[..at.0])
        }
        [Part::Address, Part::Known(between), Part::Key] if how == How::Whole => {
            let all: Vec<_> = pattern.match_indices(between.as_str()).collect();
            let at = all.into_iter().rev().find(|(at, _)| is_address(&pattern[..*at]))?;
            Some(&pattern[at.0 + between.len()..])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
