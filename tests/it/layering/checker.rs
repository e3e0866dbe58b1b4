//! Reads Rust source and reports every breach of [`super::table`].
//!
//! Sees `use` trees, inline paths, re-exports, `extern crate`, attributes, and paths inside the bodies of macros.
//! Does not expand macros and does not follow types.

use std::collections::BTreeSet;
use std::fmt;

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::table::{self, Home};

/// One file, named as in the package: `src/gate/judge.rs`.
#[derive(Debug)]
pub struct Source {
    name: String,
    text: String,
}

impl Source {
    /// A file and what is in it.
    pub fn new(name: &str, text: &str) -> Self {
        Source { name: name.to_owned(), text: text.to_owned() }
    }

    /// The module that the file holds: `["gate", "judge"]`; empty for the crate root.
    fn module(&self) -> Vec<String> {
        let inner = self.name.trim_start_matches("src/").trim_end_matches(".rs");
        if inner == "lib" { Vec::new() } else { inner.split('/').map(str::to_owned).collect() }
    }
}

/// One breach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.name, self.line, self.message)
    }
}

/// Checks all files together: whether a file is test code is said by the file that declares it.
pub fn check_sources(sources: &[Source]) -> Vec<Finding> {
    let mut findings = BTreeSet::new();
    let mut parsed = Vec::new();
    let mut tests: BTreeSet<Vec<String>> = BTreeSet::new();
    for source in sources {
        match syn::parse_file(&source.text) {
            Ok(file) => {
                declared_for_tests(&file.items, &source.module(), &mut tests);
                parsed.push((source, file));
            }
            Err(error) => {
                let message = format!("does not parse: {error}");
                findings.insert(Finding { name: source.name.clone(), line: error.span().start().line, message });
            }
        }
    }
    for (source, file) in parsed {
        let module = source.module();
        let test = (1..=module.len()).any(|length| tests.contains(&module[..length]));
        let mut reader = Reader { name: &source.name, module, test, findings: &mut findings };
        reader.form(&source.text, &file, test);
        reader.visit_file(&file);
    }
    findings.into_iter().collect()
}

/// Notes the modules that `#[cfg(test)] mod name;` declares.
fn declared_for_tests(items: &[syn::Item], module: &[String], tests: &mut BTreeSet<Vec<String>>) {
    for item in items {
        if let syn::Item::Mod(item) = item {
            let mut inner = module.to_vec();
            inner.push(item.ident.to_string());
            if item.content.is_none() && is_test(&item.attrs) {
                tests.insert(inner);
            } else if let Some((_, items)) = &item.content {
                declared_for_tests(items, &inner, tests);
            }
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test")))
    })
}

fn floor_of(module: &str) -> Option<u8> {
    table::FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

struct Reader<'a> {
    name: &'a str,
    module: Vec<String>,
    test: bool,
    findings: &'a mut BTreeSet<Finding>,
}

