//! What HAProxy's rules say of one key and every address: those of a frontend, then of the backends that it may choose.
//!
//! Never takes a backend for chosen that only may be: all that may be have to let the request in.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use super::super::notebook::Reach;
use super::super::reasoning::{Part, Text, Truth, key_in, known};
use super::super::rules::Progress;
use super::program::{Acl, Action, Condition, Expression, Fetch, Patterns, Piece, Rule, Step, Term, Test};
use crate::config::diagnostic::Place;
use crate::directory::ranges::Addresses;

/// A frontend or a backend, compiled.
pub(super) struct Half {
    pub(super) rules: Vec<Rule>,
    pub(super) acls: HashMap<String, Vec<Acl>>,
    /// Something is asked for that nobody here knows.
    pub(super) is_doubtful: bool,
    /// It passes requests on by itself, without a backend.
    pub(super) serves: bool,
}

/// A key, where it stands, what it is called.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) place: Place,
}

/// What was seen while no key was meant.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) keys: BTreeMap<String, Found>,
    /// The key was looked at.
    pub(super) asks: bool,
    /// Patterns of which nobody can tell the key.
    pub(super) untold: Vec<Place>,
    /// Where case does not matter for keys.
    pub(super) any_case: Vec<Place>,
    /// Where key and address are one text.
    pub(super) composites: Vec<Place>,
}

/// Runs rules for one key, or for any.
pub(super) struct Judge<'p> {
    header: &'p str,
    /// None where it is looked for which there are.
    key: Option<&'p str>,
    seen: RefCell<Seen>,
}

type Variables = HashMap<String, Text>;

impl<'p> Judge<'p> {
    pub(super) fn of(header: &'p str, key: Option<&'p str>) -> Self {
        Self { header, key, seen: RefCell::default() }
    }

    pub(super) fn seen(self) -> Seen {
        self.seen.into_inner()
    }

    /// Who gets through a frontend and whatever backend is chosen.
    pub(super) fn reach(&self, front: &Half, backends: &HashMap<String, Half>) -> Reach {
        let mut variables = Variables::new();
        let mut progress = Progress::begin();
        self.run(front, &mut variables, &mut progress);
        let progress = progress.next_part();
        let mut left = Truth::always();
        let mut doubtful = false;
        let mut through = progress.clone().end();
        let mut defaults: Vec<&Rule> = Vec::new();
        let mut choose = |name: Option<&str>, chosen: &Addresses, through: &mut Reach| {
            let all: Vec<Option<&Half>> = match name {
                Some(name) => vec![backends.get(name)],
                None => backends.values().map(Some).collect(),
            };
            for backend in all {
                let reached = match backend {
                    Some(backend) => {
                        let mut behind = progress.clone();
                        self.run(backend, &mut variables.clone(), &mut behind);
                        behind.end()
                    }
                    None => Reach::unknown(),
                };
                doubtful |= reached.is_doubtful && !chosen.is_empty();
                let refused = chosen.without(&reached.addresses);
                through.addresses = through.addresses.without(&refused);
            }
        };
        for rule in front.rules.iter().filter(|rule| matches!(rule.action, Action::Backend(_))) {
            if rule.words.first().is_some_and(|word| word == "default_backend") {
                defaults.push(rule);
                continue;
            }
            let holds = self.condition(rule.condition.as_ref(), front, &variables).and(&left);
            let Action::Backend(name) = &rule.action else { continue };
            choose(name.as_deref(), &holds.may, &mut through);
            left = left.and(&holds.not());
        }
        for rule in defaults {
            let Action::Backend(name) = &rule.action else { continue };
            choose(name.as_deref(), &left.may, &mut through);
            left = Truth::never();
        }
        through.is_doubtful |= doubtful;
        if !front.serves && !left.may.is_empty() {
            // There may be a default elsewhere; otherwise nobody answers.
            through.addresses = through.addresses.without(&left.may);
            through.is_doubtful = true;
        }
        through
    }

