//! What the documents say is there, and what is there the documents say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::layering::table::FLOORS;
use crate::programs::package;

fn read(name: &str) -> String {
    fs::read_to_string(package().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![package().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    found
}

/// README, ARCHITECTURE and their like, and everything under `docs`.
fn documents() -> Vec<PathBuf> {
    let mut all = files("docs", "md");
    for entry in fs::read_dir(package()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            all.push(path);
        }
    }
    all
}

/// Whether a Rust file below this folder has a function of this name.
pub fn function_exists(folder: &str, name: &str) -> bool {
    let definition = format!("fn {name}(");
    files(folder, "rs").iter().any(|path| fs::read_to_string(path).unwrap().contains(&definition))
}

/// Words that start with `portcullis_` and are spelled like a metric.
fn metric_names(text: &str) -> BTreeSet<String> {
    text.split(|letter: char| !(letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'))
        .filter(|word| word.starts_with("portcullis_") && word.len() > "portcullis_".len())
        .map(str::to_owned)
        .collect()
}

/// Metrics as the code names them: string literals under `src/telemetry`.
fn metrics_of_the_code() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files("src/telemetry", "rs") {
        if path.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for literal in text.split('"').skip(1).step_by(2) {
            if metric_names(literal).iter().any(|name| name == literal) {
                names.insert(literal.to_owned());
            }
        }
    }
    names
}

/// The first column of the tables in the page of metrics.
fn metrics_of_the_page() -> BTreeSet<String> {
    read("docs/reference/metrics.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned))
        .filter(|name| name.starts_with("portcullis_"))
        .collect()
}

#[test]
fn the_page_of_metrics_is_complete_and_true() {
    assert_eq!(metrics_of_the_page(), metrics_of_the_code());
}

#[test]
fn alerts_use_metrics_that_exist() {
    let known = metrics_of_the_page();
    for file in ["deploy/prometheus/alerts.yaml", "deploy/prometheus/alerts_test.yaml"] {
        for name in metric_names(&read(file)) {
            assert!(known.contains(&name), "{file} uses `{name}`");
        }
    }
}

#[test]
fn every_alert_has_a_test() {
    let tests = read("deploy/prometheus/alerts_test.yaml");
    for line in read("deploy/prometheus/alerts.yaml").lines() {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            assert!(tests.contains(&format!("alertname: {name}\n")), "{name} is in no test");
        }
    }
}

#[test]
fn documents_keep_to_their_length() {
    for (name, limit) in [("README.md", 200), ("ARCHITECTURE.md", 250)] {
        let lines = read(name).lines().count();
        assert!(lines <= limit, "{name} has {lines} lines, more than {limit}");
    }
}

#[test]
fn the_picture_of_the_floors_is_the_table_that_is_enforced() {
    let mut drawn = BTreeMap::new();
    let text = read("ARCHITECTURE.md");
    let picture = text.split("```floors\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the picture");
    for line in picture.lines() {
        let (floor, rest) = line.split_once(' ').unwrap();
        let names = rest.trim().split("  ").next().unwrap();
        for name in names.split('·') {
            drawn.insert(name.trim().to_owned(), floor.parse::<u8>().unwrap());
        }
    }
    let table: BTreeMap<String, u8> = FLOORS.iter().map(|(name, floor)| ((*name).to_owned(), *floor)).collect();
    assert_eq!(drawn, table);
}

#[test]
fn links_lead_somewhere() {
    for page in documents() {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let at = page.parent().unwrap_or(Path::new("/")).join(target);
            assert!(at.exists(), "{}: `{link}` leads nowhere", page.display());
        }
    }
}

#[test]
fn decisions_are_numbered_without_a_gap() {
    let mut numbers: Vec<u32> = files("docs/decisions", "md")
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap()[..4].parse().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
}
