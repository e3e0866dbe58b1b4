//! Access lists of a directory: plain entries, list files and network sets.
//! Never turns an entry that brings nothing into an empty list, which may mean "from anywhere".

use std::collections::HashMap;
use std::sync::Arc;

use super::{At, Gathered, Resolve, raw};
use crate::access::credential::AccessListMode;
use crate::access::feed::{Form, Source, Wanted};
use crate::access::network::Network;
use crate::clock::Timestamp;
use crate::config::diagnostic::{Place, Problem};
use crate::config::document::Step;
use crate::config::feed_source::FeedSource;
use crate::directory::model::{Admits, Entry};
use crate::directory::provider_list;

/// Most faults of one list file that are reported; the rest is counted.
const MOST_FAULTS: usize = 100;

impl Resolve<'_> {
    pub(super) fn access_list(&mut self, of: &Gathered, at: At, raws: Vec<raw::Entry>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(raws.len());
        let mut written: HashMap<Network, usize> = HashMap::new();
        for (index, raw) in raws.into_iter().enumerate() {
            let spot = || at.spot([Step::from("access_list"), Step::from(index)]);
            let before = entries.len();
            let network = match raw {
                raw::Entry::Plain(text) => match text.0 {
                    Ok(network) => Some((network, Timestamp::NEVER, None)),
                    Err(fault) => {
                        self.fault(spot(), fault);
                        None
                    }
                },
                raw::Entry::Detailed(raw) => self.detailed(of, at, index, *raw, &mut entries),
            };
            let Some((network, expires_at, comment)) = network else {
                continue;
            };
            // Short lists, which nearly all are, need no table.
            let first = match before <= 16 {
                true => entries.iter().position(|entry| entry.target == Admits::Network(network)),
                false => {
                    if written.is_empty() {
                        let listed = entries.iter().enumerate();
                        written.extend(listed.filter_map(|(at, entry)| match entry.target {
                            Admits::Network(network) => Some((network, at)),
                            Admits::Set(_) => None,
                        }));
                    }
                    written.get(&network).copied()
                }
            };
            if first.is_some() {
                self.fault(spot(), format!("network `{network}` is on this list twice; keep one"));
            }
            if before > 16 {
                written.insert(network, before);
            }
            entries.push(Entry { target: Admits::Network(network), expires_at, comment });
        }
        entries.shrink_to_fit();
        if entries.len() > self.entries_per_list && !self.limits_lost() {
            let message = self.too_many("this list", entries.len());
            self.fault(at.key("access_list"), message);
        }
        self.weigh(of, at, &entries);
        entries
    }

    /// The network of an entry, or nothing where it brought others or was at fault.
    fn detailed(
        &mut self,
        of: &Gathered,
        at: At,
        index: usize,
        raw: raw::DetailedEntry,
        entries: &mut Vec<Entry>,
    ) -> Option<(Network, Timestamp, Option<Box<str>>)> {
        let spot = |key: Option<&str>| {
            at.spot([Step::from("access_list"), Step::from(index)].into_iter().chain(key.map(Step::from)))
        };
        let expires_at = self.expiry(|| spot(Some("expires_at")), raw.expires_at.as_deref());
        let comment: Option<Box<str>> = raw.comment.map(Into::into);
        if comment.as_ref().is_some_and(|text| text.chars().count() > 250) {
            self.fault(spot(Some("comment")), "a comment has up to 250 characters");
        }
        match (raw.cidr, raw.file, raw.set) {
            (Some(text), None, None) => match text.parse::<Network>() {
                Ok(network) => return Some((network, expires_at, comment)),
                Err(fault) => self.fault(spot(Some("cidr")), fault.to_string()),
            },
            (None, Some(name), None) => {
                let networks = self.list_file(at, index, &name);
                let listed = networks.iter().flat_map(|networks| networks.iter());
                entries.extend(listed.map(|network| Entry {
                    target: Admits::Network(*network),
                    expires_at,
                    comment: comment.clone(),
                }));
            }
            (None, None, Some(name)) => match of.sets.get(name.as_str()) {
                Some(set) => entries.push(Entry { target: Admits::Set(*set), expires_at, comment }),
                None if self.lost(&of.parts, "network_sets") => {}
                None => {
                    let known = of.organization.network_sets.iter().map(|set| format!("`{}`", set.name));
                    let known = known.collect::<Vec<_>>().join(", ");
                    let known = if known.is_empty() { "none".to_owned() } else { known };
                    self.fault(
                        spot(Some("set")),
                        format!("the organization has no network set `{name}`; it has {known}"),
                    );
                }
            },
            _ if ["cidr", "file", "set"].iter().any(|key| self.lost_at(&spot(Some(key)))) => {}
            _ => self.fault(spot(None), "an entry has exactly one of `cidr`, `file` and `set`"),
        }
        None
    }

    /// What a network set holds, written out or in a list that a provider publishes.
    pub(super) fn set_networks(
        &mut self,
        at: At,
        written: Option<Vec<raw::NetworkText>>,
        from: Option<raw::PublishedList>,
        has_source: bool,
    ) -> Vec<Network> {
        match (written, from) {
            (_, Some(_)) if has_source => {
                self.fault(at.key("from"), "a network set with a `source` has `networks`, and not `from`; take it out");
            }
            (Some(texts), None) => {
                let mut networks = Vec::with_capacity(texts.len());
                for (index, text) in texts.into_iter().enumerate() {
                    match text.0 {
                        Ok(network) => networks.push(network),
                        Err(fault) => self.fault(at.spot([Step::from("networks"), Step::from(index)]), fault),
                    }
                }
                return networks;
            }
            (None, Some(list)) => return self.published(at, list).unwrap_or_default(),
            (Some(_), Some(_)) => self.fault(at.key("from"), "a network set has `networks` or `from`; take one out"),
            (None, None) if ["networks", "from"].iter().any(|key| self.lost_at(&at.key(key))) => {}
            (None, None) if has_source => {
                let message = "a network set with a `source` says besides what a new one begins with; write `networks: []` where that is nothing";
                self.fault(at.key("source"), message);
            }
            (None, None) => {
                let message = "a network set has `networks`, or takes them `from` a list; `networks: []` admits nobody";
                self.fault(at.spot(std::iter::empty()), message);
            }
        }
        Vec::new()
    }

    /// Where a store is to take the networks of a set from by itself.
    pub(super) fn source(&mut self, at: At, source: FeedSource) -> Option<Source> {
        let fault = match source.judged() {
            Ok(source) => return Some(source),
            Err(fault) => fault,
        };
        let spot = |key: &'static str| at.spot([Step::from("source"), Step::from(key)]);
        match fault.attribute {
            Some(attribute) => self.fault(spot(attribute), fault.why),
            None if ["url", "file"].iter().any(|key| self.lost_at(&spot(key))) => {}
            None => self.fault(at.key("source"), fault.why),
        }
        None
    }

    fn published(&mut self, at: At, list: raw::PublishedList) -> Option<Vec<Network>> {
        let spot = |key: &str| at.spot([Step::from("from"), Step::from(key)]);
        let form = list.form.map(|name| Form::named(&name).ok_or(name)).transpose();
        let form = form.map_err(|name| {
            let known = Form::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
            self.fault(spot("form"), format!("`{name}` is none of {known}"));
        });
        let read = self.reader.list(&self.files[at.file], &list.file);
        let wanted = Wanted { services: list.services, regions: list.regions };
        let networks = read.and_then(|(shown, text)| {
            let form = form.unwrap_or_default();
            provider_list::read(&text, form, &wanted).map_err(|fault| format!("list `{shown}`: {fault}"))
        });
        networks.map_err(|fault| self.fault(spot("file"), fault)).ok()
    }

    fn list_file(&mut self, at: At, index: usize, name: &str) -> Option<Arc<[Network]>> {
        let key = (at.file, name.to_owned());
        if let Some(known) = self.lists.get(&key) {
            return known.clone();
        }
        let read = self.reader.list(&self.files[at.file], name);
        let networks = match read {
            Ok((shown, text)) => self.list_lines(&shown.into(), &text),
            Err(fault) => {
                self.fault(at.spot([Step::from("access_list"), Step::from(index), Step::from("file")]), fault);
                None
            }
        };
        self.lists.insert(key, networks.clone());
        networks
    }

    /// One address or CIDR block a line; `#` begins a comment.
    fn list_lines(&mut self, name: &Arc<str>, text: &str) -> Option<Arc<[Network]>> {
        let mut networks = Vec::new();
        let mut first: HashMap<Network, usize> = HashMap::new();
        let mut faults = 0;
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let written = line.split('#').next().unwrap_or_default();
            let trimmed = written.trim();
            if trimmed.is_empty() {
                continue;
            }
            let fault = match trimmed.parse::<Network>() {
                Err(fault) => Some(fault.to_string()),
                Ok(network) => match first.insert(network, index + 1) {
                    Some(line) => Some(format!("network `{network}` is in line {line} already; keep one")),
                    None => {
                        networks.push(network);
                        None
                    }
                },
            };
            let Some(message) = fault else {
                continue;
            };
            faults += 1;
            if faults <= MOST_FAULTS {
                let column = written.chars().take_while(|one| one.is_whitespace()).count() + 1;
                let length = trimmed.chars().count();
                let excerpt = Some(line.chars().take(200).collect::<String>().into());
                let place = Place { file: Arc::clone(name), line: index + 1, column, length, excerpt };
                self.problems.push(Problem::error(place, message));
            }
        }
        if faults > MOST_FAULTS {
            let message = format!("{} more lines are no networks", faults - MOST_FAULTS);
            self.problems.push(Problem::error(Place::file(Arc::clone(name)), message));
        }
        if networks.is_empty() && faults == 0 {
            // An entry that brings nothing must not turn a list into an empty one, which may mean "from anywhere".
            self.problems.push(Problem::error(
                Place::file(Arc::clone(name)),
                "the list file names no network; add one or take the entry out",
            ));
        }
        (faults == 0).then(|| networks.into())
    }

    /// A list that admits everybody (decision.md §4).
    fn weigh(&mut self, of: &Gathered, at: At, entries: &[Entry]) {
        if !of.organization.covers_a_family(entries) {
            return;
        }
        match of.organization.mode {
            AccessListMode::Required => {
                let message = "this list admits every address of a family, which the organization's `require_access_list: true` rules out; name narrower networks";
                self.fault(at.key("access_list"), message);
            }
            AccessListMode::Off | AccessListMode::Report => {
                self.warn(at.key("access_list"), "this list admits every address of a family");
            }
        }
    }
}