    fn run(&self, part: &Half, variables: &mut Variables, progress: &mut Progress) {
        if part.is_doubtful {
            progress.doubt();
        }
        for phase in 0..=2 {
            for rule in part.rules.iter().filter(|rule| rule.phase == phase) {
                let holds = self.condition(rule.condition.as_ref(), part, variables);
                match &rule.action {
                    // Whom it refuses, it refuses whoever they are; that is told.
                    Action::Refuse if is_of_the_request(rule, part) => {}
                    Action::Refuse | Action::Unknown => progress.refuse(&match rule.action {
                        Action::Unknown => Truth { must: Addresses::default(), may: holds.may },
                        _ => holds,
                    }),
                    Action::LetIn | Action::Accept => progress.let_in(&holds),
                    Action::SetVariable(name, pieces) => self.set(name.clone(), pieces, &holds, variables),
                    Action::SetHeader(name, pieces) => self.set(format!("header {name}"), pieces, &holds, variables),
                    Action::Backend(_) | Action::Nothing => {}
                }
            }
            // Who was let in by these rules is asked by the next ones all the same.
            *progress = progress.clone().next_part();
        }
    }

    fn set(&self, name: String, pieces: &[Piece], holds: &Truth, variables: &mut Variables) {
        let value = match pieces {
            [Piece::Of(expression)] => self.text(expression, variables),
            pieces => pieces.iter().fold(Text::known(""), |all, piece| {
                all.then(&match piece {
                    Piece::Plain(text) => Text::known(text),
                    Piece::Of(expression) => self.text(expression, variables),
                    Piece::Unknown => Text::of(Part::Unknown),
                })
            }),
        };
        let before = match name.strip_prefix("header ") {
            Some(header) => self.header_text(header, variables),
            None => variables.get(&name).cloned().unwrap_or_else(Text::absent),
        };
        variables.insert(name, before.replaced(holds, &value));
    }

    fn header_text(&self, name: &str, variables: &Variables) -> Text {
        match variables.get(&format!("header {name}")) {
            Some(text) => text.clone(),
            None if name == self.header => {
                self.seen.borrow_mut().asks = true;
                match self.key {
                    Some(key) => Text::known(key),
                    None => Text::of(Part::Key),
                }
            }
            None => Text::of(Part::Unknown),
        }
    }

    fn text(&self, expression: &Expression, variables: &Variables) -> Text {
        let mut text = match &expression.fetch {
            Fetch::Source => Text::of(Part::Address),
            Fetch::Header(name) => self.header_text(name, variables),
            Fetch::Count(name) if name == self.header => {
                self.seen.borrow_mut().asks = true;
                Text::known("1")
            }
            Fetch::Variable(name) => variables.get(name).cloned().unwrap_or_else(Text::absent),
            Fetch::Text(text) => Text::known(text),
            Fetch::Count(_) | Fetch::OfTheRequest | Fetch::Unknown => Text::of(Part::Unknown),
        };
        for step in &expression.steps {
            text = match step {
                Step::Lowercase => text.lowercase(),
                Step::Map(patterns) => self.looked_up(&text, patterns),
                Step::Concat(before, name, behind) => {
                    let inner = variables.get(name).cloned().unwrap_or_else(|| Text::known(""));
                    text.then(&Text::known(before)).then(&inner).then(&Text::known(behind))
                }
                Step::Unknown => text.replaced(&Truth::always(), &Text::of(Part::Unknown)),
            };
        }
        text
    }

    fn looked_up(&self, text: &Text, patterns: &Patterns) -> Text {
        self.note(text, patterns);
        match patterns.ignores_case {
            true => text.lowercase().looked_up(&patterns.table),
            false => text.looked_up(&patterns.table),
        }
    }

