//! Texts that a file lists, with what each stands for: maps of nginx, and ACL and map files of HAProxy.
//!
//! Never walks all of it for a text that is wholly known, so that a hundred thousand keys take their time once.

use std::collections::{BTreeMap, HashMap};

use super::{How, Part, Truth, Value, compares, known};
use crate::access::network::Network;
use crate::directory::ranges::Addresses;

/// What a text is compared with.
#[derive(Debug, Clone)]
pub(in super::super) enum Entry {
    Text(How, String),
    /// Among those whose order counts, also where it is a whole text.
    Exact(How, String),
    /// Something that texts may match, in a way that nobody knows here.
    Unknown,
}

/// Entries and what they stand for.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Table {
    whole: BTreeMap<String, Value>,
    /// The others, in their order.
    further: Vec<(Entry, Value)>,
    /// By the address, the narrowest network first.
    networks: Vec<(Addresses, Value)>,
    pub(in super::super) default: Value,
    /// Of whole texts.
    pub(in super::super) ignores_case: bool,
}

impl Table {
    /// One without entries, in which everything stands for this.
    pub(in super::super) fn of(default: Value) -> Self {
        Self { default, ..Self::default() }
    }

    /// Adds an entry; whole texts come before all others, and the first of equal ones counts.
    pub(in super::super) fn add(&mut self, entry: Entry, value: Value) {
        match entry {
            Entry::Text(How::Whole, text) => {
                let text = if self.ignores_case { text.to_ascii_lowercase() } else { text };
                self.whole.entry(text).or_insert(value);
            }
            entry => self.further.push((entry, value)),
        }
    }

    /// Takes networks, of which the longest that holds an address counts.
    pub(in super::super) fn networks(&mut self, all: Vec<(Network, Value)>) {
        let mut by_length: BTreeMap<u8, HashMap<Value, Vec<Network>>> = BTreeMap::new();
        for (network, value) in all {
            let length = network.prefix_len() + if network.address().is_ipv4() { 96 } else { 0 };
            by_length.entry(length).or_default().entry(value).or_default().push(network);
        }
        let mut taken = Addresses::default();
        for (_, values) in by_length.into_iter().rev() {
            let mut level = Addresses::default();
            for (value, networks) in values {
                let addresses = Addresses::of(networks.into_iter());
                self.networks.push((addresses.without(&taken), value));
                level = level.or(&addresses);
            }
            taken = taken.or(&level);
        }
    }

    /// What a text stands for, for each part of these addresses.
    pub(in super::super) fn find(&self, at: &Addresses, text: Option<&[Part]>) -> Vec<(Addresses, Value)> {
        let Some(parts) = text else { return vec![(at.clone(), self.default.clone())] };
        let lowered: Option<Vec<Part>> = self.ignores_case.then(|| parts.iter().map(Part::lowercase).collect());
        let alike = lowered.as_deref().unwrap_or(parts);
        let mut left = at.clone();
        let mut found = Vec::new();
        let mut take = |truth: &Truth, value: &Value| {
            let (here, doubt) = (left.and(&truth.must), left.and(&truth.may).without(&truth.must));
            left = left.without(&truth.may);
            found.extend((!here.is_empty()).then(|| (here, value.clone())));
            found.extend((!doubt.is_empty()).then(|| (doubt, Some(vec![Part::Unknown]))));
        };
        match (known(alike), alike.first()) {
            (Some(text), _) => {
                if let Some(value) = self.whole.get(text) {
                    take(&Truth::always(), value);
                }
            }
            (None, Some(Part::Known(first))) => {
                // Only these can be meant.
                for (text, value) in self.whole.range(first.clone()..).take_while(|(text, _)| text.starts_with(first)) {
                    take(&compares(alike, How::Whole, text), value);
                }
            }
            _ => self.whole.iter().for_each(|(text, value)| take(&compares(alike, How::Whole, text), value)),
        }
        for (addresses, value) in &self.networks {
            let truth = match parts {
                [Part::Address] => Truth::of(addresses.clone()),
                _ => Truth::unknown(),
            };
            take(&truth, value);
        }
        for (entry, value) in &self.further {
            let truth = match entry {
                Entry::Text(how, text) | Entry::Exact(how, text) => compares(parts, *how, text),
                Entry::Unknown => Truth::unknown(),
            };
            take(&truth, value);
        }
        found.extend((!left.is_empty()).then(|| (left, self.default.clone())));
        found
    }
}
