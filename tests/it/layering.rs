//! The walls of the one package: floors, homes of crates, and the form of files.
//!
//! [`table`] is the law as data, [`checker`] reads Rust with `syn` and reports each breach, [`planted`] proves that the
//! checker sees what it claims to see. Nothing here looks at what the code does.

mod checker;
mod planted;
pub mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use checker::{Finding, Source, check_sources};

/// Every `.rs` file under `src`, with its path relative to the package.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(&root.join("src"), &mut found);
    found.sort();
    assert!(found.len() > 3, "src was not found");
    found
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            Source::new(path.strip_prefix(root).unwrap().to_str().unwrap(), &text)
        })
        .collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("\n  {finding}")).collect()
}

#[test]
fn the_code_keeps_to_its_floors_homes_and_form() {
    let findings = check_sources(&sources());
    assert!(findings.is_empty(), "{} breaches:{}", findings.len(), list(&findings));
}

/// A crate gets in only with a decision about where it lives.
#[test]
fn every_dependency_has_a_home_in_the_table() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let mut inside = false;
    let mut used = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && let Some((name, _)) = line.split_once('=') {
            used.insert(name.trim().replace('-', "_"));
        }
    }
    let known: BTreeSet<String> = table::HOMES.iter().map(|(name, _)| (*name).to_owned()).collect();
    let homeless: Vec<_> = used.difference(&known).collect();
    assert!(homeless.is_empty(), "add to tests/it/layering/table.rs where these crates may be used: {homeless:?}");
}