    /// Looks for keys in what a text with the key in it is compared with.
    fn note(&self, text: &Text, patterns: &Patterns) {
        let mut seen = self.seen.borrow_mut();
        for template in text.0.iter().filter_map(|(_, value)| value.as_ref()).filter(|parts| parts.contains(&Part::Key))
        {
            if template.len() > 1 {
                seen.composites.push(patterns.place.clone());
            }
            for (how, pattern, place, value) in &patterns.entries {
                match key_in(template, *how, pattern) {
                    Some("") => {}
                    Some(key) => {
                        if patterns.ignores_case {
                            seen.any_case.push(patterns.place.clone());
                        }
                        let name = match value.as_str() {
                            "" | "0" | "1" | "true" | "false" | "yes" | "no" | "ok" | "allow" | "deny" => {
                                format!("key in line {}", place.line)
                            }
                            name => name.to_owned(),
                        };
                        let found = || Found { name, place: place.clone() };
                        seen.keys.entry(key.to_owned()).or_insert_with(found);
                    }
                    None => seen.untold.push(place.clone()),
                }
            }
        }
    }

    fn condition(&self, condition: Option<&Condition>, part: &Half, variables: &Variables) -> Truth {
        let Some(condition) = condition else { return Truth::always() };
        let any = condition.any.iter().map(|all| {
            all.iter().fold(Truth::always(), |holds, (negated, term)| {
                let truth = self.term(term, part, variables);
                holds.and(&if *negated { truth.not() } else { truth })
            })
        });
        let holds = any.fold(Truth::never(), |holds, one| holds.or(&one));
        if condition.is_unless { holds.not() } else { holds }
    }

    fn term(&self, term: &Term, part: &Half, variables: &Variables) -> Truth {
        match term {
            Term::Itself(acl) => self.acl(acl, variables),
            Term::Named(name) => match part.acls.get(name) {
                Some(all) => all.iter().fold(Truth::never(), |holds, one| holds.or(&self.acl(one, variables))),
                None => match name.as_str() {
                    "TRUE" => Truth::always(),
                    "FALSE" => Truth::never(),
                    "LOCALHOST" => Truth::of(Addresses::of("127.0.0.0/8".parse().into_iter().chain("::1".parse()))),
                    _ => Truth::unknown(),
                },
            },
        }
    }

    fn acl(&self, acl: &Acl, variables: &Variables) -> Truth {
        let text = self.text(&acl.expression, variables);
        let is_there = |value: Option<&[Part]>| match value {
            None => Some(false),
            Some(parts) if parts.contains(&Part::Unknown) => None,
            Some(_) => Some(true),
        };
        match &acl.test {
            Test::IsThere => text.truth(is_there),
            Test::Matches(patterns) => self.looked_up(&text, patterns).truth(is_there),
            Test::Number(operator, with) => text.truth(|value| {
                let number: i64 = value.and_then(known)?.parse().ok()?;
                match operator.as_str() {
                    "eq" => Some(number == *with),
                    "ge" => Some(number >= *with),
                    "gt" => Some(number > *with),
                    "le" => Some(number <= *with),
                    "lt" => Some(number < *with),
                    _ => None,
                }
            }),
            Test::Unknown => Truth::unknown(),
        }
    }
}

/// Whether a rule's condition looks at the request alone.
pub(super) fn is_of_the_request(rule: &Rule, part: &Half) -> bool {
    let Some(condition) = &rule.condition else { return false };
    let predefined = |name: &str| {
        name.starts_with("METH_") || name.starts_with("HTTP") || matches!(name, "WAIT_END" | "REQ_CONTENT")
    };
    condition.any.iter().all(|all| !all.is_empty())
        && condition.any.iter().flatten().all(|(_, term)| match term {
            Term::Itself(acl) => acl.expression.is_of_the_request(),
            Term::Named(name) => match part.acls.get(name) {
                Some(all) => all.iter().all(|one| one.expression.is_of_the_request()),
                None => predefined(name),
            },
        })
}
