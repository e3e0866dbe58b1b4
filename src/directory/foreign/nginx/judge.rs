//! What nginx's directives say of one key and every address: the rewrite phase of server and location, then access.
//!
//! Never follows a request into another location.

use std::collections::HashMap;

use super::super::notebook::Reach;
use super::super::reasoning::{How, Part, Text, Truth, known};
use super::super::rules::Progress;
use super::patterns::{Piece, expression, pieces};
use super::words::Directive;
use super::world::{OF_THE_REQUEST, World, condition};
use super::{PROOFS, access, is_unknown, leaves, refuses};
use crate::directory::ranges::Addresses;

/// Variables that refer to others more often than this are not followed.
const DEEPEST: usize = 16;

/// Runs directives.
pub(super) struct Judge<'w> {
    world: &'w World,
}

/// One key, and what was set on the way.
struct Case<'w> {
    world: &'w World,
    key: Option<&'w str>,
    set: HashMap<String, Text>,
    maps: HashMap<String, Text>,
}

impl<'w> Judge<'w> {
    pub(super) fn of(world: &'w World) -> Self {
        Self { world }
    }

    /// Whether a condition looks at the request alone.
    pub(super) fn is_about_the_request(&self, directive: &Directive) -> bool {
        let leaves = self.world.leaves(&directive.words);
        !leaves.is_empty() && leaves.iter().all(|name| OF_THE_REQUEST.contains(&name.as_str()))
    }

    /// Whether the key decides anything here.
    pub(super) fn asks(&self, levels: &[&[Directive]]) -> bool {
        let header = format!("http_{}", self.world.header);
        // Of what is around a location, the server's own conditions count.
        let own = levels.iter().skip(1).take(1).chain(levels.iter().skip(2).last());
        own.flat_map(|level| level.iter())
            .any(|one| one.name == "if" && self.world.leaves(&one.words).contains(&header))
    }

    /// From where a key, or a caller without a known one, gets through.
    pub(super) fn reach(&self, levels: &[&[Directive]], key: Option<&'w str>, is_implied: bool) -> Reach {
        let mut case = Case { world: self.world, key, set: HashMap::new(), maps: HashMap::new() };
        let mut progress = Progress::begin();
        if is_implied {
            progress.refuse(&case.is_known().not());
        }
        for (depth, level) in levels.iter().skip(1).take(1).chain(levels.iter().skip(2).last()).enumerate() {
            // What the server rewrites only chooses the location.
            for directive in level.iter().filter(|one| depth > 0 || !leaves(one)) {
                if directive.name == "break" {
                    break;
                }
                self.step(directive, &Truth::always(), &mut case, &mut progress);
            }
        }
        let inmost = |is: &dyn Fn(&Directive) -> bool| levels.iter().rev().find(|level| level.iter().any(is)).copied();
        let rules = inmost(&|one| matches!(one.name.as_str(), "allow" | "deny"));
        let satisfies_any = inmost(&|one| one.name == "satisfy")
            .is_some_and(|level| level.iter().any(|one| one.name == "satisfy" && one.word() == "any"));
        if let Some(rules) = rules {
            access(rules, &mut progress);
        }
        if !(satisfies_any && rules.is_some()) {
            for proof in PROOFS {
                let asked =
                    inmost(&|one| one.name == *proof).and_then(|level| level.iter().find(|one| one.name == *proof));
                if asked.is_some_and(|one| !matches!(one.word(), "off" | "optional" | "optional_no_ca")) {
                    progress.refuse(&Truth::unknown());
                    return super::nobody();
                }
            }
        }
        if levels.iter().flat_map(|level| level.iter()).any(|one| is_unknown(&one.name)) {
            return super::nobody();
        }
        progress.end()
    }