impl Reader<'_> {
    fn report(&mut self, span: Span, message: String) {
        self.findings.insert(Finding { name: self.name.to_owned(), line: span.start().line, message });
    }

    /// The outermost module that the code belongs to; `None` in the crate root.
    fn top(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }

    /// What can be said of a file without looking at a path.
    fn form(&mut self, text: &str, file: &syn::File, test: bool) {
        let start = Span::call_site();
        if !text.starts_with("//!") {
            self.report(start, "does not open with `//!`: say what the file is for".to_owned());
        }
        let lines = text.lines().count();
        if !test && lines > table::LONGEST_FILE {
            self.report(start, format!("has {lines} lines, more than {}", table::LONGEST_FILE));
        }
        let root = matches!(self.name, "src/lib.rs" | "src/main.rs");
        if root && !file.attrs.iter().any(forbids_unsafe) {
            self.report(start, "lacks `#![forbid(unsafe_code)]`".to_owned());
        }
        if let Some(name) = self.module.last().cloned() {
            self.name_says_something(start, &name);
        }
        if let Some(top) = self.top().map(str::to_owned)
            && floor_of(&top).is_none()
        {
            self.report(start, format!("module `{top}` has no floor in tests/it/layering/table.rs"));
        }
    }

    fn name_says_something(&mut self, span: Span, name: &str) {
        if table::EMPTY_NAMES.contains(&name) {
            self.report(span, format!("module name `{name}` says nothing about what is inside"));
        }
    }

    /// Judges one path; `leaf` tells a glob or a rename of what it ends in.
    fn path(&mut self, span: Span, segments: &[String], leaf: Leaf) {
        let Some(first) = segments.first() else { return };
        let absolute = match first.as_str() {
            "crate" => segments[1..].to_vec(),
            "portcullis" if self.top() == Some("main") => segments[1..].to_vec(),
            "self" => self.module.iter().chain(&segments[1..]).cloned().collect(),
            "super" => {
                let up = segments.iter().take_while(|segment| *segment == "super").count();
                let keep = self.module.len().saturating_sub(up);
                self.module[..keep].iter().chain(&segments[up..]).cloned().collect()
            }
            _ => return self.foreign(span, segments, leaf),
        };
        self.own(span, &absolute, leaf);
    }

    /// A path into this package.
    fn own(&mut self, span: Span, absolute: &[String], leaf: Leaf) {
        let Some(here) = self.top().map(str::to_owned) else {
            if leaf.exported {
                self.report(span, "the crate root re-exports nothing: it would be a way around the floors".to_owned());
            }
            return;
        };
        let Some(there) = absolute.first() else {
            self.report(span, "the crate root is imported whole, which hides what is used".to_owned());
            return;
        };
        let Some(target) = floor_of(there) else {
            // A macro or a constant of the crate root.
            if !here.eq("main") {
                self.report(span, format!("`{there}` is no module with a floor"));
            }
            return;
        };
        if *there == here {
            return;
        }
        let Some(floor) = floor_of(&here) else { return };
        let neighbours = table::NEIGHBOURS.contains(&(here.as_str(), there.as_str()));
        if target >= floor && !neighbours {
            self.report(span, format!("`{here}` (floor {floor}) imports from `{there}` (floor {target})"));
        }
        if let Some((_, _, reason)) = table::ABSENCES.iter().find(|(from, to, _)| *from == here && *to == there) {
            self.report(span, format!("`{here}` imports from `{there}`: {reason}"));
        }
        if leaf.exported {
            self.report(span, format!("`{here}` re-exports from `{there}`, which is a way around the floors"));
        }
    }

    /// A path into another crate, or one relative to this module.
    fn foreign(&mut self, span: Span, segments: &[String], leaf: Leaf) {
        let first = segments[0].as_str();
        let Some(here) = self.top().map(str::to_owned) else {
            if leaf.exported {
                self.report(span, "the crate root re-exports nothing: it would be a way around the floors".to_owned());
            }
            return;
        };
        if self.test {
            return;
        }
        let floor = floor_of(&here).unwrap_or(u8::MAX);
        if matches!(first, "std" | "core" | "alloc") {
            if floor == 0 {
                self.impure(span, &here, segments);
            }
            return;
        }
        let Some((_, home)) = table::HOMES.iter().find(|(name, _)| *name == first) else { return };
        let at_home = match home {
            Home::Anywhere => true,
            Home::FromFloor(lowest) => floor >= *lowest,
            Home::Only(modules) => modules.contains(&here.as_str()),
        };
        if !at_home {
            self.report(span, format!("crate `{first}` is used in `{here}`; its home is {home:?}"));
        }
        if leaf.exported {
            self.report(span, format!("`{here}` re-exports from crate `{first}`, which is a way out of its home"));
        }
    }

    fn impure(&mut self, span: Span, here: &str, segments: &[String]) {
        let whole = format!("std::{}", segments[1..].join("::"));
        for (banned, except) in table::IMPURE {
            let hit = whole == *banned || whole.strip_prefix(banned).is_some_and(|rest| rest.starts_with("::"));
            if hit && !except.contains(&here) {
                self.report(span, format!("`{here}` is pure and uses `{banned}`"));
            }
        }
    }

    fn tree(&mut self, tree: &syn::UseTree, before: &[String], exported: bool) {
        match tree {
            syn::UseTree::Path(path) => {
                let mut longer = before.to_vec();
                longer.push(path.ident.to_string());
                self.tree(&path.tree, &longer, exported);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(tree, before, exported);
                }
            }
            syn::UseTree::Glob(glob) => self.path(glob.span(), before, Leaf { exported }),
            syn::UseTree::Name(name) => self.leaf(name.ident.span(), before, &name.ident, exported),
            syn::UseTree::Rename(rename) => self.leaf(rename.ident.span(), before, &rename.ident, exported),
        }
    }

    fn leaf(&mut self, span: Span, before: &[String], ident: &syn::Ident, exported: bool) {
        let mut longer = before.to_vec();
        if ident != "self" || before.is_empty() {
            longer.push(ident.to_string());
        }
        self.path(span, &longer, Leaf { exported });
    }

    /// Finds `a::b::c` in tokens that `syn` leaves unread: bodies of macros and arguments of attributes.
    fn tokens(&mut self, tokens: TokenStream, before: &[String]) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let colons = |at: usize| {
            let is = |at: usize| matches!(trees.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
            is(at) && is(at + 1)
        };
        let mut at = 0;
        while at < trees.len() {
            match &trees[at] {
                // Behind `>::` stands the rest of a path that began before the angle brackets.
                TokenTree::Ident(head) if at < 3 || !colons(at - 2) || !closes_angle(&trees[at - 3]) => {
                    let mut segments = before.to_vec();
                    segments.push(head.to_string());
                    let span = head.span();
                    let mut open = None;
                    while colons(at + 1) {
                        match trees.get(at + 3) {
                            Some(TokenTree::Ident(next)) => segments.push(next.to_string()),
                            Some(TokenTree::Group(group)) => {
                                open = Some(group.stream());
                                at += 3;
                                break;
                            }
                            _ => break,
                        }
                        at += 3;
                    }
                    if let Some(inner) = open {
                        self.tokens(inner, &segments);
                    } else if segments.len() > 1 {
                        self.path(span, &segments, Leaf { exported: false });
                    }
                }
                TokenTree::Group(group) => self.tokens(group.stream(), &[]),
                _ => {}
            }
            at += 1;
        }
    }

    fn in_tests(&mut self, attributes: &[syn::Attribute], inner: impl FnOnce(&mut Self)) {
        let before = self.test;
        self.test |= is_test(attributes);
        inner(self);
        self.test = before;
    }
}

