//! Pages of long lists: what is looked for, in which order, and where the neighbouring pages are.

use super::visit::Visit;
use crate::access::record::{CredentialOrder, CredentialSearch};

/// Items of one page.
const SIZE: u64 = 50;

/// The page of a list that is asked for.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    /// The path of the list.
    path: String,
    /// What stays the same on other pages, as names and values.
    kept: Vec<(&'static str, String)>,
    number: u64,
    /// How many there are in all, once that is known.
    total: u64,
}

impl Listing {
    /// Of a visit; these fields of the query are kept from page to page.
    pub(super) fn of(visit: &Visit, kept: &[&'static str]) -> Self {
        let path = visit.here.split('?').next().unwrap_or_default().to_owned();
        let given = |name: &&'static str| visit.query.given(name).map(|value| (*name, value.to_owned()));
        let number = visit.query.text("page").parse().unwrap_or(1).clamp(1, 1_000_000);
        Self { path, kept: kept.iter().filter_map(given).collect(), number, total: 0 }
    }

    /// How many to pass over, and how many to take.
    pub(super) fn part(&self) -> (u64, u64) {
        ((self.number - 1) * SIZE, SIZE)
    }

    /// With how many there are.
    pub(super) fn of_total(self, total: u64) -> Self {
        Self { total, ..self }
    }

    /// What a field was set to.
    pub(super) fn given(&self, name: &str) -> &str {
        self.kept.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn first(&self) -> u64 {
        (self.number - 1) * SIZE + 1
    }

    pub(super) fn last(&self) -> u64 {
        (self.number * SIZE).min(self.total)
    }

    pub(super) fn previous(&self) -> Option<String> {
        (self.number > 1).then(|| self.address(&[("page", &(self.number - 1).to_string())]))
    }

    pub(super) fn next(&self) -> Option<String> {
        (self.number * SIZE < self.total).then(|| self.address(&[("page", &(self.number + 1).to_string())]))
    }

    /// The address of the same list, with some fields set otherwise.
    fn address(&self, other: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let is_other = |name: &str| other.iter().any(|(known, _)| *known == name);
        for (name, value) in self.kept.iter().filter(|(name, _)| !is_other(name)) {
            query.append_pair(name, value);
        }
        for (name, value) in other.iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        format!("{}?{}", self.path, query.finish())
    }

    /// The search for credentials that the query asks for.
    pub(super) fn search(&self) -> CredentialSearch {
        let sort = self.given("sort");
        let (name, descending) = sort.strip_prefix('-').map_or((sort, false), |name| (name, true));
        let order = CredentialOrder::ALL.iter().find(|(known, _)| *known == name).map(|(_, order)| *order);
        CredentialSearch { text: self.given("search").to_owned(), order: order.unwrap_or_default(), descending }
    }

    /// Where a click on the heading of a column leads: sorted by it, and then the other way round.
    pub(super) fn sorted(&self, name: &str) -> String {
        // Times are looked at newest first.
        let first = if name == "name" { "" } else { "-" };
        let other = if name == "name" { "-" } else { "" };
        let now = self.given("sort");
        let next = if now == format!("{first}{name}") { format!("{other}{name}") } else { format!("{first}{name}") };
        self.address(&[("sort", &next)])
    }

    /// How a column is sorted, for whoever does not see the arrow.
    pub(super) fn aria_sort(&self, name: &str) -> &'static str {
        match self.given("sort").strip_prefix('-') {
            Some(now) if now == name => "descending",
            None if self.given("sort") == name => "ascending",
            _ => "none",
        }
    }
}