    fn step(&self, directive: &Directive, truth: &Truth, case: &mut Case<'w>, progress: &mut Progress) {
        match (directive.name.as_str(), &directive.words[..]) {
            ("set", [name, value]) => {
                let name = name.trim_start_matches('$').to_owned();
                let value = case.text(value, 0);
                let before = case.set.get(&name).cloned().unwrap_or_else(|| Text::known(""));
                case.set.insert(name, before.replaced(truth, &value));
            }
            ("return", _) => match refuses(directive) {
                Some(true) => progress.refuse(truth),
                Some(false) => progress.let_in(truth),
                None => {}
            },
            _ if leaves(directive) => progress.refuse(&Truth { must: Addresses::default(), may: truth.may.clone() }),
            ("if", words) => {
                let holds = case.holds(&condition(words)).and(truth);
                let is_elsewhere = self.is_about_the_request(directive);
                for one in directive.inner() {
                    match one.name.as_str() {
                        // Whom it refuses, it refuses whoever they are; that is told.
                        "return" if is_elsewhere && refuses(one) == Some(true) => {}
                        "break" => progress.refuse(&holds),
                        name if is_unknown(name) => progress.refuse(&holds),
                        _ => self.step(one, &holds, case, progress),
                    }
                }
            }
            _ => {}
        }
    }
}

impl<'w> Case<'w> {
    fn text(&mut self, text: &str, depth: usize) -> Text {
        let mut all = Text::known("");
        for piece in pieces(text) {
            let next = match piece {
                Piece::Plain(text) => Text::known(text),
                Piece::Variable(name) => self.variable(name, depth),
            };
            all = all.then(&next);
        }
        all
    }

    fn variable(&mut self, name: &str, depth: usize) -> Text {
        if depth > DEEPEST {
            return Text::of(Part::Unknown);
        }
        if let Some(text) = self.set.get(name) {
            return text.clone();
        }
        if name.strip_prefix("http_") == Some(&self.world.header) {
            // A stranger's key is like none that is known.
            return Text::known(self.key.unwrap_or("\u{0}"));
        }
        if name == "remote_addr" {
            return Text::of(Part::Address);
        }
        if let Some(text) = self.maps.get(name).or_else(|| self.world.geos.get(name)) {
            return text.clone();
        }
        let world = self.world;
        match world.maps.get(name) {
            Some(map) => {
                let text = self.text(&map.source, depth + 1).looked_up(&map.table);
                self.maps.insert(name.to_owned(), text.clone());
                text
            }
            None => Text::of(Part::Unknown),
        }
    }

    /// Whether a condition holds.
    fn holds(&mut self, words: &[String]) -> Truth {
        match words {
            [one] if one.starts_with('$') => {
                self.text(one, 0).truth(|value| value.and_then(known).map(|text| !matches!(text, "" | "0")))
            }
            [left, operator, right] => {
                let text = self.text(left, 0);
                let (negated, operator) =
                    operator.strip_prefix('!').map_or((false, operator.as_str()), |rest| (true, rest));
                let truth = match operator {
                    "=" if !right.contains('$') => text.compares(How::Whole, right),
                    "~" => matches(&text, right),
                    "~*" => matches(&text.lowercase(), &right.to_ascii_lowercase()),
                    _ => Truth::unknown(),
                };
                if negated { truth.not() } else { truth }
            }
            _ => Truth::unknown(),
        }
    }

    /// Whether each map of keys gives something else than its default, and there is one.
    fn is_known(&mut self) -> Truth {
        let world = self.world;
        let header = format!("http_{}", world.header);
        let mut names: Vec<&String> =
            world.maps.keys().filter(|name| world.leaves(&[format!("${name}")]).contains(&header)).collect();
        names.sort_unstable();
        let first = if names.is_empty() { Truth::never() } else { Truth::always() };
        names.into_iter().fold(first, |all, name| {
            let default = world.maps.get(name).and_then(|map| map.table.default.clone());
            let given = self.variable(name, 0);
            let is_default = given.truth(|value| match (value.and_then(known), default.as_deref().and_then(known)) {
                (Some(given), Some(default)) => Some(given == default),
                _ => None,
            });
            all.and(&is_default.not())
        })
    }
}

fn matches(text: &Text, pattern: &str) -> Truth {
    match expression(pattern) {
        Some(texts) => texts.iter().fold(Truth::never(), |all, (how, with)| all.or(&text.compares(*how, with))),
        None => Truth::unknown(),
    }
}