/// How the end of a path is used.
#[derive(Debug, Clone, Copy)]
struct Leaf {
    exported: bool,
}

fn closes_angle(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == '>')
}

fn forbids_unsafe(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("forbid")
        && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("unsafe_code"))
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes: &[syn::Attribute] = match item {
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Macro(item) => &item.attrs,
            _ => &[],
        };
        self.in_tests(attributes, |reader| visit::visit_item(reader, item));
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let exported = !matches!(item.vis, syn::Visibility::Inherited);
        self.tree(&item.tree, &[], exported);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if let Some(attribute) = item.attrs.iter().find(|attribute| attribute.path().is_ident("path")) {
            self.report(attribute.span(), "`#[path]` hides where a module is".to_owned());
        }
        self.name_says_something(item.ident.span(), &item.ident.to_string());
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        let exported = !matches!(item.vis, syn::Visibility::Inherited);
        if item.ident == "self" {
            self.report(item.span(), "`extern crate self` gives the crate a second name".to_owned());
        } else if self.top().is_none() {
            self.report(item.span(), format!("`extern crate {}` in the root reaches every module", item.ident));
        } else {
            self.path(item.span(), &[item.ident.to_string()], Leaf { exported });
        }
    }

    /// `pub(in crate::x)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.path(path.span(), &segments, Leaf { exported: false });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        if mac.path.is_ident("include") {
            self.report(mac.span(), "`include!` hides where code is".to_owned());
        }
        self.tokens(mac.tokens.clone(), &[]);
        visit::visit_macro(self, mac);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone(), &[]);
        }
        visit::visit_attribute(self, attribute);
    }
}
